from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.detect.campaign import (
    CENTRE,
    COPIED,
    FEW_SHARED,
    FLAGRANT_RATIO,
    RUN,
    accord_excess,
    believed,
    companions_evidence,
    distinct,
    familiarity,
    mutual,
    paraphrases,
    stand_out,
)
from ragguard.model import CorpusView, Neighbours
from tests.support import slow_twins
from tests.support.checks.views import Doc, direction, doc, make_view, near, topics


def closeness(mean: float, deviation: float) -> lexicons.Lexicon:
    return replace(lexicons.empty(), closeness=(mean, deviation))


def crowd(words: list[str], cosine: float = 0.9) -> list[Doc]:
    """Documents about one thing, one for each text, at one cosine from their subject."""
    return [doc(f"p{i}", text, near(direction(1000), cosine, i)) for i, text in enumerate(words)]


@pytest.fixture
def view() -> CorpusView:
    texts = [" ".join(f"w{(i * 3 + j) % 11}" for j in range(6)) for i in range(8)]
    return make_view(crowd(texts[:2], 0.98) + crowd(texts, 0.8)[2:] + topics(2, 8))


def is_paraphrase(mine: list[str], other: list[str], overlap: float) -> bool:
    alike = slow_twins.jaccard(mine, other)
    runs = [{tuple(row[i : i + RUN]) for i in range(len(row) - RUN + 1)} for row in (mine, other)]
    shared = len(runs[0] & runs[1]) / max(1, min(map(len, runs)))
    return alike <= overlap and not (alike > FEW_SHARED and shared >= COPIED)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 1.0])
def test_paraphrases_agree_with_their_slow_twin(view: CorpusView, overlap: float) -> None:
    for table in (view.reference, view.newcomers):
        made = paraphrases(view, table, overlap, 1)
        values, rows = made.values, made.rows
        for i in range(view.n):
            expected = []
            for j, close in zip(table.indices[i], table.similarities[i], strict=True):
                if j >= 0 and is_paraphrase(view.words[i], view.words[j], overlap):
                    expected.append((max(0.0, float(close)), int(j)))
            found = [(v, r) for v, r in zip(values[i], rows[i], strict=True) if r >= 0]
            assert [v for v, _ in found] == pytest.approx([v for v, _ in expected])
            assert sorted(r for _, r in found) == sorted(r for _, r in expected)
            assert (np.diff(values[i]) <= 0).all()
            assert (values[i][len(found) :] == 0).all()


def test_copies_are_no_paraphrases() -> None:
    copied = make_view(crowd(["the same words"] * 4))
    assert (paraphrases(copied, copied.newcomers, 0.6, 1).rows == -1).all()


def test_a_text_of_few_words_says_nothing_that_another_could_say_in_other_words() -> None:
    made = make_view(crowd(["one two three", "four five six", "one two seven eight"]))
    said = paraphrases(made, made.newcomers, 0.9, 3).rows
    assert (said >= 0).sum(axis=1).tolist() == [2, 2, 2]
    assert (paraphrases(made, made.newcomers, 0.9, 4).rows == -1).all()


def test_accords_agree_with_their_slow_twin(view: CorpusView) -> None:
    """Of the row's own weight, squared inverse document frequency among the judged, what is shared.

    The view has no index to count in, so words are counted in the judged passages.
    """
    made = paraphrases(view, view.newcomers, 0.9, 1)
    rows = [set(view.words[i]) for i in range(view.n)]
    seen = 0
    for i in range(view.n):
        weight = {
            word: np.log((view.n + 1) / (1 + sum(word in row for row in rows))) ** 2
            for row in rows
            for word in row
        }
        for accord, j in zip(made.accords[i], made.rows[i], strict=True):
            if j >= 0:
                total = sum(weight[w] for w in rows[i])
                shared = sum(weight[w] for w in rows[i] & set(view.words[j]))
                assert accord == pytest.approx(shared / total if total else 0.0)
                seen += 1
    assert seen > 10


