"""Bring a framework's documents in through the gate, signed by a service's key.

What a framework calls a source (the file or page that pieces were cut from) is one signed record
file, its pieces are records, and one call is one manifest and one commit: there is no second list
of what was written where, that could disagree with the index. A piece that stays keeps its id; one
that changed takes over the id of one that is gone, so that it is an update and its history stays.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from numbers import Integral, Real
from pathlib import Path
from typing import Literal

from ragguard.corpus.state import state_of
from ragguard.errors import IncompleteError, IntegrityError, UsageError
from ragguard.ingest.report import Report
from ragguard.ingest.run import ingest
from ragguard.ingest.sign import sign
from ragguard.integrations import LOCK
from ragguard.integrations.subject_names import Names
from ragguard.ledger import commits, versions
from ragguard.ledger.versions import VersionRow
from ragguard.model import Verdict
from ragguard.parse.records import MAX_LINE_BYTES, read_records
from ragguard.trust.canonical import digest, digest_bytes
from ragguard.trust.key_files import read_key
from ragguard.trust.keys import KeyPair
from ragguard.trust.manifest import LastAccepted
from ragguard.workspace import Workspace

There = Mapping[str, Mapping[str, VersionRow]]  # by file and key of its record, the newest version
Cleanup = Literal["incremental", "full", "scoped_full"] | None
EXPIRES = timedelta(days=90)
ENDING = ".jsonl"


@dataclass(frozen=True)
class GivenText:
    """A text that a framework hands over.

    Attributes:
        origin: What it was cut from; empty where that is not known.
        text: Its text.
        metadata: Of the document, as the framework has it.
    """

    origin: str
    text: str
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class SinkResult:
    """What became of the pieces of one call.

    Attributes:
        verdicts: One for each piece, in the order given; pieces that are alike share one.
        report: Of the ingest; `None` where there was nothing to do.
        num_added: Pieces that came in under an id of their own.
        num_updated: Pieces that came in as a newer version of one that was there.
        num_skipped: Pieces that were there already, or that stood twice in the call.
        num_waiting: Pieces that wait for a reviewer; a version before one goes on serving.
        num_rejected: Pieces that were refused for good.
        num_deleted: Documents taken out.
        note: What else is to be said: a removal that a reviewer has to confirm, points that are not
            there any more.
    """

    verdicts: Sequence[Verdict] = ()
    report: Report | None = None
    num_added: int = 0
    num_updated: int = 0
    num_skipped: int = 0
    num_waiting: int = 0
    num_rejected: int = 0
    num_deleted: int = 0
    note: str = ""


class Sink:
    """Writes to one source of an open workspace, in the name of a service.

    Args:
        workspace: Open and locked, for one run: its clock is read once.
        source: The source the pieces come in under; nothing else should write to it.
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
        self._workspace = workspace
        self._source = source
        self._key = key if isinstance(key, KeyPair) else read_key(Path(key), lambda: None)
        self._expires = expires

    def write(self, pieces: Iterable[GivenText], cleanup: Cleanup = "incremental") -> SinkResult:
        """Bring pieces in.

        Args:
            pieces: All of an origin in one call.
            cleanup: `incremental` or `scoped_full` takes out what else there is of the origins that
                are named, `full` all that is not given, `None` nothing.

        Raises:
            UsageError: Pieces without an origin under `incremental` or `scoped_full`.
            IntegrityError: The manifest was refused; nothing was written.
            IncompleteError: It could not be written whole; the next call finishes it.
        """
        if cleanup not in ("incremental", "full", "scoped_full", None):
            raise UsageError(
                f"cleanup is {cleanup!r}, expected incremental, full, scoped_full or None"
            )
        given = list(pieces)
        with LOCK:
            self._workspace.recover()
            there, pending = self._there()
            names = _names(there)
            files: dict[str, _File] = {}
            places: list[tuple[str, int]] = []
            for piece in given:
                name = names.of(_origin(piece, cleanup)) + ENDING
                if name not in files:
                    files[name] = _File(there.get(name, {}))
                places.append((name, files[name].add(piece)))
            for file in files.values():
                file.name_pieces(keep=cleanup is None, drop=file.of_documents(pending))
            ids = [(name, f"{name}#{files[name].keys[place]}") for name, place in places]
            removes = there.keys() - files.keys() if cleanup == "full" else set()
            return self._deliver(files, removes, ids, there, pending)

    def remove(self, origins: Iterable[str]) -> SinkResult:
        """Take out all there is of some origins; those that are not there are passed over."""
        with LOCK:
            self._workspace.recover()
            there, pending = self._there()
            names = _names(there)
            gone = {names.of(origin) + ENDING for origin in origins}
            return self._deliver({}, gone & there.keys(), [], there, pending)

    def _there(self) -> tuple[There, set[str]]:
        """What is there, serving or waiting, and what of it a reviewer was asked to take out."""
        state = state_of(self._workspace, self._source)
        there: dict[str, dict[str, VersionRow]] = {}
        for document, row in {**state.serving, **state.waiting}.items():
            there.setdefault(row.subject, {})[document.removeprefix(f"{row.subject}#")] = row
        return there, {name for case in state.removals for name in case.detail["documents"]}

    def _deliver(
        self,
        given: Mapping[str, _File],
        gone: Collection[str],
        ids: Sequence[tuple[str, str]],
        there: There,
        pending: Collection[str],
    ) -> SinkResult:
        """Sign files as the next manifest of the source and bring it in."""
        if not given and not gone:
            return SinkResult()
        workspace, files, removes = self._workspace, dict(given), set(gone)
        # What a reviewer was asked to take out is asked again: a manifest replaces the question.
        for name in there.keys() - files.keys() - removes:
            file = _File(there[name])
            if not (drop := file.of_documents(pending)):
                continue
            if drop == there[name].keys():
                removes.add(name)
            else:
                file.name_pieces(keep=True, drop=drop)
                files[name] = file
        with workspace.ledger.reading() as conn:
            last = commits.last_manifest(conn, self._source)
        with tempfile.TemporaryDirectory(prefix="ragguard-sink-") as folder:
            root, path = Path(folder, "records"), Path(folder, "m.intoto.json")
            root.mkdir()
            for name, file in files.items():
                target = root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.dump(workspace.vault.get))
            signed = sign(
                [root],
                root=root,
                source=self._source,
                key=self._key,
                now=workspace.now,
                expires=self._expires,
                previous=LastAccepted(*last) if last else None,
                mode="delta",
                removes=sorted(removes),
                strict=True,
            )
            path.write_bytes(signed.envelope)
            report = ingest(workspace, [path], root=root)
        indexed = _outcome(report, files, ids)
        notes = [note for note in (indexed.note, self._missing()) if note]
        return replace(indexed, note="; ".join(notes))

    def _missing(self) -> str:
        """Say so where the index has not as many points as were written to it.

        What is there by the ledger is not written again: this is how the caller comes to know that
        somebody took points out, or that the index is an older copy.
        """
        generation = self._workspace.generation()
        if generation is None:
            return ""
        with self._workspace.ledger.reading() as conn:
            written = versions.count_seals(conn, generation.serving)
        points = self._workspace.open_store().count(generation.serving)
        if points == written:
            return ""
        return f"the index has {points} points, and {written} were written: run `ragguard audit`"


