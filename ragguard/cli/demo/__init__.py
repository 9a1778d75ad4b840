"""`ragguard demo`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import NEW_FOLDER, now
from ragguard.cli.output import line, say
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.audit.findings import AuditReport
    from ragguard.cli.demo.story import Story
    from ragguard.ingest.report import Report
    from ragguard.model import Verdict
    from ragguard.workspace import Workspace

WIDTH = 78
# Why what comes in of a family of poison comes in.
WHY_IN = {
    "dispersed": "one false fact, deep in long texts of five kinds",
    "fact-edit": "a name for a name",
    "hidden-text": "without what no browser shows, which was cut out",
    "instruction": "words that honest pages have, too",
    "off-topic": "junk on a subject of its own",
    "paraphrase": "one false fact in five wordings",
    "secret": "written as an example",
}


@click.command()
@click.option(
    "--keep", type=NEW_FOLDER, help="Keep the workspace in this new folder, to look around in it."
)
def demo(keep: Path | None) -> None:
    """Show the whole story on a shipped corpus, in a temporary workspace.

    Takes about a minute. Nothing is simulated: keys, signatures, index and verdicts are real.

    \b
    Example:
      ragguard demo --keep w
    """
    from ragguard.errors import UsageError

    if keep is not None and keep.exists():
        raise UsageError(f"{keep}: exists", hint="Name a folder that does not exist yet.")
    began = time.monotonic()
    if keep is not None:
        _tell(keep)
        say(f"\nthe workspace is kept: cd {keep}, then ragguard history, quarantine list, doctor …")
    else:
        with tempfile.TemporaryDirectory(prefix="ragguard-demo-") as folder:
            _tell(Path(folder) / "w")
    say(f"\n{time.monotonic() - began:.0f} seconds. Your own corpus: ragguard init w")


def _tell(folder: Path) -> None:
    from ragguard.audit import audit
    from ragguard.cli.demo import story as steps
    from ragguard.lineage.prove import verify_log
    from ragguard.rebuild.reindex import reindex

    with Progress(quiet=not sys.stderr.isatty(), fleeting=True) as progress:
        _head(1, "A handbook, signed")
        story = steps.begin(folder, now())
        with steps.open_story(story) as workspace:
            first = steps.bring_handbook(story, workspace, progress.update)
            _settings(workspace)
            say(f"\nalice may sign for {steps.SOURCE!r}. Her 132 documents come in:")
            _counts(first)
            _held(first)
            say(f"\nAn employee asks: {steps.QUESTION}")
            _answers(workspace, steps.QUESTION, story)

            _head(2, "Alice's key is stolen: a poisoned batch, perfectly signed")
            report = steps.bring_poison(story, workspace, progress.update)
            _counts(report)
            _caught_up(report, first)
            _families(report, story)
            say("\nSome of the reasons given:")
            _reasons(report)
            say("\nThe question again, to an index that took everything in:")
            _hits(steps.ask_unguarded(workspace), story)
            say("and to this one:")
            _answers(workspace, steps.QUESTION, story)

            _head(3, "A reviewer decides")
            released, rejected = steps.review(story, workspace)
            say(f"bob, who signed none of it, rejects {rejected} and releases {len(released)}:")
            for name in released:
                say(f"    {name}: honest, it quotes attacks to warn of them")

            _head(4, "Somebody was answered wrongly: traced, taken out, decided")
            say(f"The question: {steps.WRONGLY}")
            _answers(workspace, steps.WRONGLY, story)
            say(f"\nThe answer given: {steps.ANSWER}")
            for _ in range(2):  # with the first out of the way, another may answer
                named = steps.trace_and_hold(workspace)
                say("Traced, and out of the index until somebody has read it:")
                for name in named:
                    say(f"    {name.removeprefix('handbook/')}{_mark(name, story)}")
                denied, cleared = steps.read_held(story, workspace, named)
                say(f"bob reads them, denies {denied} and gives {cleared} back. Asked again:")
                _answers(workspace, steps.WRONGLY, story)

            _head(5, "A clean rebuild, audited")
            built = reindex(workspace, yes=True, progress=progress.update)
            say(
                f"generation {built.generation} serves {built.kept} of {built.before} documents, "
                f"{built.chunks} chunks; {len(built.left)} left out, {built.waiting} wait"
            )
            _audited(audit(workspace, progress=progress.update).report)
            log = verify_log(workspace)
            state = "intact" if not log.problems else f"BROKEN: {log.problems[0]}"
            say(f"The log of all this: {log.entries} entries, {state}.")


def _head(number: int, title: str) -> None:
    say(f"\n{f'{number}. {title} ':-<{WIDTH}}")


def _audited(report: AuditReport) -> None:
    from ragguard.audit.report.wording import headline

    say(f"audit, exit code {report.exit_code()}: {line(headline(report))}")
    shown = [f for f in report.findings if f.level == "error"] or list(report.findings)[:2]
    for finding in shown[:4]:
        detail = line(finding.detail)
        say(f"    {finding.rule}: {detail[: WIDTH - 8]}{'…' if len(detail) > WIDTH - 8 else ''}")


def _counts(report: Report) -> None:
    counts = ", ".join(f"{n} {k}" for k, n in report.counts.items() if n)
    say(f"    {counts or 'nothing'}")


def _answers(workspace: Workspace, question: str, story: Story) -> None:
    from ragguard.serving.search import search

    hits = search(workspace, question, 3)
    _hits([(hit.similarity, hit.document, hit.text) for hit in hits], story)


def _mark(document: str, story: Story) -> str:
    from ragguard.cli.demo import story as steps

    name = document.removeprefix("handbook/")
    if name in story.labels and name not in story.honest:
        return "  <-- POISON"
    return "  <-- answers it" if name in steps.ANSWERS_IT else ""


def _hits(hits: list[tuple[float, str, str]], story: Story) -> None:
    for rank, (similarity, document, text) in enumerate(hits, start=1):
        name = document.removeprefix("handbook/")
        say(f"  {rank}. {name} ({similarity:.2f}){_mark(document, story)}")
        shown = line(text)
        say(f"     {shown[: WIDTH - 8]}{'…' if len(shown) > WIDTH - 8 else ''}")


def _settings(workspace: Workspace) -> None:
    from ragguard.cli.demo import story as steps

    asked, (rate, documents) = workspace.settings.judge, steps.by_default()
    say(
        f"This workspace accepts that {_share(asked.false_alarm_rate)} of the honest documents are "
        f"held, where the default is\n{_share(rate)}: at that an index needs {documents} documents "
        "before it can say what is unusual in it, and\nthis one has 132. Until then only what is "
        "wrong by itself is held."
    )


def _share(rate: float) -> str:
    return f"1 in {round(1 / rate)}"


def _held(report: Report) -> None:
    for verdict in report.documents:
        if verdict.outcome == "quarantine":
            say(f"  held: {verdict.id}")
            _reason(verdict)
    later = sum(v.not_yet_judged for v in report.documents)
    if later:
        say(f"  {later} are not yet judged: nothing was there to compare them with.")


def _caught_up(report: Report, before: Report) -> None:
    later = sum(v.not_yet_judged for v in before.documents)
    say(
        f"  First the {later} of before are judged, now that there are enough of them: "
        f"{len(report.pulled)} are pulled back."
    )
    for verdict in report.pulled:
        say(f"  pulled back: {verdict.id}, which is honest")
        _reason(verdict)


def _families(report: Report, story: Story) -> None:
    from ragguard.cli.demo.story import alone

    total: Counter[str] = Counter()
    certain: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for verdict in report.documents:
        family = story.labels[verdict.id]
        total[family] += 1
        certain[family] += alone(verdict, report)
        compared[family] += verdict.outcome != "admit" and not alone(verdict, report)
    stopped = certain + compared
    say("\n  # wrong by itself, + unlike the handbook, . came in")
    for family in sorted(total, key=lambda f: (f.startswith("honest"), -stopped[f] / total[f], f)):
        count, of = stopped[family], total[family]
        bar = "#" * certain[family] + "+" * compared[family] + "." * (of - count)
        note = f"{of - count} came in" if count < of else ""
        if family.startswith("honest"):
            note = "not poison: a reviewer's business"
        elif count < of and family in WHY_IN:
            note += f": {WHY_IN[family]}"
        say(f"  {family:16}  {bar:12} {count} of {of}  {note}".rstrip())
    poison = [f for f in total if not f.startswith("honest")]
    missed = sum(total[f] - stopped[f] for f in poison)
    if missed:
        say(
            f"\n  {missed} of {sum(total[f] for f in poison)} poisoned documents came in. A batch "
            "half as large as a small index is\n  the worst case of a comparison; and some of it "
            "no index would show. README, 'What you\n  must not assume'."
        )


def _reasons(report: Report) -> None:
    chosen: dict[str, Verdict] = {}
    for verdict in sorted(report.documents, key=lambda v: -v.score):
        if verdict.outcome == "quarantine" and verdict.findings:
            chosen.setdefault(verdict.findings[0].check, verdict)
    for verdict in list(chosen.values())[:5]:
        say(f"  {verdict.id}")
        _reason(verdict)


def _reason(verdict: Verdict) -> None:
    if verdict.findings:
        finding = verdict.findings[0]
        detail = line(finding.detail)
        say(f"    {finding.check}: {detail[: 2 * WIDTH]}{'…' if len(detail) > 2 * WIDTH else ''}")
