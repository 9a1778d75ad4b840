"""Do what the page shows and decides, in a workspace that is opened for each request.

Between two requests nothing is locked: an ingest or an audit on the same host goes on beside it.
One that is asked for here (`jobs`) lends requests its index, and decisions wait for its end.
Who decides waits for the decision before; what an earlier one closed is told (`ConflictError`). The
queue is read once for each state of the log, and cases that were looked at are kept as long.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ragguard.config import Settings
from ragguard.corpus.cosigners import signed_by
from ragguard.errors import LockedError, RagguardError, UsageError
from ragguard.integrations.jobs.engine import PATIENCE
from ragguard.integrations.jobs.runner import Runner
from ragguard.integrations.web import scoped
from ragguard.integrations.web.recent import RecentPlans
from ragguard.integrations.web.sessions import Role, Visitor
from ragguard.integrations.web.snapshot import Snapshot
from ragguard.integrations.web.tokens import Made, Tokens
from ragguard.ledger import cases, commits, log, opinions, queue, versions, versions_at
from ragguard.ledger.queue import Entry, Group
from ragguard.ledger.versions import VersionRow
from ragguard.quarantine import review
from ragguard.quarantine.bodies import case_body, shown_body, sureness
from ragguard.quarantine.review import CaseView
from ragguard.quarantine.second_opinion import DecisionResult
from ragguard.quarantine.statement import Action
from ragguard.trust import decision as decisions
from ragguard.trust import root as roots
from ragguard.trust.keys import KeyPair
from ragguard.trust.person import person
from ragguard.trust.scope import Scope, is_on
from ragguard.workspace import Workspace

MOST_KEPT = 256  # cases that were looked at
BRIEF = 0.2  # seconds that a case waits for the index where a job writes
MOST_TOGETHER = 5_000  # cases of one decision


@dataclass(frozen=True)
class Conflict:
    """A case that somebody decided meanwhile, or that closed by itself.

    Attributes:
        reviewer: Who decided; empty when nobody did.
        reason: In the words of whoever decided.
    """

    case: int
    state: str
    reviewer: str
    reason: str


class ConflictError(UsageError):
    """What was to be decided is not open any more, or not the same."""

    def __init__(self, message: str, conflicts: Sequence[Conflict] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.conflicts = tuple(conflicts)


class Desk:
    """A workspace as the page needs it.

    Args:
        clock: Tells the time of a request.
        signer: Signs in this process; else browsers do.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        clock: Callable[[], datetime],
        signer: KeyPair | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.signer = signer
        self.tokens = Tokens(folder)
        self.jobs = Runner(folder, settings, clock)
        self._clock = clock
        self._cases = threading.Lock()  # held by whoever reads or decides a case
        self._reading = threading.Lock()
        self._queues: dict[bool, Snapshot] = {}
        self._plans = RecentPlans()
        self._kept: OrderedDict[int, tuple[int, dict[str, Any]]] = OrderedDict()

    @property
    def asked(self) -> float:
        """False-alarm rate asked."""
        return self.settings.judge.false_alarm_rate

    def now(self) -> datetime:
        """Return the time of a request."""
        return self._clock()

    def _open(self, *, exclusive: bool = False) -> Workspace:
        return Workspace(self.folder, self.settings, self._clock(), exclusive=exclusive)

    @contextmanager
    def opened(
        self, *, index: bool = False, exclusive: bool = False, without: bool = False
    ) -> Iterator[Workspace]:
        """Return the workspace for one request.

        Args:
            index: Whether the index is read too; one request at a time does.
            exclusive: Whether something is changed.
            without: Whether it goes without the index while a job writes.

        Raises:
            LockedError: A job works on the workspace, or writes what is to be read.
        """
        with ExitStack() as held:
            if exclusive and (job := self.jobs.running):
                raise LockedError(
                    f"job {job.number} ({job.name}) works on this workspace",
                    hint="Wait for its end, or let an operator cancel it: see Jobs.",
                )
            lent, borrowed = None, False
            if index or exclusive:
                try:
                    lent = held.enter_context(self.jobs.engine.turn(BRIEF if without else PATIENCE))
                    borrowed = lent is not None
                except LockedError:
                    if not without:
                        raise
                    borrowed = True
            workspace = held.enter_context(self._open(exclusive=exclusive))
            if borrowed:
                workspace.borrow_store(lent)
            yield workspace

    def role_of(self, principal: str) -> Role:
        """Tell what a principal's session is for: a reviewer has a reviewer's key in force.

        Raises:
            UsageError: The trust root has no such principal.
        """
        with self._open() as workspace:
            root = workspace.root
            if principal not in {key.principal for key in root.keys.values()}:
                raise UsageError(
                    f"principal {principal!r}: not in the trust root",
                    hint="`ragguard trust list` shows who is.",
                )
            keys = roots.active(root.reviewers, root, workspace.now)
        known = {person(key.principal) for key in keys.values()}
        return "reviewer" if person(principal) in known else "viewer"

    def visitor(self, principal: str) -> Visitor:
        """Somebody who comes as this principal, by a link or by the proxy's word.

        Raises:
            UsageError: The trust root has no such principal.
        """
        operates = principal in self.settings.web.operators
        return Visitor(principal, self.role_of(principal), operates=operates)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Return the ledger, read in one consistent state."""
        with self._open() as workspace, workspace.ledger.reading() as conn:
            yield conn

    def add_token(
        self,
        name: str,
        role: Role,
        scope: Mapping[str, Sequence[str]] | None,
        lasting: timedelta,
    ) -> Made:
        """Make a token of an API client.

        Raises:
            UsageError: A reviewer's name is no reviewer of the trust root; a scope where no source
                has one; see `Tokens.add`.
        """
        if role == "reviewer" and self.role_of(name) != "reviewer":
            raise UsageError(
                f"{name!r} is no reviewer in force",
                hint="`ragguard trust add KEY.pub --role reviewer` makes one.",
            )
        if scope is not None:
            with self._open() as workspace:
                if not is_on(workspace.root):
                    raise UsageError(
                        "no source has an access scope: the token would see nothing",
                        hint="`ragguard trust policy SOURCE --set scope=tenant=acme` gives one.",
                    )
        now = self._clock()
        return self.tokens.add(name, role, scope, now, now + lasting)

    # --- reading ----------------------------------------------------------------------------------

    def queue(self, *, closed: bool = False) -> Snapshot:
        """Open cases (or closed ones), read anew when the log has grown."""
        with self._reading, self._open() as workspace, workspace.ledger.reading() as conn:
            size = log.size(conn)
            kept = self._queues.get(closed)
            if kept is not None and kept.size == size:
                return kept
            if closed:
                rows = queue.entries(conn, state="closed")
                rows.sort(key=lambda e: -(e.case.closed or 0))
            else:
                # What is known of an open case does not change: only new ones are read.
                there = cases.open_numbers(conn)
                known = [e for e in kept.entries if e.case.id in there] if kept else []
                last = max((e.case.id for e in kept.entries), default=0) if kept else 0
                rows = sorted([*known, *queue.entries(conn, after=last)], key=self._rank)
            opinion_counts = {case: len(words) for case, words in opinions.given(conn).items()}
            asked = {n: s.policy.reviewers for n, s in workspace.root.sources.items()}
            self._queues[closed] = Snapshot(size, rows, opinion_counts, asked)
            return self._queues[closed]

    def warm(self) -> None:
        """Read what the first page shows, before its first visitor waits for it."""
        snapshot = self.queue()
        _ = snapshot.groups
        if snapshot.entries:
            with suppress(RagguardError):  # whoever looks at that case is told
                self.case(snapshot.entries[0].case.id)

    def queue_of(self, scope: Scope | None, *, closed: bool = False) -> Sequence[Entry]:
        """List cases as somebody of a scope is shown them; see `scoped`.

        Args:
            scope: Whose documents; `None`: all.
            closed: Closed ones instead of open ones.
        """
        entries = self.queue(closed=closed).entries
        if scope is None:
            return entries
        with self._open() as workspace:
            return scoped.visible(entries, scope, workspace.root)

    def _rank(self, entry: Entry) -> tuple[bool, float, float, int]:
        """Removals first, then the surest; what a person held goes by its score."""
        value, _ = sureness(entry.version, self.asked)
        return (
            entry.version is not None,
            -(entry.score if value is None else value),
            -entry.score,
            entry.case.id,
        )

    def group(self, name: str) -> Group:
        """Return an open group by its name.

        Raises:
            UsageError: None is called so now.
        """
        group = next((g for g in self.queue().groups if g.id == name), None)
        if group is None:
            raise UsageError(
                f"no open group {name[:40]!r}",
                hint="A group has another name once a case joins or leaves it: look again.",
            )
        return group

    def case(self, number: int, scope: Scope | None = None) -> dict[str, Any]:
        """Return a case with all that a reviewer looks at, as a JSON object.

        Args:
            scope: Of who looks; `None`: everything is shown. See `scoped`.

        Raises:
            UsageError: There is no such case, or none in the scope.
        """
        with self._cases, self.opened(index=True, without=True) as workspace:
            with workspace.ledger.reading() as conn:
                size = log.size(conn)
                row = cases.get(conn, number)
                if row is not None and scope is not None:
                    about = versions.version(conn, row.version) if row.version is not None else None
                    row = row if scoped.is_visible(about, scope, workspace.root) else None
            if row is None:
                raise UsageError(f"case {number}: there is no such case")
            workspace.read_plans = self._plans
            body = self._looked_at(workspace, row, size)
            if scope is None:
                return body
            with workspace.ledger.reading() as conn:
                every = versions_at.versions_named(conn, row.source, row.document)
            seen = {v.id for v in every if scoped.is_visible(v, scope, workspace.root)}
        return scoped.own_body(body, seen)

    def _looked_at(self, workspace: Workspace, row: cases.CaseRow, size: int) -> dict[str, Any]:
        """Return a case's JSON object, kept as long as the log does not grow."""
        number = row.id
        at, kept = self._kept.get(number, (-1, {}))
        if at == size:
            self._kept.move_to_end(number)
            return kept
        shown = review.look(workspace, row, texts=True)
        body = shown_body(shown, self.asked)
        for other, beside in zip(body["beside"], shown.beside, strict=True):
            other["signed_by"] = self._signers(workspace, beside.document)
        body["history"] = self._history(workspace, shown)
        if not workspace.withheld:
            self._kept[number] = (size, body)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return body

    def _signers(self, workspace: Workspace, label: str) -> list[str]:
        """Tell who signed the manifest of a document that is there."""
        source, _, document = label.partition("/")
        with workspace.ledger.reading() as conn:
            there = versions.standing(conn, source, document)
            manifest = commits.manifest_row(conn, there[0][1].manifest) if there else None
        if manifest is None:
            return []
        signers = signed_by(workspace, manifest.envelope, manifest.signers)
        return list(dict.fromkeys(principal for _, principal in signers))

    def _history(self, workspace: Workspace, shown: CaseView) -> list[dict[str, Any]]:
        """Tell what happened to a document, oldest first: its versions, stays and decisions."""
        case = shown.case
        if not case.document:
            return []
        with workspace.ledger.reading() as conn:
            rows = versions_at.versions_named(conn, case.source, case.document)
            stays = versions_at.stays_named(conn, [row.id for row in rows])
            decided_cases = versions_at.decisions_on(conn, case.source, case.document)
            numbers = {row.commit for row in rows} | {s.since for s in stays}
            numbers |= {s.until for s in stays if s.until is not None} | {
                d.commit for d in decided_cases
            }
            times = {n: c.at for n in sorted(numbers) if (c := commits.get(conn, n))}
        digests = {row.id: row.digest for row in rows}
        steps: list[tuple[int, int, dict[str, Any]]] = []
        steps += [(row.commit, 0, _arrival(row)) for row in rows]
        for decided in decided_cases:
            names = ("case", "action", "reviewer", "reason", "version")
            body = {k: getattr(decided, k) for k in names}
            steps.append((decided.commit, 1, {"what": "decided", **body}))
        for stay in stays:
            digest = digests[stay.version]
            moved = {"zone": stay.zone, "digest": digest, "version": stay.version}
            steps.append((stay.since, 2, {"what": "entered", **moved}))
            if stay.until is not None:
                steps.append((stay.until, 1, {"what": "left", **moved}))
        steps.sort(key=lambda item: item[:2])
        return [
            {"commit": commit, "at": times.get(commit, ""), **body} for commit, _, body in steps
        ]

    # --- deciding ---------------------------------------------------------------------------------

    def draft(
        self, action: Action, reason: str, numbers: Sequence[int], group: str = ""
    ) -> list[tuple[int, bytes]]:
        """Write down what a reviewer signs: case number and payload bytes of each.

        Raises:
            ConflictError: One of them is not open any more, or the group is another.
            UsageError: There is no such case, or no reason.
        """
        with self._cases, self._open() as workspace:
            rows = self._rows(workspace, numbers, group)
            statements = review.statements(workspace, rows, action, reason)
        return [(statement.case, decisions.dump(statement)) for statement in statements]

    def carry_out(
        self, numbers: Sequence[int], envelopes: Sequence[bytes], group: str = "", *, by: str = ""
    ) -> DecisionResult:
        """Carry out signed decisions in one commit.

        Args:
            numbers: Of the cases.
            envelopes: Of the decisions, in the same order.
            group: That the cases have to be.
            by: Principal who has to have signed; empty: any reviewer.

        Raises:
            ConflictError: Somebody was first.
            DecisionError, UsageError: See `review.carry_out`.
        """
        with self._cases, self.opened(exclusive=True) as workspace:
            workspace.recover()
            self._rows(workspace, numbers, group)
            return review.carry_out(workspace, numbers, envelopes, by=by)

    def sign_and_carry_out(
        self,
        action: Action,
        reason: str,
        numbers: Sequence[int],
        group: str = "",
        *,
        by: str = "",
    ) -> DecisionResult:
        """Decide with the key of this process. See `carry_out`.

        Raises:
            ConflictError: Somebody was first.
            DecisionError, UsageError: See `review.decide_cases`; this process has no key.
        """
        if self.signer is None:
            raise UsageError(
                "this process has no key: decisions are signed in the browser",
                hint="`ragguard web --key FILE` signs here.",
            )
        review.check_by(by, self.signer.public)
        with self._cases, self.opened(exclusive=True) as workspace:
            workspace.recover()
            rows = self._rows(workspace, numbers, group)
            return review.decide_cases(workspace, rows, action, self.signer, reason)

    def _rows(
        self, workspace: Workspace, numbers: Sequence[int], group: str
    ) -> list[cases.CaseRow]:
        """Open cases by number, and in the group they are said to be."""
        if not 0 < len(numbers) <= MOST_TOGETHER:
            raise UsageError(f"{len(numbers)} cases, expected 1 to {MOST_TOGETHER} at once")
        with workspace.ledger.reading() as conn:
            chosen = [cases.get(conn, number) for number in dict.fromkeys(numbers)]
            rows = [row for row in chosen if row is not None]
            if len(rows) < len(numbers):
                raise UsageError("decision: a case that there is not, or one twice")
            closed = [_conflict(conn, row) for row in rows if row.state != "open"]
            grouped = queue.groups(queue.entries(conn)) if group and not closed else []
        if closed:
            raise ConflictError(
                "decided meanwhile: " + "; ".join(map(_told, closed[:5])),
                closed,
                hint="Nothing was done with the others: commit them again.",
            )
        if group:
            named = next((g for g in grouped if g.id == group), None)
            if named is None or {e.case.id for e in named.entries} != set(numbers):
                raise ConflictError(
                    f"group {group[:40]}: a case joined or left it meanwhile",
                    hint="Look at the group again.",
                )
        return rows


def _arrival(row: VersionRow) -> dict[str, Any]:
    checks = [str(f["check"]) for f in row.findings]
    body = {"digest": row.digest, "outcome": row.outcome, "checks": checks, "version": row.id}
    return {"what": "arrived", **body}


def _conflict(conn: sa.Connection, row: cases.CaseRow) -> Conflict:
    decided = [d for d in versions_at.decided_by(conn, row.closed or 0) if d.case == row.id]
    reviewer, reason = (decided[-1].reviewer, decided[-1].reason) if decided else ("", "")
    return Conflict(row.id, row.state, reviewer, reason)


def _told(conflict: Conflict) -> str:
    who = f" by {conflict.reviewer}" if conflict.reviewer else ""
    return f"case {conflict.case} is {conflict.state}{who}"


def listed_body(entry: Entry, asked: float) -> dict[str, Any]:
    """Return a case as `quarantine list` has it."""
    body = case_body(entry.case, entry.version, asked)
    return {k: v for k, v in body.items() if k not in ("digest", "metadata", "detail")}