@dataclass(frozen=True)
class _Record:
    """A piece as it is signed."""

    text: str
    metadata: Mapping[str, object]

    @property
    def digests(self) -> tuple[str, str]:
        """Of its text and of its metadata, as the ledger has them."""
        return digest_bytes(self.text.encode()), digest(dict(self.metadata))


class _File:
    """The records of one origin.

    Args:
        there: What is there of it, by key.
    """

    def __init__(self, there: Mapping[str, VersionRow]) -> None:
        self.there = there
        self.keys: list[str] = []  # of each record
        self._records: list[_Record] = []
        self._kept: dict[str, VersionRow] = {}
        self._places: dict[tuple[str, str], int] = {}

    def add(self, piece: GivenText) -> int:
        """Take a piece up; returns its place, that of its like where there is one."""
        record = _Record(_clean(piece.text), plain_metadata(piece.metadata))
        place = self._places.setdefault(record.digests, len(self._records))
        if place == len(self._records):
            self._records.append(record)
        return place

    def of_documents(self, documents: Collection[str]) -> set[str]:
        """List keys of those documents that are records of this file."""
        return {key for key, row in self.there.items() if row.document in documents}

    def name_pieces(self, *, keep: bool, drop: Collection[str] = ()) -> None:
        """Give each record a key: its own where it is there, else that of one that is gone.

        Args:
            keep: What is there and was not given is listed as well.
            drop: Keys that go nevertheless.
        """
        free = dict(sorted(self.there.items(), key=_by_number))
        keys: dict[int, str] = {}
        for exact in (True,) if keep else (True, False):
            alike: dict[tuple[str, ...], list[str]] = {}
            for key, row in reversed(free.items()):
                mine = (row.digest, row.metadata_digest) if exact else (row.digest,)
                alike.setdefault(mine, []).append(key)
            for digests, place in self._places.items():
                matching = alike.get(digests if exact else digests[:1])
                if matching and place not in keys:
                    keys[place] = matching.pop()
                    del free[keys[place]]
        if keep:
            self._kept = {key: row for key, row in free.items() if key not in drop}
        else:
            changed = [place for place in range(len(self._records)) if place not in keys]
            keys.update(zip(changed, free, strict=False))
        number = 1 + max((int(k) for k in self.there if k.isdecimal()), default=-1)
        for place in range(len(self._records)):
            if place not in keys:
                keys[place], number = str(number), number + 1
        self.keys = [keys[place] for place in range(len(self._records))]

    def dump(self, get: Callable[[str], bytes]) -> bytes:
        """Return the record file.

        Args:
            get: Gives signed bytes by digest; asked for what stays and was not given.
        """
        lines = [_line(k, r) for k, r in zip(self.keys, self._records, strict=True)]
        for row_digest in sorted({row.subject_digest for row in self._kept.values()}):
            for record in read_records(get(row_digest), "jsonl", row_digest):
                row = self._kept.get(record.id)
                if row is not None and row.subject_digest == row_digest:
                    lines.append(_line(record.id, _Record(record.text, record.metadata)))
        return b"".join(lines)


