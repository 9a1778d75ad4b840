"""Verify receipts: whether an answer rested on what was good then, and is good now.

A receipt alone shows who signed it and that its entries are below a checkpoint of the log. With
the ledger, and without index or model, it shows whether the log has those entries, whether the
documents served at that checkpoint with those passages, and whether their signers counted by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ragguard.corpus.log_check import check_expected
from ragguard.corpus.provenance import Signatures, forgery
from ragguard.errors import LogError
from ragguard.ledger import audit_queries, commits, log, versions, versions_at
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.versions import ZoneStay
from ragguard.model import PublicKey, Root
from ragguard.serving import receipt as receipts
from ragguard.serving.against_ledger import AgainstLedger
from ragguard.serving.answer import Proof, RefusedPassage
from ragguard.serving.receipt import Receipt
from ragguard.trust import dsse, keys, merkle, signed_note
from ragguard.trust import root as roots
from ragguard.workspace import Workspace

MAX_ROOT = 1 << 24  # bytes of a trust root's envelope


@dataclass(frozen=True)
class VerifiedReceipt:
    """A receipt whose signature and checkpoint hold.

    Attributes:
        receipt: What it says.
        size: Entries of the log under its checkpoint.
        signed_by: Principals whose signature verifies; `log` for the log's own key.
    """

    receipt: Receipt
    size: int
    signed_by: Sequence[str]


@dataclass(frozen=True)
class ReceiptPassage:
    """A passage of a receipt.

    Attributes:
        document: `source/id`.
        rank: As it was given out.
        wrong: Why it was not good then, or is not now; empty when it is.
    """

    document: str
    rank: int
    wrong: str


def is_receipt(data: bytes) -> bool:
    """Tell whether bytes are an envelope, and no bundle of `log prove`."""
    return b'"payloadType"' in data[: receipts.MAX_RECEIPT]


def verify_receipt(data: bytes, log_key: str, signers: Mapping[str, PublicKey]) -> VerifiedReceipt:
    """Verify a receipt offline.

    Args:
        log_key: Verifier key of the log, `name+keyid+base64`.
        signers: Keys of readers that may have signed it, by key id; the log's may always.

    Raises:
        SignatureError: None of these keys signed it.
        LogError: Its checkpoint is not the log's, or it names entries beyond it.
        MalformedError, PredicateError: No receipt.
    """
    name, public = signed_note.parse_verifier_key(log_key)
    keyid = keys.keyid(public)
    known = {**signers, keyid: PublicKey(keyid, public, "log")}
    envelope = dsse.parse_envelope(data, max_bytes=2 * receipts.MAX_RECEIPT)
    result = dsse.verify(envelope, known, payload_type=dsse.IN_TOTO, threshold=1)
    result.require("receipt")
    receipt = receipts.parse(envelope.payload)
    tree = signed_note.parse_checkpoint(dsse.open_note(receipt.basis.checkpoint, name, public))
    if (receipt.basis.log, tree.origin) != (name, name):
        raise LogError(f"receipt: of log {receipt.basis.log!r}, the key given is of {name!r}")
    for hit in receipt.hits:
        if hit["log_index"] >= tree.size:
            raise LogError(
                f"receipt: passage {hit['rank']} names entry {hit['log_index']} of the log, its "
                f"checkpoint has {tree.size}"
            )
    return VerifiedReceipt(receipt, tree.size, [k.principal for k in result.signed])


def then(workspace: Workspace, verified: VerifiedReceipt) -> list[ReceiptPassage]:
    """Say of each passage of a receipt whether it was good under its checkpoint.

    Args:
        workspace: Open; index and model are not needed.

    Raises:
        LogError: The log does not contain the receipt's checkpoint.
    """
    return _Past(workspace, verified).passages()


class _Past:
    """The ledger as it was under a checkpoint."""

    def __init__(self, workspace: Workspace, verified: VerifiedReceipt) -> None:
        self._workspace, self._verified = workspace, verified
        with workspace.ledger.reading() as conn:
            entries = log.entries(conn)
            self._commits = {row.id: row for row in commits.listed(conn)}
            self._roots = {v: data for v, data, _ in audit_queries.all_roots(conn)}
            self._denied = {row.digest: row.commit for row in decided_rows.denied(conn)}
        leaves = [merkle.leaf_hash(text.encode()) for _, text, _ in entries]
        if wrong := check_expected(workspace, verified.receipt.basis.checkpoint, leaves):
            raise LogError(wrong, hint="Run `ragguard log verify`.")
        self._entries = [log.read(text) or {} for _, text, _ in entries[: verified.size]]

    def passages(self) -> list[ReceiptPassage]:
        """See `then`."""
        hits = self._verified.receipt.hits
        return [ReceiptPassage(h["document"], h["rank"], self._wrong(h)) for h in hits]

    def _wrong(self, hit: Mapping[str, Any]) -> str:
        entry = self._entries[hit["log_index"]]
        if "plan" not in entry or entry.get("commit") != hit["commit"]:
            return f"entry {hit['log_index']} of the log is not commit {hit['commit']}"
        source, _, document = str(hit["document"]).partition("/")
        with self._workspace.ledger.reading() as conn:
            rows = {r.id: r for r in versions_at.versions_named(conn, source, document)}
            stays = versions_at.stays_named(conn, list(rows))
            points = versions.points_of(conn, list(rows))
        for stay in stays:
            row = rows[stay.version]
            if stay.zone != "serving" or stay.since != hit["commit"]:
                continue
            if (row.digest, row.manifest) != (hit["digest"], hit["manifest"]):
                continue
            texts = {p.point: p.text_digest for p in points[row.id]}
            if texts.get(str(hit["point"])) != hit["text"]:
                return "the document never had such a passage"
            if stay.until is not None and self._before(stay.until):
                return f"it had been taken out with commit {stay.until} already"
            if self._before(self._denied.get(row.digest)):
                return "a reviewer had rejected exactly these bytes already"
            return self._provenance(ZoneStay(**vars(row), since=stay.since))
        return f"it did not serve since commit {hit['commit']} with these bytes"

    def _before(self, commit: int | None) -> bool:
        """Tell whether a commit is below the checkpoint."""
        row: CommitRow | None = self._commits.get(commit or 0)
        return row is not None and row.log_index is not None and row.log_index < len(self._entries)

    @cached_property
    def _signatures(self) -> Signatures:
        return Signatures(self._workspace, root=self._root())

    def _root(self) -> Root:
        """Return the trust root in force under the checkpoint."""
        numbers = [e["version"] for e in self._entries if "root" in e and "version" in e]
        data = self._roots.get(numbers[-1] if numbers else min(self._roots))
        if data is None:
            return self._workspace.root
        return roots.parse_root(dsse.parse_envelope(data, max_bytes=MAX_ROOT).payload)

    def _provenance(self, row: ZoneStay) -> str:
        standing = self._signatures.examine(row.manifest)
        subjects = {s.name: s for s in standing.manifest.subjects} if standing.manifest else {}
        if wrong := standing.damaged or forgery(row, standing, subjects):
            return wrong
        if standing.adopted is None and standing.revoked:
            return "" if self._signatures.vouched(row, standing) else standing.revoked
        return ""


def now(workspace: Workspace, verified: VerifiedReceipt) -> list[ReceiptPassage]:
    """Say of each passage of a receipt whether it is still proved.

    Raises:
        UsageError: Nothing was ingested yet.
    """
    evidence = AgainstLedger(workspace, asked=False)
    ids = [str(hit["point"]) for hit in verified.receipt.hits]
    points = workspace.open_store().get(evidence.collection, ids, vectors=True)
    judgements = evidence.judge(points)
    if judgements is None:  # it was opened a moment ago, under the lock
        raise LogError("the corpus changed meanwhile", hint="Ask again.")
    judged = {p.id: judgement for p, judgement in zip(points, judgements, strict=True)}
    return [
        ReceiptPassage(
            hit["document"], hit["rank"], _still(workspace, hit, judged.get(hit["point"]))
        )
        for hit in verified.receipt.hits
    ]


def _still(
    workspace: Workspace, hit: Mapping[str, Any], judged: Proof | RefusedPassage | None
) -> str:
    """Tell why a passage is not good any more; empty when it is."""
    if isinstance(judged, Proof):
        return "" if judged.digest == hit["digest"] else "its document has other bytes now"
    if judged is not None:
        return judged.reason
    source, _, document = str(hit["document"]).partition("/")
    with workspace.ledger.reading() as conn:
        standing = dict(versions.standing(conn, source, document))
        denied = {row.digest for row in decided_rows.denied(conn)}
    if hit["digest"] in denied:
        return "a reviewer rejected exactly these bytes"
    serving, waiting = standing.get("serving"), standing.get("quarantine")
    if serving is not None and serving.digest == hit["digest"]:
        return ""  # the same bytes, cut by another recipe
    if serving is not None:
        return f"its document was replaced by another version with commit {serving.commit}"
    if waiting is not None:
        return "its document was taken out, and waits for a reviewer"
    return "its document serves no more"
