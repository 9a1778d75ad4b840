"""Count the words, word pairs and letters of the serving corpus's prose.

Derived from the serving index, kept beside it in a cache file named by the digest of the corpus it
was counted on, and counted anew when that is another one.
"""

from __future__ import annotations

import io
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ragguard.knn.topk import top_k
from ragguard.model import Lexicon
from ragguard.store import Point, Store
from ragguard.text import ngram_model
from ragguard.text.prose import prose
from ragguard.text.words import normalise, words
from ragguard.trust import kept
from ragguard.trust.files import replace_file

SAMPLE = 400  # chunks whose closeness to others is measured
NEAREST = 4
COUNTED = "prose-1"  # what of a chunk is counted; a cache of anything else is counted anew


def empty() -> Lexicon:
    """Return the lexicon of an empty corpus."""
    return Lexicon(
        documents=0,
        words={},
        bigrams=np.zeros(ngram_model.BIGRAM_BUCKETS, dtype=np.uint16),
        trigrams=np.zeros(ngram_model.TRIGRAM_BUCKETS, dtype=np.float32),
        closeness=(float("nan"), float("nan")),
    )


def count(texts: Iterable[str], documents: int) -> Lexicon:
    """Count chunk texts.

    Args:
        texts: Chunk texts as stored.
        documents: How many documents they are of.
    """
    result = empty()
    frequencies: Counter[str] = Counter()
    bigrams = np.zeros(ngram_model.BIGRAM_BUCKETS, dtype=np.uint32)
    cleaned: list[str] = []
    for text in texts:
        plain = prose(normalise(text))
        cleaned.append(plain)
        row = words(plain)
        frequencies.update(set(row))
        np.add.at(bigrams, np.unique(ngram_model.pair_buckets(row)), 1)
    return replace(
        result,
        documents=documents,
        words=dict(frequencies),
        bigrams=np.minimum(bigrams, 65_535).astype(np.uint16),
        trigrams=ngram_model.count_trigrams(cleaned),
    )


def of_batch(texts: Iterable[str], documents: int) -> Lexicon:
    """Return a lexicon counted on the batch itself, for a corpus too small to know any words.

    Args:
        texts: Chunk texts of the batch and of what is indexed.
        documents: How many documents they are of.
    """
    return replace(count(texts, documents), includes_batch=True)


def without(lexicon: Lexicon, texts: Sequence[str], documents: int) -> Lexicon:
    """Return the lexicon as if some of its chunks had not been counted.

    Args:
        texts: Chunk texts of that corpus.
        documents: How many documents they are of.
    """
    gone = count(texts, documents)
    kept = dict(lexicon.words)
    for word, number in gone.words.items():
        left = kept.get(word, 0) - number
        if left > 0:
            kept[word] = left
        else:
            kept.pop(word, None)
    return replace(
        lexicon,
        documents=max(0, lexicon.documents - documents),
        words=kept,
        bigrams=lexicon.bigrams - np.minimum(lexicon.bigrams, gone.bigrams),
        trigrams=np.maximum(lexicon.trigrams - gone.trigrams, 0.0),
    )


def of_index(
    store: Store, collection: str, documents: int, cache: Path, corpus: str, seal_key: bytes
) -> Lexicon:
    """Return the lexicon of the serving index.

    Args:
        corpus: Digest of the serving corpus.
        seal_key: Of the workspace whose cache it is.
    """
    cached = _load(cache, corpus, seal_key)
    if cached is not None:
        return cached
    texts: list[str] = []
    points: list[Point] = []
    for batch in store.scan(collection, vectors=True):
        texts.extend(str(p.payload.get("page_content", "")) for p in batch)
        points.extend(batch)
    lexicon = with_closeness(count(texts, documents), points)
    _save(lexicon, cache, corpus, seal_key)
    return lexicon


def with_closeness(lexicon: Lexicon, points: Sequence[Point]) -> Lexicon:
    """Return a lexicon that also knows how near the corpus's chunks are to each other."""
    return replace(lexicon, closeness=_closeness(points))


def _closeness(points: Sequence[Point]) -> tuple[float, float]:
    """Tell how near a chunk's four nearest of other documents usually are: mean and deviation."""
    if len(points) < 10 * NEAREST:
        return float("nan"), float("nan")
    chosen = np.random.default_rng(0).permutation(len(points))[:SAMPLE]
    vectors = np.stack([p.vector for p in points])
    names: dict[str, int] = {}
    groups = np.array(
        [
            names.setdefault(str(p.payload.get("ragguard", {}).get("document")), len(names))
            for p in points
        ],
        dtype=np.int64,
    )
    _, similarities = top_k(vectors[chosen], vectors, NEAREST, groups[chosen], groups)
    means = similarities.astype(np.float64).mean(axis=1)
    return float(means.mean()), float(means.std())


def _save(lexicon: Lexicon, cache: Path, corpus: str, seal_key: bytes) -> None:
    buffer = io.BytesIO()
    head = {
        "counted": COUNTED,
        "corpus": corpus,
        "documents": lexicon.documents,
        "closeness": lexicon.closeness,
        "words": lexicon.words,
    }
    np.savez_compressed(
        buffer,
        head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
        bigrams=lexicon.bigrams,
        trigrams=lexicon.trigrams,
    )
    replace_file(cache, kept.wrap(buffer.getvalue(), seal_key, cache.name))


def _load(cache: Path, corpus: str, seal_key: bytes) -> Lexicon | None:
    try:
        data = kept.unwrap(cache.read_bytes(), seal_key, cache.name)
        if data is None:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            if head["corpus"] != corpus or head.get("counted") != COUNTED:
                return None
            mean, deviation = head["closeness"]
            return Lexicon(
                head["documents"],
                head["words"],
                arrays["bigrams"],
                arrays["trigrams"],
                (float(mean), float(deviation)),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
