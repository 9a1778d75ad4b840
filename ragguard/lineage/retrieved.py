"""Find when a document was among the answers, as the retrieval log has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragguard.serving.retrieval_log import FOLDER, ReadNotes, read
from ragguard.workspace import Workspace

NAMED = 20  # answers that are named one by one


@dataclass(frozen=True)
class AnswerUse:
    """One answer that a document was found for.

    Attributes:
        question: SHA-256 of the question, hex.
        at: When, as text.
        given: Whether it was given; a honeytoken never is.
    """

    question: str
    at: str
    given: bool


@dataclass(frozen=True)
class RetrievalTimes:
    """Answers that a document was found for.

    Attributes:
        document: `source/id`.
        answers: Answers that it was found for.
        questions: Different questions among them.
        last: The newest of them, the oldest first.
    """

    document: str
    answers: int
    questions: int
    last: Sequence[AnswerUse]


def retrieved(workspace: Workspace, documents: Sequence[str]) -> list[RetrievalTimes]:
    """Say when documents were found.

    Returns:
        Those that were, in their order.

    Raises:
        UsageError: The log cannot be read.
    """
    wanted = dict.fromkeys(documents)
    retrievals: dict[str, list[AnswerUse]] = {name: [] for name in wanted}
    for record in read(workspace.folder / FOLDER, ReadNotes()) if wanted else ():
        for places, given in ((record.hits, True), (record.honeytokens, False)):
            for name in {place.document for place in places} & wanted.keys():
                retrievals[name].append(AnswerUse(record.question, record.at, given))
    summaries = []
    for name, times in retrievals.items():
        times.sort(key=lambda retrieval: retrieval.at)
        if times:
            questions = len({retrieval.question for retrieval in times})
            summaries.append(RetrievalTimes(name, len(times), questions, times[-NAMED:]))
    return summaries
