"""Review: a reviewer's signed word on a case, and what follows from it.

Release brings the document into the serving index. Reject denies its digest, takes it out of the
quarantine, and keeps what it looked like, so that its like is quarantined from now on. On a removal
case, release lets the documents go and reject keeps them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ragguard.commit import Plan, Write, dump_vectors
from ragguard.errors import IntegrityError, UsageError
from ragguard.kernels.canonical import digest_bytes
from ragguard.kernels.sketch import sketch_rows
from ragguard.kernels.text import normalise, words
from ragguard.ledger import cases, commits, corpus, past
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.corpus import VersionRow
from ragguard.ledger.tables import Ledger
from ragguard.model import PublicKey
from ragguard.steps import planning
from ragguard.steps.planning import Draft, Standing
from ragguard.steps.pulling import Packs, stored_by_version, stored_writes
from ragguard.trust import decision as decisions
from ragguard.trust import keys
from ragguard.trust.decision import Decision
from ragguard.workspace import Workspace

Action = Literal["release", "reject"]


@dataclass(frozen=True)
class CaseView:
    """A case with what a reviewer needs.

    Attributes:
        version: The quarantined version; `None` for a removal.
        replaces: Whether an older version of the document is serving meanwhile.
        signers: Key id and principal of the manifest's signers.
        texts: Chunk texts, hostile.
        serves_as: Documents that serve with exactly these bytes: a rejection denies those too.
    """

    case: CaseRow
    version: VersionRow | None
    replaces: bool
    signers: Sequence[tuple[str, str]]
    texts: Sequence[str] = ()
    serves_as: Sequence[str] = ()


def find(ledger: Ledger, reference: str) -> CaseRow:
    """The case a reviewer means: its number, a document id, or `source/id`.

    Raises:
        UsageError: None or several.
    """
    with ledger.reading() as conn:
        if reference.isascii() and reference.isdigit() and len(reference) < 19:
            case = cases.get(conn, int(reference))
            if case is not None:
                return case
        every = cases.listed(conn)
    matches = [c for c in every if reference in (c.document, f"{c.source}/{c.document}")]
    if len(matches) == 1:
        return matches[0]
    raise UsageError(
        f"{len(matches)} open cases match {reference!r}, expected one",
        hint="`ragguard quarantine list` shows the case numbers.",
    )


def look(workspace: Workspace, case: CaseRow, *, texts: bool = False) -> CaseView:
    """A case with what a reviewer needs to see.

    Args:
        workspace: Open.
        case: The case.
        texts: Read the document's chunks too.
    """
    with workspace.ledger.reading() as conn:
        version = corpus.version(conn, case.version) if case.version else None
        serving = corpus.members(conn, "serving", case.source)
        digest = version.manifest if version else str(case.detail.get("manifest", ""))
        manifest = commits.manifest_row(conn, digest)
        alike = past.serving_with(conn, version.digest) if version else []
    signers = [tuple(s) for s in manifest.signers] if manifest else []
    shown: Sequence[str] = ()
    if texts and version is not None:
        shown = [str(w.payload["page_content"]) for w in stored_writes(workspace, version)]
    replaces = f"{case.source}/{case.document}" in serving
    return CaseView(case, version, replaces, signers, shown, alike)


def decide(
    workspace: Workspace, case: CaseRow, action: Action, key: keys.KeyPair, reason: str
) -> int:
    """Decide a case and carry the decision out.

    Args:
        workspace: Open and locked.
        case: The case.
        action: `release` or `reject`.
        key: The reviewer's key.
        reason: In the reviewer's words.

    Returns:
        Number of the commit.

    Raises:
        UsageError: The case is closed, or there is no reason.
        DecisionError: The key is no reviewer's in force, or signed the document.
    """
    workspace.recover()
    if case.state != "open":
        raise UsageError(f"case {case.id} is closed ({case.state})")
    _check_reason(reason)
    shown = look(workspace, case)
    said = _decision(workspace, shown, action, reason)
    envelope = decisions.sign(said, key.signing_key, key.public.keyid)
    _, reviewer = decisions.authenticate(
        envelope, workspace.root, [k for k, _ in shown.signers], workspace.now
    )
    kept = workspace.vault.put(envelope)
    plan = _plan(workspace, shown, action, said, kept, reviewer)
    workspace.committer.commit(plan)
    return plan.commit


def decide_all(
    workspace: Workspace, commit: int, action: Action, key: keys.KeyPair, reason: str
) -> tuple[int, list[CaseRow]]:
    """Decide every case that a commit opened and that is still open, in one commit.

    Releasing undoes a revocation since a day, or an ingest that was held for nothing; rejecting
    ends what `quarantine hold` began. Each document has a signed decision of its own, as if it had
    been decided alone; one that the reviewer may not decide stops them all, before anything is
    done.

    Args:
        workspace: Open and locked.
        commit: The commit that opened the cases.
        action: `release` or `reject`.
        key: The reviewer's key.
        reason: In the reviewer's words.

    Returns:
        Number of the new commit, and the cases, oldest first.

    Raises:
        UsageError: No such case, or there is no reason.
        DecisionError: The key is no reviewer's in force, or signed one of the documents.
    """
    workspace.recover()
    _check_reason(reason)
    with workspace.ledger.reading() as conn:
        opened = cases.opened_by(conn, commit)
    generation = workspace.generation()
    if not opened or generation is None:
        raise UsageError(
            f"commit {commit}: it opened no case that is still open",
            hint="`ragguard quarantine list` shows open cases, `ragguard history` commits.",
        )
    signed = []
    shown = _views(workspace, opened)
    for view in shown:
        said = _decision(workspace, view, action, reason)
        envelope = decisions.sign(said, key.signing_key, key.public.keyid)
        signers = [k for k, _ in view.signers]
        _, reviewer = decisions.authenticate(envelope, workspace.root, signers, workspace.now)
        signed.append((said, envelope, reviewer))
    kept = workspace.vault.put_many([envelope for _, envelope, _ in signed])
    plan = planning.draft(workspace, generation)
    standing = {c.source: planning.standing_of(workspace, c.source) for c in opened}
    versions = [view.version for view in shown if view.version is not None]
    stored, packs = stored_by_version(workspace, versions), Packs(workspace.vault)
    there = [r for s in standing.values() for z in (s.serving, s.waiting) for r in z.values()]
    with workspace.ledger.reading() as conn:
        points = corpus.points_of(conn, [r.id for r in there])
    rows, denials = [], []
    for version, (said, _, who), digest in zip(versions, signed, kept, strict=True):
        own, writes = standing[version.source], stored[version.id]
        if action == "release":
            leaf = _release(plan, version, own, points, writes, packs)
        else:
            leaf = _reject(plan, version, own, points)
            denials.append(_denial(workspace, version, plan.commit, writes, packs))
        plan.leaves.append({**leaf, "decision": digest})
        rows.append(_row(plan.commit, said, who, digest))
    source = opened[0].source if len(standing) == 1 else ""
    actor = signed[0][2].principal
    workspace.committer.commit(plan.finish(action, actor, source, decisions=rows, denials=denials))
    return plan.commit, opened


def _views(workspace: Workspace, opened: Sequence[CaseRow]) -> list[CaseView]:
    """Document cases with their versions and signers."""
    signers: dict[str, list[tuple[str, str]]] = {}
    views = []
    with workspace.ledger.reading() as conn:
        for case in opened:
            version = corpus.version(conn, case.version) if case.version else None
            if version is None:
                raise IntegrityError(f"ledger: case {case.id} is about no version of a document")
            if version.manifest not in signers:
                manifest = commits.manifest_row(conn, version.manifest)
                signers[version.manifest] = [tuple(s) for s in manifest.signers] if manifest else []
            views.append(CaseView(case, version, False, signers[version.manifest]))
    return views


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > decisions.MAX_REASON:
        raise UsageError(
            f"a decision needs a reason of 1 to {decisions.MAX_REASON} characters",
            hint='Give one with --reason "…".',
        )


def _row(commit: int, said: Decision, reviewer: PublicKey, envelope: str) -> dict[str, Any]:
    """Row of a decision."""
    return {
        "case": said.case,
        "action": said.action,
        "reviewer": reviewer.principal,
        "keyid": reviewer.keyid,
        "reason": said.reason,
        "covers": list(said.covers),
        "envelope": envelope,
        "commit": commit,
    }


def _release(
    plan: Draft,
    version: VersionRow,
    standing: Standing,
    points: Mapping[int, Sequence[Any]],
    stored: Sequence[Write],
    packs: Packs,
) -> dict[str, Any]:
    """Put a waiting document into the serving index; returns its leaf."""
    writes = [_move(plan, "serving", write, packs) for write in stored]
    plan.put_in(version.id, "serving", writes)
    before = standing.serving.get(version.document)
    if before is not None:
        plan.take_out(before, "serving", points[before.id])
    planning.close_waiting(plan, version.document, standing, points, "released")
    plan.counts["released"] += 1
    return _leaf(version, "released", writes)


def _reject(
    plan: Draft,
    version: VersionRow,
    standing: Standing,
    points: Mapping[int, Sequence[Any]],
) -> dict[str, Any]:
    """Take a waiting document out of the quarantine for good; returns its leaf."""
    planning.close_waiting(plan, version.document, standing, points, "rejected")
    plan.counts["denied"] += 1
    return _leaf(version, "denied", [])


def _decision(workspace: Workspace, shown: CaseView, action: Action, reason: str) -> Decision:
    case, version = shown.case, shown.version
    if version is None:
        return Decision(
            case.id,
            action,
            case.source,
            str(case.detail["manifest"]),
            "0" * 64,
            (),
            reason,
            workspace.now,
        )
    return Decision(
        case.id,
        action,
        f"{case.source}/{case.document}",
        version.digest,
        version.metadata_digest,
        tuple(sorted({f["check"] for f in version.findings})),
        reason,
        workspace.now,
    )


def _plan(
    workspace: Workspace,
    shown: CaseView,
    action: Action,
    said: Decision,
    envelope: str,
    reviewer: PublicKey,
) -> Plan:
    generation = workspace.generation()
    if generation is None:
        raise IntegrityError("ledger: a case without an index")
    case, version = shown.case, shown.version
    plan = planning.draft(workspace, generation)
    standing = planning.standing_of(workspace, case.source)
    with workspace.ledger.reading() as conn:
        rows = [*standing.serving.values(), *standing.waiting.values()]
        points = corpus.points_of(conn, [r.id for r in rows])
    row = _row(plan.commit, said, reviewer, envelope)
    denial: Mapping[str, Any] = {}
    if version is None:
        plan.closes.append((case.id, "released" if action == "release" else "rejected"))
        if action == "release":
            there = {**standing.waiting, **standing.serving}
            for document in case.detail["documents"]:
                if document in there:
                    planning.remove_document(plan, document, standing, points)
    elif action == "release":
        stored, packs = stored_writes(workspace, version), Packs(workspace.vault)
        plan.leaves.append(_release(plan, version, standing, points, stored, packs))
    else:
        stored, packs = stored_writes(workspace, version), Packs(workspace.vault)
        denial = _denial(workspace, version, plan.commit, stored, packs)
        plan.leaves.append(_reject(plan, version, standing, points))
    return plan.finish(action, reviewer.principal, case.source, decision=row, denial=denial)


def _leaf(version: VersionRow, outcome: str, writes: Sequence[Write]) -> dict[str, Any]:
    return {
        "source": version.source,
        "document": version.document,
        "digest": version.digest,
        "metadata": version.metadata_digest,
        "outcome": outcome,
        "points": [[w.id, w.payload["ragguard"]["seal"]] for w in writes],
    }


def _move(plan: Draft, zone: str, write: Write, packs: Packs) -> Write:
    """A point sealed for the collection of another zone."""
    vector = packs.vector(write)
    payload = planning.seal_payload(
        plan.workspace, plan.collection(zone), write.id, vector, write.payload
    )
    return Write(write.id, payload, write.pack, write.row)


def _denial(
    workspace: Workspace, version: VersionRow, commit: int, stored: Sequence[Write], packs: Packs
) -> dict[str, Any]:
    """Row of a denial; what the document looked like goes into the vault."""
    texts = [normalise(str(w.payload["page_content"])) for w in stored]
    vectors = np.stack([packs.vector(w) for w in stored])
    sketches = io.BytesIO()
    np.save(sketches, sketch_rows([words(t) for t in texts]), allow_pickle=False)
    body = json.dumps(texts).encode()
    kept = workspace.vault.put_many([sketches.getvalue(), dump_vectors(vectors), body])
    return {
        "version": version.id,
        "digest": version.digest,
        "text_digest": digest_bytes("\n".join(texts).encode()),
        "sketches": kept[0],
        "vectors": kept[1],
        "texts": kept[2],
        "commit": commit,
    }
