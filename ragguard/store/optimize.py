"""Build the search graph of one shard folder; run as a subprocess because it blocks its process."""

from __future__ import annotations

import sys

import qdrant_edge as edge

THRESHOLD_KB = 1  # every segment of more vectors than this gets a graph


def main(folder: str, size: int) -> None:
    """Optimize the shard in a folder that nobody else has open.

    Args:
        size: Dimension of its vectors, which the engine wants declared again.
    """
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=size, distance=edge.Distance.Cosine),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=THRESHOLD_KB),
    )
    shard = edge.EdgeShard.load(folder, config)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
