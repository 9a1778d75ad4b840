"""Ordinary documents that a machine has anyway: documentation, manual pages, records.

What a check or a rule says of them is a false alarm. Nothing is downloaded and nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.document import parse

LONGEST = 200_000  # bytes read of one document
_FORMATS = {"md": "md", "rst": "rst", "txt": "txt", "html": "html", "htm": "html"}
_NAMES = ("README", "NEWS", "METADATA", "TODO", "FAQ", "HACKING", "INSTALL", "CHANGES")
_MANUAL = re.compile(r"\.[1-9][a-z]*$")
_REQUEST = re.compile(r"^[.'](?:\\\"[^\n]*|\.[^\n]*|[A-Za-z]{1,2}\b ?)", re.MULTILINE)
_FONT = re.compile(r"\\f[BIRPC]|\\f\([A-Z]{2}|\\s[-+]?\d|\\&|\\[|^/:]")


@dataclass(frozen=True)
class Ordinary:
    """One ordinary document.

    Attributes:
        name: The set it is of.
        path: Where it is, within the set.
        fmt: As the parser calls it.
        text: Parsed text.
        raw: Decoded source text.
        hidden: What the parser found hidden.
    """

    name: str
    path: str
    fmt: str
    text: str
    raw: str
    hidden: tuple[Hidden, ...]


def read(name: str, place: Path, most: int) -> Iterator[Ordinary]:
    """Documents of one set.

    Args:
        name: Name of the set.
        place: A folder, or a JSON-lines file with a `text` a line.
        most: Upper number; of more, those whose paths hash lowest are taken.
    """
    if place.is_file():
        lines = place.read_text("utf-8").splitlines()
        for number in _chosen([str(i) for i in range(len(lines))], most):
            if text := str(json.loads(lines[int(number)]).get("text", "")).strip():
                yield Ordinary(name, number, "txt", text, text, ())
        return
    paths = [p for p in place.rglob("*") if _format(p) and p.is_file() and not p.is_symlink()]
    by_name = {str(p.relative_to(place)): p for p in paths}
    for relative in _chosen(list(by_name), most):
        path = by_name[relative]
        try:
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = zlib.decompressobj(wbits=31).decompress(data, LONGEST)
            fmt = _format(path)
            data = _whole(data[:LONGEST])
            if fmt == "man":
                data, fmt = _manual(data.decode()).encode(), "txt"
            parsed = parse(data, fmt)
        except (UnreadableError, UnicodeDecodeError, OSError, zlib.error, RecursionError):
            continue
        yield Ordinary(name, relative, fmt, parsed.text, data.decode(), parsed.hidden)


def digest(documents: Iterator[Ordinary] | list[Ordinary]) -> str:
    """SHA-256 over the texts, so that a measurement names what it was made on."""
    found = hashlib.sha256()
    for each in documents:
        found.update(hashlib.sha256(each.raw.encode("utf-8", "replace")).digest())
    return found.hexdigest()


def _whole(data: bytes) -> bytes:
    """Bytes without a character cut in two at their end; raises where there is no UTF-8."""
    for cut in range(min(4, len(data))):
        try:
            data[: len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
        return data[: len(data) - cut]
    data.decode()
    return data


def _chosen(names: list[str], most: int) -> list[str]:
    names.sort(key=lambda n: hashlib.sha256(n.encode("utf-8", "replace")).digest())
    return names[:most]


def _format(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    if _MANUAL.search(name) and "man" in path.parent.name:
        return "man"
    ending = name.rpartition(".")[2].lower()
    if ending in _FORMATS:
        return _FORMATS[ending]
    return "txt" if name.startswith(_NAMES) else ""


def _manual(source: str) -> str:
    """A manual page's words, without the requests of its typesetter."""
    text = _FONT.sub("", _REQUEST.sub("", source.replace("\\-", "-").replace("\\(em", "-")))
    return text.replace("\\(aq", "'").replace("\\(bu", "*")
