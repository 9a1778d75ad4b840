"""Commit in two phases: the one writer of ledger, vault and store.

A plan says everything a commit will do, and is on disk before anything is done:

1. the plan goes into the vault;
2. ledger: the commit as `pending`, with all verdicts and points (belonging to nobody yet), and
   what authenticates the plan (`trust.intent`);
3. store: points written and deleted, flushed, read back and compared;
4. ledger: membership, cases, decisions, seals, the log entry and a signed checkpoint, and the
   commit as `confirmed`, in one transaction.

Killed before 2, nothing has happened. Killed after it, `recover` does 3 and 4 again from the plan;
every step of it may be repeated. A plan that this workspace did not make, or made on another log,
is never carried out, and no plan is read back but the logged one. Readers of the ledger see a
commit from 4 on; a reader straight on Qdrant may see part of a batch between 3 and 4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragguard.errors import LedgerError, StoreError
from ragguard.ledger import cases, commits, log
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import versions as version_rows
from ragguard.ledger.arrays import dump_array, load_array
from ragguard.ledger.cases import DecisionRow, NewCase
from ragguard.ledger.commits import CommitRow, Generation, ManifestRow, Switch, load_switch
from ragguard.ledger.decided import DenialRow
from ragguard.ledger.log import LogLeaf
from ragguard.ledger.seals import seal
from ragguard.ledger.tables import Ledger, drop_meta, get_meta, set_meta
from ragguard.ledger.vault import Vault
from ragguard.ledger.versions import PointRow, VersionRow
from ragguard.model import Floats
from ragguard.store import Point, Store
from ragguard.trust import canonical, intent, merkle
from ragguard.trust.intent import Intent
from ragguard.trust.signed_note import Checkpoint, checkpoint_text

BLOCK = 1000  # points read back at once
_LOOK = "Run `ragguard log verify`, and restore the ledger from its backup."
JUDGED_UNTIL = "judged_until"  # key of the ledger's meta table, see `Plan.judged_until`


@dataclass(frozen=True)
class Write:
    """A point to be written.

    Attributes:
        payload: Whole payload, seal included.
        pack: Vault digest of the matrix its vector is in.
        row: Its row there.
    """

    id: str
    payload: Mapping[str, Any]
    pack: str
    row: int


@dataclass(frozen=True)
class Plan:
    """Everything a commit will do.

    Attributes:
        kind: `ingest`, `release`, `reject`, `removal`, `revoke`, `hold`, `audit`, `reindex`,
            `stage`, `cutover`, `rollback` or `restore`.
        at: Time, as text.
        actor: Principals who caused it.
        manifest: The manifest that asks for it, if one does.
        versions: Rows of new versions, verdicts included.
        points: Rows of their points.
        writes: Points to write, by collection.
        drops: Point ids to delete, by collection.
        enter: (version, zone) that begin with this commit.
        leave: (version, zone) that end with it.
        opens: Rows of cases to open.
        closes: (case, state) to close.
        decision: Envelope of the decision that the log entry names: about a removal, or taken over
            from an export; empty where there is none, or where each leaf names its own.
        decisions: Rows of all decisions it carries out.
        leaves: What the log's entry commits to, one a document.
        counts: Documents by outcome.
        generation: A generation that this commit makes, brings back or gives up, if it does. The
            collections of a new one hold what `writes` says and nothing else; those of one that is
            there already (`again`) stay, and `writes` and `drops` say what changes in them.
        judged_until: Number of the newest version that was admitted unjudged and is judged by this
            commit; 0 if none.
    """

    commit: int
    kind: str
    at: str
    actor: str
    source: str
    manifest: ManifestRow | None = None
    versions: Sequence[VersionRow] = ()
    points: Sequence[PointRow] = ()
    writes: Mapping[str, Sequence[Write]] = field(default_factory=dict)
    drops: Mapping[str, Sequence[str]] = field(default_factory=dict)
    enter: Sequence[tuple[int, str]] = ()
    leave: Sequence[tuple[int, str]] = ()
    opens: Sequence[NewCase] = ()
    closes: Sequence[tuple[int, str]] = ()
    decision: str = ""
    decisions: Sequence[DecisionRow] = ()
    denials: Sequence[DenialRow] = ()
    leaves: Sequence[LogLeaf] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    generation: Switch | None = None
    judged_until: int = 0

    @property
    def documents_root(self) -> str:
        """Merkle root, hex, over the leaves of its documents."""
        return merkle.root([leaf(x.as_dict()) for x in self.leaves]).hex()


_ROWS: Mapping[str, Callable[..., Any]] = {
    "versions": VersionRow,
    "points": PointRow,
    "opens": NewCase,
    "leaves": LogLeaf,
    "decisions": DecisionRow,
    "denials": DenialRow,
}


def dump_plan(plan: Plan) -> bytes:
    """Return a plan as JSON bytes: one decision and its denial have fields of their own there."""
    body = asdict(plan)
    body["manifest"] = body["manifest"] or {}
    body["generation"] = plan.generation.as_dict() if plan.generation else {}
    body["leaves"] = [x.as_dict() for x in plan.leaves]
    for single, many in (("decision", "decisions"), ("denial", "denials")):
        body[single] = body[many].pop() if plan.decision and body[many] else {}
    for name in ("decisions", "generation", "denials", "judged_until"):
        if not body[name]:  # a plan without them is what it was before there were any
            del body[name]
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def load_plan(data: bytes) -> Plan:
    """Read what `dump_plan` wrote.

    Raises:
        LedgerError: It is no plan, or one of another version.
    """
    try:
        body = json.loads(data)
        body["writes"] = {c: [Write(**w) for w in rows] for c, rows in body["writes"].items()}
        for key in ("enter", "leave", "closes"):
            body[key] = [tuple(pair) for pair in body[key]]
        body["manifest"] = ManifestRow(**body["manifest"]) if body.get("manifest") else None
        if switch := body.pop("generation", None):
            body["generation"] = load_switch(switch)
        alone, denial = body.pop("decision", {}), body.pop("denial", {})
        for key, row in _ROWS.items():
            body[key] = [row(**values) for values in body.get(key, ())]
        if alone:
            body["decision"] = alone["envelope"]
            body["decisions"] = [*body["decisions"], DecisionRow(**alone)]
        if denial:
            body["denials"] = [DenialRow(**denial)]
        return Plan(**body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(
            f"plan of a commit: not one that this ragguard reads ({error})",
            hint="Finish the commit with the version that began it. See docs/upgrading.md.",
        ) from None


def leaf(body: Mapping[str, Any]) -> bytes:
    """Leaf hash of one document's entry in a commit."""
    return merkle.leaf_hash(canonical.canonical(dict(body)))


