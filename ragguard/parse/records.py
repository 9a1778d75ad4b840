"""Read record files: one signed file, many documents.

`.jsonl`: a line is `{"id", "text", "metadata"}`; other keys are ignored. `.csv`: a header with a
`text` column, an `id` column if there is one (else the row number), all other columns metadata.
A line that cannot be named refuses the file; one that has an id and is no record is wrong alone.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ragguard.errors import DuplicateIdError, MalformedError, OversizedError, RecordError
from ragguard.model import Metadata
from ragguard.trust import strict_json
from ragguard.trust.names import invisible

RECORD_FORMATS = frozenset({"jsonl", "csv"})
MAX_LINE_BYTES = 4_000_000
MAX_ID_BYTES = 512


@dataclass(frozen=True)
class Record:
    """One document of a record file.

    Attributes:
        wrong: Why it is none, naming file and line; its text is empty then.
    """

    id: str
    text: str
    metadata: Metadata = field(default_factory=dict)
    wrong: str = ""


def read_records(data: bytes, fmt: str, name: str) -> list[Record]:
    """Read all records of a file.

    Args:
        data: The file's bytes, already compared with what was signed.
        fmt: `jsonl` or `csv`.
        name: Named in errors.

    Returns:
        Records in file order.

    Raises:
        RecordError: A line that cannot be read or has no id, with its number.
        DuplicateIdError: The same id twice.
    """
    try:
        data = _as_utf8(data, name)
        rows = list(_jsonl(data, name) if fmt == "jsonl" else _csv(data, name))
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:  # what codecs, json and csv raise of bytes
        raise RecordError(f"{name!r}: damaged ({type(error).__name__})") from error
    records: list[Record] = []
    seen: dict[str, int] = {}
    for number, record in rows:
        if record.id in seen:
            raise DuplicateIdError(
                f"{name!r} line {number}: id {record.id!r} already stands in line {seen[record.id]}"
            )
        seen[record.id] = number
        records.append(record)
    return records


def _record(number: int, name: str, key: Any, text: Any, metadata: Any) -> Record:
    where = f"{name!r} line {number}"
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    if not isinstance(key, str) or not key or len(key.encode()) > MAX_ID_BYTES:
        raise RecordError(f"{where}: id must be a string of 1 to {MAX_ID_BYTES} bytes")
    if not unicodedata.is_normalized("NFC", key) or invisible(key):
        raise RecordError(
            f"{where}: id {key!r} holds invisible or control characters or is not in NFC"
        )
    if metadata is None:
        metadata = {}
    wrong = ""
    if not isinstance(text, str):
        kind = "null" if text is None else type(text).__name__
        wrong = f"text must be a string, found {kind}"
    elif "\x00" in text:
        wrong = "text holds NUL characters"
    elif not isinstance(metadata, dict):
        wrong = "metadata must be an object"
    return Record(key, "", wrong=f"{where}: {wrong}") if wrong else Record(key, text, metadata)


def _as_utf8(data: bytes, name: str) -> bytes:
    """Return the bytes without the mark that some programs put first; those of UTF-16 in UTF-8."""
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-16").encode()
    except UnicodeError:
        raise RecordError(f"{name!r}: not valid UTF-16") from None


def _jsonl(data: bytes, name: str) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{name!r} line {number}"
        try:
            body = strict_json.parse(line, what=where, max_bytes=MAX_LINE_BYTES)
        except (MalformedError, OversizedError) as error:
            raise RecordError(
                error.message, hint='A line is {"id": …, "text": …, "metadata": {…}}.'
            ) from None
        if not isinstance(body, dict) or "id" not in body:
            raise RecordError(
                f"{where}: expected an object with id and text",
                hint='A line is {"id": …, "text": …, "metadata": {…}}.',
            )
        yield number, _record(number, name, body["id"], body.get("text"), body.get("metadata"))


def _csv(data: bytes, name: str) -> Iterator[tuple[int, Record]]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"{name!r}: not UTF-8 (byte {error.start})") from None
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or []
        if "text" not in header or len(set(header)) != len(header):
            raise RecordError(
                f"{name!r}: the header must have a column `text` and no column twice",
                hint="First line: id,text,department,…",
            )
        for row in reader:
            number = reader.line_num
            if None in row or None in row.values():
                raise RecordError(f"{name!r} line {number}: not as many fields as the header")
            key = row.pop("id", str(number))
            body = row.pop("text")
            yield number, _record(number, name, key, body, {k: v for k, v in row.items() if v})
    except csv.Error as error:
        raise RecordError(f"{name!r} line {reader.line_num}: {error}") from None
