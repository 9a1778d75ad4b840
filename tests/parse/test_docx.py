"""A DOCX keeps its structure; a strict one is read as well, and damage and bombs are refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn

from ragguard.errors import UnreadableError
from ragguard.parse.document import parse
from ragguard.parse.docx import MAX_XML
from tests.support.documents import (
    MARK,
    SECRET,
    VISIBLE,
    is_recorded,
    repacked,
    rezipped,
    word,
    word_run,
    word_xml,
)
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


SHOWN = {
    "inserted": word_xml(f'<w:ins w:id="1" w:author="a">{_RUN}</w:ins>'),
    "a content control": word_xml(f"<w:sdt><w:sdtContent>{_RUN}</w:sdtContent></w:sdt>"),
    "a control around a paragraph": word_xml(
        f"<w:sdtContent><w:p>{_RUN}</w:p></w:sdtContent>", "w:sdt"
    ),
    "a text box": word_xml(_BOX),
    "a hidden mark only": word_xml("<w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>" + _RUN),
}


@pytest.mark.parametrize("data", SHOWN.values(), ids=SHOWN.keys())
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


NO_TEXT = {
    "deleted": word_xml(
        f'<w:del w:id="1" w:author="a"><w:r><w:delText>{SECRET}</w:delText></w:r></w:del>'
    ),
    "deleted run": word_xml(f'<w:del w:id="1" w:author="a">{_RUN}</w:del>'),
    "moved": word_xml(f'<w:moveFrom w:id="1" w:author="a">{_RUN}</w:moveFrom>'),
    "a field": word_xml(f"<w:r><w:instrText>{SECRET}</w:instrText></w:r>"),
    "an alternative text": word_xml(
        '<w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" '
        f'descr="{SECRET}"/></wp:inline></w:drawing></w:r>'
    ),
    "a header": word(lambda d: setattr(d.sections[0].header.paragraphs[0], "text", SECRET)),
    "a comment": word(lambda d: d.add_comment(d.add_paragraph("x").runs, text=SECRET)),
    "a property": word(lambda d: setattr(d.core_properties, "comments", SECRET)),
}


@pytest.mark.parametrize("data", NO_TEXT.values(), ids=NO_TEXT.keys())
def test_what_is_no_text_of_the_body_is_not_served(data: bytes) -> None:
    parsed = parse(data, "docx")
    assert VISIBLE in parsed.text
    assert MARK not in parsed.text


# --- strict files ---------------------------------------------------------------------------------


def strict(data: bytes) -> bytes:
    """A file as Word saves it as Strict Open XML."""
    usual = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    main = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
    links = b"http://purl.oclc.org/ooxml/officeDocument/relationships/"
    return rezipped(data, lambda _, part: part.replace(usual, main).replace(office, links))


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
    is_recorded(parsed.text, parsed.hidden)


def test_a_file_without_styles_has_titles() -> None:
    data = word(lambda document: document.add_heading("Pumps", 2))
    gone = ("word/styles.xml", "word/_rels/document.xml.rels")
    bare = rezipped(data, lambda name, part: None if name in gone else part)
    assert parse(bare, "docx").text == f"{VISIBLE}\n\n## Pumps"


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
    "10,001 members": lambda: repacked(word(), **{f"x{i}": b"<x/>" for i in range(10_001)}),
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
