"""Find which commit moved which canary question, from the kept runs.

Each audit keeps its rankings, and the log says in which order audits and commits came. A question
was moved by a commit where a document that it put in, replaced or took out stands at another rank
than in the run before. What moves only because others do is nobody's doing, and not told. Two
commits between the same two audits are told apart by their documents, not by time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from ragguard.canary.ask import judged
from ragguard.canary.formats import load_run
from ragguard.canary.measures import DEPTH, NDCG
from ragguard.canary.sets import RUN_ACT, load
from ragguard.errors import RagguardError
from ragguard.ledger import log
from ragguard.ledger.tables import commits, membership, versions
from ragguard.workspace import Workspace

MOST_RUNS = 30  # the newest runs that are compared

Ranks = Mapping[str, int]


@dataclass(frozen=True)
class Cause:
    """A document that moved in an answer because a commit put it in, replaced it or took it out.

    Attributes:
        document: `source/id`.
        before: Rank in the earlier run, from 1; `None` where it was not among the first ten.
        after: Rank in the later one.
    """

    commit: int
    document: str
    before: int | None
    after: int | None


@dataclass(frozen=True)
class MovedQuestion:
    """A canary question whose answer changed between two runs.

    Attributes:
        since: Time of the earlier run.
        at: Time of the later one.
        before: nDCG@10 in the earlier run, in [0, 1]; `None` where the question is not judged.
        after: The same in the later one.
        causes: What moved, by commit.
    """

    query: str
    since: str
    at: str
    before: float | None
    after: float | None
    causes: Sequence[Cause]


@dataclass(frozen=True)
class MovedCanaries:
    """What commits did to the canaries.

    Attributes:
        runs: Kept runs that were compared.
        questions: The newest first.
        problems: Runs that could not be read, a sentence each.
    """

    runs: int
    questions: Sequence[MovedQuestion]
    problems: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        questions = [{**vars(q), "causes": [vars(c) for c in q.causes]} for q in self.questions]
        return {"runs": self.runs, "questions": questions, "problems": list(self.problems)}


@dataclass(frozen=True)
class _Run:
    index: int
    at: str
    canaries: str
    k: int
    rankings: Mapping[str, Sequence[tuple[str, float]]]


def moved(workspace: Workspace, *, source: str = "") -> MovedCanaries:
    """Find which commit moved which canary question.

    Args:
        source: Only what documents of this source moved, if given.
    """
    problems: list[str] = []
    runs = _runs(workspace, problems)
    questions: list[MovedQuestion] = []
    for earlier, later in pairwise(runs):
        if (earlier.canaries, earlier.k) == (later.canaries, later.k):
            questions += _between(workspace, earlier, later, source, problems)
    return MovedCanaries(len(runs), questions[::-1], list(dict.fromkeys(problems)))


def _runs(workspace: Workspace, problems: list[str]) -> list[_Run]:
    """Return the newest kept runs, oldest first."""
    with workspace.ledger.reading() as conn:
        texts = [(index, text) for index, text, _ in log.entries(conn) if f'"{RUN_ACT}"' in text]
    runs = []
    for index, text in texts[-MOST_RUNS:]:
        try:
            body: dict[str, Any] = json.loads(text)
            if body.get("act") != RUN_ACT:
                continue
            at = str(body["at"])
            data = workspace.vault.get(str(body["run"])).decode()
            rankings = load_run(data, f"canary run of {at}")
            runs.append(_Run(index, at, str(body["canaries"]), int(body["k"]), rankings))
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"entry {index} of the log is no canary run")
        except RagguardError as error:
            problems.append(f"a canary run cannot be read: {error.message}")
    return runs


def _between(
    workspace: Workspace, earlier: _Run, later: _Run, source: str, problems: list[str]
) -> list[MovedQuestion]:
    """List questions that commits between two runs moved."""
    touched = _touched(workspace, earlier.index, later.index, source)
    if not touched:
        return []
    values = [_ndcg(workspace, run, problems) for run in (earlier, later)]
    questions = []
    for query in sorted(later.rankings):
        before, after = _ranks(earlier, query), _ranks(later, query)
        causes = [
            Cause(commit, document, before.get(document), after.get(document))
            for document in sorted(before.keys() | after.keys())
            if before.get(document) != after.get(document)
            for commit in sorted(touched.get(document, ()))
        ]
        if causes:
            causes.sort(key=lambda cause: (cause.commit, cause.after or DEPTH + 1))
            told = [each.get(query) for each in values]
            questions.append(MovedQuestion(query, earlier.at, later.at, told[0], told[1], causes))
    return questions


def _ranks(run: _Run, query: str) -> Ranks:
    return {name: rank for rank, (name, _) in enumerate(run.rankings.get(query, ())[:DEPTH], 1)}


def _touched(workspace: Workspace, first: int, last: int, source: str) -> dict[str, set[int]]:
    """Commits logged between two entries that put a document in among what serves, or took it out.

    Returns:
        By `source/id`.
    """
    touched: dict[str, set[int]] = defaultdict(set)
    for edge in (membership.c.since, membership.c.until):
        query = (
            sa.select(commits.c.id, versions.c.source, versions.c.document)
            .join(membership, edge == commits.c.id)
            .join(versions, versions.c.id == membership.c.version)
            .where(
                commits.c.log_index > first,
                commits.c.log_index < last,
                membership.c.zone == "serving",
            )
        )
        if source:
            query = query.where(versions.c.source == source)
        with workspace.ledger.reading() as conn:
            for commit, name, document in conn.execute(query):
                touched[f"{name}/{document}"].add(commit)
    return touched


def _ndcg(workspace: Workspace, run: _Run, problems: list[str]) -> Mapping[str, float]:
    """nDCG@10 of the judged questions of a run, by the set that was asked."""
    try:
        canaries = load(workspace.vault.get(run.canaries))
    except RagguardError as error:
        problems.append(f"a canary set cannot be read: {error.message}")
        return {}
    return judged(run.at, canaries, run.k, run.rankings, None).measures.get(NDCG, {})
