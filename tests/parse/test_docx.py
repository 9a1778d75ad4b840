from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Pt, RGBColor

from ragguard.errors import UnreadableError
from ragguard.parse.document import parse
from ragguard.parse.docx import MAX_XML
from tests.support.documents import MARK, SECRET, VISIBLE, repacked, word, word_run, word_xml
from tests.support.hanging import ends

_RUN = f"<w:r><w:t>{SECRET}</w:t></w:r>"


def test_headings_paragraphs_and_tables_keep_their_structure() -> None:
    def change(document: Document) -> None:
        document.add_heading("Pumps", 1)
        document.add_paragraph("First line\nsecond\tline.")
        table = document.add_table(2, 2)
        for cell, text in zip(
            [c for row in table.rows for c in row.cells], ["a", "b", "1", "2"], strict=True
        ):
            cell.text = text
        document.add_heading("Valves", 2)

    parsed = parse(word(change), "docx")
    assert parsed.text == (
        f"{VISIBLE}\n\n# Pumps\n\nFirst line\nsecond\tline.\n\na | b\n1 | 2\n\n## Valves"
    )
    assert parsed.hidden == ()


def test_a_cell_over_two_columns_is_read_once() -> None:
    def change(document: Document) -> None:
        table = document.add_table(1, 3)
        table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
        table.cell(0, 2).text = "narrow"

    assert parse(word(change), "docx").text == f"{VISIBLE}\n\nwide | narrow"


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
    assert parsed.text == VISIBLE
    assert [h.text for h in parsed.hidden] == [SECRET]


def paragraph_style(document: Document) -> None:
    document.styles.add_style("S", WD_STYLE_TYPE.PARAGRAPH).font.hidden = True
    document.add_paragraph(SECRET, style="S")


def white_style(document: Document) -> None:
    style = document.styles.add_style("S", WD_STYLE_TYPE.PARAGRAPH)
    style.font.color.rgb = RGBColor(255, 255, 255)
    document.add_paragraph(SECRET, style="S")


def tiny_style(document: Document) -> None:
    document.styles.add_style("S", WD_STYLE_TYPE.PARAGRAPH).font.size = Pt(1)
    document.add_paragraph(SECRET, style="S")


def inherited_style(document: Document) -> None:
    base = document.styles.add_style("B", WD_STYLE_TYPE.PARAGRAPH)
    base.font.hidden = True
    document.styles.add_style("S", WD_STYLE_TYPE.PARAGRAPH).base_style = base
    document.add_paragraph(SECRET, style="S")


def character_style(document: Document) -> None:
    document.styles.add_style("S", WD_STYLE_TYPE.CHARACTER).font.hidden = True
    document.add_paragraph("").add_run(SECRET, style="S")


def hidden_cell(document: Document) -> None:
    paragraph = document.add_table(1, 1).cell(0, 0).paragraphs[0]
    paragraph.add_run(SECRET).font.hidden = True


def table_in_a_table(document: Document) -> None:
    inner = document.add_table(1, 1).cell(0, 0).add_table(1, 1)
    inner.cell(0, 0).paragraphs[0].add_run(SECRET).font.hidden = True


def hidden_row(document: Document) -> None:
    table = document.add_table(1, 1)
    table.cell(0, 0).text = SECRET
    mark = parse_xml(f"<w:hidden {nsdecls('w')}/>")
    table.rows[0]._tr.get_or_add_trPr().append(mark)


def low_row(document: Document) -> None:
    table = document.add_table(1, 1)
    table.cell(0, 0).text = SECRET
    height = parse_xml(f'<w:trHeight {nsdecls("w")} w:val="1" w:hRule="exact"/>')
    table.rows[0]._tr.get_or_add_trPr().append(height)


def narrow_cell(document: Document) -> None:
    low_row(document)
    row = document.tables[0].rows[0]._tr
    row.find(f"{qn('w:trPr')}/{qn('w:trHeight')}").set(qn("w:val"), "240")
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


@pytest.mark.parametrize(
    "change",
    [
        paragraph_style,
        white_style,
        tiny_style,
        inherited_style,
        character_style,
        hidden_cell,
        low_row,
        narrow_cell,
        table_beside_the_page,
        table_in_a_table,
        hidden_row,
        shaded_cell,
    ],
)
def test_what_styles_and_tables_hide_is_recorded_and_not_served(
    change: Callable[[Document], None],
) -> None:
    parsed = parse(word(change), "docx")
    assert MARK not in parsed.text
    assert VISIBLE in parsed.text
    assert [h.text for h in parsed.hidden] == [SECRET]


