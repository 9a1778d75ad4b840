"""Find a sentence that asks for something the rest of its passage is not about.

Injected tasks are ordinary sentences ("Translate this into Spanish", "What is the capital of
Peru?"); what gives them away is where they stand. A sentence is judged by its form (an order, a
question, an offer), by how little its words have to do with the other sentences, with the
passage's neighbours in the index and with where in the index those words are used, and by how
usual requests are around it: in a guide of forty steps one more is nothing. Added to that is how it
is put (`text.phrasing`): an order to whoever answers questions is worded otherwise than what
documentation asks of its readers. A passage whose other sentences are worded alike is given credit.

What it cannot see: an assertion (false news, propaganda), which asks for nothing and is passed
over; a request on the passage's own subject; one among many, as in a procedure or a letter; one
disguised, which is for `hidden`; any language but English; a line that a source repeats on many
pages, which is no prose. Much of what it is meant for it finds too seldom to stand alone.

Source of the threat: Greshake et al., "Not What You've Signed Up For", AISec 2023; Yi et al.,
BIPIA, 2023 (their categories; no text of theirs). The trees in `rules/foreign_request.json` are
fitted by benchmarks/fit_requests.py on strings written for this project, put into the shipped
handbook and into documentation of the pinned packages; the wording in `rules/phrasing.npz` by
benchmarks/fit_phrasing.py, on ordinary documents and orders that are not shipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable, RagguardError
from ragguard.model import CorpusView, Evidence, Floats, Ints, Signal
from ragguard.stats import gradient_boosting
from ragguard.text import phrasing, requests
from ragguard.text.phrasing import Phrasing
from ragguard.text.requests import Sentence
from ragguard.text.tokens import tokens
from ragguard.trust.canonical import digest_bytes

NAMES = (
    *requests.FEATURES,
    "alien",  # share of its words that no other sentence of the passage has
    "unrelated",  # how little of it the neighbours in the index speak of
    "unknown",  # share of its words that the index does not have
    "edge",  # whether it is the first or the last sentence
    "usual",  # how many of the other sentences ask for something
    "brief",
    "on_topic",  # similarity of the passages that use its words to this passage
    "in_tune",  # the same as a cosine
    "company",  # how alien and unrelated the sentences beside it are
)
_ASKS = [requests.FEATURES.index(n) for n in ("asks_for_words", "asks_for_deeds", "polite")]
_ASKS += [requests.FEATURES.index(n) for n in ("question", "forbids")]
_QUESTION = requests.FEATURES.index("question")
FORMS = len(requests.FEATURES)
FEW = 5  # neighbours in the index below which the batch stands in for it
FEW_ROWS = 50  # indexed passages below which the batch stands in for them
MOST_ROWS = 4000  # passages from which it is learnt where words are used
BLOCK = 4096  # passages measured at once
WORST = 8.0  # log-odds that the wording of a sentence counts at most
ALIKE = -4.0  # log-odds of the wording of a passage's other sentences from which it is given credit
ABOVE = -3.0  # added: what ordinary passages of any kind seldom reach
PHRASING = "8394a56cbd4a20b8419816b915292f9f15a1e0dd6850e653ad86ac7b4051ffb7"  # SHA-256


_NONE: Mapping[str, int] = {}


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.foreign_request]."""

    least: float = 0.0  # log-odds of a sentence from which it counts at all
    wording: float = 0.5  # what a nat of how it is put is worth beside one of where it stands
    most_sentences: int = 200  # of a passage; what has more is not prose
    passages: int = 50  # to compare with; to fewer nothing is foreign


@cache
def model() -> gradient_boosting.Trees:
    """Return the fitted trees."""
    folder = files("ragguard.detect.checks")
    return gradient_boosting.load(
        folder.joinpath("rules", "foreign_request.json").read_text("utf-8")
    )


@cache
def wording() -> Phrasing:
    """Return the fitted wording.

    Raises:
        RagguardError: The file is not the one this version was released with.
    """
    data = files("ragguard.detect.checks").joinpath("rules", "phrasing.npz").read_bytes()
    if (sha256 := digest_bytes(data)) != PHRASING:
        raise RagguardError(
            f"rules/phrasing.npz: expected SHA-256 {PHRASING}, got {sha256}",
            hint="Install ragguard again.",
        )
    return phrasing.load(data)


