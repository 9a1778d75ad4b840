"""A stranger verifies an export by the log's key, and finds whatever was changed in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ragguard.errors import IntegrityError, LogError
from ragguard.export.inventory import MAX_INVENTORY, Inventory, OmittedDocument, dump, parse
from ragguard.export.verify import verify
from ragguard.export.write import ExportResult, export
from ragguard.trust import amend_root
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.exports import Change, forge, problems, put, write_signed


def test_a_stranger_verifies_it_with_the_log_key_alone(made: ExportResult) -> None:
    found = verify(made.folder, made.log_key)
    assert found.problems == []
    assert found.inventory == made.inventory
    assert found.notes == [f"the trust root is not pinned: version 1 is {made.inventory.roots[0]}"]
    assert [(about[1], len(words)) for about, words in found.released] == [("safe.md", 1)]
    pinned = verify(made.folder, made.log_key, root=made.inventory.roots[1])
    assert (pinned.problems, pinned.pinned, pinned.notes) == ([], 2, [])
    other = verify(made.folder, made.log_key, root="0" * 64)
    assert "none of them is" in other.problems[0]


def test_one_changed_byte_in_any_file_is_found(made: ExportResult, copy: Path) -> None:
    files = sorted(p for p in copy.rglob("*") if p.is_file())
    unnoticed = []
    for path in files:
        data = path.read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            if not problems(copy, made):
                unnoticed.append((path.name, place))
        path.write_bytes(data + b"\n")
        if not problems(copy, made):
            unnoticed.append((path.name, len(data)))
        path.write_bytes(data)
    assert len(files) > 15
    assert unnoticed == []
    assert problems(copy, made) == []


def test_a_file_that_is_gone_is_found_whichever_it_is(made: ExportResult, copy: Path) -> None:
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.unlink()
        try:
            found = problems(copy, made)
        except IntegrityError as error:
            assert path.name == "export.json"
            found = [error.message]
        assert found, path
        path.write_bytes(data)


def test_what_does_not_belong_there_is_found(made: ExportResult, copy: Path) -> None:
    (copy / "objects/extra").write_text("x")
    (copy / "new").mkdir()
    (copy / "new/\x1b[31mred").write_text("x")
    assert problems(copy, made) == [
        "'new': does not belong there",
        "'objects/extra': does not belong there",
    ]
    shutil.rmtree(copy / "new")
    (copy / "objects/extra").unlink()
    victim = next(p for p in (copy / "objects").rglob("*") if p.is_file())
    moved = shutil.move(victim, copy.parent / "moved")
    victim.symlink_to(moved)  # the same bytes, by way of a link
    assert any("symbolic link" in p for p in problems(copy, made))
    victim.unlink()
    os.mkfifo(victim)
    assert any("no regular file" in p for p in problems(copy, made))
    victim.unlink()
    shutil.move(moved, victim)
    shutil.move(copy / "roots", copy.parent / "roots")
    (copy / "roots").symlink_to(copy.parent / "roots")
    assert "'roots': a symbolic link" in problems(copy, made)


def test_another_key_is_refused(
    made: ExportResult, copy: Path, new_gate: Callable[..., Gate]
) -> None:
    other = new_gate().workspace.log_key
    (said,) = verify(copy, other).problems
    assert "not what the log" in said
    with pytest.raises(LogError):
        verify(copy, "no key at all")
    name, encoded = made.log_key.split("+", 2)[0], other.split("+", 2)[2]
    with pytest.raises(LogError):
        verify(copy, f"{name}+00000000+{encoded}")


def test_an_inventory_beyond_all_bounds_is_not_read(made: ExportResult, copy: Path) -> None:
    with open(copy / "export.json", "r+b") as file:
        file.truncate(MAX_INVENTORY + 1)  # a hole, no data
    with pytest.raises(IntegrityError, match="at most"):
        verify(copy, made.log_key)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"[]",
        b'{"format":"ragguard-export-v1"}',
        b'{"format":"ragguard-export-v2"}',
        b'{"format":"ragguard-export-v1","format":"ragguard-export-v1"}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
    ids=["no text", "a list", "empty", "another format", "a key twice", "open", "deep"],
)
def test_a_hostile_inventory_that_is_signed_ends_in_a_sentence(
    world: Gate, made: ExportResult, copy: Path, data: bytes
) -> None:
    write_signed(world, copy, data)
    (said,) = problems(copy, made)
    assert said.startswith("export.json: ")
    assert len(said) < 500


CHANGES: dict[str, Change] = {
    "a file outside": put(["0" * 64, 1], "files", "../../x"),
    "an absolute path": put(1, "objects", "/etc/passwd"),
    "a negative size": lambda body: body["objects"].update({next(iter(body["objects"])): -1}),
    "a float for a size": put(1.5, "size"),
    "another metadata": put({"department": "board"}, "documents", 0, "metadata"),
    "another digest": put("0" * 64, "documents", 0, "digest"),
    "another source": put("board", "documents", 0, "source"),
    "another manifest": put("0" * 64, "documents", 0, "manifest"),
    "a document twice": lambda body: body["documents"].append(body["documents"][0]),
    "a document less": lambda body: body["documents"].pop(0),
    "another commit": lambda body: body.update(commit=body["commit"] + 1),
    "beyond the log": put(10**6, "log_index"),
    "no roots": put([], "roots"),
    "fewer roots": lambda body: body["roots"].pop(),
    "another decision": put("leave.md", "decisions", 0, "document"),
    "a decision elsewhere": put(0, "decisions", 0, "log_index"),
    "a record renamed": lambda body: next(
        d for d in body["documents"] if "#" in d["document"]
    ).update(document="faq.jsonl#other"),
    "no checkpoint": lambda body: body["files"].pop("checkpoint"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_who_has_stolen_the_logs_key_still_cannot_say_what_was_not_signed(
    world: Gate, made: ExportResult, copy: Path, change: Change
) -> None:
    forge(world, copy, change)
    assert problems(copy, made) != []


def test_an_inventory_is_read_back_as_it_was_written(made: ExportResult) -> None:
    assert parse(dump(made.inventory)) == made.inventory
    odd = OmittedDocument("wiki", "\x1b]0;owned\x07\n../x", "0" * 64, "1" * 64, "denied", "\u202e")
    other: Inventory = replace(made.inventory, left=[odd])
    assert parse(dump(other)) == other


def test_a_key_that_was_revoked_since_is_said_and_nothing_else(gate: Gate, tmp_path: Path) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    alice = gate.alice.public
    gate.change_root(lambda root: amend_root.revoke(root, alice, gate.now, "left the company"))
    done = export(gate.workspace, tmp_path / "x")
    found = verify(tmp_path / "x", done.log_key, root=done.inventory.roots[0])
    assert (len(done.inventory.documents), found.problems) == (6, [])
    (said,) = found.notes
    assert "signed by alice, whose key was revoked since; 6 documents stand on it" in said
