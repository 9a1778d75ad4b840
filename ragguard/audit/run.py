"""Run the audit of a workspace: log, index, provenance, contents, neighbourhoods, checks, drift.

Every part is asked even when another failed; what could not look says so. Nothing is changed,
except that the audit itself is logged, and that `quarantine` takes suspects out of the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragguard import __version__
from ragguard.audit import analysis, drift, earlier, neighbourhoods
from ragguard.audit.analysis import Analysis
from ragguard.audit.answers.canaries import check_canaries
from ragguard.audit.answers.retrievals import check_retrievals
from ragguard.audit.derivation import check_derivation
from ragguard.audit.earlier import Past
from ragguard.audit.findings import (
    Answers,
    AuditFinding,
    AuditReport,
    MapPoint,
    RunningAudit,
    SourceLine,
    peak_memory,
)
from ragguard.audit.index import read_index
from ragguard.audit.index.integrity import check_collections
from ragguard.audit.index.spool import Spool
from ragguard.audit.log_check import check_log
from ragguard.audit.provenance import Provenance, check_provenance, health
from ragguard.audit.quarantine import take_out
from ragguard.audit.recheck import RULES as JUDGED
from ragguard.audit.recheck import RecheckContext
from ragguard.audit.reembedding import check_reembedding, check_vault
from ragguard.audit.rotation import Slice, plan, turns
from ragguard.audit.snapshot import AuditSnapshot, snapshot
from ragguard.corpus.spans import traced
from ragguard.ingest.judge import surroundings
from ragguard.knn.graph import Graph
from ragguard.ledger import log, versions, versions_at
from ragguard.ledger.commits import Generation, next_id
from ragguard.ledger.tables import commits as commit_table
from ragguard.ledger.versions import VersionRow
from ragguard.model import Bools, Hidden, Ints, Progress
from ragguard.trust.canonical import digest, format_time
from ragguard.workspace import Workspace

RETOLD = frozenset({*JUDGED.values(), "suspect-document"})  # rules of findings by the checks
BESIDE = 5  # neighbours of what is new that are judged again


@dataclass(frozen=True)
class AuditRequest:
    """What this audit is to do.

    Attributes:
        full: Judge every document, and make the table of neighbours anew.
        re_embed: Embed every text again, not a sample.
        max_minutes: Time it may take, as far as it can be planned; `None`: as long as it takes.
        expect_checkpoint: A signed checkpoint kept elsewhere, as text; the log must contain it.
        quarantine: Take suspects out of the index.
    """

    full: bool = False
    re_embed: bool = False
    max_minutes: float | None = None
    expect_checkpoint: str | None = None
    quarantine: bool = False


@dataclass(frozen=True)
class AuditResult:
    """What came of it.

    Attributes:
        report: Everything it has to say.
        commit: Commit that took suspects out; `None` when none was made.
        taken: How many documents it took out.
    """

    report: AuditReport
    commit: int | None = None
    taken: int = 0


@traced("audit", lambda audited: {"ragguard.findings": len(audited.report.findings)})
def audit(
    workspace: Workspace,
    asked: AuditRequest = AuditRequest(),
    progress: Progress = lambda stage, done, total: None,
) -> AuditResult:
    """Audit the whole index.

    Args:
        workspace: Open and locked; its store not opened yet.
        asked: What to do.

    Raises:
        LockedError: Another process has the index open.
        UsageError: So little time that no part of the index fits in it.
    """
    run = _Run(workspace, asked, RunningAudit(progress))
    return run.whole()


class _Run:
    """One audit of a workspace."""

    def __init__(self, workspace: Workspace, asked: AuditRequest, course: RunningAudit) -> None:
        self._workspace = workspace
        self._asked = asked
        self._course = course
        self._generation = workspace.generation()
        with workspace.ledger.reading() as conn:
            self._serving: Mapping[str, VersionRow] = versions.members(conn, "serving")
            self._state = versions.corpus_digest(conn)
        self._past: list[Past] = []
        self._slice: Slice | None = None
        self._folder = workspace.cache("audit")

    def whole(self) -> AuditResult:
        """Return all parts, in order."""
        course, workspace = self._course, self._workspace
        with course.part("log") as note:
            course.add(check_log(workspace, self._asked.expect_checkpoint))
            self._past, damaged = earlier.remembered(workspace)
            course.add([AuditFinding("vault-damaged", d, about=d) for d in damaged])
            with workspace.ledger.reading() as conn:
                note.looked_at = log.size(conn)
        if self._asked.max_minutes is not None:
            self._slice = plan(
                len(self._serving),
                turns([p.report for p in self._past], "checks"),
                max_minutes=self._asked.max_minutes,
                fixed_seconds=self._fixed_seconds(),
            )
        generation = self._generation
        spool = self._index(generation) if generation else None
        provenance = self._provenance()
        self._contents(generation)
        fresh = self._fresh(spool) if spool is not None else None
        analysed: Analysis | None = None
        if spool is not None and generation is not None:
            analysed = self._analyse(spool, generation, fresh)
        sources: list[SourceLine] = []
        shown: list[MapPoint] = []
        measures = self._health(provenance)
        taken: AuditSnapshot | None = None
        series: Mapping[str, Sequence[tuple[str, float]]] = {}
        if spool is not None and analysed is not None:
            states = provenance.states if provenance else {}
            sources = analysis.source_rows(spool, analysed.suspects, fresh, states)
            shown = analysis.places(spool, analysed.suspects)
            taken, sources, series = self._drift(spool, analysed, fresh, sources, measures)
        with course.part("canaries") as note:
            taken, series = check_canaries(workspace, course, note, taken, series)
        answers: Answers | None = None
        with course.part("answers") as note:
            answers = check_retrievals(workspace, self._serving, course, note)
        commit, number = None, 0
        if self._asked.quarantine and analysed is not None and generation is not None:
            with course.part("quarantine") as note:
                commit, number = take_out(workspace, generation, self._serving, course.findings)
                note.looked_at = number
        report = self._report(spool, analysed, sources, measures, series, shown)
        report = replace(report, answers=answers)
        earlier.remember(workspace, report, taken)
        return AuditResult(report, commit, number)

    def _fixed_seconds(self) -> float:
        """Tell what the parts that look at everything took last time."""
        parts = self._past[-1].report.parts if self._past else ()
        return sum(part.seconds for part in parts if part.name != "checks")

    # --- parts ------------------------------------------------------------------------------------

    def _index(self, generation: Generation) -> Spool | None:
        spool: Spool | None = None
        with self._course.part("index") as note:
            self._course.add(check_collections(self._workspace, generation))
            key = digest(
                ["audit", generation.serving, self._state, format_time(self._workspace.now)]
            )
            findings, spool, note.looked_at = read_index.read_index(
                self._workspace, generation, self._folder, key, self._course.progress
            )
            self._course.add(findings)
        return spool

    def _provenance(self) -> Provenance | None:
        provenance: Provenance | None = None
        with self._course.part("provenance") as note:
            provenance = check_provenance(self._workspace)
            note.looked_at = provenance.documents
            self._course.add(provenance.findings)
        return provenance

    def _contents(self, generation: Generation | None) -> None:
        limits = self._workspace.settings.audit
        with self._course.part("embeddings") as note:
            share = 1.0 if self._asked.re_embed else limits.reembed_share
            if generation is None or share == 0:
                note.skip(
                    "nothing is indexed" if generation is None else "[audit] reembed_share is 0"
                )
            else:
                findings, note.looked_at = check_reembedding(
                    self._workspace, share, progress=self._course.progress
                )
                self._course.add(findings)
                if share < 1:
                    note.less(f"a sample of {share:.0%}; all with --re-embed")
        with self._course.part("derivation") as note:
            sample = None if self._asked.full else limits.derive_documents
            derived = check_derivation(
                self._workspace,
                sample,
                vectors=not self._asked.re_embed,  # else every text was embedded just now
                progress=self._course.progress,
            )
            note.looked_at = derived.documents
            self._course.add(derived.findings)
            if sample == 0 or generation is None:
                note.skip(
                    "nothing is indexed" if generation is None else "[audit] derive_documents is 0"
                )
            elif derived.less:
                note.less(derived.less)
            elif derived.documents < derived.of:
                note.less(f"{derived.documents} of {derived.of} documents; all with --full")
        with self._course.part("vault") as note:
            sample = None if self._asked.full else limits.vault_files
            findings, note.looked_at = check_vault(
                self._workspace, sample, progress=self._course.progress
            )
            self._course.add(findings)

    def _analyse(self, spool: Spool, generation: Generation, fresh: Bools | None) -> Analysis:
        graphs: list[Graph] = []
        k = neighbourhoods.FEW_K if len(spool) > neighbourhoods.MANY else neighbourhoods.K

        def graph() -> Graph:
            key = self._workspace.seal_key
            table = read_index.neighbours(
                spool, self._folder, key, k, self._course.progress, fresh=self._asked.full
            )
            read_index.keep(self._folder, key, table)
            graphs.append(table)
            return table

        partly = "what is new, what is near it, and a part of the rest; all with --full"
        if self._slice is not None and not self._slice.whole:
            partly = (
                f"part {self._slice.number + 1} of {self._slice.of} and what is new: the whole "
                f"index within {self._slice.nights} audits"
            )
        self._course.add(analysis.left_out(spool, generation.serving))
        return analysis.analyse(
            self._course,
            spool,
            graph,
            self._known,
            lambda table: self._chosen(spool, table, fresh),
            self._workspace.settings,
            generation.serving,
            partly,
        )

    def _known(self) -> RecheckContext:
        around = surroundings(self._workspace, self._serving, [])
        hidden = {
            label: [Hidden(kind, text) for kind, text in row.hidden]
            for label, row in self._serving.items()
            if row.hidden
        }
        policies = {name: source.policy for name, source in self._workspace.root.sources.items()}
        with self._workspace.ledger.reading() as conn:
            waiting = versions.members(conn, "quarantine")
            labels = waiting.keys() | self._serving.keys() if waiting else ()
            first = versions_at.first_commits(conn, labels)
        now = self._workspace.now
        return RecheckContext(around.lexicon, around.denied, hidden, policies, now, first)

    def _fresh(self, spool: Spool) -> Bools | None:
        """Return the documents that came since the last audit; `None` at the first."""
        if not self._past:
            return None
        last = int(self._past[-1].report.counts.get("commit", 0))
        fresh = np.zeros(len(spool.labels), dtype=bool)
        fresh[np.asarray(spool.documents)[np.asarray(spool.arrivals) > last]] = True
        return fresh

    def _chosen(self, spool: Spool, graph: Graph, fresh: Bools | None) -> Ints:
        """Documents for the checks: all, or what is new, what is near it, and some of the rest."""
        here = analysis.serving(spool)
        most = self._workspace.settings.audit.judge_documents
        if self._asked.full or (self._slice is None and fresh is None and len(here) <= most):
            return here
        owners = np.asarray(spool.documents, dtype=np.int64)
        wanted = np.zeros(len(spool.labels), dtype=bool)
        if fresh is not None:
            wanted |= fresh
            near = graph.indices[fresh[owners], :BESIDE]
            wanted[owners[near[near >= 0]]] = True
        if self._slice is not None:
            first = np.full(len(spool.labels), -1, dtype=np.int64)
            first[owners[::-1]] = np.arange(len(owners))[::-1]
            ids = spool.ids(first[here])
            wanted[here[[self._slice.holds(i) for i in ids]]] = True
        else:
            rest = here[~wanted[here]]
            room = max(0, most - int(wanted.sum())) if fresh is None else most // 20
            seed = list(format_time(self._workspace.now).encode())
            wanted[np.random.default_rng(seed).permutation(rest)[:room]] = True
        return here[wanted[here]]

    def _health(self, provenance: Provenance | None) -> dict[str, float]:
        shares: dict[str, float] = {}
        with self._course.part("health") as note:
            shares = health(self._workspace, provenance)
            note.looked_at = len(self._serving)
        return shares

    def _drift(
        self,
        spool: Spool,
        analysed: Analysis,
        fresh: Bools | None,
        sources: list[SourceLine],
        measures: Mapping[str, float],
    ) -> tuple[AuditSnapshot | None, list[SourceLine], Mapping[str, Sequence[tuple[str, float]]]]:
        taken: AuditSnapshot | None = None
        series: Mapping[str, Sequence[tuple[str, float]]] = {}
        generation = self._generation
        with self._course.part("drift") as note:
            taken = snapshot(
                analysis.corpus_of(spool, analysed, fresh),
                at=format_time(self._workspace.now),
                key=self._workspace.seal_key,
                space=generation.recipe if generation else "",
                measures=measures,
            )
            before = [p.snapshot for p in self._past if p.snapshot is not None]
            compared = drift.compare(taken, before)
            taken, series = compared.snapshot, compared.series
            note.looked_at = compared.tests
            if not before:
                note.less("the first audit: there is nothing to compare with yet")
            self._course.add(compared.findings)
            shifts = {n: (s.effect, s.p_value) for n, s in compared.shifts.items()}
            sources = analysis.with_drift(sources, shifts)
        return taken, sources, series

    # --- the report -------------------------------------------------------------------------------

    def _report(
        self,
        spool: Spool | None,
        analysed: Analysis | None,
        sources: Sequence[SourceLine],
        measures: Mapping[str, float],
        series: Mapping[str, Sequence[tuple[str, float]]],
        shown: Sequence[MapPoint],
    ) -> AuditReport:
        workspace, generation = self._workspace, self._generation
        findings = sorted([*self._course.findings, *self._retold(analysed)], key=_gravity)
        before = {f.identity: f for f in self._past[-1].report.findings} if self._past else {}
        now = {f.identity for f in findings}
        with workspace.ledger.reading() as conn:
            commit = next_id(conn, commit_table) - 1
        waiting = int(spool.quarantined.sum()) if spool is not None else 0
        return AuditReport(
            at=format_time(workspace.now),
            version=__version__,
            name=workspace.folder.name,
            collection=generation.serving if generation else "",
            counts={
                "points": len(spool) - waiting if spool is not None else 0,
                "quarantined_points": waiting,
                "documents": len(self._serving),
                "commit": commit,
            },
            parts=self._course.parts,
            findings=findings,
            sources=sources,
            health=measures,
            series=series,
            fresh=frozenset(now - before.keys()),
            gone=[f for identity, f in before.items() if identity not in now],
            places=shown,
            previous=self._past[-1].report.at if self._past else "",
            rotation={"slice": self._slice.number, "of": self._slice.of} if self._slice else {},
            memory_bytes=peak_memory(),
        )

    def _retold(self, analysed: Analysis | None) -> list[AuditFinding]:
        """List findings of the last audit on documents that the checks did not look at this time.

        They stand until the document is looked at again, has changed, or is gone.
        """
        if not self._past or analysed is None:
            return []
        told = {f.identity for f in self._course.findings}
        last = int(self._past[-1].report.counts.get("commit", 0))
        looked = analysed.judged.documents if analysed.judged else frozenset[str]()
        return [
            f
            for f in self._past[-1].report.findings
            if f.rule in RETOLD
            and f.identity not in told
            and f.document not in looked
            and (row := self._serving.get(f.document)) is not None
            and row.commit <= last
        ]


def _gravity(finding: AuditFinding) -> tuple[int, float, str]:
    """Order of findings: the gravest first."""
    return (("error", "warning", "note").index(finding.level), -finding.score, finding.identity)
