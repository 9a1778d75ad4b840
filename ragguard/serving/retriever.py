"""Retrieve passages for a question, each of them proved now.

Long-lived: the model is loaded once and the clock is not that of one run. What the index finds and
the evidence does not prove is refused, told and never given out; more is asked of the index in its
place. What is evidence depends on the process: the ledger where the workspace is open
(`against_ledger`), elsewhere a signed snapshot (`against_snapshot`, opened by `reader`).

A candidate on trial is not asked (`search` asks it): a retriever's answers come from what serves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self
from uuid import UUID

import numpy as np

from ragguard.corpus.spans import Attributes, span, traced
from ragguard.detect.view import own, point_label
from ragguard.errors import UsageError
from ragguard.model import Floats
from ragguard.serving import ranking as by_provenance
from ragguard.serving.abstain import Rules, read_pinned
from ragguard.serving.answer import Abstention, Answer, Hit, Proof, RefusedPassage
from ragguard.serving.ranking import MOST_BOUND
from ragguard.serving.receipt import Basis, Receipt, hit_body, question_digest, sign
from ragguard.serving.retrieval_log import FOLDER, RetrievalLog
from ragguard.store import Point, Store
from ragguard.trust import canonical
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.scope import Wanted, scope_of

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder
    from ragguard.trust.keys import KeyPair
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

    @property
    def scoped(self) -> bool:
        """Whether scopes are on: then nobody asks without one."""

    @property
    def basis(self) -> Basis:
        """What answers are proved under."""

    @property
    def groups(self) -> Mapping[str, int] | None:
        """Sources by number, those that share signers by one; `None`: it has no merits."""

    def merits(self, proofs: Sequence[Proof]) -> list[float]:
        """Merit without corroboration, in [-1, 0], of what the last call of `judge` proved."""

    def judge(self, points: Sequence[Point]) -> list[Proof | RefusedPassage] | None:
        """Say of each point (with its vector) what proves it, or why nothing does.

        Returns:
            `None` where corpus or trust have changed since the last call: the index may have
            answered for another corpus, and is to be asked again.
        """


def _told(answer: Answer) -> Attributes:
    """Tell what the span of an answer tells."""
    return {
        "ragguard.hits": len(answer.hits),
        "ragguard.refused": len(answer.refused),
        "ragguard.alarms": len(answer.alarms),
        "ragguard.abstained": answer.abstained.kind if answer.abstained else "",
    }


class Retriever:
    """Answers questions with proved passages; `open_retriever` makes it.

    A context manager.

    Args:
        evidence: What passages are held against.
        store: Where they are.
        scope: Whom it answers: values by key, or `everything`; see `trust.scope`. Needed where
            scopes are on.
        rules: When to abstain; only where nothing is proved by default.
        hand_over: Gives a question that no answer was given to, by its text, to a person; returns
            the case.
        receipt_key: Signs a receipt of every answer; without it there are none.
        retrievals: Where answers are logged; without it they are not.
        ranking: Largest share of its similarity that a passage's provenance adds or takes, in
            [0, 0.1], see `ranking`; what `prove` is given stays in its order.
        clock: Tells the time, for receipts.
        close: Lets go of what was opened for it.

    Raises:
        UsageError: Scopes are on and none is given, or are off and one is; passages are to be
            ranked, and the evidence has nothing to rank them by.
    """

    def __init__(
        self,
        evidence: Evidence,
        store: Store,
        encoder: Encoder,
        *,
        scope: Wanted | None = None,
        rules: Rules | None = None,
        hand_over: Callable[[str, Abstention], int | None] | None = None,
        receipt_key: KeyPair | None = None,
        retrievals: RetrievalLog | None = None,
        ranking: float = 0.0,
        clock: Callable[[], datetime] = canonical.now,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._evidence = evidence
        self._store = store
        self._encoder = encoder
        self._scope = None if scope is None else scope_of(scope)
        self._rules, self._hand_over = rules or Rules(), hand_over
        self._key, self._clock = receipt_key, clock
        self._retrievals = retrievals
        self._ranking = ranking
        if not 0.0 <= ranking <= MOST_BOUND:
            raise UsageError(f"ranking is {ranking}, expected a share from 0 to {MOST_BOUND}")
        self._check_ranking()
        self._close = close
        self._check_scope()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was opened for it; a workspace stays open."""
        if self._retrievals is not None:
            self._retrievals.close()
        self._close()

    @traced("prove", _told)
    def prove(self, found: Mapping[str, float], *, question: str = "") -> Answer:
        """Hold passages against the evidence that something else found in the same collection.

        Args:
            found: Point ids with their similarity, the nearest first.
            question: What they were found for; a receipt names its digest.

        Returns:
            What is proved of them, in the same order, and what is refused. No others come in place
            of those refused, and it abstains as `retrieve` does. What is not there, or outside the
            scope, is refused without an alarm: whoever found it may not have asked for the scope.
        """
        ids = [i for i in found if _is_point_id(i)]
        judgements: list[Proof | RefusedPassage] | None = None
        while judgements is None:
            self._check_scope()
            there = {
                point.id: point
                for point in self._store.get(self._evidence.collection, ids, vectors=True)
            }
            judgements = self._evidence.judge(list(there.values()))
        verdicts = dict(zip(there, judgements, strict=True))
        hits: list[Hit] = []
        refused: list[RefusedPassage] = []
        for name, similarity in found.items():
            judgement = verdicts.get(name) or RefusedPassage(
                name, "?/?", "unknown", NOT_THERE, False
            )
            if (
                isinstance(judgement, Proof)
                and self._scope
                and not self._scope.sees(judgement.scope)
            ):
                label = point_label(there[name])
                judgement = RefusedPassage(name, label, "scope", "it is outside the scope", False)
            if isinstance(judgement, Proof):
                hits.append(_hit(len(hits) + 1, there[name], similarity, judgement))
            else:
                refused.append(judgement)
        _tell(refused)
        return self._conclude(hits, refused, question_digest(question), question)

    @traced("retrieve", _told)
    def retrieve(self, question: str, k: int = 5) -> Answer:
        """Answer a question.

        Args:
            k: Passages wanted; fewer come back where fewer can be proved.

        Raises:
            UsageError: The question is empty, or k is below 1.
            StoreError: The index cannot be asked.
            ExpiredError: The snapshot that a reader goes by is too old.
        """
        if not question.strip():
            raise UsageError("the question is empty")
        with span("embed"):
            vector = self._encoder.encode([question])[0]
        return self._answer(vector, k, question)

    @traced("retrieve", _told)
    def retrieve_vector(self, vector: Floats, k: int = 5, *, question: str = "") -> Answer:
        """Answer a question that was embedded already, by the encoder of the index.

        Args:
            vector: float32 (d,), unit length.
            k: As in `retrieve`.
            question: Its text: a receipt names its digest (the vector's without it), and pinned
                answers and hand-over go by it.
        """
        return self._answer(vector, k, question)

    def _answer(self, vector: Floats, k: int, question: str) -> Answer:
        if k < 1:
            raise UsageError(f"k is {k}, expected at least 1")
        if self._ranking:
            proved, refused = self._proved(vector, min(k * by_provenance.WIDTH, MOST))
            hits = self._ranked(proved)[:k]
        else:
            hits, refused = self._proved(vector, k)
        asked_digest = question_digest(question) if question else digest_bytes(vector.tobytes())
        return self._conclude(hits, refused, asked_digest, question, vector)

    def _conclude(
        self,
        hits: list[Hit],
        refused: list[RefusedPassage],
        said: str,
        question: str,
        vector: Floats | None = None,
    ) -> Answer:
        """Give what is proved, or abstain; `said` is the digest that a receipt names."""
        abstained = self._rules.judge(hits, question)
        if abstained is not None:
            hits = []
        receipt = self._receipt(said, hits, len(refused), abstained)
        if self._retrievals is not None:
            self._retrievals.answered(
                said,
                hits,
                refused,
                size=self._evidence.basis.size,
                vector=vector,
                text=question,
                abstained="" if abstained is None else abstained.kind,
            )
        if abstained is not None and question and self._hand_over is not None:
            abstained = replace(abstained, case=self._hand_over(question, abstained))
        return Answer(hits, refused, abstained, receipt)

    def _receipt(
        self, question: str, hits: Sequence[Hit], refused: int, abstained: Abstention | None
    ) -> bytes | None:
        if self._key is None:
            return None
        scope = self._scope
        receipt = Receipt(
            question=question,
            at=self._clock(),
            basis=self._evidence.basis,
            scope=None if scope is None or scope.tokens is None else scope.values,
            hits=[hit_body(hit) for hit in hits],
            refused=refused,
            abstained="" if abstained is None else abstained.kind,
        )
        return sign(receipt, self._key)

    def _ranked(self, hits: Sequence[Hit]) -> list[Hit]:
        """Proved passages, the best first."""
        groups = self._check_ranking()
        merits = np.array(self._evidence.merits([hit.proof for hit in hits]), dtype=np.float32)
        agreed = by_provenance.corroborated(
            [h.text for h in hits], [h.source for h in hits], groups
        )
        merits[np.array(agreed, dtype=bool)] += by_provenance.HALF
        near = np.array([hit.similarity for hit in hits], dtype=np.float32)
        rows, _ = by_provenance.order(near, merits, self._ranking)
        return [replace(hits[row], rank=rank) for rank, row in enumerate(rows.tolist(), 1)]

    def _check_ranking(self) -> Mapping[str, int]:
        groups = self._evidence.groups if self._ranking else {}
        if groups is None:
            raise UsageError(
                "the snapshot says nothing to rank passages by",
                hint="Publish where [retriever] ranking is on, or read without ranking.",
            )
        return groups

    def _check_scope(self) -> None:
        on = self._evidence.scoped
        if on and self._scope is None:
            raise UsageError(
                "access scopes are on: a retriever is made for somebody",
                hint="Give a scope, such as tenant=acme, or 'everything' where you may see it.",
            )
        if not on and self._scope is not None and self._scope.tokens is not None:
            raise UsageError(
                "access scopes are off: no source's contract says whom its documents are for",
                hint="`ragguard trust policy SOURCE --set scope=…` does.",
            )

    def _proved(self, vector: Floats, k: int) -> tuple[list[Hit], list[RefusedPassage]]:
        """The first k passages that are proved, and what was refused before the last of them."""
        wanted = k
        while True:
            self._check_scope()
            nearest = self._store.nearest(
                self._evidence.collection,
                vector,
                wanted,
                scope=None if self._scope is None else self._scope.tokens,
            )
            judgements = self._evidence.judge([point for point, _ in nearest])
            if judgements is None:
                continue
            hits: list[Hit] = []
            refused: list[RefusedPassage] = []
            for (point, similarity), judgement in zip(nearest, judgements, strict=True):
                if len(hits) == k:
                    break
                judgement = self._seen(point, judgement)
                if isinstance(judgement, Proof):
                    hits.append(_hit(len(hits) + 1, point, similarity, judgement))
                else:
                    refused.append(judgement)
            if len(hits) == k or len(nearest) < wanted or wanted >= MOST:
                break
            wanted = min(wanted * WIDTH, MOST)
        _tell(refused)
        return hits, refused

    def _seen(self, point: Point, judgement: Proof | RefusedPassage) -> Proof | RefusedPassage:
        """Refuse what is proved and not for this reader: the filter was on every query."""
        if (
            not isinstance(judgement, Proof)
            or self._scope is None
            or self._scope.sees(judgement.scope)
        ):
            return judgement
        why = "it is outside the scope that was asked for, and the index gave it all the same"
        return RefusedPassage(point.id, point_label(point), "scope", why, True)


