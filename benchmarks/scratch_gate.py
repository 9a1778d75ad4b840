"""A gate in memory, and honest text to put before it: for measuring scripts, not for use.

The text is what this machine has anyway: the shipped handbook and the documentation of installed
packages, read as files; nothing of them is imported.
"""

from __future__ import annotations

import ast
import json
import random
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from ragguard.detect import lexicon as lexicons
from ragguard.detect import reference, scoring
from ragguard.detect.view import PreparedDocument, Surroundings, build_view
from ragguard.embed.encoder import open_encoder
from ragguard.ingest.sign import read_metadata
from ragguard.model import Chunk, Document, Floats, Metadata, Policy, Verdict
from ragguard.parse.document import parse
from ragguard.store import Point
from ragguard.store.memory import MemoryStore
from ragguard.trust.canonical import digest_bytes

HERE = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REHEARSED = 1000
SHARE = 150
SOURCE = "wiki"


@dataclass(frozen=True)
class Text:
    """A passage, one chunk.

    Attributes:
        id: Of its document, and behind a `#` its number where the document has several.
        vector: float32 (d,), unit length; empty until it is embedded.
    """

    id: str
    text: str
    metadata: Metadata
    vector: Floats


NO_VECTOR = np.empty(0, dtype=np.float32)


class Gate:
    """An index in memory and what stands before it."""

    def __init__(self, indexed: Sequence[Text], seed: int) -> None:
        self.store = MemoryStore()
        self.indexed = prepare(indexed)
        dimensions = len(indexed[0].vector)
        for name in ("serving", "quarantine"):
            self.store.create(name, dimensions)
        points = [
            Point(
                str(uuid5(NAMESPACE_URL, f"{p.label}#{i}")),
                p.vectors[i],
                {
                    "page_content": chunk.text,
                    "metadata": dict(p.document.metadata),
                    "ragguard": {"source": SOURCE, "document": p.document.id},
                },
            )
            for p in self.indexed
            for i, chunk in enumerate(p.chunks)
        ]
        self.store.upsert("serving", points)
        words = lexicons.count([t.text for t in indexed], len(self.indexed))
        self.around = Surroundings(
            self.store, "serving", lexicons.with_closeness(words, points), [], NOW
        )
        self.checks = scoring.active_checks({})
        self.seed = seed

    def profile(self, arriving: int) -> scoring.Profile:
        """Rehearse indexed documents, in batches about as large as the one that arrives."""
        held = reference.rounds(arriving, len(self.indexed))
        order = np.random.default_rng(self.seed).permutation(len(self.indexed))
        order = order[: held.documents(REHEARSED)]
        chosen = [self.indexed[i] for i in order]
        return reference.rehearse(chosen, self.around, self.checks, held, "corpus")

    def judge(
        self, arriving: Sequence[Text], rate: float
    ) -> tuple[list[Verdict], dict[str, np.ndarray], dict[str, float], scoring.Profile]:
        """Verdicts, worst raw scores a document, milliseconds a chunk by check, and the profile."""
        batch = prepare(arriving)
        profile = self.profile(len(batch))
        view = build_view(batch, self.around)
        spent: dict[str, float] = {}
        for name, (check, params) in self.checks.items():
            started = time.process_time()
            scoring.measure(view, {name: (check, params)})
            spent[name] = 1000.0 * (time.process_time() - started) / view.n
        measured = scoring.measure(view, self.checks)
        starts = np.flatnonzero(np.diff(view.documents[: view.n], prepend=-1))
        scores = {n: np.maximum.reduceat(s.scores, starts) for n, s in measured.signals.items()}
        policies = {SOURCE: Policy()}
        verdicts = scoring.judge(batch, view, measured, profile, self.checks, policies, rate)
        return verdicts, scores, spent, profile


def prepare(texts: Sequence[Text]) -> list[PreparedDocument]:
    """Documents ready to be judged, in the order of their first passages."""
    grouped: dict[str, list[Text]] = {}
    for text in texts:
        grouped.setdefault(text.id.partition("#")[0], []).append(text)
    made = []
    for name, parts in grouped.items():
        whole = "\n".join(t.text for t in parts)
        code = digest_bytes(whole.encode())
        document = Document(SOURCE, name, code, parts[0].metadata, name, code)
        chunks = tuple(Chunk(0, len(t.text), t.text) for t in parts)
        made.append(
            PreparedDocument(document, whole, (), chunks, np.stack([t.vector for t in parts]))
        )
    return made


