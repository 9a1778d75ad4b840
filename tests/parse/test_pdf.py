from __future__ import annotations

import io
import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.errors import DependencyError

from ragguard.config import ParseSettings
from ragguard.errors import UnreadableError
from ragguard.parse.document import parse
from ragguard.parse.workers import Read, Source, read_documents
from tests.support.documents import (
    MARK,
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

_PLAIN = pdf_text()
_LAYER = f"{SHOWN}/OC /M BDC {_PLAIN} EMC"
_LAYERS = {"objects": ["<< /Type /OCG /Name (x) >>"], "resources": "/Properties << /M 6 0 R >>"}
_FORM = "/XObject << /X 6 0 R >>"


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


HIDDEN = {
    "rendering mode 3": pdf(SHOWN + pdf_text(state="3 Tr")),
    "rendering mode 7": pdf(SHOWN + pdf_text(state="7 Tr")),
    "mode set before the text": pdf(f"{SHOWN} 3 Tr {_PLAIN}"),
    "mode set back before the text ends": pdf(
        f"{SHOWN}BT /F1 12 Tf 72 600 Td 3 Tr ({SECRET}) Tj 0 Tr ET"
    ),
    "mode in the middle of a line": pdf(
        f"BT /F1 12 Tf 72 600 Td ({VISIBLE}) Tj 3 Tr ({SECRET}) Tj 0 Tr (.) Tj ET"
    ),
    "shown as an array": pdf(f"{SHOWN}BT 3 Tr /F1 12 Tf 72 600 Td [({SECRET}) 20 (.)] TJ ET"),
    "shown on the next line": pdf(f"{SHOWN}BT 3 Tr /F1 12 Tf 72 600 Td ({SECRET}) ' ET"),
    "white, gray": pdf(SHOWN + pdf_text(state="1 g")),
    "white, RGB": pdf(SHOWN + pdf_text(state="1 1 1 rg")),
    "white, CMYK": pdf(SHOWN + pdf_text(state="0 0 0 0 k")),
    "white, by colour space": pdf(SHOWN + pdf_text(state="/DeviceRGB cs 1 1 1 scn")),
    "white, gray by colour space": pdf(SHOWN + pdf_text(state="/DeviceGray cs 1 sc")),
    "nearly white": pdf(SHOWN + pdf_text(state=".95 .95 .95 rg")),
    "white outlines": pdf(SHOWN + pdf_text(state="1 Tr 1 G")),
    "no ink of a spot colour": pdf(
        SHOWN + pdf_text(state="/C cs 0 scn"),
        resources="/ColorSpace << /C [/Separation /Spot /DeviceRGB 6 0 R] >>",
        objects=["<< /FunctionType 2 /Domain [0 1] /N 1 /C0 [1 1 1] /C1 [0 0 0] >>"],
    ),
    "black on black": pdf(f"{SHOWN}0 g 0 580 600 60 re f {_PLAIN}"),
    "a point high": pdf(SHOWN + pdf_text(size=1)),
    "size 0": pdf(SHOWN + pdf_text(size=0)),
    "negative size": pdf(SHOWN + pdf_text(size=-1)),
    "tiny by the text matrix": pdf(f"{SHOWN}BT /F1 12 Tf .01 0 0 .01 72 600 Tm ({SECRET}) Tj ET"),
    "flat by the text matrix": pdf(f"{SHOWN}BT /F1 12 Tf 1 0 0 .01 72 600 Tm ({SECRET}) Tj ET"),
    "narrow by the text matrix": pdf(f"{SHOWN}BT /F1 12 Tf .01 0 0 1 72 600 Tm ({SECRET}) Tj ET"),
    "tiny and turned": pdf(f"{SHOWN}BT /F1 12 Tf 0 .01 -.01 0 72 600 Tm ({SECRET}) Tj ET"),
    "tiny by the page matrix": pdf(f"{SHOWN}q .01 0 0 .01 0 0 cm {pdf_text(at='7200 60000 Td')} Q"),
    "stretched to nothing": pdf(SHOWN + pdf_text(state="1 Tz")),
    "size by graphics state": pdf(
        f"{SHOWN}BT /F1 12 Tf /G gs 72 600 Td ({SECRET}) Tj ET",
        resources="/ExtGState << /G << /Font [5 0 R 0.1] >> >>",
    ),
    "left of the page": pdf(SHOWN + pdf_text(at="-5000 600 Td")),
    "above the page": pdf(SHOWN + pdf_text(at="72 5000 Td")),
    "beside the page by matrix": pdf(f"{SHOWN}q 1 0 0 1 9000 0 cm {_PLAIN} Q"),
    "raised off the page": pdf(SHOWN + pdf_text(state="-5000 Ts")),
    "outside the crop box": pdf(SHOWN + pdf_text(at="72 100 Td"), page="/CropBox [0 600 612 792]"),
    "clipped": pdf(f"{SHOWN}q 0 0 1 1 re W n {_PLAIN} Q"),
    "transparent": pdf(
        SHOWN + pdf_text(state="/G gs"), resources="/ExtGState << /G << /ca .01 >> >>"
    ),
    "a layer that is off": pdf(
        _LAYER, root="/OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] >> >>", **_LAYERS
    ),
    "all layers off": pdf(
        _LAYER, root="/OCProperties << /OCGs [6 0 R] /D << /BaseState /OFF >> >>", **_LAYERS
    ),
    "a form in mode 3": pdf(
        f"{SHOWN}/X Do", objects=[pdf_form(pdf_text(state="3 Tr"))], resources=_FORM
    ),
    "a form that inherits mode 3": pdf(
        f"{SHOWN}3 Tr /X Do", objects=[pdf_form(_PLAIN)], resources=_FORM
    ),
    "a form with an empty box": pdf(
        f"{SHOWN}/X Do", objects=[pdf_form(_PLAIN, "/BBox [0 0 0 0]")], resources=_FORM
    ),
    "a form made small": pdf(
        f"{SHOWN}/X Do",
        objects=[pdf_form(_PLAIN, "/BBox [0 0 612 792] /Matrix [.001 0 0 .001 0 0]")],
        resources=_FORM,
    ),
    "a form in a small place": pdf(
        f"{SHOWN}q .001 0 0 .001 99 99 cm /X Do Q", objects=[pdf_form(_PLAIN)], resources=_FORM
    ),
}


@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN.keys())
def test_text_that_does_not_show_is_recorded_and_not_served(data: bytes) -> None:
    parsed = parse(data, "pdf")
    assert MARK not in parsed.text
    assert VISIBLE in parsed.text
    assert [MARK in h.text for h in parsed.hidden] == [True]
    assert parsed.hidden[0].kind == "pdf-invisible"
    assert VISIBLE not in parsed.hidden[0].text


