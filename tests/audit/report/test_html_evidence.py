from __future__ import annotations

from typing import Any

import pytest

from ragguard.audit.report.html_evidence import Block, blocks, marked


def texts(block: Block) -> list[list[str]]:
    return [["".join(t for t, _ in cell) for cell in row] for row in block.rows]


def only(facts: dict[str, Any]) -> Block:
    (block,) = blocks(facts)
    return block


def test_words_that_differ_are_marked_on_both_sides() -> None:
    ours, theirs = marked("He has 41 days", "he has 27 days off")
    assert [t for t, differs in ours if differs] == ["41"]
    assert "".join(t for t, _ in ours) == "He has 41 days"
    assert [t for t, differs in theirs if differs] == ["27", "off"]


def test_equal_texts_have_nothing_marked() -> None:
    assert marked("the same", "The  same") == ([("the same", False)], [("The  same", False)])


def test_what_is_not_compared_is_said() -> None:
    ours, theirs = marked("word " * 500, "word")
    assert ours[-1] == ("\N{HORIZONTAL ELLIPSIS}", False)
    assert theirs[-1][0] != "\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    ("facts", "kind", "rows"),
    [
        ({"question": "how many?"}, "quote", [["how many?"]]),
        ({"text": "says"}, "quote", [["says"]]),
        ({"changes": [["41", "27"]]}, "change", [["", "27", "41"]]),
        (
            {"changes": {"department": ["Legal", "Public"]}},
            "change",
            [["department", "Legal", "Public"]],
        ),
        ({"expected": 0.5, "found": 0.25}, "change", [["", "0.5", "0.25"]]),
        (
            {"companions": ["a", "b"], "similarities": [0.9, 0.8]},
            "table",
            [["a", "0.9"], ["b", "0.8"]],
        ),
        ({"neighbours": [{"document": "a", "similarity": 0.5}]}, "table", [["a", "0.5"]]),
        ({"sample": ["a", "b"]}, "list", [["a"], ["b"]]),
        ({"votes": {"Legal": 19}}, "pairs", [["Legal", "19"]]),
        ({"occurrence": 9120, "sure": True}, "pairs", [["occurrence", "9,120"], ["sure", "yes"]]),
        ({"note": "x" * 400}, "quote", [["x" * 400]]),
        ({"text": "a b", "twin_text": "a c"}, "compare", [["a b", "a c"]]),
    ],
)
def test_facts_are_shown_by_what_they_are(
    facts: dict[str, Any], kind: str, rows: list[list[str]]
) -> None:
    block = only(facts)
    assert (block.kind, texts(block)) == (kind, rows)


def test_neighbours_much_like_the_suspect_have_their_other_words_marked() -> None:
    facts = {
        "text": "staff have 41 days of leave",
        "neighbours": [
            {"document": "a", "similarity": 0.9, "text": "staff have 27 days of leave"},
            {"document": "b", "similarity": 0.8, "text": "something else entirely, unlike it"},
        ],
    }
    table = blocks(facts)[-1]
    assert table.columns == ["document", "similarity", "text"]
    assert [t for t, differs in table.rows[0][2] if differs] == ["27"]
    assert not any(differs for _, differs in table.rows[1][2])


def test_what_is_left_out_is_counted() -> None:
    assert only({"sample": list(range(25))}).more == 15
    assert only({"rows": [{"a": i} for i in range(12)]}).more == 2
    assert only({f"k{i}": i for i in range(14)}).more == 4


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"changes": [1, 2]}, "1 2"),
        ({"changes": [["one"]]}, "one"),
        ({"changes": {"a": 1}}, "a 1"),
        ({"neighbours": "none"}, "neighbours none"),
        ({"neighbours": [1, {"a": 2}]}, "1 {'a': 2}"),
        ({"companions": ["a"], "similarities": []}, "a"),
        ({"question": 7}, "question 7"),
        ({"text": ["a"], "twin_text": 3}, "a twin text 3"),
        ({"expected": 1}, "expected 1"),
    ],
)
def test_facts_of_another_shape_are_shown_by_it(facts: dict[str, Any], shown: str) -> None:
    cells = [cell for block in blocks(facts) for row in texts(block) for cell in row]
    assert " ".join(cells) == shown


def test_nothing_is_no_evidence() -> None:
    assert blocks({"a": None, "b": "", "c": [], "d": {}}) == []


def test_facts_are_left_as_they_are() -> None:
    facts = {"question": "q", "text": "t", "twin_text": "u", "expected": 1, "found": 2}
    before = dict(facts)
    blocks(facts)
    assert facts == before
