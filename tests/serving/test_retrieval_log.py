"""The retrieval log: whole lines, whoever writes, within its size, and for nobody else's eyes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ragguard.serving import retrieval_log
from ragguard.serving.answer import Hit, Proof, RefusedPassage
from ragguard.serving.retrieval_log import (
    LONGEST,
    AnswerRecord,
    Level,
    ReadNotes,
    RetrievalLog,
    segments,
)
from tests.support.simulator import NOW

QUESTION = "how many days of vacation do I get"
DIGEST = "ab" * 32
VECTOR = np.full(4, 0.5, dtype=np.float32)
POINT = "00000000-0000-4000-8000-000000000001"


@dataclass
class Found:
    records: list[AnswerRecord]
    damaged: int
    lost: int


def read(folder: Path) -> Found:
    told = ReadNotes()
    return Found(list(retrieval_log.read(folder, told)), told.damaged, told.lost)


def hit(document: str = "wiki/leave.md") -> Hit:
    proof = Proof(POINT, "cd" * 32, "ef" * 32, 7, 9, 1)
    return Hit(1, 0.5, "the passage itself", document, "wiki", {}, proof)


def planted(kind: str = "honeytoken") -> RefusedPassage:
    return RefusedPassage(POINT, "assets/one.md", kind, "planted", True)


def answered(log: RetrievalLog, text: str = QUESTION, **rest: object) -> None:
    log.answered(DIGEST, [hit()], [], size=9, vector=VECTOR, text=text, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["digests", "vectors", "texts"])
def test_a_level_keeps_what_it_says_and_never_a_passage(tmp_path: Path, level: Level) -> None:
    answered(RetrievalLog(tmp_path / "r", level, clock=lambda: NOW))
    (record,) = read(tmp_path / "r").records
    assert (record.at, record.question, record.log) == ("2026-03-01T12:00:00Z", DIGEST, 9)
    (place,) = record.hits
    assert (place.point, place.document, place.commit) == (POINT, "wiki/leave.md", 7)
    assert record.text == (QUESTION if level == "texts" else "")
    found = record.direction
    if level == "digests":
        assert found is None
    else:
        assert found is not None
        assert found == pytest.approx(VECTOR, abs=1e-3)
    (path,) = segments(tmp_path / "r")
    assert b"the passage itself" not in path.read_bytes()
    assert (QUESTION.encode() in path.read_bytes()) == (level == "texts")


def test_what_is_off_writes_nothing_but_honeytokens(tmp_path: Path) -> None:
    log = RetrievalLog(tmp_path / "r", "off")
    answered(log)
    assert not (tmp_path / "r").exists()
    log.answered(DIGEST, [hit()], [planted(), planted("seal")], size=9, vector=VECTOR, text="who")
    (record,) = read(tmp_path / "r").records
    assert [p.document for p in record.honeytokens] == ["assets/one.md"]
    assert (record.hits, record.alarms, record.vector, record.text) == ([], 0, "", "")


def test_its_files_are_for_nobody_else(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        answered(RetrievalLog(tmp_path / "r"))
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "r").iterdir()}
    assert modes == {".lock": 0o600, "00000001.jsonl": 0o600}
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o700


def test_it_keeps_to_its_size_and_the_newest_stay(tmp_path: Path) -> None:
    log = RetrievalLog(tmp_path / "r", "texts", max_bytes=1 << 20)
    for number in range(900):
        answered(log, f"{number} {'x' * 1900}")
        if not number % 50:
            assert sum(p.stat().st_size for p in segments(tmp_path / "r")) <= 1 << 20
    found = read(tmp_path / "r")
    numbers = [int(r.text.split()[0]) for r in found.records]
    assert numbers == list(range(900 - len(numbers), 900))
    assert len(numbers) > 300
    assert found.damaged == 0


def test_a_line_that_a_killed_process_left_half_is_skipped_and_costs_no_other(
    tmp_path: Path,
) -> None:
    log = RetrievalLog(tmp_path / "r")
    answered(log)
    (path,) = segments(tmp_path / "r")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert (len(read(tmp_path / "r").records), read(tmp_path / "r").damaged) == (1, 1)
    answered(log)
    answered(RetrievalLog(tmp_path / "r"))
    found = read(tmp_path / "r")
    assert (len(found.records), found.damaged) == (3, 1)


WRITER = """
import sys
from pathlib import Path
from tests.serving.test_retrieval_log import answered
from ragguard.serving.retrieval_log import RetrievalLog

