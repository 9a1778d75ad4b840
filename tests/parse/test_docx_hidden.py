"""What of a DOCX shows is served; what its runs, styles, tables and boxes hide is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Pt, RGBColor
from docx.table import Table, _Cell

from ragguard.parse.document import parse
from tests.support.documents import (
    SECRET,
    VISIBLE,
    is_recorded,
    rezipped,
    word,
    word_run,
    word_xml,
)

_RUN = f"<w:r><w:t>{SECRET}</w:t></w:r>"


def text_fill(shade: str) -> str:
    return f"<w14:textFill><w14:solidFill>{shade}</w14:solidFill></w14:textFill>"


RUNS = {
    "hidden": "<w:vanish/>",
    "hidden, spelt out": '<w:vanish w:val="1"/>',
    "hidden paragraph separator": "<w:specVanish/>",
    "white": '<w:color w:val="FFFFFF"/>',
    "white in small letters": '<w:color w:val="ffffff"/>',
    "nearly white": '<w:color w:val="F9F9F9"/>',
    "the theme's ground": '<w:color w:val="000000" w:themeColor="background1"/>',
    "white highlighted in white": '<w:color w:val="FFFFFF"/><w:highlight w:val="white"/>',
    "white without highlight": '<w:color w:val="FFFFFF"/><w:highlight w:val="none"/>',
    "black highlighted in black": '<w:color w:val="000000"/><w:highlight w:val="black"/>',
    "black shaded in black": '<w:color w:val="000000"/><w:shd w:val="clear" w:fill="000000"/>',
    "one point": '<w:sz w:val="2"/>',
    "size 0": '<w:sz w:val="0"/>',
    "a hundredth as wide": '<w:w w:val="1"/>',
    "hidden where it is shown as a page": "<w:webHidden/>",
    "in symbols": '<w:rFonts w:ascii="Wingdings" w:hAnsi="Wingdings"/>',
    "lowered off the page": '<w:position w:val="-3000"/>',
    "no fill": "<w14:textFill><w14:noFill/></w14:textFill>",
    "filled white": text_fill('<w14:srgbClr w14:val="FFFFFF"/>'),
    "filled white by the theme": text_fill('<w14:schemeClr w14:val="bg1"/>'),
    "filled with what is transparent": text_fill(
        '<w14:srgbClr w14:val="000000"><w14:alpha w14:val="100000"/></w14:srgbClr>'
    ),
    "white over a black colour": '<w:color w:val="000000"/>'
    + text_fill('<w14:srgbClr w14:val="FFFFFF"/>'),
    "solid shading by its pattern": '<w:color w:val="000000"/>'
    '<w:shd w:val="solid" w:color="000000" w:fill="FFFFFF"/>',
    "shading of 95 per cent": '<w:color w:val="000000"/>'
    '<w:shd w:val="pct95" w:color="000000" w:fill="FFFFFF"/>',
    "the theme's text, tinted": '<w:color w:val="000000" w:themeColor="text1" w:themeTint="05"/>',
    "the theme's ground behind it": '<w:color w:val="FFFFFF"/>'
    '<w:shd w:val="clear" w:fill="000000" w:themeFill="background1"/>',
    "letters in a heap": '<w:spacing w:val="-400"/>',
    "small letters in a heap": '<w:sz w:val="10"/><w:spacing w:val="-60"/>',
    "made to fit": '<w:fitText w:val="20"/>',
}


@pytest.mark.parametrize("properties", RUNS.values(), ids=RUNS.keys())
def test_a_run_that_does_not_show_is_recorded_and_not_served(properties: str) -> None:
    parsed = parse(word_run(properties), "docx")
    assert parsed.text == VISIBLE
    assert [(h.kind, h.text) for h in parsed.hidden] == [("docx-hidden", SECRET)]


@pytest.mark.parametrize(
    "properties",
    [
        '<w:vanish w:val="0"/>', '<w:vanish w:val="false"/>', '<w:webHidden w:val="0"/>',
        '<w:sz w:val="14"/>',
        '<w:color w:val="auto"/>', '<w:color w:val="808080"/>', '<w:color w:val="nonsense"/>',
        '<w:color w:val="FFFFFF"/><w:shd w:val="clear" w:fill="000080"/>',
        '<w:color w:val="FFFFFF"/><w:highlight w:val="darkBlue"/>', '<w:sz w:val="many"/>',
        text_fill('<w14:srgbClr w14:val="102030"/>'), '<w:spacing w:val="-10"/>',
        '<w:color w:val="FFFFFF"/>' + text_fill('<w14:srgbClr w14:val="000000"/>'),
        text_fill('<w14:srgbClr w14:val="000000"><w14:alpha w14:val="20000"/></w14:srgbClr>'),
        '<w:shd w:val="pct10" w:color="000000" w:fill="FFFFFF"/>', '<w:spacing w:val="60"/>',
        '<w:color w:val="FFFFFF"/><w:shd w:val="solid" w:color="000000" w:fill="FFFFFF"/>',
        '<w:color w:val="FFFFFF" w:themeColor="text1" w:themeTint="A6"/>',
        '<w:fitText w:val="4000"/>',
    ],
)  # fmt: skip
def test_a_run_that_shows_is_served(properties: str) -> None:
    parsed = parse(word_run(properties), "docx")
    assert parsed.text == f"{VISIBLE}\n\n{SECRET}"
    assert parsed.hidden == ()


PARAGRAPHS = {
    "in a link": f'<w:hyperlink w:anchor="a"><w:r><w:rPr><w:vanish/></w:rPr><w:t>{SECRET}</w:t>'
    "</w:r></w:hyperlink>",
    "off the page in a frame": '<w:pPr><w:framePr w:x="-30000" w:y="-30000"/></w:pPr>' + _RUN,
    "off the page by indentation": '<w:pPr><w:ind w:left="-31000"/></w:pPr>' + _RUN,
    "off the page to the right": '<w:pPr><w:ind w:left="31000"/></w:pPr>' + _RUN,
    "no room on the left of the margin": '<w:pPr><w:ind w:right="31000"/></w:pPr>' + _RUN,
    "a first line off the page": '<w:pPr><w:ind w:hanging="30000"/></w:pPr>' + _RUN,
    "a frame off the page": '<w:pPr><w:framePr w:x="30000" w:y="10"/></w:pPr>' + _RUN,
    "lines of three points": '<w:pPr><w:spacing w:line="60" w:lineRule="exact"/></w:pPr>' + _RUN,
    "lines of four points": '<w:pPr><w:spacing w:line="80" w:lineRule="exact"/></w:pPr>' + _RUN,
    "a frame of a point": '<w:pPr><w:framePr w:w="20" w:h="20" w:hRule="exact"/></w:pPr>' + _RUN,
    "lines of no height": '<w:pPr><w:spacing w:line="1" w:lineRule="exact"/></w:pPr>' + _RUN,
    "black in a black paragraph": '<w:pPr><w:shd w:val="clear" w:fill="000000"/></w:pPr>'
    f'<w:r><w:rPr><w:color w:val="000000"/></w:rPr><w:t>{SECRET}</w:t></w:r>',
}


@pytest.mark.parametrize("inner", PARAGRAPHS.values(), ids=PARAGRAPHS.keys())
def test_a_paragraph_that_does_not_show_is_recorded_and_not_served(inner: str) -> None:
    parsed = parse(word_xml(inner), "docx")
    is_recorded(parsed.text, parsed.hidden)


def styled(**font: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        style = document.styles.add_style("S", WD_STYLE_TYPE.PARAGRAPH)
        for name, value in font.items():
            setattr(style.font, name, value)
        document.add_paragraph(SECRET, style="S")

    return change


def white_style(document: Document) -> None:
    styled()(document)
    document.styles["S"].font.color.rgb = RGBColor(255, 255, 255)


def inherited_style(document: Document) -> None:
    base = document.styles.add_style("B", WD_STYLE_TYPE.PARAGRAPH)
    base.font.hidden = True
    styled()(document)
    document.styles["S"].base_style = base


def character_style(document: Document) -> None:
    document.styles.add_style("S", WD_STYLE_TYPE.CHARACTER).font.hidden = True
    document.add_paragraph("").add_run(SECRET, style="S")


def hidden_in(cell: _Cell) -> None:
    cell.paragraphs[0].add_run(SECRET).font.hidden = True


def row_of(properties: str) -> Callable[[Document], Table]:
    def change(document: Document) -> Table:
        table = document.add_table(1, 1)
        table.cell(0, 0).text = SECRET
        mark = parse_xml(properties.replace(" ", f" {nsdecls('w')} ", 1))
        table.rows[0]._tr.get_or_add_trPr().append(mark)
        return table

    return change


def narrow_cell(document: Document) -> None:
    row = row_of('<w:trHeight w:val="240" w:hRule="exact"/>')(document).rows[0]._tr
    width = row.find(f"{qn('w:tc')}/{qn('w:tcPr')}/{qn('w:tcW')}")
    width.set(qn("w:w"), "10")


def table_beside_the_page(document: Document) -> None:
    table = document.add_table(1, 1)
    table.cell(0, 0).text = SECRET
    table._tbl.tblPr.append(parse_xml(f'<w:tblInd {nsdecls("w")} w:w="30000" w:type="dxa"/>'))


def shaded_cell(document: Document) -> None:
    cell = document.add_table(1, 1).cell(0, 0)
    shade = parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:fill="112233"/>')
    cell._tc.get_or_add_tcPr().append(shade)
    cell.paragraphs[0].add_run(SECRET).font.color.rgb = RGBColor(0x11, 0x22, 0x33)


CHANGES = {
    "a hidden style": styled(hidden=True),
    "a white style": white_style,
    "a tiny style": styled(size=Pt(1)),
    "an inherited style": inherited_style,
    "a style of characters": character_style,
    "a hidden cell": lambda d: hidden_in(d.add_table(1, 1).cell(0, 0)),
    "a table in a table": lambda d: hidden_in(
        d.add_table(1, 1).cell(0, 0).add_table(1, 1).cell(0, 0)
    ),
    "a hidden row": row_of("<w:hidden />"),
    "a low row": row_of('<w:trHeight w:val="1" w:hRule="exact"/>'),
    "a narrow cell": narrow_cell,
    "a table beside the page": table_beside_the_page,
    "a shaded cell": shaded_cell,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_styles_and_tables_hide_is_recorded_and_not_served(
    change: Callable[[Document], object],
) -> None:
    parsed = parse(word(change), "docx")
    is_recorded(parsed.text, parsed.hidden)


def test_a_hidden_word_does_not_take_its_paragraph_along() -> None:
    inner = (
        f"<w:r><w:t>{VISIBLE}</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>{SECRET}</w:t></w:r>"
        f'<w:hyperlink w:anchor="a"><w:r><w:t> See there.</w:t></w:r></w:hyperlink>'
    )
    parsed = parse(word_xml(inner), "docx")
    assert parsed.text.endswith(f"{VISIBLE} See there.")
    assert [h.text for h in parsed.hidden] == [SECRET]


THEME = (
    '<a:theme xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:themeElements>'
    '<a:clrScheme name="x"><a:lt1><a:sysClr val="window" lastClr="FFFFFF"/></a:lt1>'
    '<a:accent1><a:srgbClr val="FEFEFE"/></a:accent1></a:clrScheme></a:themeElements></a:theme>'
)


def themed(data: bytes) -> bytes:
    """A DOCX whose theme has a white accent."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/theme"
    new = f'<Relationship Id="rT" Type="{kind}" Target="theme/own.xml"/></Relationships>'

    def change(name: str, content: bytes) -> bytes | None:
        if name == "word/_rels/document.xml.rels":
            parts = content.decode().split("<Relationship ")
            kept = "<Relationship ".join(p for p in parts if "/theme" not in p)
            return (kept.replace("</Relationships>", "") + new).encode()
        return None if name.startswith("word/theme") else content

    return rezipped(data, change, {"word/theme/own.xml": THEME.encode()})


