"""Fetch the files of a source: a folder, object storage, a web server, a plug-in's loader.

A place lists names and gives bytes; it is never believed. Names are held against the rules of
subject names, sizes against a limit before and while reading, and what an ingest reads against the
signed digest, so that a place can withhold documents and not change them. Credentials come from the
environment or from the storage's own configuration, never in a URL, and are never printed. They go
over https, or to this machine.

`s3 gs gcs az abfs abfss`: fsspec, with the package of the storage. `https`, and `http` on this
machine: files are read as they lie there, uncompressed; a web server lists none, so nothing is
signed there.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from threading import Timer
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from ragguard.errors import ConfigError, DocumentMissingError, IncompleteError, UsageError
from ragguard.trust import folder
from ragguard.trust.folder import SkippedFile
from ragguard.trust.names import check_name
from ragguard.trust.plugins import PluginError, find, running

STORAGES = {  # schemes and the packages that speak to them
    **{"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"},
    **{"az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"},
}
_WEB = ("https", "http")
MAX_FILES = 1_000_000  # names of a place
TIMEOUT = 60.0  # seconds for the next bytes of a web server
LONGEST = 600.0  # seconds for a file of a web server, however steadily it drips
_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\]")  # IPv6
_CONTAINER = re.compile(r"[a-z0-9-]{3,63}@[a-z0-9]{3,24}\.(?:dfs|blob)\.core\.windows\.net")


class Place(Protocol):
    """Where files lie; what they are called is relative to it."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read a file; at most one byte more than `max_bytes`, so that the caller can tell.

        Raises:
            SubjectNameError: Not an allowed name.
            DocumentMissingError: There is no such file.
            IncompleteError: The place cannot be reached.
        """

    def walk(self, formats: frozenset[str]) -> Iterator[str | SkippedFile]:
        """List its files in name order: a subject name, or what is not taken and why.

        Raises:
            UsageError: It cannot list.
            IncompleteError: It cannot be reached.
        """


class Loader(Protocol):
    """What a plug-in's entry point gives for a URL of its scheme."""

    def names(self) -> Iterable[str]:
        """Yield names of its documents, with a file ending that says how they are read."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of a document; of a larger one at least `max_bytes` + 1.

        Raises:
            FileNotFoundError: There is none of that name.
        """


def reading(root: Path | Place) -> Callable[[str, int], bytes]:
    """Tell what reads a file of a folder, or of another place."""
    return _of_folder(root) if isinstance(root, Path) else root.read


def _of_folder(root: Path) -> Callable[[str, int], bytes]:
    return lambda name, max_bytes: folder.read(root, name, max_bytes)


def is_url(address: str) -> bool:
    """Tell whether something names a place by URL, and no path."""
    return "://" in address


def open_place(url: str, loaders: Sequence[str] = ()) -> Place:
    """Open a place by its URL.

    Args:
        url: Such as `s3://bucket/wiki`.
        loaders: What `[plugins] loaders` names.

    Raises:
        UsageError: No such scheme, no URL, credentials in it, or the storage's package is not
            installed.
        ConfigError: Credentials would go to another machine in the clear; a plug-in is not there.
        IncompleteError: It cannot be set up.
    """
    parts = _parts(url)
    azure = parts.scheme in ("abfs", "abfss") and _CONTAINER.fullmatch(parts.netloc)
    chained = "::" in _ADDRESS.sub("", url)
    if ("@" in parts.netloc and not azure) or parts.query or parts.fragment or chained:
        raise UsageError(
            f"{parts.scheme} URL: it holds credentials, a query or a chain",
            hint="Give scheme, host or bucket, and path only; credentials come from the "
            "environment, such as AWS_PROFILE.",
        )
    plugged = {named.partition(":")[2]: named for named in loaders}
    if parts.scheme in (*STORAGES, *_WEB) and not parts.hostname:
        raise _no_url()
    if parts.scheme in STORAGES:
        return _Storage(url, parts.scheme)
    if parts.scheme in _WEB:
        return _Web(url)
    if parts.scheme in plugged:
        return _Plugged(url, plugged[parts.scheme])
    known = ", ".join([*STORAGES, *_WEB, *plugged])
    raise UsageError(
        f"{parts.scheme}: no such scheme of places", hint=f"There are {known}, and folders."
    )


