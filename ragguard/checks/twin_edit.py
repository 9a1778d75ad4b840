"""Near twins: an existing text again, with a number, a name or a "not" changed.

The edit keeps the vector and the words, so it inherits the honest text's rank in every search. A
changed name can move the vector of a short passage a long way; so twins are told by the words they
share, not by their similarity. Texts are lined up word by word (`kernels.diff`), and each place
that differs is asked what kind of thing changed (`kernels.facts`). One substitution made throughout
is one change.

Honest texts that look alike and are none of it:
- Mirrors and releases: nothing changed but where the text was cut. A text that the index already
  has word for word is nobody's edit, whatever else arrives.
- Templates, tables of yearly figures, licences: the index shows several fillers of the same place,
  so the place is a blank to be filled in, not a fact.
- Revisions: many places changed.
Which of two twins is the honest one this check cannot know; it flags the newcomer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.diff import Change, Difference, difference, join, tokens
from ragguard.kernels.facts import kind
from ragguard.kernels.text import jaccard
from ragguard.model import CorpusView, Evidence, Signal

BLANK = 2.1  # different fillers of one place from which it is a template's blank
_FACTS = frozenset({"number", "name", "sense", "term"})


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.twin_edit]."""

    similarity: float = 0.45  # cosine from which a neighbour may be a twin
    overlap: float = 0.45  # share of the shorter text's words that both have
    order: float = 0.4  # share of the shorter text's word pairs that both have
    part: float = 0.3  # share of the newcomer's words that both have
    twins: int = 6  # closest twins compared
    edits: int = 6  # more different changes than this are a rewrite, not an edit
    covered: float = 0.5  # share of the newcomer that must be the twin's
    torn: float = 0.15  # share not covered from which two pieces of one document are joined
    longer: int = 3  # words by which a changed fact may grow or shrink
    enough: int = 40  # shared words beyond which more prove no more: a passage may be short
    wording: float = 0.35  # what a change of wording counts, where one of a fact counts 1
    noise: float = 1.1  # likeness that says nothing; honest near-copies and templates stay below
    place: float = 0.6  # what each change beyond the first takes off


@dataclass(frozen=True)
class _Twin:
    """A text that a newcomer was lined up with."""

    row: int
    indexed: bool
    found: Difference


