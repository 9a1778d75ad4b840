"""Cut over to a candidate that was on trial beside the serving index, or give it up.

The order of a cut-over: `ragguard reindex --from-clean --stage` builds a candidate; `start` lets
it answer a share of the queries; `finish` brings it up to date, lets the canary gate compare once
more, and makes it serve with one commit of kind `cutover`, the ledger first, then the alias;
`abort` gives it up with such a commit. Both may also be called without a `start`.

What came in since the candidate was built goes to the serving generation alone, and is caught up
when it is finished, under the lock. See docs/adr/0018-cut-over.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from ragguard.corpus import changes, generations
from ragguard.corpus.clean_set import ExcludedDocument
from ragguard.corpus.job import Job
from ragguard.corpus.spans import traced
from ragguard.corpus.transition import Zones, good_today, replayed, turn, zones_at
from ragguard.errors import LedgerError, RecipeMismatchError, UsageError
from ragguard.ledger import candidates, commits
from ragguard.ledger.commits import Generation, Switch
from ragguard.ledger.versions import VersionRow
from ragguard.model import Progress
from ragguard.serving import divergence, trial
from ragguard.serving.divergence import TrialFigures
from ragguard.serving.trial import Shadow, State, Trial
from ragguard.workspace import Workspace, alias

# Two collections, the one that serves and the one that would, to why it must not.
Gate = Callable[[str, str], Sequence[str]]
ACTOR = "cutover"
LONGEST = timedelta(days=365)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """State of a candidate on trial.

    Attributes:
        state: `staged`, `running`, `over` or `stopped`.
        serving: Number of the generation that serves.
        behind: Commits since the candidate was built.
        figures: What its trial showed; `None` where there was none.
    """

    trial: Trial
    state: State
    serving: int
    behind: int
    figures: TrialFigures | None


@dataclass
class CutoverResult(Job):
    """Result of a cut-over.

    Attributes:
        generation: Number of the generation that serves.
        commit: Its commit; `None` where the gate refused.
        behind: Commits that were caught up.
        documents: Documents that serve.
        came: Documents that serve now and did not before.
        gone: Documents that served before and do not now.
        left: Documents of the candidate that are not good by the trust of today; those that
            `waits` wait in quarantine, the others are out.
        refused: What the canary gate has against it.
        gated: Whether there was a gate.
        dropped: Collections of older generations that were dropped.
    """

    generation: int
    commit: int | None = None
    behind: int = 0
    documents: int = 0
    came: Sequence[str] = ()
    gone: Sequence[str] = ()
    left: Sequence[ExcludedDocument] = ()
    refused: Sequence[str] = ()
    gated: bool = False
    dropped: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0 done and nothing to look at, 1 something to look at, 4 the gate refused."""
        if self.refused:
            return 4
        return 1 if self.left else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        body = super().as_dict()
        del body["recovered"]
        names = ("source", "id", "quarantine")
        left = [
            {name: document[name] for name in names}
            | {"findings": [{n: f[n] for n in ("check", "detail")} for f in document["findings"]]}
            for document in body["left"]
        ]
        return body | {"left": left}


@dataclass(frozen=True)
class AbortResult:
    """Result of giving a candidate up."""

    generation: int
    commit: int
    dropped: Sequence[str]


def start(
    workspace: Workspace, share: float, length: timedelta, shadow: Shadow = "candidate"
) -> Trial:
    """Let the candidate answer a share of the queries for some time.

    Args:
        workspace: Open and locked.
        share: Share of the queries, in (0, 1].
        shadow: Which queries both are asked, to be compared: those that the candidate answers,
            all, or none.

    Raises:
        UsageError: There is no candidate, it is on trial, or a number is out of bounds.
    """
    if not 0 < share <= 1:
        raise UsageError(f"a share of {share:g}: expected more than 0 and at most 1 (10% or 0.1)")
    if not timedelta(0) < length <= LONGEST:
        raise UsageError(f"a trial of {length.days} days: expected 1 to {LONGEST.days}")
    workspace.recover()
    there = _candidate(workspace)
    if there.state(workspace.now) == "running":
        raise UsageError(
            f"generation {there.generation.id} is on trial until {there.until}",
            hint="`ragguard cutover finish` or `ragguard cutover abort` ends it.",
        )
    trial.begin(workspace, there, share, workspace.now + length, shadow)
    begun = _candidate(workspace)
    trial.follow(workspace, begun)
    return begun


