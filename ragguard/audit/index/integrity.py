"""Reconcile the index with the ledger's seals, both ways: is every point the one we wrote?

One streaming pass: each point's seal is computed anew and compared with the one it carries and with
the ledger's current one, so that an old state with its old, valid seal is found too. What is left
over in the ledger at the end is missing from the index. Nothing is changed; what was done to a
point is named by `tampering`.

Memory: `seals.SealTable`, 49 bytes a point, and a block of points.

How alike the points of another hand are: lengths, mean similarity, repeated texts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np

from ragguard.audit.findings import FEW, AuditFinding, FindingFold
from ragguard.audit.index.seal_table import SealTable, raw_seal
from ragguard.audit.tampering import Diagnosis, Suspect
from ragguard.detect.view import own
from ragguard.errors import RagguardError, StoreError
from ragguard.ledger import audit_queries, commits
from ragguard.ledger.commits import Generation
from ragguard.ledger.seals import seal
from ragguard.ledger.writer import Plan
from ragguard.model import Floats
from ragguard.store import Point
from ragguard.trust.canonical import digest_text
from ragguard.workspace import Workspace

Zone = Literal["serving", "quarantine"]
ZONES: tuple[Zone, ...] = ("serving", "quarantine")
BLOCK = 1000  # points read at once
SENTENCES = {
    "foreign-point": "points were never written by ragguard",
    "missing-point": "points that were written are gone",
    "vector-changed": "points have another vector than was written",
    "payload-changed": "points have another text or other metadata than was written",
    "point-moved": "points of another collection stand here",
    "point-copied": "points are copies of ours under other ids",
    "point-orphaned": "points of removed documents are here",
    "point-replayed": "points were put back into an older state",
    "vector-invalid": "points have vectors that no search finds or that distort it",
    "ledger-inconsistent": "rows of the ledger do not fit together",
}
log = logging.getLogger(__name__)
TEXTS = 10_000  # distinct texts counted at most


class Reconciler:
    """Compares points, fed in blocks, with what the ledger says they are.

    Args:
        zones: Zones whose points will be fed; another zone's are not missed.
    """

    def __init__(
        self, workspace: Workspace, generation: Generation, zones: Sequence[Zone] = ZONES
    ) -> None:
        self._workspace = workspace
        self._collections: dict[str, str] = {z: getattr(generation, z) for z in ZONES}
        self._zones = tuple(zones)
        with workspace.ledger.reading() as conn:
            self._tables: dict[str, SealTable] = {
                z: SealTable(conn, self._collections[z]) for z in ZONES
            }
        self._expected = _pending(workspace)
        self._diagnosis = Diagnosis(workspace, generation, self._tables)
        self._likeness: dict[str, Likeness] = {z: Likeness() for z in ZONES}
        self._fold = FindingFold(SENTENCES)
        self.looked_at = 0

    def see(self, zone: Zone, points: Sequence[Point]) -> None:
        """Take a block of points in, ids and vectors as the engine gave them."""
        if not points:
            return
        self.looked_at += len(points)
        table, collection = self._tables[zone], self._collections[zone]
        seals = [self._seal(collection, p) for p in points]
        rows = table.rows([p.id for p in points])
        current = table.same(rows, [raw_seal(s) for s in seals])
        table.marked[rows[rows >= 0]] = True
        carried = np.array([_carries(p, s) for p, s in zip(points, seals, strict=True)])
        suspects = [
            Suspect(points[i], int(rows[i]), seals[i], bool(current[i]))
            for i in np.flatnonzero(~(current & carried)).tolist()
            if not (carried[i] and self._expected.writes(collection, points[i].id, seals[i]))
        ]
        if suspects:
            self._accuse(zone, collection, suspects)

    def finish(self) -> list[AuditFinding]:
        """Tell what was found, and which points were not fed."""
        for zone in self._zones:
            self._miss(zone)
        self._look_into_ledger()
        return [
            self._flood(f) if f.rule == "foreign-point" and f.count > FEW else f
            for f in self._fold.findings()
        ]

    def _seal(self, collection: str, point: Point) -> str:
        try:
            return seal(
                self._workspace.seal_key,
                point.id,
                point.vector.tobytes(),
                point.payload,
                collection,
            )
        except (ValueError, TypeError, RecursionError):  # no payload that ragguard could write
            return ""

    def _accuse(self, zone: Zone, collection: str, suspects: Sequence[Suspect]) -> None:
        strangers = set()
        for finding in self._diagnosis.explain(zone, collection, suspects):
            self._fold.add(finding)
            if finding.rule == "foreign-point":
                strangers.add(finding.point)
        self._likeness[zone].add([s.point for s in suspects if s.point.id in strangers])

    def _miss(self, zone: Zone) -> None:
        table, collection = self._tables[zone], self._collections[zone]
        gone = self._expected.drops.get(collection, frozenset())
        missed = (point for point in table.unmarked() if point not in gone)
        first = list(islice(missed, FEW))
        with self._workspace.ledger.reading() as conn:
            places = audit_queries.places(conn, first)
        for point in first:
            rows = places.get(point, [])
            label = rows[0].label if rows else ""
            detail = f"{label or point}: a point that was written is gone"
            self._fold.add(AuditFinding("missing-point", detail, label, point, collection))
        if rest := sum(1 for _ in missed):
            detail = "more points are gone"
            self._fold.add(AuditFinding("missing-point", detail, collection=collection, count=rest))

    def _look_into_ledger(self) -> None:
        """Seals against points and membership: an attacker may have written both."""
        with self._workspace.ledger.reading() as conn:
            for zone in self._zones:
                name = self._collections[zone]
                lists = {
                    "has a seal and belongs to no document there": audit_queries.unexplained_seals(
                        conn, name, zone
                    ),
                    "belongs to a document there and has no seal": audit_queries.unsealed_points(
                        conn, name, zone
                    ),
                    "is no point id": self._tables[zone].odd,
                }
                for says, ids in lists.items():
                    for point in ids:
                        detail = f"ledger: point {point[:80]} of {name!r} {says}"
                        self._fold.add(
                            AuditFinding(
                                "ledger-inconsistent", detail, point=point[:80], collection=name
                            )
                        )

    def _flood(self, finding: AuditFinding) -> AuditFinding:
        zone = next(z for z, name in self._collections.items() if name == finding.collection)
        alike = self._likeness[zone]
        return AuditFinding(
            "noise-flood",
            f"{finding.count:,} points of another hand were poured in: {alike.sentence()}",
            collection=finding.collection,
            count=finding.count,
            facts={**finding.facts, **alike.facts()},
        )


class _Expected:
    """What unfinished commits may have done already; the next start finishes them."""

    def __init__(self) -> None:
        self._writes: dict[tuple[str, str], str] = {}
        self.drops: dict[str, frozenset[str]] = {}

    def add(self, plan: Plan) -> None:
        for name, writes in plan.writes.items():
            for write in writes:
                self._writes[name, write.id] = str(write.payload["ragguard"]["seal"])
        for name, ids in plan.drops.items():
            self.drops[name] = self.drops.get(name, frozenset()) | frozenset(ids)

    def writes(self, collection: str, point: str, seal: str) -> bool:
        """Tell whether a point in this state is one that an unfinished commit writes."""
        return bool(self._writes) and self._writes.get((collection, point)) == seal


def _pending(workspace: Workspace) -> _Expected:
    expected = _Expected()
    with workspace.ledger.reading() as conn:
        begun = commits.pending(conn)
    for row in begun:
        try:
            expected.add(workspace.committer.begun(row))
        except RagguardError as error:  # recovery will refuse it too: it excuses nothing
            log.warning("commit %d is unfinished, and cannot be finished: %s", row.id, error)
    return expected


def _carries(point: Point, seal: str) -> bool:
    return bool(seal) and own(point).get("seal") == seal


def check_collections(workspace: Workspace, generation: Generation) -> list[AuditFinding]:
    """Are the collections and the alias what they were made as?

    To be asked before anything opens the store for writing: that sets the alias back.

    Raises:
        StoreError: The store cannot be reached.
    """
    store = workspace.open_store(repair=False)
    with workspace.ledger.reading() as conn:
        recipe = commits.recipe_body(conn, generation.recipe)
    findings: list[AuditFinding] = []
    for zone in ZONES:
        name = getattr(generation, zone)
        if not store.exists(name):
            detail = f"collection {name!r} is gone"
        else:
            try:
                store.create(name, int(recipe["dimensions"]))  # there already: only compared
                continue
            except StoreError as error:
                detail = error.message
        findings.append(AuditFinding("collection-changed", detail, collection=name))
    alias = workspace.settings.store.collection
    target = store.aliases().get(alias)
    if target != generation.serving:
        now = f"points at {target!r}" if target else "is gone"
        detail = f"alias {alias!r} {now}, the ledger serves {generation.serving!r}"
        facts = {"alias": alias, "target": target or "", "expected": generation.serving}
        findings.append(
            AuditFinding("alias-moved", detail, collection=generation.serving, facts=facts)
        )
    return findings


class Likeness:
    """Sums over foreign points; memory of one vector and some text digests."""

    def __init__(self) -> None:
        self._sum: np.ndarray[Any, np.dtype[np.float64]] | None = None
        self._usable = 0
        self._points = 0
        self._blank = 0
        self._norms = (np.inf, -np.inf)
        self._texts: set[str] = set()

    def add(self, points: Sequence[Point]) -> None:
        """Take foreign points in."""
        for point in points:
            self._points += 1
            text = point.payload.get("page_content")
            if not isinstance(text, str) or not text.strip():
                self._blank += 1
            elif len(self._texts) < TEXTS:
                self._texts.add(digest_text(text))
            self._add_vector(point.vector)

    def _add_vector(self, vector: Floats) -> None:
        exact = vector.astype(np.float64)
        norm = float(np.linalg.norm(exact))
        if not np.isfinite(norm) or norm == 0:
            return
        if self._sum is None:
            self._sum = np.zeros_like(exact)
        if self._sum.shape == exact.shape:
            self._sum += exact / norm
            self._usable += 1
            self._norms = (min(self._norms[0], norm), max(self._norms[1], norm))

    @property
    def similarity(self) -> float | None:
        """Mean cosine similarity of all pairs, from the length of the sum of directions."""
        if self._sum is None or self._usable < 2:
            return None
        n = self._usable
        return float((self._sum @ self._sum - n) / (n * (n - 1)))

    def sentence(self) -> str:
        """Tell what they have in common, for a person."""
        parts = []
        if self.similarity is not None:
            low, high = self._norms
            lengths = f"length {low:.3g}" if high - low < 1e-3 else f"lengths {low:.3g}-{high:.3g}"
            parts.append(f"mean similarity {self.similarity:.3f}, {lengths}")
        odd = self._points - self._usable
        if odd:
            parts.append(f"{odd:,} with vectors that no search finds")
        if self._blank:
            parts.append(f"{self._blank:,} without text")
        more = "at least " if len(self._texts) == TEXTS else ""
        parts.append(f"{more}{len(self._texts):,} distinct texts")
        return ", ".join(parts)

    def facts(self) -> dict[str, Any]:
        """Return the same for machines."""
        return {
            "mean_similarity": self.similarity,
            "lengths": list(self._norms) if self._usable else [],
            "without_text": self._blank,
            "distinct_texts": len(self._texts),
        }
