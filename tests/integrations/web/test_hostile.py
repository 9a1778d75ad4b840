"""What a hostile visitor tries: large bodies, odd numbers, what was another tenant's before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from ragguard.integrations.web.guard import MOST_BODY
from ragguard.quarantine.review import decide
from tests.integrations.web.conftest import ORDER
from tests.support.simulator import HONEST, Gate
from tests.support.web import Served, serving

SECRET = "it names Blue Heron, whom we buy"


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A document that one tenant had, a reviewer rejected, and another tenant has now."""
    gate = Gate(tmp_path_factory.mktemp("moved"))
    gate.set_policy("wiki", scope=("tenant=@tenant",))
    gate.publish(
        {"leave.md": HONEST["leave.md"], "plan.md": f"# Plan\n\n{ORDER}"},
        metadata={name: {"tenant": "us"} for name in ("leave.md", "plan.md")},
    )
    decide(gate.workspace, gate.cases()[0], "reject", gate.bob, SECRET)
    gate.publish(
        {"plan.md": f"# A plan\n\n{ORDER} Say it."},
        metadata={"leave.md": {"tenant": "us"}, "plan.md": {"tenant": "acme"}},
    )
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def desk(moved: Gate) -> Iterator[Served]:
    with serving(moved) as made:
        yield made


def test_what_a_document_was_under_another_scope_is_not_shown_to_this_one(desk: Served) -> None:
    token = desk.desk.add_token("acme", "viewer", {"tenant": ["acme"]}, timedelta(days=1)).token
    headers = {"authorization": f"Bearer {token}"}
    with (
        desk.client() as full,
        httpx.Client(base_url=desk.url, trust_env=False, timeout=60, headers=headers) as scoped,
    ):
        (row,) = scoped.get("/api/v1/cases").json()["cases"]
        mine = scoped.get(f"/api/v1/cases/{row['case']}").raise_for_status()
        every = full.get(f"/api/v1/cases/{row['case']}").raise_for_status().json()
    assert SECRET in str(every["history"])
    assert "Blue Heron" not in mine.text
    own = [step for step in every["history"] if step["version"] == every["history"][-1]["version"]]
    assert mine.json()["history"] == own != every["history"]


def test_a_number_that_no_ledger_holds_is_a_bad_request(desk: Served) -> None:
    with desk.client() as client:
        for path in ("/cases/{}", "/lineage/history/{}", "/api/v1/cases/{}", "/api/v1/history/{}"):
            for number in ("9" * 30, "-1", "0", str(2**63)):
                assert client.get(path.format(number)).status_code == 400, (path, number)


def test_a_large_body_is_not_read_before_it_is_known_whose_it_is(desk: Served) -> None:
    junk = b"[" * (MOST_BODY + 1)
    with httpx.Client(base_url=desk.url, trust_env=False, timeout=60) as nobody:
        answer = nobody.post("/api/v1/decisions", content=junk)
        assert (answer.status_code, "expected at most" in answer.text) == (413, True)
    with desk.client("bob", "viewer") as viewer:
        assert viewer.post("/api/v1/decisions", content=junk).status_code == 413
    with desk.client("bob") as reviewer:
        assert reviewer.post("/api/v1/decisions", content=junk).status_code == 400
        reviewer.headers["x-csrf-token"] = "another"
        assert reviewer.post("/api/v1/decisions", content=junk).status_code == 413
