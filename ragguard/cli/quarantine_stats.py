"""`ragguard quarantine stats`."""

from __future__ import annotations

from collections import Counter

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, say, table


@click.command()
@format_option
@click.pass_context
def stats(ctx: click.Context, fmt: str) -> None:
    """Count cases by source, state and check; how often each check was right.

    \b
    Example:
      ragguard quarantine stats
    """
    from ragguard.ledger import cases, corpus

    with open_workspace(ctx, exclusive=False) as workspace, workspace.ledger.reading() as conn:
        counts = cases.counts(conn)
        rows = cases.listed(conn, state=None)
        versions = {r.id: corpus.version(conn, r.version) for r in rows if r.version}
    by_check: dict[str, Counter[str]] = {}
    for row in rows:
        version = versions.get(row.id)
        for finding in version.findings if version else ():
            by_check.setdefault(finding["check"], Counter())[row.state] += 1
    if fmt != "table":
        body = {
            "cases": [
                {"source": source, "state": state, "count": count}
                for (source, state), count in sorted(counts.items())
            ],
            "checks": {name: dict(found) for name, found in sorted(by_check.items())},
        }
        emit(fmt, body)
        return
    if not counts:
        say("no cases yet")
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


def _precision(counts: Counter[str]) -> str:
    decided = counts["rejected"] + counts["released"]
    return f"{counts['rejected'] / decided:.0%} of {decided}" if decided else "none decided yet"
