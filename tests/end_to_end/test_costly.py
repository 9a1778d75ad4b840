"""Documents built to cost much: they are rejected or read, and the rest of their batch comes in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest

from ragguard.config import ParseSettings
from ragguard.parse.workers import Read, Source, Unread, read_documents
from tests.support.documents import SHOWN, pdf_deflated, pdf_form, pdf_objects, pdf_text
from tests.support.simulator import HONEST, Gate

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'


def docx(body: str, styles: str = "", *, main: str = "word/document.xml") -> bytes:
    """A DOCX of this body; the document has the name given."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "_rels/.rels",
            f'{_RELATIONS}<Relationship Id="a" Type="{_OFFICE}/officeDocument" Target="{main}"/>'
            "</Relationships>",
        )
        folder, _, name = main.rpartition("/")
        archive.writestr(
            f"{folder}/_rels/{name}.rels",
            f'{_RELATIONS}<Relationship Id="a" Type="{_OFFICE}/styles" Target="styles.xml"/>'
            "</Relationships>",
        )
        archive.writestr(f"{folder}/styles.xml", f'<w:styles xmlns:w="{_W}">{styles}</w:styles>')
        archive.writestr(main, f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>')
    return out.getvalue()


def words(text: str, style: str = "") -> str:
    mark = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{mark}<w:r><w:t>{text}</w:t></w:r></w:p>"


def chained_styles() -> bytes:
    count = 2_500
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="s{i}"><w:basedOn w:val="s{i + 1}"/>'
        f'<w:rPr><w:sz w:val="{20 + i % 9}"/></w:rPr></w:style>'
        for i in range(count)
    )
    return docx("".join(words("Rinse the filter.", f"s{i % 60}") for i in range(count)), styles)


def nested_tables() -> bytes:
    inner = words("Rinse the filter.")
    for _ in range(70):
        rows = "<w:tr><w:tc><w:p/></w:tc></w:tr>" * 2_000
        inner = f"<w:tbl>{rows}<w:tr><w:tc>{inner}<w:p/></w:tc></w:tr></w:tbl>"
    return docx(inner)


def nested_boxes() -> bytes:
    inner = words("Rinse the filter.") + "<w:p/>" * 200_000
    for _ in range(60):
        inner = f"<w:p><w:r><w:pict><w:txbxContent>{inner}</w:txbxContent></w:pict></w:r></w:p>"
    return docx(inner)


def pages_of(stream: bytes, count: int, *, same: bool) -> bytes:
    """A PDF whose pages all show one stream, or are one page."""
    page = b"<< /Type /Page /Parent 2 0 R /Contents 3 0 R >>"
    kids = " ".join("5 0 R" if same else f"{5 + i} 0 R" for i in range(count))
    return pdf_objects(
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{kids}] /MediaBox [0 0 612 792] "
        "/Resources << /Font << /F1 4 0 R >> >> >>",
        pdf_deflated(stream),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *[page] * (1 if same else count),
    )


def painted_pages() -> bytes:
    painted = "1 g 700 700 1 1 re f " * 300
    return pages_of((painted + pdf_text("a") * 10_000).encode(), 60, same=False)


def drawn_again() -> bytes:
    return pdf_objects(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources "
        "<< /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>",
        pdf_deflated((SHOWN + "/X Do " * 900).encode()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        pdf_form(pdf_text("a") * 2_000),
    )


COSTLY = {
    "chained styles": ("docx", chained_styles),
    "nested tables": ("docx", nested_tables),
    "nested text boxes": ("docx", nested_boxes),
    "millions of paragraphs": ("docx", lambda: docx("<w:p/>" * 6_000_000)),
    "millions in a member of another name": (
        "docx", lambda: docx("<w:p/>" * 6_000_000, main="word/document.bin")
    ),
    "boxes in noscript": (
        "html", lambda: b"<p>v</p><noscript>" + b"<div>" * 180_000 + b"x</noscript>"
    ),
    "attributes in noscript": (
        "html", lambda: b"<p>v</p><noscript><i " + b"a=1 b" * 150_000 + b">x</noscript>"
    ),
    "one page 4,900 times": ("pdf", lambda: pages_of(SHOWN.encode() * 9, 4_900, same=True)),
    "painted pages": ("pdf", painted_pages),
    "a form drawn again and again": ("pdf", drawn_again),
    "brackets": ("md", lambda: b"[" * 19_000 + b"*a_ " * 100_000),
    "quotes in quotes": ("md", lambda: (b">" * 400 + b" a\n") * 1_000),
    "one word": ("txt", lambda: "\U0001f980".encode() * 4_000_000),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_document_is_read_or_rejected_and_its_neighbours_come_in(name: str) -> None:
    """`test_workers` shows that the limits hold: here is what needs them."""
    fmt, make = COSTLY[name]
    note = Source(b"# Filter\n\nRinse the *filter* every week.", "md")
    first, costly, last = read_documents(
        [note, Source(make(), fmt), note], ParseSettings(), size=1000, overlap=100
    )
    assert isinstance(first, Read)
    assert isinstance(last, Read)
    assert isinstance(costly, Read) or costly.reason


def test_large_honest_documents_are_read() -> None:
    sentence = "Rinse the filter with cold water before the pump is started again. "
    page = f"<h2>Part</h2><p>{sentence * 9}</p><ul>{f'<li>{sentence}</li>' * 9}</ul>"
    row = f"<w:tr>{f'<w:tc>{words(sentence)}</w:tc>' * 6}</w:tr>"
    text = "".join(pdf_text(sentence[:60], at=f"72 {700 - 12 * i} Td") for i in range(40))
    sources = [
        Source(f"<body>{page * 1_500}</body>".encode(), "html"),
        Source(docx(words(sentence * 3) * 8_000 + f"<w:tbl>{row * 2_000}</w:tbl>"), "docx"),
        Source(f"# Pump\n\n{sentence * 9}\n\n- {sentence}\n\n".encode() * 900, "md"),
        Source((sentence * 9 + "\n\n").encode() * 5_000, "txt"),
        Source(pages_of(text.encode(), 100, same=False), "pdf"),
    ]
    found = read_documents(sources, ParseSettings(), size=1000, overlap=100)
    assert [one.reason for one in found if isinstance(one, Unread)] == []


def test_a_costly_document_holds_up_nobody(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate(parse={"processor_seconds": 1})
    path = gate.publisher.publish({**HONEST, "a.pdf": painted_pages(), "b.docx": nested_tables()})
    report = gate.ingest(path)
    outcomes = {v.id: v for v in report.documents}
    assert outcomes["a.pdf"].outcome == "reject"
    (finding,) = outcomes["a.pdf"].findings
    assert finding.check == "unreadable"
    assert "processor_seconds" in finding.detail
    assert set(HONEST) <= gate.documents()
