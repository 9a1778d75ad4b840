"""Learn on the user's own corpus each family's share of the alarm budget.

The serving index is attacked with the built-in simulators, in a scratch view: nothing of it is
written but calibration.json. Documents are split by digest into three parts. On `fit` shares are
learned. `reference` says what is usual, and the threshold is taken from it. `report` meets neither:
its honest documents and the attacks on it (other seeds, other campaigns) give the figures. Shares
change which poison is found, never how many honest documents are stopped: the threshold is set
after them, on documents that they were not learned on.

What breaks it: an index that is poisoned already, and poison that no simulator resembles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import ceil

import numpy as np

from ragguard.detect import reference, scoring
from ragguard.detect.checks import Check
from ragguard.detect.reference import RehearsalScores, Rounds
from ragguard.detect.view import PreparedDocument, Surroundings, build_view
from ragguard.errors import ConfigError
from ragguard.ingest import calibration
from ragguard.ingest.calibration import Calibration, Share, rounded
from ragguard.ingest.judge import indexed_documents, surroundings
from ragguard.ledger import versions
from ragguard.ledger.versions import VersionRow
from ragguard.model import Bools, Doubles, Ints, Progress
from ragguard.redteam import staging
from ragguard.redteam.attacks import Attack
from ragguard.stats import conformal
from ragguard.stats.intervals import any_and_all, number_groups, share_by_group, wilson
from ragguard.stats.weight_search import detection, learn, terms
from ragguard.trust.canonical import digest, format_time
from ragguard.workspace import Workspace

PARTS = (0.4, 0.3, 0.3)  # fit, reference, report
ARRIVING = 0.1  # share of the index that a rehearsed batch is as large as
LARGEST = 1024  # documents of a rehearsed batch: more take long and tell no more
FEWEST = 16  # honest documents beside an attack
HELD_OUT = 3  # every third campaign of `fit` judges what the others taught
OTHER = 1_000_003  # between the seeds of attacks learned from and attacks reported


@dataclass(frozen=True)
class _Bench:
    """What all measurements share."""

    workspace: Workspace
    around: Surroundings
    checks: Mapping[str, tuple[Check, object]]
    held: Rounds
    known: Mapping[str, Doubles]  # raw scores of the reference part by check, ascending
    usual: Mapping[str, Doubles]  # its statistics by family, ascending
    rate: float

    @property
    def names(self) -> list[str]:
        """Checks that are judged beside a reference."""
        return sorted(self.known)

    @property
    def families(self) -> scoring.Families:
        return scoring.families_of(self.names)

    @property
    def units(self) -> dict[str, float]:
        return {name: entry.unit for name, (entry, _) in self.checks.items()}


@dataclass(frozen=True)
class _Struck:
    """An attack and what the families of checks said of it.

    Attributes:
        p_values: float64 (n, families).
        certain: bool (n,), documents that a conclusive check holds alone, whatever the shares.
        campaigns: int64 (n,).
    """

    attack: Attack
    p_values: Doubles
    certain: Bools
    campaigns: Ints


def calibrate(
    workspace: Workspace,
    *,
    rate: float | None = None,
    campaigns: int = 10,
    seed: int = 0,
    dry_run: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Calibration:
    """Learn shares on the serving index and write calibration.json.

    Args:
        workspace: Open and locked.
        rate: False-alarm rate to be best at; [judge] false_alarm_rate when `None`.
        campaigns: Campaigns of each attack, once to learn from and once to report.
        seed: The same seed on the same index gives the same shares.

    Raises:
        ConfigError: Too few documents are indexed to promise the rate.
    """
    asked = workspace.settings.judge.false_alarm_rate if rate is None else rate
    with workspace.scratch() if dry_run else nullcontext():
        fitted = _measure(workspace, asked, campaigns, seed, progress)
    if not dry_run:
        calibration.save(workspace, fitted)
    return fitted


def _measure(
    workspace: Workspace, asked: float, campaigns: int, seed: int, progress: Progress
) -> Calibration:
    """Return all of `calibrate` but the file."""
    generation = workspace.generation()
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
    parts = _split(list(serving.values()), seed, workspace.settings.judge.reference_documents)
    _require(parts, asked, len(serving), workspace.settings.judge.least_documents)
    if generation is None:
        raise ConfigError("nothing is indexed yet", hint="Bring documents in first.")
    workspace.check_recipe(workspace.encoder.recipe)
    fit, usual, report = (indexed_documents(workspace, generation.serving, rows) for rows in parts)
    arriving = round(ARRIVING * len(serving))
    held = Rounds(min(LARGEST, reference.rounds(arriving, len(serving)).size))
    settings = workspace.settings
    checks = scoring.active_checks(settings.checks, settings.plugins.checks)
    around = surroundings(workspace, serving, [])

    def rehearsed(documents: Sequence[PreparedDocument], stage: str) -> RehearsalScores:
        return reference.bring_in(
            documents, around, checks, held, lambda done, total: progress(stage, done, total)
        )

    raw = rehearsed(usual, "reference")
    known = {name: np.sort(scores) for name, scores in raw.scores.items()}
    names, clean_p = reference.clean_p_values(raw.scores, raw.owners, raw.units, len(usual))
    families = scoring.families_of(names)
    statistics = conformal.family_statistics(clean_p, families.weights, families.groups)
    clean = reference.clean_family_p_values(clean_p, families)
    each = {name: np.sort(statistics[:, c]) for c, name in enumerate(families.names)}
    bench = _Bench(workspace, around, checks, held, known, each, asked)
    honest = _p_values(bench, rehearsed(fit, "fit"))
    struck = _strike(bench, fit, campaigns, seed, "attacks to learn from", progress)
    prior = scoring.shares(families.names)
    learned = _learn(struck, honest, clean, prior, asked)
    fresh = _p_values(bench, rehearsed(report, "report"))
    unseen = _strike(bench, report, campaigns, seed + OTHER, "attacks to report", progress)
    return Calibration(
        at=format_time(workspace.now),
        rate=asked,
        promised_rate=rounded(1.0 / (len(clean) + 1.0)),
        weights=dict(
            zip(families.names, map(rounded, prior if learned is None else learned), strict=True)
        ),
        learned=learned is not None,
        arriving=held.size,
        settings=calibration.settings_digest(workspace),
        recipe=generation.recipe,
        seeds=calibration.Seeds(split=seed, fit=seed, report=seed + OTHER),
        fit=tuple(sorted({p.document.digest for p in fit})),
        reference=tuple(sorted({p.document.digest for p in usual})),
        report=_figures(unseen, fresh, clean, prior, prior if learned is None else learned, asked),
    )


def _split(
    rows: Sequence[VersionRow], seed: int, most: int
) -> tuple[list[VersionRow], list[VersionRow], list[VersionRow]]:
    """Three disjoint parts; equal bytes are one document, and one part's."""
    once = {row.digest: row for row in rows}
    order = sorted(once, key=lambda d: hashlib.sha256(f"{seed}:{d}".encode()).digest())
    first = round(PARTS[0] * len(order))
    second = first + round(PARTS[1] * len(order))
    fit, usual, report = (
        [once[d] for d in part][:most]
        for part in (order[:first], order[first:second], order[second:])
    )
    return fit, usual, report


