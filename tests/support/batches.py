"""Documents made by hand as ingest prepares them, and a numpy store that holds such documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from ragguard.detect.view import PreparedDocument
from ragguard.model import Chunk, Document, Hidden, Metadata
from ragguard.store import Point
from ragguard.store.memory import MemoryStore
from ragguard.trust.canonical import digest_bytes
from tests.support.checks.views import D, direction

SERVING, QUARANTINE = "serving", "quarantine"


def prepared(
    name: str,
    texts: Sequence[str] = ("some text",),
    vectors: Sequence[np.ndarray] = (),
    *,
    source: str = "wiki",
    metadata: Metadata | None = None,
    previous: Metadata | None = None,
    hidden: Sequence[Hidden] = (),
    raw: str = "",
) -> PreparedDocument:
    """A document, its chunks and their vectors (from the name when not given)."""
    body = "\n".join(texts)
    seed = int.from_bytes(digest_bytes(name.encode()).encode()[:6], "big")
    digest = digest_bytes(body.encode())
    placed = vectors or [direction(seed + i) for i in range(len(texts))]
    return PreparedDocument(
        Document(source, name, digest, metadata or {}, name, digest),
        raw or body,
        tuple(hidden),
        tuple(Chunk(0, len(t), t) for t in texts),
        np.stack(list(placed)),
        previous,
    )


def points(document: PreparedDocument) -> list[Point]:
    """Its points, with the payload that ingest writes as far as a view reads it."""
    return [
        Point(
            str(uuid5(NAMESPACE_URL, f"{document.label}#{i}#{document.document.digest}")),
            vector,
            {
                "page_content": chunk.text,
                "metadata": dict(document.document.metadata),
                "ragguard": {
                    "source": document.document.source,
                    "document": document.document.id,
                },
            },
        )
        for i, (chunk, vector) in enumerate(zip(document.chunks, document.vectors, strict=True))
    ]


def stored(
    serving: Sequence[PreparedDocument] = (),
    quarantine: Sequence[PreparedDocument] = (),
    **options: Any,
) -> MemoryStore:
    """A store with these documents in its two collections."""
    store = MemoryStore(**options)
    for name, documents in ((SERVING, serving), (QUARANTINE, quarantine)):
        store.create(name, D)
        found = [p for document in documents for p in points(document)]
        if found:
            store.upsert(name, found)
    return store
