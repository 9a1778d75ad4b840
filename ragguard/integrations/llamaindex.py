"""LlamaIndex: a retriever that gives only what is proved, and a guard behind another retriever."""

from __future__ import annotations

import asyncio

from ragguard.integrations import LOCK, OnAnswer, answered, missing
from ragguard.serving.answer import Hit
from ragguard.serving.retriever import Retriever

try:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import (
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )
except ImportError as error:
    raise missing("llamaindex", error) from error


class GuardedRetriever(BaseRetriever):
    """Answer LlamaIndex's questions with proved passages.

    A node's id is the point, its `ref_doc_id` the document as `source/id`.

    Args:
        retriever: Of an open workspace (`w.retriever()`) or of a reader.
        k: Passages wanted.
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
        scores = {one.node.node_id: one.score for one in nodes}
        with LOCK:
            answer = self.retriever.prove({i: score or 0.0 for i, score in scores.items()})
        return [
            NodeWithScore(node=_node(hit).node, score=scores[hit.proof.point])
            for hit in answered(answer, self.on_answer).hits
        ]


def _node(hit: Hit) -> NodeWithScore:
    node = TextNode(
        id_=hit.proof.point,
        text=hit.text,
        metadata=dict(hit.metadata),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.document)},
    )
    return NodeWithScore(node=node, score=hit.similarity)
