"""A walk at random through everything that changes the corpus: after each step nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

import numpy as np

from ragguard.audit.log_check import check_log
from ragguard.audit.provenance import check_provenance
from ragguard.errors import IntegrityError, UsageError
from ragguard.ledger import commits, versions
from ragguard.ledger.versions import VersionRow
from ragguard.quarantine import review
from ragguard.quarantine.hold import hold
from ragguard.rebuild import cutover
from ragguard.rebuild.reindex import reindex
from ragguard.rebuild.rollback import rollback
from ragguard.serving.search import search
from tests.support.audit.whole_index import check_index
from tests.support.simulator import HONEST, NEWS, SUSPECT, Gate
from tests.support.workspaces.rebuilding import MENU, OTHER, QUESTIONS

SEED, STEPS = 108_738, 14  # of each kind of step but one
Zone = dict[str, VersionRow]


class Walk:
    """Steps that anybody may take, in any order.

    Args:
        gate: Holds the honest documents.
        seed: Of the choices.
        steps: How many there will be.
    """

    def __init__(self, gate: Gate, seed: int, steps: int) -> None:
        self.gate = gate
        self.denied: set[str] = set()
        self.told: list[str] = []
        self._random = Random(seed)
        self._steps: dict[str, Callable[[], object]] = {
            "add": self._add,
            "update": self._update,
            "remove": self._remove,
            "decide": self._decide,
            "hold": self._hold,
            "rollback": self._rollback,
            "generation": self._generation,
            "reindex": lambda: reindex(gate.workspace, yes=True, at=self._commit(0.5)),
            "stage": lambda: reindex(gate.workspace, yes=True, at=self._commit(0.2), stage=True),
            "start": lambda: cutover.start(gate.workspace, 0.5, timedelta(days=3), "all"),
            "finish": lambda: cutover.finish(gate.workspace, yes=True),
            "abort": lambda: cutover.abort(gate.workspace),
        }
        self._names = self._random.choices(sorted(self._steps), k=steps)

    def step(self) -> str:
        """Take one; what is refused is refused in words, and changes nothing.

        Returns:
            What it was.
        """
        name = self._names.pop(0)
        try:
            self._steps[name]()
        except (UsageError, IntegrityError) as error:
            name = f"{name} refused: {error.message[:60]}"
        self.told.append(name)
        return name

    def zones(self) -> tuple[Zone, Zone]:
        """What serves and what waits, by the ledger."""
        with self.gate.workspace.ledger.reading() as conn:
            return versions.members(conn, "serving"), versions.members(conn, "quarantine")

    def _commit(self, often: float) -> int | None:
        with self.gate.workspace.ledger.reading() as conn:
            numbers = [row.id for row in commits.listed(conn)]
        return self._random.choice(numbers) if self._random.random() < often else None

    def _add(self) -> None:
        name = f"d{self._random.randrange(4)}.md"
        self.gate.publish({name: self._random.choice([NEWS, MENU, SUSPECT, OTHER])})

    def _update(self) -> None:
        name = self._random.choice(sorted(HONEST))
        self.gate.publish({name: f"{HONEST[name]} Since {self._random.randrange(2000, 2030)}."})

    def _remove(self) -> None:
        for path in sorted(self.gate.publisher.folder.glob("d?.md"))[:1]:
            path.unlink()
        self.gate.publish()

    def _decide(self) -> None:
        for case in self.gate.cases()[:1]:
            action: review.Action = "release" if self._random.random() < 0.5 else "reject"
            with self.gate.workspace.ledger.reading() as conn:
                row = versions.version(conn, case.version) if case.version else None
            review.decide(self.gate.workspace, case, action, self.gate.bob, "seen")
            if action == "reject" and row is not None:
                self.denied.add(row.digest)

    def _hold(self) -> None:
        hold(self.gate.workspace, [self._random.choice(sorted(self.zones()[0]))], "traced")

    def _rollback(self) -> None:
        leave_out = self._random.random() < 0.5
        rollback(self.gate.workspace, str(self._commit(1)), leave_out=leave_out)

    def _generation(self) -> None:
        with self.gate.workspace.ledger.reading() as conn:
            states = commits.generation_states(conn)
        kept = [n for n, (state, _) in states.items() if state == "retired"]
        rollback(self.gate.workspace, f"g{self._random.choice(kept or [1])}")


def by_hand(gate: Gate, query: str, k: int) -> list[float]:
    """Cosines of the k nearest passages that serve, out of the vault: no index is asked."""
    with gate.workspace.ledger.reading() as conn:
        rows = versions.members(conn, "serving")
        points = versions.points_of(conn, [row.id for row in rows.values()])
    texts = [
        gate.workspace.vault.get(row.subject_digest).decode()[point.start : point.end]
        for row in rows.values()
        for point in points[row.id]
    ]
    encoder = gate.workspace.encoder
    cosines = encoder.encode(texts) @ encoder.encode([query])[0]
    return sorted(np.round(cosines.astype(float), 3).tolist(), reverse=True)[:k]


def wrong(walk: Walk, before: tuple[Zone, Zone], step: str) -> list[str]:
    """What is not as it must be after a step."""
    gate = walk.gate
    gate.reopen(hours=1)
    found = [*check_log(gate.workspace), *check_index(gate.workspace)]
    found += check_provenance(gate.workspace).findings
    problems = [f.detail for f in found]
    serving, waiting = walk.zones()
    for label, row in serving.items():
        was = before[0].get(label)
        if was is None or was.digest != row.digest:
            held = before[1].get(label)
            if row.digest in walk.denied:
                problems.append(f"{label} was denied and serves")
            if step in ("rollback", "reindex") and held and held.digest == row.digest:
                problems.append(f"{label} waited and serves")
    cases = {f"{c.source}/{c.document}": c.version for c in gate.cases() if c.version}
    if cases != {label: row.id for label, row in waiting.items()}:
        problems.append("the open cases are not about what waits")
    hits = search(gate.workspace, QUESTIONS[0], 100, proof=True)
    if not {hit.document for hit in hits} <= serving.keys():
        problems.append("search gives what does not serve")
    hits = search(gate.workspace, QUESTIONS[0], 5, proof=True, tried=False)
    if not all(hit.proof and hit.proof["ok"] for hit in hits):
        problems.append("a passage has no proof")
    near = np.array([hit.similarity for hit in hits])
    if not np.allclose(near, by_hand(gate, QUESTIONS[0], 5), atol=2e-3):
        problems.append("search does not give the nearest")
    return problems


def test_whatever_is_done_in_whatever_order_nothing_is_wrong_afterwards(gate: Gate) -> None:
    gate.publish(HONEST)
    walk = Walk(gate, SEED, STEPS)
    for _ in range(STEPS):
        before = walk.zones()
        assert wrong(walk, before, walk.step()) == [], walk.told
    done = [step for step in walk.told if "refused" not in step]
    assert {"hold", "stage", "rollback", "generation", "finish"} <= set(done), walk.told
