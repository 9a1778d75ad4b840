"""Read documents in a process that `workers` started, shut in, and forked for each group.

The first process imports the parsers and then shuts itself in: where the system lets it, it has no
network and an empty root folder. It forks a worker for each group of documents it is asked for, and
tells how the worker ended. A worker has limits of memory and processor time, and can open nothing:
no file, no socket; it has the one socket on which documents come and answers go. Nothing here is
called by other modules but `main`.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import resource
import selectors
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ragguard.errors import UnreadableError
from ragguard.parse.chunk import cut, warm
from ragguard.parse.document import parse, read_record
from ragguard.parse.plugged import Parser, load_parsers

if TYPE_CHECKING:
    from ragguard.parse.view import View

ORDER = struct.Struct(">QQ")  # bytes of memory, seconds of processor time in all
LENGTH = struct.Struct(">Q")  # bytes of what follows
STATUS = struct.Struct(">i")  # of `os.waitpid`
OUT_OF_MEMORY = 12  # exit code of a worker
RECORD = "record"  # the format of a record's text
DRAWS = "draws"  # argument of the first process
WISH = b"?"  # begins a message that is no answer: what a browser is to do

_CHANNEL = 3
_PLUGGED: dict[str, Parser] = {}  # parsers of other packages, by format
_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000  # CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_WHOLE = ("encodings", "markdown_it", "yaml")  # packages that import as they go
_LAZY = (  # and what else the parsers import when they first need it
    "bz2", "lxml.etree", "lzma", "selectolax.lexbor", "stringprep", "zipfile", "zlib",
)  # fmt: skip


def main() -> None:
    """Serve until the other end of the control socket is closed.

    Argument 1 is its number, argument 2 says whether pages are drawn, argument 3 names the parsers
    of other packages, a JSON list.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    _load()
    if sys.argv[2] == DRAWS:
        _load_drawing()
    _PLUGGED.update(load_parsers(json.loads(sys.argv[3])))
    _shut_in()
    gc.collect()
    gc.freeze()
    _serve(control)


def _load() -> None:
    """Import everything now: a worker cannot open a file."""
    names = [*_LAZY]
    for package in _WHOLE:
        path = importlib.import_module(package).__path__
        names += [m.name for m in pkgutil.walk_packages(path, f"{package}.", onerror=str)]
    for name in names:
        if name.endswith(".__main__"):
            continue
        with suppress(ImportError, RuntimeError):  # not installed, or of another system
            importlib.import_module(name)
    warm()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a process with threads cannot shut itself in
    from ragguard.parse.pdf import load

    load()


def _load_drawing() -> None:
    """Import what compares pictures, which takes memory that other workers do without."""
    importlib.import_module("numpy.ma")
    importlib.import_module("ragguard.parse.drawn")
    from PIL import Image

    Image.preinit()


