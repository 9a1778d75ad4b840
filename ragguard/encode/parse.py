"""Documents to text: what will be served, and apart from it what a reader would not see.

`.md .txt .rst` and records keep their decoded text as it is, so that spans point into the file;
`.html .pdf .docx` give their visible text. Line ends become line feeds; nothing else is changed.
Hidden text is reported for the checks: what is served for `.md`, `.txt` and records contains it.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import Any

from ragguard.encode.html import read_html
from ragguard.errors import UnreadableError
from ragguard.model import Hidden

PARSER = "ragguard-parse-1"
TEXT_FORMATS = frozenset({"md", "txt", "rst", "html", "pdf", "docx"})
MAX_TEXT = 20_000_000  # characters
MAX_PAGES = 5_000
MAX_UNPACKED = 200_000_000  # bytes, all members of a .docx together

_MARKUP = re.compile(r"<!--|<[a-z][^<>]{0,300}\b(?:style|hidden)\b", re.IGNORECASE)
_RST_COMMENT = re.compile(
    r"^\.\.(?:[ \t]+(?!\[|_|\||[\w:.+-]+::)(?P<one>\S[^\n]*))?\n(?P<rest>(?:[ \t]+\S[^\n]*\n?)*)",
    re.MULTILINE,
)
_MD_COMMENT = re.compile(
    r"^ {0,3}\[(?://|comment|_metadata_:?\w*|#)\]:\s*\S+\s+[\"'(](?P<text>.*?)[\"')]\s*$",
    re.MULTILINE | re.IGNORECASE,
)


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
        parsed = _pdf(data)
    elif fmt == "docx":
        parsed = _docx(data)
    else:
        text = _decode(data)
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
        hidden += (Hidden("md-comment", m["text"]) for m in _MD_COMMENT.finditer(text))
        if "<" in text:
            from markdown_it import MarkdownIt

            hidden += read_html(MarkdownIt("commonmark").render(text))[1]
    elif fmt == "rst":
        hidden += (Hidden("rst-comment", c) for c in _rst_comments(text))
    elif _MARKUP.search(text):
        hidden += read_html(text)[1]
    return Parsed(text, tuple(hidden))


def _decode(data: bytes) -> str:
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if marked else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not valid {encoding[:6].upper()} (byte {error.start})") from None
    if "\x00" in text:
        raise UnreadableError("holds NUL characters: binary, not text")
    return text


def _html(text: str) -> Parsed:
    return Parsed(*read_html(text))


def _rst_comments(text: str) -> list[str]:
    found = []
    for match in _RST_COMMENT.finditer(text):
        comment = " ".join(((match["one"] or "") + " " + (match["rest"] or "")).split())
        if comment:
            found.append(comment)
    return found


def _docx(data: bytes) -> Parsed:
    import docx
    from docx.opc.exceptions import OpcError

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_UNPACKED:
            raise UnreadableError(f"unpacks to {unpacked} bytes, at most {MAX_UNPACKED}")
        document = docx.Document(io.BytesIO(data))
        lines: list[str] = []
        hidden: list[Hidden] = []
        for block in document.iter_inner_content():
            if hasattr(block, "rows"):
                for row in block.rows:
                    lines.append(" | ".join(cell.text.strip() for cell in row.cells))
                    for cell in row.cells:
                        for paragraph in cell.paragraphs:
                            _paragraph(paragraph, [], hidden)
                lines.append("")
            else:
                _paragraph(block, lines, hidden)
    except UnreadableError:
        raise
    except (OpcError, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
        raise UnreadableError(f"damaged .docx ({type(error).__name__})") from None
    return Parsed("\n".join(lines).strip(), tuple(hidden))


def _paragraph(paragraph: Any, lines: list[str], hidden: list[Hidden]) -> None:
    visible: list[str] = []
    concealed: list[str] = []
    for run in paragraph.runs:
        font = run.font
        colour = str(font.color.rgb) if font.color is not None and font.color.rgb else ""
        tiny = font.size is not None and font.size.pt < 2
        if font.hidden or tiny or (colour == "FFFFFF" and not font.highlight_color):
            concealed.append(run.text)
        else:
            visible.append(run.text)
    if text := "".join(concealed).strip():
        hidden.append(Hidden("docx-hidden", text))
    body = "".join(visible) if concealed else paragraph.text
    style = (paragraph.style.name or "") if paragraph.style is not None else ""
    if style.startswith("Heading") and style[-1:].isdigit():
        body = f"{'#' * int(style[-1])} {body}"
    lines.extend((body, ""))


def _pdf(data: bytes) -> Parsed:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    pages: list[str] = []
    hidden: list[Hidden] = []
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("encrypted .pdf")
        if len(reader.pages) > MAX_PAGES:
            raise UnreadableError(f"{len(reader.pages)} pages, at most {MAX_PAGES}")
        for page in reader.pages:
            watch = _PdfWatch()
            text = page.extract_text(visitor_operand_before=watch.operand, visitor_text=watch.text)
            # A scanned page carries its recognised text invisibly, all of it: that is no trick.
            if watch.concealed and not watch.only_concealed:
                hidden.append(Hidden("pdf-invisible", " ".join("".join(watch.concealed).split())))
                text = "".join(watch.visible)
            pages.append(text)
    except UnreadableError:
        raise
    except RecursionError:
        raise UnreadableError("damaged .pdf (nested too deeply)") from None
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UnreadableError(f"damaged .pdf ({type(error).__name__})") from None
    return Parsed("\n\n".join(p.strip() for p in pages).strip(), tuple(hidden))


class _PdfWatch:
    """Follows the text state of one page (ISO 32000-1, section 9.3) and sorts what is shown."""

    def __init__(self) -> None:
        self._mode = 0
        self._white = False
        self.visible: list[str] = []
        self.concealed: list[str] = []

    @property
    def only_concealed(self) -> bool:
        return not "".join(self.visible).strip()

    def operand(self, operator: bytes, operands: Any, _cm: Any, _tm: Any) -> None:
        try:
            if operator == b"Tr":
                self._mode = int(operands[0])
            elif operator in (b"g", b"rg"):
                self._white = all(float(v) >= 0.98 for v in operands)
            elif operator == b"k":
                self._white = all(float(v) <= 0.02 for v in operands)
        except (TypeError, ValueError, IndexError):
            return

    def text(self, text: str, cm: Any, tm: Any, _font: Any, size: Any) -> None:
        scale = abs(float(tm[3]) * float(cm[3])) or abs(float(tm[0]) * float(cm[0])) or 1.0
        tiny = bool(text.strip()) and 0 < float(size or 0) * scale < 1.5
        concealed = self._mode == 3 or self._white or tiny
        (self.concealed if concealed else self.visible).append(text)
