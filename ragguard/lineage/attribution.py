"""Attribute an answer to the passages it was made from, without a language model.

A passage is held responsible by what it says and by what it is:

- it holds the answer's words, a wrong letter or another ending forgiven;
- the stretch of it where it holds them is close to question and answer read as one text, so that a
  passage that mentions the word in passing is told from one that states the answer;
- it is closer to question and answer together, and to the question, than the others;
- it is full of words that nobody else in the corpus writes: text that was optimised against the
  encoder, or damaged.

The weights of the four are those of a logistic regression on one half of the questions of
`benchmarks/trace_attacks.py`, which reports on the other half. The idea of several signs of
responsibility over a scope that grows with what is found is that of RAGOrigin (Zhang et al.,
"Who Taught the Lie?", arXiv 2509.13772); its signs need a language model, these do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.model import Bools, Doubles, Floats
from ragguard.text.words import words as split

SHORTEST_MISSPELT = 5  # letters a word must have for one of them to be wrong
STEM = 5  # letters two words must share from the start on to be forms of one
ENDING = 3  # letters that may follow them
WINDOW = 30  # words of the stretch of a passage that is compared with the answer
FEWEST = 0.5  # a judge's word from which a passage is responsible
ALIKE = 0.7  # cosine from which passages are of one make, and vouch for no word of each other's
FEW = 3  # passages that must write a word for it to be known
NAME = 0.25  # what an unknown word counts that is written like a name
LEAST_KNOWN = 2_000  # distinct known words below which none is called strange
COMPANY = 3  # nearest passages of the retrieval that are a passage's company
KIN = 0.85  # cosine to a responsible passage from which less is asked of a passage
KIN_LOGIT = 2.0  # how much less, in log-odds
CHANCE = 0.4  # least chance of a responsible passage

# held, states, both (less the best), close (less the best), strange; then the constant.
WITH_ANSWER = (2.69, 6.44, 10.41, 2.54, 24.28, -6.29)
# close (less the best), company, strange; then the constant.
WITHOUT_ANSWER = (13.28, 17.12, 31.05, -15.08)


@dataclass(frozen=True)
class Support:
    """Support of an answer by `n` passages; higher means that the answer rests on it more.

    Attributes:
        held: float64 (n,), share of the answer's words the passage holds, in [0, 1].
        dependence: float64 (n,), share of the answer that is the passage's; sums to at most 1.
        alone: float64 (n,), share of the answer's words that no other passage holds.
    """

    held: Doubles
    dependence: Doubles
    alone: Doubles


@dataclass(frozen=True)
class PassageSigns:
    """Measures of `n` passages retrieved for a question, closest first.

    Attributes:
        held: float64 (n,), share of the answer's words it holds, in [0, 1].
        states: float64 (n,), cosine of its window to question and answer as one text.
        both: float64 (n,), cosine of the passage to question and answer as one text.
        close: float64 (n,), cosine of the passage to the question.
        strange: float64 (n,), share of its words that nobody else writes, in [0, 1].
    """

    held: Doubles
    states: Doubles
    both: Doubles
    close: Doubles
    strange: Doubles


def answer_terms(answer: Sequence[str], question: Sequence[str]) -> list[str]:
    """List the words of an answer that its question lacks; all of them when none is left."""
    asked = set(question)
    terms = list(dict.fromkeys(w for w in answer if len(w) > 2 or not w.isalpha()))
    terms = terms or list(dict.fromkeys(answer))
    return [w for w in terms if w not in asked] or terms


def holds(terms: Sequence[str], words: Sequence[str]) -> list[bool]:
    """Tell which terms a text holds, one wrong letter or another ending of a long word forgiven."""
    known = set(words)
    long = [word for word in known if len(word) >= SHORTEST_MISSPELT - 1]
    return [
        term in known
        or (
            len(term) >= SHORTEST_MISSPELT
            and any(_one_edit(term, word) or _one_stem(term, word) for word in long)
        )
        for term in terms
    ]


def _one_stem(left: str, right: str) -> bool:
    """Tell whether two words differ in their ending only."""
    longest = max(len(left), len(right))
    least = max(STEM, longest - ENDING)
    return min(len(left), len(right)) >= least and left[:least] == right[:least]


def _one_edit(left: str, right: str) -> bool:
    """Whether one letter put in, left out, replaced, or two swapped make one word the other."""
    if abs(len(left) - len(right)) > 1:
        return False
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    a, b = left[start:], right[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def share_out(held: Bools, similarities: Doubles) -> Support:
    """Share an answer out among passages.

    A passage supports an answer by the words it shares with it, weighed by how close the passage
    is to the question. The support of each word is shared out among the passages that hold it.

    Args:
        held: bool (n, t), which passage holds which of the answer's words.
        similarities: float64 (n,), cosine to the question, higher is closer.
    """
    n, t = held.shape
    if not n or not t:
        none = np.zeros(n)
        return Support(none, none.copy(), none.copy())
    weights = held * np.maximum(similarities.astype(np.float64), 0.0)[:, None]
    total = weights.sum(axis=0)
    each = np.divide(weights, total[None, :], out=np.zeros_like(weights), where=total > 0)
    only = (held & (held.sum(axis=0) == 1)[None, :]).mean(axis=1)
    return Support(held.mean(axis=1), each.mean(axis=1), only)


def window(text: str, terms: Sequence[str], question: Sequence[str]) -> str:
    """Cut the stretch of a passage that speaks most of an answer; all of a short passage.

    Args:
        text: Normalised.
        terms: Words of the answer; each counts twice.
        question: Words of the question; each counts once.
    """
    parts = text.split()
    if len(parts) <= WINDOW:
        return text
    wanted, asked = set(terms), {w for w in question if len(w) > 2}
    stems = {w[: STEM - 1] for w in wanted if len(w) >= STEM}
    values = [
        min(
            2,
            sum(
                2
                if word in wanted or (len(word) >= STEM and word[: STEM - 1] in stems)
                else int(word in asked)
                for word in split(part)
            ),
        )
        for part in parts
    ]
    sums = np.cumsum([0, *values])
    spoken = sums[WINDOW:] - sums[:-WINDOW]
    best = np.flatnonzero(spoken == spoken.max())
    start = int(best[len(best) // 2])  # in the middle of equals, what is meant stands in the middle
    return " ".join(parts[start : start + WINDOW])


def strangeness(
    rows: Sequence[Sequence[str]],
    names: Sequence[Sequence[bool]],
    vectors: Floats,
    known: Mapping[str, int],
) -> Doubles:
    """Share of each passage's words that hardly anybody writes but passages of its own make.

    Passages of one make are left out, because a campaign repeats its own inventions.

    Args:
        rows: Words of each passage.
        names: Which of them are written like names; those count little.
        vectors: float32 (n, d), unit length.
        known: How many passages of the whole corpus, these included, write a word.

    Returns:
        float64 (n,), in [0, 1]; all 0 where too few words are known to call one strange.
    """
    shares = np.zeros(len(rows))
    if len(known) < LEAST_KNOWN or not rows:
        return shares
    alike = vectors.astype(np.float64) @ vectors.astype(np.float64).T >= ALIKE
    each = [set(row) for row in rows]
    for i, (row, flags) in enumerate(zip(rows, names, strict=True)):
        own = Counter(word for j in np.flatnonzero(alike[i]).tolist() for word in each[j])
        values = [
            (NAME if flag else 1.0) * (known.get(word, 0) - own[word] < FEW)
            for word, flag in zip(row, flags, strict=True)
            if word.isalpha() and len(word) > 1
        ]
        shares[i] = sum(values) / len(values) if values else 0.0
    return shares


def chances(signs: PassageSigns, first: int) -> Doubles:
    """Compute how likely each passage is to be responsible for the answer.

    Args:
        signs: Of n passages.
        first: Passages among which the best is looked for, so that reading on changes nothing.

    Returns:
        float64 (n,), in [0, 1], higher is worse: a logistic regression, no probability of a crime.
    """
    held, states, both, close, strange, constant = WITH_ANSWER
    return _logistic(
        held * signs.held
        + states * signs.states
        + both * (signs.both - _best(signs.both, first))
        + close * (signs.close - _best(signs.close, first))
        + strange * signs.strange
        + constant
    )


def chances_unasked(close: Doubles, strange: Doubles, vectors: Floats, first: int) -> Doubles:
    """Compute the same without an answer, from what the passages are: for a ranking, no verdict.

    Args:
        close: float64 (n,), cosine to the question.
        strange: float64 (n,), see `strangeness`.
        vectors: float32 (n, d), unit length; how near its nearest in the retrieval are counts.
        first: See `chances`.

    Returns:
        float64 (n,), in [0, 1], higher is worse.
    """
    near, company, odd, constant = WITHOUT_ANSWER
    beside = company_of(vectors)
    return _logistic(
        near * (close - _best(close, first)) + company * beside + odd * strange + constant
    )


def company_of(vectors: Floats) -> Doubles:
    """Return the mean cosine of each passage to the three nearest of the others, float64 (n,)."""
    n = len(vectors)
    similarities = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.fill_diagonal(similarities, -np.inf)
    k = min(COMPANY, n - 1)
    if k < 1:
        return np.zeros(n)
    nearest: Doubles = np.sort(similarities, axis=1)[:, -k:].mean(axis=1)
    return nearest


def responsible(chance: Doubles, vectors: Floats) -> Bools:
    """Tell which passages the answer rests on: likely ones, and less likely ones that say the same.

    Args:
        chance: float64 (n,), of `chances`.
        vectors: float32 (n, d), unit length.

    Returns:
        bool (n,).
    """
    likely: Bools = chance >= CHANCE
    if not likely.any():
        return likely
    nearest = (vectors.astype(np.float64) @ vectors[likely].astype(np.float64).T).max(axis=1)
    odds = CHANCE / (1.0 - CHANCE) * np.exp(-KIN_LOGIT)
    kin: Bools = (nearest >= KIN) & (chance >= odds / (1.0 + odds))
    return likely | kin


def _best(values: Doubles, first: int) -> float:
    return float(values[:first].max()) if len(values) else 0.0


def _logistic(values: Doubles) -> Doubles:
    probabilities: Doubles = 1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0)))
    return probabilities
