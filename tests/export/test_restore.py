"""A vault is whole again, and a new workspace is made, from an export that verifies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragguard.config import Settings, load
from ragguard.errors import IntegrityError, LogError, RagguardError, UsageError
from ragguard.export.restore_vault import restore
from ragguard.export.restore_workspace import restore_into
from ragguard.export.verify import verify
from ragguard.export.write import ExportResult, export
from ragguard.ingest.run import ingest
from ragguard.lineage.prove import verify_log
from ragguard.quarantine.review import decide
from ragguard.rebuild.reindex import reindex
from ragguard.trust import amend_root, keys
from ragguard.workspace import Workspace
from tests.ingest.test_adopt import legacy, take
from tests.support.simulator import HONEST, NOW, SUSPECT, Gate
from tests.support.workspaces.exports import FAQ, SENTENCES
from tests.support.workspaces.rebuilding import proved, wrong

QUESTIONS = ["how many days of leave do I have", "who signs contracts", "when is the canteen open"]


def answers(workspace: Workspace) -> list[list[tuple[Any, ...]]]:
    """What exact search finds: document, span, text and metadata, the nearest first."""
    store, generation = workspace.open_store(), workspace.generation()
    assert generation is not None
    hits = store.search(generation.serving, workspace.encoder.encode(QUESTIONS), 10)
    return [
        [
            (
                *(p.payload["ragguard"][k] for k in ("document", "start", "end")),
                p.payload["page_content"],
                p.payload["metadata"],
            )
            for p in store.get(generation.serving, ids)
        ]
        for ids in hits.ids
    ]


def test_a_vault_that_lost_half_is_whole_again(gate: Gate, tmp_path: Path) -> None:
    gate.publish({**HONEST, "faq.jsonl": FAQ, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a drill")
    done = export(gate.workspace, tmp_path / "x")
    assert wrong(gate.workspace) == []
    names = sorted({d.subject_digest for d in done.inventory.documents})
    vault = gate.folder / "w/vault"
    for number, name in enumerate(names[: len(names) // 2]):
        path = vault / name[:2] / name
        path.unlink() if number % 2 else path.write_bytes(b"other bytes")
    manifest = next(iter(done.inventory.manifests.values()))
    (vault / manifest[:2] / manifest).unlink()
    gate.reopen()
    assert "vault-damaged" in {rule for rule, _ in wrong(gate.workspace)}
    gate.reopen()
    back = restore(gate.workspace, tmp_path / "x")
    assert (back.documents, back.others, back.exit_code) == (len(names) // 2, 1, 0)
    assert back.intact == len(names) - len(names) // 2 + 1
    assert wrong(gate.workspace) == []
    assert verify_log(gate.workspace).problems == []
    gate.reopen()
    again = restore(gate.workspace, tmp_path / "x")
    assert (again.documents, again.others) == (0, 0)
    rebuilt = reindex(gate.workspace, at=done.inventory.commit)
    assert (rebuilt.left, rebuilt.kept) == ([], len(done.inventory.documents))


def test_what_no_export_holds_is_named(gate: Gate, tmp_path: Path) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    export(gate.workspace, tmp_path / "x")
    shutil.rmtree(gate.folder / "w/vault")
    back = restore(gate.workspace, tmp_path / "x")
    assert (back.documents, back.others, back.exit_code) == (1, 1, 1)
    assert back.lost == {"plan of a commit": 1, "vectors": 1}
    assert reindex(gate.workspace, re_embed=True).kept == 1


def test_nothing_is_put_back_from_an_export_that_is_not_ours_or_not_whole(
    gate: Gate, new_gate: Callable[..., Gate], made: ExportResult, tmp_path: Path
) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    with pytest.raises(IntegrityError, match="not what the log"):
        restore(gate.workspace, made.folder)
    done = export(gate.workspace, tmp_path / "x")
    victim = next(p for p in (tmp_path / "x/objects").rglob("*") if p.is_file())
    victim.write_bytes(b"x")
    shutil.rmtree(gate.folder / "w/vault")
    with pytest.raises(IntegrityError, match="things are wrong"):
        restore(gate.workspace, done.folder)
    assert not (gate.folder / "w/vault").exists()


def test_a_ledger_that_was_put_back_knows_less_than_the_export(gate: Gate, tmp_path: Path) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    gate.close()
    shutil.copyfile(gate.folder / "w/ledger.db", tmp_path / "old.db")
    gate.publish({"visitors.md": HONEST["visitors.md"]})
    done = export(gate.workspace, tmp_path / "x")
    gate.close()
    for path in gate.folder.glob("w/ledger.db*"):
        path.unlink()
    shutil.copyfile(tmp_path / "old.db", gate.folder / "w/ledger.db")
    with pytest.raises(LogError, match="kept elsewhere"):
        restore(gate.workspace, done.folder)


def test_a_new_workspace_answers_as_the_lost_one_did(
    world: Gate, made: ExportResult, tmp_path: Path
) -> None:
    before = answers(world.workspace)
    place, later = tmp_path / "n", NOW + timedelta(days=1)
    done = restore_into(made.folder, place, made.log_key, later, root=made.inventory.roots[0])
    assert (done.exit_code, done.documents, done.releases) == (0, len(made.inventory.documents), 1)
    assert (done.left, done.recipe_changed, done.notes) == ([], False, ())
    with Workspace(place, load(place / "ragguard.toml", {}), later) as workspace:
        assert workspace.origin == done.origin != world.workspace.origin
        assert workspace.root == world.workspace.root
        assert answers(workspace) == before
        assert verify_log(workspace).problems == []
        assert proved(workspace)["acts"][0]["act"] == "restore"
        assert wrong(workspace) == []
        again = export(workspace, tmp_path / "again")
        assert verify(tmp_path / "again", again.log_key).problems == []
    texts = {"leave.md": HONEST["leave.md"].replace("27", "28")}
    with Workspace(place, Settings(), later) as workspace:
        old = world.folder / "wiki-1.intoto.json"
        assert ingest(workspace, [old], root=world.publisher.folder).counts["admitted"] == 0
        site = tmp_path / "site"
        shutil.copytree(world.publisher.folder, site)
        world.publisher.folder, kept, last = site, world.publisher.folder, world.publisher.last
        new = world.publisher.publish(texts, name="wiki-new.intoto.json", now=later)
        world.publisher.folder, world.publisher.last = kept, last
        report = ingest(workspace, [new], root=site)
        assert [m.error for m in report.manifests] == [None]
        verdicts = {d.id: d.outcome for d in report.documents}
        assert verdicts.pop("vault.md") == "quarantine"  # it waited, and waits again
        assert verdicts.pop("leave.md") == "admit"
        assert set(verdicts.values()) == {"unchanged"}  # safe.md too: its release came along
        assert ingest(workspace, [old], root=kept).exit_code == 3  # an older version now


def test_a_new_workspace_keeps_what_a_revoked_key_had_brought_before(
    gate: Gate, tmp_path: Path
) -> None:
    carol = keys.generate("carol")
    gate.publish(HONEST)
    gate.trust(carol, source="wiki")
    gate.reopen(days=10)
    alice = gate.alice.public
    gate.change_root(lambda root: amend_root.revoke(root, alice, gate.now, "left the company"))
    gate.publisher.key = carol
    gate.publish({"news.md": "# News\n\nSoup is at noon, and the canteen opens at seven."})
    kept = gate.documents()
    done = export(gate.workspace, tmp_path / "x")
    later = gate.now + timedelta(hours=1)
    made = restore_into(done.folder, tmp_path / "n", done.log_key, later)
    assert made.documents == len(kept) == 7
    with Workspace(tmp_path / "n", Settings(), later) as workspace:
        assert reindex(workspace, dry_run=True).left == []
        assert wrong(workspace) == []
        assert proved(workspace)


def test_no_new_workspace_is_made_from_what_does_not_verify_or_over_another(
    made: ExportResult, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    with pytest.raises(UsageError):
        restore_into(made.folder, tmp_path / "full", made.log_key, NOW)
    (copy / "log.jsonl").write_text("")
    with pytest.raises(RagguardError, match="things are wrong"):
        restore_into(copy, tmp_path / "n", made.log_key, NOW)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "full"]


def test_adopted_documents_go_out_and_come_back_as_unsigned_as_they_were(
    gate: Gate, tmp_path: Path
) -> None:
    take(gate, legacy(tmp_path / "s", {**HONEST, "a\x1b[31m/../b": SENTENCES[0]}), "trust")
    for case in gate.cases():
        decide(gate.workspace, case, "release", gate.bob, "read")
    done = export(gate.workspace, tmp_path / "x")
    found = verify(done.folder, done.log_key)
    assert (found.problems, len(done.inventory.documents)) == ([], 7)
    assert "7 documents of 'legacy': nobody signed them" in found.notes
    made = restore_into(done.folder, tmp_path / "n", done.log_key, NOW)
    assert (made.documents, made.releases) == (7, len(done.inventory.decisions))
    with Workspace(tmp_path / "n", Settings(), NOW) as workspace:
        assert reindex(workspace, dry_run=True).left == []
        assert wrong(workspace) == []
