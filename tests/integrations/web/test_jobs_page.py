"""The page of jobs in a real browser: asked for, watched, cancelled; read without scripts too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integrations.web.test_jobs import site_gate
from tests.integrations.web.test_pages import SIZES, grave
from tests.support.sitting import Desk, sitting
from tests.support.web import serving


def test_an_operator_asks_watches_and_cancels(browser: Any, tmp_path: Path) -> None:
    with (
        site_gate(tmp_path / "m") as (gate, site),
        serving(gate) as served,
        sitting(browser, served) as desk,
    ):
        page = desk.page
        page.click('#views a[href="/jobs"]')
        page.wait_for_selector("#jobs:has-text('No job runs')")
        page.get_by_role("button", name="Ingest wiki").click()
        page.wait_for_selector("h1:has-text('Job 1 runs: ingest wiki')")
        assert page.wait_for_selector("#steps li").inner_text().split() == ["read", "0", "of", "7"]
        assert page.get_by_role("button", name="Full audit").is_disabled()
        found = grave(page, "/jobs while one runs")
        page.get_by_role("button", name="Cancel job 1").click()
        page.wait_for_selector("#job:has-text('cannot be cancelled any more')")
        site.open.set()
        page.wait_for_selector("#said:has-text('Job 1 is cancelled.')")
        page.wait_for_selector("#ran .badge:has-text('cancelled')")

        # Stages appear and go on without the page being loaded again.
        site.open.clear()
        site.asked.clear()
        page.get_by_role("button", name="Ingest wiki").click()
        page.wait_for_selector("h1:has-text('Job 2 runs')")
        loaded = sum(url.endswith("/jobs") for url in desk.asked)
        stages = "new Set([...document.querySelectorAll('#steps li')].map(li => li.dataset.stage))"
        page.evaluate(
            f"""() => {{ window.seen = new Set(); new MutationObserver(() =>
            {{ for (const s of {stages}) window.seen.add(s); }})
            .observe(document.querySelector('#steps'), {{ childList: true }}); }}"""
        )
        site.open.set()
        page.wait_for_selector("#said:has-text('Job 2 is done.')", timeout=120_000)
        assert {"load model", "checks", "commit"} <= set(page.evaluate("[...window.seen]"))
        assert sum(url.endswith("/jobs") for url in desk.asked) == loaded + 1  # at its end
        page.wait_for_selector("#ran li:has-text('wiki version 2: commit 2')")
        assert desk.complaints == []
        assert found + grave(page, "/jobs afterwards") == []


@pytest.mark.parametrize("width", SIZES)
def test_it_is_read_without_scripts_by_loading_it_again(
    browser: Any, tmp_path: Path, width: int
) -> None:
    with site_gate(tmp_path / "m") as (gate, site), serving(gate) as served:
        size = {"width": width, "height": SIZES[width]}
        context = browser.new_context(viewport=size, java_script_enabled=False)
        try:
            page = Desk(context, served).page
            page.goto(served.link())
            page.get_by_role("button", name="Come in").click()
            with served.client() as client:
                asked = {"job": "ingest", "source": "wiki"}
                assert client.post("/api/v1/jobs", json=asked).status_code == 202
                assert site.asked.wait(60)
                page.goto(f"{served.url}/jobs")
                assert "Load the page again" in page.inner_text("#job")
                assert page.locator("#steps li").inner_text().split() == ["read", "0", "of", "7"]
                site.open.set()
                client.get("/api/v1/jobs/1/events")  # to its end
            page.reload()
            assert "wiki version 2: commit 2" in page.inner_text("#ran")
            assert page.inner_text("h1") == "No job runs"
        finally:
            context.close()
