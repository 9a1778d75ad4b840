"""Every page there is: hostile text does nothing on it, and everybody can read it.

Pages are taken from the application itself, so a new one is walked too. An address with a name in
it is filled here, or from a link of another page; one that nothing leads to fails the walk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from ragguard.integrations.jobs import kept
from ragguard.integrations.jobs.kept import Row
from ragguard.quarantine import spot_check
from tests.integrations.web.conftest import CAROL, HOSTILE, ODD, SINGLE, TICKETS
from tests.support.routes import routes
from tests.support.simulator import HONEST, Gate
from tests.support.sitting import Desk
from tests.support.web import Served, serving

LINK = re.compile(r'href="(/[^"?#]*)"')
AT = "2026-03-01T12:00:00Z"
GRAVE = {"serious", "critical"}
SIZES = {1280: 900, 390: 844}
# Addresses that are no pages.
BESIDE = ("/static/{name}", "/openapi.json", "/metrics")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Every field that a stranger writes is hostile: names, texts, metadata, titles; one closed."""
    gate = Gate(tmp_path_factory.mktemp("pages"))
    gate.trust(CAROL, role="reviewer")
    hostile = {"title": HOSTILE, "department": HOSTILE, HOSTILE: [HOSTILE, HOSTILE]}
    gate.publish({**HONEST, f"{HOSTILE[:60].replace('/', '')}.md": f"# {HOSTILE}\n\nFine."})
    gate.publish({**TICKETS, **SINGLE}, metadata={name: hostile for name in (*TICKETS, ODD)})
    for _ in range(2):  # the first says what the second is drawn by
        spot_check.draw(gate.workspace)
    row = Row(number=1, job="ingest", source=HOSTILE, by=HOSTILE, state="failed", began=AT)
    said = {"said": [HOSTILE], "counts": {HOSTILE: 1}, "exit_code": 3, "ended": AT}
    kept.begin(gate.folder / "w", row.model_copy(update=said))
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def served(world: Gate) -> Iterator[Served]:
    with serving(world, world.bob) as made:
        with made.client() as client:
            rows = client.get("/api/v1/cases").json()["cases"]
            number = next(row["case"] for row in rows if row["document"] == "door.md")
            body = {"cases": [number], "action": "reject", "reason": HOSTILE}
            assert client.post("/api/v1/decisions", json=body).status_code == 200
        yield made


@pytest.fixture(scope="module")
def pages(served: Served) -> list[str]:
    """Addresses of all pages; of a case the hostile one and the closed one."""
    found = served.desk.queue().entries
    odd = next(e.case.id for e in found if e.case.document == ODD)
    closed = served.desk.queue(closed=True).entries[0].case.id
    family = next(g.id for g in served.desk.queue().groups if len(g.entries) > 1)
    where = {
        "/cases/{number}": [f"/cases/{odd}", f"/cases/{closed}"],
        "/groups/{name}": [f"/groups/{family}"],
    }
    paths = [
        path
        for method, path in routes(served)
        if method == "GET" and not path.startswith("/api/") and path not in BESIDE
    ]
    made = [path for path in paths if "{" not in path]
    with served.client() as client:
        links = {link for path in made for link in LINK.findall(client.get(path).text)}
    for path in set(paths) - set(made):
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/?]+", path))
        found = where.get(path) or sorted(filter(pattern.fullmatch, links))[:1]
        assert found, f"{path}: no page has a link to one; say in this test what fills it"
        made += found
    assert {"/", "/groups", "/closed", "/enter", f"/cases/{odd}"} <= set(made)
    return [*made, "/nowhere", "/?check=nothing"]


def test_hostile_text_does_nothing_on_any_page(
    browser: Any, served: Served, pages: list[str]
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        desk = Desk(context, served)
        desk.come_in(served.link())
        texts = {}
        for path in pages:
            desk.page.goto(f"{served.url}{path}")
            desk.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            made = desk.page.locator("img, iframe, object, embed, script:not([src])")
            assert made.count() == 0, path
            assert desk.page.locator("[onerror], [onload], [onclick], [style]").count() == 0, path
            texts[path] = desk.page.inner_text("body")
        refused = [c for c in desk.complaints if "404" not in c]
    finally:
        context.close()
    assert sum(HOSTILE in text for text in texts.values()) >= 3  # it was there, as text
    assert desk.dialogs == []
    assert refused == []
    assert [url for url in desk.asked if not url.startswith(served.url)] == []


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_on_any_page(
    browser: Any, served: Served, pages: list[str], scheme: str, width: int
) -> None:
    """axe-core's rules for WCAG 2.2 A and AA and its best practices; dialogs open too."""
    context = browser.new_context(
        viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme
    )
    found: list[str] = []
    try:
        desk = Desk(context, served)
        page = desk.page
        page.goto(served.link())
        found += grave(page, "/enter?link=")
        page.get_by_role("button", name="Come in").click()
        page.wait_for_selector("body[data-ready] #queue")
        for path in pages:
            page.goto(f"{served.url}{path}")
            found += grave(page, path)
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{path} is {wide} px wider than the window"
        page.goto(f"{served.url}{next(p for p in pages if p.startswith('/cases/'))}")
        page.wait_for_selector("body[data-ready]")
        for pressed, opened in (("?", "#help[open]"), ("r", "#decide[open]")):
            page.keyboard.press(pressed)
            page.wait_for_selector(opened)
            found += grave(page, opened)
            page.keyboard.press("Escape")
    finally:
        context.close()
    assert found == []


def grave(page: Any, where: str) -> list[str]:
    """Serious and critical findings of axe-core on the page as it stands."""
    page.evaluate(Axe().axe_script)
    result = page.evaluate("axe.run({resultTypes: ['violations']})")
    assert len(result["passes"]) > 5, where  # it looked
    return [
        f"{where}: {row['id']} ({row['impact']}) {node['target']}: {node['failureSummary']}"
        for row in result["violations"]
        for node in row["nodes"]
        if row["impact"] in GRAVE
    ]