def _parts(url: str) -> SplitResult:
    """Return a URL in its parts."""
    try:
        parts = urlsplit(url)
        whole = parts.port != 0
    except ValueError:  # brackets that do not match, or a port that is none
        whole = False
    if not whole or not url.isprintable() or "\\" in url or " " in parts.netloc:
        raise _no_url()
    return parts


def _no_url() -> UsageError:
    return UsageError(  # which may hold credentials, and is not shown
        "root: the URL is none", hint="Expected scheme://host/path, such as s3://bucket/wiki."
    )


def _bounded(names: Iterable[str], where: str) -> list[str]:
    listed = list(islice(names, MAX_FILES + 1))
    if len(listed) > MAX_FILES:
        raise UsageError(f"{where}: more than {MAX_FILES:,} files", hint="Sign a part of it.")
    return sorted(listed)


@contextmanager
def _reaching(where: str, name: str = "") -> Iterator[None]:
    """Turn what a place raises into our errors; its words may hold credentials and are left out."""
    try:
        yield
    except FileNotFoundError:
        raise DocumentMissingError(
            f"{name!r}: no such file at {where}" if name else f"{where}: there is nothing",
            hint="Give the place the names are relative to with --root.",
        ) from None
    except (UsageError, DocumentMissingError, IncompleteError, MemoryError):
        raise
    except Exception as error:
        # fsspec has no common error: botocore, gcsfs, adlfs, aiohttp and httpx each raise their
        # own, and none is imported here to be named. Nothing is taken for an answer: the place
        # cannot be read, exit code 5.
        kind = error.kind if isinstance(error, PluginError) else type(error).__name__
        raise IncompleteError(
            f"{where}: cannot be read ({kind})",
            hint="Look at the address, the credentials and the rights, and try again.",
        ) from None


class _Storage:
    """Object storage through fsspec."""

    def __init__(self, url: str, scheme: str) -> None:
        import fsspec

        from ragguard.config import check_key

        self._url = url.rstrip("/")
        self._fs: Any
        with _reaching(self._url):
            try:
                self._fs, path = fsspec.core.url_to_fs(
                    url, use_listings_cache=False, skip_instance_cache=True
                )
                endpoints = self._endpoints(scheme)
            except ImportError:
                package = STORAGES[scheme]
                raise UsageError(
                    f"{scheme} URL: the package {package} is not installed",
                    hint=f"pip install {'ragguard[s3]' if scheme == 's3' else package}",
                ) from None
        self._base = str(path).rstrip("/")
        for endpoint in endpoints:
            check_key(endpoint, "a key", "root")

    def _endpoints(self, scheme: str) -> list[str]:
        """Tell where credentials go, where that may be another place than the storage's own."""
        if scheme == "s3":  # by environment, profile or default, as its client found it
            return [str(self._fs.s3.meta.endpoint_url)]
        emulated = os.environ.get("STORAGE_EMULATOR_HOST") if scheme in ("gs", "gcs") else None
        return [emulated] if emulated else []

    def read(self, name: str, max_bytes: int) -> bytes:
        """See `Place.read`."""
        path = f"{self._base}/{check_name(name)}"
        with _reaching(self._url, name):
            size = int(self._fs.info(path)["size"])
            if not size:
                return b""
            data: bytes = self._fs.cat_file(path, start=0, end=min(size, max_bytes + 1))
            return data[: max_bytes + 1]

    def walk(self, formats: frozenset[str]) -> Iterator[str | SkippedFile]:
        """See `Place.walk`."""
        prefix = f"{self._base}/"
        with _reaching(self._url):
            paths = self._fs.find(self._base)
            listed = _bounded((p.removeprefix(prefix) for p in paths if p != prefix), self._url)
        for name in listed:
            if not name.endswith("/"):  # a folder's own mark
                yield folder.classify(name, formats)


