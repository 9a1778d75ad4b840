"""Prepare benchmark documents: parsed, split and embedded as ingest would; vectors are kept.

The cache is a folder: one pack of vectors a file, under the recipe they were made with, found again
by the SHA-256 of the chunk's text. A second run over the same texts does not load the model.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ragguard.bench.dataset import BenchDocument
from ragguard.detect.view import PreparedDocument
from ragguard.embed.encoder import Encoder
from ragguard.errors import UnreadableError
from ragguard.model import Document, Floats, Progress
from ragguard.parse.chunk import split
from ragguard.parse.document import decode_text, parse, read_text
from ragguard.text.words import normalise, words
from ragguard.trust.canonical import digest_bytes

PACK = 2048  # texts a pack: what a killed run loses at most
SOURCE = "bench"


@dataclass(frozen=True)
class EmbeddedBenchDocument:
    """A benchmark document, embedded.

    Attributes:
        entry: What it is of.
        prepared: As ingest would judge it. Its name is its digest: a name must not say which side
            a document is on.
        texts: Its chunks' texts, normalised.
    """

    entry: BenchDocument
    prepared: PreparedDocument
    texts: tuple[str, ...]
    words: tuple[list[str], ...]


class VectorCache:
    """Vectors by recipe and text digest; in memory only when there is no folder.

    Args:
        folder: Where packs are kept, or `None`.
        recipe: Digest of the recipe.
    """

    def __init__(self, folder: Path | None, recipe: str) -> None:
        self._folder = folder / recipe[:32] if folder is not None else None
        self._known: dict[bytes, Floats] = {}
        self.embedded = 0  # texts that had to be embedded
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._folder.glob("*.npz")):
                self._read(path)

    def _read(self, path: Path) -> None:
        """Take a pack in; one that is damaged is embedded again."""
        try:
            with np.load(path, allow_pickle=False) as pack:
                keys, vectors = pack["digests"], pack["vectors"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
            return
        if keys.dtype != np.uint8 or vectors.dtype != np.float32 or len(keys) != len(vectors):
            return
        for key, vector in zip(keys, vectors, strict=True):
            self._known[key.tobytes()] = vector

    def add(self, texts: Sequence[str], vectors: Floats) -> None:
        """Keep vectors.

        Args:
            vectors: float32 (n, d), unit length.
        """
        keys = [_key(text) for text in texts]
        self._known.update(zip(keys, vectors, strict=True))
        if self._folder is None:
            return
        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32)
        name = digest_bytes(table.tobytes())[:32]
        aside = self._folder / f".{name}.new"
        with aside.open("wb") as file:
            np.savez(file, digests=table, vectors=vectors)
        os.replace(aside, self._folder / f"{name}.npz")

    def encode(self, encoder: Encoder, texts: Sequence[str], progress: Progress) -> Floats:
        """Return the vectors of texts, float32 (n, d); those not known are embedded and kept."""
        missing = list({_key(t): t for t in texts if _key(t) not in self._known}.values())
        for start in range(0, len(missing), PACK):
            block = missing[start : start + PACK]
            progress("embed", start, len(missing))
            self.add(block, encoder.encode(block))
            self.embedded += len(block)
        if missing:
            progress("embed", len(missing), len(missing))
        if not texts:
            return np.empty((0, encoder.recipe.dimensions), dtype=np.float32)
        return np.stack([self._known[_key(t)] for t in texts])


def _key(text: str) -> bytes:
    return bytes.fromhex(digest_bytes(text.encode("utf-8", "surrogatepass")))


def prepare(
    entries: Sequence[BenchDocument],
    encoder: Encoder,
    cache: VectorCache,
    *,
    size: int,
    overlap: int,
    progress: Progress,
) -> list[EmbeddedBenchDocument]:
    """Parse, split and embed entries.

    Args:
        entries: Documents; those that cannot be read are left out, as ingest refuses them.
        cache: Vectors known already.
        size: Upper characters of a chunk.
        overlap: Overlap of chunks.
    """
    kept, parsed = [], []
    for entry in entries:
        try:
            if entry.format == "txt":
                parsed_entry = read_text(entry.text, "txt")
            else:
                parsed_entry = parse(entry.text.encode("utf-8", "surrogatepass"), entry.format)
        except UnreadableError:
            continue
        kept.append(entry)
        parsed.append(parsed_entry)
    chunks, _ = split(
        [p.text for p in parsed],
        [e.format for e in kept],
        size=size,
        overlap=overlap,
        max_tokens=encoder.recipe.max_tokens,
        count_tokens=encoder.count_tokens,
        begins=[p.begin for p in parsed],
    )
    rows = [(e, p, tuple(c)) for e, p, c in zip(kept, parsed, chunks, strict=True) if c]
    own = [c.text for e, _, part in rows if e.vector is None for c in part]
    vectors = iter(cache.encode(encoder, own, progress))
    items = []
    for entry, parsed_entry, part in rows:
        if entry.vector is None:
            matrix = np.stack([next(vectors) for _ in part])
        else:
            matrix = np.repeat(entry.vector[None, :].astype(np.float32), len(part), axis=0)
        raw = parsed_entry.text
        if entry.format == "html":
            raw = unescape(decode_text(entry.text.encode("utf-8", "surrogatepass")))
        document = Document(
            SOURCE, entry.digest, entry.digest, entry.metadata, entry.digest, entry.digest
        )
        texts = tuple(normalise(c.text) for c in part)
        items.append(
            EmbeddedBenchDocument(
                entry,
                PreparedDocument(document, raw, parsed_entry.hidden, part, matrix),
                texts,
                tuple(words(t) for t in texts),
            )
        )
    return items
