"""Tell which passages contradict an answer: the page with the right figure is no culprit.

A passage that an answer seems to rest on is let off where it states another fact instead:

- the answer gives figures, dates or addresses, and the passage gives others where it speaks of the
  matter, and none of those; or
- it is a near-copy of another passage that the answer rests on, and lacks a figure that this one
  has, or says yes where this one says no and the answer agrees with the other.

Nothing is known of what is true. It is the reader who says which answer is wrong; what says
otherwise is shown apart, and is as likely to be wrong where he gave a right answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ragguard.lineage.attribution import answer_terms, window
from ragguard.model import Bools
from ragguard.text.fact_kinds import MONTHS, NEGATIONS, UNITS
from ragguard.text.minhash import shared_words
from ragguard.text.words import normalise, words

COPY = 0.6  # share of common words from which two passages are near-copies
_FIGURE = re.compile(r"\d+(?:[.,:/]\d+)*")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b")
_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_ONES.split())}
_VALUES |= {word: 10 * place for place, word in enumerate(_TENS.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}


def says_otherwise(
    question: str,
    answer: str,
    texts: Sequence[str],
    named: Bools,
    witnesses: Sequence[str] = (),
) -> Bools:
    """Tell passages that state another fact than the answer.

    Args:
        answer: The answer that is wrong, says the reader.
        texts: Of n passages.
        named: bool (n,), which of them the answer seems to rest on; no other is looked at.
        witnesses: Further passages that it seems to rest on, which may be near-copies of these.

    Returns:
        bool (n,), some of those named.
    """
    otherwise = np.zeros(len(texts), dtype=bool)
    asked, given = facts(question), facts(answer)
    wanted = {kind: given[kind] - asked[kind] for kind in given}
    terms = answer_terms(words(normalise(answer)), words(normalise(question)))
    others = [*(texts[i] for i in np.flatnonzero(named).tolist()), *witnesses]
    # One of the answer's facts will do, unless a passage is there that has them all.
    known = [facts(other) for other in others]
    least = {
        kind: len(all_) if any(all_ <= has[kind] for has in known) else min(1, len(all_))
        for kind, all_ in wanted.items()
    }
    for i in np.flatnonzero(named).tolist():
        text: str = texts[i]
        near = facts(window(normalise(text), terms, words(normalise(question))))
        states = {kind: near[kind] - asked[kind] - given[kind] for kind in near}
        held = {kind: wanted[kind] & facts(text)[kind] for kind in wanted}
        instead = any(states[kind] and len(held[kind]) < least[kind] for kind in wanted)
        otherwise[i] = instead or any(
            other is not text and _lacks(text, other, wanted, held, answer) for other in others
        )
    return otherwise


def _lacks(
    text: str,
    other: str,
    wanted: Mapping[str, set[str]],
    held: Mapping[str, set[str]],
    answer: str,
) -> bool:
    """Tell whether a passage lacks a fact of the answer that its near-copy has."""
    mine, theirs = words(normalise(text)), words(normalise(other))
    if shared_words(mine, theirs) < COPY:
        return False
    has = facts(other)
    if any(held[kind] < wanted[kind] & has[kind] for kind in wanted):
        return True
    for ours, its in _differing(text, other):
        if (negates(ours), negates(its)) == (not negates(answer), negates(answer)):
            return True
    return False


def _differing(text: str, other: str) -> Iterator[tuple[str, str]]:
    """Sentences of two near-copies that are not the same, each with the nearest of the other."""
    mine, theirs = _sentences(text), _sentences(other)
    left = [s for s in theirs if s not in mine]
    for sentence in mine:
        if sentence in theirs or not left:
            continue
        own = sentence.split()
        nearest = max(left, key=lambda s: shared_words(own, s.split()))
        if shared_words(own, nearest.split()) >= COPY:
            yield sentence, nearest


def _sentences(text: str) -> list[str]:
    return [s.strip().lower() for s in re.split(r"(?<=[.!?])\s+|\n+", text) if s.strip()]


def negates(text: str) -> bool:
    """Tell whether a sentence says no, in English."""
    return any(word in NEGATIONS or word.endswith("n't") for word in words(normalise(text)))


def facts(text: str) -> dict[str, set[str]]:
    """List figures, dates and addresses of a text, each written in one way.

    Returns:
        By kind: `figure` (digits, without separators of thousands; words for numbers as digits),
        `date` (names of months and days), `address` (of mail or of hosts).
    """
    plain = normalise(text).lower()
    addresses = {a for a in _ADDRESS.findall(plain) if re.search("[a-z]", a)}
    rest = _ADDRESS.sub(" ", plain)
    figures = {re.sub(r",(?=\d{3}(?!\d))", "", f) for f in _FIGURE.findall(rest)}
    figures |= set(_spelt(re.findall(r"[a-z]+", rest)))
    return {
        "figure": figures,
        "date": {w for w in words(rest) if w in MONTHS and w not in ("may", "mar", "sun", "sat")},
        "address": addresses,
    }


def _spelt(row: Sequence[str]) -> Iterator[str]:
    """Yield numbers in words, as digits; `one` counts before a unit only."""
    total, current, spoken = 0, 0, 0
    for word in [*row, ""]:
        if word in _VALUES:
            # "twenty one" is 21; "nine ten" are two numbers.
            joined = current % 10 == 0 and _VALUES[word] < 10
            if spoken and current % 100 and not joined:
                yield str(total + current)
                total, current, spoken = 0, 0, 0
            current += _VALUES[word]
            spoken += word != "one"
        elif word in _SCALES and spoken + current:
            scale = _SCALES[word]
            current, spoken = max(current, 1) * scale, spoken + 1
            if scale > 100:
                total, current = total + current, 0
        elif word == "and" and total + current >= 100:
            continue
        else:
            if spoken or (current == 1 and word in UNITS):
                yield str(total + current)
            total, current, spoken = 0, 0, 0
