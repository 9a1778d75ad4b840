"""What the guarded retriever adds to a bare Qdrant query: milliseconds a question, p50 and p95.

    python benchmarks/retriever_against_bare.py
    python benchmarks/retriever_against_bare.py --points 1000000 --folder /mnt/space

A workspace is filled with signed records whose vectors are 384-d unit rows around random centres
(`audit_at_scale.synthetic`): signatures, seals, ledger and embedded index are the real ones, only
the gate is left out. Then the same vectors are asked in turn: a bare query with payloads, the
retriever, the retriever with receipts, a scoped one where `--tenants` is given, and a reader of a
published copy with its snapshot. Nothing is embedded while the clock runs.

All questions are asked twice. What stands on which manifest is verified when a document is first
met: `first` has that in it, `ways` is what a process that lives on takes.

By turns, so that a busy machine slows all alike; processor time stands beside the time by the
clock, and is the one to compare then. Goals: 1 ms and 5 % added, 2 ms with receipts. A million
points take about 20 GB of disk and some hours: one manifest and one commit for each `--block`.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from audit_at_scale import peak_mb, synthetic
from incident import Incident

from ragguard.corpus import changes
from ragguard.corpus.documents import documents_of
from ragguard.corpus.embed import EmbeddedDocument
from ragguard.detect.view import PreparedDocument
from ragguard.ingest.sign import sign
from ragguard.ledger.commits import ManifestRow, last_manifest
from ragguard.ledger.writer import dump_vectors
from ragguard.model import Chunk, Floats, Manifest, Verdict
from ragguard.serving.publish import publish
from ragguard.serving.reader import open_reader
from ragguard.serving.retriever import open_retriever
from ragguard.trust import amend_root
from ragguard.trust import root as roots
from ragguard.trust.canonical import digest, digest_bytes, format_time
from ragguard.trust.keys import KeyPair
from ragguard.trust.manifest import LastAccepted
from ragguard.workspace import Workspace

SOURCE = "nq"
WORDS = 90  # of a passage
Ask = Callable[[Floats], Any]


def text_of(rng: random.Random, number: int) -> str:
    """A passage; its number keeps it apart from all others."""
    words = (
        f"{rng.choice('bcdfgklmnprst')}{rng.choice('aeiou')}{rng.choice('lmnrst')}e"
        for _ in range(WORDS)
    )
    return f"{number}. {' '.join(words)}"


def write_block(
    workspace: Workspace, folder: Path, key: KeyPair, vectors: Floats, first: int, tenants: int
) -> None:
    """Sign a block of records and commit them as admitted, each one chunk with a vector given."""
    rng = random.Random(first)
    path = folder / f"block-{first}.jsonl"
    lines = []
    for number in range(first, first + len(vectors)):
        metadata = {"tenant": f"t{number % tenants}"} if tenants else {}
        lines.append(
            json.dumps({"id": str(number), "text": text_of(rng, number), "metadata": metadata})
        )
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with workspace.ledger.reading() as conn:
        found = last_manifest(conn, SOURCE)
    last = LastAccepted(*found) if found else None
    made = sign(
        [path],
        root=folder,
        source=SOURCE,
        key=key,
        now=workspace.now,
        expires=timedelta(days=90),
        mode="delta" if last else "full",
        previous=last,
    )
    _commit(workspace, made.manifest, made.envelope, path.read_bytes(), vectors, key)


def _commit(
    workspace: Workspace,
    manifest: Manifest,
    envelope: bytes,
    data: bytes,
    vectors: Floats,
    key: Any,
) -> None:
    policy = workspace.root.sources[SOURCE].policy
    generation = workspace.ensure_generation(workspace.encoder.recipe)
    items = list(documents_of(SOURCE, manifest.subjects[0], data, policy))
    pack, kept, _ = workspace.vault.put_many([dump_vectors(vectors), envelope, data])
    embedded, verdicts = {}, []
    for row, item in enumerate(items):
        document = item.document
        chunk = Chunk(0, len(item.text), item.text)
        prepared = PreparedDocument(document, item.text, (), (chunk,), vectors[row : row + 1])
        digests = (digest_bytes(item.text.encode()),)
        embedded[document.id] = EmbeddedDocument(prepared, digests, ((pack, row),))
        verdicts.append((item, Verdict(SOURCE, document.id, document.digest, "admit", 0.0, 0.5)))
    plan = changes.draft(workspace, generation)
    policy_digest = digest(roots.dump_policy(policy))
    plan.admit(verdicts, embedded, SOURCE, policy_digest, manifest.digest)
    signers = [[key.public.keyid, key.public.principal]]
    row = ManifestRow(
        manifest.digest,
        SOURCE,
        manifest.version,
        kept,
        signers,
        format_time(manifest.expires),
        plan.commit,
    )
    workspace.committer.commit(plan.finish("ingest", key.public.principal, SOURCE, row))


def timed(asks: dict[str, Ask], questions: Floats) -> dict[str, dict[str, float]]:
    """Ask every question in every way, by turns; milliseconds by the clock and of the processor."""
    wall: dict[str, list[float]] = {name: [] for name in asks}
    spent: dict[str, list[float]] = {name: [] for name in asks}
    for number, question in enumerate(questions):
        names = list(asks)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began, cpu = time.perf_counter(), time.process_time()
            asks[name](question)
            wall[name].append(1000 * (time.perf_counter() - began))
            spent[name].append(1000 * (time.process_time() - cpu))
    bare = wall["bare"]
    return {
        name: {
            "p50_ms": _at(wall[name], 50),
            "p95_ms": _at(wall[name], 95),
            "cpu_p50_ms": _at(spent[name], 50),
            "added_p50_ms": round(_at(wall[name], 50) - _at(bare, 50), 3),
            "added_p95_ms": round(_at(wall[name], 95) - _at(bare, 95), 3),
        }
        for name in asks
    }


def _at(values: Sequence[float], percent: int) -> float:
    return round(float(np.percentile(values, percent)), 3)


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fill a workspace and ask it."""
    world = Incident(folder)
    site = folder / "site"
    site.mkdir()
    rng = np.random.default_rng(options.seed)
    key = world.signers[SOURCE]
    began = time.perf_counter()
    with world.open(store={"index_after": options.index_after}) as workspace:
        if options.tenants:
            root = amend_root.set_policy(
                workspace.root, SOURCE, {"scope": ["tenant=@tenant"]}, workspace.now
            )
            workspace.set_root(root, [world.root_key], {"act": "trust policy"})
        first = 0
        for block in synthetic(options.points, options.centres, rng):
            for start in range(0, len(block), options.block):
                part = np.ascontiguousarray(block[start : start + options.block])
                write_block(workspace, site, key, part, first, options.tenants)
                first += len(part)
        workspace.maintain()
        filled = time.perf_counter() - began
        questions = next(iter(synthetic(options.questions, options.centres, rng)))
        began = time.perf_counter()
        done = publish(workspace, folder / "published")
        published = time.perf_counter() - began
        ways = _ask(workspace, folder / "published", options)
        for ask in ways.values():  # what is made at the first question is no time of a question
            ask(questions[0])
        return {
            "points": first,
            "questions": len(questions),
            "k": options.k,
            "fill_s": round(filled, 1),
            "publish_s": round(published, 1),
            "snapshot_bytes": (done.folder / done.name / "points.snapshot").stat().st_size,
            "first": timed(ways, questions),
            "ways": timed(ways, questions),
            "peak_mb": peak_mb(),
            "python": platform.python_version(),
        }