# --- honest text ----------------------------------------------------------------------------------


def passages(text: str, words: int = 120) -> Iterator[str]:
    """Paragraphs of a text, long ones cut, short ones left out."""
    for paragraph in text.split("\n\n"):
        parts = paragraph.split()
        for start in range(0, len(parts), words):
            if len(piece := parts[start : start + words]) >= 20:
                yield " ".join(piece)


def handbook() -> list[Text]:
    """The shipped handbook's first edition in passages, with its metadata."""
    root = HERE / "corpora/handbook"
    metadata = read_metadata(root / "metadata.json")
    found = []
    for name in sorted(metadata):
        text = parse((root / "v1" / name).read_bytes(), name.rpartition(".")[2]).text
        whole = " ".join(text.split())
        for i, piece in enumerate(passages(whole)):
            found.append(Text(f"{name}#{i}", piece, metadata[name], NO_VECTOR))
    return found


def documentation(limit: int, seed: int) -> list[Text]:
    """A passage a file of docstrings and of documents that installed packages bring along.

    One a file, because passages of one document never meet; at most `SHARE` a package, because some
    packages are one file copied a hundred times.
    """
    root = Path(sysconfig.get_paths()["purelib"])
    rng = random.Random(seed)
    files = sorted(root.rglob("*.py")) + sorted(root.rglob("*.dist-info/**/*"))
    rng.shuffle(files)
    found: dict[str, Text] = {}
    seen: Counter[str] = Counter()
    for path in files:
        if len(found) >= limit:
            break
        if not path.is_file() or path.name == "RECORD" or path.stat().st_size > 400_000:
            continue
        try:
            text = path.read_text("utf-8")
            if path.suffix == ".py":
                text = "\n\n".join(docstrings(text))
        except (UnicodeDecodeError, SyntaxError, ValueError):
            continue
        package = path.relative_to(root).parts[0]
        if not (pieces := list(passages(text))) or seen[package] >= SHARE:
            continue
        seen[package] += 1
        name = str(path.relative_to(root))
        found[name] = Text(name, rng.choice(pieces), {"department": package}, NO_VECTOR)
    return list(found.values())


def docstrings(source: str) -> Iterator[str]:
    """Docstrings of a Python file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and (
            found := ast.get_docstring(node)
        ):
            yield found


def read_rows(path: Path, column: str = "text") -> list[Text]:
    """Rows of a JSON lines file that have text; what is behind 1,500 characters is left out."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [
        Text(
            str(r.get("id", i)).replace("#", "-"),
            r[column][:1500],
            r.get("metadata", {}),
            NO_VECTOR,
        )
        for i, r in enumerate(rows)
        if str(r.get(column, "")).strip()
    ]


def split_by_document(
    texts: Sequence[Text], share: float, seed: int
) -> tuple[list[Text], list[Text]]:
    """Whole documents, drawn at random: a share of them, and the rest."""
    names = sorted({t.id.partition("#")[0] for t in texts})
    random.Random(seed).shuffle(names)
    drawn = set(names[: round(share * len(names))])
    there = [t for t in texts if t.id.partition("#")[0] in drawn]
    return there, [t for t in texts if t.id.partition("#")[0] not in drawn]


def embed(texts: Sequence[Text], cache: Path | None) -> list[Text]:
    """Give each text its vector; those embedded before are looked up by their text."""
    known: dict[str, Floats] = {}
    if cache is not None and cache.exists():
        with np.load(cache, allow_pickle=False) as kept:
            known = dict(zip(kept["digests"].tolist(), kept["vectors"], strict=True))
    codes = [digest_bytes(t.text.encode()) for t in texts]
    missing = {c: t.text for c, t in zip(codes, texts, strict=True) if c not in known}
    if missing:
        encoder = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)
        known.update(zip(missing, encoder.encode(list(missing.values())), strict=True))
        if cache is not None:
            np.savez(cache, digests=np.array(list(known)), vectors=np.stack(list(known.values())))
    return [replace(t, vector=known[c]) for t, c in zip(texts, codes, strict=True)]
