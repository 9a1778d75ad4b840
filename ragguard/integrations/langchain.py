"""LangChain: a retriever that gives only what is proved."""

from __future__ import annotations

from ragguard.integrations import LOCK, OnAnswer, answered, missing
from ragguard.serving.answer import Hit
from ragguard.serving.retriever import Retriever

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise missing("langchain", error) from error


class GuardedRetriever(BaseRetriever):
    """Answer LangChain's questions with proved passages.

    Attributes:
        retriever: Of an open workspace (`w.retriever()`) or of a reader.
        k: Passages wanted.
        on_answer: Called with each `Answer`: proofs by point (a document's `id`), and what was
            refused.
    """

    retriever: Retriever
    k: int = 4
    on_answer: OnAnswer | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        with LOCK:
            answer = self.retriever.retrieve(query, self.k)
        return [_document(hit) for hit in answered(answer, self.on_answer).hits]


def _document(hit: Hit) -> Document:
    return Document(id=hit.proof.point, page_content=hit.text, metadata=dict(hit.metadata))
