"""`ragguard alarm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli import context
from ragguard.cli.context import FILE, workspace_folder
from ragguard.cli.output import emit, format_option, line, note, say, table

if TYPE_CHECKING:
    from ragguard.integrations.alarms import Delivery


@click.group()
def alarm() -> None:
    """Tell a webhook, a mail server or a syslog collector what happened ([alarms]).

    \b
    Example:
      ragguard alarm test
      ragguard alarm send
    """


@alarm.command()
@click.option(
    "--receipt",
    "receipts",
    type=FILE,
    multiple=True,
    help="Tell if an answer of this receipt rested on what is good no more; may be repeated.",
)
@format_option
@click.pass_context
def send(ctx: click.Context, receipts: tuple[Path, ...], fmt: str) -> int:
    """Tell each target what it was not told yet: cases, the last audit's findings, late jobs.

    `ingest`, `sync` and `audit` do it when they end; in cron it also tells of jobs that did not
    run. A target that fails is told the same the next time (exit 5).

    \b
    Example:
      ragguard alarm send --receipt answers/17.json
    """
    from ragguard.integrations import alarms
    from ragguard.workspace import meant

    folder = workspace_folder(ctx)
    deliveries = alarms.send(
        folder, meant.settings(folder), context.now(), [p.read_bytes() for p in receipts]
    )
    return _show(deliveries, fmt)


@alarm.command()
@format_option
@click.pass_context
def test(ctx: click.Context, fmt: str) -> int:
    """Send each target a trial, and say whether it was taken.

    \b
    Example:
      ragguard alarm test --format json
    """
    from ragguard.integrations import alarms
    from ragguard.workspace import meant

    folder = workspace_folder(ctx)
    return _show(alarms.test(folder, meant.settings(folder), context.now()), fmt)


def after(ctx: click.Context) -> None:
    """Tell the targets when a job has ended; whatever goes wrong is said and stops nothing."""
    from ragguard.errors import RagguardError
    from ragguard.workspace import meant

    try:
        folder = workspace_folder(ctx)
        settings = meant.settings(folder)
        named = settings.alarms
        if not (named.webhook_url or named.smtp_host or named.syslog_host):
            return  # what tells them takes long to import
        from ragguard.integrations import alarms

        for problem in alarms.after(folder, settings, context.now()):
            note(f"warning: {problem}")
    except (RagguardError, OSError) as error:
        note(f"warning: alarms failed: {type(error).__name__}: {line(str(error))}")


def _show(deliveries: Sequence[Delivery], fmt: str) -> int:
    if fmt != "table":
        emit(fmt, [_body(delivery) for delivery in deliveries])
    elif not deliveries:
        note("nobody is to be told: [alarms] names no target")
    else:
        table(
            ["target", "told", "held back", "error"],
            [[d.target, str(len(d.sent)), str(d.held_back), d.error] for d in deliveries],
            right=frozenset({"told", "held back"}),
        )
        for event in dict.fromkeys(
            event.summary for delivery in deliveries for event in delivery.sent
        ):
            say(event)
    return 5 if any(delivery.error for delivery in deliveries) else 0


def _body(delivery: Delivery) -> dict[str, Any]:
    return {
        "target": delivery.target,
        "sent": [{"kind": e.kind, "level": e.level, "summary": e.summary} for e in delivery.sent],
        "held_back": delivery.held_back,
        "error": delivery.error,
    }
