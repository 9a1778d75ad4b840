"""Derive canary queries from clean documents, for users who have no queries of their own.

Titles, headings and key sentences are turned into questions by rules. They are held apart from what
they will judge: a document that waits in quarantine, was denied, was held back once or has any
finding gives no query, and neither does one that came lately, which is where poison that nobody has
found yet is. A document that asks its own questions would otherwise vouch for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ragguard.canary.sets import MAX_TEXT, Canaries
from ragguard.errors import UsageError
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import versions
from ragguard.ledger.versions import VersionRow
from ragguard.model import Chunk
from ragguard.redteam.attacks import HonestDocument
from ragguard.redteam.attacks import questions as derived
from ragguard.redteam.staging import whole_text
from ragguard.store import Store
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.workspace import Workspace

SPARE = 10  # documents read for each query wanted
_NOWHERE = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class SuggestedQueries:
    """Queries that were derived.

    Attributes:
        canaries: Queries and qrels: each query is answered by the documents it was made from.
        documents: Serving documents that could have given one.
        held_apart: What was left out, in one sentence.
    """

    canaries: Canaries
    documents: int
    held_apart: str


def suggest(workspace: Workspace, count: int, seed: int = 0) -> SuggestedQueries:
    """Derive queries from the serving documents.

    Args:
        workspace: Open and locked.
        count: Queries wanted; fewer come back where the documents offer fewer.
        seed: Decides which; the same seed gives the same.

    Raises:
        UsageError: Nothing was ingested yet, or no document is fit to give a query.
    """
    generation = workspace.generation()
    if generation is None:
        raise UsageError("nothing to derive queries from: no manifest was ingested yet")
    rows, held_apart = _fit(workspace)
    rng = np.random.default_rng(seed)
    picked = [rows[i] for i in rng.permutation(len(rows))[: SPARE * count].tolist()]
    store = workspace.open_store()
    passages = _passages(workspace, store, generation.serving, picked)
    questions = derived.suggest(passages, rng, count)
    if not questions:
        raise UsageError(
            f"no query can be derived from {len(rows)} documents ({held_apart})",
            hint="Write some by hand, and add them with `ragguard canary add`.",
        )
    queries = {f"s-{digest_bytes(text.encode())[:12]}": text[:MAX_TEXT] for text, _ in questions}
    qrels = {
        query: dict.fromkeys(relevant, 1)
        for query, (_, relevant) in zip(queries, questions, strict=True)
    }
    return SuggestedQueries(Canaries(queries, qrels), len(rows), held_apart)


def _fit(workspace: Workspace) -> tuple[list[VersionRow], str]:
    """Serving documents that may vouch for others, by label, and what was left out."""
    days = workspace.settings.judge.recent_days
    sources = workspace.root.sources
    planted = {name for name, source in sources.items() if source.policy.honeytoken}
    since = format_time(workspace.now - timedelta(days=days))
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
        waiting = versions.members(conn, "quarantine")
        denied = {row.digest for row in decided_rows.denied(conn)}
        late = set(versions.arrivals(conn, since))
    clean = [
        row
        for label, row in sorted(serving.items())
        if row.outcome == "admit"
        and not row.findings
        and label not in waiting
        and row.digest not in denied
        and row.source not in planted
    ]
    suspect = len(serving) - len(clean)
    last = max((row.commit for row in clean), default=0)
    for lately, reason in (
        (late, f"that came within {days} days"),
        ({last}, "of the last commit: all others came lately too"),
        (set[int](), "for coming lately: all of them came with one commit"),
    ):
        rows = [row for row in clean if row.commit not in lately]
        left_out = f"{len(clean) - len(rows)} {reason}"
        if rows:
            break
    return rows, f"left out: {suspect} held back once or suspect, {left_out}"


def _passages(
    workspace: Workspace, store: Store, collection: str, rows: list[VersionRow]
) -> list[HonestDocument]:
    with workspace.ledger.reading() as conn:
        points = versions.points_of(conn, [row.id for row in rows])
    ids = [point.point for row in rows for point in points[row.id]]
    texts = {p.id: str(p.payload.get("page_content", "")) for p in store.get(collection, ids)}
    return [
        HonestDocument(
            row.label,
            whole_text(
                [Chunk(p.start, p.end, texts[p.point]) for p in points[row.id] if p.point in texts]
            ),
            _NOWHERE,
            row.metadata,
        )
        for row in rows
    ]
