"""Pages that a browser draws: what leaves ink is served, and what does not is told."""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ragguard.config import ParseSettings
from ragguard.errors import IncompleteError, UnreadableError
from ragguard.parse import browser
from ragguard.parse.document import PARSER, parse, parser_of
from ragguard.parse.drawn import DrawnText, _matched, look
from ragguard.parse.workers import Read, Source, Unread, read_documents

SHOWN = "Guests sign the book at the desk and return the badge before they leave."
SECRET = "Every visitor may open the safe at any time of the day."
_COVER = "position:absolute;top:0;left:0;right:0;margin:0"
_GIF = "data:image/gif;base64,R0lGODlhAQABAIAAAP///////ywAAAAAAQABAAACAkQBADs="


def page(body: str = "", css: str = "", style: str = "") -> str:
    body = body or f'<div class=q style="{style}">{SECRET}</div>'
    return f"<!doctype html><meta charset=utf-8><style>{css}</style><p>{SHOWN}</p>{body}"


LINKED = "<link rel=stylesheet href=/site.css>"  # which is not there

_SITE = f"<div id=site><p>{SHOWN} {SHOWN}</p><p class=q>{SECRET}</p><p>{SHOWN}</p></div>"
_BOX = "<div style='position:fixed;inset:50px 0 0;background:#fff'><img src=a.gif></div>"

HIDDEN = {
    "lines on one another": page(style="line-height:0;width:60px"),
    "letters on one another": page(style="letter-spacing:-1em"),
    "letters pressed together": page(style="letter-spacing:-.5em"),
    "a strip of four pixels": page(style="max-height:4px;overflow:hidden"),
    "the upper half of a line": page(style="max-height:7px;overflow:hidden"),
    "far too small": page(style="font-size:3px"),
    "nearly of the colour of its ground": page(style="color:#f4f4f4"),
    "blurred": page(style="filter:blur(6px)"),
    "shown as discs": page(style="-webkit-text-security:disc"),
    "under a picture": page(
        f'<div style="position:relative">{SECRET}<img src="{_GIF}" '
        'style="position:absolute;top:0;left:0;width:100%;height:30px"></div>'
    ),
    "under a text with a ground": page(
        f'<div style="position:relative"><p style="margin:0">{SECRET}</p>'
        f'<p style="{_COVER};background:#fff">{SHOWN}</p></div>'
    ),
    "printed over": page(
        f'<div style="position:relative"><p style="margin:0">{SECRET}</p>'
        + "".join(f'<p style="{_COVER};top:{n}px;left:{3 * n}px">{SHOWN}</p>' for n in range(3))
        + "</div>"
    ),
    "white unless it has a style attribute": page(css=".q:not([data-x]){color:#fff}"),
    "white by a layer that wins": page(
        css="@layer a{.q{color:#fff!important;-webkit-text-fill-color:#fff!important}}"
    ),
    "white by an attribute": page(
        f'<div class=q data-c="#fff">{SECRET}</div>', css=".q{color:attr(data-c type(<color>))}"
    ),
    "with white edges over it": page(style="-webkit-text-stroke:6px #fff"),
    "in a row of no height": page(
        '<div style="display:grid;grid-template-rows:0fr">'
        f'<div style="overflow:hidden;min-height:0">{SECRET}</div></div>'
    ),
    "behind a shadow root": page(f"<div><template shadowrootmode=open></template>{SECRET}</div>"),
    "before its animation, which does not run": page(
        css="@keyframes k{from{opacity:0}to{opacity:1}}.q{animation:k 9s paused}"
    ),
    "fixed below the window": page(style="position:fixed;top:200vh"),
    "tiny in a drawing": page(
        f'<svg width=900 height=40 viewBox="0 0 90000 4000"><text x=5 y=2000>{SECRET}</text></svg>'
    ),
    "for browsers without frames": page(f"<noframes>{SECRET}</noframes>"),
    "under a box, and no sheet is missing": page(_SITE + _BOX),
    "under a box of the same part": page(
        f"{LINKED}<div>{_SITE}<div style='position:absolute;top:50px;width:100%;height:90%;"
        f"background:#fff'></div></div><p>x</p>"
    ),
    "under a box, and small": page(
        LINKED + _SITE.replace("<p class=q>", "<p style=zoom:.1>") + _BOX
    ),
    "under a box, and rules see that": page(
        LINKED + _SITE.replace("<p class=q>", "<p class=q style=margin-left:-9999px>") + _BOX
    ),
    "an option that is not offered": page(
        f"<select><option>Yes<option hidden>{SECRET}</select>"
        f"<select><option>No<option style=display:none>{SECRET}</select>"
    ),
    "not laid out at all": page(f"<div style='content-visibility:hidden'><p>{SECRET}</p></div>"),
    "folded away": page(f"<details><summary>More</summary>{SECRET}</details>"),
    "shown by a script": page(
        f'<div class=q>{SECRET}</div><script>document.querySelector(".q").style.color="#000"'
        "</script>",
        css=".q{color:#fff}",
    ),
    "shown by handlers": page(
        f"<div class=q>{SECRET}</div>"
        "<img src=x onload=\"document.querySelector('.q').style.color='#000'\">"
        "<svg onload=\"document.querySelector('.q').style.color='#000'\"></svg>"
        "<iframe src=\"javascript:parent.document.querySelector('.q').style.color=1\"></iframe>",
        css=".q{color:#fff}",
    ),
}

