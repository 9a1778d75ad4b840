"""Subject names: what may stand in a manifest, and which two names nobody can tell apart."""

from __future__ import annotations

import itertools
import json
import unicodedata
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.errors import SubjectNameError
from ragguard.trust.names import MAX_NAME_BYTES, check_name, collision_keys, record_key, skeleton

HONEST = [
    "leave.md",
    "it/laptops.md",
    "a/b/c/d/e.txt",
    "Reise kosten 2026.md",
    "Übergrößenträger.md",
    "здравоохранение.md",
    "Руководство/Отпуск.md",
    "手册/休假.md",
    "社内規程/休暇.md",
    "휴가 안내.md",
    "إجازة.md",
    "חופשה.md",
    "छुट्टी.md",
    "การลา.md",
    "άδεια.md",
    "cà phê.md",
    "naïve ☕.md",
    "😀.md",
    "☀\ufe0f heute.md",
    "👩\u200d🔬.md",
    "1\ufe0f\u20e3.md",
    "می\u200cخواهم.md",
    "क्\u200dष.md",
    "社内\u3000規程.md",
    "Rapport n°\u00a03.md",
    "-dash.md",
    "#1.md",
    "c++ & c#.md",
    "..hidden.md",
    "a...b.md",
    "con.md",
    "x" * (MAX_NAME_BYTES - 3) + ".md",
]


@pytest.mark.parametrize("name", HONEST, ids=lambda n: n[:20])
def test_an_honest_name_in_any_script_is_allowed(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param(None, "not a non-empty string", id="none"),
        pytest.param(7, "not a non-empty string", id="number"),
        pytest.param("", "not a non-empty string", id="empty"),
        pytest.param("/etc/passwd", "absolute", id="absolute"),
        pytest.param("//host/share", "absolute", id="two-slashes"),
        pytest.param("C:/x.md", "absolute", id="drive"),
        pytest.param("c:x.md", "absolute", id="drive-relative"),
        pytest.param("a\\b.md", "backslash", id="backslash"),
        pytest.param("..\\b.md", "backslash", id="backslash-parent"),
        pytest.param("..", "leaves", id="parent"),
        pytest.param("../x.md", "leaves", id="parent-first"),
        pytest.param("a/../../x.md", "leaves", id="parent-within"),
        pytest.param("a/..", "leaves", id="parent-last"),
        pytest.param("a//b.md", "an empty part", id="empty-part"),
        pytest.param("a/", "an empty part", id="trailing-slash"),
        pytest.param("./a.md", "an empty part or '.'", id="dot-first"),
        pytest.param("a/./b.md", "an empty part or '.'", id="dot-within"),
        pytest.param("cafe\u0301.md", "normal form C", id="nfd"),
        pytest.param("\u212b.md", "normal form C", id="angstrom-sign"),
        pytest.param("a\x00.md", "invisible or control", id="nul"),
        pytest.param("a\n.md", "invisible or control", id="newline"),
        pytest.param("a.md\n", "invisible or control", id="newline-last"),
        pytest.param("a\x7f.md", "invisible or control", id="delete"),
        pytest.param("a\u200b.md", "invisible or control", id="zero-width-space"),
        pytest.param("a\u202egnp.md", "invisible or control", id="right-to-left-override"),
        pytest.param("a\ufeff.md", "invisible or control", id="byte-order-mark"),
        pytest.param("a\U000e0041.md", "invisible or control", id="tag-letter"),
        pytest.param("a\u2028.md", "invisible or control", id="line-separator"),
        pytest.param("a\u2029.md", "invisible or control", id="paragraph-separator"),
        pytest.param("a\ue000.md", "invisible or control", id="private-use"),
        pytest.param("a\uffff.md", "invisible or control", id="unassigned"),
        pytest.param("a\ud800.md", "invisible or control", id="lone-surrogate"),
        pytest.param("a\u00ad.md", "invisible or control", id="soft-hyphen"),
        pytest.param("a\u034f.md", "invisible or control", id="grapheme-joiner"),
        pytest.param("a\u115fb.md", "invisible or control", id="hangul-choseong-filler"),
        pytest.param("a\u3164b.md", "invisible or control", id="hangul-filler"),
        pytest.param("a\uffa0b.md", "invisible or control", id="half-width-hangul-filler"),
        pytest.param("a\ufe0f.md", "invisible or control", id="variation-selector"),
        pytest.param("a\U000e0101.md", "invisible or control", id="variation-selector-18"),
        pytest.param("a\u180b.md", "invisible or control", id="mongolian-selector"),
        pytest.param("a\u17b4.md", "invisible or control", id="khmer-inherent-vowel"),
        pytest.param("a\u2800b.md", "invisible or control", id="braille-blank"),
        pytest.param("a\u200ab.md", "invisible or control", id="hair-space"),
        pytest.param("a\u2003b.md", "invisible or control", id="em-space"),
        pytest.param("a\u200cb.md", "invisible or control", id="non-joiner-in-latin"),
        pytest.param("a\u200db.md", "invisible or control", id="joiner-in-latin"),
        pytest.param("\u200da.md", "invisible or control", id="joiner-first"),
        pytest.param("x" + "\u0323\u0331\u032d\u0330\u0325.md", "invisible", id="pile-of-marks"),
        pytest.param(" a.md", "begins or ends in a space", id="leading-space"),
        pytest.param("a /b.md", "begins or ends in a space", id="trailing-space-in-part"),
        pytest.param("a\u00a0", "begins or ends in a space", id="no-break-space-last"),
        pytest.param("a.", "ends in a dot", id="trailing-dot"),
        pytest.param("a./b.md", "ends in a dot", id="trailing-dot-in-part"),
        pytest.param("...", "ends in a dot", id="three-dots"),
        pytest.param("x" * (MAX_NAME_BYTES + 1), "longer than 1024 bytes", id="too-long"),
        pytest.param(
            "é" * (MAX_NAME_BYTES // 2 + 1), "longer than 1024 bytes", id="too-many-bytes"
        ),
    ],
)
def test_a_name_that_could_be_read_in_two_ways_is_refused(name: object, says: str) -> None:
    with pytest.raises(SubjectNameError) as caught:
        check_name(name)
    assert says in caught.value.message
    assert len(caught.value.message) < 300


