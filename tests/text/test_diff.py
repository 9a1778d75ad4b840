from __future__ import annotations

import pytest

from ragguard.text.diff import LONGEST, Change, difference, join, sentences, surroundings, tokens

TEXT = (
    "The bridge was opened on 4 May 1931 by the mayor of Porto. It is 302 metres long and carries "
    "two tracks. Trains may cross it at 40 km/h, and nobody may walk on it at night."
)


def changes(ours: str, theirs: str = TEXT) -> list[tuple[str, str]]:
    found = difference(tokens(ours), tokens(theirs))
    return [(" ".join(c.ours), " ".join(c.theirs)) for c in found.changes]


def test_equal_texts_differ_in_nothing_whatever_their_case() -> None:
    found = difference(tokens(TEXT.upper()), tokens(TEXT))
    assert (found.changes, found.uncovered, found.moved) == ((), 0, 0)
    assert found.shared == len(tokens(TEXT))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("1931", "1951", ("1951", "1931")),
        ("may walk", "may not walk", ("not", "")),
        ("two ", "", ("", "two")),
        ("the mayor of Porto", "the Queen", ("Queen", "mayor of Porto")),
        ("The bridge", "A bridge", ("A", "The")),
        ("at night", "at noon", ("noon", "night")),
    ],
    ids=["number", "added", "dropped", "shorter", "at the start", "at the end"],
)
def test_a_change_is_told_by_both_sides(before: str, after: str, expected: tuple[str, str]) -> None:
    assert changes(TEXT.replace(before, after)) == [expected]


def test_a_change_says_where_it_is() -> None:
    found = difference(["a", "b", "X", "d", "e"], ["a", "b", "c", "d", "e"])
    assert found.changes == (Change(2, ("X",), ("c",)),)


@pytest.mark.parametrize(
    ("text", "uncovered"),
    [
        ("It stands on 40 piers of stone. " + TEXT, 7),
        (TEXT + " A toll of 2 euro is asked.", 7),
        (TEXT.split(" ", 9)[-1], 0),
        (TEXT.rsplit(" ", 9)[0], 0),
    ],
    ids=["more before", "more behind", "cut before", "cut behind"],
)
def test_where_a_text_was_cut_is_no_change(text: str, uncovered: int) -> None:
    found = difference(tokens(text), tokens(TEXT))
    assert found.changes == ()
    assert found.uncovered == uncovered


def test_a_sentence_that_was_moved_is_lined_up_where_it_stands_now() -> None:
    first, second, third = TEXT.split(". ")
    found = difference(tokens(". ".join([third, first, second])), tokens(TEXT))
    assert (found.moved, found.changes, found.shared) == (1, (), len(tokens(TEXT)))
    edited = ". ".join([third.replace("40", "90"), first, second])
    assert changes(edited) == [("90", "40")]


def test_another_text_shares_little() -> None:
    other = tokens("Cats sleep for most of the day and hunt at dawn.")
    found = difference(other, tokens(TEXT))
    assert found.shared < len(other) / 2


def test_numbers_keep_their_separators() -> None:
    assert tokens("1,250.50 € on 2024-05-01, it's 5%") == [
        "1,250.50", "€", "on", "2024-05-01", "it's", "5", "%",
    ]  # fmt: skip


def test_no_more_than_a_bounded_number_of_words_is_looked_at() -> None:
    assert len(tokens("word " * (LONGEST + 50))) == LONGEST


def test_two_pieces_are_joined_with_what_they_share_once() -> None:
    assert join(["a", "b", "c"], ["b", "c", "d"]) == ["a", "b", "c", "d"]
    assert join(["a"], ["b"]) == ["a", "b"]


def test_addresses_tags_and_footnote_marks_are_no_words() -> None:
    text = "See [the guide](https://a.example/b/7) or <b>ask</b>.[12] Mail x@a.example now."
    assert tokens(text) == ["See", "the", "guide", "or", "ask", "Mail", "now"]


def test_sentences_are_told_from_headings_lists_and_code() -> None:
    text = (
        "# What it does\n\nThe tool reads a page and keeps what it\nsays for later. "
        "It asks nobody.\n\n"
        "- one thing\n- another thing\n\n    run(a_b, {c: 1}, [2, 3]) == d_e\n"
    )
    words, found = tokens(text), sentences(text)
    shown: dict[int, list[str]] = {}
    for word, number in zip(words, found.of, strict=True):
        shown.setdefault(number, []).append(word)
    told = {" ".join(shown[i]): found.prose[i] for i in shown}
    assert told["The tool reads a page and keeps what it says for later"]
    assert not told["What it does"]
    assert not told["one thing"]
    assert not any(kept for text, kept in told.items() if "run" in text)


def test_the_sentence_around_a_change_is_held_against_the_other_text() -> None:
    ours = TEXT.replace("302", "309").replace("and nobody may", "but everybody should")
    found = difference(tokens(ours), tokens(TEXT))
    where = sentences(ours)
    by_words = {c.ours: surroundings(found, c, where.of) for c in found.changes}
    assert (by_words["309",].kept, by_words["309",].other) == (8, 0)
    assert by_words["but", "everybody", "should"].other == 0
    two = difference(tokens(ours.replace("two tracks", "one rail")), tokens(TEXT))
    number = next(c for c in two.changes if c.ours == ("309",))
    assert surroundings(two, number, where.of).other == 2
