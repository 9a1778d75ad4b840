"""JSON output of the commands against docs/schemas/."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import REPOSITORY, Shell

# openapi.json is of the review page's interface, and tests/web holds it against the page.
SCHEMAS = [p for p in sorted((REPOSITORY / "docs/schemas").glob("*.json")) if p.stem != "openapi"]
Check = Callable[[str, Any], None]


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for inner in schema.values():
            yield from _objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _objects(inner)


def test_there_is_a_schema_for_each_report() -> None:
    assert [p.stem for p in SCHEMAS] == [
        "alarm",
        "audit",
        "bench",
        "calibration",
        "canary",
        "cutover",
        "export",
        "ingest",
        "lineage",
        "quarantine",
        "redteam",
        "reindex",
        "retrieve",
        "revoke",
        "rollback",
        "search",
        "source",
        "trace",
    ]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.stem)
def test_schema_is_valid_closed_and_described(path: Any) -> None:
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    for body in _objects(schema):
        assert body["additionalProperties"] is False
        assert body["required"] == [k for k in body["properties"] if k in body["required"]]
        missing = [k for k, v in body["properties"].items() if not {"description", "$ref"} & set(v)]
        assert missing == []


def test_ingest_with_every_verdict_fits_its_schema(made: Shell, schema: Check) -> None:
    made.write({"faq.jsonl": '{"id": 1, "text": "The canteen opens at eleven.", "metadata": {}}\n'})
    made.sign()
    made.write({"visitors.md": "Guests need no badge any more."})
    (made.site / "contracts.md").unlink()
    body = made.json("ingest", "m.intoto.json", "--root", made.site, code=3)
    schema("ingest", body)
    assert body["counts"]["quarantined"] == 1
    assert body["counts"]["rejected"] == 2
    assert {d["id"]: d["findings"][0]["check"] for d in body["documents"] if d["findings"]} == {
        "contracts.md": "missing",
        "safe.md": "instructions",
        "visitors.md": "digest",
    }
    assert "faq.jsonl#1" in {d["id"] for d in body["documents"] if d["verdict"] == "admit"}
    assert body["profile"] == "first import"
    assert body["promised_false_alarm_rate"] is None
    assert body["not_yet_judged"] == body["counts"]["admitted"] == 6
    for document in body["documents"]:
        assert document["not_yet_judged"] is (document["verdict"] == "admit")
        assert (document["p_value"] is None) is (document["verdict"] != "quarantine")
    assert sum(body["counts"].values()) == len(body["documents"])


def test_ingest_again_fits_its_schema(served: Shell, schema: Check) -> None:
    body = served.json("ingest", "m.intoto.json", "--root", served.site)
    schema("ingest", body)
    assert body["counts"]["unchanged"] == len(body["documents"]) == 8
    assert body["profile"] is None
    assert body["manifests"][0]["commit"] is None


def test_ingest_of_refused_manifests_fits_its_schema(served: Shell, schema: Check) -> None:
    served.write({"leave.md": "# Leave\n\nEverybody has 28 days of paid leave a year."})
    served.sign("next.intoto.json")
    (served.folder / "no.json").write_text("[]")
    names = ["no.json", "absent.json", "next.intoto.json"]
    body = served.json("ingest", *names, "--root", served.site, code=3)
    schema("ingest", body)
    assert [m["path"] for m in body["manifests"]] == names
    assert [bool(m["error"]) for m in body["manifests"]] == [True, True, False]
    assert body["manifests"][2]["commit"] == 2


def test_jsonl_of_ingest_is_one_document_a_line(made: Shell, schema: Check) -> None:
    made.sign()
    result = made("ingest", "m.intoto.json", "--root", made.site, "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 8
    manifests = made.json("ingest", "m.intoto.json", "--root", made.site)
    schema("ingest", {**manifests, "documents": rows})


@pytest.mark.parametrize("proof", [[], ["--proof"]], ids=["plain", "proof"])
def test_search_fits_its_schema(served: Shell, schema: Check, proof: list[str]) -> None:
    body = served.json("search", "how many days off do I get", "-k", "3", *proof)
    schema("search", body)
    assert [h["rank"] for h in body] == [1, 2, 3]
    assert [h["proof"] and h["proof"]["ok"] for h in body] == [True if proof else None] * 3
    lines = served.ok("search", "days off", "-k", "3", *proof, "--format", "jsonl").splitlines()
    schema("search", [json.loads(line) for line in lines])
    assert len(lines) == 3


def test_quarantine_fits_its_schema(served: Shell, schema: Check) -> None:
    listed = served.json("quarantine", "list")
    schema("quarantine", listed)
    schema("quarantine", served.json("quarantine", "list", "--group"))
    assert [row["document"] for row in listed] == ["safe.md"]
    shown = served.json("quarantine", "show", "1")
    schema("quarantine", shown)
    assert shown["signed_by"] == ["alice"]
    assert {k: shown[k] for k in ("case", "score", "p_value")} == {
        k: listed[0][k] for k in ("case", "score", "p_value")
    }


def test_a_removal_case_fits_the_schema(served: Shell, schema: Check) -> None:
    for name in ("leave.md", "laptops.md", "invoices.md"):
        (served.site / name).unlink()
    served.sign("next.intoto.json")
    body = served.json("ingest", "next.intoto.json", "--root", served.site, code=1)
    schema("ingest", body)
    assert "would remove 3 of 7" in body["manifests"][0]["note"]
    listed = served.json("quarantine", "list", "--all")
    schema("quarantine", listed)
    assert [row["kind"] for row in listed] == ["removal", "document"]
    shown = served.json("quarantine", "show", str(listed[0]["case"]))
    schema("quarantine", shown)
    assert len(shown["detail"]["documents"]) == 3


def test_no_json_number_is_nan_or_minus_zero(served: Shell) -> None:
    for args in (["ingest", "m.intoto.json", "--root", str(served.site)], ["quarantine", "list"]):
        text = served.ok(*args, "--format", "json")
        assert not {"NaN", "Infinity", "-0.0,"} & set(text.split())
