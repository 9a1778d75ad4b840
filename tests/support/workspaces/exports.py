"""An export whose inventory is changed and signed again, as one with the log's key could."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragguard.export import inventory as inventories
from ragguard.export.verify import verify
from ragguard.export.write import ExportResult
from ragguard.trust.canonical import canonical, digest_bytes
from tests.support.json_places import holder
from tests.support.simulator import Gate

ODD = ["../../x", "long " + "n" * 300, "käse 乳酪 <b>", "plain"]  # ids of records, hostile ones too
SENTENCES = [
    "The canteen opens at seven. Soup is served at noon, and the last coffee at five.",
    "Bicycles stand under the roof beside the gate; charging posts are booked in Rollcall.",
    "Travel is booked by the desk on the second floor, by rail where it takes under five hours.",
    "A broken lamp or a cold radiator is reported to the caretaker, who comes the same day.",
]
FAQ = "".join(
    json.dumps({"id": name, "text": text, "metadata": {"audience": "staff"}}) + "\n"
    for name, text in zip(ODD, SENTENCES, strict=True)
)
Change = Callable[[dict[str, Any]], Any]


def problems(folder: Path, made: ExportResult) -> list[str]:
    """What a stranger finds wrong."""
    return verify(folder, made.log_key).problems


def forge(world: Gate, folder: Path, change: Change) -> None:
    """Change the inventory and sign it again, as one who has stolen the log's key could."""
    body = json.loads((folder / inventories.INVENTORY).read_bytes())
    change(body)
    write_signed(world, folder, canonical(body))


def contents(folder: Path) -> dict[str, bytes]:
    """Files below a folder, by name."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def write_signed(world: Gate, folder: Path, data: bytes) -> None:
    """Write an inventory, its note and the sums of what is there."""
    text = inventories.note_text(world.workspace.origin, digest_bytes(data))
    (folder / inventories.INVENTORY).write_bytes(data)
    (folder / inventories.NOTE).write_text(world.workspace.sign_note(text))
    (folder / inventories.SUMS).unlink()
    found = {name: digest_bytes(held) for name, held in sorted(contents(folder).items())}
    (folder / inventories.SUMS).write_bytes(inventories.sums(found))


def put(value: Any, *path: str | int) -> Change:
    """Put a value into the inventory."""

    def change(body: Any) -> None:
        holder(body, path)[path[-1]] = value

    return change
