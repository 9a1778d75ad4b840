"""`ragguard history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, say, table

if TYPE_CHECKING:
    from ragguard.ledger.commits import CommitRow
    from ragguard.ledger.versions import VersionRow
    from ragguard.lineage.history import CommitView


@click.group(invoke_without_command=True)
@click.option(
    "-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Commits."
)
@format_option
@click.pass_context
def history(ctx: click.Context, limit: int, fmt: str) -> None:
    """List what changed the corpus, newest first.

    \b
    Example:
      ragguard history -n 5
    """
    from ragguard.ledger import commits

    if ctx.invoked_subcommand is not None:
        return
    with open_workspace(ctx, exclusive=False) as workspace, workspace.ledger.reading() as conn:
        rows = commits.listed(conn, limit=limit)
    if fmt != "table":
        emit(fmt, [_commit(r) for r in rows])
        return
    if not rows:
        say("no commits yet")
        return
    table(
        ["commit", "at", "what", "who", "source", "documents"],
        [[str(r.id), r.at, r.kind, r.actor, r.source, _counts(r)] for r in rows],
        right=frozenset({"commit"}),
    )


@history.command()
@click.argument("commit", type=click.IntRange(1))
@click.option("--documents", is_flag=True, help="Also list the whole corpus after it.")
@format_option
@click.pass_context
def show(ctx: click.Context, commit: int, documents: bool, fmt: str) -> int:
    """Show COMMIT: who signed, who decided, what came and went.

    The digest of the whole corpus after it is computed again and compared with the log.

    \b
    Example:
      ragguard history show 3 --documents
    """
    from ragguard.lineage import history as job

    with open_workspace(ctx, exclusive=False) as workspace:
        shown = job.show(workspace, commit)
    if fmt != "table":
        body = _shown(shown)
        body["moves"] = [
            {**_document(m.version), "zone": m.zone, "entered": m.entered} for m in shown.moves
        ]
        if documents:
            body["documents"] = [_document(r) for _, r in sorted(shown.serving.items())]
        emit(fmt, body)
        return 0 if shown.agrees else 3
    row = shown.row
    say(f"commit {row.id}: {row.kind} by {row.actor}, {row.at} ({_counts(row)})")
    if shown.signers:
        say(f"  manifest {row.manifest[:16]}… signed by {', '.join(shown.signers)}")
    for decision in shown.decisions:
        say(
            f"  {decision['reviewer']} decided: {decision['action']} {decision['document']}"
            f" ({decision['reason']})"
        )
    for move in shown.moves:
        name = move.version.label
        say(f"  {'+' if move.entered else '-'} {move.zone:<10} {name}")
    if documents:
        say(f"serving after it, {len(shown.serving)} documents:")
        for name, version in sorted(shown.serving.items()):
            say(f"  {version.digest[:16]}… {name}")
    return _tell_state(shown)


@history.command()
@click.argument("first", type=click.IntRange(1))
@click.argument("second", type=click.IntRange(1))
@format_option
@click.pass_context
def diff(ctx: click.Context, first: int, second: int, fmt: str) -> int:
    """Compare the corpus after commit FIRST with the corpus after SECOND.

    \b
    Example:
      ragguard history diff 1 4
    """
    from ragguard.lineage import history as job

    with open_workspace(ctx, exclusive=False) as workspace:
        delta = job.diff(workspace, first, second)
    agrees = delta.first.agrees and delta.second.agrees
    if fmt != "table":
        body = {
            "first": _shown(delta.first),
            "second": _shown(delta.second),
            "added": [_document(r) for r in delta.added],
            "removed": [_document(r) for r in delta.removed],
            "changed": [{"before": _document(a), "after": _document(b)} for a, b in delta.changed],
            "commits": [_commit(r) for r in delta.between],
        }
        emit(fmt, body)
        return 0 if agrees else 3
    for sign, rows in (
        ("+", delta.added),
        ("-", delta.removed),
        ("~", [b for _, b in delta.changed]),
    ):
        for row in rows:
            say(f"{sign} {row.source}/{row.document}")
    say(
        f"{len(delta.added)} came, {len(delta.removed)} went, {len(delta.changed)} changed, in "
        f"{len(delta.between)} commits"
    )
    return max(_tell_state(delta.first), _tell_state(delta.second))


@history.command()
@click.argument("name")
@format_option
@click.pass_context
def source(ctx: click.Context, name: str, fmt: str) -> int:
    """Show what the source NAME brought, what was held of it, and what it moved.

    Its newest manifests are verified again. Which commit moved which canary question is told from
    the answers that audits kept.

    \b
    Example:
      ragguard history source wiki
    """
    from ragguard.canary.moved import moved
    from ragguard.lineage.source import source_lineage

    with open_workspace(ctx, exclusive=False) as workspace:
        lineage = source_lineage(workspace, name)
        told = moved(workspace, source=name)
    wrong = [m for m in lineage.manifests if m.checked[0] == "wrong"]
    record = lineage.row.record
    if fmt != "table":
        emit(fmt, {**lineage.as_dict(), "canaries": told.as_dict()})
        return 3 if wrong else 0
    say(
        f"{lineage.row.name}: {lineage.row.serving} documents serve, {lineage.row.waiting} wait; "
        f"{record.admitted} admitted, {record.released} released, {record.rejected} rejected, "
        f"{record.open} undecided"
    )
    for manifest in lineage.manifests:
        state, reason = manifest.checked
        by = ", ".join(manifest.signers) or "nobody"
        brought = ", ".join(f"{n} {kind}" for kind, n in sorted(manifest.counts.items()) if n)
        say(f"  commit {manifest.commit}: manifest {manifest.version} by {by} ({brought}), {state}")
        if state != "verified":
            say(f"    {reason}")
    for case in lineage.cases:
        decisions = "; ".join(f"{d['action']} by {d['reviewer']}" for d in case.decisions)
        say(
            f"  case {case.case}: {case.document} {case.state}"
            + (f" ({decisions})" if decisions else "")
        )
    for question in told.questions:
        for cause in question.causes:
            say(
                f"  commit {cause.commit} moved {question.query}: {cause.document} from rank "
                f"{cause.before or '-'} to {cause.after or '-'}"
            )
    if told.runs < 2:
        say("  canaries: nothing can be said before two audits with a canary set")
    for problem in told.problems:
        say(f"  PROBLEM: {problem}")
    return 3 if wrong else 0


def _tell_state(shown: CommitView) -> int:
    if shown.agrees:
        say(f"corpus after commit {shown.row.id}: {shown.state}, as the log has it")
        return 0
    say(
        f"PROBLEM: corpus after commit {shown.row.id}: {shown.state}, the log and the ledger have "
        f"{shown.row.corpus}"
    )
    return 3


def _counts(row: CommitRow) -> str:
    return ", ".join(f"{n} {k}" for k, n in sorted(row.counts.items()) if n)


def _commit(row: CommitRow) -> dict[str, Any]:
    return {
        "commit": row.id,
        "kind": row.kind,
        "at": row.at,
        "actor": row.actor,
        "source": row.source,
        "manifest": row.manifest or None,
        "corpus": row.corpus,
        "log_index": row.log_index,
        "counts": dict(row.counts),
    }


def _document(row: VersionRow) -> dict[str, Any]:
    return {"source": row.source, "document": row.document, "digest": row.digest}


def _shown(shown: CommitView) -> dict[str, Any]:
    return {
        **_commit(shown.row),
        "signed_by": list(shown.signers),
        "decisions": [dict(d) for d in shown.decisions],
        "state": shown.state,
        "agrees": shown.agrees,
        "serving": len(shown.serving),
    }
