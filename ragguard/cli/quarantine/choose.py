"""Choose the cases a command is about: the filters that `list`, `release` and `reject` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragguard.cli import context
from ragguard.cli.context import duration, moment, options
from ragguard.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from ragguard.ledger.queue import Choice, Entry
    from ragguard.workspace import Workspace

WAYS = "give CASEs or --commit or --group or filters (--check, --source, --since, --all)"
choice_options = options(
    click.option(
        "--check", "checks", multiple=True, help="Held by this check first of all; may be repeated."
    ),
    click.option("--source", "sources", multiple=True, help="Of this source; may be repeated."),
    click.option(
        "--since",
        help="Opened since this day (2026-02-20) or UTC time (2026-02-20T09:30:00Z), or so long "
        "ago (7d), by the clock of the log.",
    ),
)


def choice(
    checks: tuple[str, ...], sources: tuple[str, ...], since: str | None, commit: int | None = None
) -> Choice:
    """Read the filters.

    Raises:
        UsageError: `since` is neither a time nor a length of time.
    """
    from ragguard.ledger.queue import Choice
    from ragguard.trust.canonical import format_time

    begins = format_time(_begin(since)) if since is not None else ""
    return Choice(frozenset(checks), frozenset(sources), begins, commit)


def check_known(workspace: Workspace, checks: tuple[str, ...]) -> None:
    """Refuse the name of a check that there is not.

    Raises:
        UsageError: Neither a check nor a plug-in has the name, and no case gives it as a reason.
    """
    from ragguard.detect.checks import registry
    from ragguard.ledger import observed, queue

    known = {*registry(), *(n.rpartition(":")[2] for n in workspace.settings.plugins.checks)}
    if known.issuperset(checks):
        return
    with workspace.ledger.reading() as conn:
        reasons = [*queue.entries(conn, state=None), *observed.would_wait(conn)]
    known.update(finding.check for entry in reasons for finding in entry.findings)
    for name in checks:
        if name not in known:
            raise UsageError(
                f"--check {name!r}: there is no such check",
                hint=f"Known are {', '.join(sorted(known))}.",
            )


def _begin(text: str) -> datetime:
    """Return a day or UTC time, or a length of time before now."""
    return context.now() - duration(text) if text.strip()[-1:] in tuple("mhdw") else moment(text)


def chosen(
    workspace: Workspace,
    action: str,
    *,
    case: tuple[str, ...],
    commit: int | None,
    group: str | None,
    checks: tuple[str, ...],
    sources: tuple[str, ...],
    since: str | None,
    every: bool,
    spared: tuple[str, ...],
) -> list[Entry]:
    """Return the open cases that a decision is about, oldest first; one named twice once.

    Raises:
        UsageError: No way of choosing or more than one, or nothing is chosen.
    """
    from ragguard.ledger import queue
    from ragguard.quarantine import review

    filters = bool(checks or sources or since is not None or every)
    if [bool(case), commit is not None, group is not None, filters].count(True) != 1:
        raise UsageError(
            f"{WAYS}: exactly one of these ways",
            hint=f"ragguard quarantine {action} --help",
        )
    left_out = {review.find(workspace.ledger, name).id for name in spared}
    if case:
        named = {c.id: c for c in (review.find(workspace.ledger, name) for name in case)}
        for named_case in named.values():
            if named_case.state != "open":
                raise UsageError(f"case {named_case.id} is closed ({named_case.state})")
    check_known(workspace, checks)
    with workspace.ledger.reading() as conn:
        rows = queue.entries(conn, choice=choice(checks, sources, since, commit))
    if case:
        rows = [e for e in rows if e.case.id in named]
    elif group is not None:
        rows = _members(rows, group)
    else:
        # A source that asks to drop documents is never answered along with others.
        rows = [e for e in rows if e.version is not None]
    rows = [e for e in rows if e.case.id not in left_out]
    if not rows:
        if commit is None:
            raise UsageError(
                "no open case about a document is like that",
                hint="`ragguard quarantine list` shows open cases.",
            )
        raise UsageError(
            f"commit {commit}: it opened no case that is still open",
            hint="`ragguard quarantine list` shows open cases, `ragguard history` commits.",
        )
    return rows


def _members(rows: list[Entry], group: str) -> list[Entry]:
    from ragguard.ledger import queue

    for candidate in queue.groups(rows):
        if candidate.id == group:
            return sorted(candidate.entries, key=lambda e: e.case.id)
    raise UsageError(
        f"no open group {group!r}",
        hint="A group has another name once a case joins or leaves it: look at it again with "
        "`ragguard quarantine list --group`.",
    )
