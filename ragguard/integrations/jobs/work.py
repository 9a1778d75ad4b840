"""Do a job: an ingest that the settings name, or an audit."""

from __future__ import annotations

from collections.abc import Callable

from ragguard.audit import AuditRequest, audit
from ragguard.config import Settings
from ragguard.config.outside import IngestSettings
from ragguard.corpus.places import is_url, open_place
from ragguard.ingest.report import Report
from ragguard.ingest.run import ingest
from ragguard.integrations.jobs import started
from ragguard.integrations.jobs.engine import Engine
from ragguard.integrations.jobs.outcome import JobOutcome
from ragguard.model import Progress


def bring_in(
    engine: Engine, source: IngestSettings, progress: Progress, began: Callable[[], None]
) -> JobOutcome:
    """Ingest a manifest that the settings name.

    Args:
        source: Manifest and root.
        began: Called once the workspace is locked.
    """
    with engine.working() as workspace:
        began()
        engine.write()
        recovered = workspace.recover()  # before anybody reads what a killed job left
        engine.wrote()
        root = None
        if source.root:
            root = (
                open_place(source.root, workspace.settings.plugins.loaders)
                if is_url(source.root)
                else workspace.folder / source.root
            )
        path = workspace.folder / source.manifest
        report = ingest(workspace, [path], root=root, progress=progress)
    return _told(report, recovered)


def _told(report: Report, recovered: int) -> JobOutcome:
    errors = [result for result in report.manifests if result.error]
    counts = {name: n for name, n in report.counts.items() if n}
    outcome = JobOutcome(report.exit_code, failed=bool(errors), counts=counts)
    for result in report.manifests:
        if result.error:
            outcome.say(result.error)
            outcome.say(result.hint or "Nothing was changed.")
            continue
        effect = f"commit {result.commit}" if result.commit else "nothing to do"
        outcome.say(f"{result.source} version {result.version}: {effect}")
        if result.note:
            outcome.say(result.note)
    if recovered:
        outcome.say(f"finished {recovered} commits that an interrupted run had begun")
    if report.pulled:
        outcome.say(f"{len(report.pulled)} admitted earlier were pulled back into quarantine")
    if later := sum(v.not_yet_judged for v in report.documents):
        outcome.say(f"{later} of them not yet judged: the index is too small")
    if report.observe:
        held = sum(v.observed for v in report.documents)
        outcome.say(f"the gate only observes: {held} would have been held")
    for skipped in report.skipped.values():
        if skipped.crashed:
            outcome.say(
                f"the check {skipped.check} failed ({skipped.reason}): all were quarantined"
            )
    return outcome


def look_through(
    engine: Engine,
    settings: Settings,
    full: bool,
    progress: Progress,
    began: Callable[[], None],
    audited: Callable[[], None],
) -> JobOutcome:
    """Audit the index, and start what `[triggers]` allows.

    Args:
        full: Judge every document.
        began: Called once the workspace is locked.
        audited: Called when the audit is logged, before anything is started.
    """
    with engine.working() as workspace:
        began()
        report = audit(workspace, AuditRequest(full=full), progress).report
    audited()
    outcome = JobOutcome(report.exit_code())
    outcome.counts = {f"{level}s": n for level, n in report.levels.items() if n}
    outcome.say(f"{len(report.findings)} findings, {len(report.fresh)} of them new")
    for finding in report.findings[:5]:
        if finding.level != "note":
            outcome.say(f"{finding.level}: {finding.detail}")
    for part in report.incomplete:
        outcome.say(f"could not look: {part.name}: {part.reason}")
    code = started.start(
        engine.working, settings.triggers, report, full=full, progress=progress, say=outcome.say
    )
    outcome.exit_code = max(outcome.exit_code, code, key=started.GRAVITY.index)
    return outcome