def test_a_hidden_word_does_not_take_its_paragraph_along() -> None:
    inner = (
        f"<w:r><w:t>{VISIBLE}</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>{SECRET}</w:t></w:r>"
        f'<w:hyperlink w:anchor="a"><w:r><w:t> See there.</w:t></w:r></w:hyperlink>'
    )
    parsed = parse(word_xml(inner), "docx")
    assert parsed.text.endswith(f"{VISIBLE} See there.")
    assert [h.text for h in parsed.hidden] == [SECRET]


def test_styles_that_are_based_on_each_other_are_read() -> None:
    def change(document: Document) -> None:
        one = document.styles.add_style("One", WD_STYLE_TYPE.PARAGRAPH)
        two = document.styles.add_style("Two", WD_STYLE_TYPE.PARAGRAPH)
        one.base_style, two.base_style = two, one
        document.add_paragraph("In a circle.", style="One")

    assert "In a circle." in parse(word(change), "docx").text


_BOX = (
    '<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx><w:txbxContent>'
    f"<w:p>{_RUN}</w:p></w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict>"
    f"<w:txbxContent><w:p>{_RUN}</w:p></w:txbxContent></w:pict></mc:Fallback>"
    "</mc:AlternateContent></w:r>"
)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(word_xml(f'<w:ins w:id="1" w:author="a">{_RUN}</w:ins>'), id="inserted"),
        pytest.param(
            word_xml(f"<w:sdt><w:sdtContent>{_RUN}</w:sdtContent></w:sdt>"), id="a content control"
        ),
        pytest.param(
            word_xml(f"<w:sdtContent><w:p>{_RUN}</w:p></w:sdtContent>", "w:sdt"),
            id="a control around a paragraph",
        ),
        pytest.param(word_xml(_BOX), id="a text box"),
        pytest.param(
            word_xml("<w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>" + _RUN), id="a hidden mark only"
        ),
    ],
)
def test_text_that_shows_in_an_unusual_place_is_served_once(data: bytes) -> None:
    parsed = parse(data, "docx")
    assert parsed.text.count(SECRET) == 1
    assert VISIBLE in parsed.text
    assert parsed.hidden == ()


_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"


def math(inner: str) -> bytes:
    """A DOCX with an equation."""
    return word_xml(f'<m:oMath xmlns:m="{_MATH}">{inner}</m:oMath><w:r><w:t> liters.</w:t></w:r>')


def term(text: str, properties: str = "") -> str:
    return f"<m:r>{properties}<m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (term("V=abc"), "V=abc"),
        (f"<m:f><m:num>{term('1')}</m:num><m:den>{term('2')}</m:den></m:f>", "1/2"),
        (f"<m:sSup><m:e>{term('x')}</m:e><m:sup>{term('2')}</m:sup></m:sSup>", "x^2"),
        (f"<m:sSub><m:e>{term('a')}</m:e><m:sub>{term('1')}</m:sub></m:sSub>", "a_1"),
        (f"<m:rad><m:deg/><m:e>{term('9')}</m:e></m:rad>", "9"),
    ],
)
def test_equations_are_served(inner: str, text: str) -> None:
    parsed = parse(math(inner), "docx")
    assert parsed.text == f"{VISIBLE}\n\n{text} liters."
    assert parsed.hidden == ()


def test_what_an_equation_hides_is_not_served() -> None:
    hidden = term(SECRET, "<w:rPr><w:vanish/></w:rPr>")
    parsed = parse(
        math(term("x") + hidden + f"<m:phant><m:e>{term(SECRET)}</m:e></m:phant>"), "docx"
    )
    assert parsed.text == f"{VISIBLE}\n\nx liters."
    assert [h.text for h in parsed.hidden] == [SECRET]


def test_the_base_of_ruby_is_served_and_its_reading_is_not() -> None:
    run = "<w:r>{}<w:t>{}</w:t></w:r>"
    base = run.format("", "東京") + run.format("<w:rPr><w:vanish/></w:rPr>", SECRET)
    inner = (
        f"<w:r><w:ruby><w:rt>{run.format('', 'とうきょう')}</w:rt>"
        f"<w:rubyBase>{base}</w:rubyBase></w:ruby></w:r>"
    )
    parsed = parse(word_xml(run.format("", "In ") + inner + run.format("", " only.")), "docx")
    assert parsed.text == f"{VISIBLE}\n\nIn 東京 only."
    assert [h.text for h in parsed.hidden] == [SECRET]


