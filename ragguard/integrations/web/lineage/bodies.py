"""Word what pages and API tell about lineage, as JSON objects of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ragguard.canary.moved import moved
from ragguard.errors import LogError, MalformedError, SignatureError
from ragguard.integrations.web.desk import Desk
from ragguard.lineage import timeline
from ragguard.lineage.answer_graph import answer_lineage
from ragguard.lineage.custody import trace_document
from ragguard.lineage.document_graph import document_lineage
from ragguard.lineage.graph import Lineage
from ragguard.lineage.prov import prov_json
from ragguard.lineage.source import source_lineage, sources
from ragguard.lineage.timeline import Moment
from ragguard.trust import keys

PER_PAGE = 50
MOST_CHANGES = 100


def document(desk: Desk, what: str) -> Lineage:
    """Return the lineage of a document or a chunk. See `document_lineage`."""
    with desk.opened(index=True) as workspace:
        return document_lineage(workspace, what)


def answer(desk: Desk, receipt: str, signers: Sequence[str] = ()) -> Lineage:
    """Return the lineage of an answer, from its receipt. See `answer_lineage`.

    Raises:
        MalformedError: No receipt of this log, or one that none of the keys signed.
    """
    known = [keys.load_public(text.encode()) for text in signers if text.strip()]
    with desk.opened(index=True) as workspace:
        try:
            return answer_lineage(workspace, receipt.encode(), {key.keyid: key for key in known})
        except (SignatureError, LogError) as error:  # what was sent is wrong, nothing of ours
            raise MalformedError(error.message, hint=error.hint) from None


def provenance(desk: Desk, what: str) -> dict[str, Any]:
    """Return the chain of custody of a document as W3C PROV-JSON."""
    with desk.opened(index=True) as workspace:
        return prov_json([asdict(trace_document(workspace, what))])


def source_list(desk: Desk) -> list[dict[str, Any]]:
    """List all sources with their record."""
    with desk.opened() as workspace:
        return [row.as_dict() for row in sources(workspace)]


def source(desk: Desk, name: str, page: int = 1, per: int = PER_PAGE) -> dict[str, Any]:
    """One source, a page of its manifests and cases, and what it moved."""
    with desk.opened() as workspace:
        lineage = source_lineage(workspace, name, offset=(page - 1) * per, limit=per)
        told = moved(workspace, source=name)
    return {
        **lineage.as_dict(),
        "page": page,
        "pages": max(1, -(-max(lineage.brought, lineage.held) // per)),
        "canaries": told.as_dict(),
    }


def history(desk: Desk, page: int, source: str = "", per: int = PER_PAGE) -> dict[str, Any]:
    """Return a page of the timeline."""
    with desk.opened() as workspace:
        total, moments = timeline.timeline(
            workspace, offset=(page - 1) * per, limit=per, source=source
        )
    return {
        "total": total,
        "page": page,
        "pages": max(1, -(-total // per)),
        "commits": [_moment(moment) for moment in moments],
    }


def commit(desk: Desk, number: int, page: int = 1, per: int = MOST_CHANGES) -> dict[str, Any]:
    """Return a commit, and a page of the documents that it changed."""
    with desk.opened() as workspace:
        commit_detail = timeline.look(workspace, number, offset=(page - 1) * per, limit=per)
    return {
        **_moment(commit_detail.moment),
        "state": commit_detail.corpus[0],
        "reason": commit_detail.corpus[1],
        "corpus": commit_detail.moment.row.corpus,
        "documents": commit_detail.documents,
        "decisions": [dict(d) for d in commit_detail.decisions],
        "total": commit_detail.total,
        "page": page,
        "pages": max(1, -(-commit_detail.total // per)),
        "changes": [vars(change) for change in commit_detail.changes],
        "previous": commit_detail.previous,
        "next": commit_detail.next,
    }


def _moment(moment: Moment) -> dict[str, Any]:
    row = moment.row
    return {
        "commit": row.id,
        **{k: getattr(row, k) for k in ("kind", "at", "actor", "source")},
        "manifest": row.manifest or None,
        "signed_by": list(moment.signers),
        "sources": {name: dict(counts) for name, counts in moment.sources.items()},
    }
