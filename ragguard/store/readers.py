"""Read a foreign collection by pages: a server's, or of a copy of an embedded shard.

On a server `get_collections`, `get_aliases`, `get_collection`, `count` and `scroll` are called,
nothing else. Opening a shard writes (measured with qdrant-edge-py 0.9.0: opening, scrolling and
closing one rewrote twelve of its files and removed two), so a copy is opened, taken under the
engine's own lock. Its files may be damaged on purpose.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ragguard.config import check_key, without_credentials
from ragguard.config.outside import by_proxy
from ragguard.errors import StoreError, UsageError
from ragguard.store import room
from ragguard.store.copies import copy_folder, held, read_json, shard_of

NAMES = 20  # names listed in a message


@dataclass(frozen=True)
class Shape:
    """Declaration of one dense vector of a collection.

    Attributes:
        size: Dimensions.
        distance: `Cosine`, `Dot`, `Euclid` or `Manhattan`.
        multi: Whether a point has many of them.
        datatype: Of its numbers; the engine does not bring `uint8` to unit length.
    """

    size: int
    distance: str
    multi: bool
    datatype: str = ""


class Reader(Protocol):
    """Pages of a collection."""

    def count(self) -> int:
        """Number of points."""

    def page(self, limit: int, offset: Any) -> tuple[Sequence[Any], Any]:
        """Some points in id order with payload and vector, and the offset of the next page."""

    def close(self) -> None:
        """Let go of it."""


class OpenedCollection(NamedTuple):
    """An open collection: its reader, name, the vector chosen, and all its dense vectors."""

    reader: Reader
    name: str
    vector: str
    shapes: Mapping[str, Shape]


def _choose(shapes: Mapping[str, Shape], vector: str, name: str, sparse: bool) -> str:
    """Return the vector to read.

    Raises:
        UsageError: See `open_foreign`.
    """
    if not shapes:
        kind = "sparse vectors only" if sparse else "no vectors"
        raise UsageError(
            f"collection {name!r} has {kind}; the analysis needs a dense one",
            hint="Nothing of such a collection can be compared.",
        )
    listed = ", ".join(repr(n) for n in sorted(shapes)[:NAMES])
    if not vector and "" not in shapes:
        single = [n for n, shape in shapes.items() if not shape.multi]
        if len(single) > 1:
            raise UsageError(
                f"collection {name!r} has several vectors: {listed}",
                hint="Name the one to read with --vector.",
            )
        vector = single[0] if single else next(iter(shapes))
    if vector not in shapes:
        raise UsageError(
            f"collection {name!r} has no vector {vector!r}", hint=f"There are {listed}."
        )
    if shapes[vector].multi:
        raise UsageError(
            f"collection {name!r}: {vector!r} is a multi-vector, many vectors a point",
            hint="The analysis compares one dense vector a point.",
        )
    return vector


def _missing(name: str, place: str, names: Sequence[str]) -> UsageError:
    asked = f"no collection {name!r}" if name else f"{len(names)} collections, none was named"
    listed = ", ".join(repr(n) for n in sorted(names)[:NAMES]) or "no collections"
    return UsageError(f"{place}: {asked}", hint=f"There are {listed}.")


# --- servers --------------------------------------------------------------------------------------


def _ask(method: Callable[..., Any], *args: Any, place: str, **kwargs: Any) -> Any:
    from qdrant_client.http.exceptions import ApiException, ResponseHandlingException

    try:
        return method(*args, **kwargs)
    except (ApiException, ResponseHandlingException, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise StoreError(
            f"{place}: {text}", hint="Is the server running, is the url right, and the API key?"
        ) from error


class Server:
    """Pages of a collection on a server."""

    def __init__(self, client: Any, name: str, place: str) -> None:
        self._client, self._name, self._place = client, name, place
        self.wanted: Any = True

    def count(self) -> int:
        """See `Reader.count`."""
        answer = _ask(self._client.count, self._name, exact=True, place=self._place)
        return int(answer.count)

    def page(self, limit: int, offset: Any) -> tuple[Sequence[Any], Any]:
        """See `Reader.page`."""
        records, following = _ask(
            self._client.scroll,
            self._name,
            limit=limit,
            offset=offset,
            with_payload=True,
            with_vectors=self.wanted,
            place=self._place,
        )
        return records, following

    def close(self) -> None:
        """See `Reader.close`."""
        self._client.close()


def open_server(
    url: str, name: str, api_key: str | None, vector: str, timeout: int
) -> OpenedCollection:
    """Open a collection of a server; see `foreign.open_foreign`."""
    from qdrant_client import QdrantClient

    place = without_credentials(url)
    check_key(url, api_key)
    try:
        client = QdrantClient(
            url=url,
            api_key=api_key,
            timeout=timeout,
            check_compatibility=False,
            trust_env=by_proxy(url),
        )
    except ValueError as error:
        raise UsageError(f"url {place!r}: {error}") from None
    try:
        there = _ask(client.get_collections, place=place).collections
        names = [c.name for c in there]
        aliases = {a.alias_name: a.collection_name for a in _aliases(client, place)}
        if not name and len(names) == 1:
            name = names[0]
        if name not in names and name not in aliases:
            raise _missing(name, place, [*names, *aliases])
        params = _ask(client.get_collection, name, place=place).config.params
        shapes = _server_shapes(params)
        chosen = _choose(shapes, vector, name, bool(params.sparse_vectors))
        reader = Server(client, name, place)
        reader.wanted = [chosen] if chosen else True
        return OpenedCollection(reader, name, chosen, shapes)
    except BaseException:
        client.close()
        raise


def _aliases(client: Any, place: str) -> Sequence[Any]:
    try:
        return list(_ask(client.get_aliases, place=place).aliases)
    except StoreError:  # a key for one collection only may not list them
        return []


def _server_shapes(params: Any) -> dict[str, Shape]:
    vectors = params.vectors or {}
    named = vectors if isinstance(vectors, dict) else {"": vectors}
    return {
        name: Shape(
            v.size,
            str(v.distance.value),
            v.multivector_config is not None,
            str(v.datatype.value) if v.datatype is not None else "",
        )
        for name, v in named.items()
    }


# --- embedded -------------------------------------------------------------------------------------


def _engine(method: Callable[..., Any], *args: Any) -> Any:
    """Call the engine on files that may be damaged on purpose: its panics are no errors of ours."""
    from ragguard.store.edge_shards import call

    try:
        return call(method, *args)
    except BaseException as error:  # the binding's panic is no `Exception`
        if type(error).__name__ != "PanicException":
            raise
        raise StoreError(f"index engine: its files are damaged ({str(error)[:200]})") from None


class Shard:
    """Pages of a private copy of an embedded shard.

    Args:
        folder: Shard folder; it is copied and let alone.
        wanted: Names of the vectors to read; `True` for the unnamed one.
        place: For messages.
    """

    def __init__(self, folder: Path, wanted: Any, place: str) -> None:
        import qdrant_edge as edge

        self._edge, self._wanted, self._place = edge, wanted, place
        self._scratch = tempfile.TemporaryDirectory(prefix="ragguard-foreign-")
        try:
            copy = Path(self._scratch.name) / "shard"
            with held(folder):
                copy_folder(folder, copy)
            room.ask_to_open(copy)
            self._shard = _engine(edge.EdgeShard.load, str(copy))
        except BaseException:
            self._scratch.cleanup()
            raise

    def count(self) -> int:
        """See `Reader.count`."""
        return int(_engine(self._shard.count, self._edge.CountRequest(exact=True)))

    def page(self, limit: int, offset: Any) -> tuple[Sequence[Any], Any]:
        """See `Reader.page`."""
        request = self._edge.ScrollRequest(
            offset=offset, limit=limit, with_payload=True, with_vector=self._wanted
        )
        records, following = _engine(self._shard.scroll, request)
        return records, following

    def close(self) -> None:
        """See `Reader.close`."""
        self._shard.close()
        self._scratch.cleanup()


def open_path(path: Path, name: str, vector: str) -> OpenedCollection:
    """Open a collection of an embedded index; see `foreign.open_foreign`."""
    refuse_local_mode(path)
    collection, folder = _shard_of(path, name)
    config = read_json(folder / "edge_config.json")
    shapes = _edge_shapes(config, folder)
    chosen = _choose(shapes, vector, collection, bool(config.get("sparse_vectors")))
    reader = Shard(folder, [chosen] if chosen else True, str(path))
    return OpenedCollection(reader, collection, chosen, shapes)


def refuse_local_mode(path: Path) -> None:
    """Refuse a folder of qdrant-client's local mode.

    Raises:
        StoreError: It is one, or holds one.
    """
    local = (path / "meta.json").exists() or (path / "collection").is_dir()
    if local or (path / "storage.sqlite").exists():
        raise StoreError(
            f"{path}: written by qdrant-client's local mode, which is never opened here: reading "
            "it executes pickles, so whoever wrote it could run code",
            hint="Copy it to a Qdrant server with qdrant-client's `migrate` in a place you trust.",
        )


def _shard_of(path: Path, name: str) -> tuple[str, Path]:
    """Collection and shard folder: a shard itself, one collection, or an index of several."""
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder")
    if (path / "edge_config.json").is_file():
        return name or path.name, path
    if (path / "collection.json").is_file():
        return name or path.name, shard_of(path)
    root = path / "index" if (path / "ragguard.toml").is_file() else path
    names = sorted(p.parent.name for p in root.glob("*/collection.json"))
    if not names:
        raise UsageError(
            f"{path}: no index of Qdrant Edge in it",
            hint="Name a shard folder (with edge_config.json), or an index that ragguard made.",
        )
    aliases = read_json(root / "aliases.json") if (root / "aliases.json").is_file() else {}
    chosen = str(aliases.get(name, name)) if name else names[0] if len(names) == 1 else ""
    if chosen not in names:
        raise _missing(name, str(path), [*names, *map(str, aliases)])
    return name or chosen, shard_of(root / chosen)


def _edge_shapes(config: Mapping[str, Any], folder: Path) -> dict[str, Shape]:
    try:
        return {
            str(name): Shape(
                int(v["size"]),
                str(v["distance"]),
                v.get("multivector_config") is not None,
                str(v.get("datatype") or ""),
            )
            for name, v in (config.get("vectors") or {}).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StoreError(f"{folder}/edge_config.json: not the settings of a shard") from None
