"""Find near-copies and rewrites of what a reviewer rejected.

Exact bytes are refused before any check runs. Here likeness counts: shared word triples (their
resemblance by MinHash, their containment either way exactly; Broder, "On the Resemblance and
Containment of Documents", 1997) and closeness of vectors. Containment finds half of a denied text,
and a denied text put behind an honest one. A chunk that is nearer to an admitted one is left alone:
the near-duplicate of a one-fact edit is the honest original.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, DeniedText, Evidence, Signal
from ragguard.text.minhash import resemblance, shared_words, sketch_rows
from ragguard.text.words import words

Gram = tuple[str, ...]
Floats64 = NDArray[np.float64]
REJECTED = 1e-6  # p-value of what is like a rejected text
_UPDATE = 0.1  # of the common words, what an update may take an original away from itself
_STILL = 0.5  # of the common words, what an update of an original must share with it
_ROUNDING = 1e-4  # by how much one product of matrices may differ from single ones


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.denylist]."""

    similarity: float = 0.85  # cosine to denied text from which likeness counts
    copied: float = 0.4  # estimated share of common word triples from which it counts
    contained: float = 0.5  # share of either's word triples that the other holds, likewise
    fewest: int = 12  # word triples in common below which containment says nothing
    shortest: int = 5  # words below which nothing is compared


