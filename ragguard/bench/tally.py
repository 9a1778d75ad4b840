"""Count what was held of honest documents: by protocol, by collection, by check and by rule.

A rate over one batch carries the exact interval of Clopper and Pearson (Biometrika 26 (1934)):
small batches and no hit are the usual case. Rates of checks and rules count every document once,
however many batches it was in. Repetitions draw from the same collection, so an interval over
several of them is narrower than it should be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragguard.bench.scratch import GateAnswer, ScratchStep
from ragguard.stats.intervals import clopper_pearson

HELD = frozenset({"quarantine", "pulled"})


@dataclass
class TallyRow:
    """One protocol on one collection, over all repetitions.

    Attributes:
        setting: Size, edition or visitor.
        steps: An ingest each.
    """

    collection: str
    protocol: str
    setting: str
    steps: list[ScratchStep] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """Documents that were looked at."""
        return sum(len(s.heard) + s.silent for s in self.steps)

    @property
    def held(self) -> list[GateAnswer]:
        """Those that wait."""
        return [h for s in self.steps for h in s.heard if h.outcome in HELD]

    def as_dict(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        heard = [h for s in self.steps for h in s.heard]
        promised = [s.promised for s in self.steps if s.promised is not None]
        return {
            "collection": self.collection,
            "protocol": self.protocol,
            "setting": self.setting,
            **share(len(self.held), self.documents),
            "rejected": sum(h.outcome == "reject" for h in heard),
            "pulled": sum(h.outcome == "pulled" for h in heard),
            "waited": sum(s.waited for s in self.steps),
            "not_yet_judged": sum(not h.judged for h in heard if h.outcome == "admit"),
            "first": _counted(h.checks[:1] for h in self.held),
            "checks": _counted(h.checks for h in self.held),
            "rules": _counted(h.rules for h in self.held),
            "profile": sorted({s.profile for s in self.steps if s.profile}),
            "promised_false_alarm_rate": max(promised, default=None),
            "seconds": round(sum(s.seconds for s in self.steps), 2),
            "held_documents": [
                {
                    "id": h.id,
                    "outcome": h.outcome,
                    "checks": list(h.checks),
                    "rules": list(h.rules),
                    "reason": h.sentence,
                }
                for h in self.held
            ],
            "rejected_documents": [
                {"id": h.id, "reason": h.sentence} for h in heard if h.outcome == "reject"
            ],
        }


def summarise(rows: Sequence[TallyRow]) -> dict[str, Any]:
    """Return the report's figures.

    Args:
        rows: In the order they are shown.

    Returns:
        `cases`, a row each; `protocols`, all collections together; `judged`, distinct documents;
        `checks` and `rules`, each with its honest rate over them.
    """
    protocols: dict[str, list[TallyRow]] = {}
    for row in rows:
        protocols.setdefault(row.protocol, []).append(row)
    spoke: dict[str, dict[str, set[tuple[str, str]]]] = {"checks": {}, "rules": {}}
    held: dict[str, dict[str, set[tuple[str, str]]]] = {"checks": {}, "rules": {}}
    first: dict[str, set[tuple[str, str]]] = {}
    judged: set[tuple[str, str]] = set()
    for row in rows:
        for document in (h for s in row.steps for h in s.heard):
            key = (_home(row), document.id)
            judged.add(key)
            for kind, names in (("checks", document.checks), ("rules", document.rules)):
                for name in names:
                    spoke[kind].setdefault(name, set()).add(key)
                    if document.outcome in HELD:
                        held[kind].setdefault(name, set()).add(key)
            if document.outcome in HELD and document.checks:
                first.setdefault(document.checks[0], set()).add(key)
    return {
        "judged": len(judged),
        "protocols": [
            {
                "protocol": name,
                **share(sum(len(r.held) for r in group), sum(r.documents for r in group)),
                "worst": max((len(r.held) / max(r.documents, 1) for r in group), default=0.0),
            }
            for name, group in protocols.items()
        ],
        "checks": _rates(spoke["checks"], held["checks"], first, len(judged)),
        "rules": _rates(spoke["rules"], held["rules"], {}, len(judged)),
        "cases": [row.as_dict() for row in rows],
    }


def _home(row: TallyRow) -> str:
    """Tell where a document comes from: visitors are another collection's."""
    return row.setting.rpartition(", ")[0] if row.protocol == "other subject" else row.collection


def _rates(
    spoke: dict[str, set[tuple[str, str]]],
    held: dict[str, set[tuple[str, str]]],
    first: dict[str, set[tuple[str, str]]],
    of: int,
) -> list[dict[str, Any]]:
    """Honest rate of each name: documents it spoke of, and those that were held with it."""
    names = sorted(spoke, key=lambda n: (-len(held.get(n, ())), -len(spoke[n]), n))
    return [
        {
            "name": name,
            "found": len(spoke[name]),
            **share(len(held.get(name, ())), of),
            "first": len(first.get(name, ())),
            "found_share": share(len(spoke[name]), of)["share"],
            "found_upper": share(len(spoke[name]), of)["interval"][1],
        }
        for name in names
    ]


def share(hits: int, of: int) -> dict[str, Any]:
    """Return a share as a JSON object, with its exact 95 % interval."""
    low, high = clopper_pearson(hits, of)
    return {
        "documents": of,
        "held": hits,
        "share": round(hits / of, 6) if of else 0.0,
        "interval": [round(low, 6), round(high, 6)],
    }


def _counted(groups: Iterable[Sequence[str]]) -> dict[str, int]:
    counts = Counter(name for group in groups for name in group)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