def test_a_colour_of_the_theme_is_the_one_that_the_theme_has() -> None:
    accent = '<w:color w:val="000000" w:themeColor="accent1"/>'
    parsed = parse(themed(word_run(accent)), "docx")
    is_recorded(parsed.text, parsed.hidden)
    assert SECRET in parse(word_run(accent), "docx").text


def box(shape: str = "", drawing: str = "", run: str = "") -> bytes:
    """A DOCX with a text box."""
    return word_xml(
        "<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>"
        f"<wp:anchor>{drawing}<wps:wsp><wps:spPr>{shape}</wps:spPr><wps:txbx><w:txbxContent>"
        f"<w:p><w:r><w:rPr>{run}</w:rPr><w:t>{SECRET}</w:t></w:r></w:p>"
        "</w:txbxContent></wps:txbx></wps:wsp></wp:anchor></w:drawing></mc:Choice>"
        "</mc:AlternateContent></w:r>"
    )


_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_DARK = f'<a:solidFill {_A}><a:srgbClr val="102040"/></a:solidFill>'


UNSEEN = {
    "hidden": box(drawing='<wp:docPr id="1" name="x" hidden="1"/>'),
    "no size": box(drawing='<wp:extent cx="9" cy="900000"/>'),
    "off the page": box(
        drawing="<wp:positionH><wp:posOffset>-90000000</wp:posOffset></wp:positionH>"
    ),
    "above it": box(
        drawing='<wp:positionV relativeFrom="page"><wp:posOffset>-9900000</wp:posOffset>'
        '</wp:positionV><wp:extent cx="3000000" cy="600000"/>'
    ),
    "beside it": box(drawing="<wp:positionH><wp:posOffset>9900000</wp:posOffset></wp:positionH>"),
    "of the colour of its box": box(_DARK, run='<w:color w:val="102040"/>'),
    "white on white": box(run='<w:color w:val="FFFFFF"/>'),
}


@pytest.mark.parametrize("data", UNSEEN.values(), ids=UNSEEN.keys())
def test_a_box_that_does_not_show_is_recorded_and_not_served(data: bytes) -> None:
    parsed = parse(data, "docx")
    is_recorded(parsed.text, parsed.hidden)


def test_white_text_in_a_dark_box_is_served() -> None:
    white = '<w:color w:val="FFFFFF"/>'
    gradient = f"<a:gradFill {_A}/>"
    for data in (box(_DARK, run=white), box(gradient, run=white), box()):
        assert SECRET in parse(data, "docx").text
