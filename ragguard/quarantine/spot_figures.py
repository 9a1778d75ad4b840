"""Estimate from spot checks how much bad is in, and how many honest documents are held."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ragguard.ledger import opinions
from ragguard.quarantine import spot_check
from ragguard.quarantine.spot_check import Draw
from ragguard.stats.intervals import as_body, clopper_pearson
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

WINDOW = timedelta(days=90)  # draws that count together


def figures(workspace: Workspace) -> dict[str, Any]:
    """Estimate from the draws of the last 90 days, as a JSON object.

    Shares carry Clopper's and Pearson's interval: exact for a sample of independent documents, and
    wider than it need be where a good part of them all was drawn. `documents` scales it to what
    was there at the last draw. Items without a word are counted and left out: who skips the hard
    ones makes the figures look better than they are.

    Returns:
        `draws`, `last` (time), and `bad_in` and `honest_held`, each with `drawn`, `judged`,
        `found`, `share`, `interval`, `population` and `documents` (bounds), or null without a draw.
    """
    with workspace.ledger.reading() as conn:
        past = opinions.acts(conn, spot_check.ACT)
    since = format_time(workspace.now - WINDOW)
    counted = [d for d in spot_check.draws(workspace, past) if d.at >= since]
    given_words = {name: str(entry["word"]) for name, entry in spot_check.words(past).items()}
    return {
        "draws": len(counted),
        "last": counted[-1].at if counted else None,
        "bad_in": _estimate(counted, given_words, "serving", "bad"),
        "honest_held": _estimate(counted, given_words, "quarantine", "good"),
    }


def _estimate(
    draws: list[Draw], given_words: dict[str, str], zone: str, word: str
) -> dict[str, Any] | None:
    if not draws:
        return None
    names = [i.name for drawn in draws for i in drawn.items if i.zone == zone]
    given = [given_words[name] for name in names if name in given_words]
    found = given.count(word)
    low, high = clopper_pearson(found, len(given))
    there = draws[-1].admitted if zone == "serving" else draws[-1].held
    return {
        "drawn": len(names),
        "judged": len(given),
        "found": found,
        **as_body(found / len(given) if given else 0.0, (low, high)),
        "population": there,
        "documents": [round(low * there), round(high * there)],
    }
