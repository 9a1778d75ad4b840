"""Places of files: a real S3 server, a web server and a loader, none of which is believed."""

from __future__ import annotations

import gzip
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ragguard.corpus import places
from ragguard.corpus.places import open_place, reading
from ragguard.errors import (
    ConfigError,
    DocumentMissingError,
    IncompleteError,
    SubjectNameError,
    UsageError,
)
from ragguard.ingest.sign import sign
from ragguard.parse.plugged import OURS
from ragguard.trust.folder import SkippedFile
from tests.support import plugging
from tests.support.simulator import HONEST, Gate

SECRET = "not-to-be-printed-4711"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A bucket `docs` on an S3 server of this machine, and how the environment names it."""
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    server = pytest.importorskip("moto.server", reason="there is no S3 server to run")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "anyone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        storage = s3fs.S3FileSystem(skip_instance_cache=True)
        storage.mkdir("docs")
        for name, text in HONEST.items():
            storage.pipe_file(f"docs/wiki/{name}", text.encode())
        storage.pipe_file("docs/wiki/sub/empty.md", b"")
        storage.pipe_file("docs/wiki/.hidden.md", b"hidden")
        storage.pipe_file("docs/wiki/.trash/old.md", b"thrown away")
        storage.pipe_file("docs/wiki/../other.md", b"of another prefix")
        storage.pipe_file("docs/wiki2/next.md", b"of another prefix")
        storage.pipe_file("docs/wiki/tool.exe", b"MZ")
        storage.pipe_file("docs/wiki/a\\b.md", b"a backslash")
        storage.pipe_file("docs/other.md", b"of another prefix")
        yield storage
    running.stop()


def test_what_is_signed_and_ingested_from_object_storage_is_what_lies_there(
    s3: Any, gate: Gate
) -> None:
    place = open_place("s3://docs/wiki/")
    listed = list(place.walk(OURS))
    assert [x for x in listed if isinstance(x, str)] == sorted([*HONEST, "sub/empty.md"])
    skipped = {x.name: x.reason for x in listed if isinstance(x, SkippedFile)}
    assert skipped[".hidden.md"] == "hidden file"
    assert skipped[".trash/old.md"] == "in a hidden folder"
    assert "not supported" in skipped["tool.exe"]
    assert "leaves the signed folder" in skipped["../other.md"]
    assert set(skipped) == {".hidden.md", ".trash/old.md", "../other.md", "tool.exe", "a\\b.md"}
    assert place.read("leave.md", 1000) == HONEST["leave.md"].encode()
    assert place.read("leave.md", 10) == HONEST["leave.md"].encode()[:11]  # and no byte more
    assert place.read("sub/empty.md", 10) == b""
    for name in ("../other.md", "/other.md", "sub//x.md"):
        with pytest.raises(SubjectNameError):
            place.read(name, 10)
    with pytest.raises(DocumentMissingError, match="no such file at s3://docs/wiki"):
        place.read("other.md", 10)

    s3.rm("docs/wiki/sub/empty.md")
    manifest = gate.publisher.folder.parent / "m.intoto.json"
    manifest.write_bytes(signed(gate, place))
    s3.pipe_file("docs/wiki/visitors.md", b"Guests sign nothing.")  # after it was signed
    report = gate.ingest(manifest, root=place)
    assert report.exit_code == 3
    assert gate.documents() == set(HONEST) - {"visitors.md"}
    (altered,) = (v for v in report.documents if v.outcome == "reject")
    assert (altered.id, altered.findings[0].check) == ("visitors.md", "digest")


def signed(gate: Gate, place: Any) -> bytes:
    made = sign(
        (), root=place, source="wiki", key=gate.alice, now=gate.now, expires=timedelta(days=9)
    )
    return made.envelope


def test_what_storage_refuses_is_told_without_its_words(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((IncompleteError, DocumentMissingError)) as told:
        open_place("s3://nowhere/wiki").read("a.md", 10)
    assert SECRET not in str(told.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example")
    with pytest.raises(ConfigError, match="in the clear"):
        open_place("s3://docs/wiki")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://key:secret@docs/wiki", "holds credentials"),
        ("https://example.org/wiki?token=secret", "holds credentials"),
        ("simplecache::s3://docs/wiki", "chain"),
        ("file:///etc", "no such scheme"),
        ("memory://wiki", "no such scheme"),
        ("wiki://space", "no such scheme"),
        ("gs://docs/wiki", "gcsfs is not installed"),
        ("abfss://key:secret@account.dfs.core.windows.net/wiki", "holds credentials"),
        ("s3://", "the URL is none"),
        ("https:///wiki", "the URL is none"),
        ("https://[::1/wiki", "the URL is none"),
        ("https://example.org:secret/wiki", "the URL is none"),
        ("https:\\\\key:secret@example.org://", "the URL is none"),
        ("https://example.org/\nsecret", "the URL is none"),
    ],
)
def test_a_url_that_is_no_place_is_refused(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as told:
        open_place(url)
    assert "secret" not in told.value.message


def test_an_azure_url_names_its_container_before_the_account() -> None:
    with pytest.raises((UsageError, IncompleteError), match=r"adlfs is not inst|cannot be read"):
        open_place("abfss://wiki@account.dfs.core.windows.net/pages")


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "127.1", "0.0.0.0", "0"])
def test_documents_are_fetched_in_the_clear_from_this_machine_only(host: str) -> None:
    with pytest.raises(UsageError, match="documents would come from http"):
        open_place(f"http://{host}/wiki")
    assert open_place("http://[::1]:8000/wiki")


class Hostile(BaseHTTPRequestHandler):
    """A web server that sends what was not asked for."""

    def do_GET(self) -> None:
        drips = self.path == "/slow.md"
        body = b"drip" if drips else gzip.compress(gzip.compress(bytes(100 << 20)))
        self.send_response(200)
        if not drips:
            self.send_header("Content-Encoding", "gzip, gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_web_server_can_neither_unpack_into_memory_nor_drip_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = open_place(f"http://127.0.0.1:{server.server_port}")
        tracemalloc.start()
        with pytest.raises(IncompleteError, match="is sent compressed"):
            place.read("bomb.md", 1000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert place.read("slow.md", 1000) == b"drip"
        monkeypatch.setattr(places, "LONGEST", -1.0)
        with pytest.raises(IncompleteError, match="took over"):
            place.read("slow.md", 1000)
        server.shutdown()
    assert most < 300 << 20


def test_a_web_server_is_read_up_to_the_limit_and_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "ein plan.md").write_text("Words of a plan.")
    (tmp_path / "sub").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        place = open_place(f"http://127.0.0.1:{server.server_port}/")
        assert place.read("ein plan.md", 100) == b"Words of a plan."
        assert place.read("ein plan.md", 4) == b"Words"
        with pytest.raises(DocumentMissingError):
            place.read("plan.md", 100)
        with pytest.raises(IncompleteError, match="status 301"):  # to a folder: not followed
            place.read("sub", 100)
        with pytest.raises(UsageError, match="a web server lists no files"):
            list(place.walk(OURS))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with pytest.raises(IncompleteError, match=r"cannot be read \(ConnectError\)"):
        place.read("ein plan.md", 100)


def test_a_loader_is_a_place_and_what_it_gives_is_bounded(
    tmp_path: Path,
) -> None:
    with plugging.on_path(plugging.install_example(tmp_path)):
        place = open_place("notes://handbook", ["acme-ragguard:notes"])
        assert list(place.walk(OURS)) == ["leave.md", "parking.md"]
        read = reading(place)
        assert read("leave.md", 1000).startswith(b"# Leave")
        assert len(read("leave.md", 10)) == 11
        with pytest.raises(DocumentMissingError):
            read("gone.md", 10)
        with pytest.raises(IncompleteError, match=r"acme-ragguard@1\.2\.0:notes: cannot be read"):
            open_place("notes://nowhere", ["acme-ragguard:notes"])


LEAVES = f"""
import sys
from itertools import count
from ragguard.errors import UsageError

class Leaves:
    def __init__(self, url):
        if url.endswith("init"):
            sys.exit(0)
    def names(self):
        yield "a.md"
        raise UsageError({SECRET!r})
    def read(self, name, max_bytes):
        sys.exit(0)
"""


def test_a_loader_that_leaves_or_speaks_in_our_name_is_a_place_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    points = {"loaders": {"gone": "leaves:Leaves"}}
    with plugging.on_path(plugging.install(tmp_path, "gone", points, {"leaves.py": LEAVES})):
        with pytest.raises(IncompleteError, match=r"cannot be read \(SystemExit\)"):
            open_place("gone://init", ["gone:gone"])
        place = open_place("gone://", ["gone:gone"])
        with pytest.raises(IncompleteError, match=r"cannot be read \(SystemExit\)"):
            place.read("a.md", 10)
        with pytest.raises(IncompleteError, match=r"cannot be read \(UsageError\)") as told:
            list(place.walk(OURS))
        assert SECRET not in str(told.value)
