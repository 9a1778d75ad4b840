"""Describe a commit as OpenLineage events (https://openlineage.io/spec/2-0-2/OpenLineage.json).

A commit is a run of the job named for its kind. Its inputs are the corpus before it and the
source's manifest, its outputs the corpus after it and, where something was held, the quarantine.
The version of a dataset is a digest: of the corpus, or of the manifest. The ledger knows one time
of a commit, so that START and COMPLETE have the same.
"""

from __future__ import annotations

from typing import Any

from ragguard import __version__
from ragguard.export.corpus_at import CorpusAt
from ragguard.text.documentation import DOCUMENTATION

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"


def _producer() -> str:
    return f"{DOCUMENTATION}#ragguard-{__version__}"


def run_events(corpus: CorpusAt) -> list[dict[str, Any]]:
    """START and COMPLETE of a commit."""
    row = corpus.row
    namespace = f"ragguard://{corpus.name}"
    facets = {
        "jobType": _facet(
            "JobTypeJobFacet",
            "2-0-4",
            processingType="BATCH",
            integration="RAGGUARD",
            jobType="JOB",
        )
    }
    shared = {
        "eventTime": row.at,
        "run": {"runId": corpus.uuid("run"), "facets": {"ragguard_commit": _commit(corpus)}},
        "job": {"namespace": namespace, "name": f"ragguard.{row.kind}", "facets": facets},
        "producer": _producer(),
        "schemaURL": SPEC,
    }
    inputs = _inputs(corpus, namespace)
    start = {"eventType": "START", **shared, "inputs": inputs, "outputs": []}
    outputs = _outputs(corpus, namespace)
    return [start, {"eventType": "COMPLETE", **shared, "inputs": inputs, "outputs": outputs}]


def _facet(kind: str, edition: str, /, **values: Any) -> dict[str, Any]:
    url = f"{FACETS}/{edition}/{kind}.json#/$defs/{kind}"
    return {"_producer": _producer(), "_schemaURL": url, **values}


def _own(**values: Any) -> dict[str, Any]:
    """Return a facet of ours, named with our prefix."""
    base = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/BaseFacet"
    return {"_producer": _producer(), "_schemaURL": base, **values}


def _version(digest: str) -> dict[str, Any]:
    return _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=digest)


def _commit(corpus: CorpusAt) -> dict[str, Any]:
    row = corpus.row
    return _own(
        commit=row.id,
        actor=row.actor,
        logEntry=corpus.log_index,
        corpus=row.corpus,
        sources={name: dict(counts) for name, counts in corpus.moment.sources.items()},
    )


def _inputs(corpus: CorpusAt, namespace: str) -> list[dict[str, Any]]:
    inputs = []
    if corpus.previous:
        about = {"version": _version(corpus.previous)}
        inputs.append({"namespace": namespace, "name": "corpus", "facets": about})
    manifest = corpus.manifest
    if manifest is not None:
        facets = {
            "version": _version(manifest.digest),
            "dataSource": _facet(
                "DatasourceDatasetFacet",
                "1-0-1",
                name=manifest.source,
                uri=f"urn:ragguard:manifest:{manifest.digest}",
            ),
            "ragguard_manifest": _own(
                sha256=manifest.digest,
                manifestVersion=manifest.version,
                signedBy=sorted({str(who) for _, who in manifest.signers}),
                expires=manifest.expires,
            ),
        }
        inputs.append(
            {"namespace": namespace, "name": f"source/{manifest.source}", "facets": facets}
        )
    return inputs


def _outputs(corpus: CorpusAt, namespace: str) -> list[dict[str, Any]]:
    held = sum(counts.get("held", 0) for counts in corpus.moment.sources.values())
    statistics = {"outputStatistics": _rows(corpus.documents)}
    outputs: list[dict[str, Any]] = [
        {
            "namespace": namespace,
            "name": "corpus",
            "facets": {"version": _version(corpus.row.corpus)},
            "outputFacets": statistics,
        }
    ]
    if held:
        outputs.append(
            {
                "namespace": namespace,
                "name": "quarantine",
                "facets": {},
                "outputFacets": {"outputStatistics": _rows(held)},
            }
        )
    return outputs


def _rows(number: int) -> dict[str, Any]:
    return _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", rowCount=number)
