"""`ragguard ingest`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import ROOT, open_workspace, place
from ragguard.cli.integrations import alarm
from ragguard.cli.output import answer, format_option, note, plain, say, say_rest, table
from ragguard.cli.progress import Progress
from ragguard.model import FIRST_IMPORT

if TYPE_CHECKING:
    from ragguard.corpus.places import Place
    from ragguard.ingest.report import Report
    from ragguard.model import Verdict

SHOWN = 20
PAGES = (".html", ".htm")  # how their names end


@click.command()
@click.argument("manifests", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--root",
    type=ROOT,
    help="Folder or URL the names are relative to; else the folder of each manifest.",
)
@click.option("--dry-run", is_flag=True, help="Judge and report; change nothing.")
@click.option(
    "--observe",
    is_flag=True,
    help="Hold nothing; record and report what would have been held ([judge] observe).",
)
@click.option("--resume", is_flag=True, help="Finish an interrupted run; needs no manifest.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 where it would be 1.")
@format_option
@click.pass_context
def ingest(
    ctx: click.Context,
    manifests: tuple[Path, ...],
    root: Path | str | None,
    dry_run: bool,
    observe: bool,
    resume: bool,
    exit_zero: bool,
    fmt: str,
) -> int:
    """Bring signed documents in; keep suspects out.

    Each manifest is one commit. Admitted documents go into the serving index, suspects wait in
    quarantine for a reviewer, what breaks its contract or is not what was signed is rejected.

    \b
    Example:
      ragguard ingest wiki.intoto.json --root docs
    """
    from ragguard.errors import UsageError

    if not manifests and not resume:
        raise UsageError("no manifest given", hint="Name one, or finish a run with --resume.")
    return bring_in(
        ctx,
        manifests,
        fmt,
        root=place(ctx, root),
        dry_run=dry_run,
        observe=observe,
        exit_zero=exit_zero,
    )


def bring_in(
    ctx: click.Context,
    manifests: Sequence[Path],
    fmt: str,
    *,
    root: Path | Place | None = None,
    dry_run: bool = False,
    observe: bool = False,
    exit_zero: bool = False,
) -> int:
    """Ingest manifests and say what came of it; returns the exit code."""
    from ragguard.ingest.run import ingest as run

    with open_workspace(ctx) as workspace, Progress() as progress:
        report = run(
            workspace,
            manifests,
            root=root,
            dry_run=dry_run,
            observe=observe or None,
            progress=progress.update,
        )
        rate = workspace.settings.judge.false_alarm_rate
        began = workspace.generation() is not None

    def tell() -> None:
        if manifests:
            show(report, rate, dry_run)
        else:
            _show_resumed(report, began, dry_run)

    told = answer(fmt, report, tell, rows="documents", exit_zero=exit_zero)
    for result in report.manifests if fmt == "jsonl" else ():
        if result.error:
            problem = result.error.removeprefix(f"manifest {result.path}: ")
            note(f"error: {result.path}: {problem}")
    if not dry_run:
        alarm.after(ctx)
    return told


def _show_resumed(report: Report, began: bool, dry_run: bool) -> None:
    """What came of a run that had no manifest and only finished another.

    Args:
        began: There is an index to search.
    """
    if dry_run:
        say("a dry run finishes nothing")
        say("next: the same without --dry-run")
        return
    if report.recovered:
        say(_finished(report))
    else:
        say("nothing was interrupted: there is nothing to finish")
    if began:
        say('next: ragguard search "a question"')
    else:
        say("next: ragguard sign DIR --source NAME --key FILE -o m.intoto.json, then ingest that")


def _finished(report: Report) -> str:
    return f"finished {report.recovered} commits that an interrupted run had begun"


def show(report: Report, rate: float, dry_run: bool = False) -> None:
    """The report for a person."""
    for result in report.manifests:
        if result.error:
            problem = result.error.removeprefix(f"manifest {result.path}: ")
            note(f"error: {plain(result.path)}: {problem}")
            if result.hint:
                note(f"hint: {result.hint}")
            continue
        outcome = f"commit {result.commit}" if result.commit else "nothing to do"
        say(
            f"{result.path}: {result.source} version {result.version}, "
            f"{'dry run' if dry_run else outcome}"
        )
        if result.unknown:
            say(f"  ignored {len(result.unknown)} signatures by unknown keys")
        if result.note:
            say(f"  {result.note}")
    if report.recovered:
        say(_finished(report))
    if report.manifests and all(m.error for m in report.manifests):
        return
    counts = report.counts
    say("  ".join(f"{n} {k}" for k, n in counts.items() if n) or "no documents")
    if report.pulled:
        say(f"{len(report.pulled)} admitted earlier pulled back: see why below")
    if later := sum(v.not_yet_judged for v in report.documents):
        say(f"{later} of them not yet judged: the index is too small to say what is usual in it")
    if would := sum(v.observed for v in report.documents):
        say(f"{would} of them would have been held; the gate only observes")
    if not report.pages_drawn and any(v.id.lower().endswith(PAGES) for v in report.documents):
        say("what is hidden in pages was judged by rules; [parse] render draws them")
    suspects = [v for v in report.documents if v.outcome in ("quarantine", "reject") or v.observed]
    suspects += report.pulled
    show_suspects(suspects)
    _say_limits(report, rate)
    if dry_run:
        say("next: the same without --dry-run")
    elif counts["quarantined"] or report.pulled or any(m.note for m in report.manifests):
        say("next: ragguard quarantine list")
    else:
        say('next: ragguard search "a question"')


def show_suspects(suspects: list[Verdict]) -> None:
    """What did not come in, or would not have, the rejected and most suspicious first."""
    suspects = sorted(suspects, key=lambda v: (v.outcome != "reject", -v.score))
    if suspects:
        table(
            ["document", "verdict", "score", "why"],
            [
                [
                    f"{v.source}/{v.id}",
                    "observed" if v.observed else v.outcome,
                    f"{v.score:.2f}",
                    f"{v.findings[0].check}: {v.findings[0].detail}" if v.findings else "",
                ]
                for v in suspects[:SHOWN]
            ],
            right=frozenset({"score"}),
        )
    say_rest(len(suspects) - SHOWN)


def _say_limits(report: Report, rate: float) -> None:
    if report.stale:
        note(f"note: {report.stale}")
    if report.profile == FIRST_IMPORT:
        note(
            "note: first import. The index is too small to know what is usual in it: only what is "
            "wrong by itself is held. The rest is judged as soon as the index can, and pulled back "
            "if need be."
        )
    elif report.promised > rate:
        note(
            f"note: {1 / report.promised - 1:.0f} reference documents cannot promise a false-alarm "
            f"rate below {report.promised:.2%}; asked were {rate:.2%}."
        )
    if report.least_promised > max(rate, report.promised):
        note(
            f"note: reviewers released {report.least_promised:.2%} of the honest documents; asked "
            f"were {rate:.2%}. See `ragguard quarantine stats`."
        )
    for skipped in report.skipped.values():
        if skipped.crashed:
            note(
                f"warning: the check {skipped.check} failed ({skipped.reason}): all were "
                "quarantined"
            )
