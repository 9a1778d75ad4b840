"""What clean documents score: profiles, fitted by rehearsing indexed documents as newcomers.

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
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ragguard import lexicon as lexicons
from ragguard.checks import Check
from ragguard.errors import LedgerError
from ragguard.kernels import calibration
from ragguard.kernels.calibration import Doubles
from ragguard.kernels.canonical import digest
from ragguard.model import Evidence, Ints, Signal
from ragguard.scoring import WEIGHTS, Profile, document_p_values, measure, weights
from ragguard.view import Prepared, Surroundings, build_view, point_label

FOLDS = 10
ROUND_SIZES = tuple(round(16 * 2 ** (i / 2)) for i in range(17))  # 16 to 4,096
COLD = 50  # indexed documents below which nothing counts as known
VERSION = 2
READABLE = (1, 2)  # version 1 had no weights: those of `scoring.WEIGHTS` were used


@dataclass(frozen=True)
class Raw:
    """What checks said of clean documents that were brought in as newcomers.

    Attributes:
        scores: Raw scores by check, float64, in no order.
        owners: Document number of each score, by check.
        units: Unit of each check.
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
    """

    size: int
    thin: float = 0.0

    def documents(self, wanted: int) -> int:
        """How many documents to rehearse so that at least `wanted` are, in whole rounds."""
        return max(1, -(-wanted // self.size)) * self.size


def rounds(arriving: int, indexed: int) -> Rounds:
    """The rehearsal for a batch of a size: newcomers and reference in like proportion.

    What collusion scores depends on how many arrive for each that is there: where half a corpus
    arrives, honest passages on one subject arrive together. Measured with batches of 256 instead
    of 1,878 for 3,756 newcomers beside 3,757 passages: 38 % of honest ones flagged at 1 % asked.

    Args:
        arriving: Documents of the batch.
        indexed: Documents in the index.
    """
    wanted = indexed * arriving / max(indexed + arriving, 1)
    size = min(ROUND_SIZES, key=lambda s: (abs(np.log(s / max(wanted, 1.0))), s))
    most = max(ROUND_SIZES[0], indexed // 2)
    if size > most or wanted > size * 1.2:
        size = min(most, ROUND_SIZES[-1])
    left = size * indexed / max(arriving, 1)
    thin = 1.0 - left / max(indexed - size, 1)
    return Rounds(size, round(thin, 2 if thin < 0.95 else 3) if thin > 0.2 else 0.0)


def rehearse(
    documents: Sequence[Prepared],
    around: Surroundings,
    checks: Mapping[str, tuple[Check, object]],
    held: Rounds,
    name: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    learned: Mapping[str, float] = WEIGHTS,
) -> Profile:
    """Fit a profile on indexed documents.

    Args:
        documents: Clean indexed documents, in the order they are to be brought in.
        around: What newcomers are held against, these documents included.
        checks: The checks in force.
        held: How many are brought in at once, and what is left out beside them.
        name: Name of the profile.
        progress: Called with done and total.
        learned: Weights of the checks in the combination.
    """
    raw = bring_in(documents, around, checks, held, progress)
    return assemble(name, raw.scores, raw.owners, raw.units, raw.digests, learned)


def bring_in(
    documents: Sequence[Prepared],
    around: Surroundings,
    checks: Mapping[str, tuple[Check, object]],
    held: Rounds,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Raw:
    """Bring indexed documents in again, in rounds; see `rehearse`."""
    parts: dict[str, list[Doubles]] = {}
    owners: dict[str, list[Ints]] = {}
    everyone = _labels(around) if held.thin else []
    for start in range(0, len(documents), held.size):
        batch = documents[start : start + held.size]
        known = as_if_new(around, batch)
        gone = np.random.default_rng(start).random(len(everyone)) < held.thin
        absent = {label for label, out in zip(everyone, gone, strict=True) if out}
        view = build_view(batch, known, absent=absent | {p.label for p in batch})
        for check, signal in measure(view, checks).signals.items():
            kept = ~np.isnan(signal.scores)
            parts.setdefault(check, []).append(signal.scores[kept])
            owners.setdefault(check, []).append(view.documents[: view.n][kept] + start)
        progress(min(start + held.size, len(documents)), len(documents))
    units = {check: entry.unit for check, (entry, _) in checks.items()}
    scores = {check: np.concatenate(found) for check, found in parts.items()}
    rows = {check: np.concatenate(found) for check, found in owners.items()}
    return Raw(scores, rows, units, [p.document.digest for p in documents])


def as_if_new(around: Surroundings, again: Sequence[Prepared]) -> Surroundings:
    """What indexed documents are held against when they come in again: without their words.

    Args:
        around: What newcomers are held against, these documents included.
        again: Indexed documents that are brought in again.
    """
    texts = [c.text for p in again for c in p.chunks]
    return replace(around, lexicon=lexicons.without(around.lexicon, texts, len(again)))


def _labels(around: Surroundings) -> list[str]:
    """Labels of all indexed documents, sorted."""
    found = {point_label(p) for block in around.store.scan(around.serving) for p in block}
    return sorted(found)


def assemble(
    name: str,
    scores: Mapping[str, Doubles],
    owners: Mapping[str, Ints],
    units: Mapping[str, float],
    digests: Sequence[str],
    learned: Mapping[str, float] = WEIGHTS,
) -> Profile:
    """A profile from the raw scores of clean chunks.

    Args:
        name: Name of the profile.
        scores: Raw scores by check, float64.
        owners: Document number of each score, by check.
        units: Unit of each check.
        digests: Digest of each document, in number order.
        learned: Weights of the checks in the combination.
    """
    names, p_values = clean_p_values(scores, owners, units, len(digests))
    return Profile(
        name,
        len(digests),
        {check: np.sort(found) for check, found in scores.items()},
        np.sort(calibration.combine(p_values, weights(names, learned))),
        digest(sorted(digests)),
        learned,
    )


def clean_p_values(
    scores: Mapping[str, Doubles],
    owners: Mapping[str, Ints],
    units: Mapping[str, float],
    count: int,
) -> tuple[list[str], Doubles]:
    """P-values of clean documents, each computed against the others only.

    Documents are dealt into ten folds, and each fold is compared with the nine that it is not in.

    Args:
        scores: Raw scores by check, float64.
        owners: Document number of each score, by check.
        units: Unit of each check.
        count: Number of documents.

    Returns:
        Checks, in column order; float64 (count, c), NaN where a check had nothing to say.
    """
    names = sorted(scores)
    p_values = np.full((count, len(names)), np.nan)
    fold_of = np.random.default_rng(0).permutation(count) % FOLDS
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
    """A profile as bytes."""
    buffer = io.BytesIO()
    head = {
        "version": VERSION,
        "name": profile.name,
        "documents": profile.documents,
        "fitted_on": profile.fitted_on,
        "weights": dict(profile.weights),
    }
    arrays: dict[str, Any] = {f"check.{name}": s for name, s in profile.scores.items()}
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
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            head = json.loads(kept["head"].tobytes())
            if head["version"] not in READABLE:
                raise ValueError(f"version {head['version']}")
            scores = {
                key.removeprefix("check."): kept[key].astype(np.float64)
                for key in kept.files
                if key.startswith("check.")
            }
            return Profile(
                head["name"],
                head["documents"],
                scores,
                kept["combined"].astype(np.float64),
                head["fitted_on"],
                {str(k): float(w) for k, w in head.get("weights", WEIGHTS).items()},
            )
    except (ValueError, KeyError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise LedgerError(f"profile: cannot be read ({error})") from None


def shipped(indexed: int) -> Profile:
    """The profile fitted on shipped text, for an empty or small index.

    Args:
        indexed: Documents in the serving index.
    """
    kind = "cold" if indexed < COLD else "warm"
    return load(files("ragguard").joinpath(f"profiles/{kind}.npz").read_bytes())


def keep(profile: Profile, path: Path, indexed: int) -> None:
    """Write a fitted profile to a cache file.

    Args:
        profile: The profile.
        path: Cache file.
        indexed: Documents in the index when it was fitted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(indexed.to_bytes(8, "big") + dump(profile))
    os.replace(aside, path)


def load_fitted(data: bytes) -> tuple[Profile, int] | None:
    """Read what `keep` wrote: the profile and how many documents were indexed then.

    Returns:
        `None` when the cache file is damaged; it is fitted again then.
    """
    try:
        return load(data[8:]), int.from_bytes(data[:8], "big")
    except LedgerError:
        return None
