"""Score a view with the checks: one p-value a document, and the verdict.

What is done with scores, and what it promises, stands in `stats.conformal`. Per check, a
document's p-value is that of its worst chunk times the number of its chunks (Bonferroni). Checks
are combined by family, and families by their shares of the alarm budget. A check that says by
itself how rare its score is among ordinary documents (`Signal.p_values`, measured) is conclusive:
it is not part of the sum, and holds a document alone. A check that fails, as a whole or on one
chunk, is a finding and quarantines what it could not examine.

While the index is too small to say what is usual in it (a first import), only what is conclusive
holds a document, and campaigns that the batch itself convicts (`campaigns`); everything else comes
in as *not yet judged* (p-value `None`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from ragguard.detect import checks as checks_package
from ragguard.detect.checks import Check
from ragguard.detect.index_campaigns import tail
from ragguard.detect.plugged import plugged_checks
from ragguard.detect.view import PreparedDocument
from ragguard.errors import ConfigError, NotApplicable
from ragguard.model import (
    FIRST_IMPORT,
    CorpusView,
    Doubles,
    Finding,
    Ints,
    Outcome,
    Policy,
    Signal,
    Skipped,
    Verdict,
)
from ragguard.stats import conformal

logger = logging.getLogger(__name__)

# Outlier scores mean little far out: whatever they say, they are not believed beyond this p-value.
FLOORS: Mapping[str, float] = {"glosh": 1e-3, "isolation": 1e-4}
# A first import convicts a campaign only beyond these raw scores; see `campaigns`.
FLAGRANT: Mapping[str, float] = {"collusion": 0.92, "accord": 0.35}
UPPER = 0.75  # quantile of a first import that its tail is drawn through: a quarter may be poison
PART = 0.25  # share of a document's passages that must be flagrant: one menu makes no campaign
_NONE: Doubles = np.empty(0)
NOTABLE = 0.02  # check p-value from which a finding is written down
# Prior belief in how often each check of a family is what gives poison away; only ranks and power
# depend on it, never the false-alarm rate.
WEIGHTS: Mapping[str, float] = {
    "glosh": 0.02,
    "stuffing": 0.3,
    "surprisal": 0.1,
}
# Shares of the alarm budget by family of checks (docs/adr/0021-shares-of-the-alarm-budget.md).
SHARES: Mapping[str, float] = {
    "collusion": 6.0,
    "conflict": 0.5,
    "hidden": 3.0,
    "influence": 0.7,
    "isolation": 0.02,
    "metadata": 0.1,
    "text": 2.0,
}


@dataclass(frozen=True)
class Profile:
    """What clean documents score.

    Attributes:
        name: `corpus` when fitted on the user's own index, `FIRST_IMPORT` while it is too small.
        documents: How many clean documents it was fitted on.
        scores: Per check, raw scores of their chunks, ascending.
        families: Per family of checks, its statistic of each document, ascending.
        combined: Their combined statistics, ascending, one a document.
        fitted_on: Digest over the documents it was fitted on.
        shares: Share of each family, of which `combined` are the statistics; a family without one
            has 1.
    """

    name: str
    documents: int
    scores: Mapping[str, Doubles]
    combined: Doubles
    fitted_on: str
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    families: Mapping[str, Doubles] = field(default_factory=dict)

    @property
    def smallest_rate(self) -> float:
        """The smallest false-alarm rate it can promise; 1 while it promises nothing."""
        return 1.0 / (len(self.combined) + 1.0)

    @property
    def calibrated(self) -> bool:
        """Whether it knows what is usual; without, nothing is judged by statistics."""
        return len(self.combined) > 0


UNCALIBRATED = Profile(FIRST_IMPORT, 0, {}, _NONE, "")


def needed(least: int, rate: float) -> int:
    """Count indexed documents from which the index can say what is usual at a rate.

    Args:
        least: `[judge] least_documents`.
        rate: False-alarm rate asked; its smallest p-value is 1 / (documents + 1).
    """
    return max(least, ceil(1.0 / rate - 1e-9) - 1)


@dataclass(frozen=True)
class CheckSignals:
    """Signals of all checks on one view."""

    signals: Mapping[str, Signal]
    skipped: tuple[Skipped, ...]


def active_checks(
    settings: Mapping[str, Mapping[str, object]], plugins: Sequence[str] = ()
) -> dict[str, tuple[Check, object]]:
    """List checks that are on, with their parameters.

    Args:
        settings: The [checks.*] tables; `enabled` turns a check on or off.
        plugins: Checks of other packages, see `plugged.plugged_checks`.

    Raises:
        ConfigError: An unknown check or parameter.
    """
    known = checks_package.registry()
    known = {**known, **plugged_checks(plugins, sorted(known))}
    if unknown := settings.keys() - known.keys():
        raise ConfigError(
            f"[checks.{min(unknown)}]: no such check", hint=f"There are {', '.join(known)}."
        )
    result: dict[str, tuple[Check, object]] = {}
    for name, check in known.items():
        values = dict(settings.get(name, {}))
        enabled = values.pop("enabled", check.on)
        if not isinstance(enabled, bool):
            raise ConfigError(f"[checks.{name}] enabled: expected true or false, found {enabled!r}")
        if enabled:
            result[name] = (check, checks_package.parameters(check, values))
    return result


def measure(view: CorpusView, checks: Mapping[str, tuple[Check, object]]) -> CheckSignals:
    """Run checks; one that fails is reported as such and stops nothing."""
    signals: dict[str, Signal] = {}
    skipped: list[Skipped] = []
    for name, (check, params) in checks.items():
        try:
            signals[name] = check.function(view, params)
        except NotApplicable as error:
            skipped.append(Skipped(name, error.reason))
        except Exception as error:
            # A check's bug must neither open the gate nor end the run: `crashed` quarantines what
            # it could not examine, exits 5, and the traceback is logged.
            logger.exception("check %s failed", name)
            skipped.append(Skipped(name, f"{type(error).__name__}: {error}"[:300], crashed=True))
    return CheckSignals(signals, tuple(skipped))


def document_p_values(
    signals: Mapping[str, Signal],
    profile: Mapping[str, Doubles],
    units: Mapping[str, float],
    documents: Ints,
    names: Sequence[str],
) -> tuple[Doubles, Ints]:
    """Per document and check: p-value of the worst chunk, and which chunk it is.

    Args:
        profile: Reference raw scores by check, ascending.
        documents: int64 (n,), document of each judged chunk, ascending from 0 without gaps.
        names: Checks, in column order.

    Returns:
        float64 (m, c), NaN where a check has no score or no reference; int64 (m, c) row numbers.
    """
    m = int(documents[-1]) + 1
    p = np.full((m, len(names)), np.nan)
    rows = np.zeros((m, len(names)), dtype=np.int64)
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    sizes = np.diff(np.append(starts, len(documents)))
    for column, name in enumerate(names):
        if name not in signals:
            continue
        known = profile.get(name, _NONE)
        scores = signals[name].scores
        usable = np.where(np.isnan(scores), -np.inf, scores)
        order = np.lexsort((np.arange(len(scores)), -usable, documents))
        worst = order[starts]
        rows[:, column] = worst
        if not len(known):
            continue
        chunk_p = conformal.tail_p_values(usable[worst], known, units[name])
        p[:, column] = np.minimum(1.0, np.maximum(chunk_p, FLOORS.get(name, 0.0)) * sizes)
    return p, rows


@dataclass(frozen=True)
class Families:
    """Which check is of which family, and what each weighs within it.

    Attributes:
        names: Families, in column order.
        groups: int64 (c,), the family of each check.
        weights: float64 (c,), weight of each check within its family.
    """

    names: tuple[str, ...]
    groups: Ints
    weights: Doubles


def families_of(names: Sequence[str]) -> Families:
    """Sort checks into families.

    Args:
        names: Checks, in column order; one that is not registered is a family by itself.
    """
    known = checks_package.registry()
    each = [known[name].family if name in known else name for name in names]
    family_names = sorted(set(each))
    groups = np.array([family_names.index(name) for name in each], dtype=np.int64)
    return Families(
        tuple(family_names), groups, np.array([WEIGHTS.get(name, 1.0) for name in names])
    )


def shares(names: Sequence[str], learned: Mapping[str, float] = SHARES) -> Doubles:
    """Return the share of each family in the alarm budget, float64 (f,).

    Args:
        names: Families, in column order.
        learned: Shares by family; the shipped prior, or what `calibrate` learned.
    """
    return np.array([learned.get(name, 1.0) for name in names])


def family_p_values(
    p_values: Doubles, families: Families, reference: Mapping[str, Doubles]
) -> Doubles:
    """P-values of what each family says, against the reference documents, float64 (m, f).

    Args:
        p_values: float64 (m, c), of the checks; NaN where one had nothing to say.
        families: Of which checks they are.
        reference: Statistics of reference documents by family, ascending.
    """
    statistics = conformal.family_statistics(p_values, families.weights, families.groups)
    products = conformal.family_products(p_values, families.groups)
    by_family = np.full(statistics.shape, np.nan)
    for column, name in enumerate(families.names):
        known = reference.get(name, _NONE)
        if len(known):
            by_family[:, column] = conformal.family_p_values(
                statistics[:, column], known, products[:, column]
            )
    return by_family


def judge(
    batch: Sequence[PreparedDocument],
    view: CorpusView,
    measured: CheckSignals,
    profile: Profile,
    checks: Mapping[str, tuple[Check, object]],
    policies: Mapping[str, Policy],
    false_alarm_rate: float,
) -> list[Verdict]:
    """Judge every document of a batch.

    Args:
        batch: The documents, in the view's order; the view may have more after them.
        view: What the checks saw.
        measured: What they measured.
        profile: What clean documents score; `UNCALIBRATED` in a first import.
        checks: The checks that ran.
        false_alarm_rate: Share of honest documents accepted in quarantine.

    Returns:
        A verdict a document: admit or quarantine.
    """
    signals = measured.signals
    certain = sorted(name for name, signal in signals.items() if signal.p_values is not None)
    names = sorted(signals.keys() - set(certain))
    units = {name: check.unit for name, (check, _) in checks.items()}
    documents = view.documents[: view.n]
    p, rows = document_p_values(signals, profile.scores, units, documents, names)
    sure, places = conclusive_p_values(signals, certain, documents)
    lenient = [i for i, d in enumerate(batch) if not policies[d.document.source].block_secrets]
    held_for = sure.copy()
    if "secrets" in certain:
        held_for[lenient, certain.index("secrets")] = 1.0  # a finding, but no reason to hold
    alone = _together(held_for)
    if profile.calibrated:
        families = families_of(names)
        by_family = family_p_values(p, families, profile.families)
        statistic = conformal.combine(by_family, shares(families.names, profile.shares))
        combined = conformal.conformal_p_values(statistic, profile.combined)
        usual = np.maximum(statistic, conformal.statistic_of(alone))
    else:
        combined = campaigns(signals, documents)
        usual = conformal.statistic_of(np.minimum(alone, combined))
        for column, name in enumerate(names):
            if name in FLAGRANT:
                p[:, column] = np.where(combined <= false_alarm_rate, combined, 1.0)
    score = conformal.suspicion(usual)
    crashed = [s for s in measured.skipped if s.crashed]
    verdicts: list[Verdict] = []
    for i, prepared in enumerate(batch):
        document = prepared.document
        rate = false_alarm_rate * (10.0 if policies[document.source].tier == "low" else 1.0)
        failed = [_crash(s.check, s.reason) for s in crashed]
        failed += _unexamined(signals, np.flatnonzero(documents == i))
        suspect = min(alone[i], combined[i]) <= rate
        outcome: Outcome = "quarantine" if suspect or failed else "admit"
        by_check = {name: (float(p[i, c]), int(rows[i, c])) for c, name in enumerate(names)}
        by_check |= {name: (float(sure[i, c]), int(places[i, c])) for c, name in enumerate(certain)}
        findings = failed + _findings(signals, profile, by_check, outcome)
        judged = profile.calibrated or suspect
        verdicts.append(
            Verdict(
                document.source,
                document.id,
                document.digest,
                outcome,
                round(float(score[i]), 6),
                round(float(min(alone[i], combined[i])), 6) if judged else None,
                tuple(findings),
            )
        )
    return verdicts


def conclusive_p_values(
    signals: Mapping[str, Signal], names: Sequence[str], documents: Ints
) -> tuple[Doubles, Ints]:
    """Tell what checks that know their own rarity say of each document.

    Args:
        signals: Raw scores by check; those of `names` have p-values.
        names: Checks, in column order.
        documents: int64 (n,), document of each judged chunk, ascending from 0 without gaps.

    Returns:
        float64 (m, c): the smallest p-value of its chunks, which is the document's, since it was
        measured on documents; int64 (m, c) row numbers.
    """
    m = int(documents[-1]) + 1
    p = np.ones((m, len(names)))
    rows = np.zeros((m, len(names)), dtype=np.int64)
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    for column, name in enumerate(names):
        own = signals[name].p_values
        values = np.ones(len(documents)) if own is None else np.nan_to_num(own, nan=1.0)
        order = np.lexsort((np.arange(len(values)), values, documents))
        rows[:, column] = order[starts]
        p[:, column] = values[order[starts]]
    return p, rows


def _together(p_values: Doubles) -> Doubles:
    """One p-value a document from those of conclusive checks (Bonferroni), float64 (m,)."""
    combined: Doubles = np.minimum(
        1.0, p_values.min(axis=1, initial=1.0) * max(1, p_values.shape[1])
    )
    return combined


def certain_p_values(signals: Mapping[str, Signal], documents: Ints) -> Doubles:
    """Tell what all conclusive checks together say of each document, float64 (m,).

    Args:
        documents: int64 (n,), document of each judged chunk, ascending from 0 without gaps.
    """
    names = sorted(name for name, signal in signals.items() if signal.p_values is not None)
    return _together(conclusive_p_values(signals, names, documents)[0])


def campaigns(signals: Mapping[str, Signal], documents: Ints) -> Doubles:
    """Tell what a batch says of campaigns in it by itself, where nothing else tells what is usual.

    The batch is its own reference, as an index is in the audit: the tail of each campaign check is
    drawn through the middle of the batch, which poison that is less than a quarter of it hardly
    moves. A document is convicted only where all of them find it unusual and flagrant, in a good
    part of its passages.

    Args:
        documents: int64 (n,), document of each judged chunk, ascending from 0 without gaps.

    Returns:
        float64 (m,), p-value of each document, 1 where it is not convicted.
    """
    m = int(documents[-1]) + 1
    sizes = np.bincount(documents, minlength=m)
    if not signals.keys() >= FLAGRANT.keys():
        return np.ones(m)
    chunk_p = np.zeros(len(documents))
    for name, bar in FLAGRANT.items():
        scores = np.nan_to_num(signals[name].scores, nan=0.0)
        chunk_p = np.maximum(chunk_p, np.where(scores >= bar, tail(scores, UPPER), 1.0))
    document_p = np.ones(m)
    np.minimum.at(document_p, documents, chunk_p)
    part = np.bincount(documents, weights=chunk_p <= NOTABLE, minlength=m) / sizes
    return np.where(part >= PART, np.minimum(1.0, document_p * sizes), 1.0)


def _crash(name: str, reason: str) -> Finding:
    detail = f"the check {name} failed, so it is not known what it would have said ({reason})"
    return Finding(name, 0.0, None, detail, {"crashed": True})


def _unexamined(signals: Mapping[str, Signal], rows: Ints) -> list[Finding]:
    return [
        _crash(name, "a chunk could not be examined")
        for name, signal in sorted(signals.items())
        if np.isnan(signal.scores[rows]).any()
    ]


def _findings(
    signals: Mapping[str, Signal],
    profile: Profile,
    by_check: Mapping[str, tuple[float, int]],
    outcome: Outcome,
) -> list[Finding]:
    """List findings worth telling, the most telling first.

    Args:
        profile: What clean documents score.
        by_check: Of one document: p-value and row of its worst chunk, by check.
    """
    known = {name: value for name, value in by_check.items() if not np.isnan(value[0])}
    notable = [name for name, (p, _) in known.items() if p <= NOTABLE]
    if outcome == "quarantine" and not notable:
        notable = sorted(known, key=lambda name: known[name][0])[:1]
    findings = []
    for name in sorted(notable, key=lambda name: known[name][0]):
        p, row = known[name]
        signal = signals[name]
        evidence = signal.explain(row)
        floor = 1.0 / (len(profile.scores[name]) + 1.0) if name in profile.scores else 0.0
        findings.append(
            Finding(
                name,
                round(float(signal.scores[row]), 6),
                round(max(p, floor), 6),
                evidence.detail,
                evidence.facts,
            )
        )
    return findings
