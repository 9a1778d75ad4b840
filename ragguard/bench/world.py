"""Embed what all protocols share: the corpus, its questions, the attacks, the peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.bench.bare_gate import Engine
from ragguard.bench.dataset import BenchDocument, Dataset
from ragguard.bench.folds import Fold
from ragguard.bench.peers import Corpus
from ragguard.bench.scan import Peer
from ragguard.bench.vectors import EmbeddedBenchDocument, VectorCache, prepare
from ragguard.config import ChunkSettings, JudgeSettings
from ragguard.embed.encoder import Encoder
from ragguard.ingest.calibration import Calibration
from ragguard.model import Floats, Progress
from ragguard.redteam import attacks
from ragguard.redteam.attacks import HonestDocument, PoisonDocument, Question, Target
from ragguard.trust.canonical import digest

PROTOCOLS = ("bulk", "drip", "new-topic", "cold-start", "whole-index")
RATES = (0.001, 0.01, 0.05)


@dataclass(frozen=True)
class BenchPlan:
    """What is asked of a run.

    Attributes:
        protocols: Of `PROTOCOLS`.
        arriving: Shares of the corpus that arrive.
        per_target: Documents of each campaign that arrive.
        campaigns: Most campaigns that arrive together.
        batches: Into how many batches the drip is cut.
        rate: False-alarm rate asked of the gate.
        sample: Documents of the corpus that are used, drawn at random; all when `None`.
        simulate: Simulators that attack too, by name; `None` for none, empty for all.
        families: Families to run; all when empty.
        engine: Where the index lives.
    """

    protocols: tuple[str, ...] = PROTOCOLS
    seeds: int = 3
    arriving: tuple[float, ...] = (0.1, 0.5)
    per_target: tuple[int, ...] = (5, 3, 1)
    campaigns: int = 100
    batches: tuple[int, ...] = (50,)
    rate: float = 0.01
    sample: int | None = None
    simulate: tuple[str, ...] | None = None
    families: tuple[str, ...] = ()
    engine: Engine = "memory"


@dataclass
class EmbeddedDataset:
    """A dataset, embedded.

    Attributes:
        home: Honest documents.
        questions: Honest questions.
        qrels: Relevance by question and document id.
        families: Attack documents of files, by family.
        topics: Honest documents on other subjects.
        corpus: The same honest documents, for peers.
        learned: What `calibrate` learned, if that is tried.
        planted: What simulators wrote, by name, seed and number of indexed documents.
    """

    dataset: Dataset
    plan: BenchPlan
    encoder: Encoder
    cache: VectorCache
    peers: Sequence[Peer]
    progress: Progress
    chunks: ChunkSettings
    judge: JudgeSettings
    learned: Calibration | None
    home: list[EmbeddedBenchDocument] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    families: dict[str, list[EmbeddedBenchDocument]] = field(default_factory=dict)
    topics: dict[str, list[EmbeddedBenchDocument]] = field(default_factory=dict)
    corpus: Corpus = field(default_factory=lambda: Corpus([]))
    planted: dict[tuple[str, int, int], list[EmbeddedBenchDocument]] = field(default_factory=dict)

    @property
    def qrels(self) -> Mapping[str, Mapping[str, int]]:
        """Relevance by question and document id."""
        return self.dataset.qrels

    @property
    def learned_on(self) -> frozenset[str]:
        """Digests of the documents that weights and threshold of the calibration come from."""
        return frozenset(self.learned.fit + self.learned.reference) if self.learned else frozenset()

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return self.encoder.recipe.dimensions

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return the vectors of questions."""
        return self.cache.encode(self.encoder, texts, self.progress)

    def prepare(self, entries: Sequence[BenchDocument]) -> list[EmbeddedBenchDocument]:
        """Embed documents."""
        return prepare(
            entries,
            self.encoder,
            self.cache,
            size=self.chunks.size,
            overlap=self.chunks.overlap,
            progress=self.progress,
        )


