"""Review: a reviewer's signed word on a case, and what follows from it.

Release brings the document into the serving index. Reject denies its digest, takes it out of the
quarantine, and keeps what it looked like, so that its like is quarantined from now on. On a removal
case, release lets the documents go and reject keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragguard.corpus import changes
from ragguard.corpus.cosigners import signed_by
from ragguard.corpus.pull_back import Packs, stored_by_version, stored_writes
from ragguard.errors import DecisionError, IntegrityError, UsageError
from ragguard.ingest import lasting_releases
from ragguard.ledger import cases, commits, versions_at
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.evidence import as_finding, evidence
from ragguard.ledger.tables import Ledger
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Plan, Write
from ragguard.model import PublicKey
from ragguard.quarantine import compared_with as beside
from ragguard.quarantine import decide as deciding
from ragguard.quarantine.compared_with import Beside, Mark
from ragguard.trust import decision as decisions
from ragguard.trust import keys, root
from ragguard.trust.decision import Decision
from ragguard.trust.person import person, persons
from ragguard.workspace import Workspace

Action = Literal["release", "reject"]
NAMED = 5  # cases that an error names
MOST_COVERED = 1_000  # entries of a decision: what is beyond them is not covered


@dataclass(frozen=True)
class CaseView:
    """A case with what a reviewer needs.

    Attributes:
        version: The quarantined version; `None` for a removal.
        replaces: Whether an older version of the document is serving meanwhile.
        signers: Key id and principal of all who signed the manifest.
        texts: Chunk texts, hostile.
        serves_as: Documents that serve with exactly these bytes: a rejection denies those too.
        marks: What the findings point at in the texts.
        beside: Other documents that the findings name, else the nearest indexed ones.
    """

    case: CaseRow
    version: VersionRow | None
    replaces: bool
    signers: Sequence[tuple[str, str]]
    texts: Sequence[str] = ()
    serves_as: Sequence[str] = ()
    marks: Sequence[Mark] = ()
    beside: Sequence[Beside] = ()


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
        sources = commits.sources(conn)
    source, slash, _ = reference.partition("/")
    # Who writes SOURCE/ID means that source, whatever another one calls its documents.
    whole = bool(slash) and source in sources
    matches = [
        c
        for c in every
        if reference == f"{c.source}/{c.document}" or (reference == c.document and not whole)
    ]
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
        version = version_rows.version(conn, case.version) if case.version else None
        serving = version_rows.members(conn, "serving", case.source)
        digest = version.manifest if version else str(case.detail.get("manifest", ""))
        manifest = commits.manifest_row(conn, digest)
        alike = versions_at.serving_with(conn, version.digest) if version else []
    signers = signed_by(workspace, manifest.envelope, manifest.signers) if manifest else []
    replaces = f"{case.source}/{case.document}" in serving
    if not texts or version is None:
        return CaseView(case, version, replaces, signers, (), alike)
    stored = stored_writes(workspace, version)
    shown = [str(w.payload["page_content"]) for w in stored]
    findings = [as_finding(f) for f in version.findings]
    near = beside.beside(workspace, version, findings, stored)
    marks = beside.marks(findings, shown)
    return CaseView(case, version, replaces, signers, shown, alike, marks, near)


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
    decisions.check_time(workspace.root, workspace.now)
    shown = look(workspace, case)
    check_may_decide(workspace, [shown], key)
    stored = stored_writes(workspace, shown.version) if shown.version else []
    said = _decision(workspace, shown, action, reason, stored)
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
    ends what `quarantine hold` began. See `decide_cases`.

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
    if not opened:
        raise UsageError(
            f"commit {commit}: it opened no case that is still open",
            hint="`ragguard quarantine list` shows open cases, `ragguard history` commits.",
        )
    return decide_cases(workspace, opened, action, key, reason), opened


def decide_cases(
    workspace: Workspace,
    chosen: Sequence[CaseRow],
    action: Action,
    key: keys.KeyPair,
    reason: str,
) -> int:
    """Decide many document cases in one commit.

    Each document has a signed decision of its own, as if it had been decided alone. One that the
    reviewer may not decide stops them all, before anything is done.

    Args:
        workspace: Open and locked.
        chosen: Open cases about documents, at least one.
        action: `release` or `reject`.
        key: The reviewer's key.
        reason: In the reviewer's words.

    Returns:
        Number of the commit.

    Raises:
        UsageError: One of them is closed or asks for a removal, or there is no reason.
        DecisionError: The key is no reviewer's in force, or signed one of the documents.
    """
    workspace.recover()
    _check_reason(reason)
    generation = workspace.generation()
    if generation is None:
        raise IntegrityError("ledger: a case without an index")
    for case in chosen:
        if case.state != "open":
            raise UsageError(f"case {case.id} is closed ({case.state})")
        if case.kind != "document":
            raise UsageError(f"case {case.id} asks for a removal: it is decided alone")
    decisions.check_time(workspace.root, workspace.now)
    shown = views(workspace, chosen)
    check_may_decide(workspace, shown, key)
    versions = [view.version for view in shown if view.version is not None]
    stored, packs = stored_by_version(workspace, versions), Packs(workspace.vault)
    signed = []
    for view in shown:
        there = stored[view.version.id] if view.version else ()
        said = _decision(workspace, view, action, reason, there)
        envelope = decisions.sign(said, key.signing_key, key.public.keyid)
        signers = [k for k, _ in view.signers]
        _, reviewer = decisions.authenticate(envelope, workspace.root, signers, workspace.now)
        signed.append((said, envelope, reviewer))
    kept = workspace.vault.put_many([envelope for _, envelope, _ in signed])
    plan = changes.draft(workspace, generation)
    sources = {v.source for v in versions}
    standing = {name: changes.standing_of(workspace, name) for name in sources}
    # Only what the decided documents have in the index and in quarantine is touched.
    present = [
        zone[v.document]
        for v in versions
        for zone in (standing[v.source].serving, standing[v.source].waiting)
        if v.document in zone
    ]
    with workspace.ledger.reading() as conn:
        points = version_rows.points_of(conn, [r.id for r in present])
    rows, denials = [], []
    for version, (said, _, who), digest in zip(versions, signed, kept, strict=True):
        own, writes = standing[version.source], stored[version.id]
        if action == "release":
            leaf = deciding.release(plan, version, own, points, writes, packs)
        else:
            leaf = deciding.reject(plan, version, own, points)
            denials.append(deciding.denial(workspace, version, plan.commit, writes, packs))
        plan.leaves.append({**leaf, "decision": digest})
        rows.append(_row(plan.commit, said, who, digest))
    source = versions[0].source if len(standing) == 1 else ""
    actor = signed[0][2].principal
    workspace.committer.commit(plan.finish(action, actor, source, decisions=rows, denials=denials))
    return plan.commit


def check_may_decide(workspace: Workspace, shown: Sequence[CaseView], key: keys.KeyPair) -> None:
    """Refuse before anything is done what a reviewer may not decide.

    Args:
        workspace: Open.
        shown: The cases.
        key: The reviewer's key.

    Raises:
        DecisionError: The key's holder signed one of the documents; the first of them are named.
    """
    who = key.public.principal
    known = workspace.root.keys.get(key.public.keyid)
    if known is not None:
        who = known.principal
    own = [
        view
        for view in shown
        if person(who) in persons(root.principals_of(workspace.root, [k for k, _ in view.signers]))
    ]
    if not own:
        return
    names = ", ".join(f"case {v.case.id} ({v.case.source}/{v.case.document})" for v in own[:NAMED])
    more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
    out = " ".join(f"--except {v.case.id}" for v in own[:NAMED])
    raise DecisionError(
        f"decision: {who!r} signed the document and cannot judge it: {names}{more}; "
        "nothing was decided",
        hint=f"Leave them out ({out}), or have another reviewer decide.",
    )


def views(workspace: Workspace, chosen: Sequence[CaseRow]) -> list[CaseView]:
    """Document cases with their versions and signers.

    Raises:
        IntegrityError: A case is about no version of a document.
    """
    signers: dict[str, list[tuple[str, str]]] = {}
    found = []
    with workspace.ledger.reading() as conn:
        for case in chosen:
            version = version_rows.version(conn, case.version) if case.version else None
            if version is None:
                raise IntegrityError(f"ledger: case {case.id} is about no version of a document")
            if version.manifest not in signers:
                manifest = commits.manifest_row(conn, version.manifest)
                signers[version.manifest] = (
                    signed_by(workspace, manifest.envelope, manifest.signers) if manifest else []
                )
            found.append(CaseView(case, version, False, signers[version.manifest]))
    return found


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


def _decision(
    workspace: Workspace,
    shown: CaseView,
    action: Action,
    reason: str,
    stored: Sequence[Write] = (),
) -> Decision:
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
        tuple(_covers(version, action, stored)),
        reason,
        workspace.now,
    )


def _covers(version: VersionRow, action: Action, stored: Sequence[Write]) -> list[str]:
    """What a decision covers: for a release the evidence of each finding, see docs/formats.md."""
    if action == "reject":
        return sorted({f["check"] for f in version.findings})
    text = lasting_releases.text_of(stored)
    hidden = [piece for _, piece in version.hidden]
    found: set[str] = set()
    for body in version.findings:
        found |= evidence(as_finding(body), text, hidden, version.metadata)
    return sorted(found)[:MOST_COVERED]


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
    plan = changes.draft(workspace, generation)
    standing = changes.standing_of(workspace, case.source)
    with workspace.ledger.reading() as conn:
        rows = [*standing.serving.values(), *standing.waiting.values()]
        points = version_rows.points_of(conn, [r.id for r in rows])
    row = _row(plan.commit, said, reviewer, envelope)
    denial: Mapping[str, Any] = {}
    if version is None:
        plan.closes.append((case.id, "released" if action == "release" else "rejected"))
        if action == "release":
            there = {**standing.waiting, **standing.serving}
            for document in case.detail["documents"]:
                if document in there:
                    changes.remove_document(plan, document, standing, points)
    elif action == "release":
        stored, packs = stored_writes(workspace, version), Packs(workspace.vault)
        plan.leaves.append(deciding.release(plan, version, standing, points, stored, packs))
    else:
        stored, packs = stored_writes(workspace, version), Packs(workspace.vault)
        denial = deciding.denial(workspace, version, plan.commit, stored, packs)
        plan.leaves.append(deciding.reject(plan, version, standing, points))
    return plan.finish(action, reviewer.principal, case.source, decision=row, denial=denial)
