"""A candidate beside the index that serves: staged, on trial, and what readers get meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ragguard.rebuild import cutover
from ragguard.rebuild.reindex import ReindexResult, reindex
from ragguard.serving.search import Hit, search
from ragguard.serving.trial import Trial
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.rebuilding import QUESTIONS

ASKED = [f"{question} {word}" for question in QUESTIONS for word in ("now", "then", "here", "ever")]
WEEK = timedelta(days=7)


def stage(gate: Gate, **rest: Any) -> ReindexResult:
    """Build a candidate beside what serves."""
    done = reindex(gate.workspace, stage=True, **rest)
    assert done.commit is not None, done.stops
    return done


def start(gate: Gate, share: float = 1.0, **rest: Any) -> Trial:
    """Try it for a week."""
    return cutover.start(gate.workspace, share, WEEK, **rest)


def try_honest(gate: Gate, share: float = 1.0, **rest: Any) -> Trial:
    """Publish honest documents, and try a candidate that holds them too."""
    gate.publish(HONEST)
    stage(gate)
    return start(gate, share, **rest)


def aliases(gate: Gate) -> dict[str, str]:
    """What readers ask for, and which collection answers."""
    return gate.workspace.open_store().aliases()


def ask(gate: Gate, query: str, k: int = 10) -> list[Hit]:
    """What a reader gets."""
    return search(gate.workspace, query, k)


def by(gate: Gate, query: str) -> int:
    """The generation that answers a query."""
    (number,) = {hit.generation for hit in ask(gate, query, 3)}
    return number


def texts(gate: Gate, query: str = "which rules are there") -> set[str]:
    """All that a reader can get."""
    return {hit.text for hit in ask(gate, query, 50)}


def shown(gate: Gate) -> cutover.Status:
    """State and figures of the trial."""
    found = cutover.status(gate.workspace)
    assert found is not None
    return found