@dataclass(frozen=True)
class Committer:
    """Writes commits.

    Attributes:
        sign_note: Signs the text of a tree head.
        seal_key: 32 bytes; seals points.
        read_plans: Plans of confirmed commits that were read already, by digest; filled.
    """

    ledger: Ledger
    vault: Vault
    store: Callable[[], Store]
    origin: str
    sign_note: Callable[[str], str]
    seal_key: bytes
    read_plans: MutableMapping[str, Plan] | None = None

    def seal(self, collection: str, point: str, vector: Floats, payload: Mapping[str, Any]) -> str:
        """Seal of a point in a collection."""
        return seal(self.seal_key, point, vector.tobytes(), payload, collection)

    def commit(self, plan: Plan) -> None:
        """Carry a plan out.

        Raises:
            StoreError: The store did not take or keep a point; the commit stays pending and the
                next start finishes it.
        """
        digest = self.vault.put(dump_plan(plan))
        row = {
            "id": plan.commit,
            "kind": plan.kind,
            "at": plan.at,
            "actor": plan.actor,
            "source": plan.source,
            "manifest": plan.manifest.digest if plan.manifest else None,
            "plan": digest,
            "counts": dict(plan.counts),
        }
        with self.ledger.writing() as conn:
            leaves = log.leaves(conn)
            head = Intent(self.origin, plan.commit, digest, len(leaves), merkle.root(leaves).hex())
            set_meta(conn, intent.key_of(plan.commit), intent.dump(head, self.seal_key))
            commits.record_pending(conn, row, plan.versions, plan.points)
        self._finish(plan, digest)

    def recover(self) -> int:
        """Finish what was begun; return how many commits that were.

        Raises:
            LedgerError: A pending commit is not one that this workspace planned; it and all after
                it stay as they are.
        """
        with self.ledger.reading() as conn:
            begun = commits.pending(conn)
        for row in begun:
            self._finish(self.begun(row), row.plan)
        return len(begun)

    def begun(self, row: CommitRow) -> Plan:
        """Return the plan of a pending commit, authenticated.

        Raises:
            LedgerError: It was not planned here, or for another state of the log, or is done.
            VaultError: It cannot be read.
        """
        with self.ledger.reading() as conn:
            kept = get_meta(conn, intent.key_of(row.id)) or ""
            entries = log.entries(conn)
            checkpoints = log.kept_checkpoints(conn)
        planned = intent.authenticate(kept, self.origin, row.id, row.plan, self.seal_key)
        if planned is None:
            raise _unplanned(row.id, "it was not planned here: nothing authenticates its plan")
        leaves = [merkle.leaf_hash(body.encode()) for _, body, _ in entries]
        self._check_head(leaves, checkpoints[-1:])
        if planned.size > len(leaves) or merkle.root(leaves[: planned.size]).hex() != planned.root:
            raise _unplanned(row.id, "it was planned on another log than the one that is here")
        if any(_names(body, row.id) for _, body, _ in entries[planned.size :]):
            raise _unplanned(row.id, "it is in the log already, done or given up")
        plan = load_plan(self.vault.get(row.plan))
        if plan.commit != row.id:
            raise _unplanned(row.id, f"its plan is one for commit {plan.commit}")
        return plan

    def logged_plans(self, rows: Iterable[CommitRow]) -> dict[int, Plan]:
        """Plans of confirmed commits, by number: those that the signed log names, and no others.

        Raises:
            LedgerError: The ledger names another plan than the log.
            LogError: The log is not what was signed, or has no such entry.
            VaultError: A plan cannot be read.
        """
        plans: dict[int, Plan] = {}
        with self.ledger.reading() as conn:
            leaves = log.leaves(conn)
            self._check_head(leaves, log.kept_checkpoints(conn)[-1:])
            for row in rows:
                index = -1 if row.log_index is None else row.log_index
                entry = log.body(conn, index)
                if not isinstance(entry, dict) or leaf(entry) != leaves[index]:
                    raise LedgerError(
                        f"log: entry {index} was changed after it was logged", hint=_LOOK
                    )
                if (entry.get("commit"), entry.get("plan")) != (row.id, row.plan):
                    raise LedgerError(
                        f"commit {row.id}: its plan in the ledger is not the one that was logged",
                        hint=_LOOK,
                    )
                plans[row.id] = self._plan(row.plan)
        return plans

    def _plan(self, digest: str) -> Plan:
        plan = self.read_plans.get(digest) if self.read_plans is not None else None
        if plan is None:
            plan = load_plan(self.vault.get(digest))
            if self.read_plans is not None:
                self.read_plans[digest] = plan
        return plan

    def _check_head(self, leaves: Sequence[bytes], newest: Sequence[tuple[int, str]]) -> None:
        """Refuse a log that is not the one of its newest signed head.

        Signing the same head again gives the same note, so that no public key is needed here.
        """
        head = Checkpoint(self.origin, len(leaves), merkle.root(leaves))
        signed = [(head.size, self.sign_note(checkpoint_text(head)))] if leaves else []
        if list(newest) != signed:
            raise LedgerError("log: it is not what its newest checkpoint signs", hint=_LOOK)

    def build(self, plan: Plan) -> None:
        """Fill the collections of a plan's generation, which nobody reads yet.

        Those of a new one are made anew each time, so that nothing stands in them but what the
        plan writes. Those of one that is there already keep what the plan does not name.

        Raises:
            StoreError: The store did not take or keep a point.
        """
        generation = plan.generation
        if generation is not None and not generation.again:
            store = self.store()
            for name in (generation.serving, generation.quarantine):
                store.drop(name)
                store.create(name, int(generation.body["dimensions"]))
        self._store(plan)

    def _finish(self, plan: Plan, digest: str) -> None:
        if plan.generation and not plan.generation.again:
            if not self._built(plan, plan.generation):
                self.build(plan)
        elif plan.writes or plan.drops:
            self._store(plan)
        self._confirm(plan, digest)

    def _built(self, plan: Plan, generation: Generation) -> bool:
        """Tell whether the collections of a new generation hold just what the plan writes."""
        store = self.store()
        for name in (generation.serving, generation.quarantine):
            if not store.exists(name) or store.count(name) != len(plan.writes.get(name, ())):
                return False
        try:
            self._check(plan, store)
        except StoreError:
            return False
        return True

    def _store(self, plan: Plan) -> None:
        store = self.store()
        packs: dict[str, Floats] = {}
        touched = sorted({*plan.writes, *plan.drops})
        for collection, writes in plan.writes.items():
            for start in range(0, len(writes), BLOCK):
                store.upsert(
                    collection, [self._point(w, packs) for w in writes[start : start + BLOCK]]
                )
        for collection, ids in plan.drops.items():
            store.delete(collection, ids)
        for collection in touched:
            store.flush(collection)
        self._check(plan, store)

    def _check(self, plan: Plan, store: Store) -> None:
        """Read back what a plan writes and drops, and compare."""
        packs: dict[str, Floats] = {}
        for collection, writes in plan.writes.items():
            for start in range(0, len(writes), BLOCK):
                wanted = [self._point(w, packs) for w in writes[start : start + BLOCK]]
                self._compare(collection, wanted, store)
        for collection, ids in plan.drops.items():
            if left := store.get(collection, ids):
                raise StoreError(f"store: point {left[0].id} is still in {collection!r}")

    def _point(self, write: Write, packs: dict[str, Floats]) -> Point:
        if write.pack not in packs:
            packs[write.pack] = load_vectors(self.vault.get(write.pack))
        return Point(write.id, packs[write.pack][write.row], write.payload)

    def _compare(self, collection: str, wanted: Sequence[Point], store: Store) -> None:
        stored = {p.id: p for p in store.get(collection, [p.id for p in wanted], vectors=True)}
        for point in wanted:
            back = stored.get(point.id)
            if back is None:
                raise StoreError(
                    f"store: point {point.id} was written to {collection!r} and is not there"
                )
            if back.vector.tobytes() != point.vector.tobytes() or back.payload != point.payload:
                raise StoreError(
                    f"store: point {point.id} in {collection!r} is not what was written",
                    hint="Another writer is at work, or the engine changes what it stores.",
                )

    def _confirm(self, plan: Plan, digest: str) -> None:
        seals: dict[str, dict[str, str]] = {
            c: {w.id: w.payload["ragguard"]["seal"] for w in rows}
            for c, rows in plan.writes.items()
        }
        with self.ledger.writing() as conn:
            version_rows.leave(conn, plan.leave, plan.commit)
            version_rows.enter(conn, plan.enter, plan.commit)
            for collection, ids in plan.drops.items():
                version_rows.drop_seals(conn, collection, ids)
            for collection, values in seals.items():
                version_rows.set_seals(conn, collection, values)
            if plan.manifest:
                commits.accept_manifest(conn, plan.manifest)
            for case in plan.opens:
                cases.add(conn, case)
            for decision in plan.decisions:
                cases.add_decision(conn, decision)
            for denial in plan.denials:
                decided_rows.add_denial(conn, denial)
            for number, state in plan.closes:
                cases.close(conn, number, state, plan.commit)
            if plan.generation:
                commits.switch_generation(conn, plan.generation)
            if plan.judged_until:
                set_meta(conn, JUDGED_UNTIL, str(plan.judged_until))
            state = version_rows.corpus_digest(conn)
            body = {
                "act": plan.kind,
                "commit": plan.commit,
                "at": plan.at,
                "actor": plan.actor,
                "source": plan.source,
                "manifest": plan.manifest.digest if plan.manifest else None,
                "decision": plan.decision or None,
                "plan": digest,
                "documents": len(plan.leaves),
                "documents_root": plan.documents_root,
                "corpus": state,
                "counts": dict(plan.counts),
            }
            if plan.generation:
                generation = plan.generation
                body["generation"] = {"id": generation.id, "state": generation.becomes}
            index = append_entry(conn, body, self.origin, self.sign_note)
            commits.confirm(conn, plan.commit, state, index)
            drop_meta(conn, intent.key_of(plan.commit))


