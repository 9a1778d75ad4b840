"""Analyse a spool: neighbourhoods, checks, a map, and what the next audit compares with.

An audit of a workspace and one of a collection that ragguard never wrote differ in what they know
beside the points; from the spool on they are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragguard.audit import neighbourhoods, recheck
from ragguard.audit.findings import AuditFinding, MapPoint, RunningAudit, SourceLine
from ragguard.audit.index.spool import Spool
from ragguard.audit.neighbourhoods import Neighbourhoods
from ragguard.audit.recheck import RecheckContext, RecheckResult
from ragguard.audit.snapshot import AuditedCorpus
from ragguard.config import Settings
from ragguard.detect import lexicon as lexicons
from ragguard.detect.checks import Check
from ragguard.knn.graph import Graph
from ragguard.model import Bools, Floats, Ints, Lexicon

LABELLED = ("department", "label", "language")  # metadata whose shares are followed
MAPPED = 1500  # points on the map beside the suspects
SUSPECTS_MAPPED = 500
COUNTED = 100_000  # rows whose words are counted at most
CLOSE = 400  # rows that say how near neighbours usually are
NEAREST = 4


@dataclass(frozen=True)
class Analysis:
    """What the index itself says.

    Attributes:
        suspects: bool (m,), documents that findings name.
        hoods: Of the neighbourhood part; `None` where it failed.
        judged: Of the checks; `None` where they failed or had nothing to look at.
    """

    suspects: Bools
    hoods: Neighbourhoods | None
    judged: RecheckResult | None


def analyse(
    course: RunningAudit,
    spool: Spool,
    graph: Callable[[], Graph],
    known: Callable[[], RecheckContext],
    chosen: Callable[[Graph], Ints],
    settings: Settings,
    collection: str,
    partly: str = "",
) -> Analysis:
    """Run the parts that need no provenance.

    Args:
        graph: Makes the table of neighbours.
        known: Makes what documents are held against.
        chosen: Numbers of the documents to judge.
        collection: Name for the findings.
        partly: Why not all documents are judged; empty when all are.
    """
    rate = settings.audit.false_alarm_rate
    suspects = np.zeros(len(spool.labels), dtype=bool)
    table: Graph | None = None
    hoods: Neighbourhoods | None = None
    judged: RecheckResult | None = None
    with course.part("neighbours") as note:
        if not len(spool):
            note.skip("nothing is indexed")
        else:
            table = graph()
            note.looked_at = len(spool)
            if not table.exact and table.recall is not None:
                low = (table.recall_interval or (table.recall, table.recall))[0]
                note.reason = f"approximate: recall {table.recall:.4f} (at least {low:.4f})"
    with course.part("neighbourhoods") as note:
        if table is None:
            note.skip("there is no table of neighbours")
        else:
            hoods = neighbourhoods.look(spool, table, rate, collection)
            note.looked_at = len(spool.labels)
            suspects |= hoods.suspects
            course.add(hoods.findings)
    with course.part("checks") as note:
        if table is None:
            note.skip("there is no table of neighbours")
        else:
            documents = chosen(table)
            checks: Mapping[str, tuple[Check, object]] = recheck.active(
                settings.checks, settings.plugins.checks
            )
            judged = recheck.judge_indexed(
                spool,
                table,
                documents,
                known(),
                checks,
                rate=rate,
                sample=settings.judge.reference_documents,
                least=settings.judge.least_documents,
                collection=collection,
                suspected=suspects.copy(),
                progress=course.progress,
            )
            note.looked_at = len(documents)
            suspects[list(judged.suspects)] = True
            course.add(judged.findings)
            crashed = sorted(s.check for s in judged.skipped if s.crashed)
            if crashed:
                note.state, note.reason = "failed", f"checks that failed: {', '.join(crashed)}"
            elif partly and len(documents) < len(serving(spool)):
                note.less(partly)
    return Analysis(suspects, hoods, judged)


def serving(spool: Spool) -> Ints:
    """Return the numbers of the documents that serve, ascending."""
    documents = np.asarray(spool.documents, dtype=np.int64)
    return np.unique(documents[~spool.quarantined])


def counted(spool: Spool) -> Lexicon:
    """Count the lexicon of a spool that has none; of a sample where there are very many rows."""
    rows = np.flatnonzero(~spool.quarantined)
    share = min(1.0, COUNTED / max(1, len(rows)))
    if share < 1:
        rows = np.sort(np.random.default_rng(1).permutation(rows)[:COUNTED])
    parts = np.array_split(rows, max(1, len(rows) // 4096))
    texts = (text for some in parts for text in spool.texts(some))
    return lexicons.count(texts, int(share * len(serving(spool))))


def closeness(spool: Spool, graph: Graph) -> tuple[float, float]:
    """Tell how near a chunk's four nearest of other documents usually are: mean and deviation."""
    rows = np.flatnonzero(~spool.quarantined)
    if len(rows) < 10 * NEAREST:
        return float("nan"), float("nan")
    some = np.random.default_rng(0).permutation(rows)[:CLOSE]
    owners = np.asarray(spool.documents, dtype=np.int64)
    near = np.asarray(graph.indices[some], dtype=np.int64)
    other = (near >= 0) & (owners[np.maximum(near, 0)] != owners[some][:, None])
    order = np.argsort(~other, axis=1, kind="stable")[:, :NEAREST]
    values = np.where(other, graph.similarities[some], np.nan)
    means = np.nanmean(np.take_along_axis(values, order, axis=1).astype(np.float64), axis=1)
    return float(np.nanmean(means)), float(np.nanstd(means))


