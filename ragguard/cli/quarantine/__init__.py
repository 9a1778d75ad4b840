"""Group the commands of `ragguard quarantine`, and list cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, say, table
from ragguard.cli.quarantine.choose import check_known, choice, choice_options
from ragguard.cli.quarantine.decide import reject, release
from ragguard.cli.quarantine.hold import hold
from ragguard.cli.quarantine.show import show
from ragguard.cli.quarantine.spot_check import spot_check
from ragguard.cli.quarantine.stats import stats

if TYPE_CHECKING:
    from ragguard.ledger.queue import Entry, Group

NAMED = 2  # documents of a group that its row names
MOST = 200  # rows of a table for a person without --limit


@click.group()
def quarantine() -> None:
    """Review what waits in quarantine."""


for command in (show, release, reject, hold, stats, spot_check):
    quarantine.add_command(command)


@quarantine.command("list")
@click.option("--all", "every", is_flag=True, help="Closed cases too.")
@click.option("--group", "grouped", is_flag=True, help="Cases of one cause in one row.")
@choice_options
@click.option(
    "--limit", type=click.IntRange(1), help=f"At most so many rows; a table has {MOST} else."
)
@format_option
@click.pass_context
def list_cases(
    ctx: click.Context,
    every: bool,
    grouped: bool,
    checks: tuple[str, ...],
    sources: tuple[str, ...],
    since: str | None,
    limit: int | None,
    fmt: str,
) -> None:
    """List open cases, the most suspicious first.

    With --group there is one row for each cause: a campaign (documents that the reasons connect:
    companions, twins, copies) or a family (one source, one reason). A group's name goes to
    `release --group` and `reject --group`, and changes when a case joins or leaves it.

    \b
    Example:
      ragguard quarantine list --group
      ragguard quarantine list --check collusion --since 7d --limit 20
    """
    from ragguard.errors import UsageError
    from ragguard.ledger import opinions, queue

    if grouped and every:
        raise UsageError("--group is about open cases", hint="Leave out --all.")
    wanted = choice(checks, sources, since)
    filtered = bool(checks or sources or since)
    limit = limit or (MOST if fmt == "table" else None)
    with open_workspace(ctx, exclusive=False) as workspace:
        check_known(workspace, checks)
        # Groups are those of all open cases: a filter chooses among them, and cuts none.
        asked = workspace.settings.judge.false_alarm_rate
        with workspace.ledger.reading() as conn:
            rows = queue.entries(
                conn, state=None if every else "open", choice=None if grouped else wanted
            )
            spoken = {case: len(words) for case, words in opinions.given(conn).items()}
        needed = {n: s.policy.reviewers for n, s in workspace.root.sources.items()}
    if grouped:
        kept = [g for g in queue.groups(rows) if any(wanted.takes(e) for e in g.entries)]
        _list_groups(kept, limit, fmt, filtered)
        return
    rows.sort(key=lambda e: (e.version is not None, -e.score))
    shown = rows[:limit]
    if fmt != "table":
        from ragguard.quarantine.bodies import case_body

        keys = ["case", "kind", "state", "source", "document", "opened", "score", "p_value"]
        keys += ["confidence", "confidence_level"]
        bodies = [case_body(e.case, e.version, asked) for e in shown]
        emit(fmt, [{**{k: b[k] for k in keys}, "findings": b["findings"]} for b in bodies])
        return
    if not shown:
        _say_nothing(filtered)
        return
    table(
        ["case", "score", "sure", "document", *(["state"] if every else []), "why"],
        [
            _row(e, every, asked, spoken.get(e.case.id, 0), needed.get(e.case.source, 1))
            for e in shown
        ],
        right=frozenset({"case", "score"}),
    )
    _say_more(len(rows) - len(shown), "cases")
    say("next: ragguard quarantine show CASE, then release or reject CASE --key FILE --reason TEXT")


def _row(entry: Entry, every: bool, asked: float, spoken: int, needed: int) -> list[str]:
    from ragguard.quarantine.bodies import described, sureness

    case, version = entry.case, entry.version
    score = f"{version.score:.2f}" if version else ""
    value, word = sureness(version, asked)
    sure = "" if value is None else f"{value:.2f} {word}"
    state = [case.state] if every else []
    open_case = case.state == "open" and needed > 1
    why = f"{spoken} of {needed} opinions; " if open_case else ""
    return [str(case.id), score, sure, entry.label, *state, why + described(entry)]


def _list_groups(groups: list[Group], limit: int | None, fmt: str, filtered: bool) -> None:
    from ragguard.quarantine.bodies import group_body

    shown = groups[:limit]
    if fmt != "table":
        emit(fmt, [group_body(g) for g in shown])
        return
    if not shown:
        _say_nothing(filtered)
        return
    list_groups(shown)
    _say_more(len(groups) - len(shown), "groups")
    say("next: ragguard quarantine release|reject --group G --key FILE --reason TEXT")


def list_groups(groups: list[Group]) -> None:
    """Groups, one a row."""
    table(
        ["group", "cases", "score", "kind", "source", "check", "about"],
        [_group_row(g) for g in groups],
        right=frozenset({"cases"}),
    )


def _group_row(group: Group) -> list[str]:
    from ragguard.quarantine.bodies import described

    scores = [e.version.score for e in group.entries if e.version]
    span = ""
    if scores:
        ends = dict.fromkeys((f"{min(scores):.2f}", f"{max(scores):.2f}"))
        span = "-".join(ends)
    first = group.entries[0]
    about = described(first).removeprefix(f"{first.check}: ")
    names = [e.case.document for e in group.entries if e.version][:NAMED]
    more = len(group.entries) - len(names)
    members = ", ".join(names) + (f" and {more} more" if names and more > 0 else "")
    return [
        group.id,
        str(len(group.entries)),
        span,
        group.kind if first.version else first.case.kind,
        ", ".join(group.sources),
        ", ".join(group.checks),
        f"{about} ({members})" if members else about,
    ]


def _say_more(left: int, noun: str) -> None:
    if left > 0:
        say(f"… and {left} more {noun} (--limit {left + MOST}, or --format json)")


def _say_nothing(filtered: bool) -> None:
    if filtered:
        say("no case is like that")
        say("next: ragguard quarantine list")
        return
    say("nothing waits in quarantine")
    say('next: ragguard search "a question", or ragguard ingest the next manifest')
