"""Retrieve in LlamaIndex only what is proved, with the gate as the last step of a pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from ragguard.integrations import LOCK, OnAnswer, answered, missing
from ragguard.integrations.sink import EXPIRES, Cleanup, GivenText, Sink, SinkResult
from ragguard.serving.answer import Hit
from ragguard.serving.retriever import Retriever
from ragguard.trust.keys import KeyPair
from ragguard.workspace import Workspace

try:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import (
        BaseNode,
        MetadataMode,
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
        TransformComponent,
    )
except ImportError as error:
    raise missing("llamaindex", error) from error


class GuardedRetriever(BaseRetriever):
    """Answer LlamaIndex's questions with proved passages.

    A node's id is the point, its `ref_doc_id` the document as `source/id`.

    Args:
        retriever: Of an open workspace (`w.retriever()`) or of a reader.
        on_answer: Called with each `Answer`: proofs by point, and what was refused.
    """

    def __init__(self, retriever: Retriever, k: int = 4, on_answer: OnAnswer | None = None) -> None:
        super().__init__()
        self._retriever = retriever
        self._k = k
        self._on_answer = on_answer

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        with LOCK:
            answer = self._retriever.retrieve(query_bundle.query_str, self._k)
        return [_node(hit) for hit in answered(answer, self._on_answer).hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class GuardPostprocessor(BaseNodePostprocessor):
    """Let through only nodes that are proved, whatever found them.

    For an index that another retriever of LlamaIndex reads (its Qdrant vector store on the alias).
    A node's id must be the id of its point. Text and metadata that go on are those of the proved
    point, not what the node says; order and scores are the node's.

    Attributes:
        retriever: Of an open workspace (`w.retriever()`) or of a reader.
        on_answer: Called with each `Answer`: proofs by point, and what was refused.
    """

    retriever: Retriever
    on_answer: OnAnswer | None = None

    @classmethod
    def class_name(cls) -> str:
        """Name it as LlamaIndex does."""
        return "GuardPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        scores = {scored.node.node_id: scored.score for scored in nodes}
        question = "" if query_bundle is None else query_bundle.query_str
        similarities = {i: score or 0.0 for i, score in scores.items()}
        with LOCK:
            answer = self.retriever.prove(similarities, question=question)
        return [
            NodeWithScore(node=_node(hit).node, score=scores[hit.proof.point])
            for hit in answered(answer, self.on_answer).hits
        ]


class GuardedSink(TransformComponent):
    """Bring an ingestion pipeline's nodes in through the gate; its last transformation.

    Nodes of one document belong into one run. The pipeline needs no vector store and no embedding
    before it, and no document store: what is there already is what the ledger says.

    Args:
        workspace: Open and locked, for one run: its clock is read once.
        source: The source they come in under; nothing else should write to it.
        key: The service's key, or its file; a signer of the source in the trust root.
        cleanup: `incremental` takes out what else there is of the documents that nodes are of,
            `full` all that is not given, `None` nothing.
        expires: How long a manifest of it is good.
        on_indexed: Called with what became of the nodes of each run.

    Raises:
        KeyFileError: The key file cannot be used.
    """

    cleanup: Cleanup
    on_indexed: Callable[[SinkResult], None] | None
    _sink: Sink

    def __init__(
        self,
        workspace: Workspace,
        source: str,
        key: KeyPair | Path | str,
        cleanup: Cleanup = "incremental",
        expires: timedelta = EXPIRES,
        on_indexed: Callable[[SinkResult], None] | None = None,
    ) -> None:
        fields: dict[str, Any] = {"cleanup": cleanup, "on_indexed": on_indexed}
        super().__init__(**fields)
        self._sink = Sink(workspace, source, key, expires)

    @classmethod
    def class_name(cls) -> str:
        """Name it as LlamaIndex does."""
        return "GuardedSink"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Describe it, each time otherwise: no cache may answer in its place."""
        return {"class_name": self.class_name(), "run": uuid4().hex}

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Bring nodes in.

        Returns:
            Those that serve now.
        """
        pieces = [
            GivenText(n.ref_doc_id or n.node_id, n.get_content(MetadataMode.NONE), n.metadata)
            for n in nodes
        ]
        indexed = self._sink.write(pieces, self.cleanup)
        if self.on_indexed is not None:
            self.on_indexed(indexed)
        served = zip(nodes, indexed.verdicts, strict=True)
        return [node for node, verdict in served if verdict.outcome in ("admit", "unchanged")]

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Bring nodes in without holding the event loop up."""
        return await asyncio.to_thread(self, nodes)


def _node(hit: Hit) -> NodeWithScore:
    node = TextNode(
        id_=hit.proof.point,
        text=hit.text,
        metadata=dict(hit.metadata),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.document)},
    )
    return NodeWithScore(node=node, score=hit.similarity)
