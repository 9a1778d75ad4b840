"""Hand a question over to a person: a case of its own kind in the reviewers' queue.

A question has one open case however often it is asked, and there are at most so many at a time:
whoever asks much must not hide what else waits. The question's text stands in the case, for a
person has to read it; nothing else here keeps it.
"""

from __future__ import annotations

import logging

from ragguard.corpus import changes
from ragguard.ledger import cases
from ragguard.serving.answer import Abstention
from ragguard.serving.receipt import question_digest
from ragguard.workspace import Workspace

KIND = "question"
ACTOR = "retriever"
MOST_OPEN = 100  # questions that wait at a time
MAX_TEXT = 2_000  # characters kept

log = logging.getLogger(__name__)


def hand_over(workspace: Workspace, question: str, why: Abstention) -> int | None:
    """Open a case for a question that no answer was given to.

    Returns:
        Number of the case, the one that is open already if there is one; `None` where too many
        wait.

    Raises:
        StoreError: See `Committer.commit`.
    """
    digest = question_digest(question)
    with workspace.ledger.reading() as conn:
        waiting = [case for case in cases.listed(conn) if case.kind == KIND]
    for case in waiting:
        if case.detail.get("digest") == digest:
            return case.id
    generation = workspace.generation()
    if generation is None or len(waiting) >= MOST_OPEN:
        log.warning("%d questions wait for a person already: this one is not added", len(waiting))
        return None
    plan = changes.draft(workspace, generation)
    detail = {"question": question[:MAX_TEXT], "digest": digest, "kind": why.kind}
    number = plan.ask_person({**detail, "reason": why.reason})
    workspace.committer.commit(plan.finish(KIND, ACTOR, ""))
    return number
