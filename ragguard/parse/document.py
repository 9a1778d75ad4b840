"""Parse documents: what will be served, and apart from it what a reader would not see.

`.md .txt .rst` and records keep their decoded text as it is, so that spans point into the file;
`.html .pdf .docx` give their visible text. Line ends become line feeds; nothing else is changed.
Hidden text is reported for the checks: what is served for `.md`, `.txt` and records contains it.
Front matter stays in the text, and makes no passage; see `front_matter`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.charsets import UTF_8, declared, with_replacements
from ragguard.parse.docx import read_docx
from ragguard.parse.front_matter import FORMATS, NONE, FrontMatter, read_front
from ragguard.parse.html import read_html

if TYPE_CHECKING:
    from ragguard.config import ParseSettings
    from ragguard.parse.view import View

PARSER = "ragguard-parse-5"
TEXT_FORMATS = frozenset({"md", "txt", "rst", "html", "pdf", "docx"})
OTHER_ENDINGS = {"htm": "html", "markdown": "md"}  # of a file's name, for these formats
MAX_TEXT = 20_000_000  # characters of a document
MAX_RENDERED = 500_000  # characters of Markdown; of more, only the markup is looked at
MAX_BRACKETS = 20_000  # opening ones; each costs the renderer as much as a line
MAX_LABELS = 200  # link labels that are sentences; of more, none is looked for
FEW_WORDS = 4  # a title or label of fewer is a name

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
    r"^\.\.[ \t]+(?:_|\|[^|\n]{1,200}\|[ \t]+replace::|(?:index|only|ifconfig)::)"
    r"(?P<one>[^\n]*)(?P<rest>(?:\n[ \t]+\S[^\n]*|\n(?=\n?[ \t]+\S))*)",
    re.MULTILINE,
)
_RST_META = re.compile(
    r"^\.\.[ \t]+meta::(?P<rest>[^\n]*(?:\n[ \t]+\S[^\n]*|\n(?=\n?[ \t]+\S))*)", re.MULTILINE
)
_WORDED = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class ParsedDocument:
    """A document's text and what is hidden in it.

    Attributes:
        begin: Character offset from which passages are made; before it is front matter.
    """

    text: str
    hidden: tuple[Hidden, ...] = ()
    begin: int = 0


def parser_of(settings: ParseSettings) -> str:
    """Tell what a recipe calls the parser: what is read with other settings is other text."""
    render = f" render={settings.render}" if settings.render != "rules" else ""
    details = f" details={settings.details}" if settings.details != "closed" else ""
    return PARSER + render + details


def parse(
    data: bytes, fmt: str, *, view: View | None = None, details: bool = False
) -> ParsedDocument:
    """Parse a document.

    Args:
        fmt: File ending without the dot, one of `TEXT_FORMATS`.
        view: A browser that draws pages; without one, rules tell what is hidden in them.
        details: Whether what is folded away in a page counts as seen.

    Returns:
        Text with at least one letter or digit, and hidden text.

    Raises:
        UnreadableError: Damaged, encrypted, too large, or without text; whatever a parser raises
            but for want of memory.
        MemoryError: It takes more memory than there is.
    """
    with _only_unreadable(f".{fmt}"):
        parsed = _parse(data, fmt, view, details)
    if len(parsed.text) > MAX_TEXT:
        raise UnreadableError(f"more than {MAX_TEXT} characters of text")
    if not has_words(parsed.text):
        raise UnreadableError("no text could be extracted")
    return parsed


def _parse(data: bytes, fmt: str, view: View | None, details: bool) -> ParsedDocument:
    if fmt == "pdf":
        from ragguard.parse.pdf import read_pdf  # with numpy, which the other formats do without

        return ParsedDocument(*read_pdf(data, MAX_TEXT))
    if fmt == "docx":
        return ParsedDocument(*read_docx(data))
    text, replaced = _decode(data, fmt)
    if fmt != "html":
        return read_text(text, fmt)
    parsed = _html(text, view, details)
    if not replaced:
        return parsed
    note = Hidden("invalid-bytes", f"{replaced} places that are not UTF-8 are read as U+FFFD")
    return ParsedDocument(parsed.text, (*parsed.hidden, note))


def read_record(text: str) -> ParsedDocument:
    """Read the text of a record.

    Raises:
        UnreadableError: Without words, or its markup cannot be read.
        MemoryError: It takes more memory than there is.
    """
    if not has_words(text):
        raise UnreadableError("the record has no text")
    with _only_unreadable("record"):
        return read_text(text, "txt")


@contextmanager
def _only_unreadable(format_name: str) -> Iterator[None]:
    """Raise `UnreadableError` for whatever a parser raises; want of memory stays what it is."""
    try:
        yield
    except (UnreadableError, MemoryError):
        raise
    except RecursionError:
        raise UnreadableError(f"damaged {format_name} (nested too deeply)") from None
    except Exception as error:
        # lxml, zipfile and selectolax raise whatever they trip over in hostile bytes (KeyError,
        # AttributeError, struct.error ...), and say nowhere what. Nothing is let through by it: the
        # document is rejected with the name of the error, and its neighbours come in.
        raise UnreadableError(f"damaged {format_name} ({type(error).__name__})") from error


def is_plain(text: str) -> bool:
    """Tell whether a plain text holds nothing to parse: `read_record` gives the text itself."""
    return not _MARKUP.search(text)


def has_words(text: str) -> bool:
    """Tell whether a text has a letter or digit of any script: without one it has no passage."""
    return _WORDED.search(text) is not None


def front_of(data: bytes, fmt: str) -> FrontMatter:
    """Read what a file says about itself; nothing where it cannot be read, as `parse` will tell."""
    if fmt not in FORMATS:
        return NONE
    try:
        with _only_unreadable(f".{fmt}"):
            return read_front(_lines(decode_text(data, fmt)), fmt)
    except (UnreadableError, MemoryError):
        return NONE


def _lines(text: str) -> str:
    """Line ends as line feeds, without a byte-order mark."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_text(text: str, fmt: str) -> ParsedDocument:
    """Return a text format: the text itself, and what its rendering would hide."""
    text = _lines(text)
    front = read_front(text, fmt)
    begin = front.end if has_words(text[front.end :]) else 0
    hidden: list[Hidden] = []
    if fmt == "md":
        hidden += _markdown(text[begin:])
    elif fmt == "rst":
        hidden += (Hidden("rst-comment", c) for c in _rst_comments(text[begin:]))
        hidden += _rst_meta(text[begin:])
        hidden += read_html(text, page=False)[1] if "raw::" in text else ()
    elif _MARKUP.search(text):
        hidden += read_html(text, page=False)[1]
    if begin and front.said:
        hidden.append(Hidden("front-matter", front.said))
    return ParsedDocument(text, tuple(hidden), begin)


