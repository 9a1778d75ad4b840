"""Make a workspace that is thrown away: real keys and manifests, real `ingest`, embedded engine.

Nothing is skipped or stood in for but the encoder, which looks up what it embedded before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ragguard.bench.collection import Paper
from ragguard.bench.vectors import VectorCache
from ragguard.config import Settings
from ragguard.embed.encoder import Encoder, Progress
from ragguard.errors import BenchError
from ragguard.ingest.report import Report, verdict_body
from ragguard.ingest.run import ingest
from ragguard.ingest.sign import sign
from ragguard.model import Finding, Floats, Root, Verdict
from ragguard.trust import amend_root, dsse, keys
from ragguard.trust import root as roots
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.manifest import LastAccepted
from ragguard.workspace import Workspace, create

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)  # figures must not depend on the day they are made


class KnownVectors:
    """An encoder that embeds a text once, whatever workspace asks.

    Args:
        cache: What is.
    """

    def __init__(self, encoder: Encoder, cache: VectorCache) -> None:
        self._encoder = encoder
        self._cache = cache
        self.recipe = encoder.recipe
        self.tolerance = encoder.tolerance
        self.pins = encoder.pins

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return self._encoder.count_tokens(texts)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """See `Encoder.encode`."""

        def tell(stage: str, done: int, total: int) -> None:
            if progress is not None:
                progress(done, total)

        return self._cache.encode(self._encoder, texts, tell)


@dataclass(frozen=True)
class GateAnswer:
    """What the gate said of one document.

    Attributes:
        id: The paper's.
        outcome: `admit`, `quarantine` (held, or would be while the gate observes), `reject` or
            `pulled`: it had been let in before.
        checks: Checks with a finding, the first first.
        rules: Rules that `instructions` names.
        sentence: Of the first finding.
        judged: Whether it was judged at all; a first import may put that off.
    """

    id: str
    outcome: str
    checks: tuple[str, ...]
    rules: tuple[str, ...]
    sentence: str
    judged: bool = True


@dataclass(frozen=True)
class ScratchStep:
    """What one ingest said of honest documents.

    Attributes:
        heard: Of the documents brought, without those that waited already, and of those pulled.
        waited: How many were left out for that.
        profile: Name of the reference.
        promised: `promised_false_alarm_rate`; `None` where nothing is promised.
        seconds: Wall seconds of the ingest.
        caught_up: Whether documents not yet judged were judged now.
        silent: Documents that were judged and let be, and are not in `heard`.
    """

    heard: tuple[GateAnswer, ...]
    waited: int
    profile: str
    promised: float | None
    seconds: float
    caught_up: bool
    silent: int = 0


class Scratch:
    """A workspace in a temporary folder; a context manager.

    Args:
        encoder: Of the settings' model.
        sources: Names of the sources that may speak.
        settings: Of the workspace; the defaults but for what is asked.
    """

    def __init__(self, encoder: Encoder, sources: Sequence[str], settings: Settings) -> None:
        self._encoder = encoder
        self._settings = settings
        self._temporary = tempfile.TemporaryDirectory(prefix="ragguard-honest-")
        self._folder = Path(self._temporary.name)
        self._now = BEGIN
        root_key, self._signer = keys.generate("root"), keys.generate("author")
        known = {root_key.public.keyid: root_key.public}
        until = BEGIN + timedelta(days=3650)
        root = Root(1, BEGIN, until, known, tuple(known), 1, (), {}, {})
        for source in sources:
            root = amend_root.add(root, self._signer.public, BEGIN, role="signer", source=source)
        root = Root(**{**root.__dict__, "version": 1})
        pair = (root_key.public.keyid, root_key.signing_key)
        envelope = dsse.sign(roots.dump_root(root), roots.ROOT_TYPE, [pair])
        create.create(self._folder / "w", root_key, envelope, BEGIN)
        self._last: dict[str, LastAccepted] = {}
        self._places: dict[tuple[str, str], str] = {}  # record file of (source, paper)
        self._rows: dict[tuple[str, str], dict[str, bytes]] = {}  # lines of (source, file)
        self._ids: dict[str, str] = {}  # paper by the gate's label
        self._waiting: set[str] = set()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def bring(self, source: str, papers: Sequence[Paper], *, keep: bool) -> ScratchStep:
        """Sign documents and ingest them, a day later than the last.

        Args:
            source: Who speaks.
            papers: At least one; those brought before are replaced.
            keep: Commit; else only judge, and leave everything as it was.

        Raises:
            BenchError: The manifest was refused.
        """
        self._now += timedelta(days=1)
        with tempfile.TemporaryDirectory(dir=self._folder) as site:
            report, labels = self._ingest(Path(site), source, papers, keep)
        manifest = report.manifests[-1]
        if manifest.error:
            raise BenchError(f"honest documents of {source!r} were refused: {manifest.error}")
        step = self._listen(report, labels)
        if keep:
            self._last[source] = LastAccepted(manifest.version, manifest.digest)
            self._waiting |= {v_label(v) for v in (*report.documents, *report.pulled) if _held(v)}
        return step

    def _ingest(
        self, site: Path, source: str, papers: Sequence[Paper], keep: bool
    ) -> tuple[Report, dict[str, Paper]]:
        labels: dict[str, Paper] = {}
        files: dict[str, dict[str, bytes]] = {}
        number = (self._last[source].version if source in self._last else 0) + 1
        for paper in papers:
            if paper.record:
                subject, _, key = paper.id.partition("#")
                fresh = f"records-{number}-{digest_bytes(subject.encode())[:8]}.jsonl"
                file = self._places.get((source, paper.id), fresh)
                rows = files.setdefault(file, dict(self._rows.get((source, file), {})))
                rows[paper.id] = paper.data
                labels[f"{source}/{file}#{key}"] = paper
            else:
                (site / paper.id).parent.mkdir(parents=True, exist_ok=True)
                (site / paper.id).write_bytes(paper.data)
                labels[f"{source}/{paper.id}"] = paper
        for file, rows in files.items():
            (site / file).write_bytes(b"\n".join(rows.values()) + b"\n")
            if keep:
                self._rows[source, file] = rows
                self._places |= {(source, id_): file for id_ in rows}
        self._ids |= {label: paper.id for label, paper in labels.items()}
        signed = sign(
            [site],
            root=site,
            source=source,
            key=self._signer,
            now=self._now,
            expires=timedelta(days=90),
            previous=self._last.get(source),
            mode="delta" if source in self._last else "full",
        )
        path = self._folder / "manifest.intoto.json"
        path.write_bytes(signed.envelope)
        with Workspace(self._folder / "w", self._settings, self._now) as workspace:
            workspace.__dict__["encoder"] = self._encoder  # where `cached_property` looks first
            return ingest(workspace, [path], root=site, dry_run=not keep), labels

    def _listen(self, report: Report, labels: Mapping[str, Paper]) -> ScratchStep:
        told = [v for v in report.documents if v_label(v) in labels and v.outcome != "unchanged"]
        fresh = [v for v in told if v_label(v) not in self._waiting]
        heard = [_heard(v, labels[v_label(v)].id, v.outcome) for v in fresh]
        heard += [
            _heard(v, self._ids.get(v_label(v), v.id), "pulled")
            for v in report.pulled
            if v_label(v) not in self._waiting
        ]
        body = report.as_dict()
        return ScratchStep(
            tuple(heard),
            len(told) - len(fresh),
            str(body.get("profile") or ""),
            body.get("promised_false_alarm_rate"),
            sum(report.seconds.values()),
            bool(getattr(report, "judged_until", 0)),
        )


def v_label(verdict: Verdict) -> str:
    """Source and document."""
    return f"{verdict.source}/{verdict.id}"


def _held(verdict: Verdict) -> bool:
    return verdict.outcome == "quarantine" or bool(verdict_body(verdict).get("observed"))


def _heard(verdict: Verdict, id_: str, outcome: str) -> GateAnswer:
    body: dict[str, Any] = verdict_body(verdict)
    if body.get("observed"):
        outcome = "quarantine"
    findings = verdict.findings
    rules: dict[str, None] = {}
    for finding in findings:
        rules |= dict.fromkeys(_rules(finding))
    return GateAnswer(
        id_,
        outcome,
        tuple(dict.fromkeys(f.check for f in findings)),
        tuple(rules),
        findings[0].detail if findings else "",
        not body.get("not_yet_judged", False),
    )


def _rules(finding: Finding) -> list[str]:
    named = finding.facts.get("rules", [])
    return [str(rule) for rule in named] if isinstance(named, list | tuple) else []
