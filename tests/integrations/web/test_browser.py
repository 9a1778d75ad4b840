"""The page in a real browser: by keyboard, signed where the key is, and deaf to what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragguard.ledger import commits
from ragguard.lineage.prove import verify_log
from ragguard.trust import keys
from tests.integrations.web.conftest import CAROL, HOSTILE, ODD, TICKETS
from tests.support.simulator import Gate
from tests.support.sitting import sitting
from tests.support.web import Served
from tests.support.workspaces.ledger_rows import decision_on

VECTORS = Path(__file__).resolve().parents[3] / "docs/vectors/decision.json"
# Runs the published vectors through the page's own modules.
RUN = """async (vectors) => {
  const dsse = await import("/static/dsse.js"), keys = await import("/static/keys.js");
  const b64 = dsse.toBase64, raw = dsse.fromBase64;
  const key = await keys.openKey(JSON.stringify(vectors.key));
  const made = [];
  for (const row of vectors.decisions) {
    const payload = raw(row.payload);
    const other = { ...row, reason: row.reason + " " };
    made.push({
      pae: b64(dsse.pae(row.envelope.payloadType, payload)),
      envelope: await dsse.envelope(row.envelope.payloadType, payload, key),
      same: dsse.differs(payload, row), other: dsse.differs(payload, other),
    });
  }
  let readable = true;
  try { await crypto.subtle.exportKey("pkcs8", key.privateKey); } catch { readable = false; }
  const refused = [];
  for (const text of vectors.bad) {
    try { await keys.openKey(text); refused.push(""); } catch (e) { refused.push(e.message); }
  }
  return { pae: vectors.pae.map((r) => b64(dsse.pae(r.payload_type, raw(r.payload)))),
           made, readable, refused, keyid: key.keyid, principal: key.principal };
}"""


def test_the_page_encodes_and_signs_as_published(browser: Any, served: Served) -> None:
    vectors = json.loads(VECTORS.read_text("utf-8"))
    pair = keys.load_private(json.dumps(vectors["key"]).encode(), None)
    public = keys.dump_public(pair.public).decode()
    locked = {**vectors["key"], "secretbox": "00"}
    another = {**vectors["key"], "seed": "11" * 32}
    vectors["bad"] = [public, json.dumps(locked), json.dumps(another), "no key", "{}"]
    with sitting(browser, served) as desk:
        found = desk.page.evaluate(RUN, vectors)
    assert found["pae"] == [row["pae"] for row in vectors["pae"]]
    assert [row["pae"] for row in found["made"]] == [row["pae"] for row in vectors["decisions"]]
    # Ed25519 has one signature for a key and a message: another would be a mistake.
    envelopes = [row["envelope"] for row in vectors["decisions"]]
    assert [row["envelope"] for row in found["made"]] == envelopes
    assert [row["same"] for row in found["made"]] == [""] * 3
    assert [row["other"] for row in found["made"]] == ["its reason is another"] * 3
    assert (found["keyid"], found["principal"]) == (pair.public.keyid, "bob")
    assert found["readable"] is False
    for said, says in zip(
        found["refused"],
        ["public half", "passphrase", "do not belong together", "no key file", "no private key"],
        strict=True,
    ):
        assert says in said


def test_hostile_text_is_shown_as_text_and_does_nothing(browser: Any, served: Served) -> None:
    with sitting(browser, served) as desk:
        desk.show(ODD)
        for path in ("/groups", "/closed", "/"):
            desk.page.click(f'#views a[href="{path}"]')
            desk.page.wait_for_selector(f'#views a[href="{path}"][aria-current]')
        number = desk.show(ODD)
        desk.page.goto(f"{desk.url}/cases/{number}")
        shown = desk.page.inner_text("#case")
        assert HOSTILE in shown
        assert ODD in shown
        assert "\\u{202e}\\x1b[31m" in shown
        assert desk.page.locator("#case script, #case img, #queue img").count() == 0
        desk.press("?")
        desk.page.wait_for_selector("#help[open]")
        assert desk.complaints == []


def test_a_reviewer_decides_by_keyboard_and_the_key_stays_in_the_page(
    browser: Any, served: Served, world: Gate, tmp_path: Path
) -> None:
    seed = bytes(world.bob.signing_key).hex()
    with sitting(browser, served, "bob", world.bob, tmp_path) as desk:
        bodies: list[str] = []
        desk.page.on("request", lambda request: bodies.append(request.post_data or ""))
        first = desk.show("door.md")
        desk.decide("x", "an order to the model")
        desk.page.wait_for_selector(f'#case:not([data-case="{first}"])')
        desk.press("u")
        desk.page.wait_for_selector("#tray", state="hidden")
        desk.page.wait_for_selector(f'#case[data-case="{first}"]')
        desk.decide("x", "an order to the model")
        second = desk.show(ODD)
        desk.decide("r", "a test of the page")
        assert "2 in the tray" in desk.page.inner_text("#tray")
        assert "2 cases decided" in desk.commit()
        desk.page.wait_for_selector(f'.items li[data-case="{first}"]', state="detached")
        assert desk.page.locator("#tray").is_hidden()
    assert any("envelopes" in body for body in bodies)
    assert seed not in "".join([*bodies, *desk.asked])
    with world.workspace.ledger.reading() as conn:
        rejected, released = decision_on(conn, first), decision_on(conn, second)
    world.close()
    assert (rejected.action, rejected.reviewer) == ("reject", "bob")
    assert (released.action, released.reason) == ("release", "a test of the page")


def test_of_two_reviewers_on_one_case_one_wins_and_the_other_is_told(
    browser: Any, served: Served, world: Gate, tmp_path: Path
) -> None:
    with (
        sitting(browser, served, "bob", world.bob, tmp_path) as bob,
        sitting(browser, served, "carol", CAROL, tmp_path) as carol,
    ):
        number = bob.show("leave.md")
        assert carol.show("leave.md") == number
        bob.decide("r", "it quotes an attack")
        carol.decide("x", "it is one")
        bob.commit()
        carol.press("c")
        said = carol.page.wait_for_selector("#said .bad").inner_text()
        assert f"case {number} is released by bob" in said
        carol.page.wait_for_selector("#tray", state="hidden")
        carol.page.wait_for_selector(f'.items li[data-case="{number}"]', state="detached")


def test_a_group_is_decided_at_once(
    browser: Any, served: Served, world: Gate, tmp_path: Path
) -> None:
    with sitting(browser, served, "", world.bob, tmp_path) as desk:
        desk.page.click('#views a[href="/groups"]')
        desk.page.click(".groups a:has-text('family')")
        desk.page.wait_for_selector("#group")
        numbers = desk.page.eval_on_selector_all(
            "#members li", "rows => rows.map((row) => Number(row.dataset.case))"
        )
        assert len(numbers) == len(TICKETS)
        desk.decide("x", "one and the same order")
        assert f"{len(numbers)} in the tray" in desk.page.inner_text("#tray")
        assert f"{len(numbers)} cases decided" in desk.commit()
    with world.workspace.ledger.reading() as conn:
        rows = [decision_on(conn, number) for number in numbers]
        (made,) = {row.commit for row in rows}
        found = commits.get(conn, made)
    assert found is not None
    assert (found.kind, {row.action for row in rows}) == ("reject", {"reject"})
    assert verify_log(world.workspace).problems == []
    world.close()
