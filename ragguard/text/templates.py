"""Group texts of one template, which share a skeleton of words and differ in their slots.

"X is a city in Y County", pages of a distribution, job titles, releases, pages of an interface:
tight together and full of the same words, yet each about something else. A campaign is the
opposite: its texts are about one thing and differ in their words. So two things are asked:

- Form. Texts of one source share their word pairs (numbers count as one word) far beyond what a
  subject explains, and at least `FEWEST` documents do. What the texts have between the shared pairs
  are the slots, and these must differ from document to document: copies are no family.
- Subject. The words that most of the documents share, in the skeleton or not, must not be the rare
  ones: of the weight of a text's words (squared idf, counted outside the family) enough must lie in
  words that are its own. Texts that answer one question share its words, whatever template is
  put around them. Where many campaigns use one template this holds for two texts of one campaign,
  so the words that are a text's own must differ between two texts as well, or they do not count
  as texts of one template (`Families.same`).

What this cannot tell: a campaign of one source in a template, each text of which carries rare words
of its own that have nothing to do with its claim. Such texts look like a family; they are then no
longer evidence against each other, and only against what they contradict. Nor does it see
a template whose skeleton is less than about half of the text, or one whose documents are so few, or
so far apart for the encoder, that they are not among each other's neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np

from ragguard.model import Bools, CorpusView, Ints
from ragguard.text.words import jaccard

FEWEST = 4  # documents of a family
WORDS = 0.3  # word Jaccard of two of its texts, at least
PAIRS = 0.35  # word pairs they share, of those of the longer one
SHORTEST = 8  # word pairs of a text that can show a form
HELD = 0.5  # share of the documents from which a word pair belongs to the skeleton
SKELETON = 0.5  # share of a text's words that the skeleton covers
COMMON = 0.6  # share of the documents from which a word is what they have in common
SUBJECT = 0.25  # share of a text's weight that is its own
APART = 0.25  # share of the lighter text's own weight from which two are about one thing
KNOWN = 300  # documents from which the corpus tells how rare a word is


@dataclass(frozen=True)
class TemplateFamilies:
    """The families among the rows of a view.

    Attributes:
        of: int64 (m,), family of each row, -1 for none.
        skeletons: Word pairs of each family's skeleton; `#` stands for any number.
        documents: int64 (f,), documents of each family.
        indexed: int64 (f,), how many of them serve.
        own: Weight of the words of each row that its family does not share, scipy CSR float64
            (m, v); no entries for rows without a family.
    """

    of: Ints
    skeletons: tuple[frozenset[tuple[str, str]], ...]
    documents: Ints
    indexed: Ints
    own: Any

    def same(self, left: Ints, right: Ints) -> Bools:
        """Tell whether rows are texts of one template about different things.

        Args:
            left: int64 rows of the view; -1 for none.
            right: int64, likewise; shapes are broadcast.
        """
        left, right = np.broadcast_arrays(left, right)
        a = np.where(left >= 0, self.of[left], -1)
        b = np.where(right >= 0, self.of[right], -1)
        result = np.asarray((a >= 0) & (a == b), dtype=np.bool_)
        x, y = self.own[left[result]], self.own[right[result]]
        whole = np.minimum(np.asarray(x.sum(axis=1)).ravel(), np.asarray(y.sum(axis=1)).ravel())
        both = np.asarray(x.multiply(y > 0).sum(axis=1)).ravel()
        result[result] = both < APART * whole
        return result

    def skeleton(self, row: int, words: Sequence[str]) -> Bools:
        """Tell which words of a row are its family's, bool (w,); none where it has no family."""
        number = int(self.of[row])
        if number < 0:
            return np.zeros(len(words), dtype=np.bool_)
        return _covered(plain(words), self.skeletons[number])


@dataclass(frozen=True)
class _Family:
    """One family: its skeleton, its rows, and the words of each row that are its own."""

    skeleton: frozenset[tuple[str, str]]
    rows: Ints
    own: list[dict[str, float]]


