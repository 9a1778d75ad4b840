"""The guarded retriever: a question in, passages out, each of them proved now.

Long-lived: the model is loaded once and the clock is not that of one run. What the index finds and
the evidence does not prove is refused, told and never given out; more is asked of the index in its
place. What is evidence depends on the process: the ledger where the workspace is open
(`against_ledger`), elsewhere a signed snapshot (`against_snapshot`, opened by `reader`).

A candidate on trial is not asked (`search` asks it): a retriever's answers come from what serves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self
from uuid import UUID

from ragguard.detect.view import own
from ragguard.errors import UsageError
from ragguard.model import Floats
from ragguard.serving.answer import Answer, Hit, Proof, Refused
from ragguard.store import Point, Store

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder
    from ragguard.workspace import Workspace

MOST = 16_384  # passages looked at for one answer
WIDTH = 4  # times as many passages are asked for where those there are do not suffice
NOT_THERE = "the collection that serves has no such point"

log = logging.getLogger(__name__)


class Evidence(Protocol):
    """What passages are held against."""

    @property
    def collection(self) -> str:
        """Collection to ask."""

    def judge(self, points: Sequence[Point]) -> list[Proof | Refused] | None:
        """Say of each point (with its vector) what proves it, or why nothing does.

        Returns:
            `None` where corpus or trust have changed since the last call: the index may have
            answered for another corpus, and is to be asked again.
        """


class Retriever:
    """Answers questions with proved passages; `open_retriever` makes it.

    A context manager.

    Args:
        evidence: What passages are held against.
        store: Where they are.
        encoder: Of the index.
        close: Lets go of what was opened for it.
    """

    def __init__(
        self,
        evidence: Evidence,
        store: Store,
        encoder: Encoder,
        *,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._evidence = evidence
        self._store = store
        self._encoder = encoder
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was opened for it; a workspace stays open."""
        self._close()

    def prove(self, found: Mapping[str, float]) -> Answer:
        """Hold passages against the evidence that something else found in the same collection.

        Args:
            found: Point ids with their similarity, the nearest first.

        Returns:
            What is proved of them, in the same order, and what is refused. No others come in place
            of those refused; a point that is not there is refused without an alarm.
        """
        ids = [i for i in found if _is_point_id(i)]
        said: list[Proof | Refused] | None = None
        while said is None:
            there = {
                point.id: point
                for point in self._store.get(self._evidence.collection, ids, vectors=True)
            }
            said = self._evidence.judge(list(there.values()))
        verdicts = dict(zip(there, said, strict=True))
        hits: list[Hit] = []
        refused: list[Refused] = []
        for name, similarity in found.items():
            one = verdicts.get(name) or Refused(name, "?/?", "unknown", NOT_THERE, False)
            if isinstance(one, Proof):
                hits.append(_hit(len(hits) + 1, there[name], similarity, one))
            else:
                refused.append(one)
        _tell(refused)
        return Answer(hits, refused)

    def retrieve(self, question: str, k: int = 5) -> Answer:
        """Answer a question.

        Args:
            question: The question.
            k: Passages wanted; fewer come back where fewer can be proved.

        Raises:
            UsageError: The question is empty, or k is below 1.
            StoreError: The index cannot be asked.
            ExpiredError: The snapshot that a reader goes by is too old.
        """
        if not question.strip():
            raise UsageError("the question is empty")
        return self.retrieve_vector(self._encoder.encode([question])[0], k)

    def retrieve_vector(self, vector: Floats, k: int = 5) -> Answer:
        """Answer a question that was embedded already, by the encoder of the index.

        Args:
            vector: float32 (d,), unit length.
            k: As in `retrieve`.
        """
        if k < 1:
            raise UsageError(f"k is {k}, expected at least 1")
        hits, refused = self._proved(vector, k)
        return Answer(hits, refused)

    def _proved(self, vector: Floats, k: int) -> tuple[list[Hit], list[Refused]]:
        """The first k passages that are proved, and what was refused before the last of them."""
        wanted = k
        while True:
            found = self._store.nearest(self._evidence.collection, vector, wanted)
            said = self._evidence.judge([point for point, _ in found])
            if said is None:
                continue
            hits: list[Hit] = []
            refused: list[Refused] = []
            for (point, similarity), one in zip(found, said, strict=True):
                if len(hits) == k:
                    break
                if isinstance(one, Proof):
                    hits.append(_hit(len(hits) + 1, point, similarity, one))
                else:
                    refused.append(one)
            if len(hits) == k or len(found) < wanted or wanted >= MOST:
                break
            wanted = min(wanted * WIDTH, MOST)
        _tell(refused)
        return hits, refused


def open_retriever(workspace: Workspace) -> Retriever:
    """Make a retriever in the process that holds a workspace.

    Args:
        workspace: Open and locked; a commit that was interrupted is finished first. It stays open
            as long as the retriever is used.

    Raises:
        UsageError: Nothing was ingested yet.
        ModelDigestError, RecipeMismatchError: The settings are not those of the serving index.
    """
    from ragguard.serving.against_ledger import AgainstLedger

    workspace.recover()
    return Retriever(AgainstLedger(workspace), workspace.open_store(), workspace.encoder)


def _tell(refused: Sequence[Refused]) -> None:
    for one in refused:
        level = logging.WARNING if one.alarm else logging.INFO
        log.log(level, "refused point %s: %s (%s)", one.point, one.reason, one.kind)


def _is_point_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _hit(rank: int, point: Point, similarity: float, proof: Proof) -> Hit:
    fields, metadata = own(point), point.payload.get("metadata")
    source, document = str(fields.get("source")), str(fields.get("document"))
    return Hit(
        rank=rank,
        similarity=similarity,
        text=str(point.payload.get("page_content", "")),
        document=f"{source}/{document}",
        source=source,
        metadata=dict(metadata) if isinstance(metadata, dict) else {},
        proof=proof,
    )