def header(document: Document) -> None:
    document.sections[0].header.paragraphs[0].text = SECRET


def comment(document: Document) -> None:
    document.add_comment(document.add_paragraph("x").runs, text=SECRET)


def property_(document: Document) -> None:
    document.core_properties.comments = SECRET


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            word_xml(
                f'<w:del w:id="1" w:author="a"><w:r><w:delText>{SECRET}</w:delText></w:r></w:del>'
            ),
            id="deleted",
        ),
        pytest.param(word_xml(f'<w:del w:id="1" w:author="a">{_RUN}</w:del>'), id="deleted run"),
        pytest.param(
            word_xml(f'<w:moveFrom w:id="1" w:author="a">{_RUN}</w:moveFrom>'), id="moved"
        ),
        pytest.param(word_xml(f"<w:r><w:instrText>{SECRET}</w:instrText></w:r>"), id="a field"),
        pytest.param(
            word_xml(
                '<w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" '
                f'descr="{SECRET}"/></wp:inline></w:drawing></w:r>'
            ),
            id="an alternative text",
        ),
        pytest.param(word(header), id="a header"),
        pytest.param(word(comment), id="a comment"),
        pytest.param(word(property_), id="a property"),
    ],
)
def test_what_is_no_text_of_the_body_is_not_served(data: bytes) -> None:
    parsed = parse(data, "docx")
    assert VISIBLE in parsed.text
    assert MARK not in parsed.text


# --- strict files ---------------------------------------------------------------------------------


def strict(data: bytes) -> bytes:
    """A file as Word saves it as Strict Open XML."""
    usual = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            content = content.replace(usual, b"http://purl.oclc.org/ooxml/wordprocessingml/main")
            content = content.replace(
                office, b"http://purl.oclc.org/ooxml/officeDocument/relationships/"
            )
            archive.writestr(name, content)
    return out.getvalue()


def test_a_strict_file_is_read() -> None:
    def change(document: Document) -> None:
        document.add_heading("Pumps", 1)
        document.add_table(1, 1).cell(0, 0).text = "cell"

    assert parse(strict(word(change)), "docx") == parse(word(change), "docx")


@pytest.mark.parametrize(
    "properties",
    ["<w:vanish/>", '<w:sz w:val="1pt"/>', '<w:sz w:val="0.2mm"/>', '<w:position w:val="-9in"/>',
     '<w:w w:val="1%"/>'],
)  # fmt: skip
def test_what_a_strict_file_hides_is_recorded_and_not_served(properties: str) -> None:
    parsed = parse(strict(word_run(properties)), "docx")
    assert parsed.text == VISIBLE
    assert [h.text for h in parsed.hidden] == [SECRET]


def test_a_file_without_styles_has_titles() -> None:
    data = word(lambda document: document.add_heading("Pumps", 2))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as archive:
        for name in old.namelist():
            if name not in ("word/styles.xml", "word/_rels/document.xml.rels"):
                archive.writestr(name, old.read(name))
    assert parse(out.getvalue(), "docx").text == f"{VISIBLE}\n\n## Pumps"


# --- damage and bombs -----------------------------------------------------------------------------

_BODY = (
    '<?xml version="1.0"?>{doctype}<w:document xmlns:w="http://schemas.openxmlformats.org/'
    'wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'
)


@ends
def test_entities_are_neither_expanded_nor_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    outside = f'<!DOCTYPE d [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    laughs = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    inside = f'<!DOCTYPE d [<!ENTITY a0 "{SECRET}">{laughs}]>'
    for doctype, entity in ((outside, "&e;"), (inside, "&a12;"), (inside, "&a0;")):
        body = _BODY.format(doctype=doctype, text=f"{VISIBLE} {entity}").encode()
        with suppress(UnreadableError):
            parsed = parse(repacked(word(), word__document=body), "docx")
            assert MARK not in parsed.text
            assert len(parsed.text) < 200


def many_members() -> bytes:
    return repacked(word(), **{f"x{i}": b"<x/>" for i in range(10_001)})


