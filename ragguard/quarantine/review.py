"""Review cases: verify a reviewer's signed decision and carry it out.

Release brings the document into the serving index. Reject denies its digest, takes it out of the
quarantine, and keeps what it looked like, so that its like is quarantined from now on. On a removal
case, release lets the documents go and reject keeps them. A question that nothing answered is
closed by either: released when it was answered, rejected when it needs no answer.

Where the contract of the source asks for several reviewers, nothing follows before so many agree
(`second_opinion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ragguard.corpus import changes
from ragguard.corpus.changes import Draft
from ragguard.corpus.cosigners import signed_by
from ragguard.corpus.stored_points import stored_writes
from ragguard.errors import DecisionError, IntegrityError, UsageError
from ragguard.ledger import cases, commits, opinions, versions_at
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.commits import Generation
from ragguard.ledger.evidence import as_finding
from ragguard.ledger.tables import Ledger
from ragguard.ledger.versions import VersionRow
from ragguard.model import PublicKey
from ragguard.quarantine import compared_with as beside
from ragguard.quarantine import denial, second_opinion
from ragguard.quarantine.compared_with import ComparedPassage, Mark
from ragguard.quarantine.second_opinion import DecisionResult
from ragguard.quarantine.statement import Action, check_reason, decisions_on
from ragguard.trust import decision as decisions
from ragguard.trust import keys, quorum, root
from ragguard.trust.canonical import format_time
from ragguard.trust.decision import Decision
from ragguard.trust.person import person, persons
from ragguard.trust.quorum import Opinion, Quorum, Word
from ragguard.workspace import Workspace

NAMED = 5  # cases that an error names
SIGNED_WITHIN = timedelta(minutes=15)  # between writing a decision down and carrying it out
CLOCKS_APART = timedelta(minutes=1)


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
        needed: How many reviewers have to agree.
        opinions: Words that took no effect yet; `opinions.told` says what of them may be shown.
    """

    case: CaseRow
    version: VersionRow | None
    replaces: bool
    signers: Sequence[tuple[str, str]]
    texts: Sequence[str] = ()
    serves_as: Sequence[str] = ()
    marks: Sequence[Mark] = ()
    beside: Sequence[ComparedPassage] = ()
    needed: int = 1
    opinions: Sequence[Opinion] = ()


