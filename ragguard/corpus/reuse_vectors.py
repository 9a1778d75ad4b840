"""Cut documents of the vault where they were cut before, with the vectors they had.

Where the ledger has the spans of a document's chunks by a recipe, no splitter, no tokenizer and no
model is needed to have its points again: the spans are cut out of its text, each is held against
the digest of the chunk it was, and its vector is looked up by that digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import EmbeddedDocument, read_items
from ragguard.detect.view import PreparedDocument
from ragguard.ledger import versions
from ragguard.ledger.versions import PointRow
from ragguard.ledger.writer import load_vectors
from ragguard.model import Chunk, Floats
from ragguard.parse.document import ParsedDocument
from ragguard.parse.workers import Read
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace import Workspace


def recut(
    workspace: Workspace,
    items: Mapping[int, IncomingDocument],
    spans: Mapping[int, Sequence[PointRow]],
    recipe: str,
) -> dict[int, EmbeddedDocument]:
    """List chunks and vectors of documents, nothing split and nothing embedded.

    Args:
        items: Documents from the vault, by any number.
        spans: Rows of the points they had by the recipe, in chunk order, by the same number.

    Returns:
        By number. Left out are documents without spans, those whose text is not what it was at a
        span, and those with a chunk that the vault has no vector of.

    Raises:
        VaultError: Vectors are gone or damaged.
    """
    cut = cut_again(workspace, items, spans)
    digests = {p.text_digest for number in cut for p in spans[number]}
    with workspace.ledger.reading() as conn:
        places = versions.known_vectors(conn, recipe, sorted(digests), workspace.seal_key)
    packs: dict[str, Floats] = {}
    embedded: dict[int, EmbeddedDocument] = {}
    for number, (parsed, chunks) in cut.items():
        texts = tuple(str(p.text_digest) for p in spans[number])
        if not all(text in places for text in texts):
            continue
        kept = tuple(places[text] for text in texts)
        for pack, _ in kept:
            if pack not in packs:
                packs[pack] = load_vectors(workspace.vault.get(pack))
        vectors = np.stack([packs[pack][row] for pack, row in kept])
        document = items[number].document
        prepared = PreparedDocument(document, parsed.text, parsed.hidden, chunks, vectors, None)
        embedded[number] = EmbeddedDocument(prepared, texts, kept)
    return embedded


def cut_again(
    workspace: Workspace,
    items: Mapping[int, IncomingDocument],
    spans: Mapping[int, Sequence[PointRow]],
) -> dict[int, tuple[ParsedDocument, tuple[Chunk, ...]]]:
    """Text and chunks of documents, by number; left out where the text is not what it was."""
    listed = [number for number in items if spans.get(number)]
    read = read_items(workspace, [items[number] for number in listed])
    cut: dict[int, tuple[ParsedDocument, tuple[Chunk, ...]]] = {}
    for number, answer in zip(listed, read, strict=True):
        if isinstance(answer, Read) and (chunks := _cut(answer.parsed, spans[number])) is not None:
            cut[number] = (answer.parsed, chunks)
    return cut


def _cut(parsed: ParsedDocument, spans: Sequence[PointRow]) -> tuple[Chunk, ...] | None:
    """Return a document's chunks; `None` where the text is not what it was."""
    chunks = tuple(Chunk(p.start, p.end, parsed.text[p.start : p.end]) for p in spans)
    same = all(
        digest_bytes(chunk.text.encode()) == p.text_digest
        for chunk, p in zip(chunks, spans, strict=True)
    )
    return chunks if same else None
