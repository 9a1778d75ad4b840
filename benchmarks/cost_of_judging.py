"""What judging costs: milliseconds a chunk of the view, of every check, and the peak of memory.

    python benchmarks/cost_of_judging.py --indexed 100000 --newcomers 10000 --engine edge
    python benchmarks/cost_of_judging.py --indexed 8000 --newcomers 2000 --corpus corpus.jsonl

Passages are drawn from a corpus file ({"id", "text"} a line, cut at `--words` words) or written by
a chain over the words of the shipped handbook. Vectors are not a model's: they are spread around
random centres of fifty passages each, cosine about 0.7 within a cluster, so that neighbourhoods are
full. One newcomer in a hundred is an indexed passage with one word changed. Nothing here says
anything about detection.

Goals (10,000 newcomers against 100,000): all checks together at most 0.5 ms a chunk, with the
neighbour search at most 3 ms. Wall time and processor time are both given; on a busy machine the
second is the one to compare.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import random
import resource
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.detect import lexicon as lexicons
from ragguard.detect.scoring import active_checks, measure
from ragguard.detect.view import PreparedDocument, Surroundings, build_view
from ragguard.model import Chunk, DeniedText, Document, Floats
from ragguard.store import Hits, Point, Store, open_store
from ragguard.store.memory import MemoryStore
from ragguard.text.minhash import sketch_rows
from ragguard.text.words import normalise, words

HANDBOOK = Path(__file__).resolve().parent.parent / "corpora/handbook/v1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIMENSIONS = 384
CLUSTER = 50  # passages around one centre
SPREAD = 0.65  # length of the noise against the centre's: cosine 1 / (1 + spread ** 2) = 0.7
COPIES = 0.01  # share of newcomers that are edited copies of an indexed passage
DENIED = 200  # rejected passages kept


def texts_of(corpus: Path | None, count: int, length: int, rng: random.Random) -> list[str]:
    """Passages of about a length in words."""
    if corpus is not None:
        rows = map(json.loads, corpus.read_text("utf-8").splitlines())
        known = [" ".join(r["text"].split()[:length]) for r in rows if r.get("text", "").strip()]
        return [rng.choice(known) for _ in range(count)]
    follow: dict[str, list[str]] = defaultdict(list)
    for path in sorted(HANDBOOK.rglob("*.md")):
        for left, right in pairwise(path.read_text("utf-8").split()):
            follow[left].append(right)
    openings = sorted(follow)
    made = []
    for _ in range(count):
        word = rng.choice(openings)
        written = [word]
        for _ in range(int(length * rng.uniform(0.5, 1.5))):
            word = rng.choice(follow.get(word) or openings)
            written.append(word)
        made.append(" ".join(written))
    return made


def vectors_of(count: int, centres: Floats, rng: np.random.Generator) -> Floats:
    """Vectors around centres, float32 (count, d), unit length."""
    near = rng.integers(len(centres), size=count)
    noise = rng.standard_normal((count, DIMENSIONS), dtype=np.float32) / np.sqrt(DIMENSIONS)
    made = centres[near] + SPREAD * noise
    unit: Floats = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return unit


class Clocked:
    """A store that says how long it was asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seconds: dict[str, float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def search(self, collection: str, vectors: Floats, k: int, *, exact: bool = True) -> Hits:
        """See `Store.search`."""
        start = time.perf_counter()
        found = self._store.search(collection, vectors, k, exact=exact)
        self.seconds["search"] += time.perf_counter() - start
        return found

    def scan(
        self, collection: str, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[list[Point]]:
        """See `Store.scan`."""
        pages = self._store.scan(collection, vectors=vectors, batch=batch)
        while True:
            start = time.perf_counter()
            page = next(pages, None)
            self.seconds["scan"] += time.perf_counter() - start
            if page is None:
                return
            yield page

    def get(self, collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """See `Store.get`."""
        start = time.perf_counter()
        found = self._store.get(collection, ids, vectors=vectors)
        self.seconds["get"] += time.perf_counter() - start
        return found


def document(number: int, text: str, vector: Floats) -> PreparedDocument:
    """A document of one passage."""
    metadata = {"department": f"d{number % 5}", "label": "public"}
    name = f"new-{number}"
    return PreparedDocument(
        Document("bench", name, uuid.uuid5(uuid.NAMESPACE_OID, name).hex, metadata, name, ""),
        text,
        (),
        (Chunk(0, len(text), text),),
        vector[None, :],
    )


def fill(store: Store, texts: Sequence[str], vectors: Floats, dimensions: int) -> list[Point]:
    """Index passages."""
    store.create("serving", dimensions)
    store.create("quarantine", dimensions)
    points = [
        Point(
            str(uuid.uuid5(uuid.NAMESPACE_OID, f"old-{number}")),
            vector,
            {
                "page_content": text,
                "metadata": {"department": f"d{number % 5}", "label": "public"},
                "ragguard": {"source": "bench", "document": f"old-{number}"},
            },
        )
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]
    for start in range(0, len(points), 2_000):
        store.upsert("serving", points[start : start + 2_000])
    store.flush("serving")
    return points


def clock(job: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, wall seconds and processor seconds of a job."""
    wall, busy = time.perf_counter(), time.process_time()
    result = job()
    return result, time.perf_counter() - wall, time.process_time() - busy


def profiled(name: str, options: argparse.Namespace, job: Callable[[], Any]) -> Any:
    """Result of a job; its profile goes to stderr where it was asked for."""
    if options.profile != name:
        return job()
    profile = cProfile.Profile()
    result = profile.runcall(job)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    return result


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024.0**2 if platform.system() == "Darwin" else 1024.0)


def run(options: argparse.Namespace, store: Store) -> dict[str, Any]:
    """Build a world, judge the newcomers, measure."""
    rng, draw = np.random.default_rng(options.seed), random.Random(options.seed)
    total = options.indexed + options.newcomers
    centres = rng.standard_normal((max(1, total // CLUSTER), DIMENSIONS), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    texts = texts_of(options.corpus, total, options.words, draw)
    vectors = vectors_of(total, centres, rng)
    old, new = options.indexed, options.newcomers
    for row in range(old, old + int(COPIES * new)):
        original = draw.randrange(old)
        copied = texts[original].split()
        copied[len(copied) // 2] = "1999"
        texts[row] = " ".join(copied)
        noise = rng.standard_normal(DIMENSIONS).astype(np.float32) / np.sqrt(DIMENSIONS)
        moved = vectors[original] + 0.2 * noise
        vectors[row] = moved / np.linalg.norm(moved)
    points = fill(store, texts[:old], vectors[:old], DIMENSIONS)
    lexicon = lexicons.with_closeness(lexicons.count(texts[:old], old), points)
    del points
    denied = [
        DeniedText(
            f"bench/denied-{number}",
            sketch_rows([words(text)]),
            vector[None, :],
            (normalise(text),),
        )
        for number, (text, vector) in enumerate(
            zip(
                texts_of(options.corpus, DENIED, options.words, draw),
                vectors_of(DENIED, centres, rng),
                strict=True,
            )
        )
    ]
    clocked = Clocked(store)
    around = Surroundings(clocked, "serving", lexicon, denied, NOW)
    batch = [document(i, texts[old + i], vectors[old + i]) for i in range(new)]
    checks = active_checks({})
    # Libraries load, rules compile and indexes are opened before the clock starts.
    measure(build_view(batch[:64], around), checks)
    clocked.seconds.clear()
    before = peak_mb()
    view, wall, busy = clock(lambda: profiled("view", options, lambda: build_view(batch, around)))
    after_view = peak_mb()
    each: dict[str, Any] = {}
    for name, check in checks.items():

        def job(name: str = name, check: Any = check) -> Any:
            return profiled(name, options, lambda: measure(view, {name: check}))

        measured, check_wall, check_busy = clock(job)
        each[name] = {
            "ms": round(1e3 * check_wall / new, 4),
            "cpu_ms": round(1e3 * check_busy / new, 4),
            "skipped": [s.reason for s in measured.skipped],
        }
    all_wall, all_busy = (sum(row[key] for row in each.values()) for key in ("ms", "cpu_ms"))
    return {
        "engine": options.engine,
        "indexed": old,
        "newcomers": new,
        "rows_in_view": len(view.texts),
        "checks": dict(sorted(each.items(), key=lambda row: -row[1]["cpu_ms"])),
        "all_checks": {"ms": round(all_wall, 4), "cpu_ms": round(all_busy, 4), "goal_ms": 0.5},
        "view": {
            "ms": round(1e3 * wall / new, 4),
            "cpu_ms": round(1e3 * busy / new, 4),
            "search_ms": round(1e3 * clocked.seconds["search"] / new, 4),
            "scan_ms": round(1e3 * clocked.seconds["scan"] / new, 4),
            "get_ms": round(1e3 * clocked.seconds["get"] / new, 4),
        },
        "together": {
            "ms": round(1e3 * wall / new + all_wall, 4),
            "cpu_ms": round(1e3 * busy / new + all_busy, 4),
            "goal_ms": 3.0,
        },
        "peak_mb": {
            "before": round(before),
            "after_view": round(after_view),
            "after_checks": round(peak_mb()),
        },
        "machine": {
            "python": platform.python_version(),
            "cpu": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--indexed", type=int, default=100_000)
    parser.add_argument("--newcomers", type=int, default=10_000)
    parser.add_argument("--engine", choices=("memory", "edge"), default="memory")
    parser.add_argument("--corpus", type=Path, help="JSON lines with a text each")
    parser.add_argument("--words", type=int, default=110, help="words a passage, about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="", help="a check, or `view`, to print the profile of")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = MemoryStore() if options.engine == "memory" else open_store(Path(folder) / "store")
        try:
            result = run(options, store)
        finally:
            store.close()
    text = json.dumps(result, indent=2)
    if options.output:
        options.output.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
