"""Measure how far a text and its companions among the newcomers stand out and agree.

Paraphrase neighbours (high cosine, low word overlap) follow RAGSieve's score; the comparison of
newcomers with the reference and the local ratio are ours. The ratio has LOF's shape (Breunig et
al., SIGMOD 2000): how far the surroundings are, over how far the companions are.

Accord is ours: the share of a text's weight that a companion has too, each word weighing the square
of its inverse document frequency (Sparck Jones, "A statistical interpretation of term specificity",
Journal of Documentation 28 (1972)). A template's pages share the words that everybody has and
differ in their subject; a campaign's texts share the subject and the claim. What the reference, and
the next companions, offer of it is ordinary and is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ragguard.model import Bools, CorpusView, Doubles, Evidence, Ints, Neighbours
from ragguard.text.templates import families
from ragguard.text.words import overlaps

# How belief falls where the reference is farther than usual: half is left at `CENTRE` standard
# deviations. An honest batch of manuals beside other documentation that stood out lay between -1.1
# and -0.7, campaigns into a known subject between -0.6 and 1.2 (one in ten lower).
SLOPE, CENTRE = 6.0, -0.5
# Stand-out and excess of accord that an honest batch does not reach by being about something new.
FLAGRANT_RATIO, FLAGRANT_EXCESS = 1.1, 0.2
COPIED = 0.4  # runs of `RUN` words of the shorter text that a copy has, however it was cut
RUN = 4
FEW_SHARED = 0.2  # word Jaccard below which two texts share no runs to speak of


@dataclass(frozen=True)
class Paraphrases:
    """Neighbours that say something close in other words, and how much of the weight they share.

    Attributes:
        values: float64 (n, k), similarities, descending, 0 where absent.
        rows: int64 (n, k), their rows, -1 where absent.
        accords: float64 (n, k), share of each judged row's weight that the neighbour has too.
    """

    values: Doubles
    rows: Ints
    accords: Doubles


def paraphrases(
    view: CorpusView, neighbours: Neighbours, overlap: float, least: int
) -> Paraphrases:
    """Return the neighbours that say something close in other words; worked out once a view.

    Newcomers of a source of tier `low` are no company for those of other sources: else whoever may
    sign for it makes a campaign of any document by writing around it.

    Args:
        neighbours: One of its tables, (n, k).
        overlap: Word Jaccard above which two texts are copies, not paraphrases.
        least: Different words that a text must have to say anything: headings, labels and rulers
            are near to each other for no reason.
    """
    key = (paraphrases, id(neighbours), overlap, least)
    if key not in view.shared:
        view.shared[key] = _paraphrases(view, neighbours, overlap, least)
    rewordings: Paraphrases = view.shared[key]
    return rewordings


def _paraphrases(
    view: CorpusView, neighbours: Neighbours, overlap: float, least: int
) -> Paraphrases:
    n, k = neighbours.indices.shape
    says = np.diff(view.terms.indptr) >= least
    rows = np.repeat(np.arange(n), k)
    columns = neighbours.indices.ravel()
    present = (columns >= 0) & says[rows] & says[np.maximum(columns, 0)]
    weights = _weights(view)
    shared = np.ones(n * k)
    accord = np.zeros(n * k)
    shared[present], accord[present] = overlaps(
        view.terms, weights, rows[present], columns[present]
    )
    copied = np.flatnonzero(present & (shared > FEW_SHARED) & (shared <= overlap))
    present[copied] = runs_shared(view.words, rows[copied], columns[copied]) < COPIED
    if neighbours is view.newcomers:
        present &= _vouched(view, rows, columns)
    present &= ~families(view).same(rows, columns)  # a template is nobody's claim
    kept = (present & (shared <= overlap)).reshape(n, k)
    values = np.where(kept, np.clip(neighbours.similarities, 0.0, 1.0), 0.0).astype(np.float64)
    order = np.argsort(-values, axis=1, kind="stable")
    indices = np.where(kept, neighbours.indices, -1)
    agreed = np.where(kept, accord.reshape(n, k), 0.0)
    return Paraphrases(
        np.take_along_axis(values, order, axis=1),
        np.take_along_axis(indices, order, axis=1),
        np.take_along_axis(agreed, order, axis=1),
    )


def _vouched(view: CorpusView, rows: Ints, columns: Ints) -> Bools:
    """Tell whether a neighbour's source is vouched for no less than the row's own, bool (p,)."""
    low = np.array([source in view.low for source in view.sources])
    documents = view.documents
    vouched: Bools = ~low[documents[columns]] | low[documents[rows]]
    return vouched


def runs_shared(texts: Sequence[Sequence[str]], left: Ints, right: Ints) -> Doubles:
    """Share of the shorter text's runs of words that both have, for pairs of texts, float64 (p,).

    Licences, menus and one page in two formats are cut at different places; they share few of all
    their words, but whole runs of them, which nobody does who says it in other words.

    Args:
        texts: Words of each text, in their order.
        left: int64 (p,), numbers of texts.
        right: int64 (p,), likewise.
    """
    runs: dict[int, set[tuple[str, ...]]] = {}
    for row in {*left.tolist(), *right.tolist()}:
        words = texts[row]
        runs[row] = set(zip(*(words[i:] for i in range(RUN)), strict=False))
    return np.array(
        [
            len(runs[a] & runs[b]) / max(1, min(len(runs[a]), len(runs[b])))
            for a, b in zip(left.tolist(), right.tolist(), strict=True)
        ]
    )


def _weights(view: CorpusView) -> Doubles:
    """Squared inverse document frequency of each word of the view, float64 (vocabulary,).

    Counted are the passages of the index and those that are judged: what a whole batch speaks of
    is no accord of a few.
    """
    if _weights not in view.shared:
        known = view.lexicon.words
        counts = np.zeros(view.terms.shape[1])
        vocabulary = dict.fromkeys(chain.from_iterable(view.words))
        counts[: len(vocabulary)] = [known.get(word, 0) for word in vocabulary]
        total = max(view.lexicon.documents, max(known.values(), default=0))
        if not view.lexicon.includes_batch:
            counts += np.asarray(view.terms[: view.n].sum(axis=0)).ravel()
            total += view.n
        view.shared[_weights] = np.log((total + 1.0) / (counts + 1.0)).clip(0.0) ** 2
    weights: Doubles = view.shared[_weights]
    return weights


def accord_excess(near: Paraphrases, known: Paraphrases, view: CorpusView, width: int) -> Doubles:
    """Tell how much more of its weight a text shares with its companions than is ordinary.

    Args:
        near: Among the newcomers, (n, k).
        known: In the reference.
        width: Companions of the widest campaign; the mean over campaigns of two to `width` counts.

    Returns:
        float64 (n,) in [0, 1]: mean accord with the companions less what the reference, or the next
        companions, offer; at most what two of the companions bear out.
    """
    agreed, rows = distinct(near.accords, near.rows, view.documents, by_value=True)
    usual = -np.sort(-known.accords, axis=1)
    excesses = []
    for some in range(2, width + 1):
        after = agreed[:, 2 * some + 1 : 3 * some + 1]
        beyond = after.mean(axis=1) if after.shape[1] else np.zeros(len(agreed))
        offered = np.maximum(usual[:, :some].mean(axis=1), beyond)
        excesses.append(np.maximum(agreed[:, :some].mean(axis=1) - offered, 0.0))
    excess: Doubles = np.mean(excesses, axis=0)
    company = rows[:, :width]
    judged = (company >= 0) & (company < view.n)
    theirs = np.where(
        judged, excess[np.where(judged, company, 0)], np.where(company >= 0, 1.0, 0.0)
    )
    best = -np.sort(-theirs, axis=1)[:, :2]
    borne_out: Doubles = np.minimum(excess, best.mean(axis=1))
    return borne_out


def stand_out(
    view: CorpusView, near: Doubles, known: Doubles, companions: int, softening: float
) -> Doubles:
    """Log-ratio of the surroundings' distance to the companions' distance.

    The surroundings are what the reference has nearest, or the newcomers beyond twice the
    companions, whichever is nearer. See `believed` for where the reference hardly knows the region.

    Args:
        near: Paraphrase similarities among the newcomers, (n, k), descending.
        known: The same in the reference.
        companions: How many companions are averaged.
        softening: Added to the companions' distance.

    Returns:
        float64 (n,), at least 0.
    """
    width = min(companions, near.shape[1])
    beyond = near[:, 2 * width + 1] if near.shape[1] > 2 * width + 1 else np.zeros(len(near))
    floor = np.maximum(beyond, known[:, :width].mean(axis=1))
    around = np.maximum(1.0 - floor, 1e-9)  # 0 where the encoder cannot tell two texts apart
    ratio = np.log(around / (1.0 - near[:, :width].mean(axis=1) + softening))
    return believed(view, np.maximum(ratio, 0.0), known, FLAGRANT_RATIO)


def distinct(
    values: Doubles, rows: Ints, documents: Ints, by_value: bool = False
) -> tuple[Doubles, Ints]:
    """Return a table with the nearest chunk of each other document only: companions are documents.

    Args:
        values: float64 (n, k), descending.
        rows: int64 (n, k), -1 where absent.
        documents: int64 (m,), document of every row.
        by_value: Sort by value first.

    Returns:
        The same shapes; what is left out is 0 and -1 at the end.
    """
    if by_value:
        order = np.argsort(-values, axis=1, kind="stable")
        values = np.take_along_axis(values, order, axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
    owner = np.where(rows >= 0, documents[np.maximum(rows, 0)], -1)
    again = np.zeros(rows.shape, dtype=bool)
    for column in range(1, rows.shape[1]):
        again[:, column] = (owner[:, :column] == owner[:, column : column + 1]).any(axis=1)
    kept = (rows >= 0) & ~again
    order = np.argsort(~kept, axis=1, kind="stable")
    return (
        np.take_along_axis(np.where(kept, values, 0.0), order, axis=1),
        np.take_along_axis(np.where(kept, rows, -1), order, axis=1),
    )


def mutual(alone: Doubles, companions: Ints, near: Ints, documents: Ints) -> Doubles:
    """Tell what of a stand-out is borne out by the companions.

    A campaign's documents stand out each by itself, and have one another for companions. An honest
    document beside a campaign has it for company, but the campaign's own companions are elsewhere.
    So a document scores no more than its companions do on average, times the share of companions
    that count it among their nearest. Companions that are not judged (admitted lately) are taken at
    the document's own word; what waits in quarantine is judged beside the batch, like any newcomer.

    Args:
        alone: float64 (n,), stand-out of each judged row.
        companions: int64 (n, c), rows of each row's companions, -1 where there are fewer.
        near: int64 (n, m), the rows nearest to each judged row.
        documents: int64 (r,), document of every row; any chunk of it will do.

    Returns:
        float64 (n,), at most `alone`.
    """
    n = len(alone)
    judged = (companions >= 0) & (companions < n)
    safe = np.where(judged, companions, 0)
    number = judged.sum(axis=1)
    theirs = np.where(judged, alone[safe], 0.0).sum(axis=1) / np.maximum(number, 1)
    back = np.zeros(n)
    owner = np.where(near >= 0, documents[np.maximum(near, 0)], -1)
    for column in range(companions.shape[1]):
        known = (owner[safe[:, column]] == documents[:n, None]).any(axis=1)
        back += judged[:, column] & known
    share = np.where(number > 0, back / np.maximum(number, 1), 1.0)
    scores: Doubles = np.where(number > 0, np.minimum(alone, theirs), alone) * share
    return scores


def believed(view: CorpusView, scores: Doubles, known: Doubles, flagrant: float) -> Doubles:
    """Tell what of a score is believed, as far as the reference knows the region.

    A batch on a subject that the corpus never had is dense among itself for an honest reason; how
    dense is usual there, nothing tells. What is beyond that reason anywhere counts.

    Args:
        scores: float64 (n,), at least 0.
        known: Similarities of the paraphrases in the reference, (n, k), descending.
        flagrant: What honest batches on new subjects do not reach.

    Returns:
        float64 (n,), at most `scores`.
    """
    belief = familiarity(view, known[:, :4].mean(axis=1))
    believed_scores: Doubles = belief * scores + (1.0 - belief) * np.maximum(scores - flagrant, 0.0)
    return believed_scores


def familiarity(view: CorpusView, trusted: Doubles) -> Doubles:
    """Tell how well the reference knows each chunk's region, in (0, 1); 1 without a reference.

    Args:
        view: The view; its lexicon says how near neighbours usually are.
        trusted: Mean similarity to the nearest paraphrases in the reference, (n,).
    """
    mean, deviation = view.lexicon.closeness
    if not np.isfinite(mean) or deviation <= 0:
        return np.ones(view.n)
    z = (trusted - mean) / deviation
    weight: Doubles = 1.0 / (1.0 + np.exp(-SLOPE * (z - CENTRE)))
    return weight


def companions_evidence(
    view: CorpusView, near: Doubles, rows: Ints, row: int, width: int
) -> Evidence:
    """Return the sentence and the companions' names for a row."""
    companions = [int(r) for r in rows[row, :width] if r >= 0]
    names = [view.labels[view.documents[r]] for r in companions]
    close = [round(float(s), 3) for s in near[row, : len(companions)]]
    waiting = sum(view.zones[r] == "quarantine" for r in companions)
    lately = sum(view.zones[r] == "recent" for r in companions)
    also = f", {waiting} of them waiting in quarantine" if waiting else ""
    also += f", {lately} of them admitted lately" if lately else ""
    return Evidence(
        f"says the same as {len(companions)} other newcomers in different words (similarity "
        f"{close[0] if close else 0:.2f}){also}, closer than documents on this subject usually "
        "are: "
        f"{', '.join(names[:3])}",
        {"companions": names, "similarities": close},
    )