SEEN = {
    "plain": page(),
    "under a box that the site's sheet hides": page(LINKED + _SITE + _BOX),
    "under a box of a form": f"<!doctype html>{LINKED}<form>{_BOX}{_SITE}</form>",
    "by words of one thin letter": page(f"<p>I said | I i l 1 t f</p><p>{SECRET}</p>"),
    "gray and small": page(style="color:#777;font-size:9px"),
    "by its shadow": page(style="color:transparent;text-shadow:0 0 0 #000"),
    "by its edges": page(style="color:#fff;-webkit-text-stroke:1px #000;font-size:30px"),
    "as a hole in a gradient": page(
        style="background:linear-gradient(red,blue);background-clip:text;color:transparent"
    ),
    "white on a picture from elsewhere": page(style="color:#fff;background:url(hero.jpg)"),
    "after it faded in": page(
        css="@keyframes k{from{opacity:0}to{opacity:1}}.q{opacity:0;animation:k 1s 3s forwards}"
    ),
    "further down in a box to scroll": page(
        '<div style="height:100px;overflow:auto"><div style="height:900px">first</div>'
        f"<p>{SECRET}</p></div>"
    ),
    "further right in a listing": page(f'<pre style="overflow:auto">{"x" * 170} {SECRET}</pre>'),
    "beyond a wide listing": page(f"<pre>{'x' * 170} {SECRET}</pre>"),
    "under a bar that stays": page(
        f'<div style="height:800px">x</div><p>{SECRET}</p><div style="height:900px">x</div>'
        '<div style="position:fixed;bottom:0;left:0;right:0;height:120px;background:#ffd">Y</div>'
    ),
    "laid out when it is scrolled to": page(
        f"<div style='height:3000px'>x</div><section style='content-visibility:auto'><p>{SECRET}"
        f"</p><div style='content-visibility:auto'><p>{SECRET}</p></div></section>"
    ),
    "turned": page(style="transform:rotate(90deg);width:400px;margin:200px"),
    "downwards": page(style="writing-mode:vertical-rl;height:500px"),
    "in a drawing": page(f"<svg width=900 height=40><text x=5 y=20>{SECRET}</text></svg>"),
    "in a text field": page(f"<textarea cols=90 rows=3>{SECRET}</textarea>"),
    "in a list to choose from": page(f"<select><option>{SECRET}</select>"),
    "on a button": page(f"<button>{SECRET}</button>"),
    "in narrow columns": page(style="columns:3"),
    "in Arabic beside it": page(f"<p dir=rtl>هذا النص يقرأ إلى اليسار</p><p>{SECRET}</p>"),
    "beyond the basic plane": page(f"<p>\U0001d538\U0001f600 {SECRET}</p>"),
    "where the parser repairs": page(f"<table><b>{SECRET}</b><tr><td>cell</td></tr></table>"),
}


@pytest.fixture(scope="module")
def chromium() -> str:
    try:
        with browser.BROWSERS.borrowed("") as running:
            return running.version
    except IncompleteError as error:
        pytest.skip(f"draws no pages here: {error.message}")


def read(*markups: str, **settings: Any) -> list[Read | Unread]:
    asked = ParseSettings(render="chromium", **settings)
    sources = [Source(markup.encode(), "html") for markup in markups]
    return read_documents(sources, asked, size=1000, overlap=100)


@pytest.fixture(scope="module")
def found(chromium: str) -> dict[str, Read | Unread]:
    everything = HIDDEN | SEEN
    return dict(zip(everything, read(*everything.values()), strict=True))


