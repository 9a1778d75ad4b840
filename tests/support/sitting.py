"""Somebody in front of the review page: what he presses, and what the browser did beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragguard.trust.keys import KeyPair
from tests.support.web import Served, key_file


class Desk:
    """A page of somebody who came in, and what it did beside."""

    def __init__(self, context: Any, served: Served) -> None:
        self.page = context.new_page()
        self.asked: list[str] = []
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.url = served.url

    def _dialog(self, dialog: Any) -> None:
        if dialog.type != "beforeunload":
            self.dialogs.append(dialog.message)
        dialog.accept()

    def come_in(self, link: str) -> None:
        self.page.goto(link)
        self.page.get_by_role("button", name="Come in").click()
        self.page.wait_for_selector("body[data-ready] #queue")

    def open_key(self, path: Path) -> None:
        self.page.set_input_files("#key-file", str(path))
        self.page.wait_for_selector("#key-button.good")

    def press(self, *pressed: str) -> None:
        for one in pressed:
            self.page.keyboard.press(one)

    def decide(self, letter: str, reason: str) -> None:
        self.page.wait_for_selector("body:not([aria-busy=true])")  # keys decide only what is shown
        self.press(letter)
        self.page.wait_for_selector("#decide[open]")
        self.page.keyboard.type(reason)
        self.press("Enter")
        self.page.wait_for_selector("#decide:not([open])", state="attached")

    def show(self, document: str) -> int:
        """Choose a case in the list; returns its number."""
        item = self.page.locator(".items li", has_text=document)
        number = int(item.get_attribute("data-case"))
        item.locator("a.item").click()
        self.page.wait_for_selector(f'body:not([aria-busy=true]) #case[data-case="{number}"]')
        return number

    def commit(self) -> str:
        self.press("c")
        return str(self.page.wait_for_selector("#said p:has-text('decided, commit')").inner_text())


@contextmanager
def sitting(
    browser: Any, served: Served, who: str = "", key: KeyPair | None = None, folder: Path = Path()
) -> Iterator[Desk]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    try:
        desk = Desk(context, served)
        desk.come_in(served.link(who))
        if key is not None:
            desk.open_key(key_file(folder, key))
        yield desk
    finally:
        context.close()
    assert desk.dialogs == []
    assert [url for url in desk.asked if not url.startswith((served.url, "blob:", "data:"))] == []
