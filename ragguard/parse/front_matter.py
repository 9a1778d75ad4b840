"""Read front matter, what a file says about itself before its text, as metadata.

Read are the YAML (`---`) and TOML (`+++`) blocks that open a Markdown file, the field list and the
`.. meta::` directive that open a reStructuredText file, and the title and description in the head
of a page. Kept are scalars and flat lists of them; dates become ISO strings. What is damaged, too
large or no set of names and values is text like any other, never an error.

The bytes are signed, so what stands here is signed; the manifest's metadata win over it. A reader
does not see it: its words are handed to the checks apart. `source` is what an index calls the
document, and is not for the document to say.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from html import unescape
from typing import Any

from ragguard.model import Metadata

FORMATS = frozenset({"md", "rst", "html"})
MAX_CHARACTERS = 16_384  # of a block
MAX_LINES = 400
MAX_DEPTH = 8  # of what is nested in a block; the nested is no metadata, but does no harm
MAX_VALUE = 4_000  # characters of a value that is metadata
_MOST_DOTS = 100  # before an equals sign; the TOML reader's time grows with their square
_MOST_HEAD = 65_536  # characters of a page in which its head is looked for

_YAML = re.compile(r"---[ \t]*\n(?P<body>.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\+\+\+[ \t]*\n(?P<body>.*?\n)?\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
_KEY = re.compile(r"[^\W_][\w.-]*(?: [\w.-]+){0,3}")
_COMMENT = re.compile(r"(?:^|\s)#+\s*(.+)$", re.MULTILINE)
_FIELDS = re.compile(
    r"(?:[ \t]*\n)*"
    r"(?P<body>(?::[^:\n]{1,60}:(?:[ \t][^\n]*)?(?:\n|\Z)(?:[ \t]+\S[^\n]*(?:\n|\Z))*)+)"
)
_FIELD = re.compile(
    r"^[ \t]*:(?P<key>[^:\n]{1,60}):(?P<value>(?:[ \t][^\n]*)?(?:\n[ \t]+(?!:)\S[^\n]*)*)",
    re.MULTILINE,
)
_META = re.compile(
    r"(?:[ \t]*\n)*\.\.[ \t]+meta::[ \t]*\n(?P<body>(?:[ \t]*\n)*(?:[ \t]+\S[^\n]*(?:\n|\Z))+)"
)
_TITLE = re.compile(r"<title\b[^<>]{0,200}>([^<]{1,2000})</title", re.IGNORECASE)
_TAG = re.compile(r"<meta\b([^<>]{1,5000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w:-]{1,40})\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'<>=]+))")


@dataclass(frozen=True)
class FrontMatter:
    """What a file says about itself.

    Attributes:
        metadata: Strings, numbers, booleans, and lists of them.
        end: Character offset at which the text itself begins.
        said: All words in it, values and comments, a line each.
    """

    metadata: Metadata = field(default_factory=dict)
    end: int = 0
    said: str = ""


NONE = FrontMatter()


def read_front(text: str, fmt: str) -> FrontMatter:
    """Read what a document says about itself.

    Args:
        text: Decoded text, line ends as line feeds; markup for `html`.
        fmt: Its format; others than `FORMATS` have nothing to say.

    Returns:
        `NONE` where there is nothing, or nothing that can be read.
    """
    if fmt == "md":
        return _markdown(text)
    if fmt == "rst":
        return _restructured(text)
    return _page(text) if fmt == "html" else NONE


def _markdown(text: str) -> FrontMatter:
    head = text[: MAX_CHARACTERS + 16]
    for pattern, read in ((_YAML, _yaml), (_TOML, _toml)):
        block = pattern.match(head)
        if block is None:
            continue
        body = block["body"] or ""
        if len(body) > MAX_CHARACTERS or body.count("\n") > MAX_LINES:
            return NONE
        values = read(body)
        if values is None or not all(isinstance(k, str) and _KEY.fullmatch(k) for k in values):
            return NONE
        comments = [match[1] for match in _COMMENT.finditer(body)]
        return FrontMatter(_flat(values), block.end(), "\n".join([*_strings(values), *comments]))
    return NONE


def _yaml(body: str) -> Mapping[Any, Any] | None:
    """Return a block of YAML; `None` where it is none, or names a thing twice by an alias."""
    import yaml

    try:
        depth = 0
        for event in yaml.parse(body, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                return None
        values = yaml.safe_load(body)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, AttributeError, RecursionError):
        return None  # a date of the 40th of May is a ValueError
    return values if isinstance(values, dict) else {} if values is None else None


def _toml(body: str) -> Mapping[str, Any] | None:
    if any(line.partition("=")[0].count(".") > _MOST_DOTS for line in body.split("\n")):
        return None
    try:
        return tomllib.loads(body)
    except (ValueError, RecursionError):
        return None


def _restructured(text: str) -> FrontMatter:
    """Field lists and `meta` directives before the first title or paragraph."""
    head = text[:MAX_CHARACTERS]
    values: dict[str, str] = {}
    end = 0
    while block := _META.match(head, end) or _FIELDS.match(head, end):
        end = block.end()
        for match in _FIELD.finditer(block["body"]):
            # A name of more words has attributes, such as `description lang=en`.
            key = (
                match["key"].split("=")[0].rpartition(" ")[0]
                if "=" in match["key"]
                else match["key"]
            )
            value = " ".join(match["value"].split())
            if value and _KEY.fullmatch(key):
                values.setdefault(key, value)
    words = "\n".join(" ".join(match["value"].split()) for match in _FIELD.finditer(head[:end]))
    return FrontMatter(_flat(values), end, words.strip()) if end else NONE


def _page(markup: str) -> FrontMatter:
    head = markup[:_MOST_HEAD]
    values: dict[str, str] = {}
    for tag in _TAG.finditer(head):
        given = {n.lower(): a or b or c for n, a, b, c in _ATTRIBUTE.findall(tag[1])}
        if given.get("name", "").lower() == "description" and given.get("content"):
            values["description"] = " ".join(unescape(given["content"]).split())
            break
    if title := _TITLE.search(head):
        values["title"] = " ".join(unescape(title[1]).split())
    return (
        FrontMatter(_flat(values), 0, "\n".join(v for v in values.values() if v))
        if values
        else NONE
    )


def _flat(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Those values that are metadata."""
    metadata: dict[str, Any] = {}
    for key, value in values.items():
        items = value if isinstance(value, list) else [value]
        plain = [scalar for item in items if (scalar := _scalar(item)) is not None]
        if len(plain) == len(items) and plain and str(key).lower() != "source":
            metadata[str(key)] = plain if isinstance(value, list) else plain[0]
    return metadata


def _scalar(value: object) -> str | int | float | bool | None:
    """Return a value as JSON has it; `None` for what is nothing, nested, or too large."""
    if isinstance(value, str):
        text = " ".join(value.split())
        return text if text and len(text) <= MAX_VALUE and text.isprintable() else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) and abs(value) < 2**53 else None
    return value.isoformat() if isinstance(value, date | time) else None


def _strings(value: object) -> Iterator[str]:
    """Yield all words of a value, however deep they stand."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str) and len(key.split()) > 1:
                yield key
            yield from _strings(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value
