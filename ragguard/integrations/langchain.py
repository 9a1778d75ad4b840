"""Retrieve in LangChain only what is proved, and `index()` through the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from ragguard.integrations import LOCK, OnAnswer, answered, missing
from ragguard.integrations.sink import EXPIRES, Cleanup, GivenText, Sink, SinkResult
from ragguard.serving.answer import Hit
from ragguard.serving.retriever import Retriever
from ragguard.trust.keys import KeyPair
from ragguard.workspace import Workspace

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise missing("langchain", error) from error


class GuardedRetriever(BaseRetriever):
    """Answer LangChain's questions with proved passages.

    Attributes:
        retriever: Of an open workspace (`w.retriever()`) or of a reader.
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


class GuardedIndex:
    """Index LangChain's documents as its `index()` does, through the gate.

    There is no record manager: what is there is what the ledger says. Documents need not be split;
    those that are keep their pieces. All documents of one source id belong into one call.

    Args:
        workspace: Open and locked, for one run: its clock is read once.
        source: The source they come in under; nothing else should write to it.
        key: The service's key, or its file; a signer of the source in the trust root.
        expires: How long a manifest of it is good.

    Raises:
        KeyFileError: The key file cannot be used.
    """

    def __init__(
        self,
        workspace: Workspace,
        source: str,
        key: KeyPair | Path | str,
        expires: timedelta = EXPIRES,
    ) -> None:
        self._sink = Sink(workspace, source, key, expires)

    def index(
        self,
        docs_source: BaseLoader | Iterable[Document],
        *,
        cleanup: Cleanup = None,
        source_id_key: str | Callable[[Document], str] | None = None,
    ) -> SinkResult:
        """Bring documents in, as one commit.

        Args:
            docs_source: A loader or documents.
            cleanup: `incremental` (or `scoped_full`, the same here) takes out what else there is of
                the source ids that are named, `full` all that is not given, `None` nothing.
            source_id_key: Metadata key, or function, that says what a document was cut from.

        Returns:
            A verdict for each document, and counts named as LangChain names them.

        Raises:
            UsageError: A document has no source id, and the clean-up needs one.
            IntegrityError: The manifest was refused; nothing was written.
            IncompleteError: It could not be written whole; the next call finishes it.
        """
        documents = docs_source.lazy_load() if isinstance(docs_source, BaseLoader) else docs_source
        pieces = (
            GivenText(_source_id(d, source_id_key), d.page_content, d.metadata) for d in documents
        )
        return self._sink.write(pieces, cleanup)

    async def aindex(
        self,
        docs_source: BaseLoader | Iterable[Document],
        *,
        cleanup: Cleanup = None,
        source_id_key: str | Callable[[Document], str] | None = None,
    ) -> SinkResult:
        """Bring documents in without holding the event loop up; see `index`."""
        return await asyncio.to_thread(
            self.index, docs_source, cleanup=cleanup, source_id_key=source_id_key
        )

    def delete(self, source_ids: Iterable[str]) -> SinkResult:
        """Take out all there is of some source ids."""
        return self._sink.remove(source_ids)


def _source_id(document: Document, key: str | Callable[[Document], str] | None) -> str:
    if key is None:
        return ""
    source_id = key(document) if callable(key) else document.metadata.get(key)
    return "" if source_id is None else str(source_id)


def _document(hit: Hit) -> Document:
    return Document(id=hit.proof.point, page_content=hit.text, metadata=dict(hit.metadata))
