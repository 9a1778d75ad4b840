"""Fit profiles of what clean documents score, by rehearsing indexed documents as newcomers.

A check's raw score depends on who is a newcomer and on how many arrive. So the reference is
measured as it will be used: documents of the serving index are drawn at random, taken out of the
reference, and brought in again as a batch of the size at hand; what the checks then say about
them is what they say about honest newcomers. The batch being judged is never part of it.

What breaks it: an index that is poisoned already, and newcomers that differ from everything indexed
for honest reasons (a new subject, a new language, another kind of document).
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from ragguard.detect import lexicon as lexicons
from ragguard.detect.checks import Check
from ragguard.detect.scoring import (
    SHARES,
    Families,
    Profile,
    document_p_values,
    families_of,
    family_p_values,
    measure,
    shares,
)
from ragguard.detect.view import (
    PreparedDocument,
    Surroundings,
    build_view,
    near_suspects,
    point_label,
)
from ragguard.errors import LedgerError
from ragguard.model import Bools, Doubles, Evidence, Ints, Signal
from ragguard.stats import conformal
from ragguard.trust import kept
from ragguard.trust.canonical import digest
from ragguard.trust.files import replace_file

FOLDS = 10
ROUND_SIZES = tuple(round(16 * 2 ** (i / 2)) for i in range(17))  # 16 to 4,096
COLD = 50  # indexed documents below which no words count as known
VERSION = 8
TOGETHER = 8  # documents of one place that are brought in together
LARGE = 4  # an index of less than so many times a batch hardly holds more than the batch


Placed = TypeVar("Placed")


@dataclass(frozen=True)
class RehearsalScores:
    """What checks said of clean documents that were brought in as newcomers.

    Attributes:
        scores: Raw scores by check, float64, in no order.
        owners: Document number of each score, by check.
        digests: Digest of each document, in number order.
    """

    scores: Mapping[str, Doubles]
    owners: Mapping[str, Ints]
    units: Mapping[str, float]
    digests: Sequence[str]


@dataclass(frozen=True)
class Rounds:
    """How a rehearsal is held.

    Attributes:
        size: Documents brought in at once.
        thin: Share of the other indexed documents that are taken as not there, so that newcomers
            and reference stand in the same proportion as they will.
        together: Documents of one place that are brought in together, see `in_runs`.
    """

    size: int
    thin: float = 0.0
    together: int = 1

    def documents(self, wanted: int) -> int:
        """Count how many documents to rehearse so that at least `wanted` are, in whole rounds."""
        return max(1, -(-wanted // self.size)) * self.size


def rounds(arriving: int, indexed: int) -> Rounds:
    """Return the rehearsal for a batch of a size: newcomers and reference in like proportion.

    What collusion scores depends on how many arrive for each that is there: where half a corpus
    arrives, honest passages on one subject arrive together. Measured with batches of 256 instead
    of 1,878 for 3,756 newcomers beside 3,757 passages: 38 % of honest ones flagged at 1 % asked.

    A batch that is a quarter of the index or more is no section of it: whatever belongs together
    arrives together when documents are drawn one by one.
    """
    together = 1 if LARGE * arriving > indexed else TOGETHER
    wanted = indexed * arriving / max(indexed + arriving, 1)
    size = min(ROUND_SIZES, key=lambda s: (abs(np.log(s / max(wanted, 1.0))), s))
    most = max(ROUND_SIZES[0], indexed // 2)
    if size > most or wanted > size * 1.2:
        size = min(most, ROUND_SIZES[-1])
    left = size * indexed / max(arriving, 1)
    thin = 1.0 - left / max(indexed - size, 1)
    thin = round(thin, 2 if thin < 0.95 else 3) if thin > 0.2 else 0.0
    return Rounds(size, thin, together)


def in_runs(places: Sequence[Placed], together: int) -> list[Placed]:
    """Draw documents in runs of those that lie together.

    What arrives together belongs together: a section, the notes of all releases, the pages of one
    command. Documents drawn one by one hardly ever do, and say too little of what is usual.

    Args:
        places: Documents in the order of their names; the runs keep it.
        together: Documents of a run.
    """
    whole = len(places) // together
    order = [*np.random.default_rng(0).permutation(whole).tolist(), whole]
    return [place for run in order for place in places[run * together : (run + 1) * together]]


def rehearse(
    documents: Sequence[PreparedDocument],
    around: Surroundings,
    checks: Mapping[str, tuple[Check, object]],
    held: Rounds,
    name: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    learned: Mapping[str, float] = SHARES,
) -> Profile:
    """Fit a profile on indexed documents.

    Args:
        documents: Clean indexed documents, in the order they are to be brought in.
        around: What newcomers are held against, these documents included.
        checks: The checks in force.
        held: How many are brought in at once, and what is left out beside them.
        learned: Shares of the families in the alarm budget.
    """
    raw = bring_in(documents, around, checks, held, progress)
    return assemble(name, raw.scores, raw.owners, raw.units, raw.digests, learned)


def bring_in(
    documents: Sequence[PreparedDocument],
    around: Surroundings,
    checks: Mapping[str, tuple[Check, object]],
    held: Rounds,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RehearsalScores:
    """Bring indexed documents in again, in rounds; see `rehearse`."""
    parts: dict[str, list[Doubles]] = {}
    owners: dict[str, list[Ints]] = {}
    everyone = _labels(around) if held.thin else []
    asked = dict(checks)
    for start in range(0, len(documents), held.size):
        batch = documents[start : start + held.size]
        known = as_if_new(around, batch)
        gone = np.random.default_rng(start).random(len(everyone)) < held.thin
        absent = {label for label, out in zip(everyone, gone, strict=True) if out}
        beside = near_suspects(batch, around.suspects)
        view = build_view(batch, known, absent=absent | {p.label for p in batch}, beside=beside)
        own = view.documents[: view.n] < len(batch)
        for check, signal in measure(view, asked).signals.items():
            if signal.p_values is not None:
                del asked[check]  # knows by itself how rare its scores are
                continue
            kept = ~np.isnan(signal.scores) & own
            parts.setdefault(check, []).append(signal.scores[kept])
            owners.setdefault(check, []).append(view.documents[: view.n][kept] + start)
        progress(min(start + held.size, len(documents)), len(documents))
    units = {check: entry.unit for check, (entry, _) in checks.items()}
    scores = {check: np.concatenate(pieces) for check, pieces in parts.items()}
    rows = {check: np.concatenate(pieces) for check, pieces in owners.items()}
    return RehearsalScores(scores, rows, units, [p.document.digest for p in documents])


def leave_out(raw: RehearsalScores, gone: Bools) -> RehearsalScores:
    """Tell what checks said of the other documents.

    Args:
        raw: Of all.
        gone: bool (m,), documents that are left out.
    """
    number = np.cumsum(~gone) - 1
    kept = {check: ~gone[owners] for check, owners in raw.owners.items()}
    return RehearsalScores(
        {check: scores[kept[check]] for check, scores in raw.scores.items()},
        {check: number[owners[kept[check]]] for check, owners in raw.owners.items()},
        raw.units,
        [name for name, out in zip(raw.digests, gone.tolist(), strict=True) if not out],
    )


def as_if_new(around: Surroundings, again: Sequence[PreparedDocument]) -> Surroundings:
    """Tell what indexed documents are held against when they come in again: without their words.

    Args:
        around: What newcomers are held against, these documents included.
        again: Indexed documents that are brought in again.
    """
    texts = [c.text for p in again for c in p.chunks]
    return replace(around, lexicon=lexicons.without(around.lexicon, texts, len(again)))


def _labels(around: Surroundings) -> list[str]:
    """List labels of all indexed documents, sorted."""
    labels = {point_label(p) for block in around.store.scan(around.serving) for p in block}
    return sorted(labels)


def assemble(
    name: str,
    scores: Mapping[str, Doubles],
    owners: Mapping[str, Ints],
    units: Mapping[str, float],
    digests: Sequence[str],
    learned: Mapping[str, float] = SHARES,
) -> Profile:
    """Return a profile from the raw scores of clean chunks.

    Args:
        scores: Raw scores by check, float64.
        owners: Document number of each score, by check.
        digests: Digest of each document, in number order.
        learned: Shares of the families in the alarm budget.
    """
    names, p_values = clean_p_values(scores, owners, units, len(digests))
    families = families_of(names)
    statistics = conformal.family_statistics(p_values, families.weights, families.groups)
    by_family = clean_family_p_values(p_values, families)
    return Profile(
        name,
        len(digests),
        {check: np.sort(raw_scores) for check, raw_scores in scores.items()},
        np.sort(conformal.combine(by_family, shares(families.names, learned))),
        digest(sorted(digests)),
        learned,
        {family: np.sort(statistics[:, c]) for c, family in enumerate(families.names)},
    )


def folds_of(count: int) -> Ints:
    """Return the fold of each of so many documents, the same wherever it is asked for."""
    folds: Ints = np.random.default_rng(0).permutation(count) % FOLDS
    return folds


def clean_family_p_values(p_values: Doubles, families: Families) -> Doubles:
    """P-values of what families say of clean documents, each against other folds, float64 (m, f).

    Args:
        p_values: float64 (m, c), of the checks on clean documents.
        families: Of which checks they are.
    """
    statistics = conformal.family_statistics(p_values, families.weights, families.groups)
    by_family = np.full(statistics.shape, np.nan)
    fold_of = folds_of(len(statistics))
    for fold in range(FOLDS):
        mine = fold_of == fold
        if mine.any() and not mine.all():
            others = {n: np.sort(statistics[~mine, c]) for c, n in enumerate(families.names)}
            by_family[mine] = family_p_values(p_values[mine], families, others)
    return by_family


def clean_p_values(
    scores: Mapping[str, Doubles],
    owners: Mapping[str, Ints],
    units: Mapping[str, float],
    count: int,
) -> tuple[list[str], Doubles]:
    """Return the p-values of clean documents, each computed against the others only.

    Documents are dealt into ten folds, and each fold is compared with the nine that it is not in.

    Args:
        scores: Raw scores by check, float64.
        owners: Document number of each score, by check.
        count: Number of documents.

    Returns:
        Checks, in column order; float64 (count, c), NaN where a check had nothing to say.
    """
    names = sorted(scores)
    p_values = np.full((count, len(names)), np.nan)
    fold_of = folds_of(count)
    for fold in range(FOLDS):
        members = np.flatnonzero(fold_of == fold)
        if not len(members):
            continue
        for column, check in enumerate(names):
            mine = fold_of[owners[check]] == fold
            others = np.sort(scores[check][~mine])
            present, dense = np.unique(owners[check][mine], return_inverse=True)
            if not len(present):
                continue
            order = np.argsort(dense, kind="stable")
            signal = silent(scores[check][mine][order])
            p, _ = document_p_values({check: signal}, {check: others}, units, dense[order], [check])
            p_values[present, column] = p[:, 0]
    return names, p_values


def silent(scores: Doubles) -> Signal:
    """Raw scores of clean chunks as a signal; they are never explained."""
    return Signal(scores, _silent)


def _silent(row: int) -> Evidence:
    raise AssertionError(f"nothing is explained while fitting (row {row})")


def dump(profile: Profile) -> bytes:
    """Return a profile as bytes."""
    buffer = io.BytesIO()
    head = {
        "version": VERSION,
        "name": profile.name,
        "documents": profile.documents,
        "fitted_on": profile.fitted_on,
        "shares": dict(profile.shares),
    }
    arrays: dict[str, Any] = {f"check.{name}": s for name, s in profile.scores.items()}
    arrays |= {f"family.{name}": s for name, s in profile.families.items()}
    arrays["head"] = np.frombuffer(json.dumps(head, sort_keys=True).encode(), dtype=np.uint8)
    arrays["combined"] = profile.combined
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def load(data: bytes) -> Profile:
    """Read what `dump` wrote.

    Raises:
        LedgerError: Not a profile of this version.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            if head["version"] != VERSION:
                raise ValueError(f"version {head['version']}")
            scores, families = (
                {
                    key.removeprefix(kind): arrays[key].astype(np.float64)
                    for key in arrays.files
                    if key.startswith(kind)
                }
                for kind in ("check.", "family.")
            )
            return Profile(
                head["name"],
                head["documents"],
                scores,
                arrays["combined"].astype(np.float64),
                head["fitted_on"],
                {str(k): float(w) for k, w in head["shares"].items()},
                families,
            )
    except (ValueError, KeyError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise LedgerError(f"profile: cannot be read ({error})") from None


def keep(profile: Profile, path: Path, indexed: int, seal_key: bytes) -> None:
    """Write a fitted profile to a cache file."""
    data = indexed.to_bytes(8, "big") + dump(profile)
    replace_file(path, kept.wrap(data, seal_key, path.name))


def load_fitted(path: Path, seal_key: bytes) -> tuple[Profile, int] | None:
    """Read what `keep` wrote: the profile and how many documents were indexed then.

    Returns:
        `None` when the cache file is missing, damaged, or not this workspace's own under this name;
        it is fitted again then.
    """
    try:
        data = kept.unwrap(path.read_bytes(), seal_key, path.name)
        return None if data is None else (load(data[8:]), int.from_bytes(data[:8], "big"))
    except (LedgerError, OSError):
        return None
