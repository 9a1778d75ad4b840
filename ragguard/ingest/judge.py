"""Judge a batch: the right reference, then view, checks and verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from ragguard.config import JudgeSettings
from ragguard.detect import lexicon as lexicons
from ragguard.detect import reference, scoring
from ragguard.detect.checks import Check
from ragguard.detect.scoring import Profile
from ragguard.detect.second_look import JudgingMethod, second_look
from ragguard.detect.view import PreparedDocument, Surroundings, build_view, near_suspects
from ragguard.ingest import calibration, judge_later
from ragguard.ingest.copied_from import originals
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import versions as version_rows
from ragguard.ledger import versions_at
from ragguard.ledger.arrays import load_array
from ragguard.ledger.commits import Generation
from ragguard.ledger.tables import get_meta
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import JUDGED_UNTIL, load_vectors
from ragguard.model import (
    Chunk,
    DeniedText,
    Document,
    Hidden,
    Lexicon,
    Policy,
    Progress,
    Skipped,
    Verdict,
)
from ragguard.trust.canonical import digest, format_time
from ragguard.workspace import Workspace

MOST_LATER = 2000  # documents not yet judged that are judged by one ingest
LEAST_SUSPECTS = 256  # undecided documents that are looked at, however small the index
GROWTH = 1.2  # a fitted profile is used until the index has grown or shrunk by this factor


@dataclass(frozen=True)
class Judgement:
    """Verdicts on a batch and how they came about.

    Attributes:
        profile: Name of the reference used.
        promised: The smallest false-alarm rate that reference can promise.
        skipped: Checks that had nothing to say, or failed.
        pulled: Documents admitted before that are suspect now, with their new verdicts: companions
            of what was caught, and what was not yet judged.
        stale: Why the workspace's calibration was not used; empty when it was, or there is none.
        judged_until: Number of the newest version that was not yet judged and now is; 0 if none.
    """

    verdicts: list[Verdict]
    profile: str
    promised: float
    skipped: tuple[Skipped, ...]
    pulled: tuple[tuple[VersionRow, Verdict], ...] = ()
    stale: str = ""
    judged_until: int = 0


def judge_batch(
    workspace: Workspace,
    batch: Sequence[PreparedDocument],
    policies: Mapping[str, Policy],
    progress: Progress,
    *,
    absent: Set[str] = frozenset(),
    catch_up: bool = False,
) -> Judgement:
    """Judge newcomers against the index as it is.

    Args:
        workspace: Open, with a generation.
        batch: Newcomers, at least one.
        absent: Labels of indexed documents that are brought in again with the batch, and taken as
            not there (`redteam` only).
        catch_up: Judge documents that came in while the index was too small to judge them, too.
    """
    generation = workspace.generation()
    judge = workspace.settings.judge
    settings = workspace.settings
    checks = scoring.active_checks(settings.checks, settings.plugins.checks)
    with workspace.ledger.reading() as conn:
        serving = version_rows.members(conn, "serving")
    around = surroundings(workspace, serving, batch)
    learned, stale = calibration.in_force(workspace)
    profile = _profile(
        workspace, generation, serving, around, checks, len(batch), learned, progress
    )
    if absent:
        again = [p for p in batch if p.label in absent]
        around = reference.as_if_new(around, again)
    progress("checks", 0, len(checks))
    beside = near_suspects(batch, around.suspects)
    view = build_view(batch, around, absent=absent, beside=beside)
    measured = scoring.measure(view, checks)
    progress("checks", len(checks), len(checks))
    rate = judge.false_alarm_rate
    verdicts = scoring.judge(batch, view, measured, profile, checks, policies, rate)
    every = {name: source.policy for name, source in workspace.root.sources.items()} | {**policies}

    def fetch(labels: Sequence[str]) -> list[PreparedDocument]:
        rows = [serving[label] for label in labels if label in serving]
        return indexed_documents(workspace, generation.serving, rows) if generation else []

    judging = JudgingMethod(checks, profile, every, rate)
    pulled = {
        prepared.label: verdict
        for prepared, verdict in second_look(batch, verdicts, around, judging, fetch)
    }
    until = 0
    if catch_up and profile.calibrated and generation is not None:
        size = judge_later.block(
            len(serving), scoring.needed(judge.least_documents, judge.false_alarm_rate)
        )
        rows = not_yet_judged(workspace, serving, {p.label for p in batch}) if size else []
        if rows:
            until = max(row.id for row in rows)
            met = frozenset(learned.fit if learned else ())
            most = reference.Rounds(size).documents(judge.reference_documents + size)
            usual = reference_rows(serving, met, judge, most)
            pulled |= judge_later.judge_later(
                indexed_documents(workspace, generation.serving, rows),
                indexed_documents(workspace, generation.serving, usual),
                replace(around, suspects=[*batch, *around.suspects]),
                judging,
                size,
                {label: row.commit for label, row in serving.items()},
                progress,
            )
    return Judgement(
        verdicts,
        profile.name,
        profile.smallest_rate,
        measured.skipped,
        tuple((serving[label], verdict) for label, verdict in pulled.items()),
        stale,
        until,
    )


def not_yet_judged(
    workspace: Workspace, serving: Mapping[str, VersionRow], leaving: Set[str]
) -> list[VersionRow]:
    """Serving versions that were admitted while the index was too small to judge them.

    Returns:
        The oldest `MOST_LATER` of them.
    """
    with workspace.ledger.reading() as conn:
        until = int(get_meta(conn, JUDGED_UNTIL) or 0)
    rows = [
        row
        for label, row in serving.items()
        if row.outcome == "admit" and row.p_value is None and row.id > until
        if label not in leaving
    ]
    return sorted(rows, key=lambda row: row.id)[:MOST_LATER]


def surroundings(
    workspace: Workspace, serving: Mapping[str, VersionRow], batch: Sequence[PreparedDocument]
) -> Surroundings:
    """Tell what newcomers are held against: index, quarantine, lexicon, denied texts."""
    generation = workspace.generation()
    denied = denied_texts(workspace)
    with workspace.ledger.reading() as conn:
        state = version_rows.corpus_digest(conn)
    lexicon = _lexicon(workspace, generation, batch, len(serving), state)
    suspects = undecided(workspace, generation, len(serving)) if generation else []
    there = {p.label for p in batch} & serving.keys()
    with workspace.ledger.reading() as conn:
        labels = {p.label for p in suspects} | there if suspects else ()
        first = versions_at.first_commits(conn, labels)
    return Surroundings(
        workspace.open_store(),
        generation.serving if generation else "",
        lexicon,
        denied,
        workspace.now,
        recent_labels(workspace, serving),
        suspects,
        low_sources(workspace),
        first,
    )


def low_sources(workspace: Workspace) -> frozenset[str]:
    """List sources of tier `low` under the trust root in force."""
    sources = workspace.root.sources.items()
    return frozenset(name for name, source in sources if source.policy.tier == "low")


def undecided(workspace: Workspace, generation: Generation, indexed: int) -> list[PreparedDocument]:
    """List documents that wait and arrived lately: suspects among newcomers, witnesses to nothing.

    They expire as recent arrivals do: those of the last `recent_days`, the newest first, at most
    the configured share of the index.
    """
    judge = workspace.settings.judge
    since = format_time(workspace.now - timedelta(days=judge.recent_days))
    with workspace.ledger.reading() as conn:
        arrived = version_rows.arrivals(conn, since)
        waiting = [
            r for r in version_rows.members(conn, "quarantine").values() if r.commit in arrived
        ]
    most = max(LEAST_SUSPECTS, int(judge.recent_share * indexed))
    newest = sorted(waiting, key=lambda row: row.id)[-most:]
    return indexed_documents(workspace, generation.quarantine, newest) if newest else []


def recent_labels(workspace: Workspace, serving: Mapping[str, VersionRow]) -> frozenset[str]:
    """List documents admitted lately: newcomers still, as far as campaigns are concerned.

    Whole commits, the newest first, as long as they fit the configured share of the index: a first
    import is no news. What a reviewer released is not among them.
    """
    judge = workspace.settings.judge
    since = format_time(workspace.now - timedelta(days=judge.recent_days))
    with workspace.ledger.reading() as conn:
        commits = version_rows.arrivals(conn, since)
    arrived: dict[int, list[str]] = {}
    for label, row in serving.items():
        if row.commit in commits and row.outcome == "admit":
            arrived.setdefault(row.commit, []).append(label)
    left = int(judge.recent_share * len(serving))
    recent: list[str] = []
    for commit in sorted(arrived, reverse=True):
        if len(arrived[commit]) > left:
            break
        left -= len(arrived[commit])
        recent += arrived[commit]
    return frozenset(recent)


def denied_texts(workspace: Workspace) -> list[DeniedText]:
    """Load everything reviewers rejected."""
    with workspace.ledger.reading() as conn:
        rows = decided_rows.denied(conn)
        versions = {row.version: version_rows.version(conn, row.version) for row in rows}
    vault = workspace.vault
    denied = []
    for row in rows:
        version = versions[row.version]
        vectors = load_vectors(vault.get(row.vectors))
        texts = tuple(json.loads(vault.get(row.texts)))
        if not texts:  # nothing was left of it but its digest, in an export of a damaged vault
            continue
        denied.append(
            DeniedText(
                version.label if version else "?",
                load_array(vault.get(row.sketches)),
                vectors,
                texts,
                originals(workspace, version, vectors, texts) if version and any(texts) else {},
            )
        )
    return denied


def _lexicon(
    workspace: Workspace,
    generation: Generation | None,
    batch: Sequence[PreparedDocument],
    serving: int,
    state: str,
) -> Lexicon:
    """Of the index; of index and batch together while the index is too small to know words."""
    indexed = lexicons.empty()
    if generation is not None and serving:
        indexed = lexicons.of_index(
            workspace.open_store(),
            generation.serving,
            serving,
            workspace.cache("lexicon.npz"),
            state,
            workspace.seal_key,
        )
    if serving >= reference.COLD:
        return indexed
    texts = [c.text for p in batch for c in p.chunks]
    if generation is not None and serving:
        for block in workspace.open_store().scan(generation.serving):
            texts.extend(str(p.payload.get("page_content", "")) for p in block)
    return lexicons.of_batch(texts, len(batch) + serving)


def _profile(
    workspace: Workspace,
    generation: Generation | None,
    serving: Mapping[str, VersionRow],
    around: Surroundings,
    checks: Mapping[str, tuple[Check, object]],
    arriving: int,
    learned: calibration.Calibration | None,
    progress: Progress,
) -> Profile:
    """The reference for a batch of this size, fitted on the index; none while that is small."""
    judge = workspace.settings.judge
    least = scoring.needed(judge.least_documents, judge.false_alarm_rate)
    if generation is None or len(serving) < least:
        return scoring.UNCALIBRATED
    held = reference.rounds(arriving, len(serving))
    settings = digest(
        [
            workspace.settings.digest,
            sorted(f"{name} {check.origin}".strip() for name, (check, _) in checks.items()),
            generation.recipe,
            reference.VERSION,
            held.thin,
            held.together,
            round(20 * len(around.recent) / len(serving)),  # in twentieths of the index
            round(20 * len(around.suspects) / len(serving)),
            digest(learned.model_dump(mode="json")) if learned else "",
            sorted(around.low),
        ]
    )
    path = workspace.cache(f"profile-{held.size}-{settings[:16]}.npz")
    kept = reference.load_fitted(path, workspace.seal_key)
    if kept is not None and 1 / GROWTH <= len(serving) / kept[1] <= GROWTH:
        return kept[0]
    met = frozenset(learned.fit if learned else ())
    most = held.documents(judge.reference_documents)
    rows = reference_rows(serving, met, judge, most, held.together)
    documents = indexed_documents(workspace, generation.serving, rows)
    profile = reference.rehearse(
        documents,
        around,
        checks,
        held,
        "corpus",
        lambda done, total: progress("calibrate", done, total),
        calibration.shares_of(learned),
    )
    reference.keep(profile, path, len(serving), workspace.seal_key)
    return profile


def reference_rows(
    serving: Mapping[str, VersionRow],
    met: Set[str],
    judge: JudgeSettings,
    most: int,
    together: int = 1,
) -> list[VersionRow]:
    """List indexed documents that say what is usual, in the order they are to be brought in.

    Args:
        met: Digests of texts that `calibrate` learned on: shares were chosen to let them pass, so
            others say what is usual.
        judge: Settings.
        most: How many at most.
        together: How many of one place follow each other, see `reference.in_runs`.
    """
    names = sorted(label for label, row in serving.items() if row.digest not in met)
    if len(names) < judge.least_documents // 2:
        names = sorted(serving)
    return [serving[name] for name in reference.in_runs(names, together)[:most]]


def indexed_documents(
    workspace: Workspace, collection: str, rows: Sequence[VersionRow]
) -> list[PreparedDocument]:
    """List documents as they would be prepared if they came in now, read from a collection."""
    with workspace.ledger.reading() as conn:
        points = version_rows.points_of(conn, [r.id for r in rows])
    wanted = [p.point for of_version in points.values() for p in of_version]
    stored = {p.id: p for p in workspace.open_store().get(collection, wanted, vectors=True)}
    documents = []
    for row in rows:
        pairs = [(p, stored[p.point]) for p in points[row.id] if p.point in stored]
        if not pairs:
            continue
        chunks = tuple(
            Chunk(p.start, p.end, str(s.payload.get("page_content", ""))) for p, s in pairs
        )
        documents.append(
            PreparedDocument(
                Document(
                    row.source,
                    row.document,
                    row.digest,
                    row.metadata,
                    row.subject,
                    row.subject_digest,
                ),
                "\n".join(c.text for c in chunks),
                tuple(Hidden(kind, text) for kind, text in row.hidden),
                chunks,
                np.stack([s.vector for _, s in pairs]),
            )
        )
    return documents
