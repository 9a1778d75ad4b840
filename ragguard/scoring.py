"""Runs the checks on a view, turns raw scores into one p-value a document, and gives the verdict.

What is done with scores, and what it promises, stands in `kernels.calibration`. Per check, a
document's p-value is that of its worst chunk times the number of its chunks (Bonferroni). A check
that fails, as a whole or on one chunk, is a finding and quarantines what it could not examine.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragguard import checks as checks_package
from ragguard.checks import Check
from ragguard.errors import ConfigError, NotApplicable
from ragguard.kernels import calibration
from ragguard.kernels.calibration import Doubles
from ragguard.model import CorpusView, Finding, Ints, Outcome, Policy, Signal, Skipped, Verdict
from ragguard.view import Prepared

logger = logging.getLogger(__name__)

# Outlier scores mean little far out: whatever they say, they are not believed beyond this p-value.
FLOORS: Mapping[str, float] = {"glosh": 1e-3, "isolation": 1e-4}
# Checks that say the same of a document whatever arrives with it.
DETERMINISTIC = frozenset({"hidden", "instructions", "secrets", "denylist"})
# Raw scores flagrant in any corpus: companions twice as close as their surroundings (log 2).
# Honest first imports of six corpora reach it in 0 to 2 of 100 documents.
FLAGRANT: Mapping[str, float] = {"collusion": 0.7}
CROWD = 300  # documents of a batch from which it can be held against itself, see `judge`
_NONE: Doubles = np.empty(0)
NOTABLE = 0.02  # check p-value from which a finding is written down
# Prior belief in how often each check is what gives poison away; only ranks and power depend on it,
# never the false-alarm rate. GLOSH shifts for honest neighbours when something dense arrives.
WEIGHTS: Mapping[str, float] = {
    "coherence": 1.5,
    "collusion": 2.0,
    "denylist": 2.0,
    "foreign_request": 1.0,
    "glosh": 0.02,
    "hubness": 0.5,
    "isolation": 0.2,
    "question_lead": 0.7,
    "stuffing": 0.4,
    "surprisal": 0.15,
    "twin_edit": 2.0,
}


@dataclass(frozen=True)
class Profile:
    """What clean documents score.

    Attributes:
        name: `shipped-cold`, `shipped-warm`, or `corpus` when fitted on the user's own index.
        documents: How many clean documents it was fitted on.
        scores: Per check, raw scores of their chunks, ascending.
        combined: Their combined statistics, ascending, one a document.
        fitted_on: Digest over the documents it was fitted on.
        weights: Weight of each check in the combination, of which `combined` are the statistics;
            a check without one weighs 1.
    """

    name: str
    documents: int
    scores: Mapping[str, Doubles]
    combined: Doubles
    fitted_on: str
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)

    @property
    def smallest_rate(self) -> float:
        """The smallest false-alarm rate it can promise."""
        return 1.0 / (len(self.combined) + 1.0)


@dataclass(frozen=True)
class Measured:
    """Signals of all checks on one view."""

    signals: Mapping[str, Signal]
    skipped: tuple[Skipped, ...]


def active_checks(settings: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[Check, object]]:
    """Checks that are on, with their parameters.

    Args:
        settings: The [checks.*] tables; `enabled = false` turns a check off.

    Raises:
        ConfigError: An unknown check or parameter.
    """
    known = checks_package.registry()
    if unknown := settings.keys() - known.keys():
        raise ConfigError(
            f"[checks.{min(unknown)}]: no such check", hint=f"There are {', '.join(known)}."
        )
    result: dict[str, tuple[Check, object]] = {}
    for name, check in known.items():
        values = dict(settings.get(name, {}))
        enabled = values.pop("enabled", True)
        if not isinstance(enabled, bool):
            raise ConfigError(f"[checks.{name}] enabled: expected true or false, found {enabled!r}")
        if enabled:
            result[name] = (check, checks_package.parameters(check, values))
    return result


def measure(view: CorpusView, checks: Mapping[str, tuple[Check, object]]) -> Measured:
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
    return Measured(signals, tuple(skipped))


def document_p_values(
    signals: Mapping[str, Signal],
    profile: Mapping[str, Doubles],
    units: Mapping[str, float],
    documents: Ints,
    names: Sequence[str],
) -> tuple[Doubles, Ints]:
    """Per document and check: p-value of the worst chunk, and which chunk it is.

    Args:
        signals: Raw scores by check.
        profile: Reference raw scores by check, ascending.
        units: Unit of each check.
        documents: int64 (n,), document of each judged chunk, ascending from 0 without gaps.
        names: Checks, in column order.

    Returns:
        float64 (m, c), NaN where a check has no score or no reference; int64 (m, c) row numbers.
        A deterministic check without a reference is compared with zeros: an honest document
        scores 0.
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
        if not len(known):
            if name not in DETERMINISTIC:
                continue
            known = np.zeros(max(len(found) for found in profile.values()))
        scores = signals[name].scores
        usable = np.where(np.isnan(scores), -np.inf, scores)
        order = np.lexsort((np.arange(len(scores)), -usable, documents))
        worst = order[starts]
        rows[:, column] = worst
        chunk_p = calibration.tail_p_values(usable[worst], known, units[name])
        p[:, column] = np.minimum(1.0, np.maximum(chunk_p, FLOORS.get(name, 0.0)) * sizes)
    return p, rows


