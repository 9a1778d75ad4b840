"""Find an existing text again, with a number, a date, a name or a "not" changed.

The edit keeps the vector and the words, so it inherits the honest text's rank in every search. A
changed name can move the vector of a short passage a long way; so twins are told by the words they
share, not by their similarity. Texts are lined up word by word (`text.diff`), and each place
that differs is asked what kind of fact changed, if any (`text.fact_kinds`). It counts where the
sentence around it is otherwise the same in both texts. One substitution made throughout is one
change.

Honest texts that look alike and are none of it:
- Mirrors and releases: nothing changed but where the text was cut. A text that the index already
  has word for word is nobody's edit, whatever else arrives.
- Templates, tables of yearly figures, licences: others fill the same place with other things, so
  it is a blank to be filled in, not a fact. Within a family of pages (`text.templates`) only what
  the family never varies counts; across sources one other filling in the index is not enough.
- Pages of one source about different things: the page's own name or title is what changed, or only
  a part of the page is the other's. A source repeats itself, so within one only a copy of the whole
  document counts.
- Revisions: many places changed, words put in or left out.
Which of two twins is the honest one this check cannot know; it flags the newcomer.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.diff import (
    Change,
    Difference,
    Sentences,
    difference,
    join,
    sentences,
    surroundings,
    tokens,
)
from ragguard.text.fact_kinds import LEGAL_WORDS, LONGER, kind
from ragguard.text.templates import families
from ragguard.text.words import jaccard

BLANK = 2.1  # different fillers of one place from which it is a template's blank
MEMBERS = 40  # texts of a family asked what they have in a place
CONSTANT = 0.8  # share of them that must agree on it
SHOUTED = 0.5  # share of capitals in a sentence from which they say nothing
_OWNERSHIP = re.compile(r"\b(?:copyright|copyrighted|all rights reserved)\b", re.IGNORECASE)
_UNCAPITALISED = re.compile(r"(?<![\w.])[^\W\d_A-Z][^\W\d_A-Z]+(?![\w.]\w)")
_VERSION = re.compile(r"\d+(?:\.\d+)+")
LONGEST_TITLE = 120  # characters
_SENTENCE = re.compile(r"[.!?][\"'*_]*$")
NEAR = 8  # words around a change in which a claim of ownership makes it one
# Score, and an upper 95 % bound (Clopper-Pearson, one-sided) of the ordinary documents that
# score more. Of 14,301: documentation, web pages, manual pages, licences and READMEs of packages,
# abstracts and encyclopaedia passages; half of each corpus arriving from another source than the
# half that is indexed, a tenth from the same, and first imports.
RATES = (
    (0.0, 0.0026),
    (0.5, 0.0017),
    (1.0, 0.0016),
    (1.5, 0.0011),
    (2.5, 0.0009),
    (3.0, 0.0008),
    (3.5, 0.0007),
    (7.0, 0.0004),
)
LEGAL = 3  # different ones of these words from which two texts are such


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
    whole: float = 0.8  # and of its document, where both are of one source
    torn: float = 0.15  # share not covered from which two pieces of one document are joined
    context: int = 5  # words of a changed fact's sentence that both texts have
    alone: int = 10  # words of a line, sentence or not, of a text that differs in one fact alone
    slack: float = 0.15  # words of that sentence that may differ elsewhere, of those it keeps
    enough: int = 40  # shared words beyond which more prove no more: a passage may be short
    wording: float = 0.35  # what a change of wording counts, where one of a fact counts 1
    noise: float = 1.1  # likeness that says nothing; honest near-copies and templates stay below
    place: float = 1.0  # what each change beyond the first takes off


@dataclass(frozen=True)
class _Twin:
    """A text that a newcomer was lined up with."""

    row: int
    indexed: bool
    found: Difference


Pair = frozenset[tuple[str, ...]]


@check("twin_edit", family="conflict", params=Params, unit=0.5)
def twin_edit(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how exactly it copies another but for a changed fact.

    Returns:
        Raw scores, float64 (n,): log(shared words / changed words), less `place` for each change
        beyond the first, times the share of the chunk that the twin covers, squared: honest twins,
        which differ in more, are not to set the scale of the tail. 0 where no fact changed or
        nothing else is alike. `p_values` are bounds measured on ordinary documents, see `RATES`.

    Raises:
        NotApplicable: Nothing to compare with.
    """
    if not any((t.indices >= 0).any() for t in (view.reference, view.newcomers)):
        raise NotApplicable("nothing to compare with")
    bench = _Bench(view, params)
    lined = bench.line_up()
    whole = bench.copied(lined)
    scores = np.zeros(view.n)
    edits: dict[int, tuple[str, list[tuple[str, str]]]] = {}
    for row, twins in lined.items():
        fillers = _fillers(twins, params)
        for twin in twins:
            here = int(view.documents[row]), int(view.documents[twin.row])
            own = view.sources[here[0]] == view.sources[here[1]]
            if own and whole.get(here, 0.0) < params.whole:
                continue
            score, facts = bench.score(row, twin, fillers, own)
            if score > scores[row]:
                scores[row] = score
                edits[row] = (view.labels[here[1]], facts)

    def explain(row: int) -> Evidence:
        other, facts = edits.get(row, ("", []))
        shown = "; ".join(
            f"{theirs or '(nothing)'!r} became {ours or '(nothing)'!r}"
            for ours, theirs in facts[:3]
        )
        return Evidence(
            f"a copy of {other} in which {shown}", {"twin": other, "changes": facts[:8]}
        )

    scores = np.maximum(scores - params.noise, 0.0)
    bounds = np.array([1.0, *(bound for _, bound in RATES)])
    # A score counts as one step's only where it is above it: ordinary ones were counted so.
    p_values = bounds[np.searchsorted([step for step, _ in RATES], scores, side="left")]
    return Signal(scores, explain, p_values)


