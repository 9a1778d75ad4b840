"""Verify the log, and prove to a stranger that a document came in the way it did.

A bundle holds one chain: document, its commit's entry in the log, a signed checkpoint, and the
signed manifest that brought it. It is verified with the log's public key alone; the manifest's
signature with its signers' public keys.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from ragguard.corpus.log_check import LogReport, check_expected, verify_log
from ragguard.errors import LogError, MalformedError, UsageError
from ragguard.ledger import commits, log, versions
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import leaf, load_plan
from ragguard.model import PublicKey
from ragguard.trust import adoption, dsse, merkle, signed_note, strict_json
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import canonical, digest_bytes
from ragguard.workspace import Workspace

__all__ = ["LogReport", "find_version", "prove", "verify_bundle", "verify_log"]

FORMAT = "ragguard-proof-v1"
MAX_BUNDLE = 64_000_000


def find_version(workspace: Workspace, what: str) -> VersionRow:
    """Find the version that a point id or a document (`source/id`) names.

    Raises:
        UsageError: Nothing of that name was ever committed.
    """
    with workspace.ledger.reading() as conn:
        version = versions.version_of_point(conn, what)
        if version is None and "/" in what:
            source, _, document = what.partition("/")
            version = versions.newest(conn, source, document)
    if version is None:
        raise UsageError(
            f"{what!r}: no such point or document",
            hint="Name a point id (ragguard search --format json) or source/document.",
        )
    return version


def prove(workspace: Workspace, what: str, since: str = "") -> dict[str, Any]:
    """Make the bundle that proves a point id or a document (`source/id`).

    It has a link for the commit that brought the document, one for each that pulled it back into
    quarantine, and one for each with which a reviewer released it.

    Args:
        what: Point id, or `source/id`.
        since: A checkpoint that whoever verifies the bundle kept: it shows too that the log grew
            out of that one.

    Raises:
        UsageError: Nothing of that name was ever committed.
        LogError: Ledger and log do not fit together, or `since` is no checkpoint of this log.
    """
    version = find_version(workspace, what)
    with workspace.ledger.reading() as conn:
        leaves = log.leaves(conn)
        kept = log.kept_checkpoints(conn)
        manifest = commits.manifest_row(conn, version.manifest)
        numbers = versions.stays(conn, version)
        rows = [commits.get(conn, number) for number in numbers]
        logged = [
            (row.plan, row.log_index, log.body(conn, row.log_index))
            for row in rows
            if row is not None and row.log_index is not None and row.log_index < len(leaves)
        ]
    if len(logged) != len(numbers) or manifest is None or not kept:
        raise LogError(
            f"ledger: what brought {what!r} is not all there (commits, manifest, checkpoint)",
            hint="Run `ragguard log verify`.",
        )
    links = []
    for plan, index, entry in logged:
        documents = [x.as_dict() for x in load_plan(workspace.vault.get(plan)).leaves]
        place = _place(documents, version.source, version.document)
        hashes = [leaf(x) for x in documents]
        links.append(
            {
                "document": documents[place],
                "document_index": place,
                "documents": len(documents),
                "document_proof": [h.hex() for h in merkle.inclusion_proof(hashes, place)],
                "entry": entry,
                "entry_index": index,
                "entry_proof": [h.hex() for h in merkle.inclusion_proof(leaves, index)],
            }
        )
    envelope = workspace.vault.get(manifest.envelope)
    extends = {"since": _extension(workspace, since, leaves)} if since else {}
    return {
        "format": FORMAT,
        **extends,
        "links": links,
        "checkpoint": kept[-1][1],
        "manifest": base64.b64encode(envelope).decode(),
        "subject": version.subject,
        "subject_digest": version.subject_digest,
    }


def _extension(workspace: Workspace, since: str, leaves: Sequence[bytes]) -> dict[str, Any]:
    """Proof that the log still begins as an older checkpoint says."""
    if wrong := check_expected(workspace, since, leaves):
        raise LogError(wrong, hint="Run `ragguard log verify`.")
    name, public = signed_note.parse_verifier_key(workspace.log_key)
    old = signed_note.parse_checkpoint(dsse.open_note(since, name, public))
    proof = merkle.consistency_proof(leaves, old.size)
    return {"size": old.size, "proof": [h.hex() for h in proof]}


def _place(documents: Sequence[Mapping[str, Any]], source: str, document: str) -> int:
    for place, listed in enumerate(documents):
        if (listed["source"], listed["document"]) == (source, document):
            return place
    raise LogError(f"ledger: '{source}/{document}' is not in the commit that brought it")


def verify_bundle(
    data: bytes, log_key: str, signers: Mapping[str, PublicKey], expect: str = ""
) -> dict[str, Any]:
    """Verify a bundle offline.

    Args:
        log_key: Verifier key of the log, `name+keyid+base64`.
        signers: Public keys that may have signed the manifest, by key id.
        expect: A checkpoint kept elsewhere: the log of the bundle must have grown out of it.

    Returns:
        What it proves: document, acts, tree size, signers whose signature verified; with `expect`,
        `since`: the size of the tree that it grew out of.

    Raises:
        LogError: Any link of the chain does not hold, naming it.
    """
    try:
        body = strict_json.parse(data, what="bundle", max_bytes=MAX_BUNDLE)
        if body["format"] != FORMAT or not body["links"]:
            raise LogError(f"bundle: format {str(body['format'])[:40]!r}, expected {FORMAT!r}")
        name, public = signed_note.parse_verifier_key(log_key)
        head = signed_note.parse_checkpoint(dsse.open_note(body["checkpoint"], name, public))
        for link in body["links"]:
            _check_link(link, head)
        since = _check_extension(body, expect, head, name, public) if expect else {}
        first = body["links"][0]
        if any(
            _identity(link["document"]) != _identity(first["document"]) for link in body["links"]
        ):
            raise LogError("bundle: its links are about different documents")
        by = _manifest_signers(body, first["entry"], first["document"], signers)
    except (KeyError, TypeError, ValueError, AttributeError, MalformedError) as error:
        raise LogError(f"bundle: malformed ({error})") from None
    document = body["links"][-1]["document"]
    return {
        "document": f"{document['source']}/{document['document']}",
        "digest": document["digest"],
        "outcome": document["outcome"],
        "acts": [
            {k: link["entry"][k] for k in ("act", "commit", "at", "actor")}
            for link in body["links"]
        ],
        "log": head.origin,
        "size": head.size,
        "signed_by": by,
        **since,
    }


def _check_extension(
    body: Mapping[str, Any], expect: str, head: signed_note.Checkpoint, name: str, public: bytes
) -> dict[str, int]:
    """Refuse a log that is not the one of an older checkpoint, grown."""
    old = signed_note.parse_checkpoint(dsse.open_note(expect, name, public))
    given = body.get("since", {"size": head.size, "proof": []})
    if given["size"] != old.size:
        raise LogError(
            f"bundle: nothing in it leads from the checkpoint of size {old.size} to its own of "
            f"size {head.size}",
            hint="Ask for one made with `ragguard log prove WHAT --since` that checkpoint.",
        )
    proof = [bytes.fromhex(h) for h in given["proof"]]
    if not merkle.verify_consistency(old.size, head.size, proof, old.root, head.root):
        raise LogError(
            f"bundle: its log did not grow out of the checkpoint of size {old.size}: it was "
            "truncated or rewritten"
        )
    return {"since": old.size}


def _identity(document: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(document[k] for k in ("source", "document", "digest", "metadata"))


def _check_link(link: Mapping[str, Any], head: signed_note.Checkpoint) -> None:
    entry = link["entry"]
    if not merkle.verify_inclusion(
        merkle.leaf_hash(canonical(entry)),
        link["entry_index"],
        head.size,
        [bytes.fromhex(h) for h in link["entry_proof"]],
        head.root,
    ):
        raise LogError("bundle: an entry is not in the tree the checkpoint signs")
    if not merkle.verify_inclusion(
        leaf(link["document"]),
        link["document_index"],
        link["documents"],
        [bytes.fromhex(h) for h in link["document_proof"]],
        bytes.fromhex(entry["documents_root"]),
    ):
        raise LogError("bundle: the document is not in the commit the entry logs")


def _manifest_signers(
    body: Mapping[str, Any],
    entry: Mapping[str, Any],
    document: Mapping[str, Any],
    signers: Mapping[str, PublicKey],
) -> list[str]:
    data = base64.b64decode(body["manifest"], validate=True)
    record = adoption.parse(data, max_bytes=MAX_BUNDLE)
    if record is not None:
        listed = record.documents.get(document["document"])
        if digest_bytes(data) != entry["manifest"] or record.source != document["source"]:
            raise LogError("bundle: the record of its adoption is not the one the entry logs")
        if listed != document["digest"]:
            raise LogError("bundle: the record of its adoption does not list the document")
        return []
    envelope = dsse.parse_envelope(data, max_bytes=MAX_BUNDLE)
    if digest_bytes(envelope.payload) != entry["manifest"]:
        raise LogError("bundle: the manifest is not the one the entry logs")
    manifest = manifests.parse(envelope.payload, max_bytes=MAX_BUNDLE)
    files = {s.name: s.digest for s in manifest.subjects}
    file_digest = files.get(body["subject"])
    is_record = document["document"].startswith(f"{body['subject']}#")
    if file_digest != body["subject_digest"] or manifest.source != document["source"]:
        raise LogError("bundle: the manifest does not list the document's file")
    if not is_record and (document["document"], document["digest"]) != (
        body["subject"],
        file_digest,
    ):
        raise LogError("bundle: the document's digest is not the one the manifest signs")
    result = dsse.verify(envelope, signers, payload_type=dsse.IN_TOTO, threshold=1)
    return [k.principal for k in result.signed]