SEEN = {
    "plain": pdf(SHOWN + _PLAIN),
    "white on black": pdf(f"{SHOWN}0 g 0 580 600 60 re f {pdf_text(state='1 g')}"),
    "white on an image": pdf(
        f"{SHOWN}q 600 0 0 60 0 580 cm /I Do Q {pdf_text(state='1 g')}",
        resources="/XObject << /I 6 0 R >>",
        objects=[
            pdf_stream(
                "\x00",
                "/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 "
                "/ColorSpace /DeviceGray",
            )
        ],
    ),
    "white filled, black outlines": pdf(SHOWN + pdf_text(state="1 Tr 1 g 0 G")),
    "after something invisible": pdf(f"{SHOWN}q 3 Tr Q {_PLAIN}"),
    "after something white": pdf(f"{SHOWN}q 1 g 0 0 9 9 re f Q {_PLAIN}"),
    "after a form in mode 3": pdf(
        f"{SHOWN}/X Do {_PLAIN}", objects=[pdf_form("3 Tr")], resources=_FORM
    ),
    "turned upwards": pdf(f"{SHOWN}BT /F1 12 Tf 0 1 -1 0 72 200 Tm ({SECRET}) Tj ET"),
    "mirrored page": pdf(f"{SHOWN}q 1 0 0 -1 0 792 cm {_PLAIN} Q"),
    "in a form": pdf(f"{SHOWN}/X Do", objects=[pdf_form(_PLAIN)], resources=_FORM),
    "inside a clip": pdf(f"{SHOWN}q 0 500 612 200 re W n {_PLAIN} Q"),
    "a layer that is on": pdf(_LAYER, root="/OCProperties << /OCGs [6 0 R] /D << >> >>", **_LAYERS),
    "full ink of a spot colour": pdf(
        SHOWN + pdf_text(state="/C cs 1 scn"),
        resources="/ColorSpace << /C [/Separation /Spot /DeviceRGB 6 0 R] >>",
        objects=["<< /FunctionType 2 /Domain [0 1] /N 1 /C0 [1 1 1] /C1 [0 0 0] >>"],
    ),
    "small print": pdf(SHOWN + pdf_text(size=5)),
    "gray": pdf(SHOWN + pdf_text(state=".6 g")),
    "malformed operators around it": pdf(f"{SHOWN}(x) Tr /a g 1 cm Q Q EMC /N Do {_PLAIN}"),
}


