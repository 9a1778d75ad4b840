"""Deciding: what a reviewer's word does to a document, as a part of a plan.

A release puts its waiting version into the serving index, a rejection takes it out of the
quarantine for good and keeps what it looked like.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ragguard.corpus import changes
from ragguard.corpus.changes import Draft, Standing
from ragguard.corpus.pull_back import Packs
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Write, dump_vectors
from ragguard.text.minhash import sketch_rows
from ragguard.text.words import normalise, words
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace import Workspace


def release(
    plan: Draft,
    version: VersionRow,
    standing: Standing,
    points: Mapping[int, Sequence[Any]],
    stored: Sequence[Write],
    packs: Packs,
) -> dict[str, Any]:
    """Put a waiting document into the serving index; returns its leaf."""
    writes = [_move(plan, "serving", write, packs) for write in stored]
    plan.put_in(version.id, "serving", writes)
    before = standing.serving.get(version.document)
    if before is not None:
        plan.take_out(before, "serving", points[before.id])
    changes.close_waiting(plan, version.document, standing, points, "released")
    plan.counts["released"] += 1
    return _leaf(version, "released", writes)


def reject(
    plan: Draft,
    version: VersionRow,
    standing: Standing,
    points: Mapping[int, Sequence[Any]],
) -> dict[str, Any]:
    """Take a waiting document out of the quarantine for good; returns its leaf."""
    changes.close_waiting(plan, version.document, standing, points, "rejected")
    plan.counts["denied"] += 1
    return _leaf(version, "denied", [])


def _leaf(version: VersionRow, outcome: str, writes: Sequence[Write]) -> dict[str, Any]:
    return {
        "source": version.source,
        "document": version.document,
        "digest": version.digest,
        "metadata": version.metadata_digest,
        "outcome": outcome,
        "points": [[w.id, w.payload["ragguard"]["seal"]] for w in writes],
    }


def _move(plan: Draft, zone: str, write: Write, packs: Packs) -> Write:
    """A point sealed for the collection of another zone."""
    vector = packs.vector(write)
    payload = changes.seal_payload(
        plan.workspace, plan.collection(zone), write.id, vector, write.payload
    )
    return Write(write.id, payload, write.pack, write.row)


def denial(
    workspace: Workspace, version: VersionRow, commit: int, stored: Sequence[Write], packs: Packs
) -> dict[str, Any]:
    """Row of a denial; what the document looked like goes into the vault."""
    texts = [normalise(str(w.payload["page_content"])) for w in stored]
    vectors = np.stack([packs.vector(w) for w in stored])
    sketches = io.BytesIO()
    np.save(sketches, sketch_rows([words(t) for t in texts]), allow_pickle=False)
    body = json.dumps(texts).encode()
    kept = workspace.vault.put_many([sketches.getvalue(), dump_vectors(vectors), body])
    return {
        "version": version.id,
        "digest": version.digest,
        "text_digest": digest_bytes("\n".join(texts).encode()),
        "sketches": kept[0],
        "vectors": kept[1],
        "texts": kept[2],
        "commit": commit,
    }
