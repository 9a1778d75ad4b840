"""Read documents in processes with limits; whatever one does to its own, the others go on.

A parser is the door that hostile bytes come through. So none runs here: `read_documents` hands each
document to a worker (`worker`), which has no network and no files, and limits of processor time,
memory, time by the clock, size of its answer and number of chunks (`[parse]`). A document over its
limits is unreadable with that reason, and so is one whose worker dies, however it dies. Workers are
as many as there are processors. Small documents share one, in turn; a PDF has its own.

What comes back is data, never objects: text, hidden passages and spans as JSON, looked through.
Plain text that fits one chunk and holds no markup has nothing to parse, and is read in place.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from ragguard.config import ParseSettings, processors
from ragguard.errors import IncompleteError
from ragguard.parse import browser
from ragguard.parse.answers import Read as Read
from ragguard.parse.answers import Unread as Unread
from ragguard.parse.answers import checked
from ragguard.parse.chunk import cut
from ragguard.parse.document import has_words, is_plain, read_record
from ragguard.parse.plugged import plugged_parsers
from ragguard.parse.worker import DRAWS, LENGTH, ORDER, OUT_OF_MEMORY, RECORD, STATUS, WISH

MOST_PROCESSES = 8  # where the settings do not say
_MIB = 1 << 20
_GROUP = 64  # documents that share a process at most
_MOST = {"pdf": 1, "docx": 4}  # the same, of formats that cost more than to start a process
_PLUGGED = 4  # the same, of formats that a plug-in reads
_GROUP_BYTES = 1 * _MIB
_DRAWN = 4  # times the processor time, where the worker compares pictures
_START_SECONDS = 120.0  # until the first worker is there
_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); \
from ragguard.parse.worker import main; main()"
_KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # of the environment


@dataclass(frozen=True)
class Source:
    """A document to read: the bytes of a file, or the text of a record as UTF-8.

    Attributes:
        fmt: File ending without the dot; `RECORD` for a record.
    """

    data: bytes
    fmt: str


def record(text: str) -> Source:
    """Return the text of a record, to be read."""
    return Source(text.encode("utf-8", "surrogatepass"), RECORD)


def read_documents(
    sources: Sequence[Source],
    settings: ParseSettings,
    *,
    size: int,
    overlap: int,
    plugins: Sequence[str] = (),
) -> list[Read | Unread]:
    """Parse documents and cut them by characters, each within its limits.

    Args:
        settings: The limits.
        size: Upper characters of a chunk.
        overlap: Characters repeated between neighbouring chunks of a section.
        plugins: Parsers of other packages, see `plugged.plugged_parsers`.

    Returns:
        In the order given.

    Raises:
        IncompleteError: No worker can be started, or no browser that is to draw pages.
        ConfigError: A plug-in is not there.
    """
    plugged = frozenset(plugged_parsers(plugins))
    if settings.render != "rules" and any(source.fmt == "html" for source in sources):
        browser.find(settings.chromium)
    answers: dict[int, Read | Unread] = {}
    groups: deque[list[int]] = deque()
    filling: dict[int, tuple[list[int], int]] = {}  # by most: a group and its bytes
    for number, source in enumerate(sources):
        most = _PLUGGED if source.fmt in plugged else _MOST.get(source.fmt, _GROUP)
        size_of = len(source.data)
        if source.fmt in (RECORD, "txt") and (read := _in_place(source, size, overlap)):
            answers[number] = read
        elif most == 1 or size_of > _GROUP_BYTES // 4:
            groups.appendleft([number])  # the largest first, so that no one waits for them
        else:
            group, filled = filling.get(most, ([], 0))
            if not group or len(group) == most or filled + size_of > _GROUP_BYTES:
                group, filled = [], 0
                groups.append(group)
            group.append(number)
            filling[most] = group, filled + size_of
    if groups:
        _Batch(sources, settings, size, overlap, answers, tuple(plugins)).run(groups)
    return [answers[number] for number in range(len(sources))]


def start(settings: ParseSettings, plugins: Sequence[str] = ()) -> None:
    """Begin to start workers, so that they are there when they are needed; waits for nothing."""
    _FIRST.start(settings.render != "rules", tuple(plugins))


def _in_place(source: Source, size: int, overlap: int) -> Read | None:
    """Return a plain text of one chunk; `None` for what is to be parsed."""
    if len(source.data) > size:  # a character is a byte or more
        return None
    try:
        text = source.data.decode("utf-8", "surrogatepass" if source.fmt == RECORD else "strict")
    except UnicodeDecodeError:
        return None
    if "\x00" in text or not is_plain(text) or not has_words(text):
        return None
    parsed = read_record(text)
    return Read(parsed, tuple(cut(parsed.text, 0, "txt", size=size, overlap=overlap)))


class _Died(Exception):
    """A worker ended before it answered, or was given up.

    Args:
        reason: Why, for the report.
        drawing: Whether it was the browser that failed.
    """

    def __init__(self, reason: str, *, drawing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.drawing = drawing


class _Lost(Exception):
    """The process that forks the workers is gone."""


class _First:
    """The process that forks workers, one for this process, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._owner = 0
        self._draws = False
        self._plugins: tuple[str, ...] = ()

    def start(self, draws: bool, plugins: tuple[str, ...] = ()) -> None:
        """Start it, unless it runs.

        Args:
            draws: Whether its workers compare pictures of pages; one that can is kept for all.
            plugins: Parsers that its workers have; one that has others is ended.
        """
        with self._lock:
            self._started(draws, plugins)

    def stop(self) -> None:
        """End it, and with it its workers."""
        with self._lock:
            self._stopped()

    def order(
        self, memory: int, seconds: int, draws: bool, plugins: tuple[str, ...] = ()
    ) -> tuple[socket.socket, socket.socket]:
        """Ask for a worker.

        Args:
            memory: Upper bytes of its address space.
            seconds: Upper processor time in its life.
            draws: See `start`.
            plugins: See `start`.

        Returns:
            The socket to send documents on and read answers from, and the one that tells `+` when
            it is there and its status when it ended; closing that one kills it.

        Raises:
            _Lost: The process is gone; the next call starts another.
        """
        with ExitStack() as stack:
            channel, theirs = socket.socketpair()
            teller, tells = socket.socketpair()
            stack.callback(theirs.close)
            stack.callback(tells.close)
            try:
                with self._lock:
                    control = self._started(draws, plugins)
                    numbers = [theirs.fileno(), tells.fileno()]
                    socket.send_fds(control, [ORDER.pack(memory, seconds)], numbers)
            except OSError:
                channel.close()
                teller.close()
                self.stop()
                raise _Lost from None
        return channel, teller

    def complaint(self) -> str:
        """The last line it wrote before it shut itself in; empty when it did not complain."""
        with self._lock:
            if self._said is None or self._said.closed:
                return ""
            self._said.seek(0)
            lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _started(self, draws: bool, plugins: tuple[str, ...]) -> socket.socket:
        if self._owner != os.getpid():  # a copy of the process that started it: not ours to use
            self._control = self._process = self._said = None
            self._owner = os.getpid()
        dead = self._process is not None and self._process.poll() is not None
        if dead or (draws and not self._draws) or plugins != self._plugins:
            self._stopped()
        if self._control is None:
            self._draws, self._plugins = draws, plugins
            ours, theirs = socket.socketpair()
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open while the process lives
            path = json.dumps([os.path.abspath(entry) for entry in sys.path])
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our program
                    [
                        *(sys.executable, "-I", "-c", _PROGRAM, str(theirs.fileno())),
                        *(DRAWS if draws else "", json.dumps(plugins), path),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._said,
                    env={name: os.environ[name] for name in _KEPT if name in os.environ},
                    start_new_session=True,
                )
            self._control = ours
        return self._control

    def _stopped(self) -> None:
        if self._owner != os.getpid():
            return
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._said is not None:
            self._said.close()
            self._said = None