@pytest.mark.parametrize("kind", HIDDEN)
def test_what_leaves_no_legible_ink_is_told_and_not_served(
    found: dict[str, Read | Unread], kind: str
) -> None:
    one = found[kind]
    assert isinstance(one, Read)
    told = " ".join(h.text for h in one.parsed.hidden if h.kind == "html-no-ink").split()
    served = one.parsed.text.split()
    secret = set(SECRET.rstrip(".").split()) - set(SHOWN.split())
    assert len(secret & set(served)) <= len(secret) // 4
    assert len(secret & set(told)) >= len(secret) * 3 // 4
    assert one.parsed.text.startswith(SHOWN)


def test_a_missing_sheet_shows_no_trick(chromium: str) -> None:
    told = [page for name, page in HIDDEN.items() if LINKED not in page and "no sheet" not in name]
    linked = [
        markup.replace("<meta charset=utf-8>", "<meta charset=utf-8>" + LINKED) for markup in told
    ]
    for one in read(*linked):
        assert isinstance(one, Read)
        secret = set(SECRET.rstrip(".").split()) - set(SHOWN.split())
        assert len(secret & set(one.parsed.text.split())) <= len(secret) // 4


@pytest.mark.parametrize("kind", SEEN)
def test_what_a_reader_sees_is_served(found: dict[str, Read | Unread], kind: str) -> None:
    one = found[kind]
    assert isinstance(one, Read)
    assert SECRET in " ".join(one.parsed.text.split())
    assert not [h for h in one.parsed.hidden if h.kind == "html-no-ink"]


def test_folded_text_is_served_where_the_settings_open_it(chromium: str) -> None:
    folded = HIDDEN["folded away"]
    (one,) = read(folded, details="open")
    assert isinstance(one, Read)
    assert SECRET in one.parsed.text
    assert SECRET in parse(folded.encode(), "html", details=True).text
    assert SECRET not in parse(folded.encode(), "html").text


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and what it was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", paths
        server.shutdown()


def test_a_page_asks_nobody_for_anything(chromium: str, asked: tuple[str, list[str]]) -> None:
    address, paths = asked
    (one,) = read(
        f"<meta http-equiv=refresh content='0;url={address}/refresh'>"
        f"<base href='{address}/'><link rel=stylesheet href=a.css><link rel=prefetch href=b>"
        f"<link rel=preconnect href='{address}'><script src=c.js></script><iframe src=d></iframe>"
        f"<style>@import url({address}/e); @font-face{{font-family:F;src:url(f)}} p{{font-family:F;"
        f"background:url(g)}}</style><p>{SHOWN}<img src=h><object data=i></object>"
        f"<video src=j autoplay></video><embed src=k>"
    )
    assert isinstance(one, Read)
    assert one.parsed.text.startswith(SHOWN)
    assert paths == []


def test_a_browser_that_died_is_replaced(chromium: str) -> None:
    with browser.BROWSERS.borrowed("") as running:
        pid = running._process.pid
    os.killpg(pid, 9)
    (one,) = read(SEEN["plain"])
    assert isinstance(one, Read)
    assert SECRET in one.parsed.text


def test_a_page_that_takes_too_long_is_rejected_and_its_neighbours_are_read(chromium: str) -> None:
    slow = "<div style='filter:blur(99px)'>" * 300 + SHOWN
    heavy = page("<svg width=1200 height=900>" + "<filter id=f><feTurbulence numOctaves=99999 "
                 "baseFrequency=.9 /></filter><rect width=1200 height=900 filter='url(#f)'/></svg>"
                 + slow)  # fmt: skip
    before, one, after = read(
        SEEN["plain"], heavy, SEEN["plain"], processor_seconds=4, wall_factor=1
    )
    assert isinstance(before, Read)
    assert isinstance(after, Read)
    assert isinstance(one, Unread)
    assert "to draw it took more than 4 seconds ([parse] wall_factor)" in one.reason


def names(cmdline: Path, what: str) -> bool:
    try:
        return what.encode() in cmdline.read_bytes()
    except OSError:  # it has ended
        return False


def test_a_stopped_browser_leaves_nothing_behind(chromium: str) -> None:
    running = browser.Browser(browser.find(""))
    running.open(SEEN["plain"], time.monotonic() + 60, details=False)
    running.stop()
    assert not os.path.exists(running._profile)
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if names(p, running._profile)]
    assert not left


def test_a_page_is_given_up_in_time(chromium: str) -> None:
    running = browser.Browser(browser.find(""))
    try:
        with pytest.raises(browser.PageTimeout):
            running.open(SEEN["plain"], time.monotonic(), details=False)
    finally:
        running.stop()


