"""Audit a collection that ragguard never wrote: what can be said without provenance.

Who wrote it, and whether it is what was written, nobody can tell here; that is said. Neighbourhoods
and checks are the same as in a workspace. Nothing is changed, and nothing is kept.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ragguard import __version__
from ragguard.audit import analysis, neighbourhoods
from ragguard.audit.findings import (
    AuditFinding,
    AuditReport,
    MapPoint,
    RunningAudit,
    SourceLine,
    peak_memory,
)
from ragguard.audit.index.spool import Spool
from ragguard.audit.index.spool_writer import Spooler
from ragguard.audit.recheck import RecheckContext
from ragguard.config import Settings
from ragguard.corpus.spans import traced
from ragguard.errors import UsageError
from ragguard.knn.graph import Graph, neighbour_table
from ragguard.model import Ints, Progress
from ragguard.store import foreign_layout as layouts
from ragguard.store.foreign import NO_VECTOR, ForeignCollection
from ragguard.trust.canonical import format_time

NAMED = 50  # points named in a finding
UNKNOWN = "a collection that ragguard never wrote has no log, no seals and no signatures"


@dataclass(frozen=True)
class Fields:
    """Where things are in a payload, as dotted paths; empty: to be found out."""

    text: str = ""
    metadata: str = ""
    document: str = ""


@traced("audit", lambda report: {"ragguard.findings": len(report.findings)})
def audit_collection(
    opened: ForeignCollection,
    fields: Fields,
    settings: Settings,
    now: datetime,
    progress: Progress = lambda stage, done, total: None,
    *,
    full: bool = False,
) -> AuditReport:
    """Audit a collection.

    Args:
        opened: The collection; it is only read.
        fields: How to read its payloads.
        settings: How strict to be.
        full: Judge every document, not a sample of very many.

    Raises:
        UsageError: It is empty, or no text is found in it.
        StoreError: It does not answer.
    """
    if not opened.count():
        raise UsageError(f"collection {opened.name!r} is empty")
    layout = layouts.detect(
        opened.sample(), text=fields.text, metadata=fields.metadata, document=fields.document
    )
    course = RunningAudit(progress)
    with tempfile.TemporaryDirectory(prefix="ragguard-audit-") as folder:
        spool = _read(course, opened, layout, Path(folder) / "spool")
        for name in ("log", "provenance"):
            with course.part(name) as note:
                note.skip(UNKNOWN)
        suspects = np.zeros(0, dtype=bool)
        sources: list[SourceLine] = []
        shown: list[MapPoint] = []
        if spool is not None:
            suspects = _analyse(course, spool, settings, opened.name, now, full)
            sources = analysis.source_rows(spool, suspects, None, {})
            shown = analysis.places(spool, suspects)
        with course.part("drift") as note:
            note.skip("nothing is kept of such a collection: `ragguard adopt` takes it in")
        return AuditReport(
            at=format_time(now),
            version=__version__,
            name=f"{opened.name} at {opened.place}",
            collection=opened.name,
            counts={
                "points": len(spool) if spool is not None else 0,
                "documents": len(spool.labels) if spool is not None else 0,
            },
            parts=course.parts,
            findings=sorted(course.findings, key=lambda f: (-f.score, f.identity)),
            sources=sources,
            fresh=frozenset(f.identity for f in course.findings),
            places=shown,
            memory_bytes=peak_memory(),
        )


def _read(
    course: RunningAudit, opened: ForeignCollection, layout: layouts.Layout, folder: Path
) -> Spool | None:
    """Return all points once, into a spool."""
    spool: Spool | None = None
    faults: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    absent = 0
    with course.part("fields") as note:
        note.reason = _taken(opened, layout)
    with course.part("index") as note:
        total = opened.count()
        with Spooler(
            folder, opened.name, opened.dimensions, lambda p: layouts.read(p, layout)
        ) as spooler:
            for block in opened.scan():
                for point in block:
                    if point.fault == NO_VECTOR and opened.optional:
                        absent += 1
                    elif point.fault:
                        counts[point.fault] = counts.get(point.fault, 0) + 1
                        named = faults.setdefault(point.fault, [])
                        if len(named) < NAMED:
                            named.append(point.id)
                spooler.add("serving", block)
                note.looked_at += len(block)
                course.progress("read", note.looked_at, total)
            spool = spooler.finish()
        if opened.treatment:
            note.reason = opened.treatment
        course.add(
            [
                AuditFinding(
                    "vector-invalid",
                    f"{counts[fault]} points: {fault}" if counts[fault] > 1 else fault,
                    point=ids[0] if len(ids) == 1 else "",
                    collection=opened.name,
                    count=counts[fault],
                    facts={"points": ids},
                    about=fault,
                )
                for fault, ids in faults.items()
            ]
        )
        silent = [o.count for o in spool.left_out if o.reason == "no text"]
        left = [f"{silent[0]} points have no text"] if silent else []
        if absent:
            left.append(f"{absent} points have no vector {opened.vector!r}, which is optional")
        if left:
            note.less(f"left out: {'; '.join(left)}")
    return spool


def _taken(opened: ForeignCollection, layout: layouts.Layout) -> str:
    """Tell which fields of a payload are taken for what, and which vector is compared."""

    def named(path: str | None, otherwise: str) -> str:
        return repr(path) if path else otherwise

    flat = "all keys beside the text" if not layout.metadata else ""
    parts = [
        f"text from {layout.text!r}",
        f"metadata from {flat or repr(layout.metadata)}",
        f"documents by {named(layout.document, 'nothing: each point is one')}",
        f"source from {named(layout.source, 'nothing')}",
    ]
    others = [name for name in opened.vectors if name != opened.vector]
    if opened.vector or others:
        beside = f" (not {', '.join(map(repr, others[:NAMED]))})" if others else ""
        parts.append(f"vector {opened.vector!r}{beside}")
    return f"{', '.join(parts)} ({layout.name} layout)"


def _analyse(
    course: RunningAudit,
    spool: Spool,
    settings: Settings,
    collection: str,
    now: datetime,
    full: bool,
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    graphs: list[Graph] = []
    k = neighbourhoods.FEW_K if len(spool) > neighbourhoods.MANY else neighbourhoods.K

    def graph() -> Graph:
        graphs.append(neighbour_table(spool.vectors, k, progress=course.progress))
        return graphs[0]

    def known() -> RecheckContext:
        lexicon = replace(analysis.counted(spool), closeness=analysis.closeness(spool, graphs[0]))
        return RecheckContext(lexicon, (), {}, {}, now)

    def chosen(_: Graph) -> Ints:
        here = analysis.serving(spool)
        most = settings.audit.judge_documents
        if full or len(here) <= most:
            return here
        return np.sort(np.random.default_rng(0).permutation(here)[:most])

    partly = f"a sample of {settings.audit.judge_documents} documents"
    return analysis.analyse(
        course, spool, graph, known, chosen, settings, collection, partly
    ).suspects
