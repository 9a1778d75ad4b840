"""Read what a benchmark runs on: a corpus, its questions, and attacks on it.

The layout (docs/benchmarks.md, "Run it on your own corpus"):

    DIR/corpus.jsonl      {"id", "text", "metadata"?}
    DIR/queries.jsonl     {"id", "text" or "query"}
    DIR/qrels.trec        query id, 0, document id, relevance
    DIR/attacks/*.jsonl   {"id", "text", "campaign"?, "query"?, "original"?, "metadata"?}; a file is
                          a family

`original` names the corpus document that an attack was made from: such a document attacks only
where its original is indexed. A text that stands twice would be both fitted on and reported, so
only its first occurrence counts; an "attack" that is word for word an honest document is no attack.
What is left out is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragguard.errors import BenchError
from ragguard.model import Floats, Metadata
from ragguard.trust.canonical import digest_text

MAX_BYTES = 2_000_000_000  # of one file


@dataclass(frozen=True)
class BenchDocument:
    """A document of the benchmark, before it is embedded.

    Attributes:
        id: As in its file.
        digest: SHA-256 of its text.
        campaign: Which target an attack belongs to; empty for an honest document.
        question: The question an attack was written for; may be empty.
        original: Id of the honest document it was made from; may be empty.
        format: Format of the text.
        vector: A vector that stands in for the text's own (simulators), else `None`.
    """

    id: str
    text: str
    digest: str
    metadata: Metadata = field(default_factory=dict)
    campaign: str = ""
    question: str = ""
    original: str = ""
    format: str = "txt"
    vector: Floats | None = None


@dataclass(frozen=True)
class Dataset:
    """A corpus with its questions and the attacks on it.

    Attributes:
        corpus: Honest documents.
        questions: Text of each honest question by id.
        qrels: Relevance by question id and document id.
        families: Attack documents by family.
        topics: Honest documents on other subjects, by name.
        dropped: How many rows were left out, by reason.
    """

    name: str
    corpus: tuple[BenchDocument, ...]
    questions: dict[str, str]
    qrels: dict[str, dict[str, int]]
    families: dict[str, tuple[BenchDocument, ...]]
    topics: dict[str, tuple[BenchDocument, ...]]
    dropped: dict[str, int]


def make_entry(row: dict[str, Any], number: int, campaign: bool) -> BenchDocument:
    """Return an entry from a row of a file.

    Args:
        row: Its fields.
        number: Its line, from 1, its id when it has none.
        campaign: Whether it is an attack; its campaign is its own id when it names none.
    """
    text, id_ = str(row["text"]), str(row.get("id", number))
    metadata = row.get("metadata")
    return BenchDocument(
        id_,
        text,
        digest_text(text),
        metadata if isinstance(metadata, dict) else {},
        str(row.get("campaign", id_)) if campaign else "",
        str(row.get("query") or ""),
        str(row.get("original") or ""),
    )


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a JSON lines file with their line numbers.

    Raises:
        BenchError: Missing, too large, or not such a file.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BenchError(f"{path}: larger than {MAX_BYTES} bytes")
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise BenchError(f"{path}:{number}: expected an object")
                    yield number, row
    except OSError as error:
        raise BenchError(
            f"{path}: {error.strerror}", hint="The layout is in docs/benchmarks.md."
        ) from None
    except ValueError as error:
        raise BenchError(f"{path}: not JSON lines ({error})") from None


def read_entries(
    path: Path, dropped: dict[str, int], known: Set[str] = frozenset(), *, campaign: bool = False
) -> tuple[BenchDocument, ...]:
    """List documents of a file, each text once.

    Args:
        dropped: Counts of what was left out; added to.
        known: Digests that must not come again.
        campaign: Whether these are attacks.
    """
    entries: dict[str, BenchDocument] = {}
    ids: set[str] = set()
    for number, row in read_rows(path):
        if not isinstance(row.get("text"), str) or not row["text"].strip():
            _count(dropped, "without text")
            continue
        entry = make_entry(row, number, campaign)
        if entry.digest in known:
            _count(dropped, "attack that is an honest document" if campaign else "known already")
        elif entry.digest in entries or entry.id in ids:
            _count(dropped, "text or id twice")
        else:
            entries[entry.digest] = entry
            ids.add(entry.id)
    return tuple(entries.values())


def _count(dropped: dict[str, int], reason: str) -> None:
    dropped[reason] = dropped.get(reason, 0) + 1


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Judgements in TREC form; relevance above 0 counts."""
    result: dict[str, dict[str, int]] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        parts = line.split()
        if not parts:
            continue
        try:
            query, _, document, relevance = parts
            result.setdefault(query, {})[document] = int(relevance)
        except ValueError:
            raise BenchError(
                f"{path}:{number}: expected `query 0 document relevance`, found {line[:80]!r}"
            ) from None
    return result


def load(
    folder: Path,
    attacks: Sequence[Path] = (),
    topics: Sequence[Path] = (),
    only: Sequence[str] = (),
) -> Dataset:
    """Read a benchmark folder.

    Args:
        attacks: Further folders of attack files.
        topics: Files of honest documents on other subjects.
        only: Families to read; all when empty.

    Raises:
        BenchError: Something of the layout is missing or malformed.
    """
    dropped: dict[str, int] = {}
    corpus = read_entries(folder / "corpus.jsonl", dropped)
    honest = {e.digest for e in corpus}
    questions: dict[str, str] = {}
    if (folder / "queries.jsonl").exists():
        for number, row in read_rows(folder / "queries.jsonl"):
            text = str(row.get("text") or row.get("query") or "").strip()
            if text:
                questions[str(row.get("id", number))] = text
    qrels = read_qrels(folder / "qrels.trec") if (folder / "qrels.trec").exists() else {}
    families: dict[str, tuple[BenchDocument, ...]] = {}
    for place in (folder / "attacks", *attacks):
        if place != folder / "attacks" and not place.is_dir():
            raise BenchError(f"{place}: no such folder")
        for path in sorted(place.glob("*.jsonl")):
            if path.stem in families:
                raise BenchError(f"{path}: a second family named {path.stem!r}")
            if not only or path.stem in only:
                families[path.stem] = read_entries(path, dropped, honest, campaign=True)
    other = {_topic_name(p): read_entries(p, dropped, honest) for p in topics}
    if len(other) != len(topics):
        raise BenchError("--topic: two files of one name")
    return Dataset(
        folder.resolve().name,
        corpus,
        questions,
        qrels,
        families,
        other,
        dict(sorted(dropped.items())),
    )


def _topic_name(path: Path) -> str:
    """`documents.jsonl` says little: then the folder's name."""
    return path.parent.resolve().name if path.stem in {"documents", "corpus"} else path.stem
