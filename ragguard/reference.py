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
from dataclasses import replace
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
from ragguard.scoring import Profile, document_p_values, measure, weights
from ragguard.view import Prepared, Surroundings, build_view

FOLDS = 10
ROUND_SIZES = (16, 64, 256, 1024)
COLD = 50  # indexed documents below which nothing counts as known
VERSION = 1


def round_size(batch: int, indexed: int) -> int:
    """How many documents a rehearsal brings in at once, for a batch of a size."""
    fitting = [s for s in ROUND_SIZES if s <= max(16, indexed // 4)] or [ROUND_SIZES[0]]
    return min(fitting, key=lambda s: (abs(np.log(s / max(batch, 1))), s))


def rehearse(
    documents: Sequence[Prepared],
    around: Surroundings,
    checks: Mapping[str, tuple[Check, object]],
    size: int,
    name: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Profile:
    """Fit a profile on indexed documents.

    Args:
        documents: Clean indexed documents, in the order they are to be brought in.
        around: What newcomers are held against, these documents included.
        checks: The checks in force.
        size: Documents brought in at once.
        name: Name of the profile.
        progress: Called with done and total.
    """
    parts: dict[str, list[Doubles]] = {}
    owners: dict[str, list[Ints]] = {}
    for start in range(0, len(documents), size):
        batch = documents[start : start + size]
        texts = [c.text for p in batch for c in p.chunks]
        held = replace(around, lexicon=lexicons.without(around.lexicon, texts, len(batch)))
        view = build_view(batch, held, absent={p.label for p in batch})
        for check, signal in measure(view, checks).signals.items():
            kept = ~np.isnan(signal.scores)
            parts.setdefault(check, []).append(signal.scores[kept])
            owners.setdefault(check, []).append(view.documents[: view.n][kept] + start)
        progress(min(start + size, len(documents)), len(documents))
    units = {check: entry.unit for check, (entry, _) in checks.items()}
    scores = {check: np.concatenate(found) for check, found in parts.items()}
    rows = {check: np.concatenate(found) for check, found in owners.items()}
    return assemble(name, scores, rows, units, [p.document.digest for p in documents])


def assemble(
    name: str,
    scores: Mapping[str, Doubles],
    owners: Mapping[str, Ints],
    units: Mapping[str, float],
    digests: Sequence[str],
) -> Profile:
    """A profile from the raw scores of clean chunks.

    The combined statistic of a clean document is computed against the others only: documents are
    dealt into ten folds, and each fold is compared with the nine that it is not in.

    Args:
        name: Name of the profile.
        scores: Raw scores by check, float64.
        owners: Document number of each score, by check.
        units: Unit of each check.
        digests: Digest of each document, in number order.
    """
    names = sorted(scores)
    count = len(digests)
    combined = np.zeros(count)
    fold_of = np.random.default_rng(0).permutation(count) % FOLDS
    for fold in range(FOLDS):
        members = np.flatnonzero(fold_of == fold)
        if not len(members):
            continue
        table = np.full((len(members), len(names)), np.nan)
        for column, check in enumerate(names):
            mine = fold_of[owners[check]] == fold
            others = np.sort(scores[check][~mine])
            signal = Signal(scores[check][mine], _silent)
            present, dense = np.unique(owners[check][mine], return_inverse=True)
            if not len(present):
                continue
            order = np.argsort(dense, kind="stable")
            signal = Signal(signal.scores[order], _silent)
            p, _ = document_p_values({check: signal}, {check: others}, units, dense[order], [check])
            table[np.searchsorted(members, present), column] = p[:, 0]
        combined[members] = calibration.combine(table, weights(names))
    return Profile(
        name,
        count,
        {check: np.sort(found) for check, found in scores.items()},
        np.sort(combined),
        digest(sorted(digests)),
    )


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
            if head["version"] != VERSION:
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