class _Bench:
    """Texts of a view cut into tokens, each once, and lined up."""

    def __init__(self, view: CorpusView, params: Params) -> None:
        self._view = view
        self._params = params
        self._cut: dict[int, list[str]] = {}
        self._sentences: dict[int, Sentences] = {}
        self._same: dict[int, list[int]] = {}
        self._ordinary: set[str] | None = None

    def line_up(self) -> dict[int, list[_Twin]]:
        """List each judged row with the texts it is alike; none where one is the same."""
        view, params = self._view, self._params
        pairs: dict[int, set[tuple[str, str]]] = {}
        lined: dict[int, list[_Twin]] = {}
        for row, rows in _candidates(view, params).items():
            # Texts that share words, but in another order, are not lined up at all.
            mine = set(pairwise(view.words[row]))
            near: list[int] = []
            for other in rows:
                if self._waits_and_came_later(row, other):
                    continue
                if other not in pairs:
                    pairs[other] = set(pairwise(view.words[other]))
                if len(mine & pairs[other]) >= params.order * min(len(mine), len(pairs[other])):
                    near.append(other)
            if not near:
                continue
            ours = self.tokens(row)
            twins = [
                _Twin(other, view.zones[other] == "serving", difference(ours, self.tokens(other)))
                for other in near
            ]
            twins += _joined(
                twins, ours, {other: self.tokens(other) for other in near}, view, params
            )
            same = [t.row for t in twins if t.indexed and _is_same(t.found)]
            if same:
                self._same[row] = same
            else:
                lined[row] = twins
        return lined

    def _waits_and_came_later(self, row: int, other: int) -> bool:
        """Tell whether a text is no witness against one that was there before it.

        What waits undecided may be a copy that somebody made to discredit the original.
        """
        view = self._view
        if view.zones[other] != "quarantine":
            return False
        mine, theirs = (view.labels[int(view.documents[r])] for r in (row, other))
        return view.first.get(mine, math.inf) < view.first.get(theirs, -math.inf)

    def copied(self, lined: dict[int, list[_Twin]]) -> dict[tuple[int, int], float]:
        """Return the share of a judged document that another has too, by (document, document).

        Passages that the other has word for word are the most of it: an edit is in one of many.
        """
        view = self._view
        sizes: Counter[int] = Counter()
        asked = {int(view.documents[row]) for row in (*lined, *self._same)}
        for row in np.flatnonzero(np.isin(view.documents[: view.n], list(asked))).tolist():
            sizes[int(view.documents[row])] += len(self.tokens(row))
        shared: Counter[tuple[int, int]] = Counter()
        for row, twins in lined.items():
            best: Counter[int] = Counter()
            for twin in twins:
                other = int(view.documents[twin.row])
                best[other] = max(best[other], twin.found.shared)
            for other, count in best.items():
                shared[int(view.documents[row]), other] += count
        for row, rows in self._same.items():
            for other in {int(view.documents[r]) for r in rows}:
                shared[int(view.documents[row]), other] += len(self.tokens(row))
        return {pair: count / max(1, sizes[pair[0]]) for pair, count in shared.items()}

    def tokens(self, row: int) -> list[str]:
        """List tokens of a row."""
        if row not in self._cut:
            self._cut[row] = tokens(self._view.prose[row])
        return self._cut[row]

    def _where(self, row: int) -> Sentences:
        if row not in self._sentences:
            self._sentences[row] = sentences(self._view.prose[row])
        return self._sentences[row]

    def score(
        self,
        row: int,
        twin: _Twin,
        fillers: dict[int, Counter[tuple[str, ...]]],
        own_source: bool,
    ) -> tuple[float, list[tuple[str, str]]]:
        """Raw score of one twin, and the changed facts (ours, theirs)."""
        params, diff = self._params, twin.found
        # The twin has them as well: nobody buys himself off with a few of these words.
        both = set(self._view.words[row]).intersection(self._view.words[twin.row])
        if len(both & LEGAL_WORDS) >= LEGAL:
            return 0.0, []
        ordinary = self._lower_cased()
        facts: dict[Pair, Change] = {}
        costs: dict[Pair, tuple[float, float]] = {}
        for change in diff.changes:
            ours, theirs = _lower(change.ours), _lower(change.theirs)
            # Sorted: words that change places, left out here and put in there, are one change.
            pair = frozenset((tuple(sorted(ours)), tuple(sorted(theirs))))
            if pair in facts:
                continue
            fact = self._is_fact(row, diff, change, ordinary)
            weight = 1.0 if fact else params.wording
            costs[pair] = weight, weight * max(len(ours), len(theirs))
            if fact and not _is_blank(change, fillers):
                facts[pair] = change
        size = len(self.tokens(row))
        covered = (size - diff.uncovered) / max(1, size)
        if not facts or len(costs) > params.edits or covered < params.covered:
            return 0.0, []
        if own_source and self._excused(row, twin, facts):
            return 0.0, []
        places = sum(place for place, _ in costs.values())
        changed = sum(words for _, words in costs.values())
        exact = float(np.log((min(diff.shared, params.enough) + 1.0) / (changed + 1.0)))
        score = covered * (exact - params.place * max(0.0, places - 1.0))
        shown = [(" ".join(c.ours[:6]), " ".join(c.theirs[:6])) for c in facts.values()]
        return max(0.0, score) ** 2, shown

    def _is_fact(
        self, row: int, diff: Difference, change: Change, ordinary: Container[str]
    ) -> bool:
        """Tell whether a change is one of a fact, in a sentence that both texts have otherwise."""
        change_kind = kind(change.ours, change.theirs, ordinary)
        if change_kind == "wording":
            return False
        where = self._where(row)
        near = self.tokens(row)[max(0, change.start - NEAR) : change.start + NEAR]
        if _OWNERSHIP.search(" ".join(near)):
            return False
        at = min(change.start, len(where.of) - 1)
        distinct = {(_lower(c.ours), _lower(c.theirs)) for c in diff.changes}
        flowing = where.lines.count(where.lines[at]) >= self._params.alone
        if len(distinct) == 1 and not diff.uncovered and flowing:
            return True
        number = where.of[at]
        if not where.prose[number]:
            return False
        around = surroundings(diff, change, where.of)
        if around.kept < self._params.context:
            return False
        if around.other > max(1.0, self._params.slack * around.kept):
            return False
        tokens = [t for t, n in zip(self.tokens(row), where.of, strict=True) if n == number]
        return change_kind != "name" or sum(t.isupper() for t in tokens) <= SHOUTED * len(tokens)

    def _excused(self, row: int, twin: _Twin, facts: dict[Pair, Change]) -> bool:
        """Whether a source may well have two such pages: about other things, or of one template."""
        view = self._view
        document = int(view.documents[row])
        first = int(np.searchsorted(view.documents[: view.n], document))
        name = _named(view.labels[document].partition("/")[2]) | _named(_title(view.texts[first]))
        ours = {t for change in facts.values() for t in _lower(change.ours)}
        theirs = {t for change in facts.values() for t in _lower(change.theirs)}
        if (ours - theirs) & name:
            return True
        family = families(view)
        if family.of[row] < 0 or family.of[row] != family.of[twin.row]:
            return False
        members = np.flatnonzero(family.of == family.of[row])
        members = members[~np.isin(view.documents[members], [document, view.documents[twin.row]])]
        return not any(
            self._is_constant(row, change, members[:MEMBERS].tolist()) for change in facts.values()
        )

    def _is_constant(self, row: int, change: Change, members: list[int]) -> bool:
        """Tell whether the other texts of a family all have in a place what the twin has there."""
        ours = [t.lower() for t in self.tokens(row)]
        end = change.start + len(change.ours)
        before, after = ours[max(0, change.start - 2) : change.start], ours[end : end + 2]
        theirs = list(_lower(change.theirs))
        wanted = [*before, *theirs, *after]
        asked = same = 0
        for member in members:
            text = [t.lower() for t in self.tokens(member)]
            starts = [i for i in range(len(text)) if text[i : i + len(before)] == before]
            if not starts:
                continue
            asked += 1
            same += any(text[i : i + len(wanted)] == wanted for i in starts)
        return asked >= 2 and same >= CONSTANT * asked

    def _lower_cased(self) -> set[str]:
        """Words that judged texts write in small letters somewhere: a capital makes no name."""
        if self._ordinary is None:
            written = {piece for text in self._view.prose for piece in text.split()}
            words = set(_UNCAPITALISED.findall(" ".join(written)))  # it spans no white space
            self._ordinary = {word for word in words if word.islower()}
        return self._ordinary


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
    return {a: [b for _, b in sorted(matches)[: params.twins]] for a, matches in pairs.items()}


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
    joined: list[_Twin] = []
    for same in parts.values():
        if len(same) < 2:
            continue
        a, b = same[0], same[1]
        orders = [join(cut[a.row], cut[b.row]), join(cut[b.row], cut[a.row])]
        found_in = [difference(ours, both) for both in orders]
        best = max(found_in, key=lambda d: (d.shared, -d.moved, -len(d.changes)))
        joined.append(_Twin(a.row, a.indexed, best))
    return joined