@check("denylist", family="history", params=Params, unit=0.5)
def denylist(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by its likeness to denied text, unless an admitted chunk is nearer.

    Returns:
        Raw scores, float64 (n,): 1 + 10 * (cosine - threshold) + 5 * (resemblance - threshold) +
        5 * (containment - threshold), each part at least 0; 0 where all parts are, or an indexed
        chunk is at least as near.

    Raises:
        NotApplicable: Nothing was ever rejected.
    """
    if not view.denied:
        raise NotApplicable("nothing was ever rejected")
    vectors = np.concatenate([d.vectors for d in view.denied])
    sketches = np.concatenate([d.sketches for d in view.denied])
    texts = [text for d in view.denied for text in d.texts]
    denied_by = [d for d in view.denied for _ in d.texts]
    wordless = not all(texts)  # came from an export without texts: only its sketch tells
    # Most newcomers are nowhere near: they are passed over without being sketched.
    near = (view.vectors[: view.n] @ vectors.T).max(axis=1) >= params.similarity - _ROUNDING
    holders: dict[Gram, list[int]] = defaultdict(list)
    sizes = np.zeros(len(texts))
    for number, text in enumerate(texts):
        grams = set(_grams(words(text)))
        sizes[number] = len(grams)
        for gram in grams:
            holders[gram].append(number)
    nothing = np.zeros(len(texts))
    mine: dict[int, Floats64] = {}  # by row: how much of the wording one text holds of the other
    # Copied code and tables are copies too: the whole text is compared, not its prose.
    chunk_words = [words(text) for text in view.texts[: view.n]]
    for row in range(view.n):
        shared, size = _shared(chunk_words[row], holders, len(texts))
        if shared is None:
            if wordless or near[row] or _may_share(nothing, size, params.copied):
                mine[row] = nothing
            continue
        held = np.where(shared >= params.fewest, shared / np.maximum(1, np.minimum(size, sizes)), 0)
        shares = _may_share(shared, size, params.copied) or held.max() >= params.contained
        if wordless or near[row] or shares:
            mine[row] = held
    looked_at = list(mine)
    sketched = sketch_rows([chunk_words[row] for row in looked_at])
    scores = np.zeros(view.n)
    likenesses: dict[int, tuple[str, float, float]] = {}
    for row, sketch in zip(looked_at, sketched, strict=True):
        if len(chunk_words[row]) < params.shortest:
            continue
        close = vectors @ view.vectors[row]
        alike, held = resemblance(sketch, sketches), mine[row]
        part = 10.0 * np.maximum(close - params.similarity, 0.0)
        part = part + 5.0 * np.maximum(alike - params.copied, 0.0)
        part = part + 5.0 * np.maximum(held - params.contained, 0.0)
        best = int(np.argmax(part))
        if part[best] <= 0.0:
            continue
        if not texts[best]:
            if _admitted_likeness(view, row, sketch) >= alike[best]:
                continue
        elif _nearer_to_admitted(view, row, float(close[best]), texts[best]):
            continue
        if _is_original(view, row, denied_by[best], texts[best]):
            continue
        scores[row] = 1.0 + float(part[best])
        wording = max(float(alike[best]), float(held[best]))
        likenesses[row] = (denied_by[best].label, float(close[best]), wording)

    def explain(row: int) -> Evidence:
        owner, close, alike = likenesses.get(row, ("", 0.0, 0.0))
        return Evidence(
            f"resembles {owner}, which a reviewer rejected (similarity {close:.2f}, "
            f"{alike:.0%} of the wording)",
            {"rejected": owner, "similarity": round(close, 3), "wording": round(alike, 3)},
        )

    # A person rejected the like of it: that is no statistic, and holds whatever else is usual.
    return Signal(scores, explain, np.where(scores > 0, REJECTED, 1.0))


def _grams(row: Sequence[str]) -> Iterable[Gram]:
    """Tell what `sketch_rows` draws from: word triples, single words where there are too few."""
    return zip(row, row[1:], row[2:], strict=False) if len(row) > 2 else ((w,) for w in row)


def _shared(
    row: Sequence[str], holders: Mapping[Gram, Sequence[int]], count: int
) -> tuple[Floats64 | None, int]:
    """How many of a text's grams each of `count` denied texts holds, `None` where none holds any.

    And how many it has.
    """
    own = set(_grams(row))
    numbers = list(chain.from_iterable(holders[gram] for gram in own if gram in holders))
    if not numbers:
        return None, len(own)
    return np.bincount(numbers, minlength=count).astype(np.float64), len(own)


def _may_share(shared: Floats64, size: int, copied: float) -> bool:
    """Tell whether a sketch could find the wording of any one denied text alike.

    A quarter of the overlap asked for is not estimated as that overlap by 64 draws, but for odds of
    one in a hundred million; below an overlap of 0.3 that does not hold, and all are sketched.
    """
    return copied < 0.3 or bool(shared.max() >= max(1.0, size * copied / 4.0))


def _nearer_to_admitted(view: CorpusView, row: int, close: float, denied_text: str) -> bool:
    nearest = int(view.reference.indices[row, 0]) if view.reference.indices.size else -1
    if nearest < 0:
        return False
    mine = words(view.texts[row])
    admitted = shared_words(mine, words(view.texts[nearest]))
    rejected = shared_words(mine, words(denied_text))
    near = float(view.reference.similarities[row, 0])
    return near >= close and admitted >= rejected


def _admitted_likeness(view: CorpusView, row: int, sketch: NDArray[np.uint64]) -> float:
    """Resemblance of a chunk to the indexed one nearest to it; 0 where there is none."""
    nearest = int(view.reference.indices[row, 0]) if view.reference.indices.size else -1
    if nearest < 0:
        return 0.0
    return float(resemblance(sketch, sketch_rows([words(view.texts[nearest])]))[0])


def _is_original(view: CorpusView, row: int, denied: DeniedText, denied_text: str) -> bool:
    """Tell whether it is of a document that was copied, and says about what that says.

    Who may write under the original's name could bring the copy's one wrong fact in again: one fact
    is too little to tell by likeness, and the check for edited twins is there for that.
    """
    label = view.labels[int(view.documents[row])]
    mine = words(view.texts[row])
    rejected = _said(mine, denied_text)
    kept = (_said(mine, text) for text in denied.originals.get(label, ()))
    return max(kept, default=-1.0) >= max(_STILL, rejected - _UPDATE)


def _said(row: Sequence[str], text: str) -> float:
    """How much of a chunk a text says: of a short one maybe all, though few words are common."""
    theirs = words(text)
    mine = set(_grams(row))
    held = len(mine & set(_grams(theirs))) / max(1, len(mine))
    return max(shared_words(row, theirs), held)
