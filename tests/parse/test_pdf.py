"""PDFs are read in order, opened without a password, and refused where they are bombs."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pytest
from pypdf import PdfReader, PdfWriter

from ragguard.config import ParseSettings
from ragguard.errors import UnreadableError
from ragguard.parse.document import parse
from ragguard.parse.workers import Read, Source, Unread, read_documents
from tests.support.documents import (
    SECRET,
    SHOWN,
    VISIBLE,
    pdf,
    pdf_deflated,
    pdf_form,
    pdf_objects,
    pdf_stream,
    pdf_text,
)
from tests.support.hanging import ends


def test_text_of_all_pages_is_read_in_order() -> None:
    writer = PdfWriter()
    for number in range(3):
        page = PdfReader(io.BytesIO(pdf(pdf_text(f"Page {number}.")))).pages[0]
        writer.add_page(page)
    out = io.BytesIO()
    writer.write(out)
    parsed = parse(out.getvalue(), "pdf")
    assert parsed.text == "Page 0.\n\nPage 1.\n\nPage 2."
    assert parsed.hidden == ()


def test_what_is_no_text_of_a_page_is_not_served() -> None:
    note = f"/Annots [<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents ({SECRET}) >>]"
    spoken = f"/Span << /ActualText ({SECRET}) >> BDC {SHOWN} EMC"
    metadata = f"/Metadata 6 0 R /Lang ({SECRET})"
    for data in (
        pdf(SHOWN, page=note),
        pdf(spoken),
        pdf(SHOWN, root=metadata, objects=[pdf_stream(SECRET, "/Type /Metadata /Subtype /XML")]),
    ):
        parsed = parse(data, "pdf")
        assert parsed.text == VISIBLE


def encrypted(algorithm: str, password: str) -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(pdf(SHOWN))))
    writer.encrypt(password, owner_password="for the owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256-R5", "AES-256"])
def test_a_file_that_opens_without_a_password_is_read(algorithm: str) -> None:
    data = encrypted(algorithm, "")
    assert VISIBLE.encode() not in data
    assert parse(data, "pdf").text == VISIBLE
    (found,) = read_documents([Source(data, "pdf")], ParseSettings(), size=1000, overlap=100)
    assert isinstance(found, Read)
    assert found.parsed.text == VISIBLE


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_file_that_asks_for_a_password_is_refused_with_that_reason(algorithm: str) -> None:
    with pytest.raises(UnreadableError, match=r"encrypted \.pdf"):
        parse(encrypted(algorithm, "for readers"), "pdf")


_CATALOG = "<< /Type /Catalog /Pages 2 0 R >>"


def pages(stream: bytes, count: int = 1) -> bytes:
    kids = " ".join(f"{5 + i} 0 R" for i in range(count))
    page = (
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R "
        "/Resources << /Font << /F1 4 0 R >> >> >>"
    )
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    tree = f"<< /Type /Pages /Kids [{kids}] /Count {count} >>"
    return pdf_objects(_CATALOG, tree, stream, font, *[page] * count)


def nest(depth: int) -> bytes:
    kids = [
        f"<< /Type /Pages /Kids [{' '.join([f'{i + 3} 0 R'] * 10)}] /Count 1000000000 >>"
        for i in range(depth)
    ]
    return pdf_objects(_CATALOG, *kids, "<< /Type /Page /MediaBox [0 0 9 9] >>")


BOMBS = {
    "70 MB in one stream": lambda: pages(pdf_deflated(b" " * 70_000_000)),
    "strings never closed": lambda: pages(pdf_deflated(b"(" * 9_000_000)),
    "arrays never closed": lambda: pages(pdf_deflated(b"[" * 9_000_000)),
    "dictionaries never closed": lambda: pages(pdf_deflated(b"<<" * 4_000_000)),
    "a stream for 4,999 pages": lambda: pages(pdf_deflated(b" " * 19_000_000), 4_999),
    "60,000 pieces of a line": lambda: pages(
        pdf_deflated(b"BT /F1 12 Tf 9 9 Td " + b"(ab) Tj " * 60_000 + b"ET")
    ),
    "5,001 pages": lambda: pages(pdf_deflated(SHOWN.encode()), 5_001),
    "pages in a circle": lambda: pdf_objects(
        _CATALOG, "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"
    ),
    "a tree of a billion pages": lambda: nest(12),
    "a count of pages that are not there": lambda: pdf_objects(
        _CATALOG, "<< /Type /Pages /Kids [] /Count 99999999999 >>"
    ),
    "a million objects without a table": lambda: b"%PDF-1.4\n" + b"1 0 obj\n" * 500_000,
    "a form that draws itself": lambda: pdf(
        f"{SHOWN}/X Do",
        objects=[
            pdf_stream(
                "/X Do /X Do",
                "/Type /XObject /Subtype /Form /BBox [0 0 9 9] "
                "/Resources << /XObject << /X 6 0 R >> >>",
            )
        ],
        resources="/XObject << /X 6 0 R >>",
    ),
    "percent signs": lambda: b"%PDF-1.4\n" + b"%" * 5_000_000,
    "nested arrays": lambda: pdf(SHOWN).replace(b"/Type /Catalog", b"/A " + b"[" * 100_000),
    "three layers of compression": lambda: pages(
        pdf_deflated(pdf_deflated(pdf_deflated(b" " * 9_000_000)))
    ),
}


@ends
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_in_seconds(make: Callable[[], bytes]) -> None:
    (found,) = read_documents([Source(make(), "pdf")], ParseSettings(), size=1000, overlap=100)
    assert isinstance(found, Unread)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pdf(SHOWN).replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev 15"), id="wrong Prev"),
        pytest.param(
            pdf(SHOWN).replace(b"/Length 6", b"/Length 9999999996", 1), id="a wrong length"
        ),
        pytest.param(pdf("q " * 50_000 + SHOWN), id="50,000 saved states"),
    ],
)
def test_oddities_do_not_keep_the_text_from_being_read(data: bytes) -> None:
    assert VISIBLE in parse(data, "pdf").text


def test_damaged_files_are_refused_or_read_never_more() -> None:
    rng = random.Random(3)
    small = pdf_form(pdf_text(), "/BBox [0 0 612 792] /Matrix [.001 0 0 .001 0 0]")
    whole = pdf(f"{SHOWN}/X Do", objects=[small], resources="/XObject << /X 6 0 R >>")
    sources = []
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        cut = bytes(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
        sources.append(Source(cut, "pdf"))
    for found in read_documents(sources, ParseSettings(), size=1000, overlap=100):
        assert isinstance(found, Unread) or found.parsed.text.strip()
