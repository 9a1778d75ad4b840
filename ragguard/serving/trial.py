"""Run the trial of a candidate: what the log says of it, and the alias that follows.

A candidate is a generation that is built and sealed and does not serve. Its trial begins with an
entry in the log, and ends by itself when its days are over or when the two answer too differently;
the candidate then stands as before, until somebody lets it serve or gives it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from ragguard.errors import LedgerError
from ragguard.ledger import candidates
from ragguard.ledger.candidates import ACT
from ragguard.ledger.commits import Generation
from ragguard.trust.canonical import digest, format_time, parse_time
from ragguard.workspace import Workspace
from ragguard.workspace.alias import of_candidate

Shadow = Literal["candidate", "all", "none"]
State = Literal["staged", "running", "over", "stopped"]


@dataclass(frozen=True)
class Trial:
    """A candidate and its trial.

    Attributes:
        built: Commit that built it.
        number: The log's entry that began the trial; `None` where there was none.
        share: Share of the queries that it answers, in (0, 1].
        since: Begin.
        until: End.
        shadow: Which queries both are asked: those it answers, all, or none.
        salt: Of the split.
        stopped: What ended it by itself; empty where nothing did.
    """

    generation: Generation
    built: int
    number: int | None = None
    share: float = 0.0
    since: str = ""
    until: str = ""
    shadow: Shadow = "candidate"
    salt: str = ""
    stopped: Mapping[str, Any] = field(default_factory=dict)

    def state(self, now: datetime) -> State:
        """Tell what of the trial is true at a time."""
        if self.number is None:
            return "staged"
        if self.stopped:
            return "stopped"
        return "running" if now < parse_time(self.until) else "over"


def current(workspace: Workspace) -> Trial | None:
    """Return the candidate and its trial, `None` where there is no candidate.

    Raises:
        LedgerError: No commit built it, or the log's entry on it is none that was written here.
    """
    with workspace.ledger.reading() as conn:
        generation = candidates.candidate(conn)
        if generation is None:
            return None
        built = candidates.staged(conn)
        entries = candidates.entries(conn, generation.id)
    if built is None:
        raise LedgerError(
            f"generation {generation.id}: is a candidate, and no commit built one",
            hint="Run `ragguard log verify`.",
        )
    trial = Trial(generation, built.id)
    for index, entry in entries:
        try:
            trial = _after(trial, index, entry)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"log: entry {index} on a trial is not as ragguard writes it ({error})",
                hint="Run `ragguard log verify`.",
            ) from None
    return trial


def _after(trial: Trial, index: int, entry: Mapping[str, Any]) -> Trial:
    if entry["did"] != "start":
        return Trial(**{**trial.__dict__, "stopped": entry})
    if entry["shadow"] not in get_args(Shadow):
        raise ValueError(f"shadow {entry['shadow']!r}")
    if not 0 < float(entry["share"]) <= 1:
        raise ValueError(f"share {entry['share']!r}")
    parse_time(entry["ends"])
    return Trial(
        trial.generation,
        trial.built,
        index,
        float(entry["share"]),
        str(entry["at"]),
        str(entry["ends"]),
        entry["shadow"],
        str(entry["salt"]),
    )


def begin(
    workspace: Workspace, trial: Trial, share: float, until: datetime, shadow: Shadow
) -> None:
    """Log that a trial begins."""
    # Of the workspace and the generation: a second trial with a larger share keeps the first's
    # queries, and another workspace picks others.
    salt = digest([ACT, workspace.origin, trial.generation.id])[:16]
    entry = {
        "act": ACT,
        "did": "start",
        "at": format_time(workspace.now),
        "generation": trial.generation.id,
        "share": share,
        "ends": format_time(until),
        "shadow": shadow,
        "salt": salt,
    }
    workspace.log_act(entry)


def stop(workspace: Workspace, trial: Trial, compared: int, divergence: float) -> None:
    """Log that a trial ended by itself, with the figures, and take its alias away."""
    entry = {
        "act": ACT,
        "did": "stop",
        "at": format_time(workspace.now),
        "generation": trial.generation.id,
        "compared": compared,
        "divergence": round(divergence, 6),
        "bound": workspace.settings.cutover.divergence,
    }
    workspace.log_act(entry)
    drop_alias(workspace)


def follow(workspace: Workspace, trial: Trial) -> None:
    """Let the candidate's alias be there while its trial runs, and only then."""
    store = workspace.open_store()
    alias = of_candidate(workspace.settings)
    target = store.aliases().get(alias)
    if trial.state(workspace.now) != "running":
        drop_alias(workspace)
    elif target != trial.generation.serving:
        store.set_alias(alias, trial.generation.serving)


def drop_alias(workspace: Workspace) -> None:
    """Take the candidate's alias away."""
    workspace.open_store().drop_alias(of_candidate(workspace.settings))
