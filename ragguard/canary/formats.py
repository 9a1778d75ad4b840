"""Read and write canary files: queries, TREC qrels, what must not appear, TREC runs.

A document id may hold spaces, which TREC's formats know nothing of. In qrels the id is what stands
between the second and the last column. In a run that is written, spaces and per cent signs of ids
are percent-encoded, so that other tools can read it; reading undoes it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ragguard.canary.sets import MAX_BYTES, Canaries, Forbidden
from ragguard.errors import MalformedError, UsageError
from ragguard.trust import strict_json

MAX_LINE = 100_000  # bytes
TAG = "ragguard"
Rankings = Mapping[str, Sequence[tuple[str, float]]]
_QREL = re.compile(r"(\S+)\s+\S+\s+(\S(?:.*\S)?)\s+(-?\d{1,4})")
_RUN = re.compile(r"(\S+)\s+\S+\s+(\S(?:.*\S)?)\s+\d+\s+(\S+)\s+\S+")
_UNSAFE = re.compile(r"[\s%]")
_FIELDS = frozenset(("document", "pattern", "query", "reason"))


def read_queries(path: Path, prefix: str = "") -> Canaries:
    """Read queries: JSON lines with `id` and `text` or `query`, or lines of id, tab, text.

    A line of JSON may name `relevant` documents, and a `scope` to ask it for, values by key; other
    fields are passed over.

    Args:
        path: `.jsonl` or `.json` for JSON lines; anything else is taken as tab-separated.
        prefix: Put before ids of documents, such as `wiki/`.

    Raises:
        UsageError: Not such a file, or one id with two texts.
    """
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    scopes: dict[str, dict[str, list[str]]] = {}
    for where, line in _lines(path):
        scope: Any = None
        if path.suffix in (".jsonl", ".json"):
            row = _object(line, where)
            query, text = row.get("id"), row.get("text", row.get("query"))
            relevant, scope = row.get("relevant", []), row.get("scope")
        else:
            query, _, text = line.partition("\t")
            relevant = []
        if isinstance(query, int) and not isinstance(query, bool):
            query = str(query)
        if not isinstance(query, str) or not isinstance(text, str) or not query or not text:
            raise UsageError(f"{where}: expected an id and a text")
        if not isinstance(relevant, list) or not all(isinstance(r, str) for r in relevant):
            raise UsageError(f"{where}: `relevant` must be a list of document ids")
        if queries.setdefault(query, text) != text:
            raise UsageError(f"{where}: the id {query[:60]!r} stands twice, with two texts")
        if relevant:
            qrels.setdefault(query, {}).update((f"{prefix}{name}", 1) for name in relevant)
        if scope is not None:
            scopes[query] = _scope(scope, where)
    return Canaries(queries, qrels, scopes=scopes)


def _scope(given: Any, where: str) -> dict[str, list[str]]:
    """Values by key; one value may stand without its list."""
    values = (
        {k: v if isinstance(v, list) else [v] for k, v in given.items()}
        if isinstance(given, dict)
        else {"": []}
    )
    if not all(isinstance(v, str) for texts in values.values() for v in texts) or "" in values:
        raise UsageError(f'{where}: `scope` must be texts by key, such as {{"tenant": "acme"}}')
    return values


def read_qrels(path: Path, prefix: str = "") -> dict[str, dict[str, int]]:
    """Read TREC qrels: query, iteration, document, grade.

    Raises:
        UsageError: Not such a file.
    """
    qrels: dict[str, dict[str, int]] = {}
    for where, line in _lines(path):
        match = _QREL.fullmatch(line)
        if match is None:
            raise UsageError(f"{where}: expected query, iteration, document and grade")
        qrels.setdefault(match[1], {})[prefix + match[2]] = int(match[3])
    return qrels


def read_must_not(path: Path, prefix: str = "") -> tuple[Forbidden, ...]:
    """Read JSON lines of `document` or `pattern`, and perhaps `query` and `reason`.

    Raises:
        UsageError: Not such a file.
    """
    entries = []
    for where, line in _lines(path):
        row = _object(line, where)
        if not row.keys() <= _FIELDS or not all(isinstance(v, str) for v in row.values()):
            raise UsageError(f"{where}: expected texts under {', '.join(sorted(_FIELDS))}")
        if bool(row.get("document")) == bool(row.get("pattern")):
            raise UsageError(f"{where}: expected a document or a pattern, one of them")
        if row.get("document"):
            row["document"] = prefix + row["document"]
        entries.append(Forbidden(**row))
    return tuple(entries)


def dump_run(rankings: Rankings) -> str:
    """Rankings as a TREC run: query, Q0, document, rank, similarity, tag.

    Args:
        rankings: Query id to (document, similarity), best first.
    """
    return "".join(
        f"{query} Q0 {_encoded(name)} {rank} {similarity!r} {TAG}\n"
        for query, ranking in rankings.items()
        for rank, (name, similarity) in enumerate(ranking, 1)
    )


def _encoded(name: str) -> str:
    return _UNSAFE.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), name)


def load_run(text: str, where: str) -> dict[str, list[tuple[str, float]]]:
    """Read a TREC run; documents in order of their similarity, and as in the file where it ties.

    Args:
        text: The run.
        where: Its name, for errors.

    Raises:
        UsageError: Not a run, or a document twice under one query.
    """
    rankings: dict[str, dict[str, float]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _RUN.fullmatch(line.strip())
        similarity = _number(match[3]) if match else math.nan
        if match is None or not math.isfinite(similarity):
            raise UsageError(f"{where}, line {number}: not a line of a TREC run")
        ranking, name = rankings.setdefault(match[1], {}), unquote(match[2])
        if name in ranking:
            raise UsageError(f"{where}, line {number}: {name[:60]!r} stands twice")
        ranking[name] = similarity
    return {
        query: sorted(ranking.items(), key=lambda pair: -pair[1])
        for query, ranking in rankings.items()
    }


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """Read a TREC run from a file; see `load_run`."""
    return load_run(_text(path), str(path))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES} bytes")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 (byte {error.start})") from None


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield lines that are not empty, each with where it stands."""
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = strict_json.parse(line.encode(), what=where, max_bytes=MAX_LINE)
    except MalformedError as error:
        raise UsageError(error.message) from None
    if not isinstance(row, dict):
        raise UsageError(f"{where}: expected a JSON object")
    return row


def dump_queries(canaries: Canaries) -> str:
    """Queries as JSON lines that `read_queries` reads, each with its relevant documents."""
    rows = (
        {
            "id": query,
            "text": text,
            "relevant": [n for n, grade in canaries.qrels.get(query, {}).items() if grade > 0],
        }
        for query, text in canaries.queries.items()
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
