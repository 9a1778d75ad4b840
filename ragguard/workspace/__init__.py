"""Open a workspace: its configuration, trust, ledger, vault, store, encoder and lock.

The only place where the parts are put together. What costs time to open (store, encoder) is opened
when it is first used. Layout:

    ragguard.toml        settings
    keys/                key files; root.key belongs offline
    trust/root.json      the trust root in force; root.N.json its predecessors
    ledger.db vault/ index/
    retrievals/          the retrieval log, where one is kept
    cache/               derived, may be deleted at any time
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ragguard import config
from ragguard.config import Settings
from ragguard.errors import (
    IntegrityError,
    KeyFileError,
    LockedError,
    ModelDigestError,
    RecipeMismatchError,
    StoreError,
    WorkspaceError,
)
from ragguard.ledger import commits, versions
from ragguard.ledger.commits import Generation
from ragguard.ledger.tables import Ledger, get_meta
from ragguard.ledger.vault import Vault
from ragguard.ledger.writer import Committer, Plan, append_entry, first_generation
from ragguard.model import Recipe, Root
from ragguard.trust import dsse, keys, signed_note
from ragguard.trust import root as roots
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.trust.files import read_private, replace_file
from ragguard.workspace import alias
from ragguard.workspace.create import ROOT_FILE, ledger_url
from ragguard.workspace.trust_root import load_root

if TYPE_CHECKING:
    import sqlalchemy as sa

    from ragguard.embed.encoder import Encoder
    from ragguard.store import Store

LOCK_FILE = ".lock"


def find(start: Path, *, named: bool = False) -> Path:
    """Find the workspace a folder is in: itself or the nearest above it with a ragguard.toml.

    Args:
        start: The folder.
        named: The user named it; else what is found must belong to the user, as git asks it: its
            settings say where keys and documents go.

    Raises:
        WorkspaceError: There is none, or it is another user's, or others may change its settings.
    """
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / config.FILE).is_file():
            if not named:
                _check_owner(folder)
            return folder
    raise WorkspaceError(
        f"{start.absolute()}: not in a ragguard workspace (no {config.FILE} here or above)",
        hint="Make one with `ragguard init DIR`, or name one with --workspace.",
    )


def _check_owner(folder: Path) -> None:
    for path in (folder, folder / config.FILE):
        there = path.stat()
        if there.st_uid not in (os.geteuid(), 0):
            raise WorkspaceError(
                f"{path}: belongs to another user (uid {there.st_uid}, expected {os.geteuid()}), "
                "and its settings say where keys go",
                hint=f"If you trust it, name it: -w {folder}",
            )
        loose = there.st_mode & 0o002 or (there.st_mode & 0o020 and there.st_gid != os.getegid())
        if loose and not (path == folder and there.st_mode & stat.S_ISVTX):
            raise WorkspaceError(
                f"{path}: others may change it (mode {stat.S_IMODE(there.st_mode):04o})",
                hint=f"chmod go-w {path}, or name the workspace if you trust it: -w {folder}",
            )


class Workspace:
    """An open workspace; a context manager.

    Args:
        folder: Folder with ragguard.toml.
        settings: From `config.load`.
        now: The run's one reading of the clock.
        exclusive: Take the lock (everything that touches the index or writes the ledger).

    Raises:
        LockedError: Another process works on it.
        LedgerError, TrustRootError: See `Ledger` and `root`.
    """

    def __init__(
        self, folder: Path, settings: Settings, now: datetime, *, exclusive: bool = True
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.now = now
        self.encoders: dict[str, Encoder] = {}  # of other recipes than the settings', by recipe
        self.read_plans: MutableMapping[str, Plan] | None = None  # see `Committer`
        self.pin_anew = False  # whether an endpoint's model is taken as it answers now
        self._lock: Any = None
        self._held: int | None = None
        self._store: Store | None = None
        self.withheld = False  # whether the store cannot be had now
        self._borrowed = False  # whether another workspace of this process closes the store
        self._repaired = False
        self._root_mark: tuple[int, int, int] | None = None  # of the file that `root` was read from
        self._cache = folder / "cache"
        if exclusive:
            self._take_lock()
        try:
            self._require_ledger()
            self.ledger = Ledger(ledger_url(folder, settings.ledger.url))
            self.vault = Vault(self._url(settings.vault.url))
            with self.ledger.reading() as conn:
                self.origin = get_meta(conn, "origin") or ""
            # Following newer roots is logged, in the log's name.
            self.root: Root = load_root(self.ledger, folder / ROOT_FILE, self.log_act)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything and let go of the lock."""
        if self._store is not None:
            if not self._borrowed:
                self._store.close()
            self._store = None
            self._repaired = self._borrowed = False
        self.ledger.close()
        self._release()

    def _take_lock(self) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.folder / LOCK_FILE, mode=0o600)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._lock = None
            raise LockedError(
                f"{self.folder}: another ragguard process works on this workspace",
                hint="Wait for it to end. Embedded means one process, readers included.",
            ) from None
        self._hold_folder()

    def _hold_folder(self) -> None:
        """Lock the folder too: a lock file can be unlinked, and then be made and locked again."""
        self._held = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            raise LockedError(
                f"{self.folder}: another ragguard process works on this workspace, and its "
                f"{LOCK_FILE} was removed",
                hint="Wait for it to end. Embedded means one process, readers included.",
            ) from None
        except OSError:  # a file system that locks no folders: the lock file has to do
            pass

    def _release(self) -> None:
        if self._held is not None:
            with suppress(OSError):
                fcntl.flock(self._held, fcntl.LOCK_UN)
            os.close(self._held)
            self._held = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _url(self, url: str) -> str:
        return url if "://" in url else str(self.folder / url)

    def _require_ledger(self) -> None:
        url = ledger_url(self.folder, self.settings.ledger.url)
        if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
            raise WorkspaceError(
                f"{self.folder}: its ledger is gone ({url})",
                hint="Restore it from backup; without it nothing in the index can be proved.",
            )

    # --- trust ------------------------------------------------------------------------------------

    def set_root(self, root: Root, signers: list[keys.KeyPair], act: Mapping[str, Any]) -> None:
        """Sign, verify, keep and log a new trust root.

        Args:
            root: The new root, one version on.
            signers: Root keys that sign it: enough of the old and of the new.
            act: What to log beside version and digest.

        Raises:
            SignatureError, ThresholdError: Not enough root keys.
            TrustRootError: The root contradicts itself.
        """
        pairs = [(k.public.keyid, k.signing_key) for k in signers]
        envelope = dsse.sign(roots.dump_root(root), roots.ROOT_TYPE, pairs)
        checked = roots.verify_root(envelope, self.root)
        path = self.folder / ROOT_FILE
        old = path.read_bytes()
        # File first: a new file beside an older ledger is followed up, the reverse is a rollback.
        replace_file(path.with_name(f"root.{self.root.version}.json"), old)
        replace_file(path, envelope)
        with self.ledger.writing() as conn:
            commits.add_root(conn, checked.version, envelope, digest_bytes(envelope))
            body = {
                "at": format_time(self.now),
                "version": checked.version,
                "root": digest_bytes(envelope),
            }
            self.log_act({**act, **body}, conn)
        self.root = checked

    def follow_root(self) -> bool:
        """Take up a trust root that was put there since this workspace was opened.

        Costs a look at the file while it is the one that is known.

        Returns:
            Whether another root is in force now.

        Raises:
            TrustRootError and those below it: See `load_root`.
        """
        there = os.stat(f"{self.folder}/{ROOT_FILE}")
        mark = (there.st_ino, there.st_size, there.st_mtime_ns)
        if mark == self._root_mark:
            return False
        before = self.root.version
        self.root = load_root(self.ledger, self.folder / ROOT_FILE, self.log_act)
        self._root_mark = mark
        return self.root.version != before

    # --- keys of the service ----------------------------------------------------------------------

    @cached_property
    def checkpoint_key(self) -> keys.KeyPair:
        """Signs tree heads; online, without passphrase."""
        return keys.load_private(read_private(self.folder / "keys/checkpoint.key"), None)

    @property
    def log_key(self) -> str:
        """The log's public key in the form others verify it with."""
        return signed_note.verifier_key(self.origin, self.checkpoint_key.public.public)

    @cached_property
    def seal_key(self) -> bytes:
        """Seals points."""
        text = read_private(self.folder / "keys/seal.key").strip()
        try:
            key = bytes.fromhex(text.decode())
        except ValueError:
            key = b""
        if len(key) != 32:
            raise KeyFileError("keys/seal.key: damaged, expected 64 hex digits")
        return key

    def sign_note(self, text: str) -> str:
        """Sign the text of a tree head."""
        return dsse.sign_note(text, self.origin, self.checkpoint_key.signing_key)

    def log_act(self, body: Mapping[str, Any], conn: sa.Connection | None = None) -> None:
        """Append an act to the log, in a transaction of its own where none is given."""
        with self.ledger.writing() if conn is None else nullcontext(conn) as within:
            append_entry(within, body, self.origin, self.sign_note)

    # --- store ------------------------------------------------------------------------------------

    def borrow_store(self, store: Store | None) -> None:
        """Read with a store that another workspace of this process has open.

        Args:
            store: It is neither repaired nor closed here; `None`: there is none to be had now.
        """
        self._store, self.withheld = store, store is None
        self._borrowed = self._repaired = store is not None

    def open_store(self, *, repair: bool = True) -> Store:
        """Open the store, once; collections that the ledger names are there afterwards.

        Args:
            repair: Make what is missing and set the alias back. The audit looks at the store as
                it is first.

        Raises:
            IntegrityError: A collection that holds documents is gone.
            StoreError, LockedError: See `store.open_store`.
        """
        if self.withheld:
            raise LockedError("index: a job of this process works on it", hint="Try again soon.")
        if self._store is None:
            from ragguard.store import open_store

            settings = self.settings.store
            self._store = open_store(
                self.folder / settings.path, settings.url, settings.api_key or None
            )
        if repair and not self._repaired:
            generation = self.generation()
            if generation is not None:
                self._ensure(generation)
        return self._store

    def _ensure(self, generation: Generation) -> None:
        store = self._store
        if store is None:
            raise StoreError("store: not open")
        with self.ledger.reading() as conn:
            recipe = commits.recipe_body(conn, generation.recipe)
            filled = {
                zone: bool(versions.members(conn, zone))
                for zone in ("serving", "quarantine")
                if not store.exists(getattr(generation, zone))
            }
        for zone, holds in filled.items():
            name = getattr(generation, zone)
            if holds:
                raise IntegrityError(
                    f"index: collection {name!r} is gone, the ledger has documents in it",
                    hint="Restore the index from its backup.",
                )
            store.create(name, int(recipe["dimensions"]))
        alias.mend(store, self.ledger, self.settings, generation.serving)
        self._repaired = True

    def generation(self) -> Generation | None:
        """Return the serving generation, `None` before the first ingest."""
        with self.ledger.reading() as conn:
            return commits.serving_generation(conn)

    def ensure_generation(self, recipe: Recipe) -> Generation:
        """Return the serving generation, made with this recipe if there is none yet.

        Raises:
            ModelDigestError: The model of that name has other files than when the index was built.
            RecipeMismatchError: The index was built with another recipe.
        """
        generation = self.generation()
        if generation is None:
            generation = first_generation(self.settings.store.collection, recipe.digest)
            self.open_store()
            with self.ledger.writing() as conn:
                commits.add_generation(conn, generation, asdict(recipe), format_time(self.now))
            self._ensure(generation)
        self.check_recipe(recipe)
        return generation

    def check_recipe(self, recipe: Recipe, *, cut: bool = True) -> None:
        """Compare a recipe with the serving generation's; see `ensure_generation`.

        Args:
            recipe: Of this version, model and settings.
            cut: Whether texts must be read and cut alike; questions only need the same vectors.
        """
        generation = self.generation()
        if generation is None or generation.recipe == recipe.digest:
            return
        with self.ledger.reading() as conn:
            built: dict[str, Any] = dict(commits.recipe_body(conn, generation.recipe))
        mine = asdict(recipe)
        odd = [k for k in mine if k != "digest" and mine[k] != built.get(k)]
        if not cut:
            odd = [k for k in odd if k not in ("parser", "splitter")]
        if not odd:
            return
        if odd == ["model_digest"] and recipe.pooling != "remote":
            raise ModelDigestError(
                f"model {recipe.model!r}: its files are not those the index was built with "
                f"(sha256 {recipe.model_digest[:12]}…, then {str(built['model_digest'])[:12]}…)",
                hint="Restore the model. A new model goes into a new index.",
            )
        listed = "; ".join(f"{k}: now {mine[k]!r}, index {built.get(k)!r}" for k in odd)
        sizes = [str(of.get("splitter")).partition(" ")[2] for of in (mine, built)]
        hint = "Set [model] and [chunks] back, or rebuild: ragguard reindex --from-clean."
        if set(odd) <= {"parser", "splitter"} and sizes[0] == sizes[1]:
            hint = (
                "This version reads or cuts texts otherwise than the one the index was built with. "
                "Rebuild it: ragguard reindex --from-clean."
            )
        raise RecipeMismatchError(f"index: built with another recipe ({listed})", hint=hint)

    # --- encoder ----------------------------------------------------------------------------------

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder; loading it takes about a second."""
        from ragguard.workspace.encoders import open_own

        return open_own(self)

    # --- commits ----------------------------------------------------------------------------------

    @cached_property
    def committer(self) -> Committer:
        """Writes commits."""
        return Committer(
            ledger=self.ledger,
            vault=self.vault,
            store=self.open_store,
            origin=self.origin,
            sign_note=self.sign_note,
            seal_key=self.seal_key,
            read_plans=self.read_plans,
        )

    def recover(self) -> int:
        """Finish commits that a killed process began; return how many."""
        finished = self.committer.recover()
        generation = self.generation() if finished and self._store is not None else None
        if generation is not None:  # one of the commits may have made another one serve
            self._ensure(generation)
        return finished

    def maintain(self) -> None:
        """Let the serving collection build its graph, once it has points enough."""
        generation = self.generation()
        if generation is not None:
            self.open_store().maintain(generation.serving, self.settings.store.index_after)

    def cache(self, name: str) -> Path:
        """Name a file in the cache folder."""
        return self._cache / name

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Derived files are written elsewhere meanwhile, and thrown away; those there are read."""
        own = self._cache
        with tempfile.TemporaryDirectory(prefix="ragguard-") as folder:
            self._cache = Path(folder) / "cache"
            if own.is_dir():
                shutil.copytree(own, self._cache)
            try:
                yield
            finally:
                self._cache = own
