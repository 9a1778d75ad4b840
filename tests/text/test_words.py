from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.text.words import (
    jaccard,
    name_flags,
    normalise,
    stable_hash,
    term_matrix,
    words,
)
from tests.support import slow_twins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain ascii", "plain ascii", id="ascii untouched"),
        pytest.param("pass\u200bword", "password", id="zero-width space"),
        pytest.param("pass\u2060word\ufeff", "password", id="word joiner and BOM"),
        pytest.param("in\u00advisible", "invisible", id="soft hyphen"),
        pytest.param("a\u202eb\u202c", "ab", id="bidi override"),
        pytest.param("x\U000e0041\U000e0042y", "xy", id="tag characters"),
        pytest.param("x\ufe0f\U000e0101y", "xy", id="variation selectors"),
        pytest.param("\ufb01ne \uff46ull", "fine full", id="NFKC"),
        pytest.param("\U0001d422\U0001d420", "ig", id="mathematical letters"),
        pytest.param("Grüße", "Grüße", id="umlauts stay"),
        pytest.param("Пример", "Пример", id="Cyrillic stays"),
    ],
)
def test_normalised_text_is_what_a_reader_takes_it_for(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't panic", ["don't", "panic"]),
        ("it\u2019s 27 days", ["it\u2019s", "27", "days"]),
        ("snake_case-and.dots", ["snake", "case", "and", "dots"]),
        ("'quoted'", ["quoted"]),
        ("Über Москва 東京", ["über", "москва", "東京"]),
        ("", []),
        ("... --- !!!", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_of_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(alphabet="abcÀé1 _'\u2019.-\n東я"))
def test_words_agree_with_their_slow_twin(text: str) -> None:
    assert words(text) == slow_twins.word_list(text)


@given(st.text(alphabet=[chr(code) for code in range(128)] + list("abcdef'' ")))
def test_words_of_plain_text_agree_with_their_slow_twin(text: str) -> None:
    assert words(text) == slow_twins.word_list(text)


def random_rows(seed: int, n: int = 40) -> list[list[str]]:
    rng = random.Random(seed)
    return [[f"w{rng.randrange(12)}" for _ in range(rng.randrange(15))] for _ in range(n)]


def test_term_matrix_marks_each_word_once_however_often_it_stands_there() -> None:
    rows = random_rows(1)
    matrix = term_matrix(rows)
    assert matrix.shape == (len(rows), len({w for row in rows for w in row}))
    assert set(matrix.data.tolist()) == {1.0}
    assert np.asarray(matrix.sum(axis=1)).ravel().tolist() == [len(set(row)) for row in rows]


def test_term_matrix_of_nothing_has_no_rows() -> None:
    assert term_matrix([]).shape == (0, 1)
    assert term_matrix([[], []]).sum() == 0


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_jaccard_agrees_with_its_slow_twin_at_any_block_size(block: int) -> None:
    rows = random_rows(2)
    rng = np.random.default_rng(3)
    left, right = rng.integers(0, len(rows), 200), rng.integers(0, len(rows), 200)
    found = jaccard(term_matrix(rows), left, right, block=block)
    expected = [slow_twins.jaccard(rows[a], rows[b]) for a, b in zip(left, right, strict=True)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_jaccard_of_two_empty_rows_is_zero_and_no_pairs_give_no_result() -> None:
    terms = term_matrix([[], [], ["a"]])
    none = np.empty(0, dtype=np.int64)
    assert jaccard(terms, np.array([0, 0]), np.array([1, 2])).tolist() == [0.0, 0.0]
    assert jaccard(terms, none, none).shape == (0,)


def test_jaccard_leaves_its_arguments_as_they_were() -> None:
    terms = term_matrix(random_rows(4))
    before = terms.toarray()
    left, right = np.array([0, 1, 2]), np.array([3, 4, 5])
    jaccard(terms, left, right)
    assert (terms.toarray() == before).all()
    assert (left.tolist(), right.tolist()) == ([0, 1, 2], [3, 4, 5])


@pytest.mark.parametrize("text", ["", "leave", "Grüße", "東京", "half \ud800 pair"])
def test_stable_hash_is_the_checksum_of_the_bytes(text: str) -> None:
    assert stable_hash(text) == slow_twins.stable_hash(text)


def test_stable_hash_is_the_same_in_another_process() -> None:
    code = "from ragguard.text.words import stable_hash; print(stable_hash('Rollcall'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == stable_hash("Rollcall")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ask Anna or read xmlNode, then call it", "ask anna xmlnode"),
        ("the newlineCount of McDonald's", "newlinecount mcdonald's"),
        ("eTh pUmp", ""),  # letters changed places
        ("GRIT NATIONWIDE FOLKLORE PASO DEXTER MUSICAL", ""),  # nothing parts them
        ("grit nationwide folklore", ""),
    ],
)
def test_words_with_a_capital_are_names_unless_all_of_a_line_have_one(
    text: str, names: str
) -> None:
    flags = name_flags(text)
    assert [w for w, named in zip(words(text), flags, strict=True) if named] == names.split()
