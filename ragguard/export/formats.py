"""List what a corpus may be described as: OpenLineage, a dataset card, CycloneDX.

They describe the corpus at a commit, and hold no text of a document. What they say is read out of
the ledger, whose documents have the digest that was logged; the proof of it is `export.write`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from ragguard.errors import UsageError
from ragguard.export.card import dataset_card
from ragguard.export.corpus_at import CorpusAt, corpus_at
from ragguard.export.cyclonedx import bill
from ragguard.export.openlineage import run_events
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class Format:
    """A way to describe a corpus.

    Attributes:
        file: End of a file's name.
        write: Makes the bytes.
    """

    title: str
    file: str
    media_type: str
    write: Callable[[CorpusAt], bytes]


def _json(body: object) -> bytes:
    return json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n"


FORMATS = {
    "openlineage": Format(
        "OpenLineage events",
        "openlineage.json",
        "application/json",
        lambda corpus: _json(run_events(corpus)),
    ),
    "card": Format(
        "Dataset card",
        "README.md",
        "text/markdown; charset=utf-8",
        lambda corpus: dataset_card(corpus).encode(),
    ),
    "cyclonedx": Format(
        "CycloneDX ML-BOM",
        "mlbom.cdx.json",
        "application/vnd.cyclonedx+json; version=1.6",
        lambda corpus: _json(bill(corpus)),
    ),
}


def write_format(workspace: Workspace, name: str, at: int | None = None) -> bytes:
    """Describe the corpus at a commit in one of `FORMATS`.

    Args:
        workspace: Open; the index is not read.
        at: Number of the commit; `None` for the newest.

    Raises:
        UsageError: No such format or commit, or nothing was ingested yet.
        LedgerError: The ledger's corpus is not the one that was logged.
    """
    if name not in FORMATS:
        raise UsageError(f"format {name!r}: expected one of {', '.join(FORMATS)}")
    return FORMATS[name].write(corpus_at(workspace, at))
