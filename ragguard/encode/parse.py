"""Documents to text: what will be served, and apart from it what a reader would not see.

`.md .txt .rst` and records keep their decoded text as it is, so that spans point into the file;
`.html .pdf .docx` give their visible text. Line ends become line feeds; nothing else is changed.
Hidden text is reported for the checks: what is served for `.md`, `.txt` and records contains it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from ragguard.encode.html import read_html
from ragguard.encode.pdf import read_pdf
from ragguard.encode.word import read_docx
from ragguard.errors import UnreadableError
from ragguard.model import Hidden

PARSER = "ragguard-parse-1"
TEXT_FORMATS = frozenset({"md", "txt", "rst", "html", "pdf", "docx"})
MAX_TEXT = 20_000_000  # characters
MAX_RENDERED = 500_000  # characters of Markdown; of more, only the markup is looked at
MAX_BRACKETS = 20_000  # opening ones; each costs the renderer as much as a line
MAX_LABELS = 200  # link labels that are sentences; of more, none is looked for
FEW_WORDS = 4  # a title or label of fewer is a name
MANY_WORDS = 8  # a line of front matter with fewer is a setting

_MARKUP = re.compile(
    r"<!--|<(?:style|template|noscript|font)\b|<[a-z][^<>]{0,300}\b(?:style|hidden)\b",
    re.IGNORECASE,
)
_RST_COMMENT = re.compile(
    r"^\.\.(?:[ \t]+(?!\[|_|\||[\w:.+-]+::)(?P<one>\S[^\n]*))?\n(?P<rest>(?:[ \t]+\S[^\n]*\n?)*)",
    re.MULTILINE,
)
_MD_COMMENT = re.compile(
    r"^ {0,3}\[(?://|comment|_metadata_:?\w*|#)\]:\s*\S+\s+[\"'(](?P<text>.*?)[\"')]\s*$",
    re.MULTILINE | re.IGNORECASE,
)
_RST_UNSEEN = re.compile(
    r"^\.\.[ \t]+(?:_|\|[^|\n]{1,200}\|[ \t]+replace::|(?:meta|index|only|ifconfig)::)"
    r"(?P<one>[^\n]*)(?P<rest>(?:\n[ \t]+\S[^\n]*|\n(?=\n?[ \t]+\S))*)",
    re.MULTILINE,
)
_FRONT_MATTER = re.compile(r"---\n(?P<lines>.*?)\n(?:---|\.\.\.)(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Parsed:
    """A document's text and what is hidden in it."""

    text: str
    hidden: tuple[Hidden, ...] = ()


def parse(data: bytes, fmt: str) -> Parsed:
    """Parse a document.

    Args:
        data: Its bytes.
        fmt: File ending without the dot, one of `TEXT_FORMATS`.

    Returns:
        Text with at least one visible character, and hidden text.

    Raises:
        UnreadableError: Damaged, encrypted, too large, or without text.
    """
    if fmt == "pdf":
        parsed = Parsed(*read_pdf(data))
    elif fmt == "docx":
        parsed = Parsed(*read_docx(data))
    else:
        text = decode_text(data)
        parsed = _html(text) if fmt == "html" else read_text(text, fmt)
    if len(parsed.text) > MAX_TEXT:
        raise UnreadableError(f"more than {MAX_TEXT} characters of text")
    if not parsed.text.strip():
        raise UnreadableError("no text could be extracted")
    return parsed


def read_text(text: str, fmt: str) -> Parsed:
    """A text format: the text itself, and what its rendering would hide.

    Args:
        text: Decoded text.
        fmt: `md`, `rst`, `txt`; `txt` for records.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    hidden: list[Hidden] = []
    if fmt == "md":
        hidden += _markdown(text)
    elif fmt == "rst":
        hidden += (Hidden("rst-comment", c) for c in _rst_comments(text))
        hidden += read_html(text)[1] if "raw::" in text else ()
    elif _MARKUP.search(text):
        hidden += read_html(text)[1]
    return Parsed(text, tuple(hidden))


def decode_text(data: bytes) -> str:
    """UTF-8, or UTF-16 with its mark.

    Raises:
        UnreadableError: Neither, or not text.
    """
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding, name = ("utf-16", "UTF-16") if marked else ("utf-8-sig", "UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not valid {name} (byte {error.start})") from None
    if "\x00" in text:
        raise UnreadableError("holds NUL characters: binary, not text")
    return text


def _html(text: str) -> Parsed:
    return Parsed(*read_html(text))


def _markdown(text: str) -> list[Hidden]:
    """Comments, and what rendering keeps for itself: titles, unused labels, info strings."""
    comments = [m["text"] for m in _MD_COMMENT.finditer(text)]
    if len(text) > MAX_RENDERED or text.count("[") > MAX_BRACKETS:
        # Rendering would take long; read as markup, code samples may be taken for hidden text.
        return [*(Hidden("md-comment", c) for c in comments), *read_html(text)[1]]
    from markdown_it import MarkdownIt

    parser, env = MarkdownIt("commonmark"), cast("dict[str, Any]", {})
    tokens = parser.parse(text, env)
    rendered = str(parser.renderer.render(tokens, parser.options, env))
    defined = [*env.get("references", {}).items()]
    defined += [(item.get("label", ""), item) for item in env.get("duplicate_refs", ())]
    linked = rendered.casefold()
    asides = [str(item.get("title", "")) for _, item in defined]
    long = [label for label, _ in defined if len(label.split()) >= FEW_WORDS]
    asides += [x for x in long if len(long) > MAX_LABELS or x.casefold() not in linked]
    for token in tokens:
        asides.append(token.info.partition(" ")[2] if token.type == "fence" else "")
        for child in token.children or ():
            asides.append(str(child.attrs.get("title", "")))
    if front := _FRONT_MATTER.match(text):
        asides += [line for line in front["lines"].split("\n") if len(line.split()) >= MANY_WORDS]
    comments += [a for a in asides if len(a.split()) >= FEW_WORDS]
    hidden = [Hidden("md-comment", comment) for comment in dict.fromkeys(comments)]
    return [*hidden, *read_html(rendered)[1]] if "<" in text else hidden


def _rst_comments(text: str) -> list[str]:
    found = []
    for match in _RST_UNSEEN.finditer(text):
        unseen = " ".join((match["one"] + " " + match["rest"]).split())
        if len(unseen.split()) >= FEW_WORDS:
            found.append(unseen)
    for match in _RST_COMMENT.finditer(text):
        comment = " ".join(((match["one"] or "") + " " + (match["rest"] or "")).split())
        if comment:
            found.append(comment)
    return found
