"""Hold commits of the ledger against the log: entry, plan, signed checkpoint.

The checkpoint signs the tree of the leaves that were stored, an entry is the one of its leaf, a
commit is the one of its entry, and its plan the one that the entry names. So each is told by
itself, and what follows from something wrong is unproved.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from ragguard.errors import LogError, RagguardError
from ragguard.ledger import commits, log
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.tables import log_entries
from ragguard.ledger.writer import Plan, load_plan
from ragguard.lineage.graph import Sketch, State, unproved, verified, wrong
from ragguard.trust import dsse, merkle, signed_note
from ragguard.workspace import Workspace


class LogNodes:
    """Adds commits with what logs them to a graph.

    Attributes:
        rows: Confirmed commits that were looked at, by number.
        checkpoint: Id of the step of the newest checkpoint.
    """

    def __init__(self, workspace: Workspace, sketch: Sketch) -> None:
        self._workspace = workspace
        self._sketch = sketch
        self._plans: dict[int, Plan | None] = {}
        self.rows: dict[int, CommitRow] = {}
        with workspace.ledger.reading() as conn:
            self._leaves = log.leaves(conn)
            kept = log.kept_checkpoints(conn)
        note = kept[-1][1] if kept else ""
        self.checkpoint = sketch.add(
            "checkpoint",
            len(self._leaves),
            f"{workspace.origin}, {len(self._leaves)} entries",
            self._head(note),
            {
                "log": workspace.origin,
                "size": len(self._leaves),
                "root": merkle.root(self._leaves).hex(),
                "note": note,
            },
        )

    def _head(self, note: str) -> tuple[State, str]:
        """Tell whether the newest checkpoint signs the tree of the stored leaves."""
        workspace = self._workspace
        if not note:
            return wrong("the log has no signed checkpoint")
        try:
            public = workspace.checkpoint_key.public.public
            head = signed_note.parse_checkpoint(dsse.open_note(note, workspace.origin, public))
        except LogError as error:
            return wrong(error.message)
        if head.size != len(self._leaves) or head.origin != workspace.origin:
            return wrong(
                f"it signs {head.size} entries of {head.origin}, the log has {len(self._leaves)}"
            )
        if head.root != merkle.root(self._leaves):
            return wrong("the tree that it signs is not the one of the log: that was rewritten")
        return verified("signed by the log's key over the tree of all entries")

    def add(self, number: int) -> str:
        """Add a commit, its entry and both their links; returns the commit's id."""
        name = f"commit:{number}"
        if name in self._sketch:
            return name
        with self._workspace.ledger.reading() as conn:
            row = commits.get(conn, number)
            index = row.log_index if row is not None else None
            query = sa.select(log_entries.c.body).where(log_entries.c.index == index)
            text = conn.execute(query).scalar() if index is not None else None
        if row is None:
            reason = "the ledger has no such commit"
            return self._sketch.add("commit", number, f"commit {number}", wrong(reason))
        self.rows[number] = row
        entry, entry_id = self._entry(index, text)
        checked, plan = self._check(row, entry, entry_id)
        self._plans[number] = plan
        facts = {
            "commit": row.id,
            "kind": row.kind,
            "at": row.at,
            "actor": row.actor,
            "source": row.source,
            "manifest": row.manifest,
            "corpus": row.corpus,
            "plan": row.plan,
        }
        label = f"commit {row.id}: {row.kind} by {row.actor}"
        self._sketch.add("commit", number, label, checked, facts)
        self._sketch.link(name, "logged as", entry_id)
        return name

    def plan(self, number: int) -> Plan | None:
        """Read the plan of a commit that is the logged one; `None` where that is not proved."""
        self.add(number)
        return self._plans.get(number)

    def manifest_of(self, number: int) -> str:
        """Return the digest of the manifest that a commit brought, as its verified plan has it."""
        plan = self.plan(number)
        return plan.manifest.digest if plan is not None and plan.manifest is not None else ""

    def _entry(self, index: int | None, text: str | None) -> tuple[Mapping[str, Any], str]:
        """Return the entry at an index, and the id of its step."""
        body: Mapping[str, Any] = {}
        whole = index is not None and text is not None and index < len(self._leaves)
        if not whole or index is None or text is None:
            checked = wrong("the log has no such entry")
        elif merkle.leaf_hash(text.encode()) != self._leaves[index]:
            checked = wrong("it was changed after it was logged")
        elif self._sketch.state(self.checkpoint) != "verified":
            checked = unproved("the checkpoint over it does not hold")
        else:
            checked = verified("its hash is the leaf that the checkpoint's tree has")
        if checked[0] != "wrong" and text is not None:
            try:
                parsed = json.loads(text)
                body = parsed if isinstance(parsed, dict) else {}
            except ValueError:
                checked = wrong("it is no entry")
        facts = {"index": index, **{k: body[k] for k in ("act", "at", "actor") if k in body}}
        name = self._sketch.add("entry", index, f"entry {index} of the log", checked, facts)
        self._sketch.link(name, "under", self.checkpoint)
        return body, name

    def _check(
        self, row: CommitRow, entry: Mapping[str, Any], entry_id: str
    ) -> tuple[tuple[State, str], Plan | None]:
        if self._sketch.state(entry_id) == "wrong":
            return unproved(f"entry {row.log_index} of the log is not what was logged"), None
        expected = {
            "act": row.kind,
            "commit": row.id,
            "at": row.at,
            "actor": row.actor,
            "source": row.source,
            "manifest": row.manifest or None,
            "plan": row.plan,
            "corpus": row.corpus,
            "counts": dict(row.counts),
        }
        others = [name for name, value in expected.items() if entry.get(name) != value]
        if others:
            return wrong(f"the log has another {' and '.join(others)} than the ledger"), None
        try:
            plan = load_plan(self._workspace.vault.get(row.plan))
        except RagguardError as error:
            return wrong(f"its plan: {error.message}"), None
        if plan.documents_root != entry.get("documents_root"):
            return wrong("its documents are not those that were logged"), None
        if self._sketch.state(entry_id) != "verified":
            return unproved(f"entry {row.log_index} of the log is not proved"), plan
        return verified("ledger, log and plan agree, and its documents have the logged root"), plan

    def newest_seals(
        self, points: Iterable[str], collection: str, numbers: Iterable[int]
    ) -> dict[str, tuple[str, int]]:
        """Read the seals with which points were last written into a collection, by logged plans.

        Args:
            numbers: Commits that may have written them.

        Returns:
            By point: the seal, and the commit that wrote it.
        """
        lacking, seals = set(points), dict[str, tuple[str, int]]()
        for number in sorted(set(numbers), reverse=True):
            if not lacking:
                break
            plan = self.plan(number)
            for write in plan.writes.get(collection, ()) if plan is not None else ():
                if write.id in lacking:
                    seal = str((write.payload.get("ragguard") or {}).get("seal"))
                    seals[write.id] = seal, number
                    lacking.discard(write.id)
        return seals