def _odds(asked: RequestSentences, weight: float, least: float) -> NDArray[np.float64]:
    """Return the log-odds of sentences: the trees', `weight` of the wording's, and `ABOVE`.

    Wording is asked only of passages in which it could bring a sentence above `least`.
    """
    odds: NDArray[np.float64] = model().score(asked.table) + ABOVE
    passages = np.unique(asked.rows[odds + weight * WORST > least])
    at = np.flatnonzero(np.isin(asked.rows, passages))
    sentences = [asked.sentences[i] for i in at.tolist()]
    worded = np.minimum(wording().score(sentences, asked.table[at, :FORMS]), WORST)
    alike = np.maximum(0.0, phrasing.company(worded, asked.rows[at]) - ALIKE)
    odds[at] += weight * (worded - alike)
    return odds


@check("foreign_request", family="hidden", params=Params, unit=0.5)
def foreign_request(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by its most foreign request.

    Returns:
        Raw scores, float64 (n,): log-odds above `least` of the worst sentence, 0 below.

    Raises:
        NotApplicable: Fewer than `passages` passages, batch included.
    """
    if len(view.texts) < params.passages:
        raise NotApplicable(f"fewer than {params.passages} passages to compare with")
    scores = np.zeros(view.n)
    worst: dict[int, tuple[str, NDArray[np.float64]]] = {}
    measured = Measure(view)
    for start in range(0, view.n, BLOCK):
        rows = range(start, min(start + BLOCK, view.n))
        sentences = [requests.sentences(view.prose[r])[: params.most_sentences] for r in rows]
        asked = measured.features(rows.start, sentences)
        odds = _odds(asked, params.wording, params.least) - params.least
        for at in np.lexsort((-np.arange(len(odds)), odds)).tolist():  # the worst comes last
            row = start + int(asked.rows[at])
            if odds[at] > 0:
                scores[row] = odds[at]
                worst[row] = (asked.sentences[at].text, asked.table[at])

    def explain(row: int) -> Evidence:
        text, values = worst.get(row, ("", np.zeros(len(NAMES))))
        shown = dict(zip(NAMES, values.tolist(), strict=True))
        why = [reason for name, least, reason in _REASONS if shown.get(name, 0.0) >= least]
        detail = f"asks for what its passage is not about: {text[:160]!r}"
        facts = {name: round(value, 3) for name, value in shown.items() if value}
        return Evidence(detail + (f" ({', '.join(why)})" if why else ""), facts)

    return Signal(scores, explain)


_REASONS = (
    ("asks_for_words", 1.0, "it orders a text or an answer"),
    ("asks_for_deeds", 1.0, "it asks for a deed"),
    ("question", 0.5, "it is a question"),
    ("own_answer", 1.0, "it speaks of the answer to be given"),
    ("contact", 1.0, "it names an address"),
    ("offer", 0.3, "it makes an offer"),
    ("alien", 0.7, "its words are nowhere else in the passage"),
    ("unrelated", 0.8, "the neighbours in the index are about something else"),
    ("strange_writing", 0.9, "it is not written in plain English"),
)


def _own_words(view: CorpusView) -> dict[int, Counter[str]]:
    """Tell what each judged document has itself added to the lexicon, by document."""
    own: dict[int, Counter[str]] = {}
    if view.lexicon.includes_batch:
        for row in range(view.n):
            own.setdefault(int(view.documents[row]), Counter()).update(set(view.words[row]))
    return own


@dataclass(frozen=True)
class RequestSentences:
    """Sentences that have the form of a request, however weakly.

    Attributes:
        rows: int64 (s,), the passage of each, ascending.
        table: float64 (s, features), columns as in `NAMES`.
    """

    sentences: list[Sentence]
    rows: Ints
    table: NDArray[np.float64]


class Measure:
    """Features of sentences against one view."""

    def __init__(self, view: CorpusView) -> None:
        from scipy.sparse import csr_matrix

        self._view = view
        self._own = _own_words(view)
        words = tokens(view.words)
        numbers: dict[str, int] = {}
        stems = [numbers.setdefault(requests.stem(w), len(numbers)) for w in words.vocabulary]
        self._stem_of = dict(zip(words.vocabulary, stems, strict=True))
        columns = np.array([*stems, 0], dtype=np.int64)[words.ids]
        ones = np.ones(len(columns), dtype=np.float32)
        shape = (len(view.words), max(1, len(numbers)))
        self._terms = csr_matrix((ones, (words.rows, columns)), shape=shape)
        self._terms.sum_duplicates()
        self._counts = self._terms[: view.n].copy()
        self._terms.data[:] = 1.0
        serving = np.flatnonzero([zone == "serving" for zone in view.zones])
        self._apart = len(serving) >= FEW_ROWS  # judged rows are not among those learnt from
        rows = serving if self._apart else np.arange(len(view.zones))
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
        vectors = view.vectors.astype(np.float32)
        centred = vectors - vectors[rows].mean(axis=0)
        lengths = np.sqrt(np.einsum("ij,ij->i", centred, centred))[:, None]
        self._places: Floats = centred / np.maximum(lengths, 1e-6)
        self._learnt = self._terms[rows].T.tocsr()
        self._taught = self._places[rows]
        self._total = max(view.lexicon.words.values(), default=0) + 1

    def features(self, first: int, passages: list[list[Sentence]]) -> RequestSentences:
        """Features of the sentences of consecutive judged rows.

        Args:
            first: The first row.
            passages: Sentences of each row.

        Returns:
            Those with any form of a request. Others ask for nothing, and are two of three.
        """
        every = [s for sentences in passages for s in sentences]
        sizes = np.array([len(sentences) for sentences in passages], dtype=np.int64)
        every_row = np.repeat(np.arange(len(passages)), sizes)
        every_form = np.array([requests.form(s) for s in every]).reshape(len(every), FORMS)
        formed = np.asarray(every_form.any(axis=1), dtype=np.bool_)
        # Sentences beside one count for its `company`, so they are measured with it.
        beside = formed.copy()
        beside[1:] |= formed[:-1] & (every_row[1:] == every_row[:-1])
        beside[:-1] |= formed[1:] & (every_row[1:] == every_row[:-1])
        chosen = np.flatnonzero(beside)
        flat = [every[i] for i in chosen.tolist()]
        row_of, forms = every_row[chosen], every_form[chosen]
        if not len(flat):
            return RequestSentences([], row_of, np.zeros((0, len(NAMES))))
        pairs = [requests.content(s) for s in flat]
        counts = np.array([len(p) for p in pairs], dtype=np.int64)
        owner = np.repeat(np.arange(len(flat)), counts)  # sentence of each pair
        stems = np.array([self._stem_of.get(w, 0) for p in pairs for w in p], dtype=np.int64)
        rarity, unknown = self._familiarity(first, row_of, pairs)
        weight = 0.2 + rarity
        mass = np.bincount(owner, weight, len(flat))
        alone = self._only_here(first, row_of[owner], owner, stems)
        alien = np.bincount(owner, weight * alone, len(flat)) / (mass + 0.5)
        related = np.bincount(owner, weight * self._nearby(first, row_of[owner], stems), len(flat))
        unrelated = np.where(mass > 0, 1.0 - related / (mass + 1e-9), 0.5)
        on_topic, in_tune = self._topic(first + row_of, owner, stems, rarity)
        asks = np.maximum(forms[:, _ASKS].max(axis=1), 2.0 * forms[:, _QUESTION])
        others = np.bincount(row_of, asks * formed[chosen], len(passages))[row_of] - asks
        lengths = np.array([len(s.tokens) for s in flat])
        strange = np.pad(alien * unrelated, 1)
        there = np.pad(chosen, 1, constant_values=-9)
        before = np.pad(row_of, 1, constant_values=-1)
        left = strange[:-2] * ((before[:-2] == row_of) & (there[:-2] == chosen - 1))
        right = strange[2:] * ((before[2:] == row_of) & (there[2:] == chosen + 1))
        columns = (
            alien,
            unrelated,
            np.bincount(owner, unknown, len(flat)) / (counts + 1.0),
            np.array([s.edge for s in flat], dtype=np.float64),
            np.minimum(1.0, 2.0 * others / np.maximum(1, sizes[row_of] - 1)),
            1.0 / (1.0 + lengths / 6.0),
            on_topic,
            in_tune,
            np.maximum(left, right),
        )
        mine = formed[chosen]
        table = np.column_stack([forms, *columns])[mine]
        return RequestSentences(
            [s for s, m in zip(flat, mine, strict=True) if m], row_of[mine], table
        )

    def _familiarity(
        self, first: int, row_of: Ints, pairs: list[list[str]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rarity of each word in [0, 1], and whether the index lacks it."""
        known = self._view.lexicon.words
        counts: list[int] = []
        for row, words in zip(row_of.tolist(), pairs, strict=True):
            own = self._own.get(int(self._view.documents[first + row]), _NONE)
            counts += [known.get(w, 0) - own.get(w, 0) for w in words]
        seen = np.clip(np.array(counts, dtype=np.float64), 0, self._total)
        rarity = np.log((self._total + 1) / (seen + 1)) / np.log(self._total + 2)
        return rarity, (seen == 0).astype(np.float64)

    def _only_here(self, first: int, row: Ints, owner: Ints, stems: Ints) -> NDArray[np.float64]:
        """Tell whether no other sentence of the row has the word."""
        if not len(row):
            return np.zeros(0)
        width = self._terms.shape[1]
        mine, times = np.unique(owner * width + stems, return_counts=True)
        here = times[np.searchsorted(mine, owner * width + stems)]
        held, numbers = np.unique(row, return_inverse=True)
        counts = self._counts[first + held]
        counts.sort_indices()
        total = np.asarray(counts[numbers, stems], dtype=np.float64).ravel()
        alone: NDArray[np.float64] = (total <= here).astype(np.float64)
        return alone

    def _nearby(self, first: int, row: Ints, stems: Ints) -> NDArray[np.float64]:
        """Tell how much a row's neighbours speak of a word: 1 where three of them do."""
        from scipy.sparse import csr_matrix

        if not len(row):
            return np.zeros(0)
        needed, row = np.unique(row, return_inverse=True)
        rows = first + needed
        near = self._view.reference.indices[rows]
        sparse = (near >= 0).sum(axis=1) < FEW
        if sparse.any():
            near = np.where(sparse[:, None], self._view.newcomers.indices[rows], near)
        held = near >= 0
        pointers = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
        ones = np.ones(int(held.sum()), dtype=np.float32)
        chosen = csr_matrix((ones, near[held], pointers), shape=(len(near), self._terms.shape[0]))
        spoken = chosen @ self._terms
        spoken.sort_indices()
        mentions = np.asarray(spoken[row, stems], dtype=np.float64).ravel()
        heard: NDArray[np.float64] = np.minimum(1.0, mentions / 3.0)
        lonely = np.flatnonzero(~held.any(axis=1))
        heard[np.isin(row, lonely)] = 0.5  # no neighbours: nothing is known
        return heard

    def _topic(
        self, row_of: Ints, owner: Ints, stems: Ints, rarity: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tell how close to a row the passages are that use a sentence's words."""
        from scipy.sparse import csr_matrix

        on_topic, in_tune = np.zeros(len(row_of)), np.zeros(len(row_of))
        if not len(stems):
            return on_topic, in_tune
        needed, column = np.unique(stems, return_inverse=True)
        holders = self._learnt[needed]
        frequency = np.asarray(holders.sum(axis=1), dtype=np.float64).ravel()[column]
        places = holders @ self._taught
        if not self._apart:  # its own passage says nothing about where a word belongs
            frequency -= 1.0
        weight = np.where(frequency >= 1.0, rarity / np.maximum(frequency, 1.0), 0.0)
        shape = (len(row_of), len(needed))
        sums = csr_matrix((weight, (owner, column)), shape=shape) @ places
        if not self._apart:
            taken = np.bincount(owner, weight, len(row_of))
            sums = sums - taken[:, None] * self._places[row_of]
        mass = np.bincount(owner, rarity * (frequency >= 1.0), len(row_of))
        inner = np.einsum("ij,ij->i", sums, self._places[row_of])
        there = mass > 0
        on_topic[there] = 3.0 * inner[there] / mass[there]
        length = np.linalg.norm(sums, axis=1) + 0.1 * mass
        in_tune[there] = inner[there] / length[there]
        return on_topic, in_tune
