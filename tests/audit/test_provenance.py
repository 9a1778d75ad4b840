"""Provenance under today's trust: who may still speak, what has expired, what would be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.audit.findings import AuditFinding
from ragguard.audit.provenance import Provenance, check_provenance
from ragguard.ledger.tables import manifests, versions
from ragguard.model import Root
from ragguard.quarantine.review import decide
from ragguard.trust import amend_root, keys
from ragguard.trust.canonical import digest, format_time
from tests.support.simulator import HONEST, NOW, SUSPECT, Gate

TEXTS = {name: HONEST[name] for name in ("leave.md", "laptops.md", "releases.md")}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """Two sources: the wiki of alice with a document in quarantine, the shop of carol."""
    gate = Gate(tmp_path_factory.mktemp("provenance"))
    metadata = {name: {"department": "it", "owner": "ops"} for name in TEXTS}
    gate.publish({**TEXTS, "safe.md": SUSPECT}, metadata=metadata)
    shop = gate.another("shop")
    path = shop.publish({"visitors.md": HONEST["visitors.md"]}, expires=timedelta(days=10))
    assert gate.ingest(path, root=shop.folder).exit_code == 0
    gate.close()
    return gate


def look(gate: Gate, **later: float) -> Provenance:
    return check_provenance(gate.reopen(**later))


def only(found: Provenance) -> AuditFinding:
    (finding,) = found.findings
    return finding


def alter(gate: Gate, statement: sa.Executable) -> None:
    with gate.workspace.ledger.writing() as conn:
        conn.execute(statement)


# --- honest ---------------------------------------------------------------------------------------


def test_good_provenance_gives_no_finding_and_says_what_stands(kept: Gate) -> None:
    found = look(kept)
    assert found.findings == []
    assert found.states == {"wiki": "current", "shop": "current"}
    assert (found.documents, found.serving, found.signed, found.current) == (5, 4, 4, 4)


def test_a_new_workspace_has_nothing_to_say(gate: Gate) -> None:
    assert check_provenance(gate.workspace) == Provenance([], {"wiki": "current"})


# --- expiry ---------------------------------------------------------------------------------------


def test_a_source_whose_last_manifest_expired_is_stale_and_its_documents_stay(kept: Gate) -> None:
    found = look(kept, days=11)
    finding = only(found)
    assert (finding.rule, finding.about, finding.level) == ("source-stale", "shop", "warning")
    assert finding.facts["expired"] == format_time(NOW + timedelta(days=10))
    assert (found.states["shop"], found.states["wiki"]) == ("stale", "current")
    assert (found.serving, found.signed, found.current) == (4, 4, 3)


def test_a_manifest_expires_at_its_time_and_not_before(kept: Gate) -> None:
    assert look(kept, days=10, seconds=-1).findings == []
    assert only(look(kept, seconds=1)).rule == "source-stale"


def test_findings_of_two_sources_are_two(kept: Gate) -> None:
    found = look(kept, days=100).findings
    assert [f.rule for f in found] == ["source-stale"] * 2
    assert len({f.identity for f in found}) == 2


# --- revocation -----------------------------------------------------------------------------------


def revoke(gate: Gate, who: Any, at: timedelta = timedelta(), **act: Any) -> None:
    root = amend_root.revoke(gate.workspace.root, who.public, NOW + at, "stolen")
    body = {"act": "trust revoke", "key": who.public.keyid, **act}
    gate.workspace.set_root(root, [gate.root_key], body)


def test_what_a_key_signed_before_it_was_revoked_keeps(kept: Gate) -> None:
    revoke(kept, kept.alice, timedelta(days=1))
    found = look(kept, days=2)
    assert found.findings == []
    assert found.states["wiki"] == "revoked"
    assert found.signed == 4


def test_a_revocation_in_the_second_of_the_ingest_came_after_it(kept: Gate) -> None:
    revoke(kept, kept.alice)
    assert look(kept, days=2).findings == []


def test_a_key_revoked_before_the_ingest_counts_no_more(kept: Gate) -> None:
    """As when this workspace learned of the revocation late."""
    revoke(kept, kept.alice, -timedelta(days=1))
    found = look(kept)
    finding = only(found)
    assert (finding.rule, finding.about, finding.count) == ("key-revoked", "wiki", 3)
    assert sorted(finding.facts["documents"]) == sorted(f"wiki/{name}" for name in TEXTS)
    assert "revoked: alice" in finding.detail
    assert (found.states["wiki"], found.signed) == ("revoked", 1)


@pytest.mark.parametrize(("days", "fires"), [(-1, True), (0, True), (1, False)])
def test_a_revocation_since_a_date_counts_from_that_date(
    kept: Gate, days: int, fires: bool
) -> None:
    since = format_time(NOW + timedelta(days=days))
    revoke(kept, kept.alice, timedelta(days=5), since=since)
    assert [f.rule for f in look(kept, days=6).findings] == ["key-revoked"] * fires


def test_a_second_signer_keeps_a_manifest_alive(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate()
    dora = keys.generate("dora")
    gate.trust(dora, source="wiki")
    path = gate.publisher.publish(TEXTS)
    both = gate.publisher.hostile(path, signers=[gate.alice, dora])
    assert gate.ingest(both).exit_code == 0
    revoke(gate, gate.alice, -timedelta(days=1))
    assert check_provenance(gate.workspace).findings == []


def test_a_rotated_key_keeps_what_it_signed(kept: Gate) -> None:
    new = keys.generate("alice")
    root = amend_root.rotate(kept.workspace.root, kept.alice.public, new.public, NOW)
    kept.workspace.set_root(root, [kept.root_key], {"act": "trust rotate"})
    found = look(kept, days=2)
    assert (found.findings, found.states["wiki"]) == ([], "current")


# --- contract -------------------------------------------------------------------------------------


def change(gate: Gate, **fields: Any) -> None:
    gate.set_policy("wiki", **fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"departments": ["hr"]}, "department 'it' is not one of hr"),
        ({"labels": ["manual"]}, "label None is not one of manual"),
        ({"formats": ["pdf"]}, "format .md is not one of pdf"),
        ({"required_metadata": ["reviewed"]}, "lacks the metadata reviewed"),
        ({"max_document_bytes": 20}, "more than 20 bytes"),
    ],
)
def test_documents_that_the_contract_of_today_would_refuse_are_counted(
    kept: Gate, fields: dict[str, Any], reason: str
) -> None:
    change(kept, **fields)
    finding = only(look(kept))
    assert (finding.rule, finding.about, finding.count) == ("contract-broken", "wiki", 3)
    assert finding.facts["reasons"] == {reason: 3}
    assert reason in finding.detail


def test_a_contract_that_all_meet_gives_no_finding(kept: Gate) -> None:
    change(kept, departments=["it"], formats=["md"], required_metadata=["owner"])
    assert look(kept).findings == []


def test_a_raised_threshold_is_a_matter_of_the_contract(kept: Gate) -> None:
    dora = keys.generate("dora")
    kept.trust(dora, source="wiki", threshold=2)
    found = look(kept)
    finding = only(found)
    assert (finding.rule, finding.count) == ("contract-broken", 3)
    assert "needs 2 distinct keys today, has 1" in finding.detail
    assert found.signed == 4


def test_a_source_that_the_root_no_longer_knows_is_gone(kept: Gate) -> None:
    def without(root: Root) -> Root:
        sources = {n: s for n, s in root.sources.items() if n != "shop"}
        return replace(root, version=root.version + 1, sources=sources)

    kept.change_root(without)
    found = look(kept)
    finding = only(found)
    assert (finding.rule, finding.about, finding.count) == ("source-gone", "shop", 1)
    assert (found.states["shop"], finding.level) == ("gone", "error")


# --- the ledger and the vault written to ----------------------------------------------------------


def test_a_manifest_that_the_vault_has_lost_is_named(kept: Gate) -> None:
    with kept.workspace.ledger.reading() as conn:
        row = conn.execute(sa.select(manifests).where(manifests.c.source == "wiki")).one()
    (kept.folder / "w" / "vault" / row.envelope[:2] / row.envelope).unlink()
    found = look(kept)
    assert (only(found).rule, found.signed) == ("vault-damaged", 1)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"subject_digest": "ab" * 32}, "does not list its bytes"),
        ({"subject": "other.md"}, "does not list its bytes"),
        ({"metadata": {"department": "hr"}}, "not the one of its digest"),
        ({"manifest": "ab" * 32}, "was never accepted"),
    ],
)
def test_a_version_that_is_not_as_its_manifest_signs_it_is_named(
    kept: Gate, values: dict[str, Any], says: str
) -> None:
    mine = versions.c.document == "leave.md"
    alter(kept, sa.update(versions).where(mine).values(**values))
    finding = only(look(kept))
    assert (finding.rule, finding.count) == ("ledger-inconsistent", 1)
    assert says in finding.detail


def test_metadata_and_digest_changed_alike_are_still_not_the_signed_ones(kept: Gate) -> None:

    other = {"department": "hr", "owner": "ops"}
    mine = versions.c.document == "leave.md"
    values = {"metadata": other, "metadata_digest": digest(other)}
    alter(kept, sa.update(versions).where(mine).values(**values))
    assert "its metadata is not the signed one" in only(look(kept)).detail


def test_a_manifest_of_another_source_does_not_vouch(kept: Gate) -> None:
    with kept.workspace.ledger.reading() as conn:
        rows = {r.source: r for r in conn.execute(sa.select(manifests))}
    mine = manifests.c.source == "wiki"
    alter(kept, sa.update(manifests).where(mine).values(envelope=rows["shop"].envelope))
    found = look(kept)
    assert (only(found).rule, only(found).count, found.signed) == ("ledger-inconsistent", 4, 1)


def test_a_manifest_whose_signature_does_not_hold_signs_nothing(kept: Gate) -> None:

    with kept.workspace.ledger.reading() as conn:
        row = conn.execute(sa.select(manifests).where(manifests.c.source == "wiki")).one()
    body = json.loads(kept.workspace.vault.get(row.envelope))
    body["signatures"][0]["sig"] = "A" * 86 + "=="
    forged = kept.workspace.vault.put(json.dumps(body).encode())
    mine = manifests.c.source == "wiki"
    alter(kept, sa.update(manifests).where(mine).values(envelope=forged))
    finding = only(look(kept))
    assert (finding.rule, finding.count) == ("key-revoked", 3)
    assert "0 of 1 valid signatures" in finding.detail


# --- what stands on something else ----------------------------------------------------------------


def test_a_good_key_that_signs_the_same_again_vouches_for_it(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate()
    dora = keys.generate("dora")
    gate.trust(dora, source="wiki")
    gate.publish(TEXTS)
    revoke(gate, gate.alice, -timedelta(days=1))
    assert only(check_provenance(gate.workspace)).rule == "key-revoked"
    gate.publisher.key = dora
    report = gate.publish({"leave.md": HONEST["leave.md"] + " Ask early."})
    assert report.counts["unchanged"] == 2
    found = check_provenance(gate.workspace)
    assert (found.findings, found.signed) == ([], 3)


def test_what_a_reviewer_released_after_the_revocation_stands(
    new_gate: Callable[..., Gate],
) -> None:

    gate = new_gate()
    gate.publish({**TEXTS, "safe.md": SUSPECT})
    revoke(gate, gate.alice, -timedelta(days=1))
    (case,) = gate.cases()
    decide(gate.workspace, case, "release", gate.bob, "read it")
    found = check_provenance(gate.workspace)
    assert sorted(only(found).facts["documents"]) == sorted(f"wiki/{name}" for name in TEXTS)
    assert (found.serving, found.signed) == (4, 1)


def test_what_a_reviewer_released_before_the_revocation_does_not(
    new_gate: Callable[..., Gate],
) -> None:

    gate = new_gate()
    gate.publish({**TEXTS, "safe.md": SUSPECT})
    (case,) = gate.cases()
    decide(gate.workspace, case, "release", gate.bob, "read it")
    revoke(gate, gate.alice, -timedelta(days=1))
    assert only(check_provenance(gate.workspace)).count == 4
