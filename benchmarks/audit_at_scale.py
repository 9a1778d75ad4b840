"""What an audit of a large index costs: seconds by stage, peak memory, recall of the neighbours.

    python benchmarks/audit_at_scale.py --points 100000
    python benchmarks/audit_at_scale.py --points 1000000 --folder /mnt/space --engine edge
    python benchmarks/audit_at_scale.py --points 1000000 --vectors nq.npy

Vectors are 384-d unit rows around 500 random centres (`--centres`), cosine about 0.7 to the centre;
or mixtures of three neighbouring rows of a file of real embeddings (`--vectors`), with a little
noise. With `--engine edge` they are written to an embedded Qdrant index first and read back by the
spool, as an audit does; without, blocks of points are made and spooled.

Beside it, in the same run: a bare product of matrices over the same vectors, and faiss's exact
search where faiss is installed. Both run on a sample of rows, and `all_s` is that times the rows:
extrapolated, not measured. Wall time and processor time are both given; on a busy machine the
second, or the ratio to the bare product, is the one to compare.

Goals (two processors, 1,000,000 points): the whole audit within 600 s and 6 GiB with a recall of
0.98; 1,000 new documents within 60 s. A million points take 5 GB of disk, 9 with an engine.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from threadpoolctl import threadpool_limits

from ragguard.audit.index.spool import Spool
from ragguard.audit.index.spool_writer import Spooler
from ragguard.knn.exact import in_threads, processors
from ragguard.knn.graph import components, neighbour_table, occurrence, refine, update
from ragguard.model import Floats
from ragguard.store import Point, Store, open_store

DIMENSIONS = 384
SPREAD = 1.0  # length of the noise against the centre's: cosine 0.7 to the centre
BLOCK = 10_000
TILE = 1024  # rows and columns of the bare product
SAMPLED = 2048  # queries of what is extrapolated
FLAGGED = 500  # rows whose neighbours are verified exactly
COLLECTION = "corpus-g1"


def peak_mb() -> int:
    """Peak resident memory of this process so far, mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}

    def time(self, stage: str, job: Callable[[], Any]) -> Any:
        """Run a job and write down what it took."""
        wall, busy = time.perf_counter(), time.process_time()
        result = job()
        self.stages[stage] = {
            "s": round(time.perf_counter() - wall, 1),
            "cpu_s": round(time.process_time() - busy, 1),
            "peak_mb": peak_mb(),
        }
        print(stage, self.stages[stage], flush=True)
        return result