def _unplanned(commit: int, why: str) -> LedgerError:
    return LedgerError(
        f"ledger: commit {commit} is pending, and {why}; it is not carried out",
        hint="If an older version of ragguard was killed at it, finish it with the version that "
        "began it. Else somebody wrote to the ledger: find out who, and restore it from its backup,"
        f" or give the commit up with `ragguard log abandon {commit}`.",
    )


def _names(text: str, commit: int) -> bool:
    """Tell whether a log entry says that a commit was done or given up."""
    body = log.read(text) or {}
    return body.get("abandoned") == commit or ("plan" in body and body.get("commit") == commit)


def append_entry(
    conn: sa.Connection, body: Mapping[str, Any], origin: str, sign_note: Callable[[str], str]
) -> int:
    """Append to the log and sign the new tree head.

    Returns:
        The entry's index.
    """
    index = log.append(conn, body)
    leaves = log.leaves(conn)
    head = Checkpoint(origin, len(leaves), merkle.root(leaves))
    log.keep_checkpoint(conn, head.size, sign_note(checkpoint_text(head)))
    return index


def dump_vectors(vectors: Floats) -> bytes:
    """Return a matrix of vectors as bytes (npy)."""
    return dump_array(np.ascontiguousarray(vectors, dtype="<f4"))


def load_vectors(data: bytes) -> Floats:
    """Read what `dump_vectors` wrote: float32 (n, d).

    Raises:
        LedgerError: Anything else.
    """
    matrix = load_array(data)
    if matrix.dtype != np.float32 or matrix.ndim != 2:
        raise LedgerError(f"vectors: {matrix.dtype} {matrix.shape} in place of a matrix")
    return matrix


def first_generation(collection: str, recipe: str) -> Generation:
    """Return the names of a workspace's first pair of collections."""
    return Generation(1, f"{collection}-g1", f"{collection}-g1-quarantine", recipe)