@pytest.mark.parametrize(
    "wish",
    [
        b"nonsense", b"[]", b'{"do": "open"}', b'{"do": "open", "markup": 5}', b'{"do": "stop"}',
        b'{"do": "picture", "x": "0);alert(1", "y": 0, "hidden": []}',
        b'{"do": "picture", "x": 0, "y": 0, "hidden": ["1"]}', b'{"do": "turn", "asked": [["a"]]}',
    ],
)  # fmt: skip
def test_a_worker_gets_nothing_but_drawings(chromium: str, wish: bytes) -> None:
    with (
        browser.BROWSERS.borrowed("") as running,
        pytest.raises(browser.BrowserGone, match="nonsense"),
    ):
        running.answer(wish, time.monotonic() + 60, False)


def test_without_the_browser_nothing_is_read_by_rules_instead() -> None:
    with pytest.raises(IncompleteError, match="no browser at '/nowhere/chromium'") as raised:
        read(SEEN["plain"], chromium="/nowhere/chromium")
    assert raised.value.exit_code == 5
    assert 'render = "rules"' in raised.value.hint


def test_what_does_not_speak_the_protocol_is_no_browser() -> None:
    with pytest.raises(IncompleteError, match="does not start"):
        read(SEEN["plain"], chromium="/bin/true")


def test_how_pages_are_read_is_part_of_the_recipe() -> None:
    assert parser_of(ParseSettings()) == PARSER
    settings = [ParseSettings(render="chromium"), ParseSettings(details="open")]
    assert len({PARSER, *map(parser_of, settings)}) == 3


class Liar:
    """A browser that was taken over."""

    def __init__(self, change: dict[str, Any], picture: bytes = b"") -> None:
        self._said = {
            "texts": ["ab"], "places": [[0, 1, 1, 2]], "marks": [""], "pinned": False,
            "boxes": [[0, 0, 40, 80, 40, 0, 80, 80]], "extent": [200, 300] * 2, **change,
        }  # fmt: skip
        self._drawn = picture

    def open(self, markup: str) -> Any:
        return self._said

    def picture(self, x: int, y: int, hidden: Sequence[int] | None) -> tuple[Any, bytes]:
        return [0, 0], self._drawn

    def turn(self, asked: Sequence[tuple[int, int]]) -> Any:
        return {"movers": [], "boxes": [], "extent": [200, 300] * 2}

    def lift(self) -> Any:
        return self._said["over"]


def png(width: int, height: int) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


BROKEN = bytes(byte - 90 * (place == 36) for place, byte in enumerate(png(200, 300)))  # a length


@pytest.mark.parametrize(
    "change",
    [
        {"texts": [5]}, {"texts": "ab"}, {"places": [[0, 1]]}, {"places": [[0, 9]]},
        {"places": [["a", "b"]]}, {"marks": []}, {"boxes": [[1, 2, 3]]}, {"boxes": None},
        {"bare": 1, "over": 5}, {"bare": 1, "over": [[1, 2]]}, {"bare": 1, "over": {}},
        {"boxes": [[[1], [2]]]}, {"extent": [0, 0, 0, 0]}, {"extent": [9**9] * 4}, {"extent": []},
    ],
    ids=str,
)  # fmt: skip
def test_a_browser_that_lies_is_not_believed(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError, match=r"cannot be drawn|characters"):
        look(Liar(change, png(200, 300)), "ab", ["ab"])


@pytest.mark.parametrize(
    "picture", [b"", b"GIF89a", png(9, 9), png(200, 300)[:80], BROKEN], ids=len
)
def test_a_picture_that_is_none_is_not_read(picture: bytes) -> None:
    with pytest.raises(UnreadableError, match="cannot be drawn"):
        look(Liar({}, picture), "ab", ["ab"])


def test_two_pictures_without_a_difference_show_nothing() -> None:
    assert look(Liar({}, png(200, 300)), "ab", ["ab"]) == [b"\0\0"]


def test_what_the_browser_has_not_is_not_seen() -> None:
    shown = [DrawnText("one two", b"\1" * 7), DrawnText("four", b"\1" * 4)]
    assert _matched(shown, ["one", "two", "four"]) == [b"\1" * 3, b"\1" * 3, b"\1" * 4]
    assert _matched(shown, ["one two", "three", "four"])[1] == b"\0" * 5
    assert _matched(shown, ["one two", "three", "four"])[2] == b"\1" * 4
    assert _matched(shown, ["four"]) == [b"\1" * 4]
    assert _matched([], ["four"]) == [b"\0" * 4]
