"""Verify an export: with the log's public key alone, and a trust root where one is known.

The order: the note over the inventory by the log's key, before a byte of the inventory is parsed;
every file against the inventory; the log, whole, against the signed checkpoint; the trust roots,
each signed by the one before and each logged; the corpus of the commit, recomputed from all its
documents, against the commit's entry; every manifest, by the root in force when it was accepted;
every document, against its manifest and its bytes; every release and every denial, by as many
reviewers of its day as the contract of its day asked for, and all opinions on their cases; and that
no denial that the log knows is left out.

A key that was revoked since does not make a manifest wrong: the export says so, and why what stands
on it is in the clean set was decided by the workspace. Needs no workspace, no model, no engine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragguard.corpus.documents import format_of, with_front
from ragguard.errors import IntegrityError
from ragguard.export import decisions, safe_read
from ragguard.export import inventory as inventories
from ragguard.export.decisions import DecisionVerifier
from ragguard.export.inventory import DeniedDocument, Inventory, ListedDocument, about_of
from ragguard.export.verify_history import VerifiedHistory, accepting, corpus_problems, read_past
from ragguard.model import Manifest, PublicKey, Root
from ragguard.parse.document import front_of
from ragguard.parse.records import RECORD_FORMATS, read_records
from ragguard.trust import adoption, dsse, signed_note
from ragguard.trust import manifest as manifests
from ragguard.trust import root as roots
from ragguard.trust.canonical import digest, digest_bytes
from ragguard.trust.quorum import About, Word

MAX_PROBLEMS = 1000


@dataclass(frozen=True)
class VerifiedManifest:
    """A manifest that documents stand on.

    Attributes:
        manifest: Parsed; `None` for an adoption.
        adopted: Documents and digests of an adoption.
        signers: Keys that counted for it.
        everybody: Key ids of all whose signature on it verifies: none of them reviews it.
        index: Entry of the log that accepted it.
        version: Version of the trust root in force then.
    """

    manifest: Manifest | None
    adopted: Mapping[str, str] | None
    source: str
    signers: tuple[PublicKey, ...]
    index: int
    version: int
    everybody: tuple[str, ...] = ()


@dataclass
class ExportVerification:
    """What verifying an export found.

    Attributes:
        digest: Digest of its inventory.
        inventory: What is in it; `None` where the log's key did not sign it.
        root: The newest trust root in it; `None` where the chain does not hold.
        pinned: Version of the trust root that was given and found; `None` where none was given.
        accepted: Manifests that verified, by digest.
        released: Releases that verified: what they are about, and the words that counted.
        denied: Denials that verified, and the words that counted.
        notes: What is right and should be known.
        problems: What is wrong, one sentence each.
    """

    digest: str = ""
    inventory: Inventory | None = None
    root: Root | None = None
    pinned: int | None = None
    accepted: dict[str, VerifiedManifest] = field(default_factory=dict)
    released: list[tuple[About, tuple[Word, ...]]] = field(default_factory=list)
    denied: list[tuple[DeniedDocument, tuple[Word, ...]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify(folder: Path, log_key: str, *, root: str | None = None) -> ExportVerification:
    """Verify an export.

    Args:
        log_key: Verifier key of its log, `name+keyid+base64`, kept elsewhere.
        root: SHA-256 of the envelope of a trust root that must be among its own.

    Raises:
        LogError: `log_key` is no verifier key.
        UnfitError: The folder is no export at all.
    """
    name, public = signed_note.parse_verifier_key(log_key)
    data = safe_read.read_upto(folder, inventories.INVENTORY, inventories.MAX_INVENTORY)
    checked = ExportVerification(digest=digest_bytes(data))
    try:
        signed = safe_read.read_upto(folder, inventories.NOTE, safe_read.MAX_NOTE)
        text = dsse.open_note(signed.decode("utf-8", "replace"), name, public)
        if text != inventories.note_text(name, checked.digest):
            raise IntegrityError("it is about another inventory")
        listed = inventories.parse(data)
        if listed.origin != name:
            raise IntegrityError(f"it is of the log {listed.origin[:80]!r}")
    except IntegrityError as error:
        checked.problems.append(
            f"{inventories.INVENTORY}: not what the log {name!r} signed ({error.message})"
        )
        return checked
    checked.inventory = listed
    for problem in _Check(folder, listed, name, public, checked).run(data, signed, root):
        checked.problems.append(problem)
        if len(checked.problems) == MAX_PROBLEMS:
            checked.problems.append("and more")
            break
    return checked


class _Check:
    """One verification; its parts yield what is wrong."""

    def __init__(
        self, folder: Path, listed: Inventory, name: str, public: bytes, checked: ExportVerification
    ) -> None:
        self._folder = folder
        self._listed = listed
        self._key = (name, public)
        self._made = checked
        self._files = inventories.paths(listed)
        self._past = VerifiedHistory((), (), ())
        self._seen: set[str] = set()
        self._bearing: dict[About, list[ListedDocument]] = defaultdict(list)
        for row in listed.documents:
            self._bearing[about_of(row)].append(row)

    def run(self, data: bytes, signed: bytes, root: str | None) -> Iterator[str]:
        """Everything that is wrong."""
        digests = {path: name for path, (name, _) in self._files.items()}
        digests[inventories.INVENTORY] = digest_bytes(data)
        digests[inventories.NOTE] = digest_bytes(signed)
        if wrong := safe_read.check_sums(self._folder, digests):
            yield wrong
        yield from safe_read.strangers(self._folder, {**digests, inventories.SUMS: ""})
        yield from self._chain(root)
        for path in sorted(self._files.keys() - self._seen):  # nothing above had to look into them
            if wrong := safe_read.problem(self._folder, path, *self._files[path]):
                yield wrong

    def _chain(self, root: str | None) -> Iterator[str]:
        """From the signed checkpoint to every document."""
        try:
            self._past = read_past(self._read, self._listed, *self._key)
        except IntegrityError as error:
            yield error.message
            return
        self._made.root = self._past.roots[-1]
        yield from self._pin(root)
        yield from corpus_problems(self._listed, self._past.entries)
        yield from self._manifests()
        yield from self._documents()
        reviewed = decisions.DecisionVerifier(
            self._read, self._past, self._listed, self._files, self._signers
        )
        yield from self._releases(reviewed)
        yield from self._denials(reviewed)
        yield from reviewed.opinions()
        self._made.notes += reviewed.notes

    def _read(self, path: str) -> bytes:
        if path not in self._files:
            raise IntegrityError(f"{path}: not in the inventory")
        self._seen.add(path)
        return safe_read.read_named(self._folder, path, *self._files[path])

    def _pin(self, root: str | None) -> Iterator[str]:
        """Compare with the trust root that whoever verifies knows."""
        known = list(self._listed.roots)
        if root is None:
            self._made.notes.append(f"the trust root is not pinned: version 1 is {known[0]}")
        elif root in known:
            self._made.pinned = known.index(root) + 1
        else:
            yield f"trust root: none of them is {root[:80]!r}, the one given"

    # --- manifests --------------------------------------------------------------------------------

    def _manifests(self) -> Iterator[str]:
        first = accepting(self._past.entries)
        for name in self._listed.manifests:
            try:
                self._made.accepted[name] = self._manifest(name, first.get(name))
            except IntegrityError as error:
                yield f"manifest {name[:12]}…: {error.message}"
        revoked = self._made.root.revoked if self._made.root else {}
        standing = Counter(row.manifest for row in self._listed.documents)
        for name, accepted in sorted(self._made.accepted.items()):
            number = standing[name]
            if accepted.adopted is not None and number:
                self._made.notes.append(
                    f"{number} documents of {accepted.source!r}: nobody signed them"
                )
            if gone := sorted({k.keyid for k in accepted.signers} & revoked.keys()):
                who = ", ".join(sorted(roots.principals_of(self._past.roots[-1], gone)))
                self._made.notes.append(
                    f"manifest {name[:12]}… of {accepted.source!r}: signed by {who}, whose key was "
                    f"revoked since; {number} documents stand on it"
                )

    def _manifest(self, name: str, index: int | None) -> VerifiedManifest:
        """Return a manifest, verified by the root in force when it was accepted.

        Raises:
            IntegrityError: Any rule it breaks.
        """
        data = self._read(inventories.manifest_path(name))
        if digest_bytes(data) != self._listed.manifests[name]:
            raise IntegrityError("its file is not the one of its digest")
        if index is None:
            raise IntegrityError("no commit in the log accepted it")
        root = self._past.root_at(index)
        record = adoption.parse(data, max_bytes=inventories.MAX_FILE)
        if record is not None:
            if digest_bytes(data) != name:
                raise IntegrityError("the record of an adoption is not the one of its digest")
            return VerifiedManifest(None, record.documents, record.source, (), index, root.version)
        envelope = dsse.parse_envelope(data, max_bytes=inventories.MAX_FILE)
        if digest_bytes(envelope.payload) != name:
            raise IntegrityError("its payload is not the one of its digest")
        anyone = dsse.verify(envelope, self._known(), payload_type=dsse.IN_TOTO, threshold=1)
        anyone.require("against the keys of all trust roots")
        manifest = manifests.parse(envelope.payload, max_bytes=inventories.MAX_FILE)
        source = root.sources.get(manifest.source)
        if source is None:
            raise IntegrityError(f"trust root {root.version} knows no source {manifest.source!r}")
        alive = {g.keyid: root.keys[g.keyid] for g in source.signers if g.keyid not in root.revoked}
        result = dsse.verify(
            envelope,
            alive,
            payload_type=dsse.IN_TOTO,
            threshold=source.threshold,
            distinct=source.distinct,
        )
        result.require(f"of source {manifest.source!r}, by trust root {root.version}")
        everybody = tuple(key.keyid for key in anyone.signed)
        return VerifiedManifest(
            manifest, None, manifest.source, result.signed, index, root.version, everybody
        )

    def _known(self) -> Mapping[str, Any]:
        return {keyid: key for root in self._past.roots for keyid, key in root.keys.items()}

    # --- documents --------------------------------------------------------------------------------

    def _documents(self) -> Iterator[str]:
        """Yield every object once: its bytes, and all documents that are in it."""
        groups: dict[str, list[ListedDocument]] = defaultdict(list)
        for row in self._listed.documents:
            groups[row.subject_digest].append(row)
        listed = {
            name: {s.name: s for s in accepted.manifest.subjects}
            for name, accepted in self._made.accepted.items()
            if accepted.manifest is not None
        }
        for name in sorted({*self._listed.objects, *groups}):
            if not groups[name]:
                yield f"object {name[:12]}…: no document is in it"
            try:
                data = self._read(inventories.object_path(name))
                if self._files[inventories.object_path(name)][0] != name:
                    raise IntegrityError("stands under another digest")
                texts = _texts(data, groups[name])
            except IntegrityError as error:
                yield f"object {name[:12]}…: {error.message}"
                continue
            for row in groups[name]:
                if problem := self._document(row, listed.get(row.manifest, {}), texts, data):
                    yield f"{row.source}/{row.document}: {problem}"

    def _document(
        self,
        row: ListedDocument,
        subjects: Mapping[str, Any],
        texts: Mapping[str, Mapping[str, Any]],
        data: bytes,
    ) -> str:
        """Tell what is wrong with a document; empty when nothing is."""
        accepted = self._made.accepted.get(row.manifest)
        if accepted is None or accepted.source != row.source:
            return "the manifest it stands on is not there, or of another source"
        if digest(dict(row.metadata)) != row.metadata_digest:
            return "its metadata is not the one of its digest"
        if accepted.adopted is not None:
            same = accepted.adopted.get(row.document) == row.digest == row.subject_digest
            return "" if same else "the record of its adoption does not list these bytes"
        subject = subjects.get(row.subject)
        if subject is None or (subject.digest, subject.length) != (row.subject_digest, len(data)):
            return "its manifest does not list its file with these bytes"
        if row.subject not in texts:
            same = row.document == row.subject and row.digest == row.subject_digest
            # An index built before parser 2 did not read what a file says about itself.
            metadata = subject.metadata
            if digest(dict(metadata)) != row.metadata_digest:
                front = front_of(data, format_of(row.subject))
                metadata = with_front(front.metadata, metadata, row.subject)
        else:
            record = texts[row.subject].get(row.document)
            if record is None:
                return "its record file has no such record"
            same = digest_bytes(record.text.encode()) == row.digest
            metadata = {**record.metadata, **subject.metadata}
        if not same:
            return "its bytes are not the ones of its digest"
        if digest(dict(metadata)) != row.metadata_digest:
            return "its metadata is not the signed one"
        return ""

    # --- decisions --------------------------------------------------------------------------------

    def _releases(self, reviewed: DecisionVerifier) -> Iterator[str]:
        for release in reviewed.releases():
            if isinstance(release, str):
                yield release
            else:
                self._made.released.append(release)
        shown = {about_of(decision) for decision in self._listed.decisions}
        for row in self._listed.documents:
            if row.outcome != "admit" and about_of(row) not in shown:
                yield f"{row.source}/{row.document}: was held, and no release of it is in it"

    def _denials(self, reviewed: DecisionVerifier) -> Iterator[str]:
        yield from decisions.left_out(self._past, self._listed.denied)
        refused = {denial.digest for denial in self._listed.denied}
        for row in self._listed.documents:
            if row.digest in refused:
                yield f"{row.source}/{row.document}: a reviewer rejected exactly these bytes"
        for denial in self._listed.denied:
            try:
                if (accepted := self._made.accepted.get(denial.manifest)) is not None:
                    _came_with(denial, accepted)
                quorum = reviewed.denial(denial)
            except IntegrityError as error:
                yield f"denial of {denial.source}/{denial.document}: {error.message}"
            else:
                if quorum is not None:
                    self._made.denied.append((denial, quorum.words))

    def _signers(self, about: About, manifest: str) -> list[str]:
        """Key ids of all who signed a document that a reviewer's word is about.

        The inventory says which manifest the version stood on that the reviewer saw. Where that is
        not there, or does not list the file as it is now, whoever signed what the document stands
        on now is no judge of it either.
        """
        rows = self._bearing[about]
        names = [manifest, *(row.manifest for row in rows)]
        accepted = self._made.accepted.get(manifest)
        if any(row.manifest == manifest or _lists(accepted, row) for row in rows):
            names = [manifest]
        verified_manifests = [
            self._made.accepted[name] for name in names if name in self._made.accepted
        ]
        return [keyid for verified in verified_manifests for keyid in verified.everybody]


def _lists(accepted: VerifiedManifest | None, row: ListedDocument) -> bool:
    """Tell whether a manifest lists the file that a document is in, with these bytes."""
    if accepted is None or accepted.manifest is None or accepted.source != row.source:
        return False
    files = {subject.name: subject.digest for subject in accepted.manifest.subjects}
    return files.get(row.subject) == row.subject_digest


def _came_with(denial: DeniedDocument, accepted: VerifiedManifest) -> None:
    """Look for a denied document in the manifest it came with.

    Raises:
        IntegrityError: It is not there.
    """
    if accepted.manifest is not None:
        files = {s.name: s.digest for s in accepted.manifest.subjects}
        there = files.get(denial.subject) == denial.subject_digest
    else:
        there = (accepted.adopted or {}).get(denial.document) == denial.digest
    if not there or accepted.source != denial.source:
        raise IntegrityError("its manifest does not list it")


def _texts(data: bytes, rows: Sequence[ListedDocument]) -> dict[str, dict[str, Any]]:
    """Records of a record file, by the names it goes by and document id; empty for other files."""
    records_by_subject: dict[str, dict[str, Any]] = {}
    for subject in {row.subject for row in rows}:
        fmt = format_of(subject)
        if fmt in RECORD_FORMATS:
            records = read_records(data, fmt, subject)
            records_by_subject[subject] = {f"{subject}#{r.id}": r for r in records}
    return records_by_subject
