"""Log which passages which questions were answered with. Opt-in.

A folder of numbered files, JSON lines, one an answer: when, the digest of the question, its vector
or text where that is asked for, and the passages by point, document, digest and commit, in the
order they were given. Never a passage's text. The nightly audit reads it, and `trace`.

It is no part of the tamper-evident record: whoever can write to the folder can write, or take out,
any line. It holds what people ask, so its files are theirs who run the process alone (0600).

Any number of processes and threads may write to one folder. A line is written whole under a lock of
the folder; what a killed process left of one is ended by the next and skipped by who reads. The
files together take no more than a given size: the oldest goes first. Nothing is synced to disk for
an answer. What cannot be written is counted, warned of and told in the next line: no answer waits
or fails for its record.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragguard.errors import UsageError
from ragguard.model import Floats
from ragguard.serving.answer import HONEYTOKEN, Hit, RefusedPassage
from ragguard.trust import canonical
from ragguard.trust.canonical import format_time, parse_time
from ragguard.trust.files import make_folder

FOLDER = "retrievals"  # in a workspace
LOCK = ".lock"
SEGMENTS = 8  # files that the size is spread over
LONGEST = 1 << 16  # bytes of a line
MOST_HITS = 200  # of an answer that are kept; fewer where their names are long
MAX_NAME = 4_096  # characters of a document's name
MAX_TEXT = 2_000  # characters of a question that are kept
DEEPEST = 4  # folders below one another that are read

Level = Literal["off", "digests", "vectors", "texts"]

log = logging.getLogger(__name__)


class RetrievedPassage(BaseModel):
    """A passage in a record: its point, document (`source/id`), digest and serving commit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    point: Annotated[str, Field(max_length=64)]
    document: Annotated[str, Field(max_length=MAX_NAME)]
    digest: Annotated[str, Field(max_length=64)] = ""
    commit: Annotated[int, Field(ge=0)] = 0


class AnswerRecord(BaseModel):
    """One answer.

    Attributes:
        at: When, RFC 3339.
        question: SHA-256 of the question, as a receipt names it.
        log: Entries of the log that it was proved under.
        hits: What was given, the first first.
        honeytokens: Planted documents that were found; they are never given.
        alarms: Other passages that the index held and nobody had written there so.
        abstained: Kind of the abstention; empty where passages were given.
        vector: Of the question: float16, little-endian, base64; empty where it is not kept.
        text: The question; empty where it is not kept.
        lost: Records before it that could not be written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = 1
    at: Annotated[str, Field(max_length=32)]
    question: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    log: Annotated[int, Field(ge=0)]
    hits: Annotated[list[RetrievedPassage], Field(max_length=MOST_HITS)] = []
    honeytokens: list[RetrievedPassage] = []
    alarms: Annotated[int, Field(ge=0)] = 0
    abstained: Annotated[str, Field(max_length=32)] = ""
    vector: str = ""
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    lost: Annotated[int, Field(ge=0)] = 0

    @property
    def time(self) -> datetime:
        """When."""
        return parse_time(self.at)

    @property
    def direction(self) -> Floats | None:
        """The question's vector, float32 (d,), unit length; `None` where it is not kept."""
        try:
            raw = np.frombuffer(b64decode(self.vector, validate=True), dtype="<f2")
        except ValueError:
            return None
        row = raw.astype(np.float32)
        length = float(np.linalg.norm(row))
        return row / length if len(row) and np.isfinite(length) and length > 0 else None