def _outcome(
    report: Report, files: Mapping[str, _File], ids: Sequence[tuple[str, str]]
) -> SinkResult:
    result = report.manifests[0]
    if result.error is not None:
        kinds = {2: UsageError, 5: IncompleteError}
        raise kinds.get(result.exit_code, IntegrityError)(result.error, hint=result.hint)
    by_id = {verdict.id: verdict for verdict in report.documents}
    verdicts = [by_id.get(name) or by_id[file] for file, name in ids]
    before = {f"{name}#{key}" for name, file in files.items() for key in file.there}
    counts = dict.fromkeys(("added", "updated", "skipped", "waiting", "rejected"), 0)
    seen: set[str] = set()
    for (_, name), verdict in zip(ids, verdicts, strict=True):
        if name in seen or verdict.outcome == "unchanged":
            counts["skipped"] += 1
        elif verdict.outcome == "admit":
            counts["updated" if name in before else "added"] += 1
        else:
            counts["waiting" if verdict.outcome == "quarantine" else "rejected"] += 1
        seen.add(name)
    return SinkResult(
        verdicts,
        report,
        num_deleted=report.removed,
        note=result.note,
        **{f"num_{k}": v for k, v in counts.items()},
    )


def _names(there: There) -> Names:
    return Names(name.removesuffix(ENDING) for name in there if name.endswith(ENDING))


def _origin(piece: GivenText, cleanup: Cleanup) -> str:
    if piece.origin:
        return piece.origin
    if cleanup in ("incremental", "scoped_full"):
        raise UsageError(
            f"cleanup={cleanup!r} needs an origin for every document, and the one that begins "
            f"{piece.text[:60]!r} has none",
            hint="Name the metadata key that says what it was cut from (source_id_key).",
        )
    record = _Record(_clean(piece.text), plain_metadata(piece.metadata))
    return digest_bytes("".join(record.digests).encode())[:32]


def _line(key: str, record: _Record) -> bytes:
    body = {"id": key, "text": record.text, "metadata": record.metadata}
    line = json.dumps(body, ensure_ascii=False).encode() + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    # A record without a text: refused alone, where the line would have refused the whole file.
    return json.dumps({"id": key, "text": None}).encode() + b"\n"


def _by_number(entry: tuple[str, VersionRow]) -> tuple[int, str]:
    key = entry[0]
    return (int(key) if key.isdecimal() else 0, key)


def _clean(text: str) -> str:
    """Return the text that has a form in UTF-8: half a surrogate pair becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plain_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return the metadata as a document can carry it: scalars and lists of them.

    Anything else keeps its meaning as text: what is nested as JSON, dates and others as they print.
    """
    return {_clean(str(key)): _value(value) for key, value in metadata.items()}


def _value(value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_scalar(item) for item in items]
    return _scalar(value)


def _scalar(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral | Real):  # numpy's too
        number = int(value) if isinstance(value, Integral) else float(value)
        return number if math.isfinite(number) and abs(number) < 2**53 else str(number)
    if isinstance(value, Mapping | list | tuple):
        return _clean(json.dumps(value, default=str, sort_keys=True, ensure_ascii=False))
    return _clean(str(value))
