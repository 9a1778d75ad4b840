"""Release or reject by `ragguard quarantine`: one case, many, or all of one cause."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ragguard.cli.context import FILE, open_workspace, options, passphrase_option, read_key
from ragguard.cli.output import emit, format_option, line, note, say, say_rest, table
from ragguard.cli.quarantine.choose import choice_options, chosen

if TYPE_CHECKING:
    from ragguard.ledger.queue import Entry
    from ragguard.trust.keys import KeyPair
    from ragguard.workspace import Workspace

DONE = {"release": "released", "reject": "rejected"}
SHOWN = 20  # cases of a dry run, and of what was decided together


_options = options(
    click.pass_context,
    click.argument("case", nargs=-1),
    click.option("--commit", type=click.IntRange(1), help="Every case that this commit opened."),
    click.option("--group", help="All cases of this group (quarantine list --group)."),
    choice_options,
    click.option("--all", "every", is_flag=True, help="Every open case about a document."),
    click.option("--except", "spared", multiple=True, help="Leave this CASE out; may be repeated."),
    click.option("--key", type=FILE, required=True, help="Private key of the reviewer."),
    click.option("--reason", required=True, help="Why, in your words; signed and logged."),
    passphrase_option,
    click.option("--dry-run", is_flag=True, help="Say what would be decided; decide nothing."),
    format_option,
)


@click.command()
@_options
def release(ctx: click.Context, **given: Any) -> None:
    """Bring the documents of CASEs into the serving index.

    Say which in one way: CASEs, --commit, --group, or filters (--check, --source, --since, which
    narrow each other, or --all). However many, it is one commit with a signed decision a document;
    one that you may not decide stops them all before anything is done. Where the contract asks for
    several reviewers, your word is kept as an opinion until enough agree.

    \b
    Example:
      ragguard quarantine release 3 --key keys/bob.key --reason "asked the author"
      ragguard quarantine release --group g3f0a61c2 --key bob.key --reason "fine"
      ragguard quarantine release --commit 12 --key bob.key --reason "my error"
    """
    _decide(ctx, "release", **given)


@click.command()
@_options
def reject(ctx: click.Context, **given: Any) -> None:
    """Deny the documents of CASEs, and quarantine their like from now on.

    Say which in one way: CASEs, --commit, --group, or filters (--check, --source, --since, which
    narrow each other, or --all). However many, it is one commit with a signed decision a document;
    one that you may not decide stops them all before anything is done.

    \b
    Example:
      ragguard quarantine reject 4 5 6 --key keys/bob.key --reason "poison"
      ragguard quarantine reject --check collusion --source vendor --dry-run ...
    """
    _decide(ctx, "reject", **given)


def _decide(
    ctx: click.Context,
    action: Literal["release", "reject"],
    *,
    key: Path,
    reason: str,
    ask: bool,
    dry_run: bool,
    fmt: str,
    **which: Any,
) -> None:
    from ragguard.quarantine import review

    pair = read_key(key, ask)
    with open_workspace(ctx, exclusive=not dry_run) as workspace:
        if not dry_run:
            workspace.recover()
        entries = chosen(workspace, action, **which)
        documents = [e.case for e in entries if e.version is not None]
        views = review.views(workspace, documents)
        review.check_may_decide(workspace, views, pair)
        if dry_run:
            _tell_plan(entries, action, fmt)
            return
        _carry_out(workspace, entries, action, pair, reason, fmt)


def _carry_out(
    workspace: Workspace,
    entries: list[Entry],
    action: Literal["release", "reject"],
    pair: KeyPair,
    reason: str,
    fmt: str,
) -> None:
    from ragguard.ledger import versions_at
    from ragguard.quarantine import review

    documents = [e for e in entries if e.version is not None]
    alike: dict[int, list[str]] = {}
    if action == "reject":
        with workspace.ledger.reading() as conn:
            alike = {
                e.case.id: versions_at.serving_with(conn, e.version.digest)
                for e in documents
                if e.version
            }
    numbers: dict[int, int | None] = {}
    try:
        if documents:
            decisions = review.decide_cases(
                workspace, [e.case for e in documents], action, pair, reason
            )
            numbers = dict.fromkeys(decisions.decided, decisions.commit) | dict.fromkeys(
                decisions.waiting
            )
        for entry in entries:
            if entry.version is None:  # each removal is a commit of its own
                numbers[entry.case.id] = review.decide(workspace, entry.case, action, pair, reason)
    finally:  # what was decided before an error is told too
        if numbers:
            decided = [e for e in entries if e.case.id in numbers]
            _tell_done(decided, numbers, action, fmt)
            for number, names in alike.items():
                for other in names if numbers.get(number) is not None else ():
                    note(f"note: {line(other)} has the same bytes: a rebuild takes it out")


def _tell_done(entries: list[Entry], numbers: dict[int, int | None], action: str, fmt: str) -> None:
    if fmt != "table":
        emit(
            fmt,
            [{"case": e.case.id, "action": action, "commit": numbers[e.case.id]} for e in entries],
        )
        return
    for entry in entries[:SHOWN] if len(entries) > 2 * SHOWN else entries:
        case = entry.case
        name = case.label if case.document else f"removal in {case.source}"
        commit = numbers[case.id]
        outcome = f"{DONE[action]}, commit {commit}" if commit else f"opinion kept: {action}"
        say(f"case {case.id}: {name} {outcome}")
    if len(entries) > 2 * SHOWN:
        say_rest(len(entries) - SHOWN)
    if None in numbers.values():
        say("an opinion decides once as many reviewers agree as the contract asks (reviewers)")
    say("next: ragguard quarantine list")


def _tell_plan(entries: list[Entry], action: str, fmt: str) -> None:
    if fmt != "table":
        emit(fmt, [{"case": e.case.id, "action": action, "commit": None} for e in entries])
        return
    table(
        ["case", "document", "why"],
        [
            [
                str(e.case.id),
                e.label,
                f"{e.check}: {e.findings[0].detail}" if e.findings else e.case.kind,
            ]
            for e in entries[:SHOWN]
        ],
        right=frozenset({"case"}),
    )
    say_rest(len(entries) - SHOWN)
    sources = ", ".join(sorted({e.case.source for e in entries}))
    say(f"{len(entries)} cases of {sources} would be {DONE[action]}; nothing was done")
    say("next: the same without --dry-run")
