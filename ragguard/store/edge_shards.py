"""Open Qdrant Edge shards in folders: which collections there are, and who has them open.

Layout: `<root>/<collection>/collection.json` names the shard folder in use, the dimension and the
payload indexes; `aliases.json` the aliases. Both are replaced atomically, so that a search graph is
built in a subprocess on a copy and swapped in. The engine's lock on a shard refuses a second
process, readers included.

Threads of this process may read while another one writes, switches aliases or drops collections:
from looking a name up to the engine's answer nobody else gets in between. The engine lets no other
thread run meanwhile anyway.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from ragguard.errors import LockedError, StoreError
from ragguard.store import room
from ragguard.store.copies import copy_folder, read_json, shard_of
from ragguard.trust.files import sync_folder

ALIASES = "aliases.json"
FLUSH_EVERY = 20_000  # points; the write-ahead log grows until a flush


def call(method: Callable[..., Any], *args: Any) -> Any:
    """Call the engine, whose only error is a bare `Exception`.

    Raises:
        LockedError: Another process has the shard open.
        StoreError: Anything else the engine says.
    """
    try:
        return method(*args)
    except Exception as error:
        # The binding raises `Exception` itself, so there is no class to name; anything narrower is
        # a fault of the caller and goes on as it is.
        if type(error) is not Exception:
            raise
        text = " ".join(str(error).split())
        if "WouldBlock" in text:
            raise LockedError(
                "index: another process has it open (embedded means one process, readers too)",
                hint="Stop the other process, or use a Qdrant server ([store] url).",
            ) from error
        raise StoreError(f"index engine: {text[:300]}") from error


class Shards:
    """The shards below a folder, opened when first used.

    Args:
        root: The folder; made when missing, if it may be written.
        writable: Whether anything may be changed.

    Raises:
        StoreError: There is no such folder, and it may not be made.
    """

    def __init__(self, root: Path, *, writable: bool) -> None:
        self.root = root
        self._writable = writable
        self._open: dict[str, Any] = {}
        self._aliases: tuple[Any, dict[str, str]] = None, {}  # and which file they were read from
        self._unflushed: dict[str, int] = {}  # points, of collections that were written to
        self._lock = threading.RLock()
        if writable:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not root.is_dir():
            raise StoreError(
                f"{root}: no index there", hint="It is the folder index/ of a workspace."
            )

    def _may_write(self) -> None:
        """Refuse to change what was opened to be read.

        Raises:
            StoreError: It was.
        """
        if not self._writable:
            raise StoreError(
                "embedded index: opened to be read; a change past the gate would be taken for "
                "tampering",
                hint="`ragguard ingest` writes it. An index of your own: open_edge(path, "
                "writable=True).",
            )

    def aliases(self) -> dict[str, str]:
        """Alias to collection.

        Raises:
            StoreError: `aliases.json` is damaged.
        """
        try:
            there = os.stat(f"{self.root}/{ALIASES}")
        except FileNotFoundError:
            return {}
        mark = (there.st_ino, there.st_size, there.st_mtime_ns)
        known, aliases = self._aliases
        if mark != known:
            read = read_json(self.root / ALIASES)
            aliases = {k: str(v) for k, v in read.items()}
            self._aliases = mark, aliases
        return dict(aliases)

    def set_aliases(self, aliases: dict[str, str]) -> None:
        """Replace all aliases at once."""
        self._may_write()
        with self._lock:
            replace_json(self.root / ALIASES, aliases)
            self._aliases = None, {}

    def names(self) -> list[str]:
        """List collections, sorted."""
        return sorted(p.parent.name for p in self.root.glob("*/collection.json"))

    def exists(self, name: str) -> bool:
        """Tell whether a collection or alias is there."""
        with self._lock:
            return self._is_there(self.aliases().get(name, name))

    def _is_there(self, physical: str) -> bool:
        return os.path.exists(f"{self.root}/{physical}/collection.json")

    def resolve(self, name: str) -> str:
        """Return the collection behind a name or alias.

        Raises:
            StoreError: There is none.
        """
        with self._lock:
            physical = self.aliases().get(name, name)
            if not self._is_there(physical):
                raise StoreError(f"collection {name!r} does not exist")
            return physical

    def settings(self, physical: str) -> dict[str, Any]:
        """Tell what `collection.json` says: shard, size, distance, indexes.

        Raises:
            StoreError: It is damaged.
        """
        return read_json(self.root / physical / "collection.json")

    def set_settings(self, physical: str, settings: dict[str, Any]) -> None:
        """Replace `collection.json`."""
        self._may_write()
        replace_json(self.root / physical / "collection.json", settings)

    def shape(self, physical: str) -> tuple[int, str]:
        """Dimension and distance that the engine itself goes by, whatever `collection.json` says.

        Raises:
            StoreError: The shard has another layout than one unnamed dense vector.
        """
        path = shard_of(self.root / physical) / "edge_config.json"
        try:
            vectors = read_json(path)["vectors"]
            return int(vectors[""]["size"]), str(vectors[""]["distance"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise StoreError(
                f"embedded index: collection {physical!r} is not one unnamed dense vector ({error})"
            ) from None

    def create(self, name: str, size: int, distance: str, config: Any) -> None:
        """Make an empty collection; it exists once `collection.json` does."""
        self._may_write()
        room.ask(self.root, room.NEW)
        folder = self.root / name
        shutil.rmtree(folder, ignore_errors=True)  # what a killed creation left
        folder.mkdir(parents=True)
        shard = call(edge.EdgeShard.create, str(folder / "shard-1"), config)
        call(shard.flush)
        self._open[name] = shard
        self.set_settings(
            name, {"shard": "shard-1", "size": size, "distance": distance, "indexes": {}}
        )

    def drop(self, physical: str) -> None:
        """Delete a collection; it is gone once `collection.json` is."""
        self._may_write()
        with self._lock:
            shard = self._open.pop(physical, None)
            self._unflushed.pop(physical, None)
            if shard is not None:
                shard.close()
            (self.root / physical / "collection.json").unlink()
        shutil.rmtree(self.root / physical)

    def shard(self, name: str) -> Any:
        """Return the open shard of a collection or alias; another thread may close it any time."""
        with self._lock:
            physical = self.resolve(name)
            if physical not in self._open:
                folder = shard_of(self.root / physical)
                room.ask_to_open(folder)
                self._open[physical] = call(edge.EdgeShard.load, str(folder))
            return self._open[physical]

    @contextmanager
    def held(self, name: str) -> Iterator[Any]:
        """The open shard of a collection or alias, which stays open, and the alias as it is."""
        with self._lock:
            yield self.shard(name)

    def update(self, name: str, operation: Any, points: int = 0, size: int = 0) -> None:
        """Apply a write of so many points and bytes; flush when enough of them have gathered."""
        self._may_write()
        with self._lock:
            physical = self.resolve(name)
            shard = self.shard(physical)
            room.ask(self.root / physical, room.TIMES * size)
            call(shard.update, operation)
            self._unflushed[physical] = self._unflushed.get(physical, 0) + points
            if self._unflushed[physical] >= FLUSH_EVERY:
                self.flush(physical)

    def flush(self, name: str) -> None:
        """Return once everything written is on disk."""
        with self._lock:
            physical = self.resolve(name)
            call(self.shard(physical).flush)
            self._unflushed.pop(physical, None)

    def build_index(self, name: str, index_after: int) -> bool:
        """Build the search graph in a subprocess, on a copy, and swap it in.

        Args:
            name: Collection or alias.
            index_after: Build only when more points than this have no graph.

        Returns:
            Whether it was built.

        Raises:
            StoreError: The build failed; the collection is as before.
        """
        self._may_write()
        with self._lock:
            physical = self.resolve(name)
            facts = call(self.shard(physical).info)
            if facts.points_count - facts.indexed_vectors_count <= index_after:
                return False
            self.flush(physical)
            self._open.pop(physical).close()
            settings = self.settings(physical)
            old = self.root / physical / settings["shard"]
            new = old.with_name(f"shard-{int(settings['shard'].rpartition('-')[2]) + 1}")
            shutil.rmtree(new, ignore_errors=True)
            copy_folder(old, new)
        module = ("-m", "ragguard.store.optimize")
        command = [sys.executable, *module, str(new), str(settings["size"])]
        process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if process.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise StoreError(f"building the search graph failed: {process.stderr.strip()[-300:]}")
        with self._lock:
            reopened = self._open.pop(physical, None)  # by a thread that read meanwhile
            if reopened is not None:
                reopened.close()
            self.set_settings(physical, {**settings, "shard": new.name})
        shutil.rmtree(old, ignore_errors=True)
        return True

    def close(self) -> None:
        """Close every open shard; what was written to is flushed, a reader waits for no disk."""
        with self._lock:
            while self._open:
                physical, shard = self._open.popitem()
                if physical in self._unflushed:
                    call(shard.flush)
                    del self._unflushed[physical]
                shard.close()


def replace_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, also after power loss."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        with open(aside, "x", encoding="utf-8") as file:  # never a file or link that is there
            json.dump(value, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
