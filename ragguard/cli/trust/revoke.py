"""`ragguard trust revoke`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import (
    moment,
    open_workspace,
    passphrase_option,
    read_root_keys,
    root_key_option,
)
from ragguard.cli.output import emit, format_option, note, say, say_rest, table

if TYPE_CHECKING:
    from ragguard.model import Root
    from ragguard.quarantine.revoke import Radius, RevokeTarget

SHOWN = 10  # documents named one by one


@click.command()
@click.argument("key", required=False)
@click.option("--source", help="Instead of KEY: nobody speaks for this source any more.")
@click.option("--reason", required=True, help="Why; goes into the trust root and the log.")
@click.option(
    "--since",
    help="Also quarantine what it brought in since this day (2026-02-20) or UTC time "
    "(2026-02-20T09:30:00Z), as the log has it.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what --since would touch, and change nothing.")
@format_option
@root_key_option
@passphrase_option
@click.pass_context
def revoke(
    ctx: click.Context,
    key: str | None,
    source: str | None,
    reason: str,
    since: str | None,
    yes: bool,
    dry_run: bool,
    fmt: str,
    root_keys: tuple[Path, ...],
    ask: bool,
) -> None:
    """Let KEY (key id, its beginning, or a principal) count no more, from now on.

    What it brought in before stays in the corpus, unless --since takes it back: all of it that
    came in since then, by the clock of the log, goes into quarantine in one commit. What would go
    is told first. `ragguard quarantine release --commit` brings it back.

    \b
    Example:
      ragguard trust revoke alice --reason "laptop stolen"
      ragguard trust revoke alice --since 2026-02-20 --reason "laptop stolen"
    """
    from ragguard.errors import UsageError
    from ragguard.quarantine import revoke as job

    if dry_run and since is None:
        raise UsageError("--dry-run says what --since would touch", hint="Give a day with --since.")
    if since is not None and not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError(
            "nobody is there to confirm", hint="Look with --dry-run first, then say --yes."
        )
    begins = moment(since) if since is not None else None
    with open_workspace(ctx) as workspace:
        target = job.find_target(workspace.root, key, source)
        if begins is None and not target.in_force:
            known = "is revoked already" if target.key else "is not in the trust root"
            raise UsageError(f"{target.name} {known}")
        if not dry_run:
            workspace.recover()
        radius = None if begins is None else job.blast_radius(workspace, target, begins)
        if radius is not None and fmt == "table":
            _tell_radius(radius)
        if dry_run:
            if fmt != "table":
                emit(fmt, _body(target, radius, workspace.root, None))
            return
        if radius is not None and not yes:
            if fmt != "table":
                note(f"{len(radius.documents)} documents, {radius.chunks} chunks")
            click.confirm(f"Revoke {target.name} and quarantine this?", abort=True, err=True)
        reviewed = target.key is not None and any(
            g.keyid == target.key.keyid for g in workspace.root.reviewers
        )
        pairs = read_root_keys(workspace.folder, root_keys, ask) if target.in_force else []
        commit = job.revoke(workspace, target, radius, reason, pairs)
        root = workspace.root
    if fmt != "table":
        emit(fmt, _body(target, radius, root, commit))
        return
    _tell_done(target, radius, root, commit)
    if reviewed:
        say("what this reviewer released stays: ragguard history shows each release and by whom;")
        say("ragguard quarantine hold takes documents out again")


def _tell_radius(radius: Radius) -> None:
    by_source = ", ".join(f"{count} of {name}" for name, count in sorted(radius.sources.items()))
    say(f"{radius.target.name}, since {radius.since}:")
    for label, value in (
        ("documents to quarantine", by_source or "none"),
        ("chunks", f"{radius.chunks}"),
        ("an older version served", f"{len(radius.older)}; it does not come back by itself"),
        ("never served before", f"{len(radius.documents) - len(radius.older)}"),
        ("in quarantine already", f"{len(radius.waiting)}"),
        ("signed by enough others", f"{len(radius.vouched)}; these stay"),
        (
            "canary queries touched",
            "there are no canaries" if radius.canaries is None else f"{len(radius.canaries)}",
        ),
    ):
        say(f"  {label:24} {value}")
    if not radius.documents:
        return
    table(
        ["document", "came in", "older version"],
        [
            [t.label, t.at, f"of commit {t.older.commit}" if t.older else "none"]
            for t in radius.documents[:SHOWN]
        ],
    )
    say_rest(len(radius.documents) - SHOWN)


def _tell_done(target: RevokeTarget, radius: Radius | None, root: Root, commit: int | None) -> None:
    say(f"trust root {root.version}: {target.name} is revoked")
    for one in root.sources.values():
        alive = [g for g in one.signers if g.keyid not in root.revoked]
        if len(alive) < one.threshold:
            say(
                f"source {one.name!r} has not enough signers left: add one before its next manifest"
            )
    if radius is None:
        say("what came in before stays; --since DATE takes it back")
    elif commit is None:
        say("nothing of it serves: nothing was quarantined")
    else:
        say(f"commit {commit}: {len(radius.documents)} documents went into quarantine")
        say("next: ragguard quarantine list, and release or reject each")
        say(f"undo: ragguard quarantine release --commit {commit} --key REVIEWER.key --reason TEXT")


def _body(
    target: RevokeTarget, radius: Radius | None, root: Root, commit: int | None
) -> dict[str, Any]:
    counts = target.source in root.sources
    if target.key is not None:
        counts = target.key.keyid not in root.revoked
    return {
        "key": target.key.keyid if target.key else None,
        "principal": target.key.principal if target.key else None,
        "source": target.source or None,
        "trust_root": root.version,
        "revoked": not counts,
        "commit": commit,
        "since": radius.since if radius else None,
        "chunks": radius.chunks if radius else 0,
        "documents": [
            {
                "source": t.version.source,
                "id": t.version.document,
                "digest": t.version.digest,
                "logged": t.at,
                "chunks": t.version.chunks,
                "older": {"digest": t.older.digest, "commit": t.older.commit} if t.older else None,
            }
            for t in (radius.documents if radius else ())
        ],
        "waiting": list(radius.waiting) if radius else [],
        "vouched": list(radius.vouched) if radius else [],
        "canaries": list(radius.canaries) if radius and radius.canaries is not None else None,
    }