def weights(names: Sequence[str], learned: Mapping[str, float] = WEIGHTS) -> Doubles:
    """Weight of each check in the combination.

    Args:
        names: Checks, in column order.
        learned: Weights by check; the shipped prior, or what `calibrate` learned.
    """
    return np.array([learned.get(name, 1.0) for name in names])


def judge(
    batch: Sequence[Prepared],
    view: CorpusView,
    measured: Measured,
    profile: Profile,
    checks: Mapping[str, tuple[Check, object]],
    policies: Mapping[str, Policy],
    false_alarm_rate: float,
) -> list[Verdict]:
    """Judge every document of a batch.

    Against a shipped profile (the user's index is too small to calibrate on) a large batch looks
    odd as a whole, because the shipped sample is another kind of text. Then a document is
    quarantined for statistical reasons only if it is also among the most suspicious of its batch,
    the asked share of it. That spares honest first imports, and lets poison in where it is more
    than that share of the first batch.

    Args:
        batch: The documents, in the view's order.
        view: What the checks saw.
        measured: What they measured.
        profile: What clean documents score.
        checks: The checks that ran.
        policies: Contract of each source.
        false_alarm_rate: Share of honest documents accepted in quarantine.

    Returns:
        A verdict a document: admit or quarantine.
    """
    names = sorted(measured.signals)
    units = {name: check.unit for name, (check, _) in checks.items()}
    documents = view.documents[: view.n]
    p, rows = document_p_values(measured.signals, profile.scores, units, documents, names)
    lenient = [i for i, d in enumerate(batch) if not policies[d.document.source].block_secrets]
    judged = p.copy()
    if "secrets" in names:
        judged[lenient, names.index("secrets")] = np.nan
    by_name = weights(names, profile.weights)
    statistic = calibration.combine(judged, by_name) if names else np.zeros(len(batch))
    combined = calibration.conformal_p_values(statistic, profile.combined)
    if profile.name.startswith("shipped") and len(batch) >= CROWD:
        raw = np.stack(
            [measured.signals[n].scores[rows[:, c]] for c, n in enumerate(names)], axis=1
        )
        combined = _with_crowd(combined, judged, raw, names, profile)
    score = calibration.suspicion(statistic)
    crashed = [s for s in measured.skipped if s.crashed]
    verdicts: list[Verdict] = []
    for i, prepared in enumerate(batch):
        document = prepared.document
        rate = false_alarm_rate * (10.0 if policies[document.source].tier == "low" else 1.0)
        failed = [_crash(s.check, s.reason) for s in crashed]
        failed += _unexamined(measured.signals, np.flatnonzero(documents == i))
        outcome: Outcome = "quarantine" if combined[i] <= rate or failed else "admit"
        findings = failed + _findings(measured.signals, profile, names, p[i], rows[i], outcome)
        verdicts.append(
            Verdict(
                document.source,
                document.id,
                document.digest,
                outcome,
                round(float(score[i]), 6),
                round(float(combined[i]), 6),
                tuple(findings),
            )
        )
    return verdicts


def _with_crowd(
    combined: Doubles, p: Doubles, raw: Doubles, names: Sequence[str], profile: Profile
) -> Doubles:
    """P-values of a batch that is compared with itself too, see `judge`."""
    every = weights(names, profile.weights)
    relative = np.array([name not in DETERMINISTIC for name in names], dtype=bool)
    unaided = calibration.combine(p[:, relative], every[relative])
    rank = calibration.conformal_p_values(unaided, np.sort(unaided))
    # What the deterministic checks say, and what is flagrant, stands by itself, on the scale of the
    # whole combination.
    bars = np.array([FLAGRANT.get(name, np.inf) for name in names])
    certain = np.where(~relative | (raw >= bars), p, np.nan)
    alone = calibration.conformal_p_values(calibration.combine(certain, every), profile.combined)
    return np.asarray(np.minimum(alone, np.maximum(combined, rank)), dtype=np.float64)


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
    names: Sequence[str],
    p: Doubles,
    rows: Ints,
    outcome: Outcome,
) -> list[Finding]:
    """Findings worth telling, the most telling first."""
    notable = [c for c in range(len(names)) if not np.isnan(p[c]) and p[c] <= NOTABLE]
    if outcome == "quarantine" and not notable:
        notable = [int(np.nanargmin(p))] if not np.isnan(p).all() else []
    findings = []
    for column in sorted(notable, key=lambda c: -profile.weights.get(names[c], 1.0) / float(p[c])):
        signal, row = signals[names[column]], int(rows[column])
        evidence = signal.explain(row)
        floor = 1.0 / (len(profile.scores.get(names[column], profile.combined)) + 1.0)
        findings.append(
            Finding(
                names[column],
                round(float(signal.scores[row]), 6),
                round(max(float(p[column]), floor), 6),
                evidence.detail,
                evidence.facts,
            )
        )
    return findings