class _Web:
    """Files below an address of a web server."""

    def __init__(self, url: str) -> None:
        from ragguard.config import check_key, without_credentials

        try:
            check_key(url, "documents", "root")
        except ConfigError:
            raise UsageError(
                f"root: documents would come from {without_credentials(url)} in the clear",
                hint="Use an https URL; http is for this machine only.",
            ) from None
        self._url = url.rstrip("/")

    def read(self, name: str, max_bytes: int) -> bytes:
        """See `Place.read`."""
        import httpx

        from ragguard.config.outside import by_proxy

        address = f"{self._url}/{quote(check_name(name))}"
        data, where = bytearray(), f"{self._url}: {name!r}"
        plain = {"Accept-Encoding": "identity"}
        with (
            _reaching(self._url, name),
            httpx.Client(timeout=TIMEOUT, trust_env=by_proxy(address)) as client,
            _cut_off(where) as trace,
            client.stream("GET", address, headers=plain, extensions={"trace": trace}) as answer,
        ):
            if answer.status_code in (404, 410):
                raise FileNotFoundError(name)
            if answer.status_code != 200:
                raise IncompleteError(f"{where}: status {answer.status_code}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise IncompleteError(  # a few bytes may unpack to more than there is memory
                    f"{where}: it is sent compressed, though that was not asked for",
                    hint="Serve the files as they are.",
                )
            for block in answer.iter_raw():
                data += block
                if len(data) > max_bytes:
                    break
        return bytes(data[: max_bytes + 1])

    def walk(self, formats: frozenset[str]) -> Iterator[str | SkippedFile]:
        """See `Place.walk`."""
        raise UsageError(
            f"{self._url}: a web server lists no files",
            hint="Sign the folder that it serves; ingest reads what the manifest lists.",
        )


@contextmanager
def _cut_off(where: str) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """Shut a request's connection down after `LONGEST`, whatever it is that its server drips.

    A timeout of httpx is for the next byte; headers, answers before the answer (1xx) and marks of
    chunks may come byte by byte for ever, and are none of the body's.

    Yields:
        For the request's extension `trace`: it is told of the connection.

    Raises:
        IncompleteError: The time was over.
    """
    import httpx

    until = time.monotonic() + LONGEST
    opened: list[Any] = []

    def trace(_: str, told: Mapping[str, Any]) -> None:
        if (stream := told.get("return_value")) and hasattr(stream, "get_extra_info"):
            opened.append(stream)  # of TCP, then of TLS over it
            if time.monotonic() >= until:  # it took all the time to connect
                shut()

    def shut() -> None:
        for stream in opened:
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    timer = Timer(LONGEST, shut)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    except httpx.TransportError:
        if time.monotonic() < until:
            raise
        raise IncompleteError(f"{where}: took over {LONGEST:.0f} seconds") from None
    finally:
        timer.cancel()


class _Plugged:
    """What a plug-in loads."""

    def __init__(self, url: str, named: str) -> None:
        self._plugin = find("loaders", named)
        self._where = f"{urlsplit(url).scheme} of {self._plugin.identity}"
        with self._asking():
            self._loader: Loader = self._plugin.load()(url)

    @contextmanager
    def _asking(self, name: str = "") -> Iterator[None]:
        """Run the loader: what it says beside "there is none" is its failure, and is not shown."""
        with _reaching(self._where, name), running(self._plugin, FileNotFoundError, MemoryError):
            yield

    def read(self, name: str, max_bytes: int) -> bytes:
        """See `Place.read`."""
        check_name(name)
        with self._asking(name):
            data = self._loader.read(name, max_bytes)
            if not isinstance(data, bytes):
                raise TypeError(type(data).__name__)
        return data[: max_bytes + 1]

    def walk(self, formats: frozenset[str]) -> Iterator[str | SkippedFile]:
        """See `Place.walk`."""
        with self._asking():
            names = [*islice(map(str, self._loader.names()), MAX_FILES + 1)]
        for name in dict.fromkeys(_bounded(names, self._where)):
            yield folder.classify(name, formats)