_FIRST = _First()
atexit.register(_FIRST.stop)


class _Batch:
    """Documents that are read together.

    Args:
        settings: The limits.
        size: Upper characters of a chunk.
        overlap: Characters repeated between neighbouring chunks.
        found: Filled by position in `sources`.
        plugins: Parsers of other packages.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        settings: ParseSettings,
        size: int,
        overlap: int,
        answers: dict[int, Read | Unread],
        plugins: tuple[str, ...] = (),
    ) -> None:
        self._plugins = plugins
        self._sources = sources
        self._settings = settings
        self._size = size
        self._overlap = overlap
        self._found = answers
        self._groups: deque[list[int]] = deque()
        self._drawn: set[int] = set()  # documents that a browser failed at

    def run(self, groups: deque[list[int]]) -> None:
        self._groups = groups
        wanted = self._settings.processes or min(processors(), MOST_PROCESSES)
        with ThreadPoolExecutor(min(wanted, len(groups))) as threads:
            try:
                running = [threads.submit(self._work) for _ in range(min(wanted, len(groups)))]
                for future in running:
                    future.result()
            except BaseException:
                self._groups.clear()
                _FIRST.stop()  # so that nobody waits for what nobody wants
                raise

    def _work(self) -> None:
        lost = 0
        while True:
            try:
                group = self._groups.popleft()
            except IndexError:
                return
            while group:
                try:
                    group = self._attempt(group)
                    lost = 0
                except _Lost:
                    lost += 1
                    if lost > 2 and len(group) == 1:
                        self._found[group.pop()] = Unread("the process that reads it was lost")
                    elif lost > 2:
                        self._groups.extend([number] for number in group[1:])
                        group = group[:1]

    def _attempt(self, group: list[int]) -> list[int]:
        """Read a group's documents in one process; those that are to be tried in another."""
        allowed = [self._seconds(number) for number in group]
        memory = self._settings.memory_mib * _MIB
        channel, teller = _FIRST.order(
            memory,
            sum(s for s, _ in allowed) + 1,
            self._settings.render != "rules",
            self._plugins,
        )
        with channel, teller:
            teller.settimeout(_START_SECONDS)
            if not _received(teller, 1):
                complaint = _FIRST.complaint()
                if complaint:
                    raise IncompleteError(
                        f"documents cannot be read: {complaint}",
                        hint="`ragguard doctor` says whether the installation is whole.",
                    )
                raise _Lost
            for place, number in enumerate(group):
                try:
                    self._found[number] = self._ask(channel, teller, number, *allowed[place])
                except _Died as death:
                    if death.drawing and number not in self._drawn:  # it may have been the browser
                        self._drawn.add(number)
                        return group[place:]
                    if not place:
                        self._found[number] = Unread(death.reason)
                        return group[1:]
                    return group[place:]  # what came before it may have weighed on it
        return []

    def _seconds(self, number: int) -> tuple[int, int]:
        """Processor time and time by the clock that a document may take."""
        settings = self._settings
        beyond = max(len(self._sources[number].data) - _MIB // 2, 0) / _MIB
        grown = settings.processor_seconds + int(beyond * settings.processor_seconds_per_mib)
        most = max(settings.processor_seconds, settings.processor_seconds_most)
        processor = min(grown, most)
        times = _DRAWN if self._draws(number) else 1
        return processor * times, processor * settings.wall_factor

    def _draws(self, number: int) -> bool:
        return self._settings.render != "rules" and self._sources[number].fmt == "html"

    def _ask(
        self, channel: socket.socket, teller: socket.socket, number: int, processor: int, wall: int
    ) -> Read | Unread:
        source, settings = self._sources[number], self._settings
        ask = {
            "fmt": source.fmt,
            "draws": self._draws(number),
            "details": settings.opened,
            "size": self._size,
            "overlap": self._overlap,
            "processor_seconds": processor,
            "memory_mib": settings.memory_mib,
            "output_mib": settings.output_mib,
            "chunks": settings.chunks,
        }
        until = time.monotonic() + wall
        head = json.dumps(ask).encode()
        sent = LENGTH.pack(len(head)) + head + LENGTH.pack(len(source.data))
        try:
            with ExitStack() as stack:
                drawing: browser.Browser | None = None
                channel.settimeout(wall)
                channel.sendall(sent)
                channel.sendall(source.data)
                while True:
                    size = LENGTH.unpack(_exactly(channel, LENGTH.size, until))[0]
                    if size > settings.output_mib * _MIB:
                        most = f"{settings.output_mib} MiB ([parse] output_mib)"
                        return Unread(f"gives more than {most}")
                    answer = _exactly(channel, size, until)
                    if not answer.startswith(WISH):
                        break
                    if drawing is None:
                        lent = browser.BROWSERS.borrowed(settings.chromium)
                        drawing = stack.enter_context(lent)
                    for part in drawing.answer(
                        answer[len(WISH) :], until, settings.details == "open"
                    ):
                        channel.settimeout(max(until - time.monotonic(), 0.001))
                        channel.sendall(LENGTH.pack(len(part)) + part)
        except browser.BrowserGone as error:
            raise _Died(f"a browser cannot draw it: {error}", drawing=True) from None
        except browser.PageTimeout:
            reason = f"to draw it took more than {wall} seconds ([parse] wall_factor)"
            raise _Died(reason, drawing=True) from None
        except TimeoutError:
            raise _Died(f"took more than {wall} seconds ([parse] wall_factor)") from None
        except OSError:
            raise _death(teller, processor, settings.memory_mib) from None
        return checked(answer)


def _exactly(channel: socket.socket, size: int, until: float) -> bytes:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        channel.settimeout(max(until - time.monotonic(), 0.001))
        got = channel.recv_into(view[filled:])
        if not got:
            raise ConnectionError
        filled += got
    return bytes(buffer)


def _received(teller: socket.socket, size: int) -> bytes:
    with suppress(OSError):
        return teller.recv(size)
    return b""


def _death(teller: socket.socket, processor: int, memory: int) -> Exception:
    """Tell how a worker ended that closed its end."""
    teller.settimeout(10)
    told = _received(teller, STATUS.size)
    if len(told) < STATUS.size:
        return _Lost()
    code = os.waitstatus_to_exitcode(STATUS.unpack(told)[0])
    if -code == signal.SIGXCPU:
        return _Died(
            f"took more than {processor} seconds of processor time ([parse] processor_seconds)"
        )
    if code == OUT_OF_MEMORY:
        return _Died(f"took more than {memory} MiB of memory ([parse] memory_mib)")
    if code < 0:
        return _Died(f"the process that read it died ({_name_of(-code)})")
    return _Died(f"the process that read it ended (exit code {code})")


def _name_of(number: int) -> str:
    """Name a signal; a worker that was taken over may choose one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