def decode_text(data: bytes, fmt: str = "") -> str:
    """UTF-8, or UTF-16 with its mark; a page that is neither, as it declares.

    Raises:
        UnreadableError: None of them, or not text.
    """
    return _decode(data, fmt)[0]


def _decode(data: bytes, fmt: str) -> tuple[str, int]:
    """Return the text, and in how many places of a page U+FFFD stands for what is no UTF-8."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding, name = ("utf-16", "UTF-16") if marked else ("utf-8-sig", "UTF-8")
    replaced = 0
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        label, codec = declared(data) if fmt == "html" and not marked else ("", None)
        text, replaced = with_replacements(data) if codec == UTF_8 else ("", 0)
        if codec is None or (codec == UTF_8 and not replaced):
            unknown = f", and its charset {label!r} is not known" if label else ""
            raise UnreadableError(f"not valid {name} (byte {error.start}){unknown}") from None
        text = text or data.decode(codec, "replace")  # as browsers do
    if "\x00" in text:
        raise UnreadableError("holds NUL characters: binary, or UTF-16 without its mark")
    return text, replaced


def _html(text: str, view: View | None, details: bool) -> ParsedDocument:
    drawn = None
    if view is not None:
        from ragguard.parse.drawn import look  # with numpy and pillow

        drawn = partial(look, view, text)
    visible, hidden = read_html(text, page=not details, drawn=drawn)
    words = read_front(text, "html").said
    return ParsedDocument(visible, (*hidden, Hidden("front-matter", words)) if words else hidden)


def _markdown(text: str) -> list[Hidden]:
    """Comments, and what rendering keeps for itself: titles, unused labels, info strings."""
    comments = [m["text"] for m in _MD_COMMENT.finditer(text)]
    if len(text) > MAX_RENDERED or text.count("[") > MAX_BRACKETS:
        # Rendering would take long; read as markup, code samples may be taken for hidden text.
        return [*(Hidden("md-comment", c) for c in comments), *read_html(text, page=False)[1]]
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
    comments += [a for a in asides if len(a.split()) >= FEW_WORDS]
    hidden = [Hidden("md-comment", comment) for comment in dict.fromkeys(comments)]
    return [*hidden, *read_html(rendered, page=False)[1]] if "<" in text else hidden


def _rst_meta(text: str) -> list[Hidden]:
    """Tell what `meta` directives say elsewhere than at the beginning."""
    metas = (" ".join(match["rest"].split()) for match in _RST_META.finditer(text))
    return [Hidden("front-matter", meta) for meta in metas if meta]


def _rst_comments(text: str) -> list[str]:
    comments = []
    for match in _RST_UNSEEN.finditer(text):
        unseen = " ".join((match["one"] + " " + match["rest"]).split())
        if len(unseen.split()) >= FEW_WORDS:
            comments.append(unseen)
    for match in _RST_COMMENT.finditer(text):
        comment = " ".join(((match["one"] or "") + " " + (match["rest"] or "")).split())
        if comment:
            comments.append(comment)
    return comments
