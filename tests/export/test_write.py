"""What an export holds, where it may go, and that it is there whole or not at all."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ragguard.errors import IntegrityError, LogError, UsageError
from ragguard.export.verify import verify
from ragguard.export.write import ExportResult, export
from ragguard.quarantine.review import decide
from ragguard.trust.canonical import digest_bytes
from tests.ledger.test_vault import limited
from tests.support.simulator import HONEST, SUSPECT, Gate
from tests.support.workspaces.exports import ODD, contents, problems

REPOSITORY = Path(__file__).resolve().parents[2]


def test_an_export_holds_the_clean_set_and_nothing_that_waits(
    world: Gate, made: ExportResult
) -> None:
    listed = made.inventory
    assert {d.document for d in listed.documents} == {
        *HONEST,
        "safe.md",
        *(f"faq.jsonl#{name}" for name in ODD),
    }
    assert (made.exit_code, list(listed.left), list(listed.missing)) == (0, [], [])
    assert [d.document for d in listed.decisions] == ["safe.md"]
    held = b"".join(contents(made.folder).values())
    assert b"HOLLY" not in held  # what waits is not in it
    seal = (world.folder / "w/keys/seal.key").read_bytes().strip()
    assert seal not in held
    assert b'"seed"' not in held


def test_file_names_are_digests_and_fixed_words(made: ExportResult) -> None:
    names = contents(made.folder).keys()
    fixed = {"export.json", "export.note", "SHA256SUMS", "log.jsonl", "checkpoint", "log.vkey"}
    rest = names - fixed
    assert {n.split("/")[0] for n in rest} == {"objects", "manifests", "decisions", "roots"}
    assert not any("x" in n.rpartition("/")[2].partition(".")[0] for n in rest)


def test_the_sums_are_those_of_every_other_file(made: ExportResult) -> None:
    lines = (made.folder / "SHA256SUMS").read_text().splitlines()
    found = dict(reversed(line.split("  ", 1)) for line in lines)
    digests = {name: digest_bytes(data) for name, data in contents(made.folder).items()}
    del digests["SHA256SUMS"]
    assert found == digests
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=made.folder, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_two_exports_of_one_state_differ_in_their_time_only(gate: Gate, tmp_path: Path) -> None:
    gate.publish(HONEST)
    export(gate.workspace, tmp_path / "a")
    export(gate.workspace, tmp_path / "b")
    gate.reopen(hours=1)
    export(gate.workspace, tmp_path / "c")
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert {name for name in a if a[name] != c[name]} == {
        "export.json",
        "export.note",
        "SHA256SUMS",
    }
    first, later = json.loads(a["export.json"]), json.loads(c["export.json"])
    assert {k for k in first if first[k] != later[k]} == {"made"}


def test_an_older_commit_is_exported_as_it_was_without_what_is_bad_today(
    gate: Gate, tmp_path: Path
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "looks fine")
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish({"copy.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "poison")
    done = export(gate.workspace, tmp_path / "old", at=2)
    assert {d.document for d in done.inventory.documents} == set(HONEST)
    assert [(o.document, o.check) for o in done.inventory.left] == [("safe.md", "denied")]
    assert done.exit_code == 1
    held = b"".join(contents(tmp_path / "old/objects").values())
    assert SUSPECT.encode() not in held
    found = verify(tmp_path / "old", done.log_key)
    assert (found.problems, found.inventory) == ([], done.inventory)


def test_where_it_may_go_is_checked_before_anything_is_written(
    world: Gate, made: ExportResult, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    for target in (tmp_path / "full", tmp_path / "full/x", world.folder / "w/backup"):
        with pytest.raises(UsageError):
            export(world.workspace, target)
    with pytest.raises(UsageError, match="there is none"):
        export(world.workspace, tmp_path / "new", at=99)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    export(world.workspace, tmp_path / "link")
    assert problems(tmp_path / "empty", made) == []


def test_nothing_is_exported_from_a_log_that_was_changed(gate: Gate, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to export"):
        export(gate.workspace, tmp_path / "x")
    gate.publish(HONEST)
    gate.close()
    with sqlite3.connect(gate.folder / "w/ledger.db") as opened:
        opened.execute("UPDATE membership SET until = since WHERE version = 2")
    with pytest.raises(IntegrityError, match="not the one that was logged"):
        export(gate.workspace, tmp_path / "x")
    gate.close()
    with sqlite3.connect(gate.folder / "w/ledger.db") as opened:
        opened.execute("UPDATE log_entries SET body = replace(body, 'alice', 'carol')")
    with pytest.raises(LogError, match="changed after it was logged"):
        export(gate.workspace, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_full_disk_leaves_nothing(world: Gate, tmp_path: Path) -> None:
    with limited(resource.RLIMIT_FSIZE, 500), pytest.raises(OSError, match="large"):
        export(world.workspace, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


KILLER = """
import os, signal, sys
from pathlib import Path
from ragguard.config import Settings
from ragguard.export.verify import verify
from ragguard.export.write import export
from ragguard.workspace import Workspace
from tests.support.simulator import NOW

folder, key = Path(sys.argv[1]), sys.argv[2]
events = {"os.rename", "os.rmdir", "os.mkdir", "os.remove"}
place = folder / "out" / "x"
(folder / "out").mkdir()

def work(target):
    seen = 0
    def hook(event, args):
        nonlocal seen
        writes = event in events or (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writes and str(args[0]).startswith(str(place.parent)):
            if seen == target:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1
    with Workspace(folder / "w", Settings(), NOW) as workspace:
        sys.addaudithook(hook)
        export(workspace, place)

killed = 0
while True:
    child = os.fork()
    if child == 0:
        try:
            work(killed)
            os._exit(0)
        except BaseException as error:
            print(error, flush=True)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        assert status == 0, status
        break
    assert not place.exists(), sorted(place.rglob("*"))
    killed += 3  # every third: they alternate between folders, files and their names
assert verify(place, key).problems == []
assert [p.name for p in place.parent.iterdir()] == ["x"]
print(killed // 3)
"""


def test_killed_at_any_write_nothing_is_under_its_name(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    key = gate.workspace.log_key
    gate.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(gate.folder), key],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 8
