"""Fit the shipped profiles on the shipped handbook, and on nothing else.

    python benchmarks/fit_profiles.py

Its unit is the passage: 130 documents are too few to say what is rarer than one in a hundred.
`cold`: the whole handbook arrives in an empty index. `warm`: eight times over, a random quarter
arrives in an index that holds the other three. Writes ragguard/profiles/{cold,warm}.npz.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from ragguard import lexicon as lexicons
from ragguard import reference, scoring
from ragguard.encode.encoder import open_encoder
from ragguard.encode.parse import parse
from ragguard.encode.split import split
from ragguard.kernels.canonical import digest, digest_bytes
from ragguard.model import Document
from ragguard.sign import read_metadata
from ragguard.store import Point, Store
from ragguard.store.edge import open_edge
from ragguard.store.qdrant import QdrantStore
from ragguard.view import Prepared, Surroundings, build_view

HERE = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 8
# Written to quote attack wording at length: two of 132 in this small handbook, far more than in a
# company's thousands. As a reference they would teach that such wording is usual.
LEFT_OUT = {"engineering/untrusted-text-in-summaries.rst", "it/ai-assistants-guidance.rst"}


def handbook() -> list[Prepared]:
    """The handbook's first edition, parsed, split and embedded."""
    root = HERE / "corpora/handbook/v1"
    metadata = read_metadata(HERE / "corpora/handbook/metadata.json")
    encoder = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)
    names = sorted(metadata.keys() - LEFT_OUT)
    data = [(root / name).read_bytes() for name in names]
    formats = [name.rpartition(".")[2] for name in names]
    parsed = [parse(d, f) for d, f in zip(data, formats, strict=True)]
    chunks, _ = split(
        [p.text for p in parsed],
        formats,
        size=1000,
        overlap=100,
        max_tokens=encoder.recipe.max_tokens,
        count_tokens=encoder.count_tokens,
        begins=[p.begin for p in parsed],
    )
    flat = encoder.encode([c.text for row in chunks for c in row])
    vectors = iter(flat)
    return [
        Prepared(
            Document("handbook", name, digest_bytes(d), metadata[name], name, digest_bytes(d)),
            d.decode() if f == "html" else p.text,
            p.hidden,
            tuple(row),
            np.stack([next(vectors) for _ in row]),
        )
        for name, d, f, p, row in zip(names, data, formats, parsed, chunks, strict=True)
    ]


def fill(store: Store, collection: str, documents: list[Prepared]) -> None:
    """Write documents to a collection."""
    points = []
    for p in documents:
        own = {"source": p.document.source, "document": p.document.id}
        for i, (chunk, vector) in enumerate(zip(p.chunks, p.vectors, strict=True)):
            payload = {
                "page_content": chunk.text,
                "metadata": dict(p.document.metadata),
                "ragguard": own,
            }
            points.append(Point(str(uuid5(NAMESPACE_URL, f"{p.label}#{i}")), vector, payload))
    store.upsert(collection, points)


def main() -> None:
    """Fit both profiles."""
    documents = handbook()
    checks = scoring.active_checks({})
    units = {name: check.unit for name, (check, _) in checks.items()}
    with tempfile.TemporaryDirectory() as folder:
        store = QdrantStore(open_edge(Path(folder)))
        for name in ("serving", "quarantine", "empty"):
            store.create(name, documents[0].vectors.shape[1])
        fill(store, "serving", documents)
        texts = [c.text for p in documents for c in p.chunks]

        passages = [digest_bytes(text.encode()) for text in texts]
        cold = lexicons.of_batch(texts, len(documents))
        view = build_view(documents, Surroundings(store, "empty", "quarantine", cold, [], NOW))
        measured = scoring.measure(view, checks)
        scores = {n: s.scores for n, s in measured.signals.items()}
        owners = {n: np.arange(view.n) for n in scores}
        profile = reference.assemble("shipped-cold", scores, owners, units, passages)
        write(profile, "cold")

        points = [p for block in store.scan("serving", vectors=True) for p in block]
        full = lexicons.with_closeness(lexicons.count(texts, len(documents)), points)
        rng = np.random.default_rng(0)
        parts: dict[str, list[np.ndarray]] = {}
        ids: dict[str, list[np.ndarray]] = {}
        units_seen = 0
        for _ in range(ROUNDS):
            for quarter in np.array_split(rng.permutation(len(documents)), 4):
                batch = [documents[i] for i in quarter]
                gone = [c.text for p in batch for c in p.chunks]
                lexicon = lexicons.without(full, gone, len(batch))
                around = Surroundings(store, "serving", "quarantine", lexicon, [], NOW)
                view = build_view(batch, around, absent={p.label for p in batch})
                for name, signal in scoring.measure(view, checks).signals.items():
                    parts.setdefault(name, []).append(signal.scores)
                    ids.setdefault(name, []).append(units_seen + np.arange(view.n))
                units_seen += view.n
        pooled = reference.assemble(
            "shipped-warm",
            {n: np.concatenate(v) for n, v in parts.items()},
            {n: np.concatenate(v) for n, v in ids.items()},
            units,
            [str(i) for i in range(units_seen)],
        )
        # The rounds repeat the same passages: one value in eight stays, the upper one.
        kept = pooled.combined[ROUNDS - 1 :: ROUNDS]
        fitted_on = digest(sorted(passages))
        profile = replace(pooled, documents=len(kept), combined=kept, fitted_on=fitted_on)
        write(profile, "warm")
        store.close()


def write(profile: scoring.Profile, name: str) -> None:
    """Write a profile into the package."""
    (HERE / f"ragguard/profiles/{name}.npz").write_bytes(reference.dump(profile))
    report(profile)


def report(profile: scoring.Profile) -> None:
    """Print a profile's quantiles."""
    print(profile.name, profile.documents, "passages, fitted on", profile.fitted_on[:12])
    for name, scores in profile.scores.items():
        print(f"  {name:18}", np.round(np.quantile(scores, [0.5, 0.9, 0.99, 1.0]), 3))
    print("  combined          ", np.round(np.quantile(profile.combined, [0.5, 0.9, 0.99, 1]), 3))


if __name__ == "__main__":
    main()