log = RetrievalLog(Path(sys.argv[1]), "texts", max_bytes=1 << 24)
for number in range(int(sys.argv[3])):
    answered(log, f"{sys.argv[2]} {number} " + "y" * 1500)
"""


def test_several_processes_write_whole_lines_and_lose_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "r")]
    running = [subprocess.Popen([*command, name, "150"]) for name in "abc"]
    assert [p.wait(120) for p in running] == [0, 0, 0]
    found = read(tmp_path / "r")
    assert (len(found.records), found.damaged) == (450, 0)
    for name in "abc":
        mine = [int(r.text.split()[1]) for r in found.records if r.text.startswith(name)]
        assert mine == list(range(150))


def test_a_fork_does_not_share_its_parent_s_lock(tmp_path: Path) -> None:
    log = RetrievalLog(tmp_path / "r", "texts")
    answered(log, "parent")
    child = os.fork()
    if child == 0:
        try:
            answered(log, "child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    answered(log, "parent again")
    assert [r.text for r in read(tmp_path / "r").records] == ["parent", "child", "parent again"]


def test_what_cannot_be_written_is_told_with_the_next_and_stops_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RetrievalLog(tmp_path / "r")
    (tmp_path / "r").write_text("in its way")
    answered(log)
    answered(log)
    assert "could not be logged" in caplog.text
    (tmp_path / "r").unlink()
    answered(log)
    answered(log)
    found = read(tmp_path / "r")
    assert (len(found.records), found.lost) == (2, 2)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "r/00000001.jsonl").symlink_to(tmp_path / "victim")
    answered(RetrievalLog(tmp_path / "r"))
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"[1]",
        b'{"v":2}',
        b"\xff\xfe",
        json.dumps({"at": "yesterday", "question": DIGEST, "log": 1}).encode(),
        json.dumps({"at": "2026-03-01T12:00:00Z", "question": "no", "log": 1}).encode(),
        json.dumps({"at": "2026-03-01T12:00:00Z", "question": DIGEST, "log": True}).encode(),
        json.dumps({"at": "2026-03-01T12:00:00Z", "question": DIGEST, "log": 1, "x": 1}).encode(),
        b"z" * (3 * LONGEST),
        b"[" * 60_000,
    ],
    ids=str,
)
def test_hostile_lines_are_counted_and_nothing_else(tmp_path: Path, line: bytes) -> None:
    folder = tmp_path / "r/elsewhere"
    folder.mkdir(parents=True)
    answered(RetrievalLog(tmp_path / "r"))
    (folder / "7.jsonl").write_bytes(line + b"\n")
    found = read(tmp_path / "r")
    assert len(found.records) == 1
    assert found.damaged >= 1


def test_a_vector_that_is_none_is_left_out(tmp_path: Path) -> None:
    log = RetrievalLog(tmp_path / "r")
    for row in (np.zeros(4), np.full(4, np.nan), np.zeros(0)):
        log.answered(DIGEST, [], [], size=1, vector=row.astype(np.float32))
    assert [r.direction for r in read(tmp_path / "r").records] == [None] * 3


def test_hostile_names_and_many_passages_are_cut_and_still_a_record(tmp_path: Path) -> None:
    log = RetrievalLog(tmp_path / "r", "texts")
    odd = "wiki/\ud800" + "\x1b[31m" * 900
    log.answered(DIGEST, [hit(odd)] * 3000, [], size=1, text="\ud800?" * 5000)
    log.answered(DIGEST, [hit()] * 3000, [], size=1)
    found = read(tmp_path / "r")
    assert (len(found.records), found.damaged, found.lost) == (2, 0, 0)
    assert 1 <= len(found.records[0].hits) < len(found.records[1].hits) <= 200
    assert len(found.records[0].text) == 2000