def _ask(workspace: Workspace, published: Path, options: argparse.Namespace) -> dict[str, Ask]:
    generation = workspace.generation()
    if generation is None:
        raise SystemExit("nothing was written")
    client: Any = workspace.open_store().client
    name, k = generation.serving, options.k

    def bare(vector: Floats) -> Any:
        return client.query_points(name, query=vector.tolist(), limit=k, with_payload=True)

    everything: Any = "everything" if options.tenants else None
    proved = open_retriever(workspace, scope=everything)
    signed = open_retriever(workspace, scope=everything, receipts=True)
    reader = open_reader(
        published,
        workspace.log_key,
        scope=everything,
        encoder=workspace.encoder,
        clock=lambda: workspace.now,
    )
    ways: dict[str, Ask] = {
        "bare": bare,
        "proved": lambda v: proved.retrieve_vector(v, k),
        "receipts": lambda v: signed.retrieve_vector(v, k),
        "reader": lambda v: reader.retrieve_vector(v, k),
    }
    if options.tenants:
        scoped = open_retriever(workspace, scope={"tenant": "t1"})
        ways["scoped"] = lambda v: scoped.retrieve_vector(v, k)
    return ways


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--centres", type=int, default=500)
    parser.add_argument("--tenants", type=int, default=0, help="also ask for one tenant of so many")
    parser.add_argument("--block", type=int, default=10_000, help="documents a manifest")
    parser.add_argument("--index-after", type=int, default=1000, help="see [store] index_after")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where there is room; a temporary one")
    parser.add_argument("-o", "--output", type=Path, help="file for the result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        text = json.dumps(run(options, Path(folder)), indent=1)
    if options.output is not None:
        options.output.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