def test_a_name_of_exactly_the_limit_in_bytes_is_allowed() -> None:
    name = "é" * (MAX_NAME_BYTES // 2)
    assert check_name(name) == name


def allows(name: str) -> bool:
    try:
        return check_name(name) == name
    except SubjectNameError:
        return False


def collide(one: str, two: str) -> bool:
    return any(a == b for a, b in zip(collision_keys(one), collision_keys(two), strict=True))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pytest.param("Leave.md", "leave.md", id="case"),
        pytest.param("STRASSE.md", "straße.md", id="sharp-s"),
        pytest.param("ΣΊΣΥΦΟΣ.md", "σίσυφος.md", id="final-sigma"),
        pytest.param("file.md", "ﬁle.md", id="ligature"),
        pytest.param("leave.md", "ｌｅａｖｅ.md", id="full-width"),
        pytest.param("x2.md", "x².md", id="superscript"),
        pytest.param("ガ.md", "ｶﾞ.md", id="half-width-katakana"),
        pytest.param("a b.md", "a\u00a0b.md", id="no-break-space"),
        pytest.param("a...b", "a…b", id="ellipsis"),
        pytest.param("a···b.md", "a⋯b.md", id="one-letter-for-three"),
        pytest.param("paypal.md", "pаypal.md", id="cyrillic-a"),
        pytest.param("scope.md", "ѕсоре.md", id="all-cyrillic"),
        pytest.param("Key.md", "Кey.md", id="cyrillic-capital"),
        pytest.param("key.md", "Кey.md", id="cyrillic-capital-against-small"),
        pytest.param("notes.md", "nοtes.md", id="greek-omicron"),
        pytest.param("bill.md", "biIl.md", id="capital-i-for-l"),
        pytest.param("page-1.md", "page-l.md", id="one-for-l"),
        pytest.param("O.md", "0.md", id="zero-for-o"),
        pytest.param("modern.md", "modem.md", id="rn-for-m"),
        pytest.param("a-b.md", "a‐b.md", id="hyphen"),
        pytest.param("ıstanbul.md", "istanbul.md", id="dotless-i"),
    ],
)
def test_names_that_look_alike_collide_whichever_comes_first(one: str, two: str) -> None:
    assert one != two
    assert collide(one, two)
    assert collide(two, one)


