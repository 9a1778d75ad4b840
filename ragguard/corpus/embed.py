"""Chunk and embed documents; what was embedded once is not embedded again.

Vectors are kept in the vault in packs, a matrix each, found again by recipe and text digest. A pack
is written while embedding goes on, so that a killed run loses at most one pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import unescape

import numpy as np

from ragguard.corpus.documents import IncomingDocument
from ragguard.detect.view import PreparedDocument
from ragguard.ledger import versions
from ragguard.ledger.writer import dump_vectors, load_vectors
from ragguard.model import Chunk, Finding, Floats, Hidden, Metadata
from ragguard.parse import workers
from ragguard.parse.chunk import refine
from ragguard.parse.document import ParsedDocument, decode_text
from ragguard.parse.workers import Read, Source, Unread
from ragguard.trust.canonical import digest, digest_bytes
from ragguard.workspace import Workspace

PACK = 4096  # chunks a pack

# Vectors that somebody else made, by text digest, of texts by text digest; none of what is to be
# embedded.
Given = Callable[[Mapping[str, str]], Mapping[str, Floats]]


@dataclass(frozen=True)
class EmbeddedDocument:
    """A prepared document and where the vault keeps its vectors.

    Attributes:
        prepared: For the view.
        text_digests: SHA-256 of each chunk's text.
        places: (pack, row) of each chunk's vector; empty on a dry run.
    """

    prepared: PreparedDocument
    text_digests: tuple[str, ...]
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Parts:
    """A document taken apart: its source text, what is hidden in it, its chunks."""

    raw: str
    hidden: tuple[Hidden, ...]
    chunks: tuple[Chunk, ...]


def take_apart(
    workspace: Workspace, items: Sequence[IncomingDocument]
) -> tuple[dict[int, Parts], dict[int, Finding]]:
    """Parse and split documents.

    Returns:
        Parts and findings by position in `items`; a document that cannot be read has a finding.
    """
    if items:
        plugins = workspace.settings.plugins.parsers
        workers.start(workspace.settings.parse, plugins)  # while the model is loaded
    settings, encoder = workspace.settings.chunks, workspace.encoder
    read: dict[int, Read] = {}
    unreadable: dict[int, Finding] = {}
    for number, answer in enumerate(read_items(workspace, items)):
        if isinstance(answer, Unread):
            unreadable[number] = Finding("unreadable", 1.0, None, answer.reason)
        else:
            read[number] = answer
    chunks, _ = refine(
        [list(answer.chunks) for answer in read.values()],
        [items[n].fmt for n in read],
        size=settings.size,
        overlap=settings.overlap,
        max_tokens=encoder.recipe.max_tokens,
        count_tokens=encoder.count_tokens,
    )
    most = workspace.settings.parse.chunks
    parts: dict[int, Parts] = {}
    for (number, answer), cut in zip(read.items(), chunks, strict=True):
        if len(cut) > most:
            reason = f"{len(cut)} chunks, at most {most} ([parse] chunks)"
            unreadable[number] = Finding("unreadable", 1.0, None, reason)
            continue
        raw = _source_text(items[number], answer.parsed)
        parts[number] = Parts(raw, answer.parsed.hidden, tuple(cut))
    return parts, unreadable


def read_items(workspace: Workspace, items: Sequence[IncomingDocument]) -> list[Read | Unread]:
    """Read documents in workers, within `[parse]`.

    Returns:
        In the order given.

    Raises:
        IncompleteError: No worker can be started.
    """
    settings = workspace.settings
    sources = [Source(i.data, i.fmt) if i.data else workers.record(i.text) for i in items]
    return workers.read_documents(
        sources,
        settings.parse,
        size=settings.chunks.size,
        overlap=settings.chunks.overlap,
        plugins=settings.plugins.parsers,
    )


def _source_text(item: IncomingDocument, parsed: ParsedDocument) -> str:
    """What raw inspection reads: markup with its character references resolved, else the text."""
    if item.fmt == "html":
        return unescape(decode_text(item.data, item.fmt))
    return parsed.text


def embed(
    workspace: Workspace,
    items: Sequence[IncomingDocument],
    parts: dict[int, Parts],
    before: dict[str, Metadata],
    *,
    keep: bool,
    progress: Callable[[int, int], None],
    afresh: bool = False,
    given: Given | None = None,
) -> dict[int, EmbeddedDocument]:
    """List vectors of every chunk, from the vault where it has them.

    Args:
        parts: Their parts, by position.
        before: Metadata of the version a document replaces, by document id.
        keep: Write new vectors to the vault.
        afresh: Embed everything again, whatever the vault has.
        given: Asked for vectors of the texts that the vault has none of. What it gives stands for
            these documents alone: no other one is given it, and a rebuild embeds anew.

    Returns:
        Embedded documents by position.
    """
    recipe = workspace.encoder.recipe.digest
    texts: dict[str, str] = {}
    digests: dict[int, tuple[str, ...]] = {}
    for number, part in parts.items():
        digests[number] = tuple(digest_bytes(c.text.encode()) for c in part.chunks)
        texts.update(zip(digests[number], (c.text for c in part.chunks), strict=True))
    with workspace.ledger.reading() as conn:
        known = [] if afresh else list(texts)
        places = versions.known_vectors(conn, recipe, known, workspace.seal_key)
    missing = [d for d in texts if d not in places]
    fresh: dict[str, Floats] = {}
    if given is not None and missing:
        fresh.update(given({d: texts[d] for d in missing}))
        missing = [d for d in missing if d not in fresh]
        claimed = list(fresh) if keep else []
        for start in range(0, len(claimed), PACK):
            block = claimed[start : start + PACK]
            places.update(_keep(workspace, claims_of(recipe), block, [fresh[d] for d in block]))
    for start in range(0, len(missing), PACK):
        block = missing[start : start + PACK]
        vectors = workspace.encoder.encode(
            [texts[d] for d in block],
            partial(_further, progress, start, len(missing)),
        )
        fresh.update(zip(block, vectors, strict=True))
        if keep:
            places.update(_keep(workspace, recipe, block, vectors))
    packs: dict[str, Floats] = {}
    result: dict[int, EmbeddedDocument] = {}
    for number, part in parts.items():
        rows = []
        for name in digests[number]:
            if name in fresh:
                rows.append(fresh[name])
                continue
            pack, row = places[name]
            if pack not in packs:
                packs[pack] = load_vectors(workspace.vault.get(pack))
            rows.append(packs[pack][row])
        item = items[number]
        prepared = PreparedDocument(
            item.document,
            part.raw,
            part.hidden,
            part.chunks,
            np.stack(rows),
            before.get(item.document.id),
        )
        kept = tuple(places[d] for d in digests[number]) if keep else ()
        result[number] = EmbeddedDocument(prepared, digests[number], kept)
    return result


def claims_of(recipe: str) -> str:
    """Tell what stands for a recipe where vectors are recorded that are said to be made by it."""
    return digest([recipe, "claimed"])


def _keep(
    workspace: Workspace, recipe: str, digests: Sequence[str], vectors: Sequence[Floats] | Floats
) -> dict[str, tuple[str, int]]:
    """Put vectors of texts into the vault; where each is."""
    pack = workspace.vault.put(dump_vectors(np.asarray(vectors)))
    with workspace.ledger.writing() as conn:
        versions.add_vectors(conn, recipe, pack, digests, workspace.seal_key)
    return {name: (pack, row) for row, name in enumerate(digests)}


def _further(
    progress: Callable[[int, int], None], start: int, total: int, done: int, _block: int
) -> None:
    progress(start + done, total)
