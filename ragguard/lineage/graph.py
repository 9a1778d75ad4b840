"""Build the graph of a lineage: steps that were verified, and what hangs on what.

A step is verified when it is shown, by itself: each says whether *it* holds. A step that cannot be
verified because another is wrong is `unproved`, and names the other, so that what is wrong stands
out alone. What the terminal, the page and the API show is this graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["verified", "wrong", "unproved"]

# Kinds of steps in the order of the chain, from what is served to what signs it all.
KINDS = (
    "passage",
    "point",
    "seals",
    "stay",
    "version",
    "bytes",
    "case",
    "decision",
    "reviewer",
    "manifest",
    "signer",
    "receipt",
    "commit",
    "entry",
    "checkpoint",
)


@dataclass(frozen=True)
class Step:
    """A step of a lineage.

    Attributes:
        id: Unique in its graph: the kind, a colon, and what it is.
        kind: One of `KINDS`.
        label: For people; may hold names that a signer chose.
        state: Whether it was verified just now.
        reason: What was verified, what is wrong, or why nothing is proved; one sentence.
        facts: What there is to know of it, by name.
    """

    id: str
    kind: str
    label: str
    state: State
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """The relation of one step to another.

    Attributes:
        source: Id of the step that is said something of.
        target: Id of the other.
        relation: Such as `signed by`.
    """

    source: str
    target: str
    relation: str


@dataclass(frozen=True)
class Lineage:
    """The origin of a document, a chunk or an answer.

    Attributes:
        subject: Document (`source/id`), or digest of an answer's question.
        kind: `document` or `answer`.
        focus: Id of the step that was asked for.
        steps: In the order of the chain.
    """

    subject: str
    kind: Literal["document", "answer"]
    focus: str
    steps: Sequence[Step]
    edges: Sequence[Edge]

    @property
    def wrong(self) -> list[Step]:
        """Steps that do not hold."""
        return [step for step in self.steps if step.state == "wrong"]

    def count(self, state: State) -> int:
        """Number of steps in a state."""
        return sum(step.state == state for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Return the lineage as docs/schemas/lineage.json describes it."""
        return {
            "subject": self.subject,
            "kind": self.kind,
            "focus": self.focus,
            "verified": self.count("verified"),
            "wrong": self.count("wrong"),
            "unproved": self.count("unproved"),
            "steps": [{**vars(step), "facts": dict(step.facts)} for step in self.steps],
            "edges": [vars(edge) for edge in self.edges],
        }


class Sketch:
    """A graph in the making: steps by id, each added once."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._edges: dict[Edge, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._steps

    def state(self, name: str) -> State:
        """Return the state of a step."""
        return self._steps[name].state

    def add(
        self,
        kind: str,
        name: object,
        label: str,
        checked: tuple[State, str],
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a step; returns its id.

        Args:
            kind: One of `KINDS`.
            name: What it is, unique among its kind.
            checked: State and reason.
        """
        known = f"{kind}:{name}"
        self._steps.setdefault(known, Step(known, kind, label, *checked, dict(facts or {})))
        return known

    def link(self, source: str, relation: str, target: str) -> None:
        """Connect two steps."""
        self._edges[Edge(source, target, relation)] = None

    def finish(self, subject: str, kind: Literal["document", "answer"], focus: str = "") -> Lineage:
        """Finish the graph, its steps in the order of the chain."""
        for looked in ("commit", "entry"):  # looked at, and found to have nothing to do with it
            meant = {edge.target for edge in self._edges if edge.source in self._steps}
            self._steps = {n: s for n, s in self._steps.items() if s.kind != looked or n in meant}
        order = {name: place for place, name in enumerate(KINDS)}
        steps = sorted(self._steps.values(), key=lambda step: order[step.kind])
        edges = [e for e in self._edges if e.source in self._steps and e.target in self._steps]
        chosen = focus if focus in self._steps else (steps[0].id if steps else "")
        return Lineage(subject, kind, chosen, steps, edges)


def verified(reason: str) -> tuple[State, str]:
    """Say that a step holds, and what that was told by."""
    return "verified", reason


def wrong(reason: str) -> tuple[State, str]:
    """Say that a step does not hold, and why."""
    return "wrong", reason


def unproved(reason: str) -> tuple[State, str]:
    """Say that nothing proves or refutes a step, and why."""
    return "unproved", reason


def differing(ours: object, theirs: object, names: Iterable[str]) -> list[str]:
    """Name the attributes in which two rows differ."""
    return [name for name in names if getattr(ours, name) != getattr(theirs, name)]
