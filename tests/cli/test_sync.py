"""`sync`: a source in step with a folder, as cron would keep it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Shell, one_line_error
from tests.support import plugging

SYNC = ("--source", "wiki", "--key", "keys/alice.key")


def sync(shell: Shell, code: int = 0) -> dict[str, int]:
    counts: dict[str, int] = shell.json("sync", shell.site, *SYNC, code=code)["counts"]
    return {name: number for name, number in counts.items() if number}


def test_new_changed_and_gone_documents_follow_the_folder(made: Shell) -> None:
    first = sync(made, code=1)
    assert first == {"admitted": 7, "quarantined": 1}
    made.write({"new.md": "The bicycle shed has a second key at the counter."})
    (made.site / "guides/parking.rst").unlink()
    made.clock.later(hours=1)
    second = sync(made, code=1)
    assert (second["admitted"], second["removed"]) == (1, 1)
    made.clock.later(hours=1)
    written = (made.folder / "sync/wiki.intoto.json").read_bytes()
    third = sync(made)
    assert "admitted" not in third
    assert "removed" not in third
    assert (made.folder / "sync/wiki.intoto.json").read_bytes() == written


def test_a_folder_without_documents_takes_nothing_out(made: Shell) -> None:
    sync(made, code=1)
    for path in made.site.rglob("*"):
        if path.is_file():
            path.unlink()
    before = made.state()
    said = one_line_error(made("sync", made.site, *SYNC))
    assert "nothing to sign" in said
    assert made.state() == before


def test_a_file_that_is_no_manifest_is_not_overwritten(made: Shell) -> None:
    (made.site / "safe.md").unlink()
    kept = made.site / "guides/parking.rst"
    said = one_line_error(made("sync", made.site, *SYNC, "-o", kept))
    assert "is no manifest" in said
    assert kept.read_text().startswith("Parking")


def test_a_source_that_is_a_path_is_refused_before_one_is_made_of_it(made: Shell) -> None:
    before = made.state()
    said = one_line_error(
        made("sync", made.site, "--source", "../../away", "--key", "keys/alice.key")
    )
    assert "--source '../../away'" in said
    assert made.state() == before


def test_a_url_is_kept_in_step_as_a_folder_is(made: Shell, tmp_path: Path) -> None:
    with (made.folder / "ragguard.toml").open("a") as file:
        file.write('\n[plugins]\nloaders = ["acme-ragguard:notes"]\n')
    with plugging.on_path(plugging.install_example(tmp_path / "packages")):
        first = made.json("sync", "notes://handbook", *SYNC)["counts"]
        assert first["admitted"] == 2
        kept = made.folder / "sync/wiki.intoto.json"
        assert "2 documents are the signed" in made.ok("verify", kept, "--root", "notes://handbook")
        sign = ("sign", "--root", "notes://handbook", *SYNC, "-o", made.folder / "m.intoto.json")
        assert "2 documents in 2 files" in made.ok(*sign)
        assert "leave the paths away" in one_line_error(made(*sign, "docs"))
    assert "no such scheme" in one_line_error(made("sync", "wiki://handbook", *SYNC))