class RetrievalLog:
    """Writes records into a folder.

    Args:
        folder: Where; made, for the owner alone, with the first record.
        level: What is kept. `off` keeps nothing but the retrieval of honeytokens, by digest.
        max_bytes: Of all its files together.

    Attributes:
        level: What is kept.
    """

    def __init__(
        self,
        folder: Path,
        level: Level = "vectors",
        max_bytes: int = 256 << 20,
        *,
        clock: Callable[[], datetime] = canonical.now,
    ) -> None:
        self.level = level
        self._folder, self._max, self._clock = folder, max_bytes, clock
        self._segment = max(max_bytes // SEGMENTS, LONGEST)
        self._thread = threading.Lock()
        self._lost = 0
        self._pid = 0
        self._lock = self._file = -1
        self._path = folder
        self._end = 0  # of the file, when this process wrote last

    def close(self) -> None:
        """Let go of its files; the next record opens them again."""
        with self._thread:
            self._let_go()

    def answered(
        self,
        question: str,
        hits: Sequence[Hit],
        refused: Sequence[RefusedPassage],
        *,
        size: int,
        vector: Floats | None = None,
        text: str = "",
        abstained: str = "",
    ) -> None:
        """Write down one answer; never raises for what goes wrong with the folder.

        Args:
            question: SHA-256 of the question, hex.
            hits: What was given.
            refused: What was found before the last of them and was not.
            size: Entries of the log that it was proved under.
            vector: float32 (d,), where it is known.
            text: The question, where it is known.
            abstained: Kind of the abstention.
        """
        planted = [r for r in refused if r.kind == HONEYTOKEN]
        if self.level == "off" and not planted:
            return
        kept = self.level != "off"
        with_vector = self.level in ("vectors", "texts") and vector is not None
        record = AnswerRecord(
            at=format_time(self._clock()),
            question=question,
            log=size,
            hits=[_place(h) for h in hits[:MOST_HITS] if kept],
            honeytokens=[
                RetrievedPassage(point=_text(r.point, 64), document=_text(r.document, MAX_NAME))
                for r in planted[:MOST_HITS]
            ],
            alarms=sum(r.alarm for r in refused) - len(planted) if kept else 0,
            abstained=abstained if kept else "",
            vector=_packed(vector) if with_vector and vector is not None else "",
            text=_text(text, MAX_TEXT) if self.level == "texts" else "",
            lost=self._lost,
        )
        while len(line := _line(record)) > LONGEST and record.hits:
            record = record.model_copy(update={"hits": record.hits[: len(record.hits) // 2]})
        with self._thread:
            try:
                if len(line) > LONGEST:
                    raise OSError(0, f"a record of {len(line)} bytes is longer than {LONGEST}")
                self._append(line)
            except OSError as error:
                self._lost += 1
                self._let_go()
                log.warning("%s: a retrieval could not be logged (%s)", self._folder, error)
            else:
                self._lost = max(0, self._lost - record.lost)

    def _append(self, line: bytes) -> None:
        if self._pid != os.getpid():
            self._take_up()
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._choose(len(line))
            if os.fstat(self._file).st_size != self._end and not self._is_ended():
                line = b"\n" + line  # a process was killed while it wrote
            os.write(self._file, line)
            self._end = os.fstat(self._file).st_size
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _take_up(self) -> None:
        """Open the lock; after a fork too, for a lock is shared with whoever shares its file."""
        self._let_go()
        make_folder(self._folder)
        self._lock = _open(self._folder / LOCK)
        self._pid = os.getpid()

    def _let_go(self) -> None:
        for handle in (self._file, self._lock):
            if handle >= 0:
                os.close(handle)
        self._file = self._lock = -1
        self._pid = 0

    def _choose(self, wanted: int) -> None:
        """Have the newest file open, a new one where it is full; delete the oldest past the size.

        The lock is held.
        """
        if self._file >= 0:
            mine = os.fstat(self._file)
            try:
                there = os.stat(self._path, follow_symlinks=False)
            except OSError:
                there = None
            same = there is not None and (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)
            if same and mine.st_size + wanted <= self._segment:
                return
            os.close(self._file)
            self._file = -1
        paths = segments(self._folder)
        sizes = {path: path.lstat().st_size for path in paths}
        if not paths or sizes[paths[-1]] + wanted > self._segment:
            number = int(paths[-1].stem) + 1 if paths else 1
            paths.append(self._folder / f"{number:08d}.jsonl")
        room = self._max - self._segment
        while len(paths) > 1 and sum(sizes.get(path, 0) for path in paths[:-1]) > room:
            paths.pop(0).unlink(missing_ok=True)
        self._path, self._file, self._end = paths[-1], _open(paths[-1]), 0

    def _is_ended(self) -> bool:
        size = os.fstat(self._file).st_size
        return size == 0 or os.pread(self._file, 1, size - 1) == b"\n"


@dataclass
class ReadNotes:
    """What reading a folder came upon beside records.

    Attributes:
        damaged: Lines that are no records.
        lost: Answers that could not be written, as far as told.
    """

    damaged: int = 0
    lost: int = 0


def read(folder: Path, told: ReadNotes) -> Iterator[AnswerRecord]:
    """Read all records of a folder and those below it, such as copies of other readers' logs.

    Args:
        folder: Where; it need not exist.
        told: Gets what is damaged and what was lost.

    Raises:
        UsageError: A file cannot be read.
    """
    for path in _below(folder, DEEPEST):
        try:
            with open(_open(path, os.O_RDONLY), "rb") as file:
                for line in _lines(file.readline):
                    record = _record(line)
                    if record is None:
                        told.damaged += 1
                    else:
                        told.lost += record.lost
                        yield record
        except OSError as error:
            raise UsageError(
                f"{path}: {error.strerror}", hint="Let the audit read the retrieval log."
            ) from None


def segments(folder: Path) -> list[Path]:
    """List files of a retrieval log, the oldest first."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    numbered = [n for n in names if n.endswith(".jsonl") and n[:-6].isascii() and n[:-6].isdigit()]
    return [folder / name for name in sorted(numbered, key=lambda n: (int(n[:-6]), n))]


def _below(folder: Path, depth: int) -> Iterator[Path]:
    yield from segments(folder)
    if depth and folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from _below(path, depth - 1)


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield lines of a file; of one that is too long its beginning."""
    while line := readline(LONGEST + 1):
        yield line
        while len(line) > LONGEST and not line.endswith(b"\n"):
            line = readline(LONGEST + 1)


def _record(line: bytes) -> AnswerRecord | None:
    if len(line) > LONGEST or not line.endswith(b"\n"):
        return None  # cut off, or being written
    try:
        record = AnswerRecord.model_validate_json(line)
        parse_time(record.at)
    except (ValidationError, ValueError):
        return None
    return record


def _place(hit: Hit) -> RetrievedPassage:
    proof = hit.proof
    return RetrievedPassage(
        point=_text(proof.point, 64),
        document=_text(hit.document, MAX_NAME),
        digest=_text(proof.digest, 64),
        commit=proof.commit,
    )


def _text(text: str, longest: int) -> str:
    """Return the text that UTF-8 can hold, cut off."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8")


def _line(record: AnswerRecord) -> bytes:
    return record.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _packed(vector: Floats) -> str:
    return b64encode(np.asarray(vector, dtype="<f2").tobytes()).decode("ascii")


def _open(path: Path, flags: int = os.O_RDWR | os.O_CREAT | os.O_APPEND) -> int:
    """Open a file of one's own, never through a link, and let nobody else read it."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    there = os.fstat(handle)
    if not stat.S_ISREG(there.st_mode):
        os.close(handle)
        raise OSError(0, "is no regular file", str(path))
    if flags & os.O_CREAT and stat.S_IMODE(there.st_mode) & 0o077:
        os.fchmod(handle, 0o600)
    return handle