def _fillers(twins: list[_Twin], params: Params) -> dict[int, Counter[tuple[str, ...]]]:
    """For each token of ours that indexed twins replace: what they have there, and how often."""
    fillers: dict[int, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for twin in twins:
        if not twin.indexed or len(twin.found.changes) > 2 * params.edits:
            continue  # five edits of one text, arriving together, are not a template
        for change in twin.found.changes:
            if not change.ours or abs(len(change.ours) - len(change.theirs)) > LONGER:
                continue
            for at in range(change.start, change.start + len(change.ours)):
                fillers[at][_lower(change.theirs)] += 1
    return fillers


def _is_same(diff: Difference) -> bool:
    return not diff.changes and not diff.uncovered


def _is_blank(change: Change, fillers: dict[int, Counter[tuple[str, ...]]]) -> bool:
    """Tell whether indexed twins fill a place with different things, none of them the rule.

    The measure is the effective number of fillers, one over the sum of their squared shares: that
    of a fact and its mirrors stays near one when a stray copy has something else.
    """
    counts = fillers.get(change.start)
    if not counts:
        return False
    total = sum(counts.values())
    return total**2 / sum(c * c for c in counts.values()) >= BLANK


def _title(text: str) -> str:
    """Return the first line of a document, if it is a heading and no sentence."""
    lines = text.lstrip().split("\n", 1)
    heading = re.sub(r"^[#=*\s]+", "", lines[0])
    return heading if len(heading) <= LONGEST_TITLE and not _SENTENCE.search(heading) else ""


def _named(text: str) -> set[str]:
    """What a file's name or a title names: its words, numbers, and what a version begins with."""
    low = text.lower()
    versions = (v.split(".") for v in _VERSION.findall(low))
    begun = {".".join(parts[:n]) for parts in versions for n in range(2, len(parts) + 1)}
    return {*tokens(low), *re.findall(r"[^\W\d_]+|\d+", low), *begun}


def _lower(piece: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(t.lower() for t in piece)
