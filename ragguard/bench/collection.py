"""Read honest documents: a folder of files, of record files, or a benchmark's corpus.

    DIR/                     .md .txt .rst .html .pdf .docx, and records of .jsonl and .csv
    DIR/v1, DIR/v2           the same at two dates; the second is laid over the first
    DIR/corpus.jsonl         a corpus (also `documents.jsonl`): nothing else of the folder is read

A record counts as a document. Files that `sign` would skip are left out and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ragguard.corpus.documents import format_of
from ragguard.errors import BenchError, RagguardError
from ragguard.parse.document import TEXT_FORMATS
from ragguard.parse.records import RECORD_FORMATS, read_records
from ragguard.trust import folder as folders
from ragguard.trust.folder import SkippedFile

CORPUS = ("corpus.jsonl", "documents.jsonl")
MAX_FILE = 100_000_000


@dataclass(frozen=True)
class Paper:
    """An honest document as it lies there.

    Attributes:
        id: Its file, or `file#id` for a record; unique in its collection.
        data: The file's bytes; for a record its JSON line.
        record: Whether it is one.
    """

    id: str
    data: bytes
    record: bool = False


@dataclass(frozen=True)
class Collection:
    """Honest documents that belong together: a site, a package's documentation, a corpus.

    Attributes:
        papers: The documents, at the first date.
        later: Those that are new or changed at the second date; empty where there is none.
        dropped: How many files and records were left out, by reason.
    """

    name: str
    papers: tuple[Paper, ...]
    later: tuple[Paper, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> bool:
        """Whether most of it are records: a feed, not a site."""
        return 2 * sum(p.record for p in self.papers) > len(self.papers)


def read_all(places: Sequence[Path], limit: int | None = None) -> list[Collection]:
    """Read collections.

    Args:
        places: A folder each.
        limit: Most documents of each, drawn at random; all when `None`.

    Raises:
        BenchError: No document in a folder, or two collections of one name.
    """
    collections = [read(place, limit) for place in places]
    names = [c.name for c in collections]
    if len(set(names)) < len(names):
        again = next(n for n in names if names.count(n) > 1)
        raise BenchError(f"two folders are named {again!r}", hint="Rename one of them.")
    return collections


def read(place: Path, limit: int | None = None) -> Collection:
    """Read one collection; see `read_all`."""
    dropped: dict[str, int] = {}
    corpus = next((place / name for name in CORPUS if (place / name).is_file()), None)
    editions = (place / "v1", place / "v2") if (place / "v1").is_dir() else (place, None)
    first = _papers(editions[0], corpus, dropped)
    papers = _drawn(first.values(), limit)
    later: list[Paper] = []
    if editions[1] is not None and editions[1].is_dir():
        second = _papers(editions[1], None, dropped)
        kept = {p.id for p in papers}
        changed = [p for p in second.values() if p.id in kept and first[p.id].data != p.data]
        added = [p for p in second.values() if p.id not in first]
        later = changed + _drawn(added, None if limit is None else max(limit - len(changed), 0))
    if not papers:
        raise BenchError(
            f"{place}: no document in it",
            hint=f"Formats: {', '.join(sorted(TEXT_FORMATS | RECORD_FORMATS))}.",
        )
    return Collection(
        place.resolve().name, tuple(papers), tuple(later), dict(sorted(dropped.items()))
    )


def _drawn(papers: Iterable[Paper], limit: int | None) -> list[Paper]:
    """So many documents at random, in their order."""
    every = list(papers)
    if limit is None or len(every) <= limit:
        return every
    chosen = np.random.default_rng(0).permutation(len(every))[:limit]
    return [every[i] for i in sorted(chosen.tolist())]


def _papers(root: Path, corpus: Path | None, dropped: dict[str, int]) -> dict[str, Paper]:
    papers: dict[str, Paper] = {}
    for name in folders.walk(root, corpus or root, TEXT_FORMATS | RECORD_FORMATS):
        if isinstance(name, SkippedFile):
            reason = "another format" if name.reason.startswith("format") else name.reason
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        data = folders.read(root, name, MAX_FILE)
        if format_of(name) not in RECORD_FORMATS:
            papers[name] = Paper(name, data)
            continue
        try:
            records = read_records(data, format_of(name), name)
        except RagguardError:
            dropped["not a record file"] = dropped.get("not a record file", 0) + 1
            continue
        for record in records:
            if not record.text.strip():
                dropped["without text"] = dropped.get("without text", 0) + 1
                continue
            body = {"id": record.id, "text": record.text, "metadata": record.metadata}
            line = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            papers[f"{name}#{record.id}"] = Paper(f"{name}#{record.id}", line, record=True)
    return papers
