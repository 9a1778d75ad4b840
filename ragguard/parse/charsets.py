"""Tell which encoding a page declares, by the labels that browsers know.

Asked only of what is not UTF-8: a page that is, is read as UTF-8 whatever it says.
Source: WHATWG Encoding Standard, section 4.2; HTML Standard, "prescan a byte stream".
"""

from __future__ import annotations

import re

UTF_8 = "utf-8"
# Of a page's bytes. A page cut in the middle of a letter, or with one paragraph pasted from another
# encoding, has fewer; one that is all in Latin letters of another encoding has more, and would lose
# a letter of every word or two that is not plain.
MOST_REPLACED = 0.001
_LOOKED_AT = 4096  # bytes; a browser looks at 1,024 before it guesses
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_DECLARED = re.compile(
    rb"<meta\b[^>]{0,500}?\bcharset\s{0,9}=\s{0,9}[\"']?\s{0,9}(?P<meta>[\w.:-]{1,40})"
    rb"|<\?xml\b[^>]{0,200}?\bencoding\s{0,9}=\s{0,9}[\"'](?P<xml>[\w.:-]{1,40})",
    re.IGNORECASE,
)
_LABELS = {  # Python's codec: the labels
    "cp1252": "windows-1252 x-cp1252 cp1252 iso-8859-1 iso8859-1 iso88591 iso_8859-1 latin1 l1 "
    "ascii us-ascii ansi_x3.4-1968",
    "iso8859-2": "iso-8859-2 iso8859-2 latin2 l2",
    "iso8859-3": "iso-8859-3 latin3",
    "iso8859-4": "iso-8859-4 latin4",
    "iso8859-5": "iso-8859-5 cyrillic",
    "iso8859-6": "iso-8859-6 arabic",
    "iso8859-7": "iso-8859-7 greek",
    "iso8859-8": "iso-8859-8 iso-8859-8-i hebrew",
    "cp1254": "windows-1254 cp1254 iso-8859-9 latin5 l5",
    "iso8859-10": "iso-8859-10 latin6",
    "iso8859-13": "iso-8859-13",
    "iso8859-14": "iso-8859-14",
    "iso8859-15": "iso-8859-15 iso8859-15 latin9 l9",
    "iso8859-16": "iso-8859-16",
    "cp1250": "windows-1250 cp1250 x-cp1250",
    "cp1251": "windows-1251 cp1251 x-cp1251",
    "cp1253": "windows-1253 cp1253",
    "cp1255": "windows-1255 cp1255",
    "cp1256": "windows-1256 cp1256",
    "cp1257": "windows-1257 cp1257",
    "cp1258": "windows-1258 cp1258",
    "cp874": "windows-874 tis-620 iso-8859-11",
    "cp866": "ibm866 cp866 866",
    "koi8-r": "koi8-r koi8 koi8_r",
    "koi8-u": "koi8-u koi8-ru",
    "mac-roman": "macintosh mac x-mac-roman",
    "gb18030": "gb18030 gbk gb2312 gb_2312-80 x-gbk chinese",
    "big5hkscs": "big5 big5-hkscs x-x-big5 cn-big5",
    "euc_jp": "euc-jp x-euc-jp",
    "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji",
    "cp949": "euc-kr ks_c_5601-1987 ksc5601 windows-949 korean",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_UNICODE = re.compile(r"(?:x-)?(?:unicode-?)?(?:utf|ucs)-?(?:8|16|2|32).*|unicode")


def declared(data: bytes) -> tuple[str, str | None]:
    """Return the label a page declares, and the codec that reads it.

    Args:
        data: A page that is not UTF-8 and has no mark of UTF-16.

    Returns:
        The label in lower case, empty where none is declared; the codec, `None` where the label is
        not known, and UTF-8 for every Unicode label, as browsers have it.
    """
    declaration = _DECLARED.search(_COMMENT.sub(b"", data[:_LOOKED_AT]))
    if declaration is None:
        return "", None
    label = (declaration["meta"] or declaration["xml"]).decode("ascii", "replace").lower()
    return ("", UTF_8) if _UNICODE.fullmatch(label) else (label, _CODECS.get(label))


def with_replacements(data: bytes) -> tuple[str, int]:
    """Read a page that is UTF-8 but for a few bytes, as browsers do.

    Returns:
        Its text, U+FFFD in place of what is no UTF-8 (Encoding Standard, section 4.1), and in how
        many places; 0 where they are more than `MOST_REPLACED` of the bytes, and the text is empty.
    """
    text = data.decode("utf-8-sig", "replace")
    places = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    return ("", 0) if places > MOST_REPLACED * len(data) else (text, places)
