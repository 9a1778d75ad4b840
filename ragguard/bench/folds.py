"""Split documents into three disjoint sets: fitted on, setting thresholds, reported.

A document's role among newcomers follows from its digest alone, so that it is the same in every
repetition: scores of several repetitions can be pooled and the threshold half still never meets
the reported half. What is indexed is drawn anew each time; it is disjoint from the newcomers of the
same repetition because it is the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.errors import BenchError
from ragguard.model import Bools, Ints


@dataclass(frozen=True)
class Fold:
    """One repetition's division of the honest corpus, as positions in it.

    Attributes:
        indexed: Documents that are there already, in random order.
        newcomers: Documents that arrive, in random order.
        sets_threshold: bool, per newcomer: it sets thresholds; else it is reported.
    """

    indexed: Ints
    newcomers: Ints
    sets_threshold: Bools


def sets_threshold(digest: str) -> bool:
    """Tell whether a newcomer with this digest sets thresholds; half of all do."""
    return int(digest[:2], 16) % 2 == 0


def divide(digests: Sequence[str], arriving: float, seed: int) -> Fold:
    """Draw who is indexed and who arrives.

    Args:
        digests: Of the honest corpus, each once.
        arriving: Share that arrives, above 0 and at most 1.
        seed: Of this repetition.

    Raises:
        BenchError: A document stands twice, or too few would arrive.
    """
    if len(set(digests)) != len(digests):
        raise BenchError("the corpus holds a document twice; it could be fitted on and reported")
    order = np.random.default_rng([seed, round(arriving * 10_000)]).permutation(len(digests))
    count = round(arriving * len(digests))
    newcomers = order[:count]
    role = np.array([sets_threshold(digests[i]) for i in newcomers], dtype=np.bool_)
    if not role.any() or role.all():
        raise BenchError(
            f"{len(digests)} documents, of which {count} arrive, are too few to set a threshold "
            "and report with others",
            hint="Take a larger corpus, or a larger --arriving.",
        )
    return Fold(order[count:].astype(np.int64), newcomers.astype(np.int64), role)


def require_disjoint(**sets: Iterable[str]) -> dict[str, int]:
    """Fail when a document is in two of the sets.

    Returns:
        Size of each set.

    Raises:
        BenchError: An overlap; a figure computed on it would be worth nothing.
    """
    known = {name: set(digests) for name, digests in sets.items()}
    names = list(known)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            if shared := known[first] & known[second]:
                raise BenchError(
                    f"{len(shared)} documents are both {first} and {second}, among them "
                    f"{min(shared)[:16]}…: nothing is reported",
                    hint="Fit on other documents than those that are reported.",
                )
    return {name: len(digests) for name, digests in known.items()}
