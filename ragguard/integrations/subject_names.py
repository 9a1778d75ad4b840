"""Name the signed record file of an origin: a path, an address, whatever a loader calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from ragguard.errors import SubjectNameError
from ragguard.trust.canonical import digest_text
from ragguard.trust.names import check_name, collision_keys

MAX_PART = 200  # bytes between two `/`; file systems take 255
MAX_NAME = 900
_ODD = re.compile(r'[%~\\:#?*"<>|\x00-\x20\x7f]')


class Names:
    """Names for origins: one each, the same every time, none that looks like another's.

    A name is the origin itself where that may be a file's name below a folder, else its percent
    encoding. Where a person could take it for the name of another origin, a part of its digest is
    put behind it.
    """

    def __init__(self, there: Iterable[str]) -> None:
        self._there = set(there)
        self._keys: dict[str, str] | None = None  # to the name that has it
        self._known: dict[str, str] = {}

    def of(self, origin: str) -> str:
        """Return the name of an origin, without ending."""
        if origin not in self._known:
            self._known[origin] = self._find(origin)
        return self._known[origin]

    def _find(self, origin: str) -> str:
        name = encoded(origin)
        apart = f"{name}~{digest_text(origin)[:16]}"
        for candidate in (name, apart):
            if candidate in self._there:
                return candidate
        if self._keys is None:
            self._keys = {k: n for n in self._there for k in _keys(n)}
        chosen = apart if any(k in self._keys for k in _keys(name)) else name
        self._there.add(chosen)
        self._keys.update(dict.fromkeys(_keys(chosen), chosen))
        return chosen


def encoded(origin: str) -> str:
    """Return an origin as a name; two origins never have the same."""
    name = _ODD.sub(lambda m: f"%{ord(m[0]):02X}", origin)
    if _allowed(name):
        return name
    name = quote(origin.encode("utf-8", "surrogatepass"), safe="").replace("~", "%7E")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return name if len(name) <= MAX_PART else f"{name[:100]}~{digest_text(origin)}"


def _allowed(name: str) -> bool:
    *folders, last = name.split("/")
    if any(folder.endswith(".jsonl") for folder in folders):  # may be a file's name
        return False
    if any(p.startswith(".") or len(_bytes(p)) > MAX_PART for p in (*folders, last)):
        return False
    try:
        return len(_bytes(check_name(name))) <= MAX_NAME
    except SubjectNameError:
        return False


def _keys(name: str) -> list[str]:
    return [f"{kind}{key}" for kind, key in zip("fs", collision_keys(name), strict=True)]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
