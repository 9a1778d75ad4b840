"""Documents are read in processes with limits; one that dies takes no other with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ragguard.config import ParseSettings
from ragguard.errors import UnreadableError
from ragguard.parse import answers, workers
from ragguard.parse import document as parsing
from ragguard.parse.document import parse
from ragguard.parse.workers import Read, Source, Unread, read_documents, record
from tests.support.documents import SHOWN, VISIBLE, pdf, pdf_form, pdf_stream, word

_FORMS = [  # each draws the next ten times
    pdf_stream(
        "/X Do " * 10,
        "/Type /XObject /Subtype /Form /BBox [0 0 612 792] "
        f"/Resources << /XObject << /X {number} 0 R >> >>",
    )
    for number in range(7, 11)
]
SLOW = pdf(
    SHOWN + "/X Do",
    objects=[*_FORMS, pdf_form("q 1 0 0 1 0 0 cm Q " * 600)],
    resources="/XObject << /X 6 0 R >>",
)
NOTE = f"# Boiler\n\n{VISIBLE}\n".encode()
NEIGHBOURS = [Source(NOTE, "md"), Source(word(), "docx"), record(f"{VISIBLE} <b hidden>x</b>")]


def read(
    *sources: Source, size: int = 1000, overlap: int = 100, **limits: int
) -> list[Read | Unread]:
    return read_documents(sources, ParseSettings(**limits), size=size, overlap=overlap)


def among_neighbours(source: Source, **limits: int) -> str:
    """Why a document was not read; its neighbours were."""
    first, *others, last = read(NEIGHBOURS[0], source, *NEIGHBOURS[1:], **limits)
    (reason,) = [one.reason for one in others if isinstance(one, Unread)]
    assert isinstance(first, Read)
    assert isinstance(last, Read)
    assert all(VISIBLE in one.parsed.text for one in others if isinstance(one, Read))
    return reason


@pytest.mark.parametrize("source", NEIGHBOURS, ids=["md", "docx", "record"])
def test_what_a_worker_reads_is_what_is_read_here(source: Source) -> None:
    (found,) = read(source)
    text = source.data.decode() if source.fmt == "record" else ""
    here = parsing.read_record(text) if text else parse(source.data, source.fmt)
    assert isinstance(found, Read)
    assert found.parsed == here
    assert [c.text for c in found.chunks] == [here.text[c.start : c.end] for c in found.chunks]


def test_order_is_kept_whatever_shares_a_process() -> None:
    sources = [Source(f"# Note {i}\n\n*{VISIBLE}*".encode(), "md") for i in range(150)]
    sources[70] = Source(word(), "docx")
    sources[100] = Source(b"\xff", "md")
    found = read(*sources)
    assert found[100] == Unread("not valid UTF-8 (byte 0)")
    for number, one in enumerate(found):
        if number not in (70, 100):
            assert isinstance(one, Read)
            assert one.parsed.text.startswith(f"# Note {number}\n")


@pytest.mark.parametrize(
    ("source", "limits", "reason"),
    [
        (
            Source(SLOW, "pdf"),
            {"processor_seconds": 1, "processor_seconds_per_mib": 0},
            "more than 1 seconds of processor time",
        ),
        (Source(b"word " * 12_000_000, "txt"), {"memory_mib": 192}, "more than 192 MiB of memory"),
        (Source(b"word " * 400_000, "txt"), {"output_mib": 1}, "more than 1 MiB of text"),
        (Source(b"word " * 4_000, "txt"), {"chunks": 20}, "23 chunks, at most 20"),
    ],
    ids=["processor", "memory", "output", "chunks"],
)
def test_a_document_over_a_limit_is_not_read_and_its_neighbours_are(
    source: Source, limits: dict[str, int], reason: str
) -> None:
    assert reason in among_neighbours(source, **limits)


def test_a_limit_grows_with_the_size_of_a_document() -> None:
    limits = {"processor_seconds": 1, "processor_seconds_per_mib": 1}
    assert isinstance(read(Source(SLOW, "pdf"), **limits)[0], Unread)
    padded = SLOW + b"\n%" + b" " * (20 << 20)
    assert isinstance(read(Source(padded, "pdf"), **limits)[0], Read)
    least = read(Source(padded, "pdf"), **limits, processor_seconds_most=1)
    assert isinstance(least[0], Unread)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP, 40])
def test_a_worker_that_dies_or_hangs_loses_its_document_alone(how: int) -> None:
    read(NEIGHBOURS[0])
    process = workers._FIRST._process
    assert process is not None
    killed: list[int] = []

    def kill() -> None:
        until = time.monotonic() + 60
        seen: dict[int, float] = {}
        while not killed and time.monotonic() < until:
            for pid in children(process.pid):  # only the slow one lives for long
                if time.monotonic() - seen.setdefault(pid, time.monotonic()) > 0.7:
                    os.kill(pid, how)
                    killed.append(pid)
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    reason = among_neighbours(Source(SLOW, "pdf"), processor_seconds=8, wall_factor=1)
    killer.join()
    assert killed
    if how == signal.SIGSTOP:
        assert reason.endswith("([parse] wall_factor)")
        until = time.monotonic() + 30
        while killed[0] in children(process.pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert killed[0] not in children(process.pid)
    else:
        name = how.name if isinstance(how, signal.Signals) else f"signal {how}"  # it has no name
        assert reason == f"the process that read it died ({name})"


def test_when_the_process_that_forks_is_killed_another_takes_its_place() -> None:
    read(NEIGHBOURS[0])
    process = workers._FIRST._process
    assert process is not None
    threading.Timer(0.3, process.kill).start()
    found = read(*NEIGHBOURS, Source(SLOW, "pdf"), *NEIGHBOURS, processor_seconds=60)
    assert all(isinstance(one, Read) for one in found)
    assert workers._FIRST._process is not process


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError(), NotImplementedError(), SystemError(), Warning()]
)
@pytest.mark.parametrize("fmt", ["pdf", "docx", "html", "md"])
def test_whatever_a_parser_raises_makes_that_document_unreadable(
    monkeypatch: pytest.MonkeyPatch, fmt: str, error: Exception
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("ragguard.parse.pdf.read_pdf", fail)
    for name in ("read_docx", "_html", "read_text"):
        monkeypatch.setattr(parsing, name, fail)
    with pytest.raises(UnreadableError, match=rf"damaged \.{fmt}"):
        parse(b"words", fmt)


def run(program: str) -> Any:
    """What a program of its own prints, as JSON."""
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


SHUT_IN = """
import json, os, socket
from ragguard.parse import worker
out = os.dup(1)
worker._shut_in()
if not os.fork():
    worker._limit(1 << 30, 10)
    tries = {
        "read": lambda: open("/etc/passwd"),
        "list": lambda: os.listdir("/"),
        "network": lambda: socket.create_connection(("127.0.0.1", 9)),
        "name": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "pair": lambda: socket.socketpair(),
        "pipe": lambda: os.pipe(),
        "write": lambda: open("/tmp/ragguard-test", "w"),
    }
    failed = {}
    for name, attempt in tries.items():
        try:
            attempt()
            failed[name] = False
        except OSError as error:
            failed[name] = True
    os.write(out, json.dumps(failed).encode())
    os._exit(0)
