"""`ragguard quarantine`."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import click

from ragguard.cli.context import open_workspace, passphrase_option, read_key
from ragguard.cli.output import console, emit, format_option, line, note, plain, say, table
from ragguard.errors import UsageError

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MAX_NAMES = 1 << 24  # characters of names read from standard input


@click.group()
def quarantine() -> None:
    """Review what waits in quarantine."""


def _body(shown: Any) -> dict[str, Any]:
    case, version = shown.case, shown.version
    return {
        "case": case.id,
        "kind": case.kind,
        "state": case.state,
        "source": case.source,
        "document": case.document or None,
        "opened": case.opened_at,
        "score": version.score if version else None,
        "p_value": version.p_value if version else None,
        "digest": version.digest if version else None,
        "metadata": dict(version.metadata) if version else None,
        "signed_by": [principal for _, principal in shown.signers],
        "older_version_serves": shown.replaces,
        "findings": [
            {k: f[k] for k in ("check", "score", "p_value", "detail", "facts")}
            for f in (version.findings if version else ())
        ],
        "detail": dict(case.detail),
    }


@quarantine.command("list")
@click.option("--all", "every", is_flag=True, help="Closed cases too.")
@format_option
@click.pass_context
def list_cases(ctx: click.Context, every: bool, fmt: str) -> None:
    """List open cases, the most suspicious first.

    \b
    Example:
      ragguard quarantine list
    """
    from ragguard.ledger import cases, corpus
    from ragguard.review import CaseView

    with open_workspace(ctx, exclusive=False) as workspace, workspace.ledger.reading() as conn:
        rows = cases.listed(conn, state=None if every else "open")
        shown = [
            CaseView(r, corpus.version(conn, r.version) if r.version else None, False, ())
            for r in rows
        ]
    shown.sort(key=lambda s: (s.version is not None, -(s.version.score if s.version else 1.0)))
    if fmt != "table":
        keys = ("case", "kind", "state", "source", "document", "opened", "score", "p_value")
        bodies = [_body(s) for s in shown]
        emit(fmt, [{**{k: b[k] for k in keys}, "findings": b["findings"]} for b in bodies])
        return
    if not shown:
        say("nothing waits in quarantine")
        say('next: ragguard search "a question", or ragguard ingest the next manifest')
        return
    table(
        ["case", "score", "document", "state", "why"]
        if every
        else ["case", "score", "document", "why"],
        [_row(s, every) for s in shown],
        right=frozenset({"case", "score"}),
    )
    say("next: ragguard quarantine show CASE, then release or reject CASE --key FILE --reason TEXT")


def _row(shown: Any, every: bool) -> list[str]:
    case, version = shown.case, shown.version
    if version is None:
        why = f"would remove {len(case.detail['documents'])} documents at once"
        cells = [str(case.id), "", case.source]
    else:
        first = version.findings[0] if version.findings else {"check": "", "detail": ""}
        why = f"{first['check']}: {first['detail']}"
        cells = [str(case.id), f"{version.score:.2f}", f"{case.source}/{case.document}"]
    return [*cells, *([case.state] if every else []), why]


@quarantine.command()
@click.argument("case")
@format_option
@click.pass_context
def show(ctx: click.Context, case: str, fmt: str) -> None:
    """Show CASE (a number or a document): why it waits, who signed it, what it says.

    \b
    Example:
      ragguard quarantine show 3
    """
    from ragguard import review

    with open_workspace(ctx, exclusive=False) as workspace:
        shown = review.look(workspace, review.find(workspace.ledger, case), texts=True)
    body = _body(shown)
    if fmt != "table":
        emit(fmt, {**body, "texts": list(shown.texts), "serves_as": list(shown.serves_as)})
        return
    name = f"{body['source']}/{body['document']}" if body["document"] else body["source"]
    say(f"case {body['case']} ({body['state']}): {name}")
    say(f"  signed by   {', '.join(body['signed_by']) or 'nobody'}")
    if shown.version is None:
        documents = body["detail"]["documents"]
        say(f"  asks to remove {len(documents)} documents:")
        for document in documents[:20]:
            say(f"    {line(document)}")
        if len(documents) > 20:
            say(f"    … and {len(documents) - 20} more (--format json lists all)")
        if body["state"] == "open":
            say("next: release lets them go, reject keeps them")
        return
    odds = "" if body["p_value"] is None else f", p-value {body['p_value']}"
    say(f"  suspicion   {body['score']:.2f}{odds}")
    claims = "; ".join(f"{k} = {v}" for k, v in (body["metadata"] or {}).items())
    say(f"  claims      {line(claims)}")
    if shown.replaces:
        say("  an older version of it is serving meanwhile")
    for other in shown.serves_as:
        say(f"  serves with the same bytes: {line(other)}; a rejection denies both")
    say("why:")
    for finding in body["findings"]:
        odds = f" (p {finding['p_value']:.2g})" if finding["p_value"] is not None else ""
        say(f"  {finding['check']}{odds}: {line(finding['detail'])}")
    say("text:")
    width = console().width - 4
    for text in shown.texts:  # all of it: what is not shown is where a document would hide
        for part in plain(text).splitlines():
            for row in textwrap.wrap(part, width, break_on_hyphens=False) or [""]:
                say(f"  | {row}")
        say("  |")
    if body["state"] == "open":
        say(f"next: ragguard quarantine release|reject {body['case']} --key FILE --reason TEXT")


def _decide(
    ctx: click.Context,
    case: tuple[str, ...],
    commit: int | None,
    action: Any,
    key: Path,
    reason: str,
    ask: bool,
    fmt: str,
) -> None:
    from ragguard import review

    if bool(case) == (commit is not None):
        raise UsageError("give CASEs or --commit", hint=f"ragguard quarantine {action} --help")
    pair = read_key(key, ask)
    if commit is not None:
        with open_workspace(ctx) as workspace:
            number, together = review.decide_all(workspace, commit, action, pair, reason)
        rows = [{"case": one.id, "action": action, "commit": number} for one in together]
        _tell_decided({one.id: one for one in together}, rows, fmt)
        return
    done = []
    with open_workspace(ctx) as workspace:
        workspace.recover()
        found = {one.id: one for one in (review.find(workspace.ledger, c) for c in case)}
        alike = {one: review.look(workspace, found[one]).serves_as for one in found}
        try:
            for one in found.values():
                number = review.decide(workspace, one, action, pair, reason)
                done.append({"case": one.id, "action": action, "commit": number})
        finally:  # what was decided before an error is told too
            if done:
                _tell_decided(found, done, fmt)
                for row in done if action == "reject" else ():
                    for other in alike[row["case"]]:
                        note(f"note: {line(other)} has the same bytes: a rebuild takes it out")


def _tell_decided(found: dict[int, Any], done: list[dict[str, Any]], fmt: str) -> None:
    if fmt != "table":
        emit(fmt, done)
        return
    for row in done:
        one = found[row["case"]]
        name = f"{one.source}/{one.document}" if one.document else f"removal in {one.source}"
        verb = "released" if row["action"] == "release" else "rejected"
        say(f"case {one.id}: {name} {verb}, commit {row['commit']}")
    say("next: ragguard quarantine list")


def _decision(function: Any) -> Any:
    for option in (
        format_option,
        passphrase_option,
        click.option("--reason", required=True, help="Why, in your words; signed and logged."),
        click.option("--key", type=FILE, required=True, help="Private key of the reviewer."),
    ):
        function = option(function)
    return click.pass_context(function)


_commit_option = click.option(
    "--commit",
    type=click.IntRange(1),
    help="Instead of CASEs: every case that this commit opened, in one commit.",
)


@quarantine.command()
@click.argument("case", nargs=-1)
@_commit_option
@_decision
def release(
    ctx: click.Context,
    case: tuple[str, ...],
    commit: int | None,
    key: Path,
    reason: str,
    ask: bool,
    fmt: str,
) -> None:
    """Bring the documents of one or more CASEs into the serving index.

    With --commit all that one commit put into quarantine comes back at once: that undoes
    `ragguard trust revoke --since`.

    \b
    Example:
      ragguard quarantine release 3 --key keys/bob.key --reason "asked the author"
      ragguard quarantine release --commit 12 --key bob.key --reason "my error"
    """
    _decide(ctx, case, commit, "release", key, reason, ask, fmt)


@quarantine.command()
@click.argument("case", nargs=-1)
@_commit_option
@_decision
def reject(
    ctx: click.Context,
    case: tuple[str, ...],
    commit: int | None,
    key: Path,
    reason: str,
    ask: bool,
    fmt: str,
) -> None:
    """Deny the documents of one or more CASEs, and quarantine their like from now on.

    With --commit all that one commit put into quarantine is denied at once: that ends what
    `ragguard quarantine hold` began, once all of it was read.

    \b
    Example:
      ragguard quarantine reject 4 5 6 --key keys/bob.key --reason "poison"
      ragguard quarantine reject --commit 12 --key bob.key --reason "read, poison"
    """
    _decide(ctx, case, commit, "reject", key, reason, ask, fmt)


@quarantine.command()
@click.argument("document", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, in your words; stands in each case.")
@format_option
@click.pass_context
def hold(ctx: click.Context, document: tuple[str, ...], reason: str, fmt: str) -> int:
    """Take DOCUMENTs (source/document) out of the index, to wait for a reviewer.

    One commit, with a case each; `ragguard quarantine release --commit` undoes it. A single dash
    reads the names from standard input, one a line.

    \b
    Example:
      ragguard quarantine hold wiki/safe.md --reason "trace named it"
      ragguard trace --query Q --answer A --format json |
        jq -r ".responsible[]" | ragguard quarantine hold - --reason "traced"
    """
    from ragguard.hold import hold as job

    names = list(document)
    if names == ["-"]:
        lines = sys.stdin.read(MAX_NAMES).splitlines()
        names = [name for text in lines if (name := text.strip())]
    with open_workspace(ctx) as workspace:
        made = job(workspace, names, reason)
    if fmt != "table":
        emit(fmt, {"commit": made.commit, "held": made.documents, "waiting": made.waiting})
        return 0
    for name in made.documents:
        say(f"held: {name}")
    for name in made.waiting:
        say(f"waits in quarantine already: {name}")
    if made.commit is not None:
        say(f"{len(made.documents)} out of the index, commit {made.commit}")
        say(f"to undo: ragguard quarantine release --commit {made.commit} --key FILE --reason TEXT")
    say("next: ragguard quarantine list")
    return 0


@quarantine.command()
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
