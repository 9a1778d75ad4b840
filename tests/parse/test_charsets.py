from __future__ import annotations

import pytest

from ragguard.errors import UnreadableError
from ragguard.parse.charsets import declared
from ragguard.parse.document import front_of, parse

PAGE = "<html><head>{}<title>{}</title></head><body><p>{}</p></body></html>"


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("iso-8859-1", "cp1252", "Öffnungszeiten – “neun”"),
        ("windows-1252", "cp1252", "Straße €"),
        ("ISO-8859-2", "iso8859-2", "Žluťoučký kůň"),
        ("windows-1251", "cp1251", "Часы работы"),
        ("koi8-r", "koi8-r", "Часы работы"),
        ("gb2312", "gb18030", "前台开放"),
        ("Shift_JIS", "cp932", "受付時間"),
        ("euc-kr", "cp949", "운영 시간"),
        ("big5", "big5hkscs", "開放時間"),
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        '<meta charset="{}">',
        "<META CHARSET={}>",
        '<meta http-equiv="Content-Type" content="text/html; charset={}">',
        '<!-- <meta charset="koi8-u"> --><meta charset="{}">',
    ],
)
def test_a_page_is_read_as_it_declares(label: str, codec: str, text: str, where: str) -> None:
    data = PAGE.format(where.format(label), text, text).encode(codec)
    assert parse(data, "html").text == text
    assert front_of(data, "html").metadata == {"title": text}


def test_an_xml_declaration_counts_as_well() -> None:
    data = '<?xml version="1.0" encoding="iso-8859-1"?>' + PAGE.format("", "x", "geöffnet")
    assert parse(data.encode("latin-1"), "html").text == "geöffnet"


def test_what_is_utf_8_is_read_as_utf_8_whatever_it_declares() -> None:
    data = PAGE.format('<meta charset="iso-8859-1">', "x", "geöffnet").encode()
    assert parse(data, "html").text == "geöffnet"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("", "not valid UTF-8 (byte "),
        ('<meta charset="utf-8">', "not valid UTF-8 (byte "),
        ('<meta charset="utf-16le">', "not valid UTF-8 (byte "),
        ('<meta charset="utf-7">', "its charset 'utf-7' is not known"),
        ('<meta charset="iso-2022-kr">', "its charset 'iso-2022-kr' is not known"),
        ('<meta charset="rot13">', "its charset 'rot13' is not known"),
    ],
)
def test_what_declares_nothing_that_is_known_is_refused(head: str, reason: str) -> None:
    with pytest.raises(UnreadableError) as error:
        parse(PAGE.format(head, "x", "geöffnet").encode("latin-1"), "html")
    assert reason in error.value.reason


def test_only_pages_are_asked_what_they_declare() -> None:
    with pytest.raises(UnreadableError):
        parse('<meta charset="latin1"> geöffnet'.encode("latin-1"), "md")


def test_every_label_names_a_codec_of_this_python() -> None:
    from codecs import lookup

    from ragguard.parse import charsets

    for label, codec in charsets._CODECS.items():
        assert lookup(codec)
        assert declared(f'<meta charset="{label}">'.encode()) == (label, codec)


OPEN = "The desk is open from nine to five. " * 60
STRAY = PAGE.format("{}", "Opening hours", OPEN + "Gr\xfc\xdfe.")


@pytest.mark.parametrize("head", ['<meta charset="utf-8">', '<meta charset="UTF8">'])
def test_a_few_bytes_that_are_no_utf_8_are_read_as_browsers_do_and_noted(head: str) -> None:
    parsed = parse(STRAY.format(head).encode("latin-1"), "html")
    assert parsed.text.endswith("Gr\ufffd\ufffde.")
    notes = [item.text for item in parsed.hidden if item.kind == "invalid-bytes"]
    assert notes == ["2 places that are not UTF-8 are read as U+FFFD"]


def test_a_page_cut_in_the_middle_of_a_letter_is_read() -> None:
    data = STRAY.format('<meta charset="utf-8">').encode()[:-1] + "\u00fc".encode()[:1]
    assert parse(data, "html").text.startswith("The desk is open")


def test_a_page_in_another_encoding_than_it_declares_is_refused() -> None:
    text = "Die Tür ist geöffnet. Bitte später zurückrufen. " * 40
    data = PAGE.format('<meta charset="utf-8">', "x", text).encode("latin-1")
    with pytest.raises(UnreadableError):
        parse(data, "html")


@pytest.mark.parametrize(("fmt", "head"), [("html", ""), ("md", '<meta charset="utf-8">')])
def test_bytes_that_are_no_utf_8_are_refused_where_nothing_says_that_they_are(
    fmt: str, head: str
) -> None:
    with pytest.raises(UnreadableError):
        parse(STRAY.format(head).encode("latin-1"), fmt)


def test_a_replacement_character_that_was_written_is_no_invalid_byte() -> None:
    data = PAGE.format('<meta charset="utf-8">', "x", "one \ufffd two").encode()
    assert [i for i in parse(data, "html").hidden if i.kind == "invalid-bytes"] == []
