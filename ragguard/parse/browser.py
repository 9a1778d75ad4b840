"""Draw pages in a Chromium without network, without their scripts, in its own sandbox.

The browser is told what to do over a pipe (the DevTools protocol), so there is no port that others
could reach; it ends when the pipe does, so with this process. It starts with an empty profile, an
environment without secrets and, where the system allows it, in a network namespace without a
network. Every request of a page is answered here: the page itself with the markup to draw, images
with a gray pixel, all else with nothing. A policy that comes with the markup forbids scripts; what
is asked is asked from a world of its own (`page.js`). The browser's sandbox is never switched off.
Each page gets an origin, and so a process, of its own.

What comes back was made by something that read hostile markup: it is handed on as bytes and looked
at in the worker that reads the document (`parse.worker`), not here.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from ragguard.errors import IncompleteError

NAMES = (
    "chromium", "chromium-browser", "chromium-headless-shell", "chrome-headless-shell",
    "google-chrome", "google-chrome-stable",
)  # fmt: skip
WINDOW = (1280, 1000)  # pixels

_START_SECONDS = 120.0
_MEMORY = 2 << 30  # bytes of data of each of its processes
_LARGEST = 256 << 20  # bytes of one message
_PAGES = 200  # that one browser draws before another takes its place
_POLICY = "default-src 'none'; style-src 'unsafe-inline' data:; font-src data:; img-src * data:"
_GRAY = (  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_FLAGS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check",
    "--disable-gpu", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-breakpad", "--disable-dev-shm-usage",
    "--disable-lcd-text", "--disable-smooth-scrolling", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-client-side-phishing-detection", "--mute-audio",
    "--disable-features=BackForwardCache,Translate,MediaRouter,OptimizationHints",
    "--hide-scrollbars", "--font-render-hinting=none", "--force-color-profile=srgb",
    "--force-device-scale-factor=1", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=http://127.0.0.1:9", "--deny-permission-prompts", "--password-store=basic",
)  # fmt: skip
_KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH")
# The program that becomes the browser: arguments are bytes of memory, and the command.
_LAUNCH = """
import ctypes, os, resource, sys
memory, *command = sys.argv[1:]
os.dup2(int(command.pop(0)), 63), os.dup2(int(command.pop(0)), 64), os.dup2(63, 3), os.dup2(64, 4)
os.closerange(5, 65)
for number in (3, 4):
    os.set_inheritable(number, True)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
if sys.platform.startswith("linux"):
    system, user, group = ctypes.CDLL(None), os.geteuid(), os.getegid()
    if not system.unshare(0x10000000 | 0x40000000 | 0x08000000):  # user, network, IPC
        for path, said in (
            ("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")
        ):
            with open("/proc/self/" + path, "w") as file:
                file.write(said)
