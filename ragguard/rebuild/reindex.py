"""Reindex: build a new generation from what is clean, and switch to it.

The order: the clean set (provenance under the trust of today, no denial), its bytes from the vault
hashed again, parsed, cut and embedded by the recipe of today, judged again; what must be asked is
asked before anything is written; then a new pair of collections, read back; the canary gate; one
commit, with which the ledger serves the new generation; the alias; what is too old is dropped.

With `stage` the new generation is built and sealed by a commit of kind `stage` and does not serve:
membership, cases and alias stay. It is a candidate, see `ragguard.rebuild.cutover`.

The alias always names one complete generation. Killed before the commit is recorded, nothing has
happened but that vectors are in the vault and unfinished collections stand about, which the next
rebuild removes; killed after it, the next start finishes it. The workspace is locked from
beginning to end, so that no other commit comes in between. See docs/adr/0016-reindex.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from ragguard.corpus import carry_over, changes, drawn_by, generations
from ragguard.corpus.clean_set import ExcludedDocument, never_decided, read_back, sift
from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import EmbeddedDocument, embed, take_apart
from ragguard.corpus.job import Job
from ragguard.corpus.spans import traced
from ragguard.errors import RecipeMismatchError, UsageError
from ragguard.ingest.judge import indexed_documents
from ragguard.ledger import audit_queries, candidates, commits, versions, versions_at
from ragguard.ledger.commits import Generation, Switch
from ragguard.ledger.versions import VersionRow, ZoneStay
from ragguard.ledger.writer import Plan
from ragguard.model import Finding, Progress, Verdict
from ragguard.rebuild import limits as stops
from ragguard.rebuild import screening
from ragguard.rebuild.compare import Contrast, contrast
from ragguard.trust.canonical import format_time, parse_time
from ragguard.workspace import Workspace, alias

# Two collections, the one that serves and the one that would, to why it must not.
Gate = Callable[[str, str], Sequence[str]]
ACTOR = "reindex"

logger = logging.getLogger(__name__)


@dataclass
class ReindexResult(Job):
    """Result of a rebuild, or of its dry run.

    Attributes:
        generation: Number of the new generation; that of the serving one where nothing was done.
        staged: Whether the new generation is a candidate, and the old one goes on serving.
        commit: Its commit; `None` where nothing was changed.
        recipe_changed: Whether the new generation has another recipe than the one before.
        skipped: Why there was nothing to do; empty when there was.
        before: Documents that served.
        kept: Documents that serve in the new generation.
        chunks: Their chunks.
        waiting: Documents whose waiting for a reviewer goes on.
        left: Documents that are left out, with the reason.
        suspects: Documents that stay although the gate of today would hold them.
        gone: Documents that served and did not at the commit asked for.
        stops: Why it stopped to ask; empty when it did not have to.
        refused: What the canary gate has against the new generation.
        gated: Whether there was a gate.
        compared: Labels and vectors of the old and the new collection, where one was built.
        dropped: Collections of older generations that were dropped.
    """

    generation: int
    commit: int | None = None
    staged: bool = False
    recipe_changed: bool = False
    skipped: str = ""
    before: int = 0
    kept: int = 0
    chunks: int = 0
    waiting: int = 0
    left: Sequence[ExcludedDocument] = ()
    suspects: Sequence[Verdict] = ()
    gone: Sequence[str] = ()
    stops: Sequence[str] = ()
    refused: Sequence[str] = ()
    gated: bool = False
    compared: Contrast | None = None
    dropped: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0 done and nothing to look at, 1 something to look at, 4 the gate refused."""
        if self.refused:
            return 4
        asked = bool(self.stops) and self.commit is None
        return 1 if asked or self.left or self.suspects or self.gone else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        names = ("source", "id", "score", "p_value")
        suspects = [{name: getattr(v, name) for name in names} for v in self.suspects]
        return super().as_dict() | {"skipped": self.skipped or None, "suspects": suspects}