def status(workspace: Workspace) -> Status | None:
    """Report how the candidate stands; `None` where there is none.

    Args:
        workspace: Open; nothing is changed.

    Raises:
        LedgerError: The log's entry on the trial cannot be read.
    """
    there = trial.current(workspace)
    serving = workspace.generation()
    if there is None or serving is None:
        return None
    with workspace.ledger.reading() as conn:
        behind = candidates.behind(conn, there.built)
    figures = None
    if there.number is not None:
        path = divergence.path_of(workspace, there.generation.id)
        figures = divergence.figures(path, there.number)
    return Status(there, there.state(workspace.now), serving.id, behind, figures)


@traced("cutover", CutoverResult.told)
def finish(
    workspace: Workspace,
    *,
    gate: Gate | None = None,
    yes: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> CutoverResult:
    """Bring the candidate up to date and let it serve.

    Args:
        workspace: Open and locked.
        gate: Compares the serving generation with the candidate before the switch.
        yes: Also where the trial ended by itself because the answers diverge.

    Raises:
        UsageError: There is no candidate, or its trial ended by itself.
        RecipeMismatchError: [model] and [chunks] are not the candidate's.
        IntegrityError: Its collections are gone, or bytes of a document are.
        StoreError: The store did not take or keep a point.
    """
    workspace.recover()
    there = _candidate(workspace)
    if there.stopped and not yes:
        raise UsageError(
            f"the trial of generation {there.generation.id} ended by itself: its answers diverge "
            f"by {float(there.stopped.get('divergence', 1)):.3f}",
            hint="See `ragguard cutover status`, then abort, or finish with --yes.",
        )
    _check_settings(workspace, there.generation)
    run = _Finish(workspace, there, progress)
    run.write(gate)
    return run.made


def abort(workspace: Workspace) -> AbortResult:
    """Give the candidate up; what serves goes on serving.

    Raises:
        UsageError: There is no candidate.
    """
    workspace.recover()
    there = _candidate(workspace)
    serving = workspace.generation()
    if serving is None:
        raise LedgerError("no generation serves, and there is a candidate")
    gone = there.generation
    row = Switch(**asdict(gone), drops=[gone.pair], state="dropped", again=True)
    plan = changes.draft(workspace, serving).finish("cutover", ACTOR, "", generation=row)
    workspace.committer.commit(plan)
    trial.drop_alias(workspace)
    dropped = generations.drop(workspace, row.drops)
    return AbortResult(there.generation.id, plan.commit, dropped)


def _candidate(workspace: Workspace) -> Trial:
    there = trial.current(workspace)
    if there is None:
        raise UsageError(
            "there is no candidate",
            hint="`ragguard reindex --from-clean --stage` builds one.",
        )
    return there


def _check_settings(workspace: Workspace, generation: Generation) -> None:
    """What is ingested afterwards must be by the recipe that then serves."""
    mine = workspace.encoder.recipe
    if mine.digest == generation.recipe:
        return
    with workspace.ledger.reading() as conn:
        built = commits.recipe_body(conn, generation.recipe)
    wanted = generations.settings_of(built)
    now = generations.settings_of(asdict(mine))
    odd = [f"{name} = {value!r}" for name, value in wanted.items() if now.get(name) != value]
    raise RecipeMismatchError(
        f"generation {generation.id} was built with other settings than those of ragguard.toml",
        hint=f"Set {', '.join(odd)} and finish again: ingest goes on by them."
        if odd
        else "Restore the model that it was built with.",
    )


class _Finish:
    """One cut-over."""

    def __init__(self, workspace: Workspace, there: Trial, progress: Progress) -> None:
        self._workspace = workspace
        self._there = there
        self._progress = progress
        serving = workspace.generation()
        if serving is None:
            raise LedgerError("no generation serves, and there is a candidate")
        self._old = serving
        with workspace.ledger.reading() as conn:
            self._now = zones_at(conn)
            behind = candidates.behind(conn, there.built)
        self.made = CutoverResult(serving.id, behind=behind)

    def write(self, gate: Gate | None) -> None:
        """Catch up, compare, commit, switch."""
        workspace, finished, new = self._workspace, self.made, self._there.generation
        with self.made.timed("catch up"):
            target = self._target()
            drops = generations.too_old(workspace, new.id)
            row = Switch(**asdict(new), drops=drops, again=True)
            plan = turn(
                workspace,
                new,
                target,
                kind="cutover",
                actor=ACTOR,
                embed=True,
                row=row,
                progress=self._progress,
            )
            # Nobody is shown these points yet: search gives nothing that the ledger does not have,
            # and what they replace serves no more.
            workspace.committer.build(plan)
            workspace.open_store().maintain(new.serving, workspace.settings.store.index_after)
        if gate is not None:
            with self.made.timed("canaries"):
                finished.gated = True
                finished.refused = list(gate(self._old.serving, new.serving))
            if finished.refused:
                return
        with self.made.timed("commit"):
            workspace.committer.commit(plan)
            alias.point(workspace)
            trial.drop_alias(workspace)
        finished.commit, finished.generation = plan.commit, new.id
        finished.documents = len(target.serving)
        finished.came = sorted(target.serving.keys() - self._now.serving.keys())
        finished.gone = sorted(self._now.serving.keys() - target.serving.keys())
        finished.dropped = generations.drop(workspace, row.drops)

    def _target(self) -> Zones:
        """What the candidate holds, with what was done since, and nothing that is not good today.

        Denied bytes stay out. Where trust was taken back in another way, a reviewer is asked.
        """
        workspace = self._workspace
        with workspace.ledger.reading() as conn:
            start = _zones_of(workspace, self._there)
            zones = replayed(workspace, conn, start, self._there.built)
            denied = candidates.denied_among(
                conn, {row.digest for row in (*zones.serving.values(), *zones.quarantine.values())}
            )
        good, left = good_today(workspace, zones.serving.values())
        self.made.left = left
        kept = {row.id for row in good}
        serving = {label: row for label, row in zones.serving.items() if row.id in kept}
        waiting: dict[str, VersionRow] = {
            document.label: zones.serving[document.label] for document in left if document.waits
        }
        for label, row in zones.quarantine.items():
            # The candidate alone found it suspect, and a newer version was let in since: as at
            # ingest, the older one waits no more.
            over = start.quarantine.get(label) == row and start.serving.get(label) != serving.get(
                label
            )
            here = self._now.quarantine.get(label)
            over = over and (here is None or here.digest != row.digest)
            if row.digest not in denied and not over:
                waiting[label] = row
        return Zones(serving, waiting)


def _zones_of(workspace: Workspace, there: Trial) -> Zones:
    """Tell what the candidate was built to hold, by the plan of its commit."""
    with workspace.ledger.reading() as conn:
        row = commits.get(conn, there.built)
    plan = workspace.committer.logged_plans([row])[row.id] if row else None
    with workspace.ledger.reading() as conn:
        switch = plan.generation if plan else None
        if switch is None or not switch.zones or switch.id != there.generation.id:
            raise LedgerError(
                f"commit {there.built}: its plan does not say what generation "
                f"{there.generation.id} holds",
                hint="Run `ragguard log verify`.",
            )
        return Zones(
            candidates.versions_numbered(conn, switch.zones["serving"]),
            candidates.versions_numbered(conn, switch.zones["quarantine"]),
        )