def build(
    dataset: Dataset,
    plan: BenchPlan,
    encoder: Encoder,
    cache: Path | None,
    peers: Sequence[Peer],
    progress: Progress,
    chunks: ChunkSettings | None = None,
    judge: JudgeSettings | None = None,
    learned: Calibration | None = None,
) -> EmbeddedDataset:
    """Embed everything that is known beforehand.

    Args:
        cache: Folder where vectors are kept, or `None`.
        peers: Published methods to run beside.
        chunks: Chunk sizes, for which `encoder` was opened.
        judge: Sizes of the reference.
        learned: What `calibrate` learned; its documents must not be reported.
    """
    world = EmbeddedDataset(
        dataset,
        plan,
        encoder,
        VectorCache(cache, encoder.recipe.digest),
        peers,
        progress,
        chunks or ChunkSettings(),
        judge or JudgeSettings(),
        learned,
    )
    entries = list(dataset.corpus)
    if plan.sample is not None and plan.sample < len(entries):
        drawn = np.random.default_rng(0).permutation(len(entries))[: plan.sample]
        entries = [entries[i] for i in sorted(drawn)]
    world.home = world.prepare(entries)
    world.corpus = Corpus(world.home)
    vectors = world.embed(list(dataset.questions.values()))
    world.questions = [
        Question(id_, text, vector, tuple(dataset.qrels.get(id_, {})))
        for (id_, text), vector in zip(dataset.questions.items(), vectors, strict=True)
    ]
    world.families = {name: world.prepare(rows) for name, rows in dataset.families.items()}
    world.topics = {name: world.prepare(rows) for name, rows in dataset.topics.items()}
    return world


def draw(
    items: Sequence[EmbeddedBenchDocument], per_target: int, campaigns: int, name: str, seed: int
) -> list[EmbeddedBenchDocument]:
    """So many documents of so many campaigns.

    Args:
        items: Of one family; a document without a campaign is one by itself.
        per_target: Documents of each campaign.
        campaigns: Most campaigns.
        name: The family, so that families draw different numbers.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    groups: dict[str, list[EmbeddedBenchDocument]] = {}
    for item in items:
        groups.setdefault(item.entry.campaign or item.entry.digest, []).append(item)
    names = list(groups)
    chosen = [names[i] for i in rng.permutation(len(names))[:campaigns]]
    return [
        groups[campaign][i]
        for campaign in chosen
        for i in rng.permutation(len(groups[campaign]))[:per_target]
    ]


def simulators(plan: BenchPlan) -> dict[str, attacks.Attack]:
    """Return the simulators that are asked for."""
    if plan.simulate is None:
        return {}
    return {
        name: entry
        for name, entry in attacks.registry().items()
        if (not plan.simulate or name in plan.simulate)
        and (not plan.families or name in plan.families)
    }


def simulate(
    world: EmbeddedDataset, entry: attacks.Attack, fold: Fold, seed: int
) -> list[EmbeddedBenchDocument]:
    """Attack the indexed part of a fold (all of it when nothing is indexed)."""
    key = (entry.name, seed, len(fold.indexed))  # protocols that share a fold share its attacks
    if key in world.planted:
        return world.planted[key]
    places = fold.indexed if len(fold.indexed) else fold.newcomers
    passages = [
        HonestDocument(i.entry.id, i.entry.text, i.prepared.vectors[0], i.entry.metadata)
        for i in (world.home[p] for p in places.tolist())
    ]
    target = Target(passages, world.questions, world.encoder)
    planted = attacks.plant(entry, target, seed, world.plan.campaigns)
    world.planted[key] = world.prepare([_entry(p, entry.name) for p in planted])
    return world.planted[key]


def _entry(planted: PoisonDocument, family: str) -> BenchDocument:
    """Return a planted document; its digest is its own even where its text is an honest one's."""
    body: list[Any] = [family, planted.id, planted.campaign, planted.text]
    return BenchDocument(**vars(planted), digest=digest(body))