@traced("reindex", ReindexResult.told)
def reindex(
    workspace: Workspace,
    *,
    at: int | None = None,
    re_embed: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    stage: bool = False,
    older_than: timedelta | None = None,
    gate: Gate | None = None,
    ask: Callable[[ReindexResult], bool] = lambda rebuilt: False,
    progress: Progress = lambda stage, done, total: None,
) -> ReindexResult:
    """Rebuild the index from what is clean, and let the new one serve.

    Args:
        workspace: Open and locked.
        at: Start from the corpus as it was after this commit; `None` from what serves.
        re_embed: Embed every text again; else the vault's vectors are used where it has them.
        dry_run: Say what would go and why, and change nothing.
        yes: Go on where it would stop to ask.
        stage: Do not let the new generation serve; it becomes a candidate.
        older_than: Do nothing while the serving generation is younger.
        gate: Compares old and new before the switch.
        ask: Called where it stops, without `yes`; says whether to go on.

    Raises:
        UsageError: Nothing was ingested yet, there is no such commit, or there is a candidate.
        ModelDigestError: The model of that name has other files than when the index was built.
        StoreError: The store did not take or keep a point.
    """
    recovered = 0 if dry_run else workspace.recover()
    serving = workspace.generation()
    if serving is None:
        raise UsageError(
            "nothing to rebuild: no manifest was ingested yet",
            hint="`ragguard ingest` a manifest first.",
        )
    with workspace.ledger.reading() as conn:
        if at is not None and commits.get(conn, at) is None:
            raise UsageError(
                f"commit {at}: there is none", hint="`ragguard history` lists the commits."
            )
        built = commits.generation_states(conn)[serving.id][1]
        candidate = candidates.candidate(conn)
    if older_than is not None and parse_time(built) > workspace.now - older_than:
        skipped = f"generation {serving.id} was built {built}: younger than was asked for"
        return ReindexResult(serving.id, skipped=skipped, recovered=recovered)
    if candidate is not None and not dry_run:
        raise UsageError(
            f"generation {candidate.id} is a candidate: there is one at a time",
            hint="`ragguard cutover finish` lets it serve, `ragguard cutover abort` gives it up.",
        )
    run = _Run(workspace, serving, at, re_embed, dry_run, progress)
    rebuilt = run.made
    rebuilt.recovered = recovered
    run.choose()
    rebuilt.stops = run.questions()
    if dry_run or (rebuilt.stops and not yes and not ask(rebuilt)):
        return rebuilt
    run.write(gate, stage)
    drawn_by.note(workspace, anew=not stage and rebuilt.exit_code in (0, 1))
    return rebuilt


