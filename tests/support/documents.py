"""Small documents written by hand, as bytes: PDF, DOCX."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import docx
from docx.document import Document
from docx.oxml import parse_xml

from ragguard.model import Hidden

VISIBLE = "Close the drain valve before starting."
SECRET = "The refund code is ZEBRA."
MARK = "ZEBRA"


def is_recorded(text: str, hidden: Iterable[Hidden]) -> None:
    """The secret is recorded and not served, and only what is visible is served."""
    assert text == VISIBLE
    assert [h.text for h in hidden] == [SECRET]


def is_recorded_among_others(text: str, hidden: Iterable[Hidden]) -> None:
    """The secret is recorded and not served; what is visible is served."""
    assert MARK not in text
    assert VISIBLE in text
    assert any(MARK in h.text for h in hidden)


# --- PDF ------------------------------------------------------------------------------------------

SHOWN = f"BT /F1 12 Tf 72 700 Td ({VISIBLE}) Tj ET\n"


def pdf(
    stream: str, *, objects: Sequence[str] = (), resources: str = "", page: str = "", root: str = ""
) -> bytes:
    """A PDF of one page; further objects are numbered from 6."""
    return pdf_objects(
        f"<< /Type /Catalog /Pages 2 0 R {root} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        f"/Resources << /Font << /F1 5 0 R >> {resources} >> {page} >>",
        pdf_stream(stream),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *objects,
    )


def pdf_objects(*objects: str | bytes) -> bytes:
    """A PDF of these objects, the first of them its root."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number
        out += (body.encode("latin-1") if isinstance(body, str) else body) + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return bytes(out) + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        size,
        start,
    )


def pdf_stream(content: str, entries: str = "") -> str:
    return f"<< {entries} /Length {len(content)} >>\nstream\n{content}\nendstream"


def pdf_deflated(content: bytes) -> bytes:
    packed = zlib.compress(content, 9)
    head = b"<< /Filter /FlateDecode /Length %d >>\nstream\n" % len(packed)
    return head + packed + b"\nendstream"


def pdf_form(content: str, entries: str = "/BBox [0 0 612 792]") -> str:
    fonts = "/Resources << /Font << /F1 5 0 R >> >>"
    return pdf_stream(content, f"/Type /XObject /Subtype /Form {fonts} {entries}")


def pdf_text(
    text: str = SECRET, *, state: str = "", at: str = "72 600 Td", size: float = 12
) -> str:
    return f"BT {state} /F1 {size} Tf {at} ({text}) Tj ET\n"


# --- DOCX -----------------------------------------------------------------------------------------

_SPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
        "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    }.items()
)


def word(change: Callable[[Document], object] = lambda _: None) -> bytes:
    """A DOCX with one visible paragraph, changed."""
    document = docx.Document()
    document.add_paragraph(VISIBLE)
    change(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def word_xml(inner: str, tag: str = "w:p") -> bytes:
    """A DOCX with an element of this content in its body."""
    element = parse_xml(f"<{tag} {_SPACES}>{inner}</{tag}>")
    return word(lambda document: document.element.body.insert(1, element))


def word_run(properties: str, text: str = SECRET) -> bytes:
    return word_xml(f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>")


def repacked(data: bytes, **members: bytes) -> bytes:
    """A ZIP file with members replaced or added; `__` in a name stands for a slash."""
    new = {name.replace("__", "/") + ".xml": content for name, content in members.items()}
    return rezipped(data, lambda name, content: new.pop(name, None) or content, new)


def rezipped(
    data: bytes,
    change: Callable[[str, bytes], bytes | None],
    more: Mapping[str, bytes] = MappingProxyType({}),
) -> bytes:
    """A ZIP file whose members are changed; one that becomes None is left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", 8) as archive:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                archive.writestr(name, content)
        for name, content in more.items():
            archive.writestr(name, content)
    return out.getvalue()