def open_retriever(
    workspace: Workspace,
    *,
    scope: Wanted | None = None,
    receipts: bool = False,
    clock: Callable[[], datetime] = canonical.now,
) -> Retriever:
    """Make a retriever in the process that holds a workspace.

    Args:
        workspace: Open and locked; a commit that was interrupted is finished first. It stays open
            as long as the retriever is used.
        scope: Whom it answers; see `Retriever`.
        receipts: Sign a receipt of every answer, with the log's key.
        clock: Tells the time, for receipts and the retrieval log.

    Raises:
        UsageError: Nothing was ingested yet; or see `Retriever`.
        ConfigError: What is pinned cannot be read.
        ModelDigestError, RecipeMismatchError: The settings are not those of the serving index.
    """
    from ragguard.serving.against_ledger import AgainstLedger
    from ragguard.serving.hand_over import hand_over

    workspace.recover()
    asked = workspace.settings.retriever
    rules = Rules(
        asked.floor,
        asked.contradictions,
        read_pinned(workspace.folder / asked.pinned) if asked.pinned else {},
    )
    evidence = AgainstLedger(workspace, ranked=asked.ranking > 0)
    return Retriever(
        evidence,
        workspace.open_store(),
        workspace.encoder,
        scope=scope,
        rules=rules,
        hand_over=partial(hand_over, workspace) if asked.hand_over else None,
        receipt_key=workspace.checkpoint_key if receipts else None,
        retrievals=RetrievalLog(
            workspace.folder / FOLDER, asked.log, asked.log_mib << 20, clock=clock
        ),
        ranking=asked.ranking,
        clock=clock,
    )


def _tell(refused: Sequence[RefusedPassage]) -> None:
    for refusal in refused:
        level = logging.WARNING if refusal.alarm else logging.INFO
        log.log(level, "refused point %s: %s (%s)", refusal.point, refusal.reason, refusal.kind)


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