def corpus_of(spool: Spool, analysis: Analysis, fresh: Bools | None) -> AuditedCorpus:
    """Tell what a snapshot is taken of: the serving rows."""
    rows = np.flatnonzero(~spool.quarantined)
    numbers = serving(spool)
    place = np.full(len(spool.labels), -1, dtype=np.int64)
    place[numbers] = np.arange(len(numbers))
    metadata = [spool.metadata(d) for d in numbers.tolist()]
    scores: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    if analysis.judged is not None:
        scores = {name: s[rows] for name, s in analysis.judged.scores.items()}
    if analysis.hoods is not None:
        scores["campaign"] = analysis.hoods.scores[rows]
    vectors: Floats = spool.vectors if len(rows) == len(spool) else spool.vectors[rows]
    return AuditedCorpus(
        vectors=vectors,
        documents=place[np.asarray(spool.documents, dtype=np.int64)[rows]],
        names=[spool.labels[d] for d in numbers.tolist()],
        sources=[spool.sources[d] for d in numbers.tolist()],
        labels={
            name: [m[name] if isinstance(m.get(name), str) else "" for m in metadata]
            for name in LABELLED
        },
        scores=scores,
        fresh=None if fresh is None else fresh[numbers],
    )


def source_rows(
    spool: Spool,
    suspects: Bools,
    fresh: Bools | None,
    states: Mapping[str, str],
) -> list[SourceLine]:
    """Return the table of sources, the largest first."""
    here = serving(spool)
    every = np.arange(len(spool.labels))
    waiting = np.unique(np.asarray(spool.documents, dtype=np.int64)[spool.quarantined])

    def count(numbers: Ints) -> Counter[str]:
        return Counter(spool.sources[d] for d in numbers.tolist())

    documents, held = count(here), count(waiting)
    bad = count(here[suspects[here]])
    new = count(every[fresh]) if fresh is not None else Counter()
    names = sorted({*documents, *held, *states}, key=lambda n: (-documents[n], n))
    return [
        SourceLine(
            name,
            documents[name],
            held[name],
            new[name],
            bad[name],
            state=states.get(name, "unsigned" if not states else "unknown"),
        )
        for name in names
    ]


def with_drift(
    rows: Sequence[SourceLine], shifts: Mapping[str, tuple[float, float]]
) -> list[SourceLine]:
    """Return the table with the shift of each source, (effect, p-value)."""
    return [
        replace(row, drift=shifts[row.source][0], p_value=shifts[row.source][1])
        if row.source in shifts
        else row
        for row in rows
    ]


def places(spool: Spool, suspects: Bools) -> list[MapPoint]:
    """Return a map: the two directions in which a sample of the serving points differs most."""
    rows = np.flatnonzero(~spool.quarantined)
    if len(rows) < 3:
        return []
    owners = np.asarray(spool.documents, dtype=np.int64)
    guilty = rows[suspects[owners[rows]]][:SUSPECTS_MAPPED]
    drawn = np.random.default_rng(0).permutation(rows)[:MAPPED]
    shown = np.union1d(guilty, drawn)
    sample = np.asarray(spool.vectors[drawn], dtype=np.float64)
    centre = sample.mean(axis=0)
    _, _, axes = np.linalg.svd(sample - centre, full_matrices=False)
    flat = (np.asarray(spool.vectors[shown], dtype=np.float64) - centre) @ axes[:2].T
    low, high = flat.min(axis=0), flat.max(axis=0)
    flat = (flat - low) / np.maximum(high - low, 1e-12)
    return [
        MapPoint(
            round(float(x), 4),
            round(float(y), 4),
            spool.sources[int(owners[row])],
            spool.labels[int(owners[row])],
            bool(suspects[owners[row]]),
        )
        for row, (x, y) in zip(shown.tolist(), flat.tolist(), strict=True)
    ]


def left_out(spool: Spool, collection: str) -> list[AuditFinding]:
    """List points that could not be looked at, as findings: no search finds such a vector."""
    return [
        AuditFinding(
            "vector-invalid",
            f"{excluded.count} points have a vector that no search finds ({excluded.reason})",
            collection=collection,
            count=excluded.count,
            facts={"points": list(excluded.ids)},
        )
        for excluded in spool.left_out
        if excluded.reason in ("vector", "dimensions")
    ]
