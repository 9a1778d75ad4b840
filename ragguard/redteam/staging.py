"""Stage an attack on the serving index as far as the checks, with nothing written.

Documents read from the index become what a simulator may attack; what it plants is parsed, split
and embedded as `ingest` does it. A vector that a simulator writes straight into the index takes the
place of the text's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import embed, take_apart
from ragguard.detect.view import PreparedDocument
from ragguard.errors import UsageError
from ragguard.model import Chunk, Document, Finding, Floats, Metadata
from ragguard.redteam.attacks import (
    Attack,
    HonestDocument,
    PoisonDocument,
    Question,
    Target,
    plant,
    registry,
)
from ragguard.redteam.attacks.questions import suggest
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace import Workspace

MARKED_UP = ("md", "html")
SPARE = 3  # questions derived for each campaign: simulators pass over what does not suit them


@dataclass(frozen=True)
class StagedPoison:
    """What a simulator planted, ready to be judged.

    Attributes:
        planted: As the simulator wrote it.
        prepared: The same document, parsed, split and embedded; `None` where that failed.
        findings: Why it could not be prepared.
    """

    planted: PoisonDocument
    prepared: PreparedDocument | None
    findings: tuple[Finding, ...] = ()


def chosen_attacks(names: Sequence[str]) -> dict[str, Attack]:
    """Simulators by name; all of them when none is named.

    Raises:
        UsageError: There is no simulator of that name.
    """
    known = registry()
    for name in names:
        if name not in known:
            raise UsageError(
                f"attack {name!r}: there is none", hint=f"There are {', '.join(known)}."
            )
    return {name: entry for name, entry in known.items() if not names or name in names}


def target_of(
    workspace: Workspace, documents: Sequence[PreparedDocument], campaigns: int, seed: int
) -> Target:
    """Return the indexed documents as a simulator sees them, and questions that they answer.

    Args:
        documents: Documents that stay indexed while the attack arrives.
        seed: Decides which questions.

    Raises:
        UsageError: No question can be derived from these documents.
    """
    passages = [
        HonestDocument(p.label, whole_text(p.chunks), p.vectors[0], p.document.metadata)
        for p in documents
    ]
    suggested = suggest(passages, np.random.default_rng([seed, len(passages)]), SPARE * campaigns)
    if not suggested:
        raise UsageError(
            "no question can be derived from the indexed documents",
            hint="Attacks need sentences, titles or headings to turn into questions.",
        )
    vectors = workspace.encoder.encode([text for text, _ in suggested])
    questions = [
        Question(f"q{number}", text, vector, relevant)
        for number, ((text, relevant), vector) in enumerate(zip(suggested, vectors, strict=True))
    ]
    return Target(passages, questions, workspace.encoder)


def whole_text(chunks: Sequence[Chunk]) -> str:
    """Return the text of a document, put together from its chunks, what they share written once."""
    text, end = "", 0
    for chunk in sorted(chunks, key=lambda c: (c.start, c.end)):
        if chunk.start > end and text:
            text += "\n"
        text += chunk.text[max(0, end - chunk.start) :] if text else chunk.text
        end = max(end, chunk.end)
    return text


def stage(
    workspace: Workspace,
    attack: Attack,
    target: Target,
    seed: int,
    campaigns: int,
    changes: Mapping[str, Any] | None = None,
) -> list[StagedPoison]:
    """Run a simulator and prepare what it planted.

    Args:
        target: What it attacks.
        seed: The same seed plants the same documents.
        campaigns: Campaigns wanted; fewer come back where the target offers fewer.
        changes: Parameters other than its defaults.
    """
    params = replace(attack.params(), **(changes or {}))
    planted = plant(attack, target, seed, campaigns, params)
    sources = {p.id: p.id.partition("/")[0] for p in target.passages}
    usual = Counter(sources.values()).most_common(1)[0][0]
    items = [_incoming(attack.name, p, sources.get(p.original, usual)) for p in planted]
    parts, unreadable = take_apart(workspace, items)
    embedded = embed(workspace, items, parts, {}, keep=False, progress=lambda done, total: None)
    staged = []
    for number, document in enumerate(planted):
        if number not in embedded:
            staged.append(StagedPoison(document, None, (unreadable[number],)))
            continue
        prepared = embedded[number].prepared
        if document.vector is not None:
            rows: Floats = np.repeat(document.vector[None, :], len(prepared.chunks), axis=0)
            prepared = replace(prepared, vectors=rows.astype(np.float32))
        staged.append(StagedPoison(document, prepared))
    return staged


def _incoming(attack: str, planted: PoisonDocument, source: str) -> IncomingDocument:
    """Return a planted document as if a manifest of that source had listed it."""
    name = f"{attack}/{planted.id}.{planted.format}"
    # Two equal texts are two documents: a flood repeats itself.
    body = planted.text.encode("utf-8", "replace")
    metadata: Metadata = {k: v for k, v in planted.metadata.items() if k != "source"}
    document = Document(source, name, digest_bytes(body), metadata, name, digest_bytes(body))
    if planted.format in MARKED_UP:
        return IncomingDocument(document, planted.format, data=body)
    return IncomingDocument(document, "txt", text=planted.text)
