"""Attack the user's own corpus in a scratch view, and tell what would get through.

Each simulator plants its documents among honest ones that are taken out of the index and brought in
again; the batch is judged exactly as `ingest` would judge it now, and thrown away. Nothing is
written to ledger, vault, index or cache. What the figures do not say: how a real attacker compares
with the simulators. A corpus that withstands them may still meet somebody better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ragguard.detect.view import PreparedDocument
from ragguard.errors import ConfigError, UsageError
from ragguard.ingest.judge import indexed_documents, judge_batch
from ragguard.ledger import versions
from ragguard.ledger.observed import ObservedRate, observed
from ragguard.model import Bools, Floats, Policy, Progress, Verdict
from ragguard.redteam import staging
from ragguard.redteam.attacks import Attack, Target
from ragguard.redteam.staging import StagedPoison
from ragguard.stats.intervals import any_and_all, as_body, number_groups, share_by_group, wilson
from ragguard.trust import contract
from ragguard.workspace import Workspace

TOP = 5  # passages a reader is given
LEAST, MOST, SHARE = 64, 512, 0.1  # documents of a batch, and its share of the index
BESIDE = 16  # honest documents that arrive with an attack at least
TARGETS = 2000  # indexed documents an attack may choose from
EXAMPLES = 5
SHOWN = 80  # characters of an example


@dataclass(frozen=True)
class Example:
    """A planted document that would get in.

    Attributes:
        text: Its first characters, as it arrived; hostile.
        reached: Whether it would be among the first five for its question.
    """

    id: str
    campaign: str
    text: str
    reached: bool


@dataclass(frozen=True)
class AttackOutcome:
    """How an attack fared.

    Attributes:
        direct: Its vectors were written straight into the index; judged with them in place.
        quarantined, rejected: Planted documents.
        stopped: bool, one a planted document, in the order planted.
        campaigns: Campaign of each.
        admitted_with_question: Admitted documents that were written for a question.
        reached: How many of those are among the first five for it.
        honest: Honest documents that arrived with it.
        honest_held: How many of them were held or rejected.
        honest_first: Checks by how many of those they were the first finding of.
        first: Checks by how many planted documents they were the first finding of.
        floor: Share that must be stopped.
    """

    attack: Attack
    direct: bool
    quarantined: int
    rejected: int
    stopped: Bools
    campaigns: Sequence[str]
    admitted_with_question: int
    reached: int
    honest: int
    honest_held: int
    honest_first: Mapping[str, int]
    first: Mapping[str, int]
    floor: float
    examples: tuple[Example, ...]

    @property
    def share(self) -> float:
        """Share of planted documents that were stopped."""
        return float(self.stopped.mean()) if len(self.stopped) else 1.0

    @property
    def holds(self) -> bool:
        """Whether enough of it was stopped."""
        return self.share >= self.floor

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as docs/schemas/redteam.json describes it."""
        groups = number_groups(self.campaigns)
        each: dict[str, Any] = dict.fromkeys(("documents", "campaigns_any", "campaigns_all"))
        if len(self.stopped):
            any_of, all_of = any_and_all(self.stopped, groups)
            numbers = np.arange(len(any_of))
            each = {
                "documents": as_body(*share_by_group(self.stopped, groups)),
                "campaigns_any": as_body(*share_by_group(any_of, numbers)),
                "campaigns_all": as_body(*share_by_group(all_of, numbers)),
            }
        return {
            "attack": self.attack.name,
            "family": self.attack.family,
            "summary": self.attack.summary,
            "direct": self.direct,
            "planted": len(self.stopped),
            "campaigns": len(set(self.campaigns)),
            "quarantined": self.quarantined,
            "rejected": self.rejected,
            "stopped": each,
            "honest": {
                "judged": self.honest,
                "held": self.honest_held,
                **as_body(
                    self.honest_held / max(self.honest, 1), wilson(self.honest_held, self.honest)
                ),
                "first_findings": dict(self.honest_first),
            },
            "floor": self.floor,
            "holds": self.holds,
            "first_findings": dict(self.first),
            "admitted_with_question": self.admitted_with_question,
            "reached_top": self.reached,
            "examples": [
                {"id": e.id, "campaign": e.campaign, "text": e.text, "reached_top": e.reached}
                for e in self.examples
            ],
        }


