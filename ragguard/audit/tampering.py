"""Tell how a point was tampered with whose seal does not hold, by the name of the kind.

Only suspects come here, so that the ledger is asked about them and the vault opened for some. What
a point should be is taken from the ledger's rows, never from the index:

- its seal is ours but not the current one: an older state put back, or one of another collection;
- its payload differs from the ledger's: payload changed;
- its payload is the ledger's and the seal still fails: the vector was changed;
- its id was never ours: a copy of one of our points, or another hand's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragguard.audit.findings import AuditFinding
from ragguard.audit.index.seal_table import SealTable
from ragguard.detect.view import own
from ragguard.errors import RagguardError
from ragguard.ledger import audit_queries, commits, versions
from ragguard.ledger.audit_queries import PlaceRow
from ragguard.ledger.commits import Generation
from ragguard.ledger.seals import point_id, seal
from ragguard.ledger.writer import load_vectors
from ragguard.model import Floats
from ragguard.store import NORM_TOLERANCE, Point
from ragguard.trust.canonical import canonical, digest_text
from ragguard.workspace import Workspace

LOOKS = 200  # vectors fetched from the vault; a wrecked index must not take all night
PACKS = 4  # of them kept in memory, 6 MiB each
CUT = 200  # characters shown of a value
COPY = 1e-6  # distance from similarity 1 up to which a vector is a copy; engines normalise again


@dataclass(frozen=True)
class Suspect:
    """A point whose seal does not hold.

    Attributes:
        point: As the index has it.
        row: Its row in its zone's table of seals, -1 when its id does not belong there.
        made: Seal over what it is now, in its collection; empty when it cannot be sealed.
        current: Whether `made` is the ledger's current seal.
    """

    point: Point
    row: int
    made: str
    current: bool

    @property
    def claimed(self) -> str:
        """The seal it carries."""
        return str(own(self.point).get("seal", ""))


class Diagnosis:
    """Names what happened to suspects."""

    def __init__(
        self, workspace: Workspace, generation: Generation, tables: Mapping[str, SealTable]
    ) -> None:
        self._workspace = workspace
        self._generation = generation
        self._tables = tables
        with workspace.ledger.reading() as conn:
            known = audit_queries.all_generations(conn)
            recipe = commits.recipe_body(conn, generation.recipe)
        self._dimensions = int(recipe.get("dimensions", 0))
        self._collections = [c for g in known for c in (g.serving, g.quarantine)]
        self._looks = LOOKS
        self._packs: OrderedDict[str, Floats] = OrderedDict()

    def explain(
        self, zone: str, collection: str, suspects: Sequence[Suspect]
    ) -> Iterator[AuditFinding]:
        """Yield findings on suspects of one collection; at least one for each of them."""
        with self._workspace.ledger.reading() as conn:
            places = audit_queries.places(conn, [s.point.id for s in suspects])
            texts = {r.text_digest for rows in places.values() for r in rows}
            texts |= {digest for s in suspects if s.row < 0 and (digest := _text_digest(s.point))}
            vectors = versions.known_vectors(
                conn, self._generation.recipe, sorted(texts), self._workspace.seal_key
            )
        for suspect in suspects:
            rows = places.get(suspect.point.id, [])
            if suspect.row >= 0:
                here = next((r for r in rows if r.zone == zone), None)
                accusations = self._known(collection, suspect, here, vectors)
            else:
                accusations = self._strange(collection, suspect, rows, vectors)
            for rule, detail, document, facts in accusations:
                yield AuditFinding(
                    rule, detail, document, suspect.point.id, collection, facts=facts
                )

    # --- ids that belong there --------------------------------------------------------------------

    def _known(
        self, collection: str, suspect: Suspect, row: PlaceRow | None, vectors: _Places
    ) -> Iterator[_Said]:
        if row is None:
            yield "ledger-inconsistent", "a seal in the ledger is of no document's point", "", {}
            return
        label = row.label
        changes = differences(suspect.point.payload, row)
        if other := self._elsewhere(suspect, collection):
            detail = f"{label}: the point stands here as it was sealed for {other!r}"
            yield "point-moved", detail, label, {"of": other}
            return
        if suspect.current:
            changes = {"ragguard.seal": [suspect.made, _shown(suspect.claimed)]}
            yield "payload-changed", _sentence(label, changes), label, {"changes": changes}
            return
        if suspect.made and suspect.claimed == suspect.made:
            if changes:
                detail = f"{label}: an older state of the point was put back"
                yield "point-replayed", detail, label, {"changes": changes}
            else:
                detail = f"{label}: the ledger's seal is not the one of the point it describes"
                yield "ledger-inconsistent", detail, label, {}
            return
        if changes:
            yield "payload-changed", _sentence(label, changes), label, {"changes": changes}
        if wrong := invalid_vector(suspect.point.vector, self._dimensions):
            yield "vector-invalid", f"{label}: its vector {wrong}", label, {"vector": wrong}
            return
        place = vectors.get(row.text_digest)
        written = self._vector(*place) if place else None
        if written is None:
            if not changes:
                yield "vector-changed", f"{label}: its vector is not the one written", label, {}
            return
        moved = float(np.linalg.norm(suspect.point.vector.astype(np.float64) - written))
        if suspect.point.vector.tobytes() != written.tobytes():
            detail = f"{label}: its vector was moved by {moved:.3g}"
            yield "vector-changed", detail, label, {"moved_by": moved}
        elif not changes:
            detail = f"{label}: the point is as it was written, the ledger's seal is not its own"
            yield "ledger-inconsistent", detail, label, {}

    # --- ids that do not --------------------------------------------------------------------------

    def _strange(
        self,
        collection: str,
        suspect: Suspect,
        rows: Sequence[PlaceRow],
        vectors: _Places,
    ) -> Iterator[_Said]:
        point = suspect.point
        if wrong := invalid_vector(point.vector, self._dimensions):
            yield "vector-invalid", f"point {point.id}: its vector {wrong}", "", {"vector": wrong}
        label = rows[0].label if rows else ""
        if other := self._elsewhere(suspect, collection):
            detail = f"{label or point.id}: a point of {other!r} stands here"
            yield "point-moved", detail, label, {"of": other}
        elif rows and any(r.zone for r in rows):
            detail = f"{label}: a point of another collection stands here"
            yield "point-moved", detail, label, {"of": next(r.zone for r in rows if r.zone)}
        elif rows or (suspect.made and suspect.claimed == suspect.made):
            detail = f"{label or point.id}: the document was removed, its point is here"
            yield "point-orphaned", detail, label, {}
        elif original := self._original(point, vectors):
            detail = f"point {point.id}: a copy of {original} under another id"
            yield "point-copied", detail, "", {"copy_of": original}
        else:
            text = _shown(point.payload.get("page_content", ""))
            detail = f"point {point.id}: never written by ragguard: {text[:80]!r}"
            yield "foreign-point", detail, "", {"text": text, "keys": _keys(point.payload)}

    def _original(self, point: Point, vectors: _Places) -> str:
        """Tell what of ours a point is a copy of; empty when of nothing."""
        fields = own(point)
        try:
            named = point_id(*(fields[k] for k in _CHUNK))
        except (KeyError, ValueError, TypeError, RecursionError):
            named = ""
        if named and any(table.rows([named])[0] >= 0 for table in self._tables.values()):
            return named
        place = vectors.get(_text_digest(point))
        if place is None:
            return ""
        written = self._vector(*place)
        if written is not None:
            same = point.vector.shape == written.shape
            if not same or not float(point.vector @ written) >= 1 - COPY:
                return ""
        return f"the passage {_shown(point.payload['page_content'])[:60]!r}"

    # --- what it should be ------------------------------------------------------------------------

    def _elsewhere(self, suspect: Suspect, collection: str) -> str:
        """Another collection that the point's seal was made for."""
        point, claimed = suspect.point, suspect.claimed
        if not claimed or not suspect.made:
            return ""
        key = self._workspace.seal_key
        for other in self._collections:
            if other == collection:
                continue
            if seal(key, point.id, point.vector.tobytes(), point.payload, other) == claimed:
                return other
        return ""

    def _vector(self, pack: str, row: int) -> Floats | None:
        if pack not in self._packs:
            if self._looks <= 0:
                return None
            self._looks -= 1
            try:
                self._packs[pack] = load_vectors(self._workspace.vault.get(pack))
            except (RagguardError, ValueError):
                return None  # `check_vault` names it
            if len(self._packs) > PACKS:
                self._packs.popitem(last=False)
        self._packs.move_to_end(pack)
        vector: Floats = self._packs[pack][row]
        return vector