def test_what_the_reference_offers_of_an_accord_is_taken_off(view: CorpusView) -> None:
    made = paraphrases(view, view.newcomers, 0.9, 1)
    nothing = replace(made, accords=np.zeros_like(made.accords))
    excess = accord_excess(made, nothing, view, 4)
    assert excess.shape == (view.n,)
    assert excess.max() > 0
    assert ((excess >= 0) & (excess <= 1)).all()
    full = replace(made, accords=np.ones_like(made.accords))
    assert (accord_excess(made, full, view, 4) == 0).all()
    half = replace(made, accords=made.accords / 2)
    assert (accord_excess(made, half, view, 4) <= excess).all()


def slow_stand_out(near_: list, known: list, companions: int, softening: float) -> float:
    floor = near_[2 * companions + 1] if len(near_) > 2 * companions + 1 else 0.0
    floor = max(floor, sum(known[:companions]) / companions)
    close = sum(near_[:companions]) / companions
    return max(0.0, np.log((1 - floor) / (1 - close + softening)))


@pytest.mark.parametrize("companions", [1, 2, 3])
def test_standing_out_agrees_with_its_slow_twin(view: CorpusView, companions: int) -> None:
    near_ = paraphrases(view, view.newcomers, 0.6, 1).values
    known = paraphrases(view, view.reference, 0.6, 1).values
    expected = [
        slow_stand_out(a.tolist(), b.tolist(), companions, 0.02)
        for a, b in zip(near_, known, strict=True)
    ]
    found = stand_out(view, near_, known, companions, 0.02)
    np.testing.assert_allclose(found, expected)
    assert found.max() > 0


def test_texts_with_one_vector_and_other_words_have_a_finite_score() -> None:
    """What the encoder cannot tell apart (accents, letters it does not know) has cosine 1."""
    vector = direction(3)
    docs = [doc(f"b{i}", f"one{i} two{i}", vector) for i in range(8)]
    docs += [doc(f"s{i}", f"three{i} four{i}", vector, zone="serving") for i in range(8)]
    above = np.nextafter(np.float32(1.0), np.float32(2.0))
    made = make_view(docs)
    made = replace(
        made,
        reference=_rounded_up(made.reference, above),
        newcomers=_rounded_up(made.newcomers, above),
    )
    near_ = paraphrases(made, made.newcomers, 0.6, 1).values
    known = paraphrases(made, made.reference, 0.6, 1).values
    with np.errstate(all="raise"):
        assert (stand_out(made, near_, known, 2, 0.02) == 0).all()


def _rounded_up(table: Neighbours, value: np.float32) -> Neighbours:
    """Cosines of 1 as single precision may give them."""
    return Neighbours(table.indices, np.where(table.similarities > 0.999, value, -1.0))


def test_without_a_reference_every_region_is_familiar(view: CorpusView) -> None:
    assert familiarity(view, np.zeros(view.n)).tolist() == [1.0] * view.n
    flat = replace(view, lexicon=closeness(0.5, 0.0))
    assert familiarity(flat, np.zeros(view.n)).tolist() == [1.0] * view.n


def test_familiarity_rises_with_closeness_to_the_reference(view: CorpusView) -> None:
    known = replace(view, lexicon=closeness(0.5, 0.1))
    found = familiarity(known, np.linspace(0.1, 0.9, view.n))
    assert (np.diff(found) > 0).all()
    assert found[0] < 0.01
    assert found[-1] > 0.99
    half = familiarity(known, np.full(view.n, 0.5 + CENTRE * 0.1))
    assert half.tolist() == pytest.approx([0.5] * view.n)