def synthetic(count: int, centres: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Blocks of unit rows around random centres."""
    middle = rng.standard_normal((centres, DIMENSIONS), dtype=np.float32)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    for start in range(0, count, BLOCK):
        n = min(BLOCK, count - start)
        noise = rng.standard_normal((n, DIMENSIONS), dtype=np.float32)
        yield _unit(middle[rng.integers(centres, size=n)] + noise * _per_entry(SPREAD))


def mixtures(count: int, file: Path, rng: np.random.Generator) -> Iterator[Floats]:
    """Blocks of unit rows, each a mixture of a real embedding and two of its neighbours."""
    real = np.unique(np.load(file).astype(np.float32), axis=0)
    near = neighbour_table(real, 20).indices
    for start in range(0, count, BLOCK):
        n = min(BLOCK, count - start)
        first = rng.integers(len(real), size=n)
        others = near[first[:, None], rng.integers(20, size=(n, 2))]
        share = rng.dirichlet((1, 1, 1), size=n).astype(np.float32)
        rows = np.concatenate([first[:, None], others], axis=1)
        noise = rng.standard_normal((n, real.shape[1]), dtype=np.float32) * _per_entry(0.25)
        yield _unit(np.einsum("ij,ijd->id", share, real[rows]) + noise)


def _per_entry(length: float) -> np.float32:
    return np.float32(length / DIMENSIONS**0.5)


def _unit(rows: Floats) -> Floats:
    made: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def points_of(blocks: Iterator[Floats]) -> Iterator[list[Point]]:
    """Blocks of points; every document has two chunks and one of twenty labels."""
    number = 0
    for block in blocks:
        made = []
        for vector in block:
            document = number // 2
            payload = {
                "page_content": f"Passage {number} says what others say, in {number % 97} ways.",
                "metadata": {"label": f"label-{document % 20}"},
                "ragguard": {"source": "wiki", "document": f"d{document}.txt", "commit": 1},
            }
            made.append(Point(str(UUID(int=number)), vector, payload))
            number += 1
        yield made


def fill(store: Store, blocks: Iterator[list[Point]]) -> None:
    """Write an index."""
    store.create(COLLECTION, DIMENSIONS)
    for points in blocks:
        store.upsert(COLLECTION, points)
        store.flush(COLLECTION)


def spool(folder: Path, blocks: Iterator[list[Point]]) -> Spool:
    """Read an index, as an audit does."""
    with Spooler(folder, "benchmark", DIMENSIONS) as spooler:
        for points in blocks:
            spooler.add("serving", points)
        return spooler.finish()


def bare_product(vectors: Floats, queries: Floats) -> None:
    """The products alone that an exact search is made of, nothing kept."""

    def block(start: int) -> None:
        out = np.empty((TILE, TILE), dtype=np.float32)
        rows = queries[start : start + TILE]
        for left in range(0, len(vectors) - TILE + 1, TILE):
            np.matmul(rows, vectors[left : left + TILE].T, out=out)

    for _ in in_threads(block, range(0, len(queries), TILE), 0):
        pass


def yardsticks(vectors: Floats, k: int, clock: Clock) -> dict[str, Any]:
    """What others take, extrapolated from a sample of rows."""
    n = len(vectors)
    queries = np.array(vectors[np.sort(np.random.default_rng(5).choice(n, SAMPLED, False))])
    bare_product(vectors[: 8 * TILE], queries)  # the first one is slower
    clock.time("bare product, sample", lambda: bare_product(vectors, queries))
    took = clock.stages["bare product, sample"]
    found: dict[str, Any] = {
        "bare_product": {
            "gflop_per_cpu_s": round(2e-9 * DIMENSIONS * SAMPLED * n / max(took["cpu_s"], 0.1), 1),
            "all_s": round(took["s"] * n / SAMPLED),
            "all_cpu_s": round(took["cpu_s"] * n / SAMPLED),
        }
    }
    try:
        import faiss
    except ImportError:
        return {**found, "faiss_flat": "not installed"}
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(np.array(vectors))
    with threadpool_limits(processors(), user_api="openmp"):
        clock.time("faiss flat, sample", lambda: index.search(queries, k + 1))
    took = clock.stages["faiss flat, sample"]
    found["faiss_flat"] = {
        "all_s": round(took["s"] * n / SAMPLED),
        "all_cpu_s": round(took["cpu_s"] * n / SAMPLED),
    }
    return found


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All stages on one index."""
    clock, k = Clock(), options.k
    rng = np.random.default_rng(options.seed)
    blocks = points_of(
        mixtures(options.points, options.vectors, rng)
        if options.vectors
        else synthetic(options.points, options.centres, rng)
    )
    if options.engine == "edge":
        store = open_store(folder / "index")
        try:
            clock.time("write the index", lambda: fill(store, blocks))
            scanned = store.scan(COLLECTION, vectors=True, batch=BLOCK)
            read = clock.time("read and spool", lambda: spool(folder / "spool", scanned))
        finally:
            store.close()
    else:
        read = clock.time("make and spool", lambda: spool(folder / "spool", blocks))
    vectors = read.vectors
    graph = clock.time("neighbours", lambda: neighbour_table(vectors, k))
    clock.time("k-occurrence", lambda: occurrence(graph.indices, len(vectors)))
    clock.time("components", lambda: components(graph.indices, graph.similarities, 0.6))
    flagged = np.sort(rng.choice(len(vectors), FLAGGED, replace=False))
    true = clock.time("exact neighbours of the flagged", lambda: refine(vectors, flagged, k))
    checked = float((graph.similarities[flagged] >= true[1][:, -1:]).mean())
    with_new = np.concatenate([vectors, _newcomers(vectors, options.new, rng)])
    origin = np.append(np.arange(len(vectors)), np.full(options.new, -1))
    later = clock.time("carry over to new points", partial(update, graph, with_new, origin))
    del with_new  # 1.5 GB of a million points
    return {
        "points": len(read),
        "dimensions": vectors.shape[1],
        "k": k,
        "vectors": options.vectors.name if options.vectors else f"{options.centres} centres",
        "engine": options.engine,
        "stages": clock.stages,
        "exact": graph.exact,
        "recall": {"reported": graph.recall, "interval": graph.recall_interval, "checked": checked},
        "recall_carried_over": {"reported": later.recall, "interval": later.recall_interval},
        "peak_mb": peak_mb(),
        "beside": yardsticks(vectors, k, clock),
        "machine": {
            "python": platform.python_version(),
            "cpu": platform.machine(),
            "processors": processors(),
        },
    }


def _newcomers(vectors: Floats, count: int, rng: np.random.Generator) -> Floats:
    near = np.array(vectors[rng.integers(len(vectors), size=count)])
    return _unit(near + rng.standard_normal(near.shape, dtype=np.float32) * _per_entry(0.5))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--new", type=int, default=1000, help="points that come after the audit")
    parser.add_argument("--centres", type=int, default=500)
    parser.add_argument("--vectors", type=Path, help="real embeddings, npy, float32 (n, 384)")
    parser.add_argument("--engine", choices=("none", "edge"), default="none")
    parser.add_argument("--folder", type=Path, help="where there is space; else the system's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.points < SAMPLED:
        parser.error(f"--points {options.points}: expected at least {SAMPLED}, the rows sampled")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = run(options, Path(folder))
    text = json.dumps(result, indent=2)
    if options.output:
        options.output.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
