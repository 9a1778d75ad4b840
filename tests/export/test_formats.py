"""A commit described for other tools: valid by their schemas, true, and without a text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from ragguard.errors import LedgerError, UsageError
from ragguard.export.formats import FORMATS, write_format
from ragguard.ledger.tables import membership
from ragguard.lineage.timeline import look
from ragguard.trust import keys
from tests.support.simulator import HONEST, Gate, Publisher

SECRET = "The merger with Blue Heron is announced on Friday."
HOSTILE = "a|b](javascript:alert(1))<script>.md"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A public source with licences, and one whose documents are for the board alone."""
    gate = Gate(tmp_path_factory.mktemp("told"))
    texts = {"leave.md": HONEST["leave.md"], HOSTILE: "# Tea\n\nTea is served at four."}
    licences = {"leave.md": {"license": "CC-BY-4.0", "language": "en"}}
    gate.set_policy(scope=("public",))
    gate.publish(texts, metadata=licences)
    carol = keys.generate("carol")
    gate.trust(carol, source="board")
    gate.set_policy("board", scope=("roles=board",))
    board = Publisher(gate.folder / "board", carol, "board")
    gate.ingest(board.publish({"blue-heron.md": SECRET}, now=gate.now), root=board.folder)
    yield gate
    gate.close()


def made(gate: Gate, name: str, at: int | None = None) -> Any:
    data = write_format(gate.workspace, name, at)
    assert write_format(gate.workspace, name, at) == data  # the same each time
    for text in ("27 days", "Tea is served", "merger"):
        assert text.encode() not in data
    return data.decode() if name == "card" else json.loads(data)


def test_the_bill_is_cyclonedx_by_its_schema(told: Gate) -> None:
    schema = pytest.importorskip(
        "cyclonedx.schema", reason="it carries CycloneDX's schema: pip install '.[test]'"
    )
    from cyclonedx.validation.json import JsonStrictValidator

    strict = JsonStrictValidator(schema.SchemaVersion.V1_6)
    for at in (1, 2, None):
        body = write_format(told.workspace, "cyclonedx", at).decode()
        assert strict.validate_str(body) is None


def test_the_bill_names_documents_digests_signers_licences_and_the_model(told: Gate) -> None:
    bill = made(told, "cyclonedx")
    assert bill["metadata"]["component"]["version"] == "commit 2"
    board, wiki, model = bill["components"]
    names = {c["name"]: c for c in wiki["components"]}
    assert set(names) == {"leave.md", HOSTILE}
    with told.workspace.ledger.reading() as conn:
        from ragguard.ledger import versions

        row = versions.newest(conn, "wiki", "leave.md")
    assert row is not None
    assert names["leave.md"]["hashes"] == [{"alg": "SHA-256", "content": row.digest}]
    assert names["leave.md"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert "licenses" not in names[HOSTILE]
    (manifest,) = wiki["externalReferences"]
    assert manifest["hashes"][0]["content"] == row.manifest
    assert manifest["comment"].endswith("signed by alice")
    assert wiki["data"][0]["classification"] == "unrestricted"
    assert model["type"] == "machine-learning-model"
    # What is for some readers only has its digest for a name.
    (secret,) = board["components"]
    assert board["data"][0]["classification"] == "restricted"
    assert secret["name"] == secret["hashes"][0]["content"]
    assert "heron" not in json.dumps(bill)


def test_an_older_commit_has_its_own_documents(told: Gate) -> None:
    first, second = made(told, "cyclonedx", 1), made(told, "cyclonedx", 2)
    assert [c["name"] for c in first["components"]][:-1] == ["wiki"]
    assert first["serialNumber"] != second["serialNumber"]
    with pytest.raises(UsageError, match="no such commit"):
        made(told, "cyclonedx", 9)


def test_events_are_openlineage_as_its_client_writes_them(told: Gate) -> None:
    client = pytest.importorskip(
        "openlineage.client.event_v2", reason="OpenLineage's client: pip install '.[test]'"
    )
    from openlineage.client import facet_v2 as facets
    from openlineage.client.serde import Serde

    start, complete = made(told, "openlineage", 2)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert {d["name"] for d in complete["inputs"]} == {"corpus", "source/board"}
    assert [d["name"] for d in complete["outputs"]] == ["corpus"]
    before, after = (
        next(d for d in complete[side] if d["name"] == "corpus")["facets"]["version"]
        for side in ("inputs", "outputs")
    )
    first = look(told.workspace, 1).moment.row.corpus
    assert (before["datasetVersion"], after["datasetVersion"] == first) == (first, False)
    classes = {
        "version": facets.dataset_version_dataset.DatasetVersionDatasetFacet,
        "dataSource": facets.datasource_dataset.DatasourceDatasetFacet,
        "outputStatistics": (
            facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
        ),
        "jobType": facets.job_type_job.JobTypeJobFacet,
    }
    seen = set()
    for event in (start, complete):
        datasets = [*event["inputs"], *event["outputs"]]
        for facet in (event["job"]["facets"], *(d["facets"] for d in datasets)):
            for name, body in facet.items():
                if name.startswith("ragguard_"):
                    assert {"_producer", "_schemaURL"} <= set(body)
                    continue
                values = {k: v for k, v in body.items() if not k.startswith("_")}
                theirs = Serde.to_dict(classes[name](**values))
                assert {**theirs, "_producer": body["_producer"]} == body
                seen.add(name)
        theirs = client.RunEvent(
            eventTime=event["eventTime"],
            eventType=client.RunState(event["eventType"]),
            run=client.Run(event["run"]["runId"]),
            job=client.Job(event["job"]["namespace"], event["job"]["name"]),
            producer=event["producer"],
        )
        assert Serde.to_dict(theirs)["schemaURL"] == event["schemaURL"]
    assert seen == {"version", "dataSource", "jobType"}


def test_the_card_has_front_matter_and_says_nothing_of_restricted_sources(told: Gate) -> None:
    card = made(told, "card")
    _, front, body = card.split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["size_categories"] == ["n<1K"]
    assert head["license"] == "other"  # one names a licence, the other none
    assert head["language"] == ["en"]
    assert "| wiki | 2 | alice |" in body
    for hidden in ("board", "carol", "heron"):
        assert hidden not in card
    assert "1 documents of 1 source that are for some readers only" in body
    assert yaml.safe_load(made(told, "card", 1).split("---\n", 2)[1])["pretty_name"]


def test_a_corpus_that_is_not_the_logged_one_is_not_described(told: Gate) -> None:
    with told.workspace.ledger.writing() as conn:
        conn.execute(sa.update(membership).where(membership.c.id == 1).values(zone="quarantine"))
    try:
        for name in FORMATS:
            with pytest.raises(LedgerError, match="not the one that was logged"):
                write_format(told.workspace, name, 1)
        assert look(told.workspace, 1).corpus[0] == "wrong"
    finally:
        with told.workspace.ledger.writing() as conn:
            conn.execute(sa.update(membership).where(membership.c.id == 1).values(zone="serving"))