def find(ledger: Ledger, reference: str) -> CaseRow:
    """Find the case a reviewer means: its number, a document id, or `source/id`.

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
    """Read a case with what a reviewer needs to see."""
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
) -> int | None:
    """Decide a case and carry the decision out.

    Returns:
        Number of the commit; `None` where another reviewer has to agree first.

    Raises:
        UsageError: The case is closed, or there is no reason.
        DecisionError: The key is no reviewer's in force, or signed the document.
    """
    return decide_cases(workspace, [case], action, key, reason).commit


def decide_cases(
    workspace: Workspace,
    chosen: Sequence[CaseRow],
    action: Action,
    key: keys.KeyPair,
    reason: str,
) -> DecisionResult:
    """Decide cases in one commit.

    Each document has a signed decision of its own, as if it had been decided alone. One that the
    reviewer may not decide stops them all, before anything is done. A removal is decided alone.

    Args:
        workspace: Open and locked.
        chosen: Open cases, at least one; several are about documents.
        action: `release` or `reject`.

    Returns:
        The commit, and which cases it closed: those that enough reviewers agree on now.

    Raises:
        UsageError: One of them is closed or asks for a removal, or there is no reason.
        DecisionError: The key is no reviewer's in force, or signed one of the documents.
    """
    workspace.recover()
    check_reason(reason)
    shown = _decidable(workspace, chosen)
    check_may_decide(workspace, shown, key)
    plan = changes.draft(workspace, _generation(workspace))
    envelopes = [
        decisions.sign(decision, key.signing_key, key.public.keyid)
        for decision in decisions_on(workspace, plan, shown, action, reason)
    ]
    return _carry_out(workspace, plan, shown, envelopes)


def statements(
    workspace: Workspace, chosen: Sequence[CaseRow], action: Action, reason: str
) -> list[Decision]:
    """Write down what a reviewer has to sign to decide cases; nothing is changed.

    Args:
        chosen: Open cases, at least one; several are about documents.
        action: `release` or `reject`.

    Returns:
        A decision for each case, at the workspace's time. `carry_out` takes them signed.

    Raises:
        UsageError: One of them is closed or asks for a removal, or there is no reason.
    """
    check_reason(reason)
    shown = _decidable(workspace, chosen)
    plan = changes.draft(workspace, _generation(workspace))
    return decisions_on(workspace, plan, shown, action, reason)


def carry_out(
    workspace: Workspace, numbers: Sequence[int], envelopes: Sequence[bytes], *, by: str = ""
) -> DecisionResult:
    """Carry out decisions that a reviewer signed elsewhere, in one commit.

    What was signed must be what `statements` says now: of the same bytes, metadata and evidence.

    Args:
        workspace: Open and locked.
        numbers: Of the cases, at least one, each once.
        envelopes: A DSSE envelope for each, in the same order.
        by: Principal who has to have signed; empty: any reviewer.

    Returns:
        As `decide_cases`.

    Raises:
        UsageError: One of them is unknown or closed, or asks for a removal.
        DecisionError: No reviewer in force signed, the reviewer signed one of the documents, or
            what is signed is not what is to be decided.
    """
    if len(set(numbers)) != len(envelopes) or len(numbers) != len(envelopes):
        raise UsageError("decision: expected one signed decision for each case, each case once")
    workspace.recover()
    with workspace.ledger.reading() as conn:
        rows = {number: cases.get(conn, number) for number in numbers}
    if missing := [number for number, case in rows.items() if case is None]:
        raise UsageError(f"case {missing[0]}: there is no such case")
    shown = _decidable(workspace, [case for case in rows.values() if case is not None])
    plan = changes.draft(workspace, _generation(workspace))
    return _carry_out(workspace, plan, shown, envelopes, by)


def _generation(workspace: Workspace) -> Generation:
    generation = workspace.generation()
    if generation is None:
        raise IntegrityError("ledger: a case without an index")
    return generation


def _decidable(workspace: Workspace, chosen: Sequence[CaseRow]) -> list[CaseView]:
    """List cases that may be decided together, with their versions and signers."""
    for case in chosen:
        if case.state != "open":
            raise UsageError(f"case {case.id} is closed ({case.state})")
        if case.kind != "document" and len(chosen) > 1:
            raise UsageError(f"case {case.id} is about a {case.kind}: it is decided alone")
    decisions.check_time(workspace.root, workspace.now)
    return views(workspace, chosen)


def _carry_out(
    workspace: Workspace,
    plan: Draft,
    shown: Sequence[CaseView],
    envelopes: Sequence[bytes],
    by: str = "",
) -> DecisionResult:
    signed = []
    for view, envelope in zip(shown, envelopes, strict=True):
        signers = [k for k, _ in view.signers]
        decision, reviewer = decisions.authenticate(
            envelope, workspace.root, signers, workspace.now
        )
        check_by(by, reviewer)
        signed.append((decision, reviewer))
    _check_signed(workspace, plan, shown, [decision for decision, _ in signed])
    kept = workspace.vault.put_many(envelopes)
    before = second_opinion.spoken(workspace, [view.case.id for view in shown])
    agreed: list[tuple[CaseView, Quorum]] = []
    alone: list[Word] = []
    for n, (view, envelope, name) in enumerate(zip(shown, envelopes, kept, strict=True)):
        words = before[view.case.id]
        second_opinion.check_new(view.case.id, envelope, signed[n][1], words)
        signers = [k for k, _ in view.signers]
        tally = quorum.count(
            [*words, (name, envelope)], workspace.root, view.case.source, signers, workspace.now
        )
        if tally:
            agreed.append((view, tally))
        else:
            alone.append(tally.words[-1])
    commit = _effect(workspace, plan, agreed) if agreed else None
    if alone:  # last: a commit that fails leaves no opinion behind, and all may be sent again
        second_opinion.keep(workspace, alone)
    decided = tuple(view.case.id for view, _ in agreed)
    return DecisionResult(commit, decided, tuple(word.said.case for word in alone))


def _effect(workspace: Workspace, plan: Draft, agreed: Sequence[tuple[CaseView, Quorum]]) -> int:
    """Carry out what enough reviewers agree on; the last word is the one that the log names."""
    action = agreed[0][1].words[-1].said.action
    every = [word for _, agreement in agreed for word in agreement.words]
    for word in every:
        plan.decide(word.said.case, word.said, word.reviewer, word.envelope)
    last = [(view, agreement.words[-1].envelope) for view, agreement in agreed]
    decided = [(view.version, name) for view, name in last if view.version is not None]
    if not decided:
        _decide_removal(plan, agreed[0][0].case, action)
    elif action == "release":
        plan.release(decided)
    else:
        for version, _ in decided:
            denial.keep(plan, version)
        plan.deny(decided)
    # A removal has leaves of what goes, and may have none.
    alone = "" if decided else last[0][1]
    sources = {view.case.source for view, _ in agreed}
    source = agreed[0][0].case.source if len(sources) == 1 else ""
    said_by = dict.fromkeys(word.reviewer.principal for word in every)
    workspace.committer.commit(plan.finish(action, ", ".join(said_by), source, decision=alone))
    return plan.commit


def check_by(principal: str, reviewer: PublicKey) -> None:
    """Refuse a key that is not of the person who is to decide; empty: anybody.

    Raises:
        DecisionError: It is another's.
    """
    if principal and person(principal) != person(reviewer.principal):
        raise DecisionError(
            f"decision: signed with a key of {reviewer.principal!r}, and {principal!r} is to sign",
            hint="Open your own key, or come in through a link of your own.",
        )


def _check_signed(
    workspace: Workspace, plan: Draft, shown: Sequence[CaseView], signed: Sequence[Decision]
) -> None:
    """Refuse a decision that was signed about anything else than what is decided now.

    Raises:
        DecisionError: It was, or it was signed too long ago.
    """
    first = signed[0]
    check_reason(first.reason)
    age = workspace.now - first.at
    if not -CLOCKS_APART <= age <= SIGNED_WITHIN:
        raise DecisionError(
            f"decision: signed for {format_time(first.at)}, and it is "
            f"{format_time(workspace.now)}: expected at most "
            f"{SIGNED_WITHIN.seconds // 60} minutes between",
            hint="Look at the case again and sign anew.",
        )
    expected = decisions_on(workspace, plan, shown, first.action, first.reason, first.at)
    for decision, meant in zip(signed, expected, strict=True):
        if decision != meant:
            raise DecisionError(
                f"decision: what was signed about case {meant.case} is not what is decided now "
                "(another case, document, action, reason, time or other findings)",
                hint="Look at the case again and sign anew.",
            )


def _decide_removal(plan: Draft, case: CaseRow, action: Action) -> None:
    """Let what a source asks to drop go, or keep it; a question is only closed."""
    plan.closes.append((case.id, "released" if action == "release" else "rejected"))
    if action == "release" and case.kind == "removal":
        there = plan.standing(case.source)
        named = case.detail["documents"]
        plan.remove(case.source, [d for d in named if d in there.serving or d in there.waiting])


def check_may_decide(workspace: Workspace, shown: Sequence[CaseView], key: keys.KeyPair) -> None:
    """Refuse before anything is done what a reviewer may not decide.

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
    """List cases with their versions and signers.

    Raises:
        IntegrityError: A document case is about no version.
    """
    signers: dict[str, list[tuple[str, str]]] = {}
    shown = []
    with workspace.ledger.reading() as conn:
        given = opinions.given(conn)
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
            view = CaseView(
                case,
                version,
                False,
                signers[name],
                needed=quorum.needed(workspace.root, case.source),
                opinions=given.get(case.id, ()),
            )
            shown.append(view)
    return shown
