"""Replay the plans of logged commits: what they add up to is what the ledger must hold.

The log commits to every plan by digest, so that a plan cannot be changed; the ledger's rows can.
Plans are taken newest first, each once: the first to name a point says whether it has a seal now,
and which. Memory: 49 bytes a current point, 17 bytes a stay, the ids of points that left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from ragguard.audit.index.seal_table import SealTable, raw_id, raw_seal
from ragguard.ledger import audit_queries, commits
from ragguard.ledger.commits import CommitRow, Switch
from ragguard.ledger.writer import Plan
from ragguard.workspace import Workspace

NAMED = 5  # odd rows named in one sentence
_ZONES = ("serving", "quarantine")
_OPEN = -1  # a stay without an end
_COLUMNS = ("kind", "at", "actor", "source", "manifest", "counts")
_LOGGED = {"kind": "act"}  # what the log calls it


class Replay:
    """Takes confirmed commits and their plans, newest first, and says what does not fit."""

    def __init__(self, workspace: Workspace) -> None:
        self._ledger = workspace.ledger
        self.problems: list[str] = []
        self._late: list[str] = []  # true only if no commit was left out
        with self._ledger.reading() as conn:
            known = audit_queries.all_generations(conn)
            known_states = commits.generation_states(conn)
            self._states = {n: state for n, (state, _) in known_states.items()}
            self._built = {n: at for n, (_, at) in known_states.items()}
            self._known = {g.id: (g.serving, g.quarantine, g.recipe) for g in known}
            names = [c for g in known for c in (g.serving, g.quarantine)]
            self._seals = {name: SealTable(conn, name) for name in names}
            self._stays = _Stays(audit_queries.stays(conn))
            self._small = audit_queries.small_tables(conn)
        self._gone: dict[str, set[bytes | None]] = {name: set() for name in self._seals}
        self._manifests: dict[str, Mapping[str, Any]] = {}
        self._cases: dict[int, dict[str, Any]] = {}
        self._closed: dict[int, tuple[str, int]] = {}
        self._decisions: list[Mapping[str, Any]] = []
        self._denials: list[Mapping[str, Any]] = []
        self._switches: list[Switch] = []  # what commits made of generations, newest first
        self._dropped: dict[int, tuple[str, str]] = {}

    def take(self, row: CommitRow, plan: Plan, entry: Mapping[str, Any]) -> None:
        """A commit, its plan, and what the log says of it; newest first."""
        for name in _COLUMNS:
            if (getattr(row, name) or None) != (entry.get(_LOGGED.get(name, name)) or None):
                self.problems.append(f"commit {row.id}: its {name} is not the one logged")
        with self._ledger.reading() as conn:
            versions = audit_queries.versions_of(conn, row.id)
            points = audit_queries.points_made(conn, row.id)
        self._compare(f"commit {row.id}: versions", {v.id: v for v in plan.versions}, versions)
        wanted = {(p.version, p.ordinal): p for p in plan.points}
        self._compare(f"commit {row.id}: points", wanted, points)
        if not self._stays.fit(row.id, plan.enter, plan.leave):
            self.problems.append(f"commit {row.id}: who entered or left with it was changed")
        self._remember(plan)
        given_up = {name for names in self._dropped.values() for name in names}
        for name in {*plan.writes, *plan.drops} - given_up:
            self._take_points(row.id, name, plan)

    def finish(self) -> list[str]:
        """List all problems, once every confirmed commit was taken; not to be asked otherwise."""
        self.problems += self._late
        self._look_at_generations()
        if rest := self._stays.unvisited():
            self.problems.append(f"membership: {rest} rows that no commit made")
        for name, table in self._seals.items():
            if rest := int((~table.marked).sum()) + len(table.odd):
                first = ", ".join([*table.odd, *islice(table.unmarked(), NAMED)][:NAMED])
                self.problems.append(f"seals of {name!r}: {rest} that no commit made ({first})")
        cases = {
            n: {**row, "state": "open", "closed": None} | self._end(n)
            for n, row in self._cases.items()
        }
        self._compare("cases", cases, {r["id"]: r for r in self._small["cases"]})
        manifests = {r["digest"]: r for r in self._small["manifests"]}
        self._compare("manifests", self._manifests, manifests)
        for name, wanted in (("decisions", self._decisions), ("denials", self._denials)):
            self._compare(name, _numbered(wanted), _numbered(self._small[name]))
        return self.problems

    def _look_at_generations(self) -> None:
        """What every generation is, against the commits that made it so."""
        states: dict[int, str] = {1: "serving"}
        rows: dict[int, tuple[str, str, str]] = {}
        for generation in reversed(self._switches):
            states = commits.after_switch(states, generation)
            named = (generation.serving, generation.quarantine, generation.recipe)
            if rows.setdefault(generation.id, named) != named:
                self.problems.append(f"generation {generation.id}: two commits name it differently")
            if generation.at and self._built.get(generation.id, generation.at) != generation.at:
                self.problems.append(f"generation {generation.id}: its time is not the one logged")
        for number, state in self._states.items():
            wanted = states.get(number, "not there")
            if state != wanted:
                self.problems.append(f"generation {number}: is {state}, by the log it is {wanted}")
        every = sorted({*rows, *self._known})
        odd = [n for n in every if (n > 1 or n in rows) and rows.get(n) != self._known.get(n)]
        if odd:
            self.problems.append(f"generation {odd[0]}: is not the one that a rebuild made")

    def _end(self, case: int) -> dict[str, Any]:
        if case not in self._closed:
            return {}
        state, commit = self._closed[case]
        return {"state": state, "closed": commit}

    def _take_points(self, commit: int, name: str, plan: Plan) -> None:
        table = self._seals.get(name)
        if table is None:
            self.problems.append(f"commit {commit}: wrote to {name!r}, which no generation has")
            return
        writes = plan.writes.get(name, ())
        ids = [w.id for w in writes]
        rows = table.rows(ids)
        same = table.same(rows, [raw_seal(w.payload["ragguard"]["seal"]) for w in writes])
        gone = self._gone[name]
        lost = [i for i, row in zip(ids, rows, strict=True) if row < 0 and raw_id(i) not in gone]
        settled = (rows >= 0) & table.marked[rows] if len(table) else rows >= 0
        odd = [ids[i] for i in np.flatnonzero((rows >= 0) & ~settled & ~same)]
        table.marked[rows[rows >= 0]] = True
        drops = plan.drops.get(name, ())
        places = table.rows(drops)
        left = [
            i for i, row in zip(drops, places, strict=True) if row >= 0 and not table.marked[row]
        ]
        table.marked[places[places >= 0]] = True
        gone.update(raw_id(i) for i, row in zip(drops, places, strict=True) if row < 0)
        gone.update(raw_id(i) for i in lost)
        for says, points in (
            ("are missing", lost),
            ("are not the ones written", odd),
            ("of points that left are there", left),
        ):
            if points:
                self._late.append(
                    f"commit {commit}: {len(points)} seals of {name!r} {says} "
                    f"({', '.join(points[:NAMED])})"
                )

    def _remember(self, plan: Plan) -> None:
        if plan.manifest:  # the oldest commit that names it made its row
            self._manifests[plan.manifest.digest] = vars(plan.manifest)
        for case in plan.opens:
            self._cases[case.id] = dict(vars(case))
        for number, state in plan.closes:
            self._closed.setdefault(number, (state, plan.commit))
        self._decisions += [vars(row) for row in plan.decisions]
        self._denials += [vars(row) for row in plan.denials]
        if plan.generation:  # what it holds is long, and not looked at here
            self._switches.append(replace(plan.generation, body={}, zones={}))
            for old in plan.generation.drops:
                self._dropped[old.id] = (old.serving, old.quarantine)

    def _compare(self, table: str, wanted: Mapping[Any, Any], found: Mapping[Any, Any]) -> None:
        if wanted == found:
            return
        missing, extra = wanted.keys() - found.keys(), found.keys() - wanted.keys()
        changed = {k for k in wanted.keys() & found.keys() if wanted[k] != found[k]}
        parts = [
            f"{len(keys)} {how} ({', '.join(sorted(map(str, keys))[:NAMED])[:200]})"
            for how, keys in (("missing", missing), ("added", extra), ("changed", changed))
            if keys
        ]
        self.problems.append(f"{table}: {', '.join(parts)}")


class _Stays:
    """Rows of `membership` in arrays, found by the commit they begin or end with."""

    def __init__(self, rows: Iterator[tuple[int, str, int, int | None]]) -> None:
        table = np.array(
            [
                (v, _ZONES.index(z) if z in _ZONES else len(_ZONES), since, until or _OPEN)
                for v, z, since, until in rows
            ],
            dtype=[("version", "i8"), ("zone", "i1"), ("since", "i4"), ("until", "i4")],
        )
        self._since = table[np.argsort(table["since"], kind="stable")]
        self._until = table[np.argsort(table["until"], kind="stable")]
        self._seen = int((table["until"] == _OPEN).sum())  # ends that no commit must explain
        self._total = 2 * len(table)

    def fit(
        self, commit: int, enter: Sequence[tuple[int, str]], leave: Sequence[tuple[int, str]]
    ) -> bool:
        """Tell whether exactly these stays begin and end with a commit."""
        begun = self._of(self._since, "since", commit)
        ended = self._of(self._until, "until", commit)
        self._seen += len(begun) + len(ended)
        return begun == _pairs(enter) and set(ended) == set(_pairs(leave))

    @staticmethod
    def _of(table: Any, column: str, commit: int) -> list[tuple[int, int]]:
        first, stop = np.searchsorted(table[column], [commit, commit + 1])
        return sorted((int(r["version"]), int(r["zone"])) for r in table[first:stop])

    def unvisited(self) -> int:
        """Beginnings and ends that belong to no commit taken."""
        return self._total - self._seen


def _pairs(stays: Sequence[tuple[int, str]]) -> list[tuple[int, int]]:
    return sorted((v, _ZONES.index(z)) for v, z in stays)


def _numbered(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """List rows that the database numbers, by what is in them."""
    bare = [{k: v for k, v in row.items() if k != "id"} for row in rows]
    return {repr(sorted(row.items())): True for row in bare}