@pytest.mark.parametrize("data", SEEN.values(), ids=SEEN.keys())
def test_text_that_shows_is_served(data: bytes) -> None:
    parsed = parse(data, "pdf")
    assert VISIBLE in parsed.text
    assert SECRET in parsed.text
    assert parsed.hidden == ()


_IMAGE = pdf_stream(
    "\x00",
    "/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray",
)
_SCAN = "q 612 0 0 792 0 0 cm /I Do Q "


def test_a_scanned_page_is_read_by_its_recognised_text() -> None:
    recognised = pdf_text(VISIBLE, state="3 Tr")
    image = {"resources": "/XObject << /I 6 0 R >>", "objects": [_IMAGE]}
    parsed = parse(pdf(_SCAN + recognised, **image), "pdf")
    assert (parsed.text, parsed.hidden) == (VISIBLE, ())
    inline = "BI /W 1 /H 1 /BPC 8 /CS /G ID \x00 EI "
    assert parse(pdf(inline + recognised), "pdf").text == VISIBLE


def test_a_page_of_invisible_text_without_an_image_is_no_scan() -> None:
    with pytest.raises(UnreadableError, match="no text"):
        parse(pdf(pdf_text(state="3 Tr")), "pdf")
    image = {"resources": "/XObject << /I 6 0 R >>", "objects": [_IMAGE]}
    with pytest.raises(UnreadableError, match="no text"):
        parse(pdf(_SCAN + pdf_text(state="1 Tz"), **image), "pdf")


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


@pytest.mark.xfail(strict=True, reason="only what was painted before a text is compared with it")
def test_text_that_is_painted_over_is_not_served() -> None:
    assert MARK not in parse(pdf(f"{SHOWN}{_PLAIN}1 g 0 580 600 60 re f"), "pdf").text


@pytest.mark.xfail(strict=True, reason="the shape of a glyph is not compared with its character")
def test_a_font_cannot_show_one_text_and_say_another() -> None:
    code = SECRET.encode("utf-16-be").hex()
    mapping = pdf_stream(
        "begincmap 1 begincodespacerange <00> <FF> endcodespacerange "
        f"1 beginbfchar <41> <{code}> endbfchar endcmap"
    )
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 7 0 R >>"
    data = pdf(f"{SHOWN}BT /F2 12 Tf 72 600 Td (A) Tj ET", objects=[font, mapping])
    data = data.replace(b"/F1 5 0 R >>", b"/F1 5 0 R /F2 6 0 R >>", 1)
    assert MARK not in parse(data, "pdf").text


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


def test_a_file_whose_cipher_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DependencyError("no cipher")

    monkeypatch.setattr(PdfReader, "decrypt", fail)
    with pytest.raises(UnreadableError, match="DependencyError"):
        parse(encrypted("AES-128", ""), "pdf")


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
    "percent signs": lambda: b"%PDF-1.4\n" + b"%" * 5_000_000,
    "nested arrays": lambda: pdf(SHOWN).replace(b"/Type /Catalog", b"/A " + b"[" * 100_000),
    "three layers of compression": lambda: pages(
        pdf_deflated(pdf_deflated(pdf_deflated(b" " * 9_000_000)))
    ),
}


@ends
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_in_seconds(make: Callable[[], bytes]) -> None:
    data = make()
    with pytest.raises(UnreadableError):
        parse(data, "pdf")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            pdf(
                f"{SHOWN}/X Do",
                objects=[
                    pdf_stream(
                        "/X Do /X Do",
                        "/Type /XObject /Subtype /Form /BBox [0 0 9 9] "
                        "/Resources << /XObject << /X 6 0 R >> >>",
                    )
                ],
                resources=_FORM,
            ),
            id="a form that draws itself",
        ),
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
    whole = HIDDEN["a form made small"]
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        cut = bytes(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
        with suppress(UnreadableError):
            assert parse(cut, "pdf").text.strip()
