"""Measure what each rule weighs: how often ordinary documents match it, and how often orders do.

    python benchmarks/measure_rules.py NAME=PATH… [--write]

PATH is a folder of documentation or a JSON-lines file with a `text` a line. A weight is the log of
the share of texts with an order that match over the upper 95 % bound (Clopper and Pearson) of the
share of ordinary documents that do. `--write` puts the result into
ragguard/detect/checks/rules/weights.json.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from ordinary_documents import Ordinary, digest, read

from ragguard.detect.checks import rules
from ragguard.detect.checks.rules import Hit, Weights
from ragguard.redteam.attacks.orders import order
from ragguard.text.encodings import readings
from ragguard.text.hidden import NOTE, inspect, kind_of
from ragguard.text.words import normalise

TARGET = Path(__file__).parents[1] / "ragguard/detect/checks/rules/weights.json"
CHUNK = 1000  # characters, as a workspace cuts by default
LONGEST = 40_000  # characters of a document that are looked at
MOST = 8_000  # documents of a set
CONCEALED = 1.5  # as `instructions` counts a phrase that was hidden


@dataclass
class Seen:
    """What ordinary documents hold, one entry a document.

    Attributes:
        rules: Documents a rule matches, quoted and described phrases apart.
        chunks: Per document that matches anything, its chunks' hits and their factor.
        hidden: Documents with a kind of hidden text.
        secrets: Documents with a kind of secret.
    """

    documents: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    chunks: list[list[tuple[list[Hit], float]]] = field(default_factory=list)
    hidden: Counter[str] = field(default_factory=Counter)
    secrets: Counter[str] = field(default_factory=Counter)


def upper(seen: int, of: int) -> float:
    """Clopper-Pearson upper 95 % bound of a share."""
    from scipy.stats import beta

    return 1.0 if seen >= of else float(beta.ppf(0.95, seen + 1, of - seen))


def look(documents: Iterable[Ordinary]) -> Seen:
    """Run every rule over ordinary documents."""
    secrets = import_module("ragguard.detect.checks.secrets")
    found = Seen()
    for document in documents:
        found.documents += 1
        text = normalise(document.text[:LONGEST])
        parts = [(rules.scan(piece), 1.0) for piece in pieces(text)]
        parts += [(rules.scan(r), CONCEALED) for _, r in readings(text)]
        hidden = inspect(document.raw, document.hidden, 3, text)
        parts += [(rules.scan(normalise(said)), CONCEALED) for _, _, said in hidden]
        if parts := [part for part in parts if part[0]]:
            found.chunks.append(parts)
            found.rules.update({h.rule for hits, _ in parts for h in hits if not h.passing})
        found.hidden.update({kind_of(find) for find in hidden if find[0] > NOTE})
        found.secrets.update(secrets.kinds_in(document.raw))
    return found


def pieces(text: str) -> list[str]:
    """A text in chunks, cut at blank lines where there are any."""
    made, current = [], ""
    for part in re.split(r"(?<=\n)(?=\s*\n)", text):
        if current and len(current) + len(part) > CHUNK:
            made.append(current)
            current = ""
        while len(part) > CHUNK:
            made.append(part[:CHUNK])
            part = part[CHUNK:]
        current += part
    return [piece for piece in [*made, current] if piece.strip()]


def orders() -> list[str]:
    """Texts with an order: the simulators', and those that the tests were designed with."""
    from tests.detect.checks.test_instructions_disguised import ORDERS as LANGUAGES
    from tests.support.checks.orders import ORDERS_DESIGN
    from tests.support.checks.phrases import ATTACKS

    rng = np.random.default_rng(0)
    made = [order(rng)[1] for _ in range(200)]
    return [*made, *ATTACKS, *ORDERS_DESIGN, *LANGUAGES.values()]


def measure(seen: Seen, texts: Sequence[str]) -> dict[str, Any]:
    """Weights, bounds and the tail of scores, as weights.json holds them."""
    hit = Counter(r for text in texts for r in {h.rule for h in rules.scan(normalise(text))})
    table = {}
    for name in rules.names():
        bound = upper(seen.rules[name], seen.documents)
        share = (hit[name] + 0.5) / (len(texts) + 1)
        table[name] = {
            "seen": seen.rules[name],
            "bound": float(f"{bound:.3g}"),
            "orders": hit[name],
            "weight": round(max(0.0, float(np.log(share / bound))), 2),
        }
    weights = {name: float(row["weight"]) for name, row in table.items()}
    bounds = {name: float(row["bound"]) for name, row in table.items()}
    scale = Weights(weights, bounds, np.zeros(0), np.zeros(1))  # p is 0 where a score is conclusive
    scores = []
    for parts in seen.chunks:
        scored = [(*rules.score(hits, scale), factor) for hits, factor in parts]
        if sure := [score * factor for score, p, factor in scored if p < rules.ALONE]:
            scores.append(round(max(sure), 3))
    levels = sorted(set(scores))
    above = [sum(s >= level for s in scores) for level in levels] + [0]
    return {
        "about": "Made by benchmarks/measure_rules.py.",
        "documents": seen.documents,
        "orders": len(texts),
        "rules": table,
        "tail": {
            "scores": levels,
            "bounds": [float(f"{upper(k, seen.documents):.3g}") for k in above],
        },
        "hidden_documents": seen.documents,
        "secrets_documents": seen.documents,
        "hidden": _kinds(seen.hidden, seen.documents),
        "secrets": _kinds(seen.secrets, seen.documents),
    }


def _kinds(counts: Counter[str], documents: int) -> dict[str, Any]:
    return {
        kind: {"seen": seen, "bound": float(f"{upper(seen, documents):.3g}")}
        for kind, seen in sorted(counts.items())
    }


def main() -> None:
    """Read, measure, and say or write what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--most", type=int, default=MOST, help="documents of a set")
    asked = parser.parse_args()
    every: list[Ordinary] = []
    used = {}
    for given in asked.sets:
        name, _, place = given.partition("=")
        some = list(read(name, Path(place), asked.most))
        used[name] = {"documents": len(some), "digest": digest(some)}
        every += some
    found = measure(look(every), orders())
    found["ordinary"] = used
    text = json.dumps(found, indent=1) + "\n"
    if asked.write:
        TARGET.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
