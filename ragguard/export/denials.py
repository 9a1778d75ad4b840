"""Export what reviewers rejected, and bring it into a new workspace.

A workspace that has forgotten what was denied takes it in again, from the next manifest that lists
it. So denials travel: the digest, which refuses the bytes, and what recognises their like. The
bytes themselves do not; the texts of the chunks do, unless the operator wants no poison in the
baseline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragguard.corpus import changes
from ragguard.errors import LedgerError, VaultError
from ragguard.export import decisions as decided
from ragguard.export import inventory as inventories
from ragguard.export import releases
from ragguard.export.decisions import Read
from ragguard.export.inventory import DeniedDocument, ReviewerWord
from ragguard.ledger import audit_queries, commits, opinions
from ragguard.ledger import versions as version_rows
from ragguard.ledger.arrays import dump_array, load_array
from ragguard.ledger.commits import ManifestRow
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Plan, dump_vectors, load_vectors
from ragguard.model import Finding, Floats
from ragguard.text.minhash import PERMUTATIONS, sketch_rows
from ragguard.text.words import words
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.quorum import Word
from ragguard.workspace import Workspace

KIND = "restore"


def gather(
    workspace: Workspace, files: dict[str, bytes], missing: list[str], *, texts: bool
) -> tuple[list[DeniedDocument], list[ReviewerWord]]:
    """List all denials and the opinions on their cases, with what is kept of the texts.

    Args:
        files: Gets their files, by path in the export.
        missing: Gets a sentence for each that the vault does not give.
        texts: Also the texts and their vectors; else the sketches alone.
    """
    with workspace.ledger.reading() as conn:
        tables = audit_queries.small_tables(conn)
        commits_by_id = {row.id: row for row in commits.listed(conn)}
        versions = {
            row["version"]: version_rows.version(conn, row["version"]) for row in tables["denials"]
        }
        heard = opinions.heard(conn)
    cases = {row["id"]: row["version"] for row in tables["cases"]}
    decisions: dict[tuple[int, int | None], list[tuple[int, str]]] = {}
    for row in tables["decisions"]:
        if row["action"] == "reject":
            about = (row["commit"], cases.get(row["case"]))
            decisions.setdefault(about, []).append((row["case"], row["envelope"]))
    denied, words = [], []
    for row in tables["denials"]:
        version = versions[row["version"]]
        rejections = decisions.get((row["commit"], row["version"]))
        if version is None or rejections is None:
            missing.append(f"denial {row['id']}: the ledger has no version or no decision of it")
            continue
        label, (case, envelope) = version.label, rejections[-1]
        index = commits_by_id[row["commit"]].log_index or 0
        kept = _of_vault(workspace, row, label, missing, texts=texts)
        files |= {inventories.denied_path(row[name]): data for name, data in kept.items()}
        if commits_by_id[row["commit"]].kind == KIND:
            others = [releases.vouched(version, name, index) for _, name in rejections[:-1]]
        else:
            others = releases.opinions_on(heard.get(case, ()), version)
        read = {
            name: data
            for name in (envelope, *(opinion.envelope for opinion in others))
            if (data := _read(workspace, name, label, missing)) is not None
        }
        if envelope in read:  # without it the denial denies nothing anew, whoever agreed
            words += others
            files |= {inventories.decision_path(name): data for name, data in read.items()}
        denied.append(
            DeniedDocument(
                envelope=envelope,
                source=version.source,
                document=version.document,
                digest=version.digest,
                metadata=dict(version.metadata),
                metadata_digest=version.metadata_digest,
                subject=version.subject,
                subject_digest=version.subject_digest,
                manifest=version.manifest,
                policy_digest=version.policy_digest,
                log_index=index,
                text_digest=row["text_digest"],
                sketches=row["sketches"] if "sketches" in kept else None,
                vectors=row["vectors"] if "vectors" in kept else None,
                texts=row["texts"] if "texts" in kept else None,
            )
        )
    return denied, words


def _of_vault(
    workspace: Workspace, row: Mapping[str, Any], label: str, missing: list[str], *, texts: bool
) -> dict[str, bytes]:
    """Tell what is kept of a denied text and can be read, by what it is."""
    names = ["sketches"]
    if texts:
        body = _read(workspace, row["texts"], label, missing)
        # One that came without its texts, from an older export, has none to give.
        own = "" if body is None else "\n".join(json.loads(body))
        if body is not None and digest_bytes(own.encode()) == row["text_digest"]:
            names += ["vectors", "texts"]
    kept = {name: _read(workspace, row[name], label, missing) for name in names}
    return {name: data for name, data in kept.items() if data is not None}


def _read(workspace: Workspace, name: str, label: str, missing: list[str]) -> bytes | None:
    try:
        return workspace.vault.get(name)
    except VaultError as error:
        missing.append(f"denial of '{label}': {error.message}")
        return None


def record(
    plan: changes.Draft,
    read: Read,
    one: DeniedDocument,
    words: Sequence[Word],
    number: int,
    manifest: ManifestRow | None,
    *,
    same_recipe: bool,
) -> Plan:
    """Return a commit that takes a denial over, with the case and the words that it stands on.

    Args:
        read: Gives a file of the export.
        one: The denial, verified.
        words: What reviewers signed; the deciding word last.
        number: Of the version, below all documents': the newest version of what serves is not it.
        manifest: The manifest it came with, if that came too.
        same_recipe: Whether texts get the vectors now that they got then.
    """
    finding = Finding("denied", 1.0, None, "a reviewer rejected exactly these bytes")
    row = VersionRow(
        id=number,
        source=one.source,
        document=one.document,
        digest=one.digest,
        metadata=dict(one.metadata),
        metadata_digest=one.metadata_digest,
        policy_digest=one.policy_digest,
        recipe=plan.generation.recipe,
        subject=one.subject,
        subject_digest=one.subject_digest,
        manifest=one.manifest,
        outcome="reject",
        score=1.0,
        p_value=None,
        findings=[finding.as_dict()],
        hidden=[],
        chunks=0,
        commit=plan.commit,
    )
    plan.versions.append(row)
    case = plan.open_case(row)
    plan.closes.append((case, "rejected"))
    plan.tell(row, "denied")
    for word in words:
        plan.decide(case, word.said, word.reviewer, word.envelope)
    plan.deny_like(row, one.text_digest, _kept(plan.workspace, read, one, same_recipe))
    who = ", ".join(word.reviewer.principal for word in words)
    return plan.finish(KIND, who, one.source, manifest, decision=one.envelope)


def _kept(
    workspace: Workspace, read: Read, denial: DeniedDocument, same_recipe: bool
) -> list[bytes]:
    """Sketches, vectors and texts by which the like of a denied text is recognised.

    Sketches are made again from the texts: nothing in an export is believed that can be computed.
    Without texts the sketches are taken as they are, with empty texts and vectors of nothing.
    """
    if denial.texts is not None:
        body = decided.read_kept(read, denial.texts)
        texts = decided.texts_of(body)
        given = decided.read_kept(read, denial.vectors) if denial.vectors and same_recipe else b""
        sketches = sketch_rows([words(text) for text in texts])
        return [dump_array(sketches), dump_vectors(_vectors(workspace, given, texts)), body]
    sketches = _sketches(decided.read_kept(read, denial.sketches) if denial.sketches else b"")
    nothing = np.zeros((len(sketches), workspace.encoder.recipe.dimensions), dtype=np.float32)
    return [dump_array(sketches), dump_vectors(nothing), json.dumps([""] * len(sketches)).encode()]


def _sketches(data: bytes) -> NDArray[np.uint64]:
    """Sketches, uint64 (m, permutations); none where the bytes are not that."""
    try:
        sketches: NDArray[np.uint64] = load_array(data)
    except LedgerError:
        sketches = np.empty((0, 0), dtype=np.uint64)
    fits = sketches.ndim == 2 and sketches.shape[1] == PERMUTATIONS and sketches.dtype == np.uint64
    return sketches if fits else np.empty((0, PERMUTATIONS), dtype=np.uint64)


def _vectors(workspace: Workspace, data: bytes, texts: list[str]) -> Floats:
    """Vectors, float32 (m, d): those given where they can be the texts', else made again."""
    try:
        vectors = load_vectors(data)
    except LedgerError:
        return workspace.encoder.encode(texts)
    fits = vectors.shape == (len(texts), workspace.encoder.recipe.dimensions)
    unit = fits and bool(np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3))
    return vectors if unit else workspace.encoder.encode(texts)
