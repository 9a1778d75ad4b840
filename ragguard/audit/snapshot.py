"""Remember an audit for the next: counts, and a small sample of every source and label.

A sample is the documents whose keyed digests are smallest (bottom-k; Cohen, Kaplan, "Summarizing
data using bottom-k sketches", PODC 2007). Two audits therefore look at the same documents as far
as those are still there: what did not change cannot seem to. The key keeps whoever names documents
from naming them out of the sample. Vectors are kept in few dimensions, one for a document.

Stored as JSON. It holds no text, but labels, which whoever writes documents may choose.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragguard.errors import LedgerError, MalformedError, OversizedError
from ragguard.model import Bools, Doubles, Floats, Ints
from ragguard.stats.two_sample import project
from ragguard.trust import strict_json
from ragguard.trust.canonical import parse_time

FORMAT = "ragguard-snapshot-v1"
SAMPLE = 200  # documents kept of a group
SCORES = 500  # documents kept of a check
DIMENSIONS = 64  # of a kept vector
GROUPS = 100  # sources, and labels, that are looked at one by one, the largest first
LABELS = 100  # labels counted one by one in a group; the others are counted together
OTHERS = "(others)"
MAX_NAME = 200  # characters of a label that are kept
MAX_BYTES = 256_000_000
Digests = NDArray[np.uint64]


@dataclass(frozen=True)
class AuditedCorpus:
    """What a snapshot is taken of: n chunks of m documents.

    Attributes:
        vectors: float32 (n, d), unit length; may be a memory map.
        documents: int64 (n,), the document of each chunk, 0 to m - 1.
        names: (m,), `source/id`.
        sources: (m,).
        labels: Metadata field to (m,) values, empty where a document has none.
        scores: Check to float64 (n,) raw scores, higher is worse, NaN where it did not look.
        fresh: bool (m,), which documents came since the last audit; `None` where nobody knows.
    """

    vectors: Floats
    documents: Ints
    names: Sequence[str]
    sources: Sequence[str]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scores: Mapping[str, Doubles] = field(default_factory=dict)
    fresh: Bools | None = None


@dataclass(frozen=True)
class SampledGroup:
    """What is kept of the documents of a source, or of a label.

    Attributes:
        keys: uint64 (s,), ascending: the smallest digests of their names, at most `SAMPLE`.
        sample: float32 (s, p), the projected mean vectors of those documents.
        labels: Metadata field to counts of its values.
    """

    documents: int
    keys: Digests
    sample: Floats
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditSnapshot:
    """What one audit remembers.

    Attributes:
        at: The audit's time, as text.
        space: What made the vectors, such as a recipe digest: others are not compared.
        points: In the index.
        documents: In the index.
        groups: `source wiki` or `label department=legal` to its group.
        fresh: The same for the documents that came since the audit before; empty where unknown.
        arrived: Source to the number of documents that came since the audit before.
        scores: Check to float64 (s,), the worst scores of at most `SCORES` documents each.
        measures: Shares and other figures to be followed over time, such as those of `health`.
        shifts: Group to the effect size of its shift at this audit; filled in by `drift.compare`.
    """

    at: str
    space: str
    points: int
    documents: int
    groups: Mapping[str, SampledGroup] = field(default_factory=dict)
    fresh: Mapping[str, SampledGroup] = field(default_factory=dict)
    arrived: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, Doubles] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)


def snapshot(
    corpus: AuditedCorpus,
    *,
    at: str,
    key: bytes,
    space: str,
    measures: Mapping[str, float] | None = None,
) -> AuditSnapshot:
    """Take a snapshot.

    Args:
        corpus: What the audit looked at.
        at: The audit's time.
        key: 1 to 64 bytes, the same at every audit and unknown to whoever names documents.
        space: What made the vectors.
        measures: Figures to be followed.
    """
    order = _digests(corpus.names, key)
    groups = _groups(corpus, np.ones(len(corpus.names), dtype=np.bool_), order)
    fresh: Mapping[str, SampledGroup] = {}
    arrived: Mapping[str, int] = {}
    if corpus.fresh is not None:
        fresh = _groups(corpus, corpus.fresh, order, frozenset(groups))
        arrived = Counter(corpus.sources[i] for i in np.flatnonzero(corpus.fresh).tolist())
    return AuditSnapshot(
        at=at,
        space=space,
        points=len(corpus.documents),
        documents=len(corpus.names),
        groups=groups,
        fresh=fresh,
        arrived=dict(arrived),
        scores={
            check: _worst(corpus.documents, scores, order)
            for check, scores in sorted(corpus.scores.items())
        },
        measures=dict(measures or {}),
    )


def _digests(names: Sequence[str], key: bytes) -> Digests:
    """Keyed digest of each name, uint64 (m,)."""
    digests = (
        hashlib.blake2b(
            name.encode("utf-8", "surrogatepass"), digest_size=8, key=key, person=b"ragguard-drift"
        ).digest()
        for name in names
    )
    return np.frombuffer(b"".join(digests), dtype="<u8")


def _groups(
    corpus: AuditedCorpus, chosen: Bools, order: Digests, wanted: frozenset[str] | None = None
) -> dict[str, SampledGroup]:
    """List groups of the chosen documents: the largest, or those wanted."""
    members = np.flatnonzero(chosen)
    named: dict[str, list[int]] = {}
    fields = [("source ", corpus.sources), *((f"label {f}=", v) for f, v in corpus.labels.items())]
    for prefix, values in fields:
        groups: dict[str, list[int]] = {}
        for i in members.tolist():
            if values[i]:
                groups.setdefault(prefix + _clean(values[i]), []).append(i)
        if wanted is None:
            largest = sorted(groups, key=lambda name: (-len(groups[name]), name))[:GROUPS]
        else:
            largest = [name for name in sorted(groups) if name in wanted]
        named.update((name, groups[name]) for name in largest)
    rows = {name: np.array(i, dtype=np.int64) for name, i in named.items()}
    picked = {name: i[np.argsort(order[i], kind="stable")[:SAMPLE]] for name, i in rows.items()}
    means = _means(corpus, picked.values())
    return {
        name: SampledGroup(
            len(i),
            order[picked[name]],
            means[1][np.searchsorted(means[0], picked[name])],
            _count(corpus.labels, i) if name.startswith("source ") else {},
        )
        for name, i in rows.items()
    }


def _clean(label: str) -> str:
    """Return a label that can be stored: bounded, and valid UTF-8."""
    return label[:MAX_NAME].encode("utf-8", "replace").decode()


def _means(corpus: AuditedCorpus, picked: Any) -> tuple[Ints, Floats]:
    """List documents that were picked, ascending, and the projected mean of the vectors of each."""
    documents = np.unique(np.concatenate([*picked, np.array([], dtype=np.int64)]))
    rows = np.flatnonzero(np.isin(corpus.documents, documents))
    place = np.searchsorted(documents, corpus.documents[rows])
    width = corpus.vectors.shape[1]
    sums = np.zeros((len(documents), width))
    taken = np.asarray(corpus.vectors[rows], dtype=np.float64)
    # A point that is not finite is the integrity part's to report; it must not break tomorrow's.
    taken[~np.isfinite(taken).all(axis=1)] = 0.0
    np.add.at(sums, place, taken)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    unit = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
    return documents, project(unit.astype(np.float32), DIMENSIONS).astype(np.float16).astype(
        np.float32
    )


def _count(labels: Mapping[str, Sequence[str]], members: Ints) -> dict[str, dict[str, int]]:
    by_label: dict[str, dict[str, int]] = {}
    for name, values in sorted(labels.items()):
        counts = Counter(_clean(values[i]) for i in members.tolist() if values[i])
        largest = sorted(counts, key=lambda value: (-counts[value], value))
        if kept := {value: counts[value] for value in largest[:LABELS]}:
            if len(largest) > LABELS:
                kept[OTHERS] = sum(counts[value] for value in largest[LABELS:])
            by_label[name] = kept
    return by_label


def _worst(documents: Ints, scores: Doubles, order: Digests) -> Doubles:
    """Return the worst score of each sampled document, float64 (s,), by digest."""
    worst = np.full(len(order), -np.inf)
    there = np.isfinite(scores)
    np.maximum.at(worst, documents[there], scores[there])
    looked = np.flatnonzero(np.isfinite(worst))
    picked = looked[np.argsort(order[looked], kind="stable")[:SCORES]]
    sampled: Doubles = worst[picked].astype(np.float32).astype(np.float64)
    return sampled


# --- stored ---------------------------------------------------------------------------------------


def dump_snapshot(taken: AuditSnapshot) -> bytes:
    """Return a snapshot as JSON bytes."""
    plain = replace(taken, groups={}, fresh={}, scores={})
    body = {
        **asdict(plain),
        "format": FORMAT,
        "groups": {name: _dump_group(group) for name, group in taken.groups.items()},
        "fresh": {name: _dump_group(group) for name, group in taken.fresh.items()},
        "scores": {check: _dump_array(s, "<f4") for check, s in taken.scores.items()},
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _dump_group(group: SampledGroup) -> dict[str, Any]:
    return {
        "documents": group.documents,
        "width": int(group.sample.shape[1]),
        "keys": _dump_array(group.keys, "<u8"),
        "sample": _dump_array(group.sample, "<f2"),
        "labels": {name: dict(counts) for name, counts in group.labels.items()},
    }


def _dump_array(array: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode()


def load_snapshot(data: bytes) -> AuditSnapshot:
    """Read what `dump_snapshot` wrote.

    Raises:
        LedgerError: Anything else.
    """
    try:
        body = strict_json.parse(data, what="snapshot", max_bytes=MAX_BYTES, max_depth=8)
        if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
            raise ValueError("of another format")
        if body.keys() != AuditSnapshot.__dataclass_fields__.keys():
            raise ValueError("its fields are not as documented")
        parse_time(body["at"])
        return AuditSnapshot(
            at=body["at"],
            space=_text(body["space"]),
            points=_whole(body["points"]),
            documents=_whole(body["documents"]),
            groups={name: _load_group(group) for name, group in body["groups"].items()},
            fresh={name: _load_group(group) for name, group in body["fresh"].items()},
            arrived={name: _whole(count) for name, count in body["arrived"].items()},
            scores={
                check: _load_array(text, "<f4").astype(np.float64)
                for check, text in body["scores"].items()
            },
            measures={name: _number(value) for name, value in body["measures"].items()},
            shifts={name: _number(value) for name, value in body["shifts"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, MalformedError, OversizedError) as e:
        raise LedgerError(
            f"snapshot of an audit: not one that this ragguard reads ({e})",
            hint="Let the next audit begin a new history, or see docs/upgrading.md.",
        ) from None


def _load_group(body: Mapping[str, Any]) -> SampledGroup:
    if body.keys() != {"documents", "width", "keys", "sample", "labels"}:
        raise ValueError("a group's fields are not as documented")
    width = _whole(body["width"])
    sample = _load_array(body["sample"], "<f2").astype(np.float32)
    keys = _load_array(body["keys"], "<u8")
    if not 1 <= width <= DIMENSIONS or len(keys) > SAMPLE or len(sample) != len(keys) * width:
        raise ValueError(f"a sample of {len(sample)} numbers for {len(keys)} rows of {width}")
    if (keys[1:] < keys[:-1]).any():
        raise ValueError("keys that do not ascend")
    labels = {
        name: {value: _whole(count) for value, count in counts.items()}
        for name, counts in body["labels"].items()
    }
    return SampledGroup(_whole(body["documents"]), keys, sample.reshape(-1, width), labels)


def _load_array(text: str, kind: str) -> NDArray[Any]:
    array = np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
    if not np.isfinite(array).all():
        raise ValueError("a number that is not finite")
    return array


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]!r} is not a text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is not a count")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    return float(value)
