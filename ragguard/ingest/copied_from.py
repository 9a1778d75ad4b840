"""Find honest documents that a rejected one was copied from.

Likeness to denied text must never cost the document that was there first. An original is a serving
document, of which some version came in by an earlier commit than the rejected one, and which shares
most of its words with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragguard.detect.view import own, point_label
from ragguard.ledger import versions, versions_at
from ragguard.ledger.versions import VersionRow
from ragguard.model import Floats
from ragguard.text.minhash import shared_words
from ragguard.text.words import normalise, words
from ragguard.workspace import Workspace

LOOKED_AT = 8  # nearest passages of each rejected one
COPIED = 0.6  # share of common words from which one was copied from the other


def originals(
    workspace: Workspace, version: VersionRow, vectors: Floats, texts: Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    """Serving documents that a rejected one was copied from.

    Args:
        version: The rejected version.
        vectors: Of its chunks, float32 (m, d).
        texts: Its chunks, normalised.

    Returns:
        Labels (`source/id`) to those of their chunks, normalised, that it resembles.
    """
    generation = workspace.generation()
    store = workspace.open_store()
    if generation is None or not store.exists(generation.serving) or not len(vectors):
        return {}
    hits = store.search(generation.serving, vectors, LOOKED_AT, exact=False)
    points = {
        p.id: p for p in store.get(generation.serving, sorted({i for ids in hits.ids for i in ids}))
    }
    copied: dict[str, list[str]] = {}
    for text, ids in zip(texts, hits.ids, strict=True):
        mine = words(text)
        for point in (points[i] for i in ids if i in points):
            theirs = normalise(str(point.payload.get("page_content", "")))
            if own(point) and shared_words(mine, words(theirs)) >= COPIED:
                copied.setdefault(point_label(point), []).append(theirs)
    if not copied:
        return {}
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
        there = {label: serving[label] for label in copied if label in serving}
        came = {
            (row.source, row.document): min(
                v.commit
                for v in versions_at.versions_named(conn, row.source, row.document)
                if row is not version or v.digest == version.digest
            )
            for row in (version, *there.values())
        }
    first = came[version.source, version.document]
    return {
        label: tuple(dict.fromkeys(copied[label]))
        for label, row in there.items()
        if came[row.source, row.document] < first
    }
