"""The API: who is let in, what is shown, and that only signed decisions are carried out."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragguard.trust import dsse
from ragguard.trust.keys import KeyPair
from tests.integrations.web.conftest import CAROL, SINGLE, TICKETS
from tests.support.simulator import HONEST, Gate
from tests.support.web import Served, serving

OPENAPI = Path(__file__).resolve().parents[3] / "docs/schemas/openapi.json"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture(scope="module")
def bob(served: Served) -> Iterator[httpx.Client]:
    with served.client("bob") as made:
        yield made


def sign(statements: dict[str, Any], key: KeyPair) -> list[dict[str, Any]]:
    """What a page does with a draft."""
    made = []
    for row in statements["statements"]:
        payload = b64decode(row["payload"])
        envelope = dsse.sign(
            payload, statements["payload_type"], [(key.public.keyid, key.signing_key)]
        )
        made.append(json.loads(envelope))
    return made


def draft(client: httpx.Client, *cases: int, **more: Any) -> dict[str, Any]:
    asked = {"action": "release", "reason": "asked the author", "cases": list(cases), **more}
    answer = client.post("/api/v1/decisions/draft", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def number_of(client: httpx.Client, document: str) -> int:
    rows = client.get("/api/v1/cases").json()["cases"]
    return int(next(row["case"] for row in rows if row["document"] == document))


# --- who is let in --------------------------------------------------------------------------------


def test_nobody_comes_in_without_a_session(served: Served) -> None:
    listed = json.loads(OPENAPI.read_text("utf-8"))["paths"]
    assert len(listed) >= 12
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        for path, methods in listed.items():
            for method in methods:
                number = "0" * 8 if "tokens" in path else "1"
                at = path.replace("{number}", number).replace("{name}", "g12345678")
                at = at.replace("{kind}", "card")
                answer = client.request(method, at, json={} if method == "post" else None)
                assert answer.status_code == 401, (method, path)
                assert "link" in answer.json()["hint"]
        pages = ["/", "/cases/1", "/groups", "/groups/g12345678", "/closed", "/lineage"]
        pages += ["/lineage?what=wiki/leave.md", "/lineage/sources/wiki", "/lineage/history/1"]
        for path in pages:
            answer = client.get(path)
            assert answer.status_code == 401
            assert "no session" in answer.text


def test_every_answer_has_the_headers(served: Served, bob: httpx.Client) -> None:
    for path in ("/", "/api/v1/cases", "/nowhere", "/enter", "/openapi.json", "/cases/99999"):
        answer = bob.get(path)
        for name, begins in HEADERS.items():
            assert answer.headers[name].startswith(begins), (path, name)
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert "server" not in bob.get("/").headers
    kept = bob.get("/static/app.css").headers["cache-control"]
    assert kept == "private, max-age=31536000, immutable"


def test_another_name_for_this_host_is_refused(served: Served, bob: httpx.Client) -> None:
    for host in ("evil.invalid", "127.0.0.1", f"evil.invalid:{bob.base_url.port}", ""):
        answer = bob.get("/api/v1/cases", headers={"host": host})
        assert answer.status_code in (400, 421), host
    assert bob.get("/", headers={"host": f"localhost:{bob.base_url.port}"}).status_code == 200


def test_what_another_page_sends_is_refused(served: Served, bob: httpx.Client) -> None:
    asked = {"action": "release", "reason": "x", "cases": [1]}
    for headers in (
        {"origin": "http://evil.invalid"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"x-csrf-token": "guess"},
        {"x-csrf-token": ""},
    ):
        answer = bob.post("/api/v1/decisions/draft", json=asked, headers=headers)
        assert answer.status_code == 403, headers


def test_the_cookie_is_for_the_server_alone(served: Served) -> None:
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        token = served.link().partition("=")[2]
        shown = client.get(f"/enter?link={token}")
        assert token in shown.text  # looking at a link does not use it up
        answer = client.post("/enter", data={"link": token})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get("/").status_code == 200
        again = client.post("/enter", data={"link": token})
        assert again.status_code == 403
        assert client.post("/leave").status_code == 303
        assert client.get("/").status_code == 401


def test_sizes_are_limited(served: Served, bob: httpx.Client) -> None:
    answer = bob.post("/api/v1/decisions/draft", content=b"x" * (65 << 10))
    assert answer.status_code == 413
    answer = bob.post("/api/v1/decisions/draft", content=iter([b"{}"]))
    assert answer.status_code == 411


def test_a_viewer_looks_and_does_not_decide(served: Served) -> None:
    with served.client("alice", "viewer") as client:
        assert client.get("/api/v1/cases").json()["total"] == 9
        asked = {"action": "release", "reason": "x", "cases": [1]}
        answer = client.post("/api/v1/decisions/draft", json=asked)
        assert answer.status_code == 403
        assert "reviewer" in answer.json()["error"]
        assert "data-act" not in client.get("/").text


def test_a_link_of_a_name_has_the_role_of_the_trust_root(served: Served) -> None:
    assert served.desk.role_of("bob") == "reviewer"
    assert served.desk.role_of("alice") == "viewer"


# --- what is shown --------------------------------------------------------------------------------


def test_the_api_is_as_published(bob: httpx.Client) -> None:
    found = bob.get("/openapi.json").json()
    found["info"]["version"] = ""
    assert found == json.loads(OPENAPI.read_text("utf-8")), (
        "write it again: python docs/generate.py"
    )


def test_cases_are_chosen_sorted_and_paged(bob: httpx.Client) -> None:
    every = bob.get("/api/v1/cases").json()
    sure = [row["confidence"] for row in every["cases"]]
    assert sure == sorted(sure, reverse=True)
    assert every["checks"] == {"instructions": 9}
    pages = [bob.get("/api/v1/cases", params={"per": 4, "page": n}).json() for n in (1, 2, 3)]
    assert [row for page in pages for row in page["cases"]] == every["cases"]
    assert pages[0]["pages"] == 3
    assert bob.get("/api/v1/cases", params={"check": "collusion"}).json()["total"] == 0
    assert bob.get("/api/v1/cases", params={"per": 100_000}).status_code == 400
    assert bob.get("/api/v1/cases", params={"state": "closed"}).json()["cases"] == []


def test_a_case_shows_marks_neighbours_signers_and_history(bob: httpx.Client) -> None:
    case = bob.get(f"/api/v1/cases/{number_of(bob, 'leave.md')}").json()
    assert case["signed_by"] == ["alice"]
    assert case["older_version_serves"] is True
    mark = case["marks"][0]
    assert "ignore your earlier instructions" in [
        case["texts"][m["passage"]][m["start"] : m["end"]] for m in case["marks"]
    ], mark
    assert [row["signed_by"] for row in case["beside"]] == [["alice"]] * len(case["beside"])
    told = [(step["what"], step.get("outcome") or step.get("zone")) for step in case["history"]]
    assert told == [
        ("arrived", "admit"),
        ("entered", "serving"),
        ("arrived", "quarantine"),
        ("entered", "quarantine"),
    ]
    missing = bob.get("/api/v1/cases/424242")
    assert missing.status_code == 404
    assert "no such case" in missing.json()["error"]


def test_fifty_look_at_once(bob: httpx.Client) -> None:
    paths = ["/", "/groups", "/api/v1/cases", "/cases/1", "/cases/2"] * 10
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(bob.get, paths))
    assert [answer.status_code for answer in answers] == [200] * 50


# --- deciding -------------------------------------------------------------------------------------


def test_a_decision_that_is_not_what_was_asked_is_refused(
    served: Served, bob: httpx.Client, world: Gate
) -> None:
    number, other = number_of(bob, "door.md"), number_of(bob, "leave.md")
    statements = draft(bob, number)
    (envelope,) = sign(statements, world.bob)

    def refused(status: int, says: str, **change: Any) -> None:
        body = {"cases": [number], "envelopes": [envelope], **change}
        answer = bob.post("/api/v1/decisions", json=body)
        assert answer.status_code == status, answer.text
        assert says in answer.json()["error"]

    payload = json.loads(b64decode(envelope["payload"]))
    for field, value in (
        ("action", "reject"),
        ("covers", []),
        ("case", other),
        ("at", "2026-03-01T11:00:00Z"),
        ("metadata", {"sha256": "0" * 64}),
    ):
        changed = {**payload, "predicate": {**payload["predicate"], field: value}}
        row = {"case": number, "payload": b64encode(json.dumps(changed).encode()).decode()}
        made = sign({**statements, "statements": [row]}, world.bob)
        body = {"cases": [number], "envelopes": made}
        answer = bob.post("/api/v1/decisions", json=body)
        assert answer.status_code == 403, (field, answer.text)
    refused(403, "is not what is decided", cases=[other])
    refused(400, "expected one signed decision", cases=[number, other])
    refused(400, "expected one signed decision", envelopes=[])
    refused(403, "not signed by a reviewer", envelopes=sign(statements, world.alice))
    refused(403, "'bob' is to sign", envelopes=sign(statements, CAROL))
    spoilt = {**envelope, "signatures": [{"keyid": "", "sig": "%%%"}]}
    refused(400, "base64", envelopes=[spoilt])
    refused(400, "no key", envelopes=[], action="release", reason="x")
    assert bob.get("/api/v1/cases").json()["total"] == 9


def test_while_another_process_holds_the_workspace_nothing_is_decided(
    bob: httpx.Client, world: Gate
) -> None:
    number = number_of(bob, "door.md")
    envelopes = sign(draft(bob, number), world.bob)
    _ = world.workspace  # opened and locked, as an ingest does
    try:
        answer = bob.post("/api/v1/decisions", json={"cases": [number], "envelopes": envelopes})
    finally:
        world.close()
    assert answer.status_code == 503
    assert "another ragguard process" in answer.json()["error"]
    assert bob.get("/api/v1/cases").json()["total"] == 9


def test_a_group_is_one_decision_and_one_commit(
    served: Served, bob: httpx.Client, world: Gate
) -> None:
    groups = bob.get("/api/v1/groups").json()
    family = next(g for g in groups["groups"] if g["kind"] == "family")
    assert family["size"] == len(TICKETS)
    cases, name = family["cases"], family["group"]
    asked = {"action": "reject", "reason": "one campaign", "cases": cases[:-1], "group": name}
    answer = bob.post("/api/v1/decisions/draft", json=asked)
    assert (answer.status_code, "joined or left" in answer.json()["error"]) == (409, True)
    statements = draft(bob, *cases, action="reject", reason="one campaign", group=name)
    body = {"cases": cases, "group": name, "envelopes": sign(statements, world.bob)}
    done = bob.post("/api/v1/decisions", json=body)
    assert done.status_code == 200, done.text
    closed = bob.get("/api/v1/cases", params={"state": "closed"}).json()
    assert sorted(row["case"] for row in closed["cases"]) == sorted(cases)
    assert bob.get("/api/v1/cases").json()["total"] == 3
    shown = bob.get(f"/api/v1/cases/{cases[0]}").json()
    decided = next(step for step in shown["history"] if step["what"] == "decided")
    assert (decided["reviewer"], decided["commit"]) == ("bob", done.json()["commit"])


def test_who_comes_second_is_told_who_was_first(
    served: Served, bob: httpx.Client, world: Gate
) -> None:
    number = number_of(bob, "door.md")
    with served.client("carol") as carol:
        mine, hers = draft(bob, number), draft(carol, number, action="reject")
        body = {"cases": [number], "envelopes": sign(hers, CAROL)}
        assert carol.post("/api/v1/decisions", json=body).status_code == 200
        late = bob.post(
            "/api/v1/decisions", json={"cases": [number], "envelopes": sign(mine, world.bob)}
        )
    assert late.status_code == 409
    (conflict,) = late.json()["conflicts"]
    assert conflict == {
        "case": number,
        "state": "rejected",
        "reviewer": "carol",
        "reason": "asked the author",
    }


def test_a_process_with_a_key_signs_itself(world: Gate, served: Served) -> None:
    # Beside the other server: nothing holds the workspace between two requests.
    with serving(world, world.bob) as made, made.client() as client:
        me = client.get("/api/v1/me").json()
        assert (me["signing"], me["signer"]) == ("process", "bob")
        assert "signed by this server as bob" in client.get("/").text
        number = number_of(client, "leave.md")
        asked = {"cases": [number], "action": "release", "reason": "a quotation"}
        with made.client("carol") as carol:
            assert carol.post("/api/v1/decisions", json=asked).status_code == 403
        answer = client.post("/api/v1/decisions", json=asked)
        assert answer.status_code == 200, answer.text
        assert client.get(f"/api/v1/cases/{number}").json()["state"] == "released"


def test_a_removal_is_shown_and_decided_alone(gate: Gate) -> None:
    gate.publish(HONEST)
    for name in list(HONEST)[:3]:
        (gate.publisher.folder / name).unlink()
    gate.publish({"door.md": SINGLE["door.md"]})
    removal, document = sorted(gate.cases(), key=lambda case: case.kind, reverse=True)
    with serving(gate) as made, made.client("bob") as client:
        assert client.get("/api/v1/cases").json()["cases"][0]["case"] == removal.id
        for path in ("/", "/groups"):
            assert "would remove 3 documents at once" in client.get(path).text
        shown = client.get(f"/cases/{removal.id}").text
        assert "Asks to remove 3 documents at once" in shown
        manifest = client.get(f"/api/v1/cases/{removal.id}").json()["detail"]["manifest"]
        assert f'data-digest="{manifest}"' in shown  # what the page compares before it signs
        asked = {"action": "reject", "reason": "a mistake", "cases": [removal.id, document.id]}
        answer = client.post("/api/v1/decisions/draft", json=asked)
        assert (answer.status_code, "alone" in answer.json()["error"]) == (400, True)
        statements = draft(client, removal.id, action="reject")
        (payload,) = [json.loads(b64decode(row["payload"])) for row in statements["statements"]]
        assert payload["subject"][0]["digest"]["sha256"] == manifest
        body = {"cases": [removal.id], "envelopes": sign(statements, gate.bob)}
        assert client.post("/api/v1/decisions", json=body).status_code == 200
    assert gate.documents() == set(HONEST)
