"""All protocols, end to end, on a folder made from the handbook."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ragguard.bench import runner
from ragguard.bench.bare_gate import Gate
from ragguard.bench.folds import divide
from ragguard.bench.protocols import bulk
from ragguard.bench.world import PROTOCOLS, draw, simulate, simulators
from ragguard.errors import BenchError
from ragguard.model import FIRST_IMPORT
from tests.bench.conftest import SMALL
from tests.support.bench_folder import REPOSITORY

Report = dict[str, Any]


def _case(report: Report, protocol: str, per_target: int | None = 4) -> Report:
    (found,) = [
        c
        for c in report["cases"]
        if c["protocol"] == protocol and c["per_target"] in (per_target, None)
    ]
    return dict(found)


def test_the_report_fits_its_schema(report: Report) -> None:
    schema = json.loads((REPOSITORY / "docs/schemas/bench.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads(json.dumps(report, allow_nan=False)))


def test_every_protocol_ran(report: Report) -> None:
    assert {c["protocol"] for c in report["cases"]} == set(PROTOCOLS)
    assert [c["per_target"] for c in report["cases"] if c["protocol"] == "bulk"] == [4, 1]
    assert _case(report, "drip")["batches"] == 6


def test_no_check_crashed(report: Report) -> None:
    assert {name for c in report["cases"] for name in c["gate"]["crashed"]} == set()


def test_bulk_finds_the_campaigns_and_says_by_what(report: Report) -> None:
    case = _case(report, "bulk")
    assert case["counts"]["subjects"] == 2 * 6 * 4
    assert case["counts"]["campaigns"] == 6
    assert case["methods"]["ragguard"]["auroc"]["share"] > 0.65
    assert case["gate"]["documents"]["share"] > 0.5
    low, high = case["gate"]["documents"]["interval"]
    assert low <= case["gate"]["documents"]["share"] <= high
    assert sum(case["gate"]["first_findings"].values()) == round(
        case["gate"]["documents"]["share"] * case["counts"]["subjects"]
    )
    assert "collusion" in case["checks"]


def test_every_newcomer_has_one_role(report: Report) -> None:
    for case in report["cases"]:
        counts = case["counts"]
        assert counts["setting_thresholds"] + counts["reported_honest"] == counts["honest"]
        assert sum(case["disjoint"]["setting_thresholds"]) == counts["setting_thresholds"]
        assert sum(case["disjoint"]["reported"]) == counts["reported_honest"] + counts["subjects"]


def test_a_rate_that_cannot_be_resolved_is_null_with_the_reason(report: Report) -> None:
    thousandth = _case(report, "bulk")["methods"]["ragguard"]["at"][0]
    assert thousandth["rate"] == 0.001
    assert thousandth["detection"] is None
    assert thousandth["reason"].endswith("this rate takes 999")
    twentieth = _case(report, "bulk")["methods"]["ragguard"]["at"][2]
    assert twentieth["reason"] is None
    assert twentieth["observed"]["of"] == _case(report, "bulk")["counts"]["reported_honest"]


def test_readers_see_poison_without_the_gate_and_less_behind_it(report: Report) -> None:
    readers = _case(report, "bulk")["readers"]
    let_in, gated = readers["targets"]["let_in"], readers["targets"]["gated"]
    assert let_in["reached"]["share"] > 0.9
    assert gated["poison_in_top_5"] < let_in["poison_in_top_5"]
    assert readers["honest"]["queries"] == 4
    assert readers["honest"]["qrels_dropped"] == 1  # the document that is not in the corpus
    assert readers["honest"]["clean"]["recall@5"] == 1.0


def test_cold_start_and_a_small_whole_index_are_judged_as_first_imports(report: Report) -> None:
    for protocol in ("cold-start", "whole-index"):
        case = _case(report, protocol)
        assert case["gate"]["profile"] == FIRST_IMPORT
        assert case["disjoint"]["fitted_on"] == [0, 0]


def test_a_peer_is_measured_on_the_same_documents(report: Report) -> None:
    assert report["peers"] == ["near newcomers"]
    for protocol in ("bulk", "cold-start", "whole-index", "new-topic"):
        assert set(_case(report, protocol)["methods"]) == {"ragguard", "near newcomers"}
    assert set(_case(report, "drip")["methods"]) == {"ragguard"}  # it has no batches
    assert _case(report, "bulk")["methods"]["near newcomers"]["auroc"]["share"] > 0.8


def test_documents_of_another_topic_are_honest(report: Report) -> None:
    case = _case(report, "new-topic")
    assert case["subjects"] == "honest"
    assert case["family"] == "stars"
    assert case["readers"] == {"honest": None, "targets": None}


def test_the_same_seeds_give_the_same_figures(build: Any) -> None:
    plan = {"protocols": ("bulk",), "campaigns": 3}
    first, second = (runner.run(build(**plan)) for _ in range(2))
    for found in (first, second):
        for case in found["cases"]:
            del case["milliseconds_per_document"]
    assert first == second


def test_a_document_that_was_fitted_on_is_never_reported(build: Any) -> None:
    world = build()
    fold = divide([i.entry.digest for i in world.home], 0.5, seed=0)
    guilty = world.home[int(fold.newcomers[0])]
    indexed = [*(world.home[i] for i in fold.indexed.tolist()), guilty]
    subjects = draw(world.families["led"], 4, 2, "led", 0)
    with (
        Gate(indexed, world.dimensions, 0.05, judge=SMALL) as gate,
        pytest.raises(BenchError, match="1 documents are both fitted_on and"),
    ):
        bulk(world, fold, gate, subjects, 0)


def test_an_attack_on_a_document_that_is_not_indexed_does_not_arrive(build: Any) -> None:
    from dataclasses import replace

    world = build()
    fold = divide([i.entry.digest for i in world.home], 0.5, seed=0)
    inside = world.home[int(fold.indexed[0])].entry.id
    outside = world.home[int(fold.newcomers[0])].entry.id
    led = world.families["led"][:2]
    world.families["led"] = [
        replace(i, entry=replace(i.entry, original=original, campaign=original))
        for i, original in zip(led, (inside, outside), strict=True)
    ]
    ((name, count, batch),) = runner._families(world, fold, fold, 0)
    assert (name, count) == ("led", 1)
    assert [i.entry.original for i in batch] == [inside]


def test_a_plan_with_nothing_to_run_is_refused(build: Any) -> None:
    world = build(protocols=("bulk",))
    world.families = {}
    with pytest.raises(BenchError, match="nothing to run"):
        runner.run(world)
    with pytest.raises(BenchError, match="there are bulk, drip"):
        runner.run(build(protocols=("bulk", "slow")))


def test_protocols_of_one_fold_share_what_a_simulator_wrote(build: Any) -> None:
    world = build(simulate=("question_led",), campaigns=2)
    (entry,) = simulators(world.plan).values()
    fold, other = (divide([i.entry.digest for i in world.home], 0.5, seed) for seed in (0, 1))
    first = simulate(world, entry, fold, 0)
    assert simulate(world, entry, fold, 0) is first
    assert {i.entry.digest for i in simulate(world, entry, other, 1)} != {
        i.entry.digest for i in first
    }
    assert len({i.entry.digest for i in first}) == len(first)
    assert not {i.entry.digest for i in first} & {i.entry.digest for i in world.home}
