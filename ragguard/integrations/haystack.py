"""Haystack: a retriever component that gives only what is proved."""

from __future__ import annotations

from ragguard.integrations import LOCK, OnAnswer, answered, missing
from ragguard.serving.answer import Answer, Hit
from ragguard.serving.retriever import Retriever

try:
    from haystack import Document, component
except ImportError as error:
    raise missing("haystack", error) from error


@component
class GuardedRetriever:
    """Answer a Haystack pipeline's questions with proved passages.

    Args:
        retriever: Of an open workspace (`w.retriever()`) or of a reader. It is open, so a pipeline
            that holds it cannot be written to YAML.
        top_k: Passages wanted.
        on_answer: Called with each `Answer`.
    """

    def __init__(
        self, retriever: Retriever, top_k: int = 10, on_answer: OnAnswer | None = None
    ) -> None:
        self.retriever = retriever
        self.top_k = top_k
        self.on_answer = on_answer

    @component.output_types(documents=list[Document], answer=Answer)
    def run(self, query: str, top_k: int | None = None) -> dict[str, list[Document] | Answer]:
        """Answer a question.

        Args:
            query: The question.
            top_k: Passages wanted, instead of the component's.

        Returns:
            `documents`, and the `answer` with proofs by point (a document's `id`) and refusals.
        """
        with LOCK:
            found = self.retriever.retrieve(query, self.top_k if top_k is None else top_k)
        answer = answered(found, self.on_answer)
        return {"documents": [_document(hit) for hit in answer.hits], "answer": answer}


def _document(hit: Hit) -> Document:
    return Document(
        id=hit.proof.point, content=hit.text, meta=dict(hit.metadata), score=hit.similarity
    )
