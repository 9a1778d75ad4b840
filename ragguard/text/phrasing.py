"""Score how a request is put: a logistic model over short runs of a sentence's words.

Everyday words stand as they are, the others by their kind (`<n>` a number, `<u>` an address, `<P>`
a name, `<w>` any word), so that what counts is the form of words and not the subject. A model
holds checksums of runs and their weights, no text. It says how much a sentence is worded like an
order to whoever answers questions and how little like what documentation asks of its readers.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Ints
from ragguard.text.requests import FEATURES as FORMS
from ragguard.text.requests import Sentence

NAMES = (
    *FORMS,
    "masked",  # share of its words that are not everyday words
    "brief",
    "names",  # share of words with a capital
    "quotes",
    "colon",  # at its end
    "leads_in",  # whether it begins with `your`, `in`, `make`, `let`, `ensure`
)
LONGEST = 60  # words of a sentence that are looked at
SKIP = 14  # words that are paired with the first
LOWEST = -6.0  # log-odds below which all sentences are alike

Doubles = NDArray[np.float64]

_TOKEN = re.compile(r"[A-Za-z][\w'\u2019-]*|\d+|[?!]|://\S+|\S+@\S+|[\"\u201c\u201d\u2018']")
_FIRST = frozenset(("your", "in", "make", "let", "ensure"))
_QUOTES = frozenset("\"'\u201c\u201d\u2018")
_ENDINGS = ("ing", "ed", "ly", "s")


def masked(text: str, known: Collection[str]) -> list[str]:
    """List words of a sentence, those that are not everyday words by their kind.

    Args:
        known: Everyday words, lower-cased.

    Returns:
        At most `LONGEST` words between `^` and `$`; of several of one kind in a row, one.
    """
    kinds = ["^"]
    for word in _TOKEN.findall(text):
        low = word.lower()
        if low in known:
            kind = low
        elif word[0].isdigit():
            kind = "<n>"
        elif not word[0].isalpha():
            kind = word if word in "?!" else '"' if word in _QUOTES else "<u>"
        elif word[0].isupper() and len(kinds) > 1:
            kind = "<C>" if word.isupper() and len(word) > 1 else "<P>"
        else:
            kind = f"<w{next((e for e in _ENDINGS if low.endswith(e)), '')}>"
        if kind[0] != "<" or kinds[-1] != kind:
            kinds.append(kind)
            if len(kinds) > LONGEST:
                break
    kinds.append("$")
    return kinds


def runs(words: Sequence[str]) -> list[int]:
    """Checksums of words, of two and three in a row, and of the first with others.

    Returns:
        CRC-32 of each, without repetitions, in no particular order.
    """
    word_runs = set(words)
    word_runs.update(map(" ".join, pairwise(words)))
    word_runs.update(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
    if len(words) > 2:
        word_runs.update(f"@{words[1]}|{w}" for w in words[2 : SKIP + 1] if w[0] != "<")
    return [crc32(run.encode()) for run in word_runs]


def shape(sentence: Sentence, words: Sequence[str]) -> tuple[float, ...]:
    """Tell what `NAMES` lists after the forms."""
    count = len(sentence.tokens)
    text = sentence.text
    return (
        sum(w[0] == "<" for w in words) / len(words),
        1.0 / (1.0 + count / 6.0),
        sum(w[:1].isupper() for w in text.split()[1:]) / (count + 1.0),
        float(not _QUOTES.isdisjoint(text)),
        float(text.rstrip().endswith(":")),
        float(count > 0 and sentence.tokens[0] in _FIRST),
    )


@dataclass(frozen=True)
class Phrasing:
    """A fitted model.

    Attributes:
        known: Everyday words.
        keys: uint32 (k,), checksums of runs, ascending.
        weights: float64 (k,), log-odds of each.
        linear: float64 (features,), log-odds of each of `NAMES`.
        bias: Log-odds of nothing.
        about: What it was fitted on.
    """

    known: frozenset[str]
    keys: NDArray[np.uint32]
    weights: Doubles
    linear: Doubles
    bias: float
    about: str

    def score(self, sentences: Sequence[Sentence], forms: Doubles) -> Doubles:
        """Tell how much sentences are worded like planted orders.

        Args:
            forms: float64 (s, forms), columns as in `requests.FEATURES`.

        Returns:
            Log-odds, float64 (s,); higher is more suspicious; none is below `LOWEST`.
        """
        if not sentences:
            return np.zeros(0)
        words = [masked(s.text, self.known) for s in sentences]
        checksums = [runs(w) for w in words]
        counts = np.array([len(f) for f in checksums], dtype=np.int64)
        flat = np.array([key for f in checksums for key in f], dtype=np.uint32)
        at = np.minimum(np.searchsorted(self.keys, flat), len(self.keys) - 1)
        hit = np.where(self.keys[at] == flat, self.weights[at], 0.0)
        owner = np.repeat(np.arange(len(checksums)), counts)
        shapes = np.array([shape(s, w) for s, w in zip(sentences, words, strict=True)])
        table = np.concatenate([forms, shapes], axis=1)
        odds = np.bincount(owner, hit, len(checksums)) + table @ self.linear + self.bias
        scores: Doubles = np.maximum(odds, LOWEST)
        return scores


def company(scores: Doubles, rows: Ints) -> Doubles:
    """Tell how much the other sentences of a passage are worded like orders.

    Args:
        scores: float64 (s,), as from `Phrasing.score`.
        rows: int64 (s,), the passage of each, ascending.

    Returns:
        float64 (s,): the mean of the three highest of the others; what is missing is `LOWEST`.
    """
    means = np.empty(len(scores))
    edges = np.flatnonzero(np.diff(rows, prepend=-1, append=np.iinfo(np.int64).max))
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        mine = scores[start:end]
        order = np.argsort(-mine, kind="stable")
        top = np.full(4, LOWEST)
        top[: len(mine)] = mine[order[:4]]
        means[start:end] = top[:3].mean()
        for rank, i in enumerate(order[:3].tolist()):
            means[start + i] = np.delete(top, rank).mean()
    return means


def load(data: bytes) -> Phrasing:
    """Return a model from the bytes of its npz file.

    Args:
        data: Arrays `known` (words parted by line feeds, UTF-8 bytes), `keys`, `weights`, `linear`,
            `bias` and `about` (JSON, UTF-8 bytes). Pickles are refused.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Phrasing(
            frozenset(arrays["known"].tobytes().decode().split("\n")),
            arrays["keys"],
            arrays["weights"].astype(np.float64),
            arrays["linear"].astype(np.float64),
            float(arrays["bias"]),
            json.dumps(json.loads(arrays["about"].tobytes())),
        )


def dump(model: Phrasing) -> bytes:
    """Return the bytes that `load` reads; the same model gives the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        known=np.frombuffer("\n".join(sorted(model.known)).encode(), dtype=np.uint8),
        keys=model.keys,
        weights=model.weights.astype(np.float16),
        linear=model.linear.astype(np.float32),
        bias=np.float32(model.bias),
        about=np.frombuffer(model.about.encode(), dtype=np.uint8),
    )
    return buffer.getvalue()
