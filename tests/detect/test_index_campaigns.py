"""Small groups that stand apart are found in a crowd, and the crowd is not."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.detect import index_campaigns
from ragguard.knn.graph import neighbour_table
from tests.support.slow_twins import top_k

D = 48
K = 24
HONEST = 600
RATE = 0.002  # as audits ask for


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def around(centre: np.ndarray, size: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Texts about one thing; the smaller `spread`, the more alike."""
    return unit(centre + spread * unit(rng.standard_normal((size, D))))


def crowd(seed: int, n: int = HONEST, topics: int = 12) -> np.ndarray:
    """Honest texts on some subjects."""
    rng = np.random.default_rng(seed)
    subjects = unit(rng.standard_normal((topics, D)))
    return unit(subjects[rng.integers(topics, size=n)] + 0.6 * unit(rng.standard_normal((n, D))))


def clique(honest: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Paraphrases of one another, on a subject of the crowd."""
    rng = np.random.default_rng(1000 + seed)
    beside = honest[rng.integers(len(honest))] + 0.5 * unit(rng.standard_normal(D))
    return around(unit(beside), size, 0.25, rng)


def judged(
    vectors: np.ndarray, documents: np.ndarray | None = None, copies: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P-value of each document, the row it is of, and companions of every row."""
    owners = np.arange(len(vectors)) if documents is None else documents
    table = neighbour_table(vectors, K)
    scores, companions, _ = index_campaigns.stand_apart(
        table.indices, table.similarities, owners, copies
    )
    p_values, rows = index_campaigns.document_p_values(scores, owners)
    return p_values, rows, companions


# --- what is found and what is not ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_planted_clique_is_found_and_the_crowd_is_not(size: int, seed: int) -> None:
    honest = crowd(seed)
    p_values, _, _ = judged(np.concatenate([honest, clique(honest, size, seed)]))
    assert p_values[HONEST:].max() < 1e-9
    assert (p_values[:HONEST] <= RATE).sum() <= 2  # who has three good friends by chance


def test_a_pair_is_less_suspicious_than_a_clique() -> None:
    honest = crowd(0)
    three = clique(honest, 3, 0)
    pair, _, _ = judged(np.concatenate([honest, three[:2]]))
    clique_of_three, _, _ = judged(np.concatenate([honest, three]))
    assert pair[HONEST:].min() > 1e3 * clique_of_three[HONEST:].max()


def test_a_crowd_alone_has_hardly_any_suspects() -> None:
    named = [int((judged(crowd(seed))[0] <= RATE).sum()) for seed in range(10, 20)]
    assert sum(named) <= 2 * 10 * HONEST * RATE


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_neighbour_beside_a_clique_is_not_taken_for_one(seed: int) -> None:
    honest = crowd(seed)
    planted = clique(honest, 4, seed)
    centre = unit(planted.mean(axis=0))
    rng = np.random.default_rng(seed)
    beside_it = 0
    for _ in range(10):
        aside = rng.standard_normal(D)
        aside -= (aside @ centre) * centre
        # As near to the clique as texts on one subject are to one another.
        beside = unit(0.72 * centre + np.sqrt(1 - 0.72**2) * unit(aside))[None]
        p_values, _, companions = judged(np.concatenate([honest, planted, beside]))
        beside_it += (companions[-1, :2] >= HONEST).all()
        assert p_values[HONEST:-1].max() < 1e-9
        assert p_values[-1] > RATE
    assert beside_it


def test_copies_do_not_count() -> None:
    honest = crowd(1)
    vectors = np.concatenate([honest, clique(honest, 4, 1)])
    indices = neighbour_table(vectors, K).indices
    planted = np.arange(len(vectors)) >= HONEST
    copies = planted[:, None] & planted[indices]
    assert judged(vectors)[0][HONEST:].max() < 1e-9
    p_values, _, companions = judged(vectors, copies=copies)
    assert p_values[HONEST:].min() > RATE
    assert (companions[HONEST:] < HONEST).all()


def test_own_chunks_of_one_document_do_not_count() -> None:
    honest = crowd(1)
    vectors = np.concatenate([honest, clique(honest, 4, 1)])
    owners = np.minimum(np.arange(len(vectors)), HONEST)
    p_values, _, companions = judged(vectors, owners)
    assert len(p_values) == HONEST + 1
    assert p_values[HONEST] > RATE
    assert (companions[HONEST:] < HONEST).all()


def test_two_chunks_of_one_companion_are_one_companion() -> None:
    honest = crowd(1)
    vectors = np.concatenate([honest, clique(honest, 5, 1)])
    owners = np.arange(len(vectors))
    owners[-2:] = HONEST + 2  # three chunks of one document
    p_values, _, companions = judged(vectors, owners)
    assert p_values[HONEST:].max() < 1e-9
    theirs = owners[companions[HONEST : HONEST + 2]]
    assert all(len(set(row)) == len(row) for row in theirs.tolist())
    assert all(HONEST + 2 in row for row in theirs.tolist())


@pytest.mark.parametrize("chunks", [10, 20, 22, 30])
def test_long_documents_whose_own_chunks_fill_the_lists_are_no_campaign(chunks: int) -> None:
    rng = np.random.default_rng(5)
    honest = crowd(5)
    centres = around(unit(honest[:50].mean(axis=0)), 4, 0.9, rng)
    long = np.concatenate([around(centre, chunks, 0.3, rng) for centre in centres])
    owners = np.concatenate([np.arange(HONEST), HONEST + np.repeat(np.arange(4), chunks)])
    p_values, _, _ = judged(np.concatenate([honest, long]), owners)
    assert p_values[HONEST:].min() > RATE


def test_the_order_of_rows_changes_nothing() -> None:
    honest = crowd(2)
    vectors = np.concatenate([honest, clique(honest, 3, 2)])
    owners = np.arange(len(vectors)) // 2
    order = np.random.default_rng(0).permutation(len(vectors))
    scores: list[np.ndarray] = []
    for rows, belongs in ((vectors, owners), (vectors[order], owners[order])):
        table = neighbour_table(rows, K)
        scores.append(index_campaigns.stand_apart(table.indices, table.similarities, belongs)[0])
    assert scores[1] == pytest.approx(scores[0][order], abs=1e-6)
    first, _ = index_campaigns.document_p_values(scores[0], owners)
    second, _ = index_campaigns.document_p_values(scores[1], owners[order])
    assert second == pytest.approx(first, rel=1e-4)


# --- a slow, obvious twin -------------------------------------------------------------------------


def slow_scores(
    vectors: np.ndarray, owners: np.ndarray, copies: np.ndarray, k: int, width: int
) -> np.ndarray:
    """One width, row by row."""
    n = len(vectors)
    found, values = top_k(vectors, vectors, k, list(range(n)), list(range(n)))
    near: list[list[tuple[float, int]]] = []
    last: list[float] = []
    for row in range(n):
        seen: set[int] = set()
        mine = []
        for at, (other, value) in enumerate(zip(found[row], values[row], strict=True)):
            document = int(owners[other])
            if document in seen or document == owners[row] or copies[row, at]:
                continue
            seen.add(document)
            mine.append((min(max(value, 0.0), 1.0), other))
        near.append(mine)
        last.append(max(values[row][-1], 0.0) if len(found[row]) == k else 0.0)
    alone = []
    for row in range(n):
        if len(near[row]) < width:
            alone.append(0.0)
            continue
        close = sum(value for value, _ in near[row][:width]) / width
        place = 2 * width + 1
        floor = near[row][place][0] if len(near[row]) > place else last[row]
        alone.append(max(0.0, float(np.log((1 - floor) / (1 - close + index_campaigns.SOFTENING)))))
    made = []
    for row in range(n):
        companions = [other for _, other in near[row][:width]]
        if len(companions) < width:
            made.append(0.0)
            continue
        theirs = sum(alone[other] for other in companions) / width
        back = sum(
            any(owners[r] == owners[row] for _, r in near[other][: width + 2])
            for other in companions
        )
        made.append(min(alone[row], theirs) * back / width)
    return np.array(made)


@pytest.mark.parametrize("n", [4, 9, 26, 90])
def test_scores_are_those_of_the_slow_twin(n: int) -> None:
    rng = np.random.default_rng(n)
    honest = crowd(n, n, topics=3)
    vectors = np.concatenate([honest, clique(honest, 4, n)])
    owners = np.sort(rng.integers(0, n, size=len(vectors)))
    table = neighbour_table(vectors, K)
    copies = rng.random(table.indices.shape) < 0.1
    scores, companions, widths = index_campaigns.stand_apart(
        table.indices, table.similarities, owners, copies
    )
    for at, width in enumerate(index_campaigns.WIDTHS):
        slow = slow_scores(vectors, owners, copies, K, width)
        assert scores[:, at] == pytest.approx(slow, abs=1e-5)
    assert scores.max() > 0
    assert scores.shape == (len(vectors), 3)
    assert companions.shape == (len(vectors), 4)
    usual = np.stack([index_campaigns.tail(scores[:, at]) for at in range(3)])
    assert (widths == usual.argmin(axis=0)).all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = neighbour_table(crowd(3, 100), K)
    whole = index_campaigns.stand_apart(table.indices, table.similarities, np.arange(100))
    monkeypatch.setattr(index_campaigns, "BLOCK", 7)
    parts = index_campaigns.stand_apart(table.indices, table.similarities, np.arange(100))
    for one, other in zip(whole, parts, strict=True):
        assert (one == other).all()


# --- how usual a score is -------------------------------------------------------------------------


def test_the_tail_is_calibrated_on_exponential_scores() -> None:
    p_values = index_campaigns.tail(np.random.default_rng(0).exponential(size=50_000))
    for rate in (0.1, 0.01, 0.001):
        share = (p_values <= rate).mean()
        assert rate / 1.35 <= share <= rate * 1.35


@pytest.mark.parametrize("scale", [0.5, 20.0])
def test_the_tail_knows_no_unit(scale: float) -> None:
    scores = np.random.default_rng(0).exponential(size=5000)
    assert index_campaigns.tail(scores * scale) == pytest.approx(
        index_campaigns.tail(scores), rel=1e-9
    )


def test_five_percent_of_poison_do_not_move_the_tail() -> None:
    honest = np.random.default_rng(1).exponential(size=20_000)
    poison = np.full(1000, 30.0)
    clean = index_campaigns.tail(honest)
    p_values = index_campaigns.tail(np.concatenate([honest, poison]))
    assert p_values[20_000:].max() < 1e-9
    for rate in (0.01, 0.002):
        named = (p_values[:20_000] <= rate).sum()
        assert 0.8 * (clean <= rate).sum() <= named <= 1.25 * (clean <= rate).sum()


def test_the_worse_score_never_has_the_larger_p_value() -> None:
    scores = np.sort(np.random.default_rng(2).exponential(size=500))
    p_values = index_campaigns.tail(scores)
    assert (np.diff(p_values) <= 0).all()
    assert p_values.min() > 0
    assert p_values.max() == 1


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_equal_scores_are_all_usual(value: float) -> None:
    assert index_campaigns.tail(np.full(40, value)).tolist() == [1.0] * 40


def test_a_document_is_as_unusual_as_its_least_usual_row_for_all_it_has() -> None:
    scores = np.random.default_rng(3).exponential(size=(40, 1)) * 0.1
    scores[7] = 1.5
    owners = np.array([0] * 10 + [2] * 30)
    p_values, rows = index_campaigns.document_p_values(scores, owners)
    usual = index_campaigns.tail(scores[:, 0])
    assert rows.tolist()[:2] == [7, -1]
    assert p_values[0] == pytest.approx(min(1.0, usual[7] * 10))
    assert p_values[1] == 1.0  # no row is of it
    assert p_values[2] == pytest.approx(min(1.0, usual[10:].min() * 30))


def test_widths_count_by_their_harmonic_mean() -> None:
    scores = np.random.default_rng(3).exponential(size=(60, 3))
    p_values, rows = index_campaigns.document_p_values(scores, np.arange(60))
    each = np.stack([index_campaigns.tail(scores[:, at]) for at in range(3)])
    assert p_values == pytest.approx([min(1.0, 3 / sum(1 / p for p in row)) for row in each.T])
    assert rows.tolist() == list(range(60))


# --- groups ---------------------------------------------------------------------------------------


def test_suspects_that_are_one_anothers_companions_are_one_campaign() -> None:
    # Documents 1-3 know one another, 5 and 6 too; 4 is nobody's; 0 is no suspect.
    documents = np.arange(7)
    rows = np.arange(7)
    companions = np.array([[1, 2], [2, 0], [3, 0], [2, -1], [0, -1], [6, -1], [0, -1]])
    suspects = np.array([False, True, True, True, True, True, True])
    made = index_campaigns.groups(suspects, rows, companions, documents)
    assert made.tolist() == [-1, 0, 0, 0, 1, 2, 2]


def test_nobody_suspected_is_no_campaign() -> None:
    none = np.zeros(3, dtype=bool)
    made = index_campaigns.groups(none, np.arange(3), np.full((3, 4), -1), np.arange(3))
    assert made.tolist() == [-1, -1, -1]


def test_two_cliques_are_two_campaigns() -> None:
    honest = crowd(4)
    vectors = np.concatenate([honest, clique(honest, 4, 4), clique(honest, 3, 40)])
    p_values, rows, companions = judged(vectors)
    suspects = p_values <= 1e-9
    made = index_campaigns.groups(suspects, rows, companions, np.arange(len(vectors)))
    first, second = made[HONEST : HONEST + 4], made[HONEST + 4 :]
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


# --- empty and tiny -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_tiny_inputs_break_nothing_and_accuse_nobody(n: int) -> None:
    vectors = crowd(0, 5, 1)[:n]
    p_values, rows, companions = judged(vectors)
    assert p_values.shape == rows.shape == (n,)
    assert companions.shape == (n, 4)
    assert (p_values > RATE).all()