@dataclass(frozen=True)
class RedteamResult:
    """What the attacks came to.

    Attributes:
        profile: Name of the reference they were judged against.
        rate: False-alarm rate asked.
        stale: Why the workspace's calibration was not used; empty when it was, or there is none.
        observed: What the ledger says of honest documents at the gate. Those that come in again
            here were admitted once, so alone they flatter it.
    """

    seed: int
    rate: float
    indexed: int
    profile: str
    stale: str
    outcomes: tuple[AttackOutcome, ...]
    observed: ObservedRate

    @property
    def exit_code(self) -> int:
        """1 when an attack fared better than its floor allows."""
        return 0 if all(o.holds for o in self.outcomes) else 1

    def as_dict(self) -> dict[str, Any]:
        """Return the result as docs/schemas/redteam.json describes it."""
        honest = sum(o.honest for o in self.outcomes)
        hits = sum(o.honest_held for o in self.outcomes)
        return {
            "seed": self.seed,
            "false_alarm_rate": self.rate,
            "indexed": self.indexed,
            "profile": self.profile,
            "stale": self.stale or None,
            "top": TOP,
            "honest": {
                "judged": honest,
                "held": hits,
                "stopped": as_body(hits / max(honest, 1), wilson(hits, honest)),
                "at_the_gate": {
                    "admitted": self.observed.admitted,
                    "released": self.observed.released,
                    "open": self.observed.open,
                    **as_body(self.observed.rate, self.observed.interval),
                    "if_open_honest": round(self.observed.if_open_honest, 4),
                },
            },
            "attacks": [o.as_dict() for o in self.outcomes],
            "holds": self.exit_code == 0,
        }