def families(view: CorpusView) -> TemplateFamilies:
    """Find the texts of one template in a view; worked out once a view.

    Args:
        view: Rows and neighbour tables. Needs no index: the batch alone shows its families.
    """
    if "families" not in view.shared:
        view.shared["families"] = _find(view)
    return cast("TemplateFamilies", view.shared["families"])


def plain(words: Sequence[str]) -> list[str]:
    """List words with every number as `#`, so that a number is never what two texts differ in."""
    return ["#" if any(c.isdigit() for c in w) else w for w in words]


def _find(view: CorpusView) -> TemplateFamilies:
    rows = len(view.words)
    of = np.full(rows, -1, dtype=np.int64)
    left, right = _related(view)
    if not len(left):
        return _with_own(view, of, [])
    there = np.unique(np.concatenate([left, right]))
    texts = [plain(view.words[row]) for row in there.tolist()]
    pairs, names = _pair_matrix(texts)
    sizes = np.diff(pairs.indptr)
    a, b = np.searchsorted(there, left), np.searchsorted(there, right)
    both = np.asarray(pairs[a].multiply(pairs[b]).sum(axis=1), dtype=np.float64).ravel()
    longer = np.maximum(sizes[a], sizes[b])
    alike = (both >= PAIRS * longer) & (np.minimum(sizes[a], sizes[b]) >= SHORTEST)
    families: list[_Family] = []
    everywhere: Counter[str] = Counter()  # rows that hold each word
    for members in _components(a[alike], b[alike], len(there)):
        if len(np.unique(view.documents[there[members]])) < FEWEST:
            continue
        skeleton, kept = _of_one_form(view, there, texts, members, pairs, names)
        if kept is None:
            continue
        if not everywhere and not _knows(view):
            everywhere.update(word for words in view.words for word in set(words))
        own = _own_words(view, there[kept], everywhere)
        if own is not None:
            of[there[kept]] = len(families)
            families.append(_Family(skeleton, there[kept], own))
    return _with_own(view, of, families)


def _with_own(view: CorpusView, of: Ints, families: Sequence[_Family]) -> TemplateFamilies:
    """Return the families as arrays."""
    from scipy.sparse import csr_matrix

    serving = np.array([zone == "serving" for zone in view.zones], dtype=np.bool_)
    numbers: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for family in families:
        for row, weights in zip(family.rows.tolist(), family.own, strict=True):
            rows += [row] * len(weights)
            columns += [numbers.setdefault(word, len(numbers)) for word in weights]
            values += weights.values()
    return TemplateFamilies(
        of,
        tuple(family.skeleton for family in families),
        np.array([len(np.unique(view.documents[f.rows])) for f in families], dtype=np.int64),
        np.array(
            [len(np.unique(view.documents[f.rows[serving[f.rows]]])) for f in families],
            dtype=np.int64,
        ),
        csr_matrix((values, (rows, columns)), shape=(len(of), max(1, len(numbers)))),
    )


def _related(view: CorpusView) -> tuple[Ints, Ints]:
    """Pairs of a judged row and a neighbour of another document of its source, alike in words."""
    tables = (view.reference.indices, view.newcomers.indices)
    left = np.concatenate([np.repeat(np.arange(view.n), t.shape[1]) for t in tables])
    right = np.concatenate([t.ravel() for t in tables])
    numbers = {name: i for i, name in enumerate(sorted(set(view.sources)))}
    source = np.array([numbers[name] for name in view.sources], dtype=np.int64)[view.documents]
    kept = (right >= 0) & (source[left] == source[right])
    kept &= view.documents[left] != view.documents[right]
    left, right = left[kept].astype(np.int64), right[kept].astype(np.int64)
    alike = jaccard(view.terms, left, right) >= WORDS
    return left[alike], right[alike]


def _pair_matrix(texts: Sequence[Sequence[str]]) -> tuple[Any, list[tuple[str, str]]]:
    """Tell which text holds which word pair: scipy CSR float32 (t, p), and the pairs."""
    from scipy.sparse import csr_matrix

    numbers: dict[tuple[str, str], int] = {}
    columns: list[int] = []
    pointers = [0]
    for words in texts:
        held = dict.fromkeys(pairwise(words))
        columns.extend(numbers.setdefault(pair, len(numbers)) for pair in held)
        pointers.append(len(columns))
    matrix = csr_matrix(
        (np.ones(len(columns), dtype=np.float32), columns, pointers),
        shape=(len(texts), max(1, len(numbers))),
    )
    matrix.sort_indices()
    return matrix, list(numbers)