os.execv(command[0], command)
"""


class BrowserGone(Exception):
    """The browser ended, or said what it cannot have said."""


class PageTimeout(Exception):
    """A page took longer than it may."""


def find(path: str) -> str:
    """Return the browser to use.

    Args:
        path: As set; empty: the first of `NAMES` that is installed.

    Raises:
        IncompleteError: There is none, or what reads its pictures is not installed.
    """
    if find_spec("PIL") is None:
        raise IncompleteError(
            '[parse] render = "chromium": pillow is not installed',
            hint="pip install 'ragguard[render]'",
        )
    program = shutil.which(path) if path else next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise IncompleteError(
            f'[parse] render = "chromium": no browser at {path!r}'
            if path
            else f'[parse] render = "chromium": none of {", ".join(NAMES[:3])} is installed',
            hint="Install one (Debian: apt-get install chromium), name it in [parse] chromium or "
            'RAGGUARD_PARSE__CHROMIUM, or set [parse] render = "rules" and rebuild the index.',
        )
    return program


class Browser:
    """A running browser that draws one page at a time.

    Raises:
        IncompleteError: It does not start.
    """

    def __init__(self, path: str) -> None:
        self.pages = 0
        self._number = 0
        self._held = bytearray()
        self._markup: bytes | None = None
        self._session = ""
        self._context = 0
        self._loaded = False
        self._crashed = False
        self._profile = tempfile.mkdtemp(prefix="ragguard-")
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()
        os.set_blocking(self._write, False)
        self._process = subprocess.Popen(  # noqa: S603 - the browser that the settings name
            [
                *(sys.executable, "-I", "-c", _LAUNCH, str(_MEMORY)),
                *(str(theirs_in), str(theirs_out), path),
                *(*_FLAGS, f"--user-data-dir={self._profile}", "about:blank"),
            ],
            pass_fds=[theirs_in, theirs_out],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._profile,
            env={k: os.environ[k] for k in _KEPT if k in os.environ}
            | {"HOME": self._profile, "TMPDIR": self._profile, "XDG_RUNTIME_DIR": self._profile},
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._until = time.monotonic() + _START_SECONDS
        try:
            self.version = str(self._call("Browser.getVersion")["product"])
            self._attach()
        except (BrowserGone, PageTimeout, KeyError, TypeError):
            self.stop()
            raise IncompleteError(
                f'[parse] render = "chromium": {path} does not start',
                hint="Its sandbox needs user namespaces (in a container they must be allowed) or "
                "its own setuid helper (Debian: apt-get install chromium-sandbox).",
            ) from None

    def _attach(self) -> None:
        """Open a window."""
        context = self._call("Target.createBrowserContext")["browserContextId"]
        width, height = WINDOW
        asked = {"url": "about:blank", "browserContextId": context}
        target = self._call("Target.createTarget", asked)["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        for method, parameters in (
            ("Page.enable", {}),
            ("Inspector.enable", {}),
            ("Emulation.setDeviceMetricsOverride", size),
            ("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}),
        ):
            self._call(method, parameters)

    def open(self, markup: str, until: float, *, details: bool) -> bytes:
        """Load a page.

        Args:
            markup: Of the whole page.
            details: Whether to open what is folded away.
            until: Time by `time.monotonic` at which it is given up, whatever is asked about it.

        Returns:
            JSON: what `begin` of `page.js` says.

        Raises:
            Gone, Late: It cannot be drawn.
        """
        self.pages += 1
        self._until = until
        self._markup = markup.encode("utf-8", "replace")
        self._loaded = False
        went = self._call("Page.navigate", {"url": f"http://page{self.pages}.invalid/"})
        while not self._loaded:
            self._event(self._message())
        world = {"frameId": went["frameId"], "worldName": "ragguard"}
        self._context = self._call("Page.createIsolatedWorld", world)["executionContextId"]
        script = files("ragguard.parse").joinpath("page.js").read_text("utf-8")
        self._said(script.replace("%NAME%", "r" + secrets.token_hex(8)))
        return self._said(f"ragguard.begin({json.dumps(details)})")

    def picture(self, x: int, y: int, hidden: list[int] | None) -> tuple[bytes, bytes]:
        """Draw a part of the page.

        Args:
            x: Its left edge on the page.
            y: Its top.
            hidden: Numbers of text nodes that are taken away; `None` for all.

        Returns:
            JSON of where it scrolled to, and a PNG of the window.

        Raises:
            Gone, Late: It cannot be drawn.
        """
        at = self._said(f"ragguard.show({json.dumps(x)}, {json.dumps(y)}, {json.dumps(hidden)})")
        drawn = self._call("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        return at, base64.b64decode(drawn["data"])

    def turn(self, unseen: list[list[int]]) -> bytes:
        """Scroll inner boxes.

        Args:
            unseen: Pairs of a text node and one of its glyphs that is to be brought into view.

        Returns:
            JSON: what `turn` of `page.js` says.

        Raises:
            Gone, Late: It cannot be drawn.
        """
        return self._said(f"ragguard.turn({json.dumps(unseen)})")

    def lift(self) -> bytes:
        """Take away what stands beside the main part of the page.

        Returns:
            JSON: what `lift` of `page.js` says.

        Raises:
            Gone, Late: It cannot be drawn.
        """
        return self._said("ragguard.lift()")

    def answer(self, wish: bytes, until: float, details: bool) -> tuple[bytes, bytes]:
        """Do what a worker wishes, which may have been taken over and ask for anything.

        Args:
            wish: JSON: `do` names a method, the rest are its arguments.
            until: See `open`.
            details: See `open`.

        Returns:
            JSON, and a PNG where the wish was a picture.

        Raises:
            Gone, Late: It cannot be drawn, or the wish is none.
        """
        try:
            body = json.loads(wish.decode("utf-8", "surrogatepass"))
            if body["do"] == "open":
                return self.open(_markup(body["markup"]), until, details=details), b""
            if body["do"] == "picture":
                hidden = body["hidden"]
                bare = None if hidden is None else _numbers(hidden)
                x, y = _numbers([body["x"], body["y"]])
                return self.picture(x, y, bare)
            if body["do"] == "lift":
                return self.lift(), b""
            return self.turn([_numbers(pair) for pair in body["asked"]]), b""
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BrowserGone(f"it is asked for nonsense ({type(error).__name__})") from error

    @property
    def product(self) -> str:
        """Its name and major version, such as `Chrome/126`, in one word."""
        return "".join(self.version.split(".")[0].split())[:40]

    def stop(self) -> None:
        """End it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for number in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(number)
        shutil.rmtree(self._profile, ignore_errors=True)

    # --- the protocol -----------------------------------------------------------------------------

    def _said(self, expression: str) -> bytes:
        """Return a string that an expression gives in our world of the page."""
        asked = {"expression": expression, "contextId": self._context, "returnByValue": True}
        answer = self._call("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise BrowserGone("the page cannot be asked what it shows")
        value = answer["result"].get("value", "")
        return str(value).encode("utf-8", "surrogatepass")

    def _call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        number = self._send(method, parameters or {})
        while True:
            message = self._message()
            if message.get("id") == number:
                if "error" in message or not isinstance(message.get("result"), dict):
                    raise BrowserGone(f"{method} is refused")
                result: dict[str, Any] = message["result"]
                return result
            self._event(message)

    def _event(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        if method == "Fetch.requestPaused":
            self._answer(str(params["requestId"]), str(params["resourceType"]))
        elif method == "Page.loadEventFired":
            self._loaded = self._markup is None
        elif method in ("Inspector.targetCrashed", "Target.targetCrashed"):
            raise BrowserGone("the page crashed")

    def _answer(self, request: str, kind: str) -> None:
        """Answer what a page asks for; nothing leaves the machine."""
        body, headers, code = "", [], 204  # nothing: the page stays where it is
        if kind == "Document" and self._markup is not None:
            body, code = base64.b64encode(self._markup).decode(), 200
            headers = [("Content-Type", "text/html; charset=utf-8")]
            headers.append(("Content-Security-Policy", _POLICY))
            self._markup = None
        elif kind == "Image":
            body, code, headers = _GRAY, 200, [("Content-Type", "image/png")]
        self._send(
            "Fetch.fulfillRequest",
            {
                "requestId": request,
                "responseCode": code,
                "responseHeaders": [{"name": n, "value": v} for n, v in headers],
                "body": body,
            },
        )

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        body = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            body["sessionId"] = self._session
        view = memoryview(json.dumps(body).encode() + b"\0")
        while view:
            self._wait(self._write, selectors.EVENT_WRITE)
            try:
                view = view[os.write(self._write, view) :]
            except OSError:
                raise BrowserGone("the browser ended") from None
        return self._number

    def _message(self) -> dict[str, Any]:
        searched = 0
        while (end := self._held.find(b"\0", searched)) < 0:
            searched = len(self._held)
            self._wait(self._read, selectors.EVENT_READ)
            got = os.read(self._read, 1 << 20)
            if not got:
                raise BrowserGone("the browser ended")
            self._held += got
            if len(self._held) > _LARGEST:
                raise BrowserGone(f"the browser says more than {_LARGEST >> 20} MiB at once")
        body = bytes(self._held[:end])
        del self._held[: end + 1]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise BrowserGone("the browser says nonsense")
        return message

    def _wait(self, number: int, event: int) -> None:
        left = self._until - time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(number, event)
            if left <= 0 or not selector.select(left):
                raise PageTimeout


def _markup(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("markup")
    return value


def _numbers(values: Any) -> list[int]:
    if not all(type(value) is int for value in values):
        raise TypeError("numbers")
    return list(values)


class Browsers:
    """Browsers that wait for pages; each draws for one document at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[str, Browser]] = []
        self.drew: set[str] = set()  # products and major versions of those that were lent
        self._owner = os.getpid()

    @contextlib.contextmanager
    def borrowed(self, path: str) -> Iterator[Browser]:
        """Return a browser for one page; after one that went wrong it is not used again.

        Args:
            path: Of the program; empty for the one that is installed.

        Raises:
            IncompleteError: There is none, or it does not start.
        """
        with self._lock:
            if self._owner != os.getpid():  # a copy of the process: those are not ours
                self._idle, self._owner = [], os.getpid()
            place = next((i for i, (k, _) in enumerate(self._idle) if k == path), None)
            browser = None if place is None else self._idle.pop(place)[1]
        if browser is None:
            browser = Browser(find(path))
        self.drew.add(browser.product)
        try:
            yield browser
        except BaseException:
            browser.stop()
            raise
        if browser.pages >= _PAGES:
            browser.stop()
            return
        with self._lock:
            self._idle.append((path, browser))

    def stop(self) -> None:
        """End those that wait."""
        with self._lock:
            if self._owner == os.getpid():
                for _, browser in self._idle:
                    browser.stop()
            self._idle = []


BROWSERS = Browsers()
atexit.register(BROWSERS.stop)
