"""Small corpora made by hand, as a check sees them.

`Doc` is a document with its chunks and where it is; `make_view` puts documents into a `CorpusView`,
their neighbours found with the kernels. Vectors are made, not embedded: `near` puts one at a chosen
cosine from another, so that a test says exactly how close its texts are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.detect import checks
from ragguard.detect import lexicon as lexicons
from ragguard.knn.topk import merge, top_k
from ragguard.model import CorpusView, DeniedText, Hidden, Lexicon, Metadata, Neighbours, Signal
from ragguard.parse.document import parse
from ragguard.text.minhash import sketch_rows
from ragguard.text.prose import prose_rows
from ragguard.text.words import normalise, term_matrix, words

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
D = 32
HANDBOOK = Path(__file__).parents[3] / "corpora/handbook/v1"


def unit(vector: np.ndarray) -> np.ndarray:
    """A vector at unit length."""
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def direction(seed: int, d: int = D) -> np.ndarray:
    """A unit vector of its own: any two are nearly at right angles."""
    return unit(np.random.default_rng(seed).standard_normal(d))


def near(vector: np.ndarray, cosine: float, seed: int = 0) -> np.ndarray:
    """A unit vector at a cosine from another."""
    exact = vector.astype(np.float64)
    away = np.random.default_rng([seed, 77]).standard_normal(len(vector))
    away -= (away @ exact) * exact
    away /= np.linalg.norm(away)
    return unit(cosine * exact + np.sqrt(max(0.0, 1.0 - cosine**2)) * away)


@dataclass(frozen=True)
class Doc:
    """A document of a made corpus.

    Attributes:
        name: `source/id`; the source is `wiki` when there is none.
        texts: Its chunks.
        vectors: Theirs; made from the name when not given.
        zone: `batch`, `quarantine` (undecided, judged beside the batch), `recent` or `serving`.
        raw: Source text; the chunks' when empty.
    """

    name: str
    texts: Sequence[str]
    vectors: Sequence[np.ndarray] = ()
    zone: str = "batch"
    metadata: Metadata = field(default_factory=dict)
    previous: Metadata | None = None
    raw: str = ""
    hidden: Sequence[Hidden] = ()

    @property
    def label(self) -> str:
        """`source/id`."""
        return self.name if "/" in self.name else f"wiki/{self.name}"

    def placed(self) -> list[np.ndarray]:
        """A vector a chunk."""
        if self.vectors:
            return list(self.vectors)
        seed = int.from_bytes(self.label.encode()[-6:], "big")
        return [direction(seed + i) for i in range(len(self.texts))]


def doc(name: str, text: str, vector: np.ndarray | None = None, **rest: Any) -> Doc:
    """A document of one chunk."""
    return Doc(name, (text,), () if vector is None else (vector,), **rest)


def make_view(
    docs: Sequence[Doc],
    *,
    lexicon: Lexicon | None = None,
    denied: Sequence[DeniedText] = (),
    k: int = 24,
    low: Sequence[str] = (),
    first: Mapping[str, int] | None = None,
) -> CorpusView:
    """Put documents into a view: those of the batch first, in their order, then what waits.

    Args:
        docs: At least one of the batch.
        lexicon: Word statistics of the serving corpus; empty when not given.
        denied: Rejected texts.
        k: Neighbours.
        low: Sources of tier `low`.
        first: Commits that brought the first version of documents.
    """
    judged = [d for zone in ("batch", "quarantine") for d in docs if d.zone == zone]
    ordered = judged + [d for d in docs if d.zone not in ("batch", "quarantine")]
    numbers: dict[str, int] = {}
    for d in ordered:
        numbers.setdefault(d.label, len(numbers))
    kept = list({d.label: d for d in reversed(ordered)}.values())
    kept.sort(key=lambda d: numbers[d.label])
    rows = [(d, i) for d in ordered for i in range(len(d.texts))]
    vectors = np.stack([v for d in ordered for v in d.placed()])
    zones = [d.zone for d, _ in rows]
    documents = np.array([numbers[d.label] for d, _ in rows], dtype=np.int64)
    n = sum(len(d.texts) for d in judged)

    def table(*where: str) -> tuple[np.ndarray, np.ndarray]:
        there = np.flatnonzero([z in where for z in zones])
        found, close = top_k(vectors[:n], vectors[there], k, documents[:n], documents[there])
        placed = there[found] if len(there) else found
        return np.where(found >= 0, placed, -1), close

    texts = [normalise(d.texts[i]) for d, i in rows]
    sources = [d.label.split("/")[0] for d in kept]
    sentences = prose_rows(texts, documents, sources)
    split = [words(t) for t in sentences]
    return CorpusView(
        n=n,
        texts=texts,
        prose=sentences,
        words=split,
        terms=term_matrix(split),
        vectors=vectors,
        zones=zones,
        documents=documents,
        labels=[d.label for d in kept],
        sources=sources,
        metadata=[d.metadata for d in kept],
        previous_metadata=[d.previous for d in judged],
        raws=[d.raw or "\n".join(d.texts) for d in judged],
        hidden=[d.hidden for d in judged],
        reference=Neighbours(*table("serving")),
        newcomers=Neighbours(*merge(table("batch", "quarantine"), table("recent"), k)),
        lexicon=lexicon or lexicons.empty(),
        denied=denied,
        now=NOW,
        low=frozenset(low),
        first=first or {},
    )


def denied_text(label: str, text: str, vector: np.ndarray) -> DeniedText:
    """What a reviewer rejected, as the ledger hands it to checks."""
    plain = normalise(text)
    return DeniedText(label, sketch_rows([words(plain)]), vector[None, :], (plain,))


def measure(name: str, view: CorpusView, **values: Any) -> Signal:
    """Run one check with its defaults, or other values."""
    check = checks.registry()[name]
    return check.function(view, checks.parameters(check, values))


def scores(name: str, view: CorpusView, **values: Any) -> np.ndarray:
    """Raw scores of one check; of the documented shape, or the test fails."""
    found = measure(name, view, **values).scores
    assert found.shape == (view.n,)
    assert found.dtype == np.float64
    return found


def by_document(name: str, docs: Sequence[Doc], **rest: Any) -> dict[str, float]:
    """Highest raw score of each judged document."""
    view = make_view(docs, **rest)
    found: dict[str, float] = {}
    for row, score in enumerate(scores(name, view)):
        label = view.labels[int(view.documents[row])]
        found[label] = max(found.get(label, -np.inf), float(score))
    return found


def assert_order_is_irrelevant(name: str, docs: Sequence[Doc], **rest: Any) -> None:
    """The same documents in another order have the same scores."""
    before = by_document(name, docs, **rest)
    assert len(set(before.values())) > 1, "a corpus on which all scores are equal proves nothing"
    for seed in range(3):
        shuffled = [docs[i] for i in np.random.default_rng(seed).permutation(len(docs))]
        after = by_document(name, shuffled, **rest)
        assert after == {label: _close(score) for label, score in before.items()}


def _close(score: float) -> Any:
    import pytest

    return pytest.approx(score, rel=1e-5, abs=1e-6)


def assert_stands_out(found: Mapping[str, float], guilty: str, factor: float = 1.5) -> None:
    """The guilty one scores above everybody else, and by how much at least."""
    others = [score for label, score in found.items() if label != guilty]
    assert found[guilty] > 0
    assert found[guilty] > factor * max(0.0, *others)


@cache
def handbook() -> tuple[str, ...]:
    """Passages of the shipped sample corpus, some hundred words each: honest text to count on."""
    passages = []
    for path in sorted(p for p in HANDBOOK.rglob("*") if p.is_file()):
        text = parse(path.read_bytes(), path.suffix[1:]).text
        parts = text.split()
        passages += [" ".join(parts[i : i + 120]) for i in range(0, len(parts), 120)]
    return tuple(passages)


@cache
def handbook_lexicon(start: int = 0) -> Lexicon:
    """Word statistics of the sample corpus, its first passages left out."""
    return lexicons.count(handbook()[start:], 132)


def topics(
    count: int, each: int, cosine: float = 0.6, zone: str = "serving", prefix: str = "d"
) -> list[Doc]:
    """Honest documents: `count` subjects with `each` documents at one cosine from their subject."""
    made = []
    for subject in range(count):
        centre = direction(1000 + subject)
        for i in range(each):
            text = " ".join(f"s{subject}word{(7 * i + j) % (each + 20)}" for j in range(20))
            name = f"{prefix}{subject}-{i}"
            vector = near(centre, cosine, 100 * subject + i + (5000 if zone == "batch" else 0))
            made.append(doc(name, text, vector, zone=zone))
    return made
