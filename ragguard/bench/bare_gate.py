"""Judge without a workspace: the product's own view, checks, reference and judgement.

What `ingest` does between embedding and committing is done here in the same order with the same
functions (`ingest.judge` assembles them for a workspace): the lexicon is counted on the index, the
profile is fitted by rehearsing indexed documents in rounds of the size at hand or none
while the index is small, and verdicts are those of `scoring.judge`. There is no ledger, so
nothing is signed, denied or released.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from ragguard.bench.vectors import SOURCE, EmbeddedBenchDocument
from ragguard.config import JudgeSettings
from ragguard.detect import lexicon as lexicons
from ragguard.detect import reference, scoring
from ragguard.detect.reference import Rounds
from ragguard.detect.scoring import Profile
from ragguard.detect.second_look import JudgingMethod, second_look
from ragguard.detect.view import PreparedDocument, Surroundings, build_view
from ragguard.model import Bools, Doubles, Lexicon, Policy, Skipped
from ragguard.store import Point, Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)  # figures must not depend on the day they are made
GROWTH = 1.2  # a profile serves until the index has grown by this factor, as in `ingest.judge`
Engine = Literal["memory", "edge"]
# By rounds and share of recent documents; with how many documents were indexed then.
Profiles = dict[tuple[Rounds, int], tuple[Profile, int]]


@dataclass(frozen=True)
class BatchVerdicts:
    """What the gate said of a batch, in the order it was given.

    Attributes:
        quarantined: bool (n,), the verdicts.
        scores: float64 (n,), suspicion, higher is worse.
        first: The check of each document's first finding; empty without findings.
        checks: Per check float64 (n,): -log10 of the document's p-value, 0 where it said nothing.
        profile: Name of the reference used.
        promised: The smallest false-alarm rate that reference can promise.
        skipped: Checks that had nothing to say, or failed.
        seconds: By stage: `neighbours` (store and view), `checks`, `judge` (a second look at
            companions included).
        pulled: Labels of documents admitted lately that are suspect now, with their new scores.
    """

    quarantined: Bools
    scores: Doubles
    first: list[str]
    checks: dict[str, Doubles]
    profile: str
    promised: float
    skipped: tuple[Skipped, ...]
    seconds: dict[str, float]
    pulled: Mapping[str, float] = field(default_factory=dict)


class Gate:
    """An index and what is known about it.

    Args:
        indexed: Documents that are there already, in random order; may be empty.
        rate: False-alarm rate asked.
        engine: `memory`, the exact reference, or `edge`, Qdrant in this process.
        judge: Sizes of the reference.
        known: Profiles fitted on this very index before; those fitted anew while it is unchanged
            are added, so that a gate that is made again need not fit again.
        shares: Of the families of checks, the shipped ones or what `calibrate` learned.
    """

    def __init__(
        self,
        indexed: Sequence[EmbeddedBenchDocument],
        dimensions: int,
        rate: float,
        engine: Engine = "memory",
        judge: JudgeSettings | None = None,
        known: Profiles | None = None,
        shares: Mapping[str, float] = scoring.SHARES,
    ) -> None:
        self._shares = shares
        self._known: Profiles = {} if known is None else known
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._store = self._open(engine)
        for name in ("serving", "quarantine"):
            self._store.create(name, dimensions)
        self._rate = rate
        self._judge = judge or JudgeSettings()
        self._checks = scoring.active_checks({})
        self._home = list(indexed)
        self._texts: list[str] = []  # of all that is indexed; asked for only while it is little
        self._arrived: list[dict[str, EmbeddedBenchDocument]] = []  # admitted, by batch
        self._profiles: Profiles = {}
        self.indexed = 0
        self._lexicon = lexicons.empty()
        self._index(self._home)
        self._refresh_closeness()
        self.fitted = {i.entry.digest for i in self._home}  # what reference and lexicon know

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _open(self, engine: Engine) -> Store:
        if engine == "memory":
            from ragguard.store.memory import MemoryStore

            return MemoryStore()
        from ragguard.store.edge import open_edge
        from ragguard.store.qdrant import QdrantStore

        self._folder = tempfile.TemporaryDirectory(prefix="ragguard-bench-")
        return QdrantStore(open_edge(Path(self._folder.name), writable=True))

    def _index(self, items: Sequence[EmbeddedBenchDocument]) -> None:
        """Write documents to the serving collection and count their words."""
        if not items:
            return
        self._store.upsert("serving", [p for i in items for p in points(i.prepared)])
        texts = [c.text for i in items for c in i.prepared.chunks]
        self._texts.extend(texts)
        self._lexicon = grow(self._lexicon, texts, len(items))
        self.indexed += len(items)

    def _refresh_closeness(self) -> None:
        if self.indexed:
            stored = [p for block in self._store.scan("serving", vectors=True) for p in block]
            self._lexicon = lexicons.with_closeness(self._lexicon, stored)

    def _recent(self) -> frozenset[str]:
        """Whole batches, the newest first, as long as they fit the configured share of the index.

        All that arrives here arrives within the days that count as lately.
        """
        left = int(self._judge.recent_share * self.indexed)
        recent: list[str] = []
        for batch in reversed(self._arrived):
            if len(batch) > left:
                break
            left -= len(batch)
            recent += batch
        return frozenset(recent)

    def _around(self, batch: Sequence[PreparedDocument]) -> Surroundings:
        lexicon = self._lexicon
        if self.indexed < reference.COLD:
            texts = [c.text for p in batch for c in p.chunks] + self._texts
            lexicon = lexicons.of_batch(texts, len(batch) + self.indexed)
        return Surroundings(self._store, "serving", lexicon, [], NOW, self._recent())

    def _profile(self, arriving: int, around: Surroundings) -> Profile:
        """Fitted on what was indexed at first: later arrivals are documents to be reported."""
        least = scoring.needed(self._judge.least_documents, self._rate)
        if self.indexed < least or not self._home:
            return scoring.UNCALIBRATED
        held = reference.rounds(arriving, self.indexed)
        key = (held, round(20 * len(around.recent) / self.indexed))  # in twentieths of the index
        kept = self._profiles.get(key, self._known.get(key))
        if kept is None or self.indexed / kept[1] > GROWTH:
            if kept is not None:
                self._refresh_closeness()
                around = replace(around, lexicon=self._lexicon)
            wanted = held.documents(self._judge.reference_documents)
            places = sorted((i.prepared for i in self._home), key=lambda p: p.label)
            sample = reference.in_runs(places, held.together)[:wanted]
            fitted = reference.rehearse(
                sample, around, self._checks, held, "corpus", learned=self._shares
            )
            kept = (fitted, self.indexed)
            mine = self._known if not self._arrived else self._profiles
            mine[key] = kept
        return kept[0]

    def bring(self, items: Sequence[EmbeddedBenchDocument], seed: int) -> BatchVerdicts:
        """Judge documents that arrive together; the index stays as it is.

        Args:
            items: At least one.
            seed: Decides their order in the batch, which should not matter.
        """
        order = np.random.default_rng(seed).permutation(len(items))
        batch = [items[i].prepared for i in order]
        around = self._around(batch)
        profile = self._profile(len(batch), around)
        ticks = [time.perf_counter()]
        view = build_view(batch, around)
        ticks.append(time.perf_counter())
        measured = scoring.measure(view, self._checks)
        ticks.append(time.perf_counter())
        policies = {SOURCE: Policy()}
        verdicts = scoring.judge(batch, view, measured, profile, self._checks, policies, self._rate)
        judging = JudgingMethod(self._checks, profile, policies, self._rate)
        pulled = second_look(batch, verdicts, around, judging, self._fetch)
        ticks.append(time.perf_counter())
        names = sorted(measured.signals)
        units = {name: check.unit for name, (check, _) in self._checks.items()}
        p, _ = scoring.document_p_values(
            measured.signals, profile.scores, units, view.documents[: view.n], names
        )
        back = np.argsort(order)
        level = -np.log10(np.where(np.isnan(p), 1.0, p))[back]
        return BatchVerdicts(
            np.array([v.outcome != "admit" for v in verdicts], dtype=np.bool_)[back],
            np.array([v.score for v in verdicts], dtype=np.float64)[back],
            [verdicts[i].findings[0].check if verdicts[i].findings else "" for i in back],
            {name: np.asarray(level[:, c], dtype=np.float64) for c, name in enumerate(names)},
            profile.name,
            profile.smallest_rate,
            measured.skipped,
            dict(zip(("neighbours", "checks", "judge"), np.diff(ticks).tolist(), strict=True)),
            {p.label: verdict.score for p, verdict in pulled},
        )

    def _fetch(self, labels: Sequence[str]) -> list[PreparedDocument]:
        """List documents that arrived, as if they came in now."""
        every = {label: item for batch in self._arrived for label, item in batch.items()}
        return [every[label].prepared for label in labels if label in every]

    def accept(self, items: Sequence[EmbeddedBenchDocument], judged: BatchVerdicts) -> None:
        """Carry verdicts out: the admitted are indexed, the rest and what is pulled waits."""
        waiting = [i for i, held in zip(items, judged.quarantined, strict=True) if held]
        for batch in self._arrived:
            gone = [batch.pop(label) for label in judged.pulled if label in batch]
            if gone:
                ids = [p.id for i in gone for p in points(i.prepared)]
                self._store.delete("serving", ids)
                texts = [c.text for i in gone for c in i.prepared.chunks]
                self._lexicon = lexicons.without(self._lexicon, texts, len(gone))
                self.indexed -= len(gone)
                waiting += gone
        admitted = [i for i, held in zip(items, judged.quarantined, strict=True) if not held]
        self._index(admitted)
        self._arrived.append({i.prepared.label: i for i in admitted})
        if waiting:
            self._store.upsert("quarantine", [p for i in waiting for p in points(i.prepared)])


def points(prepared: PreparedDocument) -> list[Point]:
    """Return a document as the commit would write it, without its seals."""
    own: dict[str, Any] = {"source": prepared.document.source, "document": prepared.document.id}
    return [
        Point(
            str(uuid5(NAMESPACE_URL, f"{prepared.label}#{number}")),
            vector,
            {
                "page_content": chunk.text,
                "metadata": dict(prepared.document.metadata),
                "ragguard": own,
            },
        )
        for number, (chunk, vector) in enumerate(
            zip(prepared.chunks, prepared.vectors, strict=True)
        )
    ]


def grow(lexicon: Lexicon, texts: Sequence[str], documents: int) -> Lexicon:
    """Return a lexicon as if more chunks had been counted; its closeness stays.

    Args:
        texts: Further chunk texts.
        documents: How many documents they are of.
    """
    more = lexicons.count(texts, documents)
    words = dict(lexicon.words)
    for word, number in more.words.items():
        words[word] = words.get(word, 0) + number
    total = lexicon.bigrams.astype(np.uint32) + more.bigrams
    return replace(
        lexicon,
        documents=lexicon.documents + documents,
        words=words,
        bigrams=np.minimum(total, 65_535).astype(np.uint16),
        trigrams=lexicon.trigrams + more.trigrams,
    )
