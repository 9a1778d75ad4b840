"""Load the trust root in force: the last one seen, followed up, never back.

The ledger remembers every root it has seen. A file with an older version, or with another root of
the same version, is refused; newer ones are followed link by link, each signed by the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ragguard.errors import EquivocationError, TrustRootError, TrustRootRollbackError
from ragguard.ledger import commits
from ragguard.ledger.tables import Ledger
from ragguard.model import Root
from ragguard.trust import dsse
from ragguard.trust import root as roots
from ragguard.trust.canonical import digest_bytes

MAX_BYTES = 1 << 24  # of a root's envelope
Log = Callable[[Mapping[str, Any], Any], None]


def load_root(ledger: Ledger, path: Path, log: Log) -> Root:
    """Load the trust root in force, verified from the last one the ledger has seen.

    Args:
        ledger: Open; newer roots are written down.
        path: File of the newest root; its predecessors are `root.N.json` beside it.
        log: Appends an act to the log, in the transaction it is given.

    Raises:
        TrustRootError: None was ever seen, or a link is missing or not signed by the one before.
        TrustRootRollbackError: The file is older than what was seen.
        EquivocationError: The file is another root of the version that was seen.
    """
    with ledger.reading() as conn:
        seen = commits.last_root(conn)
    if seen is None:
        raise TrustRootError("ledger: it has never seen a trust root")
    version, envelope, digest = seen
    known = _parse(envelope)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrustRootError(
            f"trust root {path}: {error.strerror}", hint="Restore trust/root.json."
        ) from None
    if digest_bytes(data) == digest:
        return known
    root = _parse(data)
    if root.version < version:
        raise TrustRootRollbackError(
            f"trust root: {path} is version {root.version}, this workspace has seen {version}",
            hint="Somebody put an old root back: restore the newest, and find out who.",
        )
    if root.version == version:
        raise EquivocationError(
            f"trust root: {path} is another version {version} than the one seen",
            hint="Restore trust/root.json, and find out who changed it.",
        )
    return _advance(ledger, known, root.version, path, log)


def _parse(envelope: bytes) -> Root:
    return roots.parse_root(dsse.parse_envelope(envelope, max_bytes=MAX_BYTES).payload)


def _advance(ledger: Ledger, known: Root, target: int, path: Path, log: Log) -> Root:
    """Follow the chain of roots up to a version that another workspace made."""
    root = known
    for version in range(known.version + 1, target + 1):
        link = path if version == target else path.with_name(f"root.{version}.json")
        if not link.exists():
            raise TrustRootError(
                f"trust root: version {version} is missing ({link})",
                hint="Every root between the seen and the new one is needed.",
            )
        data = link.read_bytes()
        root = roots.verify_root(data, root)
        with ledger.writing() as conn:
            commits.add_root(conn, version, data, digest_bytes(data))
            log({"act": "trust", "version": version, "root": digest_bytes(data)}, conn)
    return root
