"""Share the index of a process that serves and works: requests read it, or a job has it.

The embedded engine opens an index once. A job that works on it lends its own to requests, so that
they are answered meanwhile. Only while the job writes its commit they wait: between the first point
and the ledger's confirmation what stands in the index is not what the ledger says, and would be
shown as tampered with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ragguard.errors import LockedError, StoreError
from ragguard.store import Store
from ragguard.workspace import Workspace

PATIENCE = 2.0  # seconds that a request waits for the commit of a job


class Engine:
    """Whose turn it is."""

    def __init__(self, opened: Callable[[], Workspace]) -> None:
        self._opened = opened
        self._turn = threading.Lock()
        self._writing = False  # whether the job has the turn
        self._lent: Store | None = None

    @contextmanager
    def turn(self, patience: float = PATIENCE) -> Iterator[Store | None]:
        """A request's turn, after the requests before; gives the index that a job lends, if any.

        Args:
            patience: Seconds to wait where a job writes.

        Raises:
            LockedError: A job writes.
        """
        while not self._turn.acquire(timeout=patience):
            if self._writing:
                raise LockedError("index: a job writes a commit", hint="Try again in a moment.")
        try:
            yield self._lent
        finally:
            self._turn.release()

    @contextmanager
    def working(self) -> Iterator[Workspace]:
        """Return the workspace for a job, locked; it is opened and closed in one thread.

        Raises:
            RagguardError: See `Workspace`.
        """
        with self._turn:
            workspace = self._opened()
            if not workspace.settings.store.url:
                with suppress(StoreError):  # the job says what is wrong with it
                    self._lent = workspace.open_store(repair=False)
        try:
            yield workspace
        finally:
            self.write()
            self._lent = None
            workspace.close()
            self.wrote()

    def write(self) -> None:
        """Let the job write: nobody reads until `wrote`."""
        if not self._writing:
            self._turn.acquire()
            self._writing = True

    def wrote(self) -> None:
        """Let requests read again."""
        if self._writing:
            self._writing = False
            self._turn.release()
