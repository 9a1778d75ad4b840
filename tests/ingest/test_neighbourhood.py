"""What stands beside a document judges it: what serves, what waits and what was rejected."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import decide
from tests.support.simulator import HONEST, Gate, outcomes
from tests.support.workspaces.handbook import SMALL, add, judged_handbook_gate, poison


@pytest.fixture
def handbook(tmp_path: Path) -> Iterator[Gate]:
    gate = judged_handbook_gate(tmp_path / "handbook")
    yield gate
    gate.close()


def test_the_like_of_what_was_rejected_is_quarantined_and_the_honest_original_is_not(
    handbook: Gate,
) -> None:
    edits = poison("fact-edit")
    blog = handbook.another("blog")
    path = blog.publish({n: t for n, (t, _) in edits.items()})
    report = handbook.ingest(path, root=blog.folder)
    assert report.counts["quarantined"] >= 4
    let_in = [f"blog/{v.id}" for v in report.documents if v.outcome == "admit"]
    if let_in:
        hold(handbook.workspace, let_in, "one fact was changed")
    assert len(handbook.cases()) == len(edits)
    for case in handbook.cases():
        decide(handbook.workspace, case, "reject", handbook.bob, "one fact was changed")
    again = {f"again/{n}": t.replace(" the ", " our ", 2) for n, (t, _) in edits.items()}
    report = add(handbook, again)
    assert report.counts["quarantined"] == len(edits)
    for verdict in (v for v in report.documents if v.id in again):
        assert {f.check for f in verdict.findings} & {"denylist", "twin_edit"}
    # The honest originals still serve.
    originals = {d for d in handbook.documents() if not d.startswith("again/")}
    assert len(originals) == 132


def test_a_one_fact_edit_is_innocent_alone_and_convicted_by_the_serving_index(
    handbook: Gate, new_gate: Callable[..., Gate]
) -> None:
    name = "operations/returns-rma-guide.md"
    text, metadata = poison("fact-edit")[name]
    alone = new_gate(judge=SMALL).publish({**HONEST, name: text}, metadata={name: metadata})
    assert outcomes(alone)[name] == "admit"
    blog = handbook.another("blog")
    path = blog.publish({name: text}, metadata={name: metadata})
    beside = handbook.ingest(path, root=blog.folder)
    assert beside.documents[0].outcome == "quarantine"
    assert beside.documents[0].findings[0].check == "twin_edit"


def test_the_last_of_a_campaign_is_innocent_alone_and_convicted_by_the_quarantine(
    handbook: Gate, tmp_path: Path
) -> None:
    campaign = {n: t for n, t in poison("question-led").items() if "Who" not in t[0]}
    names = sorted(n for n in campaign if "iban" in campaign[n][0].lower())[:5]
    last, others = names[-1], names[:-1]
    alone = judged_handbook_gate(tmp_path / "alone")
    report = add(alone, {last: campaign[last][0]}, {last: campaign[last][1]})
    alone.close()
    assert report.documents[0].outcome == "admit"
    report = add(
        handbook,
        {n: campaign[n][0] for n in others},
        {n: campaign[n][1] for n in others},
    )
    assert report.counts["quarantined"] == len(others)
    report = add(handbook, {last: campaign[last][0]}, {last: campaign[last][1]})
    (verdict,) = report.documents
    assert verdict.outcome == "quarantine"
    assert "quarantine" in verdict.findings[0].detail


# fmt: off
DISHES = (
    "lentil soup with smoked paprika", "baked cod", "mushroom risotto", "chicken with almonds",
    "pumpkin curry", "pea and mint tart", "beef stew with barley", "spinach dumplings",
    "grilled halloumi", "pork schnitzel", "tomato gnocchi", "fish pie with leeks",
    "black bean chilli", "apple strudel", "roast carrots", "peanut noodles", "onion quiche",
    "cabbage rolls", "plum cake", "venison goulash", "fennel pasta", "potato pancakes",
    "trout in foil", "leek frittata", "rye dumplings", "squash ravioli", "lamb tagine",
    "turnip gratin", "pear crumble", "nettle broth", "duck with prunes", "kohlrabi fritters",
    "barley salad", "sorrel soup",
)
# fmt: on


def _menu(week: int) -> str:
    served = random.Random(week).sample(DISHES, 5)
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    listed = ", ".join(f"{day} {dish}" for day, dish in zip(days, served, strict=True))
    return f"# Canteen menu\n\nThe kitchen in Leeds cooks this in week {week}: {listed}."


def test_a_batch_that_looks_odd_alone_is_ordinary_beside_its_like(
    handbook: Gate,
) -> None:
    """Menus: words and word order nobody knows here, until earlier menus are in the index."""
    batch = {f"menus/week-{w}.md": _menu(w) for w in range(50, 54)}
    menus = [handbook.publisher.folder / "menus"]
    path = handbook.publisher.publish(batch, mode="delta", paths=menus, keep=False)
    alone = handbook.ingest(path, dry_run=True)
    odd = {v.id: v.p_value or 1.0 for v in alone.documents if v.id in batch}
    assert min(odd.values()) < 0.03
    earlier = {f"menus/week-{w}.md": _menu(w) for w in range(20, 48)}
    add(handbook, earlier)
    for case in handbook.cases():
        decide(handbook.workspace, case, "release", handbook.bob, "our menu")
    beside = add(handbook, batch)
    assert beside.counts["admitted"] == len(batch)
    assert min(v.p_value or 1.0 for v in beside.documents if v.id in batch) > min(odd.values())