def _shut_in() -> None:
    """Leave network and file system, where the system allows it to a process without rights."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return
    system = ctypes.CDLL(None)
    system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if system.unshare(_NAMESPACES):
        return  # a container or a kernel that does not allow it: the limits remain
    with suppress(OSError), tempfile.TemporaryDirectory(prefix="ragguard-") as empty:
        os.chdir(empty)
        os.rmdir(empty)
        os.chroot(".")


def _serve(control: socket.socket) -> None:
    """Fork a worker for every order; tell how each ended; kill it when nobody waits for it."""
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    order, handles, _, _ = socket.recv_fds(control, ORDER.size, 2)
                    if len(order) < ORDER.size:
                        return  # workers die with this process
                    pid = _fork(handles[0], *ORDER.unpack(order))
                    os.close(handles[0])
                    teller = socket.socket(fileno=handles[1])
                    teller.setblocking(False)
                    waiting[pid] = teller
                    selector.register(teller, selectors.EVENT_READ, pid)
                    _tell(teller, b"+")
                elif key.fileobj is woken:
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                else:
                    selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)  # not reaped yet, so the number is its own
            _reap(waiting, selector)


def _reap(waiting: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while waiting:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        teller = waiting.pop(pid)
        with suppress(KeyError):  # nobody waits any more
            selector.unregister(teller)
        _tell(teller, STATUS.pack(status))
        teller.close()


def _tell(teller: socket.socket, message: bytes) -> None:
    with suppress(OSError):
        teller.send(message)


def _fork(channel: int, memory: int, seconds: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(channel, _CHANNEL)
        os.closerange(_CHANNEL + 1, 1 << 20)
        _limit(memory, seconds)
        while _answer_one(seconds):
            pass
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)


def _limit(memory: int, seconds: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    limits = {"CPU": seconds, "FSIZE": 0, "NOFILE": 0, "AS": memory}
    for name, most in limits.items():
        with suppress(OSError, ValueError):  # a system without this limit
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def _answer_one(ceiling: int) -> bool:
    """Read a document and answer; false when there is none."""
    head = _receive()
    if head is None:
        return False
    data = _receive() or b""
    ask: dict[str, Any] = json.loads(head)
    allowed = round(time.process_time() + ask["processor_seconds"])
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (min(allowed, ceiling), ceiling))
    answer = json.dumps(_read(data, ask), ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(answer) > ask["output_mib"] << 20:
        reason = f"gives more than {ask['output_mib']} MiB of text ([parse] output_mib)"
        answer = json.dumps({"reason": reason}).encode()
    _send(LENGTH.pack(len(answer)))
    _send(answer)
    return True


def _read(data: bytes, ask: dict[str, Any]) -> dict[str, Any]:
    fmt = ask["fmt"]
    view: View | None = _Browser() if ask.get("draws") else None
    try:
        if fmt == RECORD:
            parsed = read_record(data.decode("utf-8", "surrogatepass"))
        elif fmt in _PLUGGED:
            parsed = _PLUGGED[fmt](data)
        else:
            parsed = parse(data, fmt, view=view, details=ask.get("details", False))
        chunks = cut(
            parsed.text[parsed.begin :],
            parsed.begin,
            "txt" if fmt == RECORD else fmt,
            size=ask["size"],
            overlap=ask["overlap"],
        )
        if len(chunks) > ask["chunks"]:
            return {"reason": f"{len(chunks)} chunks, at most {ask['chunks']} ([parse] chunks)"}
    except UnreadableError as error:
        return {"reason": error.reason}
    return {
        "text": parsed.text,
        "begin": parsed.begin,
        "hidden": [[h.kind, h.text] for h in parsed.hidden],
        "spans": [[c.start, c.end] for c in chunks],
    }


class _Browser:
    """The browser at the other end of the channel, which the caller holds; see `drawn.View`."""

    def open(self, markup: str) -> Any:
        return self._wish({"do": "open", "markup": markup})[0]

    def picture(self, x: int, y: int, hidden: Sequence[int] | None) -> tuple[Any, bytes]:
        bare = None if hidden is None else [*map(int, hidden)]
        return self._wish({"do": "picture", "x": int(x), "y": int(y), "hidden": bare})

    def turn(self, asked: Sequence[tuple[int, int]]) -> Any:
        return self._wish({"do": "turn", "asked": [[int(a), int(b)] for a, b in asked]})[0]

    def lift(self) -> Any:
        return self._wish({"do": "lift"})[0]

    def _wish(self, body: dict[str, Any]) -> tuple[Any, bytes]:
        wish = WISH + json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        _send(LENGTH.pack(len(wish)))
        _send(wish)
        answer, picture = _receive(), _receive()
        if answer is None or picture is None:
            raise UnreadableError("the browser is gone")
        return json.loads(answer), picture


def _receive() -> bytes | None:
    """Return a message; `None` at the end."""
    length = _exactly(LENGTH.size)
    return None if length is None else _exactly(LENGTH.unpack(length)[0])


def _exactly(size: int) -> bytes | None:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        got = os.readv(_CHANNEL, [view[filled:]])
        if not got:
            return None
        filled += got
    return bytes(buffer)


def _send(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_CHANNEL, view) :]