def _require(parts: Sequence[Sequence[VersionRow]], rate: float, indexed: int, least: int) -> None:
    """Refuse a corpus that cannot promise the rate."""
    if indexed < least:
        raise ConfigError(
            f"{indexed} documents are indexed, {least} are needed to calibrate on",
            hint="Until then only what is wrong by itself is held ([judge] least_documents).",
        )
    wanted = ceil(1.0 / rate - 1e-9)
    there = min(len(parts[1]), len(parts[2]))
    if there < wanted:
        needed = ceil(wanted / PARTS[2])
        raise ConfigError(
            f"a false-alarm rate of {rate:.2%} takes {needed} different documents, {wanted} of "
            f"them set apart to report on; of {indexed} indexed {there} can be",
            hint=f"This corpus can promise --rate {1.0 / max(there, 1):.4f} now; for a lower rate "
            "bring in more, and raise [judge] reference_documents where it is what limits.",
        )


def _p_values(bench: _Bench, raw: RehearsalScores) -> Doubles:
    """Return the p-values of documents that were brought in, against the reference part."""
    table = np.full((len(raw.digests), len(bench.names)), np.nan)
    for column, name in enumerate(bench.names):
        if name not in raw.scores:
            continue
        order = np.argsort(raw.owners[name], kind="stable")
        present, dense = np.unique(raw.owners[name][order], return_inverse=True)
        if not len(present):
            continue
        signal = reference.silent(raw.scores[name][order])
        p, _ = scoring.document_p_values({name: signal}, bench.known, bench.units, dense, [name])
        table[present, column] = p[:, 0]
    return _by_family(bench, table)


def _by_family(bench: _Bench, p_values: Doubles) -> Doubles:
    """Return the p-values of families, float64 (n, f), from those of checks, float64 (n, c)."""
    return scoring.family_p_values(p_values, bench.families, bench.usual)


