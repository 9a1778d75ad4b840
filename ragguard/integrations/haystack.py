"""Retrieve in Haystack only what is proved, and write through the gate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ragguard.integrations import LOCK, OnAnswer, answered, missing
from ragguard.integrations.sink import EXPIRES, Cleanup, GivenText, Sink, SinkResult
from ragguard.serving.answer import Answer, Hit
from ragguard.serving.retriever import Retriever
from ragguard.trust.keys import KeyPair
from ragguard.workspace import Workspace

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

        Returns:
            `documents`, and the `answer` with proofs by point (a document's `id`) and refusals.
        """
        with LOCK:
            retrieved = self.retriever.retrieve(query, self.top_k if top_k is None else top_k)
        answer = answered(retrieved, self.on_answer)
        return {"documents": [_document(hit) for hit in answer.hits], "answer": answer}


@component
class GuardedWriter:
    """Write a Haystack pipeline's documents through the gate, in place of `DocumentWriter`.

    It needs no embedder before it. Documents of one origin belong into one run.

    Args:
        workspace: Open and locked, for one run: its clock is read once.
        source: The source they come in under; nothing else should write to it.
        key: The service's key, or its file; a signer of the source in the trust root.
        origin_key: Key in `meta` that says what a document was cut from. Where it is missing, the
            document's `id` stands for it; by default that is a digest of what it says.
        cleanup: `incremental` takes out what else there is of the origins that are named, `full`
            all that is not given, `None` nothing.
        expires: How long a manifest of it is good.

    Raises:
        KeyFileError: The key file cannot be used.
    """

    def __init__(
        self,
        workspace: Workspace,
        source: str,
        key: KeyPair | Path | str,
        origin_key: str = "file_path",
        cleanup: Cleanup = "incremental",
        expires: timedelta = EXPIRES,
    ) -> None:
        self.origin_key = origin_key
        self.cleanup = cleanup
        self._sink = Sink(workspace, source, key, expires)

    @component.output_types(documents_written=int, indexed=SinkResult)
    def run(self, documents: list[Document]) -> dict[str, int | SinkResult]:
        """Bring documents in, as one commit.

        Args:
            documents: With text; one without is refused as empty.

        Returns:
            `documents_written`, which serve anew, and `indexed` with a verdict for each.
        """
        pieces = [
            GivenText(str(d.meta.get(self.origin_key) or d.id), d.content or "", d.meta)
            for d in documents
        ]
        indexed = self._sink.write(pieces, self.cleanup)
        return {"documents_written": indexed.num_added + indexed.num_updated, "indexed": indexed}


def _document(hit: Hit) -> Document:
    return Document(
        id=hit.proof.point, content=hit.text, meta=dict(hit.metadata), score=hit.similarity
    )