BAD = {
    "no archive": lambda: b"plain text, no archive",
    "empty": lambda: b"",
    "another archive": lambda: repacked(word(), word__document=b"")[:50],
    "truncated": lambda: word()[:-3_000],
    "no body": lambda: repacked(word(), word__document=b"<w:document/>"),
    "no XML": lambda: repacked(word(), word__document=b"\x00\x01"),
    "another root": lambda: repacked(word(), word__document=b"<html><body>x</body></html>"),
    "50 MB of XML in 50 kB": lambda: repacked(
        word(), word__document=_BODY.format(doctype="", text="x" * (MAX_XML + 1)).encode()
    ),
    "300 MB of anything": lambda: repacked(word(), extra=b"\x00" * 201_000_000),
    "10,001 members": many_members,
    "100,000 nested paragraphs": lambda: repacked(
        word(), word__document=_BODY.format(doctype="", text="<w:p>" * 100_000).encode()
    ),
    "no text": lambda: word(lambda d: [p._p.getparent().remove(p._p) for p in d.paragraphs]),
    "all hidden by default": lambda: word(
        lambda d: d.styles.element.find(f".//{qn('w:rPrDefault')}/{qn('w:rPr')}").append(
            parse_xml(f"<w:vanish {nsdecls('w')}/>")
        )
    ),
}


@ends
@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_damaged_and_oversized_files_are_refused_in_seconds(make: Callable[[], bytes]) -> None:
    data = make()
    with pytest.raises(UnreadableError):
        parse(data, "docx")


def test_a_deep_but_legal_nesting_of_tables_is_read() -> None:
    def change(document: Document) -> None:
        table = document.add_table(1, 1)
        for _ in range(12):
            table = table.cell(0, 0).add_table(1, 1)
        table.cell(0, 0).text = "innermost"

    assert parse(word(change), "docx").text.count("innermost") == 1


def test_files_with_wrong_bytes_are_refused_or_read_never_more() -> None:
    rng = random.Random(4)
    whole = word_run("<w:vanish/>")
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with suppress(UnreadableError):
            assert parse(bytes(data), "docx").text.strip()


THEME = (
    '<a:theme xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:themeElements>'
    '<a:clrScheme name="x"><a:lt1><a:sysClr val="window" lastClr="FFFFFF"/></a:lt1>'
    '<a:accent1><a:srgbClr val="FEFEFE"/></a:accent1></a:clrScheme></a:themeElements></a:theme>'
)


def themed(data: bytes) -> bytes:
    """A DOCX whose theme has a white accent."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        listed = archive.read("word/_rels/document.xml.rels")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/theme"
    new = f'<Relationship Id="rT" Type="{kind}" Target="theme/own.xml"/></Relationships>'
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", 8) as archive:
        for name in old.namelist():
            if name.startswith("word/theme"):
                continue
            if name == "word/_rels/document.xml.rels":
                parts = listed.decode().split("<Relationship ")
                kept = "<Relationship ".join(p for p in parts if "/theme" not in p)
                body = kept.replace("</Relationships>", "") + new
                archive.writestr(name, body)
            else:
                archive.writestr(name, old.read(name))
        archive.writestr("word/theme/own.xml", THEME)
    return out.getvalue()


def test_a_colour_of_the_theme_is_the_one_that_the_theme_has() -> None:
    accent = '<w:color w:val="000000" w:themeColor="accent1"/>'
    parsed = parse(themed(word_run(accent)), "docx")
    assert parsed.text == VISIBLE
    assert [h.text for h in parsed.hidden] == [SECRET]
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


@pytest.mark.parametrize(
    "data",
    [
        box(drawing='<wp:docPr id="1" name="x" hidden="1"/>'),
        box(drawing='<wp:extent cx="9" cy="900000"/>'),
        box(drawing="<wp:positionH><wp:posOffset>-90000000</wp:posOffset></wp:positionH>"),
        box(
            drawing='<wp:positionV relativeFrom="page"><wp:posOffset>-9900000</wp:posOffset>'
            '</wp:positionV><wp:extent cx="3000000" cy="600000"/>'
        ),
        box(drawing="<wp:positionH><wp:posOffset>9900000</wp:posOffset></wp:positionH>"),
        box(_DARK, run='<w:color w:val="102040"/>'),
        box(run='<w:color w:val="FFFFFF"/>'),
    ],
    ids=[
        "hidden",
        "no size",
        "off the page",
        "above it",
        "beside it",
        "of the colour of its box",
        "white on white",
    ],
)
def test_a_box_that_does_not_show_is_recorded_and_not_served(data: bytes) -> None:
    parsed = parse(data, "docx")
    assert parsed.text == VISIBLE
    assert [h.text for h in parsed.hidden] == [SECRET]


def test_white_text_in_a_dark_box_is_served() -> None:
    white = '<w:color w:val="FFFFFF"/>'
    gradient = f"<a:gradFill {_A}/>"
    for data in (box(_DARK, run=white), box(gradient, run=white), box()):
        assert SECRET in parse(data, "docx").text
