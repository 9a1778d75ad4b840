"""Simulate label flips: honest text that claims another department, access or class.

A passage of Legal that says it is public is read by people it was not written for; a training
label that is another class's teaches the wrong thing (Steinhardt et al., "Certified Defenses for
Data Poisoning Attacks", NeurIPS 2017, on label flips).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import HonestDocument, PoisonDocument, Target, attack
from ragguard.redteam.attacks.wording import reword

_WORTH_FLIPPING = ("access", "department", "label", "classification", "audience")
# More readers first: a flip widens access where it can.
_WIDEST = ("public", "open", "external", "internal", "restricted", "confidential", "secret")


@dataclass(frozen=True)
class Params:
    """Tunable values.

    Attributes:
        keys: Metadata keys that are flipped.
        light_edits: Share of the documents whose text is lightly reworded too; the others are
            copies.
    """

    keys: tuple[str, ...] = _WORTH_FLIPPING
    light_edits: float = 0.5


@attack("metadata_flip", family="metadata", params=Params)
def metadata_flip(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Resubmit a passage, copied or lightly edited, under other metadata (Legal as Public)."""
    values = _values(target.passages, params.keys)
    planted: list[PoisonDocument] = []
    for row in rng.permutation(len(target.passages)).tolist():
        if len(planted) == campaigns:
            break
        passage = target.passages[row]
        offered = [k for k in values if isinstance(passage.metadata.get(k), str)]
        offered = [k for k in offered if len(values[k]) > 1]
        if not offered:
            continue
        key = offered[int(rng.integers(len(offered)))]
        name = f"metadata_flip-{len(planted):04d}"
        text = passage.text
        if rng.random() < params.light_edits:
            text = reword(text, rng, 0.08)
        metadata = {**passage.metadata, key: _other(passage.metadata[key], values[key], rng)}
        planted.append(PoisonDocument(name, text, name, "", passage.id, metadata))
    return planted


@dataclass(frozen=True)
class LabelParams:
    """Tunable values.

    Attributes:
        keys: Metadata keys that hold a class; the first one the corpus has is flipped.
        near: Passages whose sentences are mixed into a text of the same class.
    """

    keys: tuple[str, ...] = ("label", "class", "category", "department")
    near: int = 3


@attack("label_flip", family="metadata", params=LabelParams)
def label_flip(
    target: Target, rng: np.random.Generator, campaigns: int, params: LabelParams
) -> list[PoisonDocument]:
    """Write text that stays near its class under another class's label."""
    values = _values(target.passages, params.keys)
    key = next((k for k in params.keys if len(values.get(k, ())) > 1), "")
    labelled = [p for p in target.passages if key and isinstance(p.metadata.get(key), str)]
    if not labelled:
        return []
    vectors = np.stack([p.vector for p in labelled])
    labels = np.asarray([p.metadata[key] for p in labelled])
    planted: list[PoisonDocument] = []
    for row in rng.permutation(len(labelled))[:campaigns].tolist():
        passage = labelled[row]
        similarities = np.where(labels == labels[row], vectors @ passage.vector, -2.0)
        nearest = np.argsort(-similarities, kind="stable")[: params.near]
        kin = [labelled[i] for i in nearest.tolist() if similarities[i] > -1.5]
        name = f"label_flip-{len(planted):04d}"
        text = _blend(kin, rng)
        metadata = {**passage.metadata, key: _other(passage.metadata[key], values[key], rng)}
        planted.append(PoisonDocument(name, text, name, "", passage.id, metadata))
    return planted


def _values(passages: Sequence[HonestDocument], keys: Sequence[str]) -> Mapping[str, list[str]]:
    """Values in use of each key that is in use, in alphabetical order."""
    in_use: dict[str, set[str]] = {}
    for passage in passages:
        for key in keys:
            value = passage.metadata.get(key)
            if isinstance(value, str):
                in_use.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in in_use.items()}


def _other(value: str, values: Sequence[str], rng: np.random.Generator) -> str:
    if value.lower() in _WIDEST:
        wider = _WIDEST[: _WIDEST.index(value.lower())]
        for candidate in values:
            if candidate.lower() in wider:
                return candidate
    others = [v for v in values if v != value]
    return others[int(rng.integers(len(others)))]


def _blend(kin: Sequence[HonestDocument], rng: np.random.Generator) -> str:
    """Return a text of its own out of the paragraphs of passages of one class."""
    paragraphs = [p.strip() for passage in kin for p in passage.text.split("\n\n") if p.strip()]
    if len(paragraphs) < 2 * len(kin):
        paragraphs = [s for passage in kin for s in passage.text.split(". ") if s]
    kept = sorted(rng.permutation(len(paragraphs))[: max(1, len(paragraphs) * 2 // 3)].tolist())
    return reword("\n\n".join(paragraphs[i] for i in kept), rng, 0.15)