def test_on_a_subject_the_corpus_never_had_only_the_flagrant_counts(view: CorpusView) -> None:
    near_ = paraphrases(view, view.newcomers, 0.6, 1).values
    unknown = np.zeros_like(near_)
    new_subject = replace(view, lexicon=closeness(0.5, 0.1))
    anywhere = stand_out(view, near_, unknown, 2, 0.02)
    found = stand_out(new_subject, near_, unknown, 2, 0.02)
    assert found.tolist() == pytest.approx(
        np.maximum(anywhere - FLAGRANT_RATIO, 0.0).tolist(), abs=1e-3
    )
    assert (anywhere > FLAGRANT_RATIO).any()
    assert (anywhere < FLAGRANT_RATIO).any()


def test_where_the_reference_knows_the_region_all_of_a_score_is_believed(view: CorpusView) -> None:
    known = replace(view, lexicon=closeness(0.5, 0.1))
    scores = np.linspace(0.0, 2.0, view.n)
    near_ = np.full((view.n, 4), 0.9)
    assert believed(known, scores, near_, 1.0).tolist() == pytest.approx(scores.tolist(), abs=1e-3)
    assert (believed(known, scores, np.zeros_like(near_), 1.0) <= scores).all()


def test_the_evidence_names_the_companions_and_who_of_them_waits() -> None:
    docs = crowd(["alpha beta", "gamma delta"])
    docs.append(doc("w", "epsilon zeta", near(direction(1000), 0.9, 7), zone="quarantine"))
    made = make_view(docs)
    found = paraphrases(made, made.newcomers, 0.6, 1)
    near_, rows = found.values, found.rows
    evidence = companions_evidence(made, near_, rows, 0, 2)
    assert set(evidence.facts["companions"]) == {"wiki/p1", "wiki/w"}
    assert "1 of them waiting in quarantine" in evidence.detail
    assert "wiki/p1" in evidence.detail


def test_the_view_is_left_as_it_was(view: CorpusView) -> None:
    kept = view.newcomers.similarities.copy(), view.newcomers.indices.copy()
    near_ = paraphrases(view, view.newcomers, 0.6, 1).values
    before = near_.copy()
    stand_out(view, near_, near_, 2, 0.02)
    assert (near_ == before).all()
    assert (view.newcomers.similarities == kept[0]).all()
    assert (view.newcomers.indices == kept[1]).all()


# --- mutual ---------------------------------------------------------------------------------------


def test_a_row_scores_no_more_than_its_companions_do() -> None:
    """Rows 0 to 2 have one another; row 3 has them, and they do not have it."""
    alone = np.array([1.0, 0.8, 0.6, 2.0])
    companions = np.array([[1, 2], [0, 2], [0, 1], [0, 1]])
    found = mutual(alone, companions, companions, np.arange(4))
    np.testing.assert_allclose(found, [0.7, 0.8, 0.6, 0.0])


def test_companions_that_are_not_judged_are_taken_at_the_rows_own_word() -> None:
    alone = np.array([1.0, 0.5])
    companions = np.array([[7, -1], [0, 9]])
    found = mutual(alone, companions, np.array([[7, 1], [0, 9]]), np.arange(10))
    np.testing.assert_allclose(found, [1.0, 0.5])


def test_any_chunk_of_a_document_counts_as_its_company() -> None:
    """Row 0 and row 2 are one document; row 1 has its second chunk for company."""
    alone = np.array([1.0, 1.0, 1.0])
    found = mutual(alone, np.array([[1], [2], [1]]), np.array([[1], [2], [1]]), np.array([0, 1, 0]))
    np.testing.assert_allclose(found, [1.0, 1.0, 1.0])


def test_a_document_is_one_companion_however_many_chunks_it_has() -> None:
    values = np.array([[0.9, 0.8, 0.7, 0.0]])
    rows = np.array([[4, 5, 6, -1]])
    near_, found = distinct(values, rows, np.array([0, 0, 0, 0, 1, 1, 2]))
    assert found.tolist() == [[4, 6, -1, -1]]
    assert near_.tolist() == [[0.9, 0.7, 0.0, 0.0]]
