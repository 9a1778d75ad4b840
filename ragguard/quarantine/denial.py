"""Keep what a rejected document looked like, so that its like is known again."""

from __future__ import annotations

import io
import json

import numpy as np

from ragguard.corpus.changes import Draft
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import dump_vectors
from ragguard.text.minhash import sketch_rows
from ragguard.text.words import normalise, words
from ragguard.trust.canonical import digest_bytes


def keep(plan: Draft, version: VersionRow) -> None:
    """Put what a document looked like into the vault, and its denial into the plan."""
    stored = plan.stored([version])[version.id]
    texts = [normalise(str(w.payload["page_content"])) for w in stored]
    vectors = np.stack([plan.packs.vector(w) for w in stored])
    sketches = io.BytesIO()
    np.save(sketches, sketch_rows([words(t) for t in texts]), allow_pickle=False)
    body = json.dumps(texts).encode()
    text = digest_bytes("\n".join(texts).encode())
    plan.deny_like(version, text, [sketches.getvalue(), dump_vectors(vectors), body])
