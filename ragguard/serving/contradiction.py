"""Find passages that contradict each other: one sentence, another fact, from another source.

Compared are sentences that two passages share but for one thing: a number, date, name, word of
sense or negation in the place of another (`text.fact_kinds`). Passages that say the same in other
words are not lined up, so that not every contradiction is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ragguard.text.diff import Change, difference, sentences, surroundings, tokens
from ragguard.text.fact_kinds import Kind, kind

LEAST_SHARED = 5  # words of the sentence that both have, beside the fact
MOST_WORDS = 1000  # of a passage
MOST_PASSAGES = 20  # looked at, the nearest first


@dataclass(frozen=True)
class Contradiction:
    """One fact, told in two ways.

    Attributes:
        first: Row of the passage that is nearer to the question.
        second: Row of the other.
        kind: `number`, `date`, `name`, `sense` or `negation`.
        ours: What the first says there; empty where the other has a negation.
        theirs: What the second says there.
    """

    first: int
    second: int
    kind: Kind
    ours: str
    theirs: str


def contradiction(texts: Sequence[str], sources: Sequence[str]) -> Contradiction | None:
    """Find the first two passages of different sources that tell one fact in two ways.

    Args:
        texts: Passages (n,), the nearest to the question first.
        sources: Whose each is (n,).
    """
    rows = range(min(len(texts), MOST_PASSAGES))
    cut = [tokens(texts[row])[:MOST_WORDS] for row in rows]
    low = [frozenset(word.lower() for word in words) for words in cut]
    for a, b in combinations(rows, 2):
        if sources[a] == sources[b] or len(low[a] & low[b]) < LEAST_SHARED:
            continue
        conflict = _contradicts(texts[a], cut[a], cut[b])
        if conflict is not None:
            named, change = conflict
            return Contradiction(a, b, named, " ".join(change.ours), " ".join(change.theirs))
    return None


def _contradicts(
    text: str, ours: Sequence[str], theirs: Sequence[str]
) -> tuple[Kind, Change] | None:
    diff = difference(ours, theirs)
    ordinary = {word for word in (*ours, *theirs) if word.islower()}
    of = sentences(text).of[: len(ours)]
    for change in diff.changes:
        named = kind(change.ours, change.theirs, ordinary)
        if named == "wording":
            continue
        around = surroundings(diff, change, of)
        if around.kept >= LEAST_SHARED and around.other == 0:
            return named, change
    return None
