"""Find near-copies of one text that claim different things about it.

The same text as `legal, confidential` and as `marketing, public`: one of the two is wrong, and the
newcomer is the one to be asked. Also the same document changing what it claims from one version to
the next. A mirror that claims the same pays nothing, whoever sends it. Nor does a text that the
index itself holds under several values, such as a form letter of every department: there the text
does not decide the value.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Metadata, Signal
from ragguard.text.words import jaccard


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.metadata_conflict]."""

    keys: tuple[str, ...] = (
        "department",
        "label",
        "access",
        "language",
        "classification",
        "permitted_roles",
        "roles",
        "license",
    )
    similarity: float = 0.9  # cosine from which a neighbour may be a copy
    overlap: float = 0.75  # word Jaccard from which it is one
    own_change: float = 1.0  # score of a changed key between versions of one document


@check("metadata_conflict", family="metadata", params=Params, unit=0.25)
def metadata_conflict(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how many keys it contradicts its near-copies on.

    Returns:
        Raw scores, float64 (n,): contradicted keys, times the overlap with the copy. Copies in the
        index decide where there are any; else those among the newcomers.

    Raises:
        NotApplicable: Nothing to compare with.
    """
    tables = (view.reference, view.newcomers)
    left = np.concatenate([np.repeat(np.arange(view.n), t.indices.shape[1]) for t in tables])
    right = np.concatenate([t.indices.ravel() for t in tables])
    close = np.concatenate([t.similarities.ravel() for t in tables])
    kept = (right >= 0) & (close >= params.similarity)
    left, right = left[kept], right[kept]
    shared = jaccard(view.terms, left, right)
    copies = shared >= params.overlap
    changed: dict[int, list[str]] = {}
    for document, before in enumerate(view.previous_metadata):
        if before is not None and (
            keys := _differing(view.metadata[document], before, params.keys)
        ):
            changed[document] = keys
    if not changed and not copies.any() and not (view.reference.indices >= 0).any():
        raise NotApplicable("nothing to compare with")
    scores = np.zeros(view.n)
    conflicts: dict[int, tuple[str, list[str]]] = {}
    for row, twins in _by_row(view, left[copies], right[copies], shared[copies]).items():
        mine = view.metadata[int(view.documents[row])]
        theirs = [view.metadata[int(view.documents[twin])] for _, twin in twins]
        undecided = {
            k for k in params.keys if len({repr(_plain(m[k])) for m in theirs if k in m}) > 1
        }
        for overlap, twin in twins:
            other = int(view.documents[twin])
            keys = [
                k for k in _differing(mine, view.metadata[other], params.keys) if k not in undecided
            ]
            if len(keys) * overlap > scores[row]:
                scores[row] = len(keys) * overlap
                conflicts[row] = (view.labels[other], keys)
    for row in range(view.n):
        keys = changed.get(int(view.documents[row]), [])
        if keys and params.own_change * len(keys) > scores[row]:
            scores[row] = params.own_change * len(keys)
            conflicts[row] = ("the version it replaces", keys)

    def explain(row: int) -> Evidence:
        other, keys = conflicts.get(row, ("", []))
        mine = view.metadata[int(view.documents[row])]
        claims = ", ".join(f"{key} = {mine.get(key)!r}" for key in keys)
        return Evidence(
            f"the same text as {other}, but it claims {claims}", {"copy_of": other, "keys": keys}
        )

    return Signal(scores, explain)


def _by_row(
    view: CorpusView, left: np.ndarray, right: np.ndarray, shared: np.ndarray
) -> dict[int, list[tuple[float, int]]]:
    """Copies of each judged row (overlap, row): those in the index, else all."""
    copies: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for a, b, overlap in zip(left.tolist(), right.tolist(), shared.tolist(), strict=True):
        copies[a].append((overlap, b))
    for row, twins in copies.items():
        if indexed := [t for t in twins if view.zones[t[1]] == "serving"]:
            copies[row] = indexed
    return copies


def _differing(mine: Metadata, theirs: Metadata, keys: tuple[str, ...]) -> list[str]:
    return [k for k in keys if k in mine and k in theirs and _plain(mine[k]) != _plain(theirs[k])]


def _plain(value: object) -> object:
    """Return a list in whatever order is the same list."""
    return sorted(map(str, value)) if isinstance(value, list | tuple) else value
