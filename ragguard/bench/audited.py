"""Run the audit on a dataset: every document with all others, and nobody knows who is new.

What `audit` does between reading an index and writing its report is done here with the same
functions: the spool, its table of neighbours, campaigns, and the checks on every document.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ragguard.audit import analysis, neighbourhoods, recheck
from ragguard.audit.index.spool_writer import Spooler
from ragguard.bench.bare_gate import NOW, BatchVerdicts, points
from ragguard.bench.vectors import EmbeddedBenchDocument
from ragguard.config import Settings
from ragguard.detect import index_campaigns
from ragguard.knn.graph import neighbour_table
from ragguard.model import Bools

BLOCK = 1000
CAMPAIGN = "campaign"
SHARE = 0.9  # of the false alarms that campaigns may cause


def audit_documents(
    items: Sequence[EmbeddedBenchDocument], dimensions: int, rate: float
) -> BatchVerdicts:
    """Audit documents as the content of an index.

    Args:
        items: At least one.
        rate: Share of honest documents accepted among the suspects.

    Returns:
        What is suspected. A document's score is that of its campaign or of the checks, whichever
        is less usual in this index; campaigns, which are what whole indexes are scanned for, get
        nine tenths of the false alarms.
    """
    settings = Settings()
    ticks = [time.perf_counter()]
    with tempfile.TemporaryDirectory(prefix="ragguard-bench-") as folder:
        with Spooler(Path(folder) / "spool", "bench", dimensions) as spooler:
            for start in range(0, len(items), BLOCK):
                part = items[start : start + BLOCK]
                spooler.add("serving", [p for item in part for p in points(item.prepared)])
            spool = spooler.finish()
        graph = neighbour_table(spool.vectors, neighbourhoods.K)
        ticks.append(time.perf_counter())
        hoods = neighbourhoods.look(spool, graph, rate, "bench")
        ticks.append(time.perf_counter())
        lexicon = replace(analysis.counted(spool), closeness=analysis.closeness(spool, graph))
        judged = recheck.judge_indexed(
            spool,
            graph,
            np.arange(len(spool.labels)),
            recheck.RecheckContext(lexicon, (), {}, {}, NOW),
            recheck.active({}),
            rate=rate,
            sample=settings.judge.reference_documents,
            least=settings.judge.least_documents,
            collection="bench",
            suspected=hoods.suspects,
        )
        ticks.append(time.perf_counter())
        number = {label: at for at, label in enumerate(spool.labels)}
        order = np.array([number[item.prepared.label] for item in items], dtype=np.int64)
        suspects = hoods.suspects.copy()
        suspects[list(judged.suspects)] = True
        owners = np.asarray(spool.documents, dtype=np.int64)
        campaign = -np.log10(hoods.p_values)
        place = np.empty(len(spool.labels))
        place[np.argsort(-judged.suspicion, kind="stable")] = np.arange(1, len(spool.labels) + 1)
        alone = -np.log10(place / len(spool.labels))
        checks = {}
        for name, scores in judged.scores.items():
            worst = np.full(len(spool.labels), -np.inf)
            seen = ~np.isnan(scores)
            np.maximum.at(worst, owners[seen], scores[seen])
            checks[name] = -np.log10(
                index_campaigns.tail(np.where(np.isfinite(worst), worst, 0.0))
            )[order]
        checks[CAMPAIGN] = campaign[order]
        first = [
            _first(int(d), judged, hoods.suspects, bool(campaign[d] >= alone[d])) for d in order
        ]
    both = np.maximum(campaign + np.log10(SHARE), alone + np.log10(1.0 - SHARE)).clip(0.0)[order]
    return BatchVerdicts(
        suspects[order],
        np.asarray(both / (1.0 + both), dtype=np.float64),
        first,
        checks,
        judged.profile[0],
        1.0 / (judged.profile[1] + 1.0),
        judged.skipped,
        dict(zip(("neighbours", "judge", "checks"), np.diff(ticks).tolist(), strict=True)),
    )


def _first(document: int, judged: recheck.RecheckResult, named: Bools, more: bool) -> str:
    """Tell what speaks against a document first; empty where nothing does."""
    verdict = judged.suspects.get(document)
    if named[document] and (more or verdict is None):
        return CAMPAIGN
    return verdict.findings[0].check if verdict is not None and verdict.findings else ""
