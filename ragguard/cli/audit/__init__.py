"""`ragguard audit`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.adopt import KEY
from ragguard.cli.context import FILE, OUTPUT, now, open_workspace, telemetry, workspace_folder
from ragguard.cli.integrations import alarm
from ragguard.cli.output import emit, format_option, note
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.audit.findings import AuditReport


@click.command()
@click.option("--url", default="", help="A Qdrant server or cluster: audit a collection there.")
@click.option(
    "--path",
    type=click.Path(exists=True, path_type=Path),
    help="Folder of an embedded index that is no workspace.",
)
@click.option("--collection", default="", help="Collection to audit with --url or --path.")
@click.option("--vector", default="", help="Which of several named vectors to read.")
@click.option("--text-field", default="", help="Where texts are in the payload, such as a.b.")
@click.option("--metadata-field", default="", help="Where metadata are in the payload.")
@click.option("--document-field", default="", help="Where the document's id is in the payload.")
@click.option(
    "--full", is_flag=True, help="Judge every document again, and trust no cache of the last audit."
)
@click.option("--re-embed", is_flag=True, help="Embed every text again, not a sample.")
@click.option(
    "--max-minutes", type=click.FloatRange(min=0.01), help="Look at a part of the index each time."
)
@click.option(
    "--expect-checkpoint", type=FILE, help="A checkpoint of the log that was kept elsewhere."
)
@click.option("--quarantine", is_flag=True, help="Take suspects out of the index, in one commit.")
@click.option(
    "--fail-on",
    type=click.Choice(["note", "warning", "error"]),
    default="warning",
    show_default=True,
    help="The mildest finding that makes the exit code 1.",
)
@click.option("--json", "json_file", type=OUTPUT, help="Write the whole report there.")
@click.option("--sarif", "sarif_file", type=OUTPUT, help="Write SARIF 2.1.0 there.")
@click.option("--html", "html_file", type=OUTPUT, help="Write a page there.")
@click.option("--metrics", "metrics_file", type=OUTPUT, help="Write a Prometheus textfile there.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 where it would be 1.")
@format_option
@click.pass_context
def audit(ctx: click.Context, /, fmt: str, exit_zero: bool, **given: Any) -> int:
    """Look at the whole index: is it ours, is it still good, what changed.

    Points are compared with the ledger, signatures with today's trust, neighbourhoods with one
    another, and all of it with the last audits. Nothing is changed without --quarantine. With --url
    or --path it looks at a collection that ragguard never wrote, and needs no workspace.

    \b
    Example:
      ragguard audit --html audit.html --metrics ragguard.prom
      ragguard audit --url http://localhost:6333 --collection docs
    """
    from ragguard.audit.report import Targets, write_all

    foreign = bool(given["url"] or given["path"])
    _require(given, foreign)
    taken = 0
    with Progress() as progress:
        if foreign:
            report = _foreign(given, progress)
        else:
            report, taken = _own(ctx, given, progress)
    code = report.exit_code(given["fail_on"])
    targets = Targets(
        given["json_file"], given["sarif_file"], given["html_file"], given["metrics_file"]
    )
    if code == 1 and exit_zero:
        code = 0
    written = write_all(report, targets, code)
    if sent := telemetry(ctx):
        from ragguard.audit.report.prometheus import measure

        sent.add(measure(report, code))
    if fmt == "table":
        from ragguard.cli.audit.summary import show

        show(report, written, bool(taken))
    else:
        from ragguard.audit.report.json import body_of

        body = body_of(report)
        emit(fmt, body if fmt == "json" else body["findings"])
    if taken:
        note(f"{taken} documents were taken out of the index; ragguard quarantine list")
    if not foreign:
        alarm.after(ctx)
        from ragguard.integrations.jobs.started import GRAVITY

        started = _start(ctx, report, given["full"])
        code = max(code, 0 if started == 1 and exit_zero else started, key=GRAVITY.index)
    return code


def _start(ctx: click.Context, report: AuditReport, full: bool) -> int:
    """Do what `[triggers]` allows for what an audit found; see `jobs.started`."""
    from ragguard.integrations.jobs import started
    from ragguard.workspace import meant

    opened = partial(open_workspace, ctx)
    allowed = meant.settings(workspace_folder(ctx)).triggers
    with Progress() as progress:
        return started.start(opened, allowed, report, full=full, progress=progress.update, say=note)


_OWN_ONLY = ("re_embed", "max_minutes", "expect_checkpoint", "quarantine")
_FOREIGN_ONLY = ("collection", "vector", "text_field", "metadata_field", "document_field")


def _require(given: dict[str, Any], foreign: bool) -> None:
    """Refuse options that do not go together."""
    from ragguard.errors import UsageError

    wrong = [name for name in (_OWN_ONLY if foreign else _FOREIGN_ONLY) if given[name]]
    if wrong:
        option = f"--{wrong[0].replace('_', '-')}"
        if foreign:
            raise UsageError(
                f"{option}: needs a workspace, not a collection by --url or --path",
                hint="`ragguard adopt` takes a collection into a workspace.",
            )
        raise UsageError(
            f"{option}: says how to read a collection named by --url or --path",
            hint="A workspace's own index needs no such option.",
        )


def _own(ctx: click.Context, given: dict[str, Any], progress: Progress) -> tuple[AuditReport, int]:
    from ragguard.audit import AuditRequest
    from ragguard.audit import audit as run

    kept = given["expect_checkpoint"]
    asked = AuditRequest(
        full=given["full"],
        re_embed=given["re_embed"],
        max_minutes=given["max_minutes"],
        expect_checkpoint=kept.read_text("utf-8", "replace") if kept else None,
        quarantine=given["quarantine"],
    )
    with open_workspace(ctx) as workspace:
        audited = run(workspace, asked, progress.update)
    return audited.report, audited.taken


def _foreign(given: dict[str, Any], progress: Progress) -> AuditReport:
    from ragguard.audit.index.foreign import Fields, audit_collection
    from ragguard.config import Settings
    from ragguard.store.foreign import open_foreign

    with open_foreign(
        url=given["url"],
        path=given["path"],
        collection=given["collection"],
        api_key=os.environ.get(KEY),
        vector=given["vector"],
    ) as opened:
        fields = Fields(given["text_field"], given["metadata_field"], given["document_field"])
        return audit_collection(
            opened, fields, Settings(), now(), progress.update, full=given["full"]
        )
