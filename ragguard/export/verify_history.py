"""Verify what an export says of its past: the log, trust roots, the corpus of the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragguard.errors import IntegrityError
from ragguard.export import inventory as inventories
from ragguard.export.inventory import Inventory, ListedDocument, OmittedDocument
from ragguard.model import Root
from ragguard.trust import dsse, merkle, signed_note, strict_json
from ragguard.trust import root as policy
from ragguard.trust.canonical import canonical, digest_bytes

Read = Callable[[str], bytes]  # a file of the inventory, by its path
Entries = Sequence[Mapping[str, Any]]
MAX_ENTRY = 1 << 26


@dataclass(frozen=True)
class VerifiedHistory:
    """The log of an export and the trust roots in it, verified.

    Attributes:
        entries: All entries, by index.
        roots: Trust roots, version 1 first.
        in_force: Index of the entry from which each of them counts.
    """

    entries: Entries
    roots: Sequence[Root]
    in_force: Sequence[int]

    def root_at(self, index: int) -> Root:
        """Return the trust root in force when an entry was logged."""
        known = sum(since < index for since in self.in_force)
        return self.roots[max(known, 1) - 1]

    def roots_since(self, manifest: str) -> Sequence[Root]:
        """Trust roots that were in force since a manifest was accepted, the oldest first."""
        index = accepting(self.entries).get(manifest)
        first = self.root_at(index).version if index is not None else 1
        return self.roots[first - 1 :]


def read_past(read: Read, listed: Inventory, name: str, public: bytes) -> VerifiedHistory:
    """The whole log against the signed tree head, and the chain of trust roots against the log.

    Raises:
        IntegrityError: Any of it does not hold.
    """
    entries = _entries(read, listed, name, public)
    logged = logged_roots(entries)
    wanted = {version: digest for version, (_, digest) in logged.items()}
    if not listed.roots or wanted != dict(enumerate(listed.roots, start=1)):
        raise IntegrityError("trust roots: not the ones that were logged")
    chain: list[Root] = []
    for version, digest in enumerate(listed.roots, start=1):
        data = read(inventories.root_path(version))
        if digest_bytes(data) != digest:
            raise IntegrityError(f"trust root {version}: not the one that was logged")
        root = policy.verify_root(data, chain[-1] if chain else None)
        if root.version != version:
            raise IntegrityError(f"trust root {version}: says that it is version {root.version}")
        chain.append(root)
    return VerifiedHistory(
        entries, chain, [logged[version][0] for version in range(1, len(chain) + 1)]
    )


def _entries(read: Read, listed: Inventory, name: str, public: bytes) -> Entries:
    text = read(inventories.CHECKPOINT).decode("utf-8", "replace")
    head = signed_note.parse_checkpoint(dsse.open_note(text, name, public))
    lines = read(inventories.LOG).split(b"\n")
    leaves = [merkle.leaf_hash(line) for line in lines[:-1]]
    if lines[-1] or (head.origin, head.size) != (listed.origin, len(leaves)):
        raise IntegrityError(f"{inventories.LOG}: not the log that the checkpoint is about")
    if head.size != listed.size or merkle.root(leaves) != head.root:
        raise IntegrityError(f"{inventories.LOG}: not what the checkpoint signs")
    entries = []
    for number, line in enumerate(lines[:-1]):
        body = strict_json.parse(line, what=f"log entry {number}", max_bytes=MAX_ENTRY)
        if not isinstance(body, dict):
            raise IntegrityError(f"log entry {number}: no object")
        entries.append(body)
    return entries


def logged_roots(entries: Entries) -> dict[int, tuple[int, str]]:
    """Trust roots that the log names: index of the entry and digest, by version."""
    roots: dict[int, tuple[int, str]] = {}
    for index, body in enumerate(entries):
        if body.get("act") == "init":
            roots[1] = (index, str(body.get("trust_root")))
        elif "root" in body and isinstance(body.get("version"), int):
            roots[body["version"]] = (index, str(body["root"]))
    return roots


def accepting(entries: Entries) -> dict[str, int]:
    """List manifests that commits of the log name, and the first that did."""
    first_entries: dict[str, int] = {}
    for index, body in enumerate(entries):
        if "plan" in body and isinstance(body.get("manifest"), str):
            first_entries.setdefault(body["manifest"], index)
    return first_entries


def corpus_problems(listed: Inventory, entries: Entries) -> Iterator[str]:
    """Yield all documents of the commit, left out ones included, against the commit's entry."""
    everything: list[ListedDocument | OmittedDocument] = [*listed.documents, *listed.left]
    rows = [(r.source, r.document, r.digest, r.metadata_digest) for r in everything]
    if len({row[:2] for row in rows}) != len(rows):
        yield f"{inventories.INVENTORY}: a document stands in it twice"
    root = merkle.root([merkle.leaf_hash(canonical(list(row))) for row in sorted(rows)]).hex()
    entry = entries[listed.log_index] if listed.log_index < len(entries) else {}
    if (entry.get("commit"), entry.get("corpus")) != (listed.commit, listed.corpus):
        yield f"commit {listed.commit}: entry {listed.log_index} of the log is not about it"
    elif root != listed.corpus:
        yield f"commit {listed.commit}: its documents are not those of the logged corpus"
