"""`ragguard quarantine stats`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, line, say, say_rest, table
from ragguard.cli.quarantine.choose import check_known, choice, choice_options
from ragguard.stats.intervals import as_body

if TYPE_CHECKING:
    from ragguard.ledger.observed import ObservedRate
    from ragguard.ledger.queue import Choice
    from ragguard.workspace import Workspace

SHOWN = 40  # groups of what would have waited


@click.command()
@click.option("--observed", "observing", is_flag=True, help="What observe mode would have held.")
@choice_options
@format_option
@click.pass_context
def stats(
    ctx: click.Context,
    observing: bool,
    checks: tuple[str, ...],
    sources: tuple[str, ...],
    since: str | None,
    fmt: str,
) -> None:
    """Count cases by source, state and check, and how often honest documents were held.

    The observed false-alarm rate is what reviewers released, of what was admitted or released;
    --observed lists what would have waited had the gate not only observed (--check, --source and
    --since narrow that list).

    \b
    Example:
      ragguard quarantine stats
    """
    from ragguard.errors import UsageError

    if not observing and (checks or sources or since):
        raise UsageError("--check, --source and --since go with --observed")
    with open_workspace(ctx, exclusive=False) as workspace:
        if observing:
            check_known(workspace, checks)
            _list_observed(workspace, choice(checks, sources, since), fmt)
        else:
            _count(workspace, fmt)


def _count(workspace: Workspace, fmt: str) -> None:
    from ragguard.ledger import cases, queue
    from ragguard.ledger.observed import observed
    from ragguard.quarantine.second_opinion import reviewers_body
    from ragguard.quarantine.spot_figures import figures

    asked = workspace.settings.judge.false_alarm_rate
    with workspace.ledger.reading() as conn:
        counts = cases.counts(conn)
        rows = queue.entries(conn, state=None)
        rate = observed(conn)
        people = reviewers_body(conn)
    spot = figures(workspace)
    by_check: dict[str, Counter[str]] = {}
    for row in rows:
        for finding in row.findings:
            by_check.setdefault(finding.check, Counter())[row.case.state] += 1
    if fmt != "table":
        body = {
            "cases": [
                {"source": source, "state": state, "count": count}
                for (source, state), count in sorted(counts.items())
            ],
            "checks": {name: dict(states) for name, states in sorted(by_check.items())},
            "observed": {
                "asked": asked,
                **_rate_body(rate),
                "parts": rate.parts_from(asked),
                "sources": {name: _rate_body(r) for name, r in rate.by_source.items()},
                "checks": {name: _rate_body(r) for name, r in rate.by_check.items()},
            },
            **people,
            "spot_checks": spot,
        }
        emit(fmt, body)
        return
    if not counts:
        say("no cases yet")
        _say_spot_checks(spot)
        return
    table(
        ["source", "state", "cases"],
        [[s, state, str(n)] for (s, state), n in sorted(counts.items())],
        right=frozenset({"cases"}),
    )
    say()
    table(
        ["check", "open", "rejected", "released", "right of those decided"],
        [
            [name, str(c["open"]), str(c["rejected"]), str(c["released"]), _precision(c)]
            for name, c in sorted(by_check.items())
        ],
        right=frozenset({"open", "rejected", "released"}),
    )
    say()
    _say_rate(rate, asked)
    _say_reviewers(people)
    _say_spot_checks(spot)


def _say_reviewers(people: dict[str, Any]) -> None:
    """What each reviewer said, and how far two of them agree."""
    if not people["reviewers"]:
        return
    say()
    table(
        ["reviewer", "released", "rejected", "share rejected"],
        [
            [r["reviewer"], str(r["released"]), str(r["rejected"]), _share(r["reject"])]
            for r in people["reviewers"]
        ],
        right=frozenset({"released", "rejected"}),
    )
    for pair in people["pairs"]:
        kappa = "none (one word for all)" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
        within = (
            f" ({pair['interval'][0]:.2f} to {pair['interval'][1]:.2f})" if pair["interval"] else ""
        )
        say(
            f"{' and '.join(map(line, pair['reviewers']))}: {pair['agreed']} of {pair['n']} cases "
            f"alike, Cohen's kappa {kappa}{within}"
        )


def _say_spot_checks(spot: dict[str, Any]) -> None:
    """What the spot checks of the last 90 days tell."""
    kinds = (("bad among what was let in", "bad_in"), ("honest among what is held", "honest_held"))
    rows = []
    for name, key in kinds:
        figure = spot[key]
        if figure is not None:
            share = _share(figure) if figure["judged"] else "unknown: nothing was judged"
            ends = f"{figure['documents'][0]}-{figure['documents'][1]} of {figure['population']}"
            judged = f"{figure['judged']} of {figure['drawn']}"
            rows.append([name, judged, str(figure["found"]), share, ends])
    if rows:
        say()
        headings = ["spot checks, last 90 days", "judged", "found", "share", "documents"]
        table(headings, rows, right=frozenset({"found"}))


def _share(body: dict[str, Any]) -> str:
    low, high = body["interval"]
    return f"{_percent(body['share'])} ({_percent(low)}-{_percent(high)})"


def _precision(counts: Counter[str]) -> str:
    decided = counts["rejected"] + counts["released"]
    return f"{counts['rejected'] / decided:.0%} of {decided}" if decided else "none decided yet"


def _rate_body(rate: ObservedRate) -> dict[str, Any]:
    return {
        "admitted": rate.admitted,
        "released": rate.released,
        "rejected": rate.rejected,
        "open": rate.open,
        **as_body(rate.rate, rate.interval),
        "if_open_honest": round(rate.if_open_honest, 4),
    }


def _say_rate(rate: ObservedRate, asked: float) -> None:
    """The observed rate in words, by source and check where there is something to tell."""
    table(
        ["honest documents held", "admitted", "released", "waiting", "rate", "if waiting honest"],
        [
            _rate_row("all", rate),
            *(_rate_row(f"source {name}", r) for name, r in rate.by_source.items()),
            *(_rate_row(f"check {name}", r) for name, r in rate.by_check.items()),
        ],
        right=frozenset({"admitted", "released", "waiting"}),
    )
    for sentence in verdict(rate, asked):
        say(sentence)


def _rate_row(name: str, rate: ObservedRate) -> list[str]:
    low, high = rate.interval
    observed = f"{_percent(rate.rate)} ({_percent(low)}-{_percent(high)})" if rate.honest else ""
    return [
        name,
        str(rate.admitted),
        str(rate.released),
        str(rate.open),
        observed,
        _percent(rate.if_open_honest) if rate.open else "",
    ]


def verdict(rate: ObservedRate, asked: float) -> list[str]:
    """List sentences that hold the observed rate against the asked one, and what to do next."""
    low, high = rate.interval
    rates = f"asked {_percent(asked)}, observed {_percent(rate.rate)}"
    rates += f" ({_percent(low)}-{_percent(high)})"
    waiting = f"up to {_percent(rate.if_open_honest)} if all {rate.open} that wait are honest"
    if not rate.decided:
        more = f"; {waiting}" if rate.open else ""
        return [f"asked {_percent(asked)}: nothing was decided yet, so nothing was observed{more}"]
    if not rate.parts_from(asked):
        return [f"{rates}: no more than asked, as far as {rate.decided} decisions can tell"]
    checks = [(r.released, name) for name, r in rate.by_check.items() if r.released]
    named = [(r.rate, name) for name, r in rate.by_source.items() if r.released]
    blame = f"most by {max(checks)[1]}" if checks else "by no check that is known"
    where = f", and most of all in {max(named)[1]}" if named else ""
    lines = [f"{rates}: honest documents are held more often than asked, {blame}{where}"]
    if rate.open:
        lines.append(f"{waiting}")
    check = f" --check {max(checks)[1]}" if checks else ""
    lines.append(
        f"next: decide what waits (ragguard quarantine list --group{check}), then ragguard "
        "calibrate; until then no lower rate is promised"
    )
    return lines


def _percent(share: float) -> str:
    """Return a share in percent, with the digits it needs."""
    value = 100 * share
    return f"{value:.2g} %" if 0 < value < 1 else f"{value:.1f} %"


def _list_observed(workspace: Workspace, wanted: Choice, fmt: str) -> None:
    from ragguard.cli.quarantine import list_groups
    from ragguard.ledger import queue
    from ragguard.ledger.observed import observed, would_wait
    from ragguard.quarantine.bodies import group_body

    with workspace.ledger.reading() as conn:
        rows = [e for e in would_wait(conn) if wanted.takes(e)]
        rate = observed(conn)
    groups = queue.groups(rows)
    judged = rate.honest + rate.rejected + rate.open
    if fmt != "table":
        documents = [
            {
                "source": e.case.source,
                "document": e.case.document,
                "at": e.case.opened_at,
                "score": e.score,
                "p_value": e.version.p_value if e.version else None,
                "findings": [{"check": f.check, "detail": f.detail} for f in e.findings],
            }
            for e in rows
        ]
        bodies = [{k: v for k, v in group_body(g).items() if k != "cases"} for g in groups]
        emit(fmt, {"judged": judged, "count": len(rows), "groups": bodies, "documents": documents})
        return
    if not rows:
        say("observe mode would have held nothing; `ragguard ingest --observe` turns it on")
        return
    list_groups(groups[:SHOWN])
    say_rest(len(groups) - SHOWN)
    say(f"{len(rows)} of {judged} documents judged would have waited, in {len(groups)} groups")
    say("next: if these are worth a person's look, turn [judge] observe off")
