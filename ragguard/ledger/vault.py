"""Store bytes by SHA-256: raw documents, vectors, commit plans.

A name is the digest of the content, so that nothing is ever overwritten with something else,
writing twice is harmless, and what is read is checked against its name. On a local disk a blob is
written aside, synced, renamed and the folder synced; `put_many` has all of it on disk when it
returns.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec

from ragguard.errors import VaultError
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.files import sync_folder

_PARALLEL = 8


class Vault:
    """A vault at a folder or any fsspec URL."""

    def __init__(self, url: str) -> None:
        self._fs: Any
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = "file" in (
            self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        )

    def _path(self, digest: str) -> str:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise VaultError(f"vault: {digest[:80]!r} is not a SHA-256 digest")
        return f"{self._root}/{digest[:2]}/{digest}"

    def put(self, data: bytes) -> str:
        """Keep bytes; return their digest.

        Raises:
            VaultError: Not written; nothing half-written stays under the digest.
        """
        return self.put_many([data])[0]

    def put_many(self, blobs: Iterable[bytes]) -> list[str]:
        """Keep several blobs; return their digests in order, once all are durable.

        Raises:
            VaultError: Not all written.
        """
        items = list(blobs)
        digests = [digest_bytes(blob) for blob in items]
        todo = dict(zip(digests, items, strict=True))
        try:
            if self._local and len(todo) > 1:
                with ThreadPoolExecutor(_PARALLEL) as pool:
                    list(pool.map(self._write, todo, todo.values()))
            else:
                for digest, blob in todo.items():
                    self._write(digest, blob)
        except OSError as error:
            raise VaultError(f"vault: cannot write to {self._root} ({error})") from error
        return digests

    def _write(self, digest: str, data: bytes) -> None:
        if not self._fs.exists(self._path(digest)):
            self._replace(digest, data)

    def _replace(self, digest: str, data: bytes) -> None:
        path = self._path(digest)
        if not self._local:
            self._fs.pipe_file(path, data)
            return
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            os.makedirs(self._root, 0o700, exist_ok=True)
            os.makedirs(folder, 0o700, exist_ok=True)
        aside = f"{folder}/.{digest[:8]}.{secrets.token_hex(8)}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(aside, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            if os.path.exists(aside):
                os.unlink(aside)
            raise
        sync_folder(folder)

    def mend(self, data: bytes) -> bool:
        """Keep bytes also where something else stands under their digest.

        Returns:
            Whether they were not there, or damaged.

        Raises:
            VaultError: Not written.
        """
        digest = digest_bytes(data)
        try:
            self.get(digest)
        except VaultError:
            pass
        else:
            return False
        try:
            self._replace(digest, data)
        except OSError as error:
            raise VaultError(f"vault: cannot write to {self._root} ({error})") from error
        return True

    def has(self, digest: str) -> bool:
        """Tell whether the vault holds a digest."""
        return bool(self._fs.exists(self._path(digest)))

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest.

        Raises:
            VaultError: Not there, or not these bytes.
        """
        try:
            data: bytes = self._fs.cat_file(self._path(digest))
        except OSError as error:
            raise VaultError(
                f"vault: {digest[:12]}… cannot be read ({error})",
                hint="Restore the vault from its backup; the ledger names what must be in it.",
            ) from None
        if digest_bytes(data) != digest:
            raise VaultError(f"vault: {digest[:12]}… holds other bytes than its name says")
        return data