def _components(a: Ints, b: Ints, count: int) -> list[Ints]:
    """Groups of texts that are alike, or are linked by texts that are; single ones left out."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    graph = csr_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return [members.astype(np.int64) for members in groups if len(members) > 1]


def _of_one_form(
    view: CorpusView,
    there: Ints,
    texts: Sequence[Sequence[str]],
    members: Ints,
    pairs: Any,
    names: Sequence[tuple[str, str]],
) -> tuple[frozenset[tuple[str, str]], Ints | None]:
    """Return the skeleton of a group, and its members that have it and differ in their slots."""
    counts = np.asarray(pairs[members].sum(axis=0)).ravel()
    held = np.flatnonzero(counts >= max(2.0, HELD * len(members)))
    skeleton = frozenset(names[i] for i in held.tolist())
    kept, slots = [], {}
    for member in members.tolist():
        cover = _covered(texts[member], skeleton)
        if cover.mean() >= SKELETON:
            kept.append(member)
            raw = view.words[int(there[member])]
            slots[int(view.documents[there[member]])] = tuple(
                word
                for word, shown, inside in zip(raw, texts[member], cover.tolist(), strict=True)
                if shown == "#" or not inside
            )
    if len(set(slots.values())) < FEWEST:
        return skeleton, None
    return skeleton, np.array(kept, dtype=np.int64)


def _covered(words: Sequence[str], skeleton: frozenset[tuple[str, str]]) -> Bools:
    """Tell which words stand in a word pair of the skeleton."""
    cover = np.zeros(len(words), dtype=np.bool_)
    for i, pair in enumerate(pairwise(words)):
        if pair in skeleton:
            cover[i : i + 2] = True
    return cover


def _own_words(
    view: CorpusView, rows: Ints, everywhere: Counter[str]
) -> list[dict[str, float]] | None:
    """For each text the words that its family does not share, weighed; none if that is too little.

    Too little is less than `SUBJECT` of the weight of half of the texts: then they are about one
    thing.
    """
    documents = view.documents[rows].tolist()
    words_of: dict[int, set[str]] = {}
    for row, document in zip(rows.tolist(), documents, strict=True):
        words_of.setdefault(document, set()).update(view.words[row])
    held = Counter(word for words in words_of.values() for word in words)
    common = {word for word, count in held.items() if count >= COMMON * len(words_of)}
    weight = _weights(view, rows, set(held), everywhere)
    own: list[dict[str, float]] = []
    shares = []
    for row in rows.tolist():
        distinct = set(view.words[row])
        mine = {word: weight[word] for word in sorted(distinct - common)}
        whole = sum(weight[word] for word in sorted(distinct))
        own.append(mine)
        shares.append(sum(mine.values()) / whole if whole else 0.0)
    return own if float(np.median(shares)) >= SUBJECT else None


def _weights(
    view: CorpusView, rows: Ints, words: set[str], everywhere: Counter[str]
) -> dict[str, float]:
    """Squared idf of words, counted in the corpus, or, where it is small, outside the family."""
    counts: Counter[str] = Counter()
    if _knows(view):
        counts.update({w: view.lexicon.words.get(w, 0) for w in words})
        chunks = max(view.lexicon.documents, max(counts.values(), default=0))
    else:
        counts.update({w: everywhere[w] for w in words})
        for row in rows.tolist():
            counts.subtract(set(view.words[row]))
        chunks = len(view.words) - len(rows)
    return {w: float(np.log((chunks + 2.0) / (counts[w] + 1.0))) ** 2 for w in sorted(words)}


def _knows(view: CorpusView) -> bool:
    """Tell whether the corpus is large enough to tell how rare a word is."""
    return view.lexicon.documents >= KNOWN and not view.lexicon.includes_batch