def test_honest_names_do_not_collide_with_each_other() -> None:
    numbered = [f"chapter-{i}.md" for i in range(30)]
    letters = [f"annex-{c}.md" for c in "abcdefghjkmnopqrstuvwxyz"]
    words = ["урок.md", "уроки.md", "東京.md", "京都.md", "가.md", "나.md", "سلام.md", "شكرا.md"]
    for one, two in itertools.combinations([*HONEST, *numbered, *letters, *words], 2):
        assert not collide(one, two), (one, two)


@pytest.mark.parametrize("char", sorted("bcdefghknpqrstuvwxyz23456789-_./# "))
def test_plain_characters_are_their_own_skeleton(char: str) -> None:
    assert skeleton(char) == char


def test_the_skeleton_looks_through_accents_in_either_form() -> None:
    assert skeleton("é") == skeleton("e\u0301")
    assert skeleton("é") != skeleton("e")


allowed = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(allowed)
def test_an_allowed_name_stays_below_its_folder_and_in_one_form(name: str) -> None:
    try:
        checked = check_name(name)
    except SubjectNameError:
        return
    assert checked == name == unicodedata.normalize("NFC", name)
    assert not name.startswith("/")
    assert all(part not in ("", ".", "..") for part in name.split("/"))
    assert "\\" not in name
    assert name.isprintable() or any(unicodedata.category(c) == "Zs" for c in name)


@given(allowed)
def test_a_name_collides_with_itself_in_other_case_and_compatibility_form(name: str) -> None:
    assert collide(name, unicodedata.normalize("NFKC", name))
    assert collide(name, unicodedata.normalize("NFD", name))
    plain = "".join(c for c in name if len(c.upper()) == len(c.casefold()) == 1)
    assert collide(plain, plain.lower())


def test_nearly_every_pair_of_the_confusables_table_collides() -> None:
    table = json.loads(
        files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8")
    )
    pairs = [
        (f"q{unicodedata.normalize('NFC', one)}q", f"q{unicodedata.normalize('NFC', other['c'])}q")
        for one, others in table.items()
        for other in others
    ]
    possible = [pair for pair in pairs if all(allows(name) for name in pair)]
    seen = sum(collide(*pair) for pair in possible)
    assert len(possible) > 8000
    assert seen / len(possible) > 0.97


def test_what_leaves_no_ink_tells_no_two_names_apart() -> None:
    assert collide("☀.md", "☀\ufe0f.md")
    assert collide("میخواهم.md", "می\u200cخواهم.md")


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("A17", "\u041017", True),  # a Cyrillic letter
        ("order-9", "\u03bfrder-9", True),
        ("x2", "x\u00b2", True),
        ("aB3", "ab3", False),
        ("1l", "l1", False),
        ("10", "1O", False),
        ("\u0434\u043e\u043c", "\u0434\u043e\u043c2", False),
        ("caf\u00e9", "cafe", False),
    ],
)
def test_ids_of_records_are_alike_by_letters_of_another_script_only(
    one: str, two: str, alike: bool
) -> None:
    assert (record_key(one) == record_key(two)) is alike