@check("twin_edit", family="conflict", params=Params, unit=0.5)
def twin_edit(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how exactly it copies another but for a changed fact.

    Returns:
        Raw scores, float64 (n,): log(shared words / changed words), less `place` for each change
        beyond the first, times the share of the chunk that the twin covers, squared: honest twins,
        which differ in more, are not to set the scale of the tail. 0 where no fact changed or
        nothing else is alike.

    Raises:
        NotApplicable: Nothing to compare with.
    """
    if not any((t.indices >= 0).any() for t in (view.reference, view.newcomers)):
        raise NotApplicable("nothing to compare with")
    scores = np.zeros(view.n)
    found: dict[int, tuple[str, list[tuple[str, str]]]] = {}
    cut: dict[int, list[str]] = {}
    pairs: dict[int, set[tuple[str, str]]] = {}
    for row, rows in _candidates(view, params).items():
        # Texts that share words, but in another order, are not lined up at all.
        mine = set(pairwise(view.words[row]))
        near: list[int] = []
        for other in rows:
            if other not in pairs:
                pairs[other] = set(pairwise(view.words[other]))
            if len(mine & pairs[other]) >= params.order * min(len(mine), len(pairs[other])):
                near.append(other)
        if not near:
            continue
        ours = tokens(view.texts[row])
        twins: list[_Twin] = []
        for other in near:
            if other not in cut:
                cut[other] = tokens(view.texts[other])
            indexed = view.zones[other] == "serving"
            twins.append(_Twin(other, indexed, difference(ours, cut[other])))
        twins += _joined(twins, ours, cut, view, params)
        if any(t.indexed and not t.found.changes and not t.found.uncovered for t in twins):
            continue
        fillers = _fillers(twins, params)
        for twin in twins:
            score, facts = _score(twin.found, len(ours), fillers, view, params)
            if score > scores[row]:
                scores[row] = score
                found[row] = (view.labels[int(view.documents[twin.row])], facts)

    def explain(row: int) -> Evidence:
        other, facts = found.get(row, ("", []))
        shown = "; ".join(
            f"{theirs or '(nothing)'!r} became {ours or '(nothing)'!r}"
            for ours, theirs in facts[:3]
        )
        return Evidence(
            f"a copy of {other} in which {shown}", {"twin": other, "changes": facts[:8]}
        )

    return Signal(np.maximum(scores - params.noise, 0.0), explain)


def _candidates(view: CorpusView, params: Params) -> dict[int, list[int]]:
    """For each judged row that has any: rows that share its words, the most alike first."""
    tables = (view.reference, view.newcomers)
    left = np.concatenate([np.repeat(np.arange(view.n), t.indices.shape[1]) for t in tables])
    right = np.concatenate([t.indices.ravel() for t in tables])
    close = np.concatenate([t.similarities.ravel() for t in tables])
    kept = (right >= 0) & (close >= params.similarity)
    left, right = left[kept], right[kept]
    overlaps = jaccard(view.terms, left, right).astype(np.float64)
    sizes = np.diff(view.terms.indptr).astype(np.float64)
    both = overlaps * (sizes[left] + sizes[right]) / (1.0 + overlaps)
    least = np.maximum(1.0, np.minimum(sizes[left], sizes[right]))
    alike = (both >= params.overlap * least) & (both >= params.part * sizes[left])
    pairs: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for a, b, overlap in zip(
        left[alike].tolist(), right[alike].tolist(), overlaps[alike].tolist(), strict=True
    ):
        pairs[a].append((-overlap, b))
    return {a: [b for _, b in sorted(found)[: params.twins]] for a, found in pairs.items()}


def _joined(
    twins: list[_Twin],
    ours: list[str],
    cut: dict[int, list[str]],
    view: CorpusView,
    params: Params,
) -> list[_Twin]:
    """Twins of which each covers a part, read as one text: ours was cut elsewhere than theirs."""
    parts: dict[int, list[_Twin]] = defaultdict(list)
    for twin in twins:
        if twin.found.uncovered > params.torn * len(ours):
            parts[int(view.documents[twin.row])].append(twin)
    found: list[_Twin] = []
    for same in parts.values():
        if len(same) < 2:
            continue
        a, b = same[0], same[1]
        orders = [join(cut[a.row], cut[b.row]), join(cut[b.row], cut[a.row])]
        found_in = [difference(ours, both) for both in orders]
        best = max(found_in, key=lambda d: (d.shared, -d.moved, -len(d.changes)))
        found.append(_Twin(a.row, a.indexed, best))
    return found


def _fillers(twins: list[_Twin], params: Params) -> dict[int, Counter[tuple[str, ...]]]:
    """For each token of ours that indexed twins replace: what they have there, and how often."""
    found: dict[int, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for twin in twins:
        if not twin.indexed or len(twin.found.changes) > 2 * params.edits:
            continue  # five edits of one text, arriving together, are not a template
        for change in twin.found.changes:
            if not change.ours or abs(len(change.ours) - len(change.theirs)) > params.longer:
                continue
            for at in range(change.start, change.start + len(change.ours)):
                found[at][_lower(change.theirs)] += 1
    return found


def _is_blank(change: Change, fillers: dict[int, Counter[tuple[str, ...]]]) -> bool:
    """Whether indexed twins fill a place with different things, none of them the rule.

    The measure is the effective number of fillers, one over the sum of their squared shares: that
    of a fact and its mirrors stays near one when a stray copy has something else.
    """
    counts = fillers.get(change.start)
    if not counts:
        return False
    total = sum(counts.values())
    return total**2 / sum(c * c for c in counts.values()) >= BLANK


def _score(
    found: Difference,
    size: int,
    fillers: dict[int, Counter[tuple[str, ...]]],
    view: CorpusView,
    params: Params,
) -> tuple[float, list[tuple[str, str]]]:
    """Raw score of one twin, and the changed facts (ours, theirs)."""
    facts: dict[frozenset[tuple[str, ...]], Change] = {}
    costs: dict[frozenset[tuple[str, ...]], tuple[float, float]] = {}
    lexicon = view.lexicon
    for change in found.changes:
        ours, theirs = _lower(change.ours), _lower(change.theirs)
        # Sorted: words that change places, left out here and put in there, are one change.
        pair = frozenset((tuple(sorted(ours)), tuple(sorted(theirs))))
        if pair in costs:
            continue
        what = kind(change.ours, change.theirs, change.start == 0, lexicon.words, lexicon.documents)
        # More words added, dropped or put in the place of one are a revision.
        fact = what in _FACTS and abs(len(ours) - len(theirs)) <= params.longer
        weight = 1.0 if fact else params.wording
        costs[pair] = weight, weight * max(len(ours), len(theirs))
        if fact and not _is_blank(change, fillers):
            facts[pair] = change
    covered = (size - found.uncovered) / max(1, size)
    if not facts or len(costs) > params.edits or covered < params.covered:
        return 0.0, []
    places = sum(place for place, _ in costs.values())
    changed = sum(words for _, words in costs.values())
    exact = float(np.log((min(found.shared, params.enough) + 1.0) / (changed + 1.0)))
    score = covered * (exact - params.place * max(0.0, places - 1.0))
    shown = [(" ".join(c.ours[:6]), " ".join(c.theirs[:6])) for c in facts.values()]
    return max(0.0, score) ** 2, shown


def _lower(piece: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(t.lower() for t in piece)
