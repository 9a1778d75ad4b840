"""The handbook as simulators see it: its documents, its canary questions, the real encoder."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from ragguard.embed import encoder
from ragguard.parse.document import parse
from ragguard.redteam.attacks import (
    HonestDocument,
    PoisonDocument,
    Question,
    Target,
    plant,
    registry,
)
from tests.support.workspaces.handbook import CORPORA


@cache
def handbook(count: int = 60) -> Target:
    """Openings of the handbook's documents and the questions they answer."""
    model = encoder.open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1200, overlap=150)
    folder = CORPORA / "handbook"
    metadata = json.loads((folder / "metadata.json").read_text())
    names = sorted(metadata)
    texts = [
        opening(parse((folder / "v1" / n).read_bytes(), n.rpartition(".")[2]).text) for n in names
    ]
    lines = (folder / "canaries/queries.jsonl").read_text().splitlines()
    queries = [json.loads(line) for line in lines][:count]
    relevant: dict[str, list[str]] = {}
    for line in (folder / "canaries/qrels.trec").read_text().splitlines():
        query, _, document, _ = line.split()
        relevant.setdefault(query, []).append(document)
    vectors = model.encode(texts + [q["text"] for q in queries])
    passages = [
        HonestDocument(n, t, v, metadata[n]) for n, t, v in zip(names, texts, vectors, strict=False)
    ]
    questions = [
        Question(q["id"], q["text"], v, tuple(relevant.get(q["id"], ())))
        for q, v in zip(queries, vectors[len(texts) :], strict=True)
    ]
    return Target(passages, questions, model)


def opening(text: str) -> str:
    """About a chunk's worth of a text, whole paragraphs."""
    kept = ""
    for paragraph in re.split(r"\n\s*\n", text):
        if kept and len(kept) + len(paragraph) > 1200:
            break
        kept += ("\n\n" if kept else "") + paragraph
    return kept[:1600]


def run(name: str, campaigns: int = 3, seed: int = 1, **params: Any) -> list[PoisonDocument]:
    """Documents of a simulator, planted in the handbook."""
    entry = registry()[name]
    return plant(entry, handbook(), seed, campaigns, entry.params(**params))
