"""Read and write `export.json`: what is in an export, and what each file must be.

Everything hangs on it: the log's key signs its digest (`export.note`), it holds the digest and the
size of every other file. File names are digests and fixed words, never names that a signer chose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ragguard.errors import MalformedError
from ragguard.trust import strict_json
from ragguard.trust.canonical import canonical
from ragguard.trust.quorum import About

if TYPE_CHECKING:
    from ragguard.ledger.versions import VersionRow

FORMAT = "ragguard-export-v1"
INVENTORY = "export.json"
NOTE = "export.note"
SUMS = "SHA256SUMS"
LOG = "log.jsonl"
CHECKPOINT = "checkpoint"
LOG_KEY = "log.vkey"
CANARIES = "canaries.json"
MAX_INVENTORY = 1 << 29  # some 400,000 documents
MAX_FILE = 1 << 30
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIXED = re.compile(
    r"log\.jsonl|checkpoint|log\.vkey|canaries\.json|roots/root\.[1-9][0-9]{0,8}\.json"
    r"|manifests/[0-9a-f]{64}\.intoto\.json|decisions/[0-9a-f]{64}\.json|denied/[0-9a-f]{64}"
)


@dataclass(frozen=True)
class ListedDocument:
    """A document of the clean set.

    Attributes:
        subject: Name of the signed file it is in.
        subject_digest: That file's digest, which is its name below `objects/`.
        manifest: Digest of the manifest it stands on.
        commit: Commit that made this version of it.
        since: Commit with which its stay among what serves began.
        outcome: Verdict it got, with score (higher is worse), p-value and findings.
        hidden: Pieces of text found hidden in it: kind and text.
    """

    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    metadata_digest: str
    subject: str
    subject_digest: str
    manifest: str
    commit: int
    since: int
    policy_digest: str
    outcome: str
    score: float
    p_value: float | None
    findings: Sequence[Any]
    hidden: Sequence[Any]


@dataclass(frozen=True)
class OmittedDocument:
    """A document that served after the commit and is not in the clean set; its bytes are not here.

    Attributes:
        check: Rule that keeps it out.
    """

    source: str
    document: str
    digest: str
    metadata_digest: str
    check: str
    detail: str


@dataclass(frozen=True)
class ReviewerWord:
    """A reviewer's word: a release of a document of the clean set, or an opinion.

    Attributes:
        envelope: Digest of the signed decision, which is its name below `decisions/`.
        manifest: Manifest that the version it was about stood on.
        log_index: Entry of the commit that carried it out; of an opinion, its own entry.
    """

    envelope: str
    source: str
    document: str
    digest: str
    metadata_digest: str
    manifest: str
    log_index: int


@dataclass(frozen=True)
class DeniedDocument:
    """What a reviewer rejected: enough to refuse its bytes and to recognise its like.

    Attributes:
        envelope: Digest of the signed decision, which is its name below `decisions/`.
        subject: Name of the signed file it was in; those bytes are not here.
        subject_digest: That file's digest.
        manifest: Manifest that the version it was about stood on.
        policy_digest: Contract that version was judged under.
        log_index: Entry of the commit that carried the decision out.
        text_digest: SHA-256 of its chunks' normalised texts, joined by line feeds.
        sketches: MinHash rows of its chunks (npy), below `denied/`; `None` where not exported.
        vectors: Vectors of its chunks (npy), likewise.
        texts: Its chunks' normalised texts (a JSON list), likewise: poison, never to be served.
    """

    envelope: str
    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    metadata_digest: str
    subject: str
    subject_digest: str
    manifest: str
    policy_digest: str
    log_index: int
    text_digest: str
    sketches: str | None
    vectors: str | None
    texts: str | None


def about_of(row: VersionRow | ListedDocument | ReviewerWord | DeniedDocument) -> About:
    """Tell what a word on a document has to be about."""
    return row.source, row.document, row.digest, row.metadata_digest


@dataclass(frozen=True)
class Inventory:
    """What an export holds.

    Attributes:
        made: Time of the export; the one field that two exports of one state do not share.
        commit: Commit whose corpus it is.
        log_index: That commit's entry.
        corpus: Digest of everything that served after it, documents left out included.
        size: Entries of the log, all of which are in the export.
        roots: Digests of the trust roots, version 1 first.
        recipe: Recipe of the generation that served when it was made.
        documents: The clean set, by source and id.
        left: What is left out of it, with the reason.
        manifests: Manifest digest to the digest of its file: all that documents stand on, and the
            newest of every source.
        decisions: Releases that speak for documents: the deciding word, and those that agreed.
        opinions: All opinions on the cases of `decisions` and `denied`, and, with the commit that
            took them over, those that agreed with a denial taken over. Written only where there
            are any; exports of older versions have none.
        denied: What reviewers rejected up to the export, whatever the commit; the oldest first.
        canaries: Digest of the canary set in force, or `None`.
        missing: What should be here and could not be read, a sentence each.
        objects: Digest to size of every file below `objects/`.
        files: Path to digest and size of every other file but the inventory, its note and the sums.
    """

    made: str
    origin: str
    commit: int
    log_index: int
    corpus: str
    size: int
    roots: Sequence[str]
    recipe: Mapping[str, Any]
    documents: Sequence[ListedDocument]
    left: Sequence[OmittedDocument]
    manifests: Mapping[str, str]
    decisions: Sequence[ReviewerWord]
    denied: Sequence[DeniedDocument]
    canaries: str | None
    missing: Sequence[str]
    objects: Mapping[str, int]
    files: Mapping[str, Sequence[Any]]
    opinions: Sequence[ReviewerWord] = field(default_factory=list)


def dump(inventory: Inventory) -> bytes:
    """Return an inventory as canonical JSON."""
    body = {"format": FORMAT, **asdict(inventory)}
    if not inventory.opinions:  # one without them is what it was before there were any
        del body["opinions"]
    return canonical(body)


def parse(data: bytes) -> Inventory:
    """Read an inventory whose signature has been verified.

    Raises:
        MalformedError, OversizedError: Not strict JSON of the documented shape, or too large.
    """
    body = strict_json.parse(data, what=INVENTORY, max_bytes=MAX_INVENTORY)
    if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
        raise MalformedError(
            f"{INVENTORY}: of another format, expected {FORMAT!r}",
            hint="Verify it with the version of ragguard that wrote it.",
        )
    inventory: Inventory = _read(Inventory, {"opinions": [], **body})
    inventory = Inventory(
        **{
            **{f.name: getattr(inventory, f.name) for f in fields(inventory)},
            "documents": [_read(ListedDocument, row) for row in inventory.documents],
            "left": [_read(OmittedDocument, row) for row in inventory.left],
            "decisions": [_read(ReviewerWord, row) for row in inventory.decisions],
            "denied": [_read(DeniedDocument, row) for row in inventory.denied],
            "opinions": [_read(ReviewerWord, row) for row in inventory.opinions],
        }
    )
    digests = [
        *inventory.roots,
        *inventory.manifests,
        *inventory.manifests.values(),
        *inventory.objects,
    ]
    for row in inventory.denied:
        digests += [row.envelope, row.digest, row.metadata_digest, row.manifest, row.text_digest]
        digests += [name for name in (row.sketches, row.vectors, row.texts) if name is not None]
    for word in (*inventory.decisions, *inventory.opinions):
        digests += [word.envelope, word.digest, word.metadata_digest, word.manifest]
        _want(_is_size(word.log_index), "an entry of the log", word.log_index)
    for name in (*digests, inventory.corpus, *([inventory.canaries] if inventory.canaries else [])):
        _want(isinstance(name, str) and _DIGEST.fullmatch(name), "a digest", name)
    for size in (
        *inventory.objects.values(),
        inventory.size,
        inventory.commit,
        inventory.log_index,
    ):
        _want(_is_size(size), "a whole number", size)
    for path, entry in inventory.files.items():
        _want(_FIXED.fullmatch(path), "the path of a file that an export has", path)
        _want(isinstance(entry, list) and len(entry) == 2, "digest and size", path)
        _want(isinstance(entry[0], str) and _DIGEST.fullmatch(entry[0]), "a digest", path)
        _want(_is_size(entry[1]), "a size", path)
    return inventory


def paths(inventory: Inventory) -> dict[str, tuple[str, int]]:
    """Return the digest and size of every file but inventory, note and sums, by path."""
    fixed_files = {path: (entry[0], entry[1]) for path, entry in inventory.files.items()}
    return fixed_files | {object_path(n): (n, size) for n, size in inventory.objects.items()}


def object_path(digest: str) -> str:
    """Tell where the bytes of a digest are."""
    return f"objects/{digest[:2]}/{digest}"


def root_path(version: int) -> str:
    """Tell where a version of the trust root is."""
    return f"roots/root.{version}.json"


def manifest_path(digest: str) -> str:
    """Tell where a manifest or the record of an adoption is."""
    return f"manifests/{digest}.intoto.json"


def decision_path(envelope: str) -> str:
    """Tell where a decision is."""
    return f"decisions/{envelope}.json"


def denied_path(digest: str) -> str:
    """Tell where what is kept of denied text is."""
    return f"denied/{digest}"


def sums(digests: Mapping[str, str]) -> bytes:
    """Tell what `sha256sum -c` reads: a line for each path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def note_text(origin: str, digest: str) -> str:
    """Tell what the log's key signs: that an inventory of this digest is an export of this log.

    The first line is the format and the second is no number: it can be read as no checkpoint.
    """
    return f"{FORMAT}\n{origin}\n{digest}\n"


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _want(test: object, expected: str, actual: object) -> None:
    if not test:
        raise MalformedError(f"{INVENTORY}: {str(actual)[:80]!r}, expected {expected}")


_TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "str | None": (str, type(None)),
    "Sequence[Any]": list,
}


def _read(kind: Any, body: object) -> Any:
    """Return an object of a dataclass, with exactly its fields, each of its type."""
    wanted = {f.name: str(f.type) for f in fields(kind)}
    if not isinstance(body, dict) or body.keys() != wanted.keys():
        raise MalformedError(f"{INVENTORY}: an entry has not exactly {', '.join(wanted)}")
    for name, annotation in wanted.items():
        container = list if annotation.startswith("Sequence") else dict
        content = body[name]
        expected = _TYPES.get(annotation, container)
        if not isinstance(content, expected) or isinstance(content, bool):
            raise MalformedError(f"{INVENTORY}: {name} is not of the documented type")
    return kind(**body)
