"""Derive served chunks again from the vault's signed bytes: does what serves say what was signed?

Seals, ledger and log tell that a point is the one that was planned; here is asked whether the plan
was honest. A document's bytes are taken by the digest that its manifest signs, parsed and split as
they were when it came in, and each chunk is held against the served point: text, span, place and
metadata, then the vector. A sample, another one each night, or everything.

What cannot be made again says so: where the index was built by another parser, nothing is compared;
where only the splitting differs, texts are compared at the spans they have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ragguard.audit.findings import AuditFinding, FindingFold
from ragguard.audit.reembedding import BLOCK, tonight
from ragguard.corpus import drawn_by
from ragguard.corpus.clean_set import read_back
from ragguard.corpus.documents import IncomingDocument, documents_of
from ragguard.corpus.embed import take_apart
from ragguard.corpus.provenance import Signatures
from ragguard.corpus.reuse_vectors import cut_again
from ragguard.errors import RagguardError
from ragguard.ledger import commits, versions
from ragguard.ledger.commits import Generation
from ragguard.ledger.versions import PointRow, VersionRow
from ragguard.model import Chunk, Metadata, Policy, Progress
from ragguard.store import Point
from ragguard.trust.canonical import digest, digest_bytes
from ragguard.workspace import Workspace

SENTENCES = {
    "text-not-of-document": "passages do not say what the signed bytes of their documents say",
    "vector-not-of-text": "vectors are not the embeddings of their texts",
    "vault-damaged": "documents cannot be read again from the vault as they were signed",
}
AT_ONCE = 64  # documents taken apart together
_ANY = Policy()  # the contract is asked about elsewhere


@dataclass(frozen=True)
class DerivationResult:
    """What making chunks again came to.

    Attributes:
        documents: Documents looked at.
        of: Documents that serve.
        less: What could not be compared; empty when all was.
    """

    findings: Sequence[AuditFinding]
    documents: int
    of: int
    less: str = ""


def check_derivation(
    workspace: Workspace,
    sample: int | None,
    *,
    vectors: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> DerivationResult:
    """Make served chunks again and compare.

    Args:
        sample: Documents to look at; `None` for all.
        vectors: Embed the texts too.

    Raises:
        RecipeMismatchError, ModelDigestError: The model is not the one the index was built with.
    """
    generation = workspace.generation()
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
        built = commits.recipe_body(conn, generation.recipe) if generation else {}
    if generation is None or not serving or sample == 0:
        return DerivationResult([], 0, len(serving))
    workspace.check_recipe(workspace.encoder.recipe, cut=False)
    mine = workspace.encoder.recipe
    if built.get("parser") != mine.parser:
        less = f"the index was built by {built.get('parser')}, this is {mine.parser}: rebuild it"
        return DerivationResult([], 0, len(serving), less)
    rows = sorted(serving.values(), key=lambda row: (row.manifest, row.id))
    chosen = rows
    if sample is not None and sample < len(rows):
        drawn = tonight(workspace).choice(len(rows), size=sample, replace=False)
        chosen = [rows[i] for i in sorted(drawn.tolist())]
    look = _Look(workspace, generation, cut=built.get("splitter") == mine.splitter, vectors=vectors)
    done = 0
    for name, group in groupby(chosen, key=lambda row: row.manifest):
        listed = list(group)
        for start in range(0, len(listed), AT_ONCE):
            look.take(name, listed[start : start + AT_ONCE])
            done += len(listed[start : start + AT_ONCE])
            progress("derivation", done, len(chosen))
    less = "" if look.cut else "the index was split otherwise than now: texts at their spans only"
    findings = look.fold.findings()
    if findings and (other := drawn_by.difference(workspace)):
        less = "; ".join(
            filter(None, (less, f"{other}: a page among the findings may be cut otherwise"))
        )
    return DerivationResult(findings, done, len(rows), less)


class _Look:
    """Compares documents, those of one manifest together."""

    def __init__(
        self, workspace: Workspace, generation: Generation, *, cut: bool, vectors: bool
    ) -> None:
        self._workspace = workspace
        self._generation = generation
        self._signatures = Signatures(workspace)
        self._vectors = vectors
        self.cut = cut
        self.fold = FindingFold(SENTENCES)

    def take(self, manifest: str, rows: Sequence[VersionRow]) -> None:
        """Serving versions that stand on one manifest."""
        items = self._signed(manifest, rows)
        numbers = list(items)
        with self._workspace.ledger.reading() as conn:
            places = versions.points_of(conn, numbers)
        chunks = self._chunks({row.id: row for row in rows}, items, places)
        store = self._workspace.open_store(repair=False)
        wanted = [p.point for n in numbers for p in places[n]]
        served: dict[str, Point] = {}
        for start in range(0, len(wanted), BLOCK):
            ids = wanted[start : start + BLOCK]
            served |= {p.id: p for p in store.get(self._generation.serving, ids, vectors=True)}
        same: list[tuple[VersionRow, Point]] = []
        for row in rows:
            if row.id in chunks:
                same += self._compare(row, chunks[row.id], places[row.id], served)
        if self._vectors:
            self._embed(same)

    def _chunks(
        self,
        rows: Mapping[int, VersionRow],
        items: Mapping[int, IncomingDocument],
        places: Mapping[int, Sequence[PointRow]],
    ) -> dict[int, Sequence[Chunk]]:
        """List chunks of documents, by version."""
        numbers = list(items)
        if not self.cut:
            recut = cut_again(self._workspace, items, places)
            for number in (n for n in numbers if n not in recut):
                self._say(rows[number], "its text is another at the spans of its passages")
            return {n: chunks for n, (_, chunks) in recut.items()}
        parts, unreadable = take_apart(self._workspace, [items[n] for n in numbers])
        for place, finding in unreadable.items():
            self._say(rows[numbers[place]], f"its bytes cannot be read ({finding.detail})")
        return {numbers[place]: part.chunks for place, part in parts.items()}

    def _signed(self, manifest: str, rows: Sequence[VersionRow]) -> dict[int, IncomingDocument]:
        """Documents out of the bytes that the manifest signs, with the metadata that follow."""
        standing = self._signatures.examine(manifest)
        if standing.manifest is None:  # adopted, or named by the part that looks at provenance
            items, left = read_back(self._workspace, rows if standing.adopted is not None else [])
            for omitted in left:
                self._lost(omitted.version, omitted.findings[0].detail)
            return items
        subjects = {s.name: s for s in standing.manifest.subjects}
        files: dict[str, list[VersionRow]] = defaultdict(list)
        for row in rows:
            files[row.subject].append(row)
        documents: dict[int, IncomingDocument] = {}
        for name, group in files.items():
            if name not in subjects:
                for row in group:
                    self._say(row, "its manifest signs no such file")
                continue
            try:
                data = self._workspace.vault.get(subjects[name].digest)
                there = {
                    i.document.id: i
                    for i in documents_of(standing.manifest.source, subjects[name], data, _ANY)
                }
            except RagguardError as error:
                for row in group:
                    self._lost(row, error.message)
                continue
            for row in group:
                item = there.get(row.document)
                if item is None or item.document.digest != row.digest:
                    self._say(row, "the signed file does not hold it")
                elif wrong := _metadata(row, item, subjects[name].metadata):
                    self._say(row, wrong)
                else:
                    documents[row.id] = item
        return documents

    def _compare(
        self,
        row: VersionRow,
        chunks: Sequence[Chunk],
        listed: Sequence[PointRow],
        served: Mapping[str, Point],
    ) -> Iterator[tuple[VersionRow, Point]]:
        """Points of a document whose text is the derived one; what is wrong is written down."""
        if len(chunks) != len(listed):
            self._say(
                row, f"its bytes make {len(chunks)} passages, {len(listed)} are in the ledger"
            )
            return
        shown = dict(row.metadata)
        shown.setdefault("source", row.label)
        for ordinal, (chunk, place) in enumerate(zip(chunks, listed, strict=True)):
            point = served.get(place.point)
            if point is None:
                continue  # named by the part that looks at the index
            own = point.payload.get("ragguard")
            own = own if isinstance(own, Mapping) else {}
            expected = {
                "text": (
                    (point.payload.get("page_content"), place.text_digest),
                    (chunk.text, digest_bytes(chunk.text.encode())),
                ),
                "metadata": (point.payload.get("metadata"), shown),
                "document": (own.get("document"), row.document),
                "source": (own.get("source"), row.source),
                "digest": (own.get("digest"), row.digest),
                "place": (own.get("ordinal"), ordinal),
                "span": (
                    [own.get("start"), own.get("end"), place.start, place.end],
                    [chunk.start, chunk.end] * 2,
                ),
            }
            wrong = [name for name, (is_, should) in expected.items() if is_ != should]
            if wrong:
                self._say(
                    row,
                    f"passage {ordinal} serves with another {', '.join(wrong)} than its signed "
                    "bytes have",
                    point.id,
                )
            else:
                yield row, point

    def _embed(self, same: Sequence[tuple[VersionRow, Point]]) -> None:
        dimensions = self._workspace.encoder.recipe.dimensions
        good = [(r, p) for r, p in same if p.vector.shape == (dimensions,)]
        for start in range(0, len(good), BLOCK):
            block = good[start : start + BLOCK]
            texts = [str(p.payload["page_content"]) for _, p in block]
            fresh = self._workspace.encoder.encode(texts)
            stored = np.stack([p.vector for _, p in block]).astype(np.float64)
            apart = np.linalg.norm(stored - fresh, axis=1)
            most = self._workspace.encoder.tolerance
            for place in np.flatnonzero(~(apart <= most)).tolist():
                row, point = block[place]
                self.fold.add(
                    AuditFinding(
                        "vector-not-of-text",
                        f"{row.source}/{row.document}: a vector is not the embedding of its text",
                        row.label,
                        point.id,
                        self._generation.serving,
                        facts={"apart": float(apart[place])},
                    )
                )

    def _say(self, row: VersionRow, problem: str, point: str = "") -> None:
        label = row.label
        self.fold.add(
            AuditFinding(
                "text-not-of-document",
                f"{label}: {problem}",
                label,
                point,
                self._generation.serving,
            )
        )

    def _lost(self, row: VersionRow, problem: str) -> None:
        label = row.label
        self.fold.add(AuditFinding("vault-damaged", f"{label}: {problem}", label))


def _metadata(row: VersionRow, item: IncomingDocument, signed: Metadata) -> str:
    """Tell what is wrong with a document's metadata; empty when they follow from what was signed.

    Versions before front matter was read have the manifest's alone.
    """
    if digest(dict(row.metadata)) != row.metadata_digest:
        return "its metadata is not the one of its digest"
    if dict(row.metadata) in (dict(item.document.metadata), dict(signed)):
        return ""
    return "its metadata does not follow from what was signed"
