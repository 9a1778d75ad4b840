"""Near twins: an existing text again, with a number, a name or a "not" changed.

The edit keeps the vector and the words, so it inherits the honest text's rank in every search. It
is found by lining the two texts up word by word (Ratcliff-Obershelp, as in Python's difflib) and
looking at what differs. Which of the two is the honest one this check cannot know; it flags the
newcomer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.text import jaccard
from ragguard.model import CorpusView, Evidence, Signal

_TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[%€$£]", re.UNICODE)
# fmt: off
_NEGATION = frozenset(
  {
    "not", "no", "never", "none", "nor", "neither", "without", "cannot", "can't", "won't",
    "don't", "doesn't", "isn't", "aren't", "must", "mustn't", "only", "except", "unless",
    "always", "all", "any", "required", "optional", "allowed", "forbidden", "prohibited",
    "before", "after", "minimum", "maximum", "least", "most",
  }
)
_NUMBERS = frozenset(
  {
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred",
    "thousand", "million", "half", "once", "twice", "double",
  }
)
# fmt: on


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.twin_edit]."""

    similarity: float = 0.85  # cosine from which a neighbour may be a twin
    overlap: float = 0.6  # word Jaccard from which it is lined up
    twins: int = 3  # closest twins compared
    edits: int = 8  # more changed places than this are a rewrite, not an edit


@check("twin_edit", family="conflict", params=Params, unit=0.7)
def twin_edit(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how exactly it copies another but for a changed fact.

    Returns:
        Raw scores, float64 (n,): -log(share of changed words + 0.01) / changed places, where a
        number, name or negation changed; 0 where none did or nothing else is alike.

    Raises:
        NotApplicable: Nothing to compare with.
    """
    tables = (view.reference, view.newcomers)
    if not any((t.indices >= 0).any() for t in tables):
        raise NotApplicable("nothing to compare with")
    left = np.concatenate([np.repeat(np.arange(view.n), t.indices.shape[1]) for t in tables])
    right = np.concatenate([t.indices.ravel() for t in tables])
    close = np.concatenate([t.similarities.ravel() for t in tables])
    kept = (right >= 0) & (close >= params.similarity)
    left, right = left[kept], right[kept]
    shared = jaccard(view.terms, left, right)
    candidates: dict[int, list[tuple[float, int]]] = {}
    for a, b, overlap in zip(left, right, shared, strict=True):
        if overlap >= params.overlap:
            candidates.setdefault(int(a), []).append((float(overlap), int(b)))
    scores = np.zeros(view.n)
    found: dict[int, tuple[str, list[tuple[str, str]]]] = {}
    for row, twins in candidates.items():
        mine = _TOKEN.findall(view.texts[row])
        for _, twin in sorted(twins, reverse=True)[: params.twins]:
            facts, changed, places = _compare(mine, _TOKEN.findall(view.texts[twin]))
            if not facts or places > params.edits:
                continue
            score = -np.log(changed + 0.01) / places
            if score > scores[row]:
                scores[row] = score
                found[row] = (view.labels[int(view.documents[twin])], facts)

    def explain(row: int) -> Evidence:
        other, facts = found.get(row, ("", []))
        shown = "; ".join(
            f"{theirs or '(nothing)'!r} became {ours!r}" for ours, theirs in facts[:3]
        )
        return Evidence(
            f"a copy of {other} in which {shown}", {"twin": other, "changes": facts[:8]}
        )

    return Signal(np.maximum(scores, 0.0), explain)


def _compare(mine: list[str], theirs: list[str]) -> tuple[list[tuple[str, str]], float, int]:
    """Changed facts (ours, theirs), share of changed words, number of changed places."""
    matcher = SequenceMatcher(None, [t.lower() for t in mine], [t.lower() for t in theirs], False)
    facts: list[tuple[str, str]] = []
    changed = places = 0
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        # What one chunk has before the other begins, or after it ends, is where they were cut.
        if kind != "replace" and (a == 0 or b == len(mine)):
            continue
        places += 1
        changed += max(b - a, d - c)
        ours, other = mine[a:b], theirs[c:d]
        if _is_fact(ours, a) or _is_fact(other, c):
            facts.append((" ".join(ours[:6]), " ".join(other[:6])))
    return facts, changed / max(1, len(mine)), places


def _is_fact(tokens: list[str], start: int) -> bool:
    """Whether a piece holds a number, a name (capital inside a sentence) or a negation."""
    for offset, word in enumerate(tokens):
        if word[0].isdigit() or word in "%€$£" or word.lower() in _NEGATION | _NUMBERS:
            return True
        if word[0].isupper() and start + offset > 0:
            return True
    return False