def _strike(
    bench: _Bench,
    part: Sequence[PreparedDocument],
    campaigns: int,
    seed: int,
    stage: str,
    progress: Progress,
) -> list[_Struck]:
    """Attack a part of the index, each attack arriving among honest documents of that part."""
    known = staging.chosen_attacks(())
    rng = np.random.default_rng(seed)
    struck = []
    for number, attack in enumerate(known.values()):
        progress(stage, number, len(known))
        order = rng.permutation(len(part)).tolist()
        target = staging.target_of(
            bench.workspace, [part[i] for i in order[bench.held.size :]], campaigns, seed
        )
        staged = staging.stage(bench.workspace, attack, target, seed, campaigns)
        poison = [(s.prepared, s.planted.campaign) for s in staged if s.prepared is not None]
        if not poison:
            continue
        beside = max(FEWEST, bench.held.size - len(poison))
        batch = [part[i] for i in order[: min(beside, bench.held.size)]]
        absent = {p.label for p in batch}
        arrived = [*batch, *(prepared for prepared, _ in poison)]
        known_words = reference.as_if_new(bench.around, batch)
        view = build_view(arrived, known_words, absent=absent)
        measured = scoring.measure(view, bench.checks)
        p, _ = scoring.document_p_values(
            measured.signals, bench.known, bench.units, view.documents[: view.n], bench.names
        )
        certain = scoring.certain_p_values(measured.signals, view.documents[: view.n]) <= bench.rate
        groups = number_groups([campaign for _, campaign in poison])
        mine = slice(len(batch), None)
        struck.append(_Struck(attack, _by_family(bench, p)[mine], certain[mine], groups))
    progress(stage, len(known), len(known))
    return struck


def _learn(
    struck: Sequence[_Struck], honest: Doubles, clean: Doubles, prior: Doubles, rate: float
) -> Doubles | None:
    """Learned shares, or `None` when they find less than the prior in what was held out."""
    families = [s.attack.family for s in struck]
    # What is held whatever the shares teaches nothing about them.
    taught = [terms(s.p_values[(s.campaigns % HELD_OUT != 0) & ~s.certain]) for s in struck]
    asked = [terms(s.p_values[(s.campaigns % HELD_OUT == 0) & ~s.certain]) for s in struck]
    some = [i for i, table in enumerate(taught) if len(table)]
    told = [i for i, table in enumerate(asked) if len(table)]
    if not some or not told:
        return None
    learned = learn(
        [taught[i] for i in some], [families[i] for i in some], terms(honest), prior, rate
    )
    usual = terms(clean)
    held_out = [asked[i] for i in told], [families[i] for i in told]
    after, _ = detection(*held_out, usual, learned, rate)
    before, _ = detection(*held_out, usual, prior, rate)
    return learned if after >= before and not np.array_equal(learned, prior) else None


def _figures(
    struck: Sequence[_Struck],
    fresh: Doubles,
    clean: Doubles,
    prior: Doubles,
    learned: Doubles,
    rate: float,
) -> calibration.Figures:
    """Detection and false alarms where nothing was learned, before and after."""

    def stopped(p_values: Doubles, weights: Doubles) -> Bools:
        usual = np.sort(conformal.combine(clean, weights))
        statistic = conformal.combine(p_values, weights)
        return np.asarray(conformal.conformal_p_values(statistic, usual) <= rate, dtype=np.bool_)

    def alarms(weights: Doubles) -> Share:
        hits = int(stopped(fresh, weights).sum())
        low, high = wilson(hits, len(fresh))
        return Share(share=rounded(hits / len(fresh)), interval=(rounded(low), rounded(high)))

    attacks = tuple(
        calibration.AttackFigures(
            name=s.attack.name,
            family=s.attack.family,
            params=digest({"params": repr(s.attack.params())}),
            documents=len(s.p_values),
            campaigns=int(s.campaigns.max()) + 1,
            before=_detection(stopped(s.p_values, prior) | s.certain, s.campaigns),
            after=_detection(stopped(s.p_values, learned) | s.certain, s.campaigns),
        )
        for s in struck
    )
    return calibration.Figures(
        honest=len(fresh),
        false_alarms_before=alarms(prior),
        false_alarms_after=alarms(learned),
        mean_before=_mean([(a.family, a.before.documents.share) for a in attacks]),
        mean_after=_mean([(a.family, a.after.documents.share) for a in attacks]),
        attacks=attacks,
    )


def _detection(stopped: Bools, campaigns: Ints) -> calibration.Detection:
    any_of, all_of = any_and_all(stopped, campaigns)
    each = np.arange(len(any_of))
    return calibration.Detection(
        documents=_share(stopped, campaigns), any=_share(any_of, each), all=_share(all_of, each)
    )


def _share(hits: Bools, groups: Ints) -> Share:
    share, (low, high) = share_by_group(hits, groups)
    return Share(share=rounded(share), interval=(rounded(low), rounded(high)))


def _mean(shares: Sequence[tuple[str, float]]) -> float:
    """Return the mean over families of the mean over their attacks."""
    families = sorted({family for family, _ in shares})
    means = [np.mean([s for f, s in shares if f == family]) for family in families]
    return rounded(np.mean(means)) if means else 0.0