def redteam(
    workspace: Workspace,
    *,
    names: Sequence[str] = (),
    campaigns: int = 10,
    documents: int | None = None,
    seed: int = 0,
    floor: float | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> RedteamResult:
    """Attack the serving index.

    Args:
        workspace: Open and locked.
        names: Simulators; all when empty.
        campaigns: Campaigns of each.
        documents: Documents of a campaign, for the simulators that have a choice.
        seed: The same seed on the same index plants and judges the same.
        floor: Share that must be stopped; [redteam] floor when `None`. [redteam.floors] goes first.

    Raises:
        UsageError: No such simulator, or nothing to attack.
        ConfigError: [redteam.floors] names a simulator that is not there.
    """
    attacks = staging.chosen_attacks(names)
    floors = _floors(workspace, floor)
    generation = workspace.generation()
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
        at_the_gate = observed(conn)
    if generation is None or len(serving) < 2 * BESIDE:
        raise UsageError(
            f"{len(serving)} documents are indexed: too few to attack",
            hint=f"Bring at least {2 * BESIDE} in first.",
        )
    workspace.check_recipe(workspace.encoder.recipe)
    labels = sorted(serving)
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    size = min(max(LEAST, round(SHARE * len(labels))), MOST, len(labels) // 2)
    rows = [serving[labels[i]] for i in order[: size + TARGETS]]
    home = indexed_documents(workspace, generation.serving, rows)
    outcomes, profile, stale = [], "", ""
    with workspace.scratch():
        target = staging.target_of(workspace, home[size:], campaigns, seed)
        for number, attack in enumerate(attacks.values()):
            progress("attack", number, len(attacks))
            changes = _changes(attack, documents)
            staged = staging.stage(workspace, attack, target, seed, campaigns, changes)
            honest = home[: max(BESIDE, size - len(staged))]
            verdicts: list[Verdict] = []
            if staged:
                verdicts, profile, stale = _judge(workspace, staged, honest, progress)
            wanted = floors.get(attack.name, floors[""])
            outcomes.append(
                _outcome(workspace, attack, target, staged, verdicts, wanted, generation.serving)
            )
        progress("attack", len(attacks), len(attacks))
    rate = workspace.settings.judge.false_alarm_rate
    return RedteamResult(seed, rate, len(serving), profile, stale, tuple(outcomes), at_the_gate)


def _floors(workspace: Workspace, floor: float | None) -> dict[str, float]:
    """Floors by attack; that of all others under the empty name."""
    settings = workspace.settings.redteam
    known = staging.chosen_attacks(())
    for name, share in settings.floors.items():
        if name not in known:
            raise ConfigError(
                f"[redteam.floors] {name}: there is no such attack",
                hint=f"There are {', '.join(known)}.",
            )
        if not 0 <= share <= 1:
            raise ConfigError(f"[redteam.floors] {name}: expected a share in [0, 1], found {share}")
    return {"": settings.floor if floor is None else floor, **settings.floors}


def _changes(attack: Attack, documents: int | None) -> dict[str, Any]:
    """The asked number of documents of a campaign, where the simulator has that parameter."""
    there = {f.name for f in fields(attack.params)}
    return {"documents": documents} if documents is not None and "documents" in there else {}


def _judge(
    workspace: Workspace,
    staged: Sequence[StagedPoison],
    honest: Sequence[PreparedDocument],
    progress: Progress,
) -> tuple[list[Verdict], str, str]:
    """List verdicts on what was planted, then on the honest documents that came with it."""
    policies = {name: source.policy for name, source in workspace.root.sources.items()}
    poison = [s.prepared for s in staged if s.prepared is not None]
    batch = [*poison, *honest]
    every = {p.document.source: policies.get(p.document.source, Policy()) for p in batch}

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "calibrate":  # takes long, and is done once
            progress(stage, done, total)

    again = frozenset(p.label for p in honest)
    judged = judge_batch(workspace, batch, every, tell, absent=again)
    remaining = iter(judged.verdicts)
    verdicts = []
    for poisoned in staged:
        statistical = [] if poisoned.prepared is None else [next(remaining)]
        verdicts += [_refused(poisoned, policies) or statistical[0]]
    return [*verdicts, *remaining], judged.profile, judged.stale


def _refused(poisoned: StagedPoison, policies: Mapping[str, Policy]) -> Verdict | None:
    """Return a rejection that needs no check: unreadable, or against the contract of its source."""
    if poisoned.prepared is None:
        return Verdict("", poisoned.planted.id, "", "reject", 1.0, None, poisoned.findings)
    document = poisoned.prepared.document
    broken = contract.violations(
        policies.get(document.source, Policy()), poisoned.planted.format, document.metadata
    )
    if not broken:
        return None
    return Verdict(
        document.source, document.id, document.digest, "reject", 1.0, None, tuple(broken)
    )


def _outcome(
    workspace: Workspace,
    attack: Attack,
    target: Target,
    staged: Sequence[StagedPoison],
    verdicts: Sequence[Verdict],
    floor: float,
    collection: str,
) -> AttackOutcome:
    planted, beside = verdicts[: len(staged)], verdicts[len(staged) :]
    stopped = np.array([v.outcome != "admit" for v in planted], dtype=np.bool_)
    through = [s for s, v in zip(staged, planted, strict=True) if v.outcome == "admit"]
    asked = [s for s in through if s.planted.question]
    reached = _reached(workspace, asked, target, collection)
    return AttackOutcome(
        attack,
        any(s.planted.vector is not None for s in staged),
        sum(v.outcome == "quarantine" for v in planted),
        sum(v.outcome == "reject" for v in planted),
        stopped,
        [s.planted.campaign for s in staged],
        len(asked),
        len(reached),
        len(beside),
        sum(v.outcome != "admit" for v in beside),
        _first(beside),
        _first(planted),
        floor,
        tuple(
            Example(
                s.planted.id, s.planted.campaign, s.planted.text[:SHOWN], s.planted.id in reached
            )
            # Those that readers would see come first.
            for s in sorted(through, key=lambda s: s.planted.id not in reached)[:EXAMPLES]
        ),
    )


def _first(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Checks by how many of what was stopped they were the first finding of, the most first."""
    first = Counter(v.findings[0].check for v in verdicts if v.outcome != "admit" and v.findings)
    return dict(sorted(first.items(), key=lambda item: (-item[1], item[0])))


def _reached(
    workspace: Workspace, admitted: Sequence[StagedPoison], target: Target, collection: str
) -> set[str]:
    """Ids of documents among the first five for their question, in the index with all admitted."""
    if not admitted:
        return set()
    known = {q.text: q.vector for q in target.questions}
    texts = list(dict.fromkeys(s.planted.question for s in admitted))
    missing = [t for t in texts if t not in known]
    if missing:
        known.update(zip(missing, workspace.encoder.encode(missing), strict=True))
    asked: Floats = np.stack([known[t] for t in texts])
    hits = workspace.open_store().search(collection, asked, TOP)
    there = dict(zip(texts, hits.similarities, strict=True))
    vectors = [s.prepared.vectors for s in admitted if s.prepared is not None]
    every = np.concatenate(vectors)
    reached = set()
    for poisoned, own in zip(admitted, vectors, strict=True):
        question = known[poisoned.planted.question]
        best = float((own @ question).max())
        ahead = sum(s > best for s in there[poisoned.planted.question])
        ahead += int((every @ question > best + 1e-6).sum())
        if ahead < TOP:
            reached.add(poisoned.planted.id)
    return reached