os.wait()
"""


def test_a_worker_opens_no_file_and_no_socket() -> None:
    failed = run(SHUT_IN)
    assert failed
    assert all(failed.values()), failed


LAZY = """
import json, sys
from ragguard.parse import worker
worker._load()
from ragguard.parse.document import parse
from tests.support import documents
from tests.parse import test_html, test_pdf, test_docx as test_word
before = set(sys.modules)
samples = [(documents.pdf(documents.SHOWN), "pdf"), (documents.word(), "docx")]
samples += [(b"<p>words</p><style>p{top:0}</style>", "html"), (b"# Words\\n\\n<b>x</b>", "md")]
samples += [(b"---\\ntitle: x\\nat: 2020-01-01\\n---\\nwords", "md"), (b"words\\n=====", "rst")]
for data, fmt in samples:
    worker._read(data, {"fmt": fmt, "size": 1000, "overlap": 100, "chunks": 9})
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_parsers_import_nothing_more_once_the_process_is_shut_in() -> None:
    assert run(LAZY) == []


def test_workers_import_no_model() -> None:
    program = "import json, sys\nfrom ragguard.parse import worker\nworker._load()\n"
    program += "print(json.dumps([m for m in ('torch', 'openvino', 'scipy') if m in sys.modules]))"
    assert run(program) == []


GOOD = {"text": "words", "begin": 0, "hidden": [["css", "x"]], "spans": [[0, 5]]}


@pytest.mark.parametrize(
    "change",
    [
        {"text": 1}, {"text": None}, {"begin": 9}, {"begin": -1}, {"begin": True},
        {"spans": [[0, 9]]}, {"spans": [[3, 2]]}, {"spans": [[-1, 2]]}, {"spans": [[0]]},
        {"spans": 3}, {"hidden": [["css"]]}, {"hidden": [[1, "x"]]}, {"hidden": None},
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_not_believed(change: dict[str, Any]) -> None:
    assert isinstance(answers.checked(json.dumps(GOOD).encode()), Read)
    found = answers.checked(json.dumps({**GOOD, **change}).encode())
    assert isinstance(found, Unread)
    assert "nonsense" in found.reason


@pytest.mark.parametrize("answer", [b"", b"\xff", b"[]", b"3", b"[" * 100_000])
def test_an_answer_that_is_not_json_is_not_believed(answer: bytes) -> None:
    assert isinstance(answers.checked(answer), Unread)
