"""What of a PDF leaves ink on the page is served; what does not is recorded."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ragguard.errors import UnreadableError
from ragguard.parse.document import parse
from tests.support.documents import (
    MARK,
    SECRET,
    SHOWN,
    VISIBLE,
    pdf,
    pdf_form,
    pdf_stream,
    pdf_text,
)

_PLAIN = pdf_text()
_LAYER = f"{SHOWN}/OC /M BDC {_PLAIN} EMC"
_LAYERS = {"objects": ["<< /Type /OCG /Name (x) >>"], "resources": "/Properties << /M 6 0 R >>"}
_OUTER = pdf_form("/Y Do").replace("/Resources << ", "/Resources << /XObject << /Y 7 0 R >> ")


def drawn(content: str, *forms: str) -> bytes:
    """A PDF that draws a form by `/X Do`; what is in the form is numbered from 7."""
    return pdf(SHOWN + content, objects=forms, resources="/XObject << /X 6 0 R >>")


def second_font(stream: str, font: str, *objects: str) -> bytes:
    """A PDF whose font `/F2` is object 6; further objects are numbered from 7."""
    data = pdf(stream, objects=[font, *objects])
    return data.replace(b"/F1 5 0 R >>", b"/F1 5 0 R /F2 6 0 R >>", 1)


def group(stream: str) -> str:
    entries = "/Group << /S /Transparency /CS /DeviceGray >> /BBox [0 0 612 792]"
    return pdf_stream(stream, f"/Type /XObject /Subtype /Form {entries}")


def pattern(stream: str) -> dict[str, Any]:
    """A pattern `/P` of tiles of ten points."""
    tiles = "/PaintType 1 /TilingType 1 /BBox [0 0 10 10] /XStep 10 /YStep 10 /Resources << >>"
    return {
        "resources": "/Pattern << /P 6 0 R >>",
        "objects": [pdf_stream(stream, f"/Type /Pattern /PatternType 1 {tiles}")],
    }


def image(pixels: str, wide: int, high: int) -> dict[str, Any]:
    """A picture in shades of gray, drawn by `/I Do`."""
    size = f"/Width {wide} /Height {high} /BitsPerComponent 8 /ColorSpace /DeviceGray"
    return {
        "resources": "/XObject << /I 6 0 R >>",
        "objects": [pdf_stream(pixels, f"/Type /XObject /Subtype /Image {size}")],
    }


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
    "a form in mode 3": drawn("/X Do", pdf_form(pdf_text(state="3 Tr"))),
    "a form that inherits mode 3": drawn("3 Tr /X Do", pdf_form(_PLAIN)),
    "a form with an empty box": drawn("/X Do", pdf_form(_PLAIN, "/BBox [0 0 0 0]")),
    "a form made small": drawn(
        "/X Do", pdf_form(_PLAIN, "/BBox [0 0 612 792] /Matrix [.001 0 0 .001 0 0]")
    ),
    "a form in a small place": drawn("q .001 0 0 .001 99 99 cm /X Do Q", pdf_form(_PLAIN)),
}


_COVER = "1 g 60 590 400 30 re f "
_EMPTY_FONT = (
    "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1 1] /FontMatrix [.001 0 0 .001 0 0] "
    f"/CharProcs << /e 7 0 R >> /Encoding << /Differences [32 {'/e ' * 95}] >> "
    f"/FirstChar 32 /LastChar 126 /Widths [{'500 ' * 95}] /Resources << >> /ToUnicode 8 0 R >>"
)
_AS_SAID = "begincmap 1 begincodespacerange <00> <FF> endcodespacerange "
_AS_SAID += "1 beginbfrange <20> <7E> <0020> endbfrange endcmap"
HIDDEN |= {
    "painted over": pdf(SHOWN + _PLAIN + _COVER),
    "painted over but for its feet": pdf(f"{SHOWN}{_PLAIN}1 g 60 601 400 30 re f"),
    "under a picture": pdf(
        f"{SHOWN}{_PLAIN}q 400 0 0 30 60 590 cm /I Do Q",
        **image("\xff", 1, 1),
    ),
    "under an annotation": pdf(
        SHOWN + _PLAIN,
        page="/Annots [<< /Type /Annot /Subtype /Square /Rect [60 590 460 630] /F 4 "
        "/AP << /N 6 0 R >> >>]",
        objects=[pdf_stream("1 g 0 0 400 40 re f", "/Subtype /Form /BBox [0 0 400 40]")],
    ),
    "a sliver of it": pdf(f"{SHOWN}q 0 603 612 1 re W n {_PLAIN} Q"),
    "white, Lab": pdf(
        SHOWN + pdf_text(state="/C cs 100 0 0 sc"),
        resources="/ColorSpace << /C [/Lab << /WhitePoint [.95 1 1.09] >>] >>",
    ),
    "white, by pattern": pdf(
        f"{SHOWN}/Pattern cs /P scn {_PLAIN}", **pattern("1 g 0 0 10 10 re f")
    ),
    "nothing, by pattern": pdf(f"{SHOWN}/Pattern cs /P scn {_PLAIN}", **pattern("q Q")),
    "nearly white, again": pdf(SHOWN + pdf_text(state=".92 g")),
    "pale yellow": pdf(SHOWN + pdf_text(state="1 1 .8 rg")),
    "nearly black on black": pdf(f"{SHOWN}0 g 60 590 400 30 re f {pdf_text(state='.06 g')}"),
    "screened": pdf(f"{SHOWN}/G gs {_PLAIN}", resources="/ExtGState << /G << /BM /Screen >> >>"),
    "masked": pdf(
        f"{SHOWN}/G gs {_PLAIN}",
        resources="/ExtGState << /G << /SMask << /S /Luminosity /G 6 0 R >> >> >>",
        objects=[group("0 g 0 0 612 792 re f")],
    ),
    "a font without shapes": second_font(
        f"{SHOWN}BT /F2 12 Tf 72 600 Td ({SECRET}) Tj ET",
        _EMPTY_FONT,
        pdf_stream("500 0 d0"),
        pdf_stream(_AS_SAID),
    ),
    "white between black dots": pdf(
        f"{SHOWN}0 g 60 590 2 2 re 400 620 2 2 re f {pdf_text(state='1 g')}"
    ),
    "white on text": pdf(SHOWN + pdf_text(state="1 g", at="72 700 Td")),
    "white on text, a bit lower": pdf(SHOWN + pdf_text(state="1 g", at="72 696 Td")),
    "no ink on text": pdf(SHOWN + pdf_text(state="3 Tr", at="72 700 Td")),
    "overprinted": pdf(
        SHOWN
        + "".join(
            pdf_text(t)
            for t in (SECRET, "Quite another line it is here.", "A third one that stands here.")
        )
    ),
    "letters in a heap": pdf(SHOWN + pdf_text(state="-6.5 Tc")),
    "white in a form in a form": drawn("/X Do", _OUTER, pdf_form(pdf_text(state="1 g"))),
    "white on a turned page": pdf(SHOWN + pdf_text(state="1 g"), page="/Rotate 90"),
    "a rule where it is": pdf(f"{SHOWN}0 g 60 603 400 1 re f {pdf_text(state='3 Tr')}"),
    "a bar where it is": pdf(f"{SHOWN}0 g 60 590 400 30 re f {pdf_text(state='3 Tr')}"),
    "cells of a table": pdf(
        f"{SHOWN}60 595 400 20 re 100 595 50 20 re 150 595 90 20 re S {pdf_text(state='3 Tr')}"
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
        **image("\x00", 1, 1),
    ),
    "white filled, black outlines": pdf(SHOWN + pdf_text(state="1 Tr 1 g 0 G")),
    "after something invisible": pdf(f"{SHOWN}q 3 Tr Q {_PLAIN}"),
    "after something white": pdf(f"{SHOWN}q 1 g 0 0 9 9 re f Q {_PLAIN}"),
    "after a form in mode 3": drawn(f"/X Do {_PLAIN}", pdf_form("3 Tr")),
    "turned upwards": pdf(f"{SHOWN}BT /F1 12 Tf 0 1 -1 0 72 200 Tm ({SECRET}) Tj ET"),
    "mirrored page": pdf(f"{SHOWN}q 1 0 0 -1 0 792 cm {_PLAIN} Q"),
    "in a form": drawn("/X Do", pdf_form(_PLAIN)),
    "inside a clip": pdf(f"{SHOWN}q 0 500 612 200 re W n {_PLAIN} Q"),
    "a layer that is on": pdf(_LAYER, root="/OCProperties << /OCGs [6 0 R] /D << >> >>", **_LAYERS),
    "full ink of a spot colour": pdf(
        SHOWN + pdf_text(state="/C cs 1 scn"),
        resources="/ColorSpace << /C [/Separation /Spot /DeviceRGB 6 0 R] >>",
        objects=["<< /FunctionType 2 /Domain [0 1] /N 1 /C0 [1 1 1] /C1 [0 0 0] >>"],
    ),
    "small print": pdf(SHOWN + pdf_text(size=5)),
    "gray": pdf(SHOWN + pdf_text(state=".6 g")),
    "malformed operators around it": pdf(f"{SHOWN}(x) Tr 9 Tr Q Q EMC /N Do {_PLAIN}"),
}


SEEN |= {
    "a frame as one path": pdf(f"{SHOWN}0 g 60 590 400 30 re 61 591 398 28 re f* {_PLAIN}"),
    "a frame of rules": pdf(
        f"{SHOWN}0 g 60 590 400 1 re 60 620 400 1 re 60 590 1 30 re 459 590 1 30 re f {_PLAIN}"
    ),
    "an angle": pdf(f"{SHOWN}60 580 m 460 580 l 460 585 l 65 585 l 65 640 l 60 640 l f {_PLAIN}"),
    "underlined, marked and struck": pdf(
        f"{SHOWN}1 1 0 rg 70 597 200 14 re f 0 g {_PLAIN}72 598.5 200 .5 re 72 603 200 .5 re f"
    ),
    "on a watermark": pdf(f"{SHOWN}{pdf_text('i', state='.85 g', size=200)}0 g {_PLAIN}"),
    "bold by drawing twice": pdf(SHOWN + _PLAIN + pdf_text(at="72.3 600 Td")),
    "close lines": pdf(f"{SHOWN}BT /F1 12 Tf 9 TL 72 600 Td ({SECRET}) Tj T* (g j y p) Tj ET"),
    "letter by letter": pdf(
        f"{SHOWN}BT /F1 12 Tf 72 600 Td {' '.join(f'({c}) Tj' for c in SECRET)} ET"
    ),
    "light gray": pdf(SHOWN + pdf_text(state=".8 g")),
    "yellow on dark": pdf(f"{SHOWN}0 g 60 590 400 30 re f {pdf_text(state='1 1 0 rg')}"),
    "outlines alone": pdf(SHOWN + pdf_text(state="1 Tr .4 w", size=14)),
    "slanting": pdf(f"{SHOWN}BT /F1 12 Tf .7 .7 -.7 .7 72 200 Tm ({SECRET}) Tj ET"),
    "a page turned left": pdf(SHOWN + _PLAIN, page="/Rotate 270"),
    "a page turned and cropped": pdf(SHOWN + _PLAIN, page="/Rotate 90 /CropBox [50 500 600 760]"),
    "an origin elsewhere": pdf(SHOWN + _PLAIN).replace(b"[0 0 612 792]", b"[-99 -99 500 750]"),
    "a poster": pdf(SHOWN + _PLAIN).replace(b"[0 0 612 792]", b"[0 0 9000 9000]"),
    "a form drawn in a form": drawn("/X Do", _OUTER, pdf_form(_PLAIN)),
    "multiplied": pdf(
        f"{SHOWN}/G gs {_PLAIN}", resources="/ExtGState << /G << /BM /Multiply >> >>"
    ),
}


@pytest.mark.parametrize("data", SEEN.values(), ids=SEEN.keys())
def test_text_that_shows_is_served(data: bytes) -> None:
    parsed = parse(data, "pdf")
    assert VISIBLE in parsed.text
    assert SECRET in parsed.text
    assert parsed.hidden == ()


def scan(*lines: tuple[float, float, str], scale: int = 3) -> dict[str, Any]:
    """A scanned page: letters as marks of the size that Helvetica has, without any text."""
    wide, high = 612 * scale, 792 * scale
    rows = [bytearray(b"\xff" * wide) for _ in range(high)]
    for x, y, line in lines:
        for letter in line:
            step = 3.3 if letter in " .iltfj" else 6.7
            if letter != " ":
                for row in range(round((792 - y - 8.5) * scale), round((792 - y) * scale)):
                    for at in (x + 0.8, x + step - 2):  # two stems
                        rows[row][round(at * scale) : round(at * scale) + 3] = b"\x20\x20\x20"
            x += step
    return image(b"".join(rows).decode("latin-1"), wide, high)


_PAGE = "q 612 0 0 792 0 0 cm /I Do Q "
_RECOGNISED = pdf_text(VISIBLE, state="3 Tr", at="72 700 Td")


def test_a_scanned_page_is_read_by_its_recognised_text() -> None:
    parsed = parse(pdf(_PAGE + _RECOGNISED, **scan((72, 700, VISIBLE))), "pdf")
    assert (parsed.text, parsed.hidden) == (VISIBLE, ())


def test_a_scan_serves_no_text_where_it_has_no_words() -> None:
    data = pdf(_PAGE + _RECOGNISED + pdf_text(state="3 Tr"), **scan((72, 700, VISIBLE)))
    parsed = parse(data, "pdf")
    assert parsed.text == VISIBLE
    assert [h.text for h in parsed.hidden] == [SECRET]


_RNG = random.Random(1)
NO_SCANS = {
    "no picture": pdf(_RECOGNISED),
    "one pixel": pdf(_PAGE + _RECOGNISED, **image("\xff", 1, 1)),
    "one dark pixel": pdf(_PAGE + _RECOGNISED, **image("\x00", 1, 1)),
    "a pixel inline": pdf("BI /W 1 /H 1 /BPC 8 /CS /G ID \x00 EI " + _RECOGNISED),
    "noise": pdf(
        _PAGE + _RECOGNISED,
        **image("".join(chr(_RNG.randrange(256)) for _ in range(90_000)), 300, 300),
    ),
    "stripes": pdf(_PAGE + _RECOGNISED, **image(("\x00" * 9 * 10 + "\xff" * 9 * 10) * 40, 10, 720)),
    "a rule": pdf("0 g 60 703 400 1 re f " + _RECOGNISED),
    "a bar": pdf("0 g 60 690 400 30 re f " + _RECOGNISED),
}


@pytest.mark.parametrize("data", NO_SCANS.values(), ids=NO_SCANS.keys())
def test_text_without_ink_is_no_scan_where_nothing_has_its_shape(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="no text"):
        parse(data, "pdf")


def test_a_glyph_says_no_more_than_a_ligature() -> None:
    code = SECRET.encode("utf-16-be").hex()
    mapping = pdf_stream(
        "begincmap 1 begincodespacerange <00> <FF> endcodespacerange "
        f"1 beginbfchar <41> <{code}> endbfchar endcmap"
    )
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 7 0 R >>"
    data = second_font(f"{SHOWN}BT /F2 12 Tf 72 600 Td (A) Tj ET", font, mapping)
    assert MARK not in parse(data, "pdf").text


CHINESE = "退款窗口是九十三天"


def elsewhere(state: str) -> bytes:
    """Text in a font that readers' systems have, and the file has not."""
    code = CHINESE.encode("utf-16-be").hex()
    font = "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
    return second_font(
        f"{SHOWN}BT {state} /F2 14 Tf 72 600 Td <{code}> Tj ET",
        f"{font} /DescendantFonts [7 0 R] >>",
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo "
        "<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /FontDescriptor << /Type "
        "/FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [0 -200 1000 900] "
        "/ItalicAngle 0 /Ascent 800 /Descent -200 /StemV 80 >> >>",
    )


def test_text_in_a_font_that_is_not_in_the_file_is_served_where_it_would_show() -> None:
    assert parse(elsewhere(""), "pdf").text == f"{VISIBLE}\n{CHINESE}"
    for state in ("1 g", "3 Tr"):
        parsed = parse(elsewhere(state), "pdf")
        assert parsed.text == VISIBLE
        assert [h.text for h in parsed.hidden] == [CHINESE]
