"""What every released version wrote is read for ever; `make.py` writes the fixture of a release."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragguard import __version__, workspace
from ragguard.config import Settings
from ragguard.corpus.documents import gather
from ragguard.export.restore_workspace import restore_into
from ragguard.export.verify import verify
from ragguard.ingest import calibration
from ragguard.ledger import cases, commits, versions
from ragguard.ledger import decided as decided_rows
from ragguard.lineage import prove
from ragguard.trust import decision, dsse, keys, manifest
from ragguard.trust import root as roots
from tests.formats.make import PASSPHRASE
from tests.support.simulator import NOW
from tests.support.workspaces.ledger_rows import decision_on

HERE = Path(__file__).parent
RELEASES = sorted(p.name for p in HERE.glob("v*"))
LIMIT = 1 << 26


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    return HERE / str(request.param)


@pytest.fixture
def expected(release: Path) -> Any:
    return json.loads((release / "expected.json").read_text())


@pytest.fixture
def kept(release: Path, tmp_path: Path) -> Iterator[workspace.Workspace]:
    shutil.copytree(release / "workspace", tmp_path / "w")
    for key in (tmp_path / "w/keys").glob("*.key"):
        key.chmod(0o600)  # a checkout does not keep it
    with workspace.Workspace(tmp_path / "w", Settings(), NOW) as opened:
        yield opened


def test_this_version_has_a_fixture() -> None:
    assert "v" + ".".join(__version__.split(".")[:2]) in RELEASES


def test_key_files_are_read(release: Path, expected: Any) -> None:
    public = keys.load_public((release / "alice.pub").read_bytes())
    private = keys.load_private((release / "alice.key").read_bytes(), PASSPHRASE)
    assert public.keyid == private.public.keyid == expected["alice"]


def test_every_trust_root_follows_from_the_one_before(release: Path) -> None:
    folder = release / "workspace" / "trust"
    root = None
    for path in [*sorted(folder.glob("root.*.json")), folder / "root.json"]:
        root = roots.verify_root(path.read_bytes(), root)
    assert root is not None
    assert root.version == 3
    assert set(root.sources) == {"wiki"}


def test_manifests_are_accepted_in_order(
    release: Path, kept: workspace.Workspace, expected: Any
) -> None:
    last = None
    for path in sorted(release.glob("wiki-*.intoto.json")):
        body, signed = roots.authenticate(path.read_bytes(), kept.root, NOW, max_bytes=LIMIT)
        manifest.check_freshness(body, NOW)
        assert manifest.check_sequence(body, last)
        last = manifest.LastAccepted(body.version, body.digest)
        assert [k.principal for k in signed.signed] == ["alice"]
    assert {s.name for s in body.subjects} == set(expected["verdicts"])


def test_the_site_is_still_what_was_signed(release: Path, kept: workspace.Workspace) -> None:
    path = release / "wiki-2.intoto.json"
    body, _ = roots.authenticate(path.read_bytes(), kept.root, NOW, max_bytes=LIMIT)
    items, _ = gather(body, kept.root.sources["wiki"].policy, release / "site", LIMIT)
    assert [i.document.id for i in items if i.findings] == []


def test_the_ledger_is_read(kept: workspace.Workspace) -> None:
    with kept.ledger.reading() as conn:
        acts = [c.kind for c in commits.listed(conn)]
        serving = versions.members(conn, "serving")
        closed = cases.listed(conn, state="rejected")
        denied = decided_rows.denied(conn)
    assert sorted(acts) == ["ingest", "ingest", "reject"]
    assert len(serving) == 6
    assert [c.document for c in closed] == ["pin.md"]
    assert len(denied) == 1


def test_the_log_still_holds(kept: workspace.Workspace) -> None:
    found = prove.verify_log(kept)
    assert found.problems == []
    assert found.commits == 3


def test_the_proof_still_proves(release: Path, expected: Any) -> None:
    public = keys.load_public((release / "alice.pub").read_bytes())
    log_key = (release / "log-key.txt").read_text().strip()
    shown = prove.verify_bundle(
        (release / "proof.json").read_bytes(), log_key, {public.keyid: public}
    )
    assert shown["document"] == "wiki/laptops.md"
    assert shown["signed_by"] == ["alice"]


def test_the_decision_is_read(kept: workspace.Workspace) -> None:
    with kept.ledger.reading() as conn:
        (case,) = cases.listed(conn, state="rejected")
        row = decision_on(conn, case.id)
    said, reviewer = decision.authenticate(kept.vault.get(row.envelope), kept.root, [], NOW)
    assert (said.action, reviewer.principal) == ("reject", "bob")


def test_the_report_names_every_document(release: Path, expected: Any) -> None:
    body = json.loads((release / "report.json").read_text())
    assert {d["id"]: d["verdict"] for d in body["documents"]} == expected["verdicts"]


def test_the_calibration_is_read_and_would_be_written_so(release: Path) -> None:
    raw = (release / "calibration.json").read_bytes()
    found = calibration.load(raw)
    assert found.rate == 0.05
    assert found.weights["collusion"] > 0
    assert not set(found.fit) & set(found.reference)
    assert calibration.dump(found) == raw


def test_an_envelope_is_what_this_version_would_write(release: Path) -> None:
    raw = (release / "wiki-1.intoto.json").read_bytes()
    envelope = dsse.parse_envelope(raw, max_bytes=LIMIT)
    body = manifest.parse(envelope.payload, max_bytes=LIMIT)
    again = manifest.dump(
        source=body.source,
        version=body.version,
        issued=body.issued,
        expires=body.expires,
        previous=body.previous,
        mode=body.mode,
        subjects=body.subjects,
        removes=body.removes,
    )
    assert again == envelope.payload


def test_an_export_is_verified_and_restored(release: Path, tmp_path: Path) -> None:
    """v0.1's is from before exports had opinions: what decided is counted all the same."""
    key = (release / "export/log.vkey").read_text().strip()
    found = verify(release / "export", key)
    assert found.problems == []
    assert {
        (about[1], *(word.reviewer.principal for word in words)) for about, words in found.released
    } == {("safe.md", "bob", "carol")}
    assert ("pin.md", ["bob"]) in [
        (one.document, [word.reviewer.principal for word in words]) for one, words in found.denied
    ]
    done = restore_into(release / "export", tmp_path / "n", key, NOW)
    assert (done.exit_code, done.documents, done.releases) == (0, 3, 1)
    with workspace.Workspace(tmp_path / "n", Settings(), NOW) as opened:
        assert prove.verify_log(opened).problems == []