class _Run:
    """One rebuild."""

    def __init__(
        self,
        workspace: Workspace,
        serving: Generation,
        at: int | None,
        re_embed: bool,
        dry_run: bool,
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        self._old = serving
        self._at = at
        self._re_embed = re_embed
        self._dry_run = dry_run
        self._progress = progress
        self._crashed: list[str] = []
        # A model that an endpoint changed under its name: what is embedded again may be by the new.
        workspace.pin_anew = re_embed
        with _loading(progress):
            recipe = workspace.encoder.recipe
            try:
                workspace.check_recipe(recipe)
            except RecipeMismatchError as error:  # that is what a rebuild is for
                logger.info("%s", error.message)
        with workspace.ledger.reading() as conn:
            known = audit_queries.all_generations(conn)
            self._now: Sequence[ZoneStay] = versions.stays_at(conn, "serving")
            self._then = versions.stays_at(conn, "serving", at) if at is not None else self._now
            self._waiting = [versions.version_of(r) for r in versions.stays_at(conn, "quarantine")]
        number = max(g.id for g in known) + 1
        name = f"{workspace.settings.store.collection}-g{number}"
        self._new = Generation(number, name, f"{name}-quarantine", recipe.digest)
        self.made = ReindexResult(
            serving.id, recipe_changed=recipe.digest != serving.recipe, before=len(self._now)
        )
        self._ready: dict[int, EmbeddedDocument] = {}
        self._left: list[ExcludedDocument] = []
        self._kept: list[VersionRow] = []

    # --- what goes in -----------------------------------------------------------------------------

    def choose(self) -> None:
        """Decide about every document; nothing but vectors in the vault is written."""
        rebuilt = self.made
        with self.made.timed("provenance"):
            clean, left = sift(self._workspace, self._then)
            clean, held = self._without_waiting(clean)
            self._left = [*left, *held]
        with self.made.timed("read"):
            again = [document.version for document in self._left if document.waits]
            items, damaged = read_back(self._workspace, [*clean, *again, *self._waiting])
        lost = {document.version.id: document for document in damaged}
        with self.made.timed("prepare"):
            rows = {r.id: r for r in (*clean, *again, *self._waiting) if r.id in items}
            lost |= self._prepare(rows, items)
        self._left = [lost.get(document.version.id, document) for document in self._left]
        self._left += [lost[row.id] for row in clean if row.id in lost]
        clean = [row for row in clean if row.id not in lost]
        with self.made.timed("screen"):
            screened = self._screen(clean)
        by_label = {row.label: row for row in clean}
        self._left += [_suspect(by_label[label], v) for label, v in screened.strong.items()]
        self._crashed = [f"{s.check}: {s.reason}" for s in screened.crashed]
        self._kept = [row for label, row in by_label.items() if label not in screened.strong]
        self._left.sort(key=lambda document: document.label)
        there = {r.label for r in self._then}
        rebuilt.left, rebuilt.suspects = self._left, [v for _, v in sorted(screened.weak.items())]
        rebuilt.gone = sorted({r.label for r in self._now} - there)
        rebuilt.kept = len(self._kept)
        moved = {document.label for document in self._left if document.waits}
        rebuilt.waiting = sum(r.id in self._ready and r.label not in moved for r in self._waiting)
        rebuilt.chunks = sum(len(self._ready[r.id].text_digests) for r in self._kept)

    def _without_waiting(
        self, clean: Sequence[VersionRow]
    ) -> tuple[list[VersionRow], list[ExcludedDocument]]:
        """Leave out what waits for a reviewer, or waited last: no old state brings it back."""
        now = {row.id for row in self._now}
        waits = {_bytes(row) for row in self._waiting}
        again = [row for row in clean if row.id not in now]
        with self._workspace.ledger.reading() as conn:
            undecided = versions_at.undecided(conn, again)
        finding = Finding("waits", 1.0, None, "the same bytes wait for a reviewer today")
        held = {
            row.id: ExcludedDocument(row, (finding,), waits=False)
            if _bytes(row) in waits
            else never_decided(row)
            for row in again
            if _bytes(row) in waits or row.id in undecided
        }
        return [row for row in clean if row.id not in held], list(held.values())

    def _prepare(
        self, rows: Mapping[int, VersionRow], items: Mapping[int, IncomingDocument]
    ) -> dict[int, ExcludedDocument]:
        """Parse, cut and embed; returns what cannot be."""
        order = list(rows)
        listed = [items[n] for n in order]
        parts, unreadable = take_apart(self._workspace, listed)
        embedded = embed(
            self._workspace,
            listed,
            parts,
            {},
            keep=not self._dry_run,
            progress=lambda done, total: self._progress("embed", done, total),
            afresh=self._re_embed,
        )
        for place, embedded_document in embedded.items():
            self._ready[order[place]] = embedded_document
        return {
            order[place]: ExcludedDocument(rows[order[place]], (finding,), waits=False)
            for place, finding in unreadable.items()
        }

    def _screen(self, rows: Sequence[VersionRow]) -> screening.ScreeningResult:
        """Vectors of another recipe cannot be held against the index: then its own are."""
        if self._new.recipe == self._old.recipe:
            documents = [self._ready[row.id].prepared for row in rows]
        else:
            documents = indexed_documents(self._workspace, self._old.serving, rows)
        return screening.screen(self._workspace, rows, documents, self._progress)

    def questions(self) -> list[str]:
        """List why somebody should look before it goes on."""
        limits = self._workspace.settings.reindex
        reasons = [f"a check failed, {crashed}" for crashed in self._crashed]
        return reasons + stops.questions(
            limits, self._now, self._kept, self._left, len(self.made.suspects)
        )

    # --- writing ----------------------------------------------------------------------------------

    def write(self, gate: Gate | None, stage: bool) -> None:
        """Build, compare, commit, and unless it is only staged, switch."""
        workspace, rebuilt = self._workspace, self.made
        store = workspace.open_store()
        generations.sweep(workspace, [self._new])
        with self.made.timed("build"):
            plan = self._plan(stage)
            self._progress("build", 0, 1)
            workspace.committer.build(plan)
            store.maintain(self._new.serving, workspace.settings.store.index_after)
            self._progress("build", 1, 1)
        with self.made.timed("contrast"):
            rebuilt.compared = contrast(store, self._old.serving, self._new.serving)
        if gate is not None:
            with self.made.timed("canaries"):
                rebuilt.gated = True
                rebuilt.refused = list(gate(self._old.serving, self._new.serving))
            if rebuilt.refused:
                generations.sweep(workspace, [self._new])
                return
        with self.made.timed("commit"):
            workspace.committer.commit(plan)
            alias.point(workspace)
        rebuilt.commit, rebuilt.generation, rebuilt.staged = plan.commit, self._new.id, stage
        rebuilt.dropped = generations.drop(
            workspace, plan.generation.drops if plan.generation else ()
        )

    def _plan(self, stage: bool) -> Plan:
        """Everything the rebuild will do."""
        plan = changes.draft(self._workspace, self._new)
        carry_over.fill(plan, self._kept, self._left, self._waiting, self._ready)
        switch = Switch(
            **asdict(self._new),
            body=asdict(self._workspace.encoder.recipe),
            at=format_time(self._workspace.now),
        )
        if not stage:
            switch = replace(switch, drops=generations.too_old(self._workspace))
            return plan.finish("reindex", ACTOR, "", generation=switch)
        switch = replace(switch, state="candidate", zones=carry_over.zones_after(plan))
        carry_over.only_build(plan)
        return plan.finish("stage", ACTOR, "", generation=switch)


@contextmanager
def _loading(progress: Progress) -> Iterator[None]:
    progress("load model", 0, 1)
    yield
    progress("load model", 1, 1)


def _bytes(row: VersionRow) -> tuple[str, str, str, str]:
    return row.source, row.document, row.digest, row.metadata_digest


def _suspect(row: VersionRow, verdict: Verdict) -> ExcludedDocument:
    findings = verdict.findings or (
        Finding("suspect", verdict.score, verdict.p_value, "suspicious by all checks together"),
    )
    return ExcludedDocument(row, findings, True, verdict.score, verdict.p_value)