_Said = tuple[str, str, str, dict[str, Any]]  # rule, detail, document, facts
_Places = Mapping[str, tuple[str, int]]  # text digest to where the vault has its vector
_CHUNK = ("source", "document", "digest", "start", "end", "recipe")


def _text_digest(point: Point) -> str:
    """Return the digest of a point's text; empty when it has none."""
    text = point.payload.get("page_content")
    return digest_text(text) if isinstance(text, str) else ""


def invalid_vector(vector: Floats, dimensions: int) -> str:
    """Tell what makes a vector one that no search finds or that distorts it; empty when nothing."""
    if vector.shape != (dimensions,):
        return f"has the shape {vector.shape}, expected ({dimensions},)"
    if not np.isfinite(vector).all():
        return "holds NaN or infinity"
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if norm == 0:
        return "is zero"
    return f"has the length {norm:.4g}, expected 1" if abs(norm - 1) > NORM_TOLERANCE else ""


def differences(payload: Mapping[str, Any], row: PlaceRow) -> dict[str, list[str]]:
    """Tell where a payload is not what the ledger says it should be.

    Args:
        payload: As the index has it.
        row: Of `audit_queries.places`.

    Returns:
        By path: what it should be and what it is, shortened. The seal is left out.
    """
    metadata = dict(row.metadata)
    metadata.setdefault("source", row.label)
    fields = ("source", "document", "digest", "metadata_digest", "manifest", "recipe", "version")
    named = {k: getattr(row, k) for k in (*fields, "commit", "ordinal", "start", "end")}
    wanted = {
        "page_content": f"sha256 {row.text_digest}",
        **{f"metadata.{k}": v for k, v in metadata.items()},
        **{f"ragguard.{k}": v for k, v in named.items()},
    }
    actual: dict[str, Any] = {}
    for key, value in payload.items():
        if key in ("metadata", "ragguard") and isinstance(value, Mapping):
            actual.update({f"{key}.{k}": v for k, v in value.items()})
        elif key == "page_content" and isinstance(value, str):
            actual[key] = f"sha256 {digest_text(value)}"
        else:
            actual[key] = value
    actual.pop("ragguard.seal", None)
    return {
        path: [_shown(wanted.get(path, "")), _shown(actual.get(path, ""))]
        for path in sorted(wanted.keys() | actual.keys())
        if path not in wanted or path not in actual or not _alike(wanted[path], actual[path])
    }


def _alike(left: Any, right: Any) -> bool:
    if type(left) is type(right) and isinstance(left, str | int):
        return bool(left == right)
    return _spelled(left) == _spelled(right)


def _spelled(value: Any) -> bytes:
    """Return the bytes by which values are compared: in Python `True == 1`, in JSON it is not."""
    try:
        return canonical(value)
    except (ValueError, TypeError, RecursionError):
        return repr(value)[:10_000].encode("utf-8", "surrogatepass")


def _shown(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else canonical(value).decode()
    except (ValueError, TypeError, RecursionError):
        text = "something that has no canonical form"
    return text if len(text) <= CUT else text[:CUT] + "…"


def _keys(payload: Mapping[str, Any]) -> list[str]:
    return sorted(_shown(str(k)) for k in list(payload)[:20])


def _sentence(label: str, changes: Mapping[str, Sequence[str]]) -> str:
    path, (before, after) = next(iter(changes.items()))
    more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{label}: {path} was {before[:60]!r}, is {after[:60]!r}{more}"
