"""Review: a reviewer's signed word on a case, and what follows from it.

Release brings the document into the serving index. Reject denies its digest, takes it out of the
quarantine, and keeps what it looked like, so that its like is quarantined from now on. On a removal
case, release lets the documents go and reject keeps them. A question that nothing answered is
closed by either: released when it was answered, rejected when it needs no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ragguard.corpus import changes
from ragguard.corpus.changes import Draft
from ragguard.corpus.cosigners import signed_by
from ragguard.corpus.stored_points import stored_writes
from ragguard.errors import DecisionError, IntegrityError, UsageError
from ragguard.ingest import lasting_releases
from ragguard.ledger import cases, commits, versions_at
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.evidence import as_finding, evidence
from ragguard.ledger.tables import Ledger
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Write
from ragguard.quarantine import compared_with as beside
from ragguard.quarantine import denial
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
    matches = [c for c in every if reference == c.label or (reference == c.document and not whole)]
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
    (view,) = views(workspace, [case])
    version = view.version
    with workspace.ledger.reading() as conn:
        serving = version_rows.members(conn, "serving", case.source)
        alike = versions_at.serving_with(conn, version.digest) if version else []
    replaces = case.label in serving
    view = replace(view, replaces=replaces, serves_as=alike)
    if not texts or version is None:
        return view
    stored = stored_writes(workspace, version)
    shown = [str(w.payload["page_content"]) for w in stored]
    findings = [as_finding(f) for f in version.findings]
    near = beside.beside(workspace, version, findings, stored)
    marks = beside.marks(findings, shown)
    return replace(view, texts=shown, marks=marks, beside=near)


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
    return decide_cases(workspace, [case], action, key, reason)


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
    """Decide cases in one commit.

    Each document has a signed decision of its own, as if it had been decided alone. One that the
    reviewer may not decide stops them all, before anything is done. A removal is decided alone.

    Args:
        workspace: Open and locked.
        chosen: Open cases, at least one; several are about documents.
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
        if case.kind != "document" and len(chosen) > 1:
            raise UsageError(f"case {case.id} is about a {case.kind}: it is decided alone")
    decisions.check_time(workspace.root, workspace.now)
    shown = views(workspace, chosen)
    check_may_decide(workspace, shown, key)
    plan = changes.draft(workspace, generation)
    stored = plan.stored([view.version for view in shown if view.version is not None])
    signed = []
    for view in shown:
        there = stored[view.version.id] if view.version else ()
        said = _decision(workspace, view, action, reason, there)
        envelope = decisions.sign(said, key.signing_key, key.public.keyid)
        signers = [k for k, _ in view.signers]
        _, reviewer = decisions.authenticate(envelope, workspace.root, signers, workspace.now)
        signed.append((said, envelope, reviewer))
    kept = workspace.vault.put_many([envelope for _, envelope, _ in signed])
    for (said, _, reviewer), name in zip(signed, kept, strict=True):
        plan.decide(said.case, said, reviewer, name)
    decided = [
        (view.version, name)
        for view, name in zip(shown, kept, strict=True)
        if view.version is not None
    ]
    if not decided:
        _decide_removal(plan, chosen[0], action)
    elif action == "release":
        plan.release(decided)
    else:
        for version, _ in decided:
            denial.keep(plan, version)
        plan.deny(decided)
    alone = "" if decided else kept[0]  # a removal has leaves of what goes, and may have none
    sources = {case.source for case in chosen}
    source = chosen[0].source if len(sources) == 1 else ""
    actor = signed[0][2].principal
    workspace.committer.commit(plan.finish(action, actor, source, decision=alone))
    return plan.commit


def _decide_removal(plan: Draft, case: CaseRow, action: Action) -> None:
    """Let what a source asks to drop go, or keep it; a question is only closed."""
    plan.closes.append((case.id, "released" if action == "release" else "rejected"))
    if action == "release" and case.kind == "removal":
        there = plan.standing(case.source)
        named = case.detail["documents"]
        plan.remove(case.source, [d for d in named if d in there.serving or d in there.waiting])


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
    """Cases with their versions and signers.

    Raises:
        IntegrityError: A document case is about no version.
    """
    signers: dict[str, list[tuple[str, str]]] = {}
    found = []
    with workspace.ledger.reading() as conn:
        for case in chosen:
            version = version_rows.version(conn, case.version) if case.version else None
            if version is None and case.kind == "document":
                raise IntegrityError(f"ledger: case {case.id} is about no version of a document")
            name = version.manifest if version else str(case.detail.get("manifest", ""))
            if name not in signers:
                manifest = commits.manifest_row(conn, name)
                signers[name] = (
                    signed_by(workspace, manifest.envelope, manifest.signers) if manifest else []
                )
            found.append(CaseView(case, version, False, signers[name]))
    return found


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > decisions.MAX_REASON:
        raise UsageError(
            f"a decision needs a reason of 1 to {decisions.MAX_REASON} characters",
            hint='Give one with --reason "…".',
        )


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
            case.source or case.kind,
            str(case.detail["manifest" if case.kind == "removal" else "digest"]),
            "0" * 64,
            (),
            reason,
            workspace.now,
        )
    return Decision(
        case.id,
        action,
        case.label,
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
