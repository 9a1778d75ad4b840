"""Second opinions travel with an export, and a stranger counts the reviewers again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ragguard.config import Settings
from ragguard.errors import IntegrityError
from ragguard.export import inventory as inventories
from ragguard.export.restore_vault import restore
from ragguard.export.restore_workspace import restore_into
from ragguard.export.verify import verify
from ragguard.export.write import ExportResult, export
from ragguard.ledger import audit_queries
from ragguard.lineage.prove import verify_log
from ragguard.model import Grant
from ragguard.quarantine.review import decide
from ragguard.trust import decision, dsse, keys, merkle
from ragguard.trust.canonical import canonical, digest_bytes
from ragguard.trust.keys import KeyPair
from ragguard.trust.signed_note import Checkpoint, checkpoint_text
from ragguard.workspace import Workspace
from tests.support.simulator import HONEST, LIMIT, NOW, SUSPECT, Gate
from tests.support.workspaces.exports import forge

SCHEMA = Path(__file__).resolve().parents[2] / "docs/schemas/export.json"
CAROL, DAVE, EVE, FRANK = (keys.generate(name) for name in ("carol", "dave", "eve", "frank"))
SPARE = keys.generate("bob")
TWIN = keys.generate("B\N{CYRILLIC SMALL LETTER O}b.")  # nobody adds it by `trust add`


def trust_unchecked(gate: Gate, *who: KeyPair) -> None:
    """Reviewers that the root's key signs, whoever they look like."""
    gate.change_root(
        lambda root: replace(
            root,
            version=root.version + 1,
            keys={**root.keys, **{k.public.keyid: k.public for k in who}},
            reviewers=(*root.reviewers, *(Grant(k.public.keyid, None) for k in who)),
        )
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Two reviewers have to agree: one document they released, though a third disagreed, and one
    they rejected. Reviewers were trusted after the manifest, and one after all was decided; one had
    put his name to the manifest beside the signer."""
    gate = Gate(tmp_path_factory.mktemp("agreed"))
    texts = {"safe.md": f"# A\n\n{SUSPECT}", "pin.md": f"# B\n\n{SUSPECT}"}
    path = gate.publisher.publish({"leave.md": HONEST["leave.md"], **texts})
    both = dsse.add_signature(
        path.read_bytes(), FRANK.public.keyid, FRANK.signing_key, max_bytes=LIMIT
    )
    path.write_bytes(both)
    gate.ingest(path)
    trust_unchecked(gate, CAROL, DAVE, FRANK, SPARE, TWIN, gate.alice)
    gate.set_policy(reviewers=2)
    by_name = {case.document: case for case in gate.cases()}
    assert decide(gate.workspace, by_name["safe.md"], "reject", DAVE, "an order") is None
    for key in (gate.bob, CAROL):
        decide(gate.workspace, by_name["safe.md"], "release", key, "a drill")
        decide(gate.workspace, by_name["pin.md"], "reject", key, "poison")
    assert gate.cases() == []
    trust_unchecked(gate, EVE)
    yield gate
    gate.close()


@dataclass
class Forger:
    """One who has stolen the log's key: changes inventory, files and log of an export."""

    world: Gate
    folder: Path
    body: dict[str, Any]

    def keep(self, data: bytes, path: str) -> str:
        """A file, listed."""
        name = digest_bytes(data)
        path = path or inventories.decision_path(name)
        (self.folder / path).write_bytes(data)
        self.body["files"][path] = [name, len(data)]
        return name

    def drop(self, envelope: str) -> None:
        """The file of a decision, not listed any more."""
        path = inventories.decision_path(envelope)
        (self.folder / path).unlink()
        del self.body["files"][path]

    def said(self, envelope: str) -> decision.Decision:
        """What was signed."""
        return decision.unverified((self.folder / inventories.decision_path(envelope)).read_bytes())

    def sign(self, envelope: str, key: KeyPair, **changes: Any) -> str:
        """The same word, or another one, by somebody else."""
        said = replace(self.said(envelope), **changes)
        return self.keep(decision.sign(said, key.signing_key, key.public.keyid), "")

    def opinion(self, document: str, reviewer: str) -> dict[str, Any]:
        """An opinion as the inventory lists it."""
        entries = self.entries()
        return next(
            row
            for row in self.body["opinions"]
            if row["document"] == document and entries[row["log_index"]]["reviewer"] == reviewer
        )

    def deciding(self) -> dict[str, Any]:
        """The word that decided the release."""
        heard = {row["envelope"] for row in self.body["opinions"]}
        return next(row for row in self.body["decisions"] if row["envelope"] not in heard)

    def replace_opinion(self, document: str, reviewer: str, envelope: str, key: KeyPair) -> None:
        """Another word in an opinion's place, everywhere: inventory and log."""
        row = self.opinion(document, reviewer)
        old = row["envelope"]
        for one in (*self.body["opinions"], *self.body["decisions"]):
            if one["envelope"] == old:
                one["envelope"] = envelope
        self.drop(old)
        said = self.said(envelope)
        changes = {"envelope": envelope, "reviewer": key.public.principal, "action": said.action}
        self.log(row["log_index"], keyid=key.public.keyid, **changes)

    def entries(self) -> list[dict[str, Any]]:
        """The log's."""
        lines = (self.folder / inventories.LOG).read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def log(self, index: int, **changes: Any) -> None:
        """Change an entry, and sign the log again."""
        entries = self.entries()
        entries[index] |= changes
        lines = [canonical(entry) for entry in entries]
        head = merkle.root([merkle.leaf_hash(line) for line in lines])
        text = checkpoint_text(Checkpoint(self.world.workspace.origin, len(lines), head))
        self.keep(b"".join(line + b"\n" for line in lines), inventories.LOG)
        self.keep(self.world.workspace.sign_note(text).encode(), inventories.CHECKPOINT)


def names(words: Any) -> list[str]:
    return [word.reviewer.principal for word in words]


def test_every_opinion_on_what_was_decided_is_in_it_and_the_reviewers_are_counted(
    made: ExportResult,
) -> None:
    entries = (made.folder / inventories.LOG).read_bytes().splitlines()
    logged = [json.loads(line) for line in entries]
    heard = {e["envelope"]: n for n, e in enumerate(logged) if e["act"] == "opinion"}
    assert len(heard) == 3
    assert {one.envelope: one.log_index for one in made.inventory.opinions} == heard
    schema = json.loads(SCHEMA.read_text("utf-8"))
    body = json.loads((made.folder / inventories.INVENTORY).read_bytes())
    assert [e.message for e in Draft202012Validator(schema).iter_errors(body)] == []
    assert all((made.folder / inventories.decision_path(name)).is_file() for name in heard)
    found = verify(made.folder, made.log_key)
    assert found.problems == []
    assert [(about[1], names(words)) for about, words in found.released] == [
        ("safe.md", ["bob", "carol"])
    ]
    assert [(one.document, names(words)) for one, words in found.denied] == [
        ("pin.md", ["bob", "carol"])
    ]


def _removed(thief: Forger) -> None:
    thief.body["opinions"].remove(thief.opinion("safe.md", "bob"))


def _a_dissent_removed(thief: Forger) -> None:
    thief.body["opinions"].remove(thief.opinion("safe.md", "dave"))


def _removed_of_a_denial(thief: Forger) -> None:
    row = thief.opinion("pin.md", "bob")
    thief.body["opinions"].remove(row)
    thief.drop(row["envelope"])


def _file_removed(thief: Forger) -> None:
    thief.drop(thief.opinion("safe.md", "bob")["envelope"])


def _all_removed(thief: Forger) -> None:
    for row in thief.body["opinions"]:
        thief.drop(row["envelope"])
    thief.body["decisions"] = [thief.deciding()]
    del thief.body["opinions"]


def _twice(thief: Forger) -> None:
    thief.body["opinions"].append(dict(thief.opinion("safe.md", "bob")))


def _again_under_another_id(thief: Forger) -> None:
    """The same signed word in an envelope with other bytes, as if another person had said it."""
    row = thief.opinion("safe.md", "dave")
    theirs = thief.opinion("safe.md", "bob")["envelope"]
    data = (thief.folder / inventories.decision_path(theirs)).read_bytes()
    name = thief.keep(json.dumps(json.loads(data), indent=1).encode(), "")
    thief.drop(row["envelope"])
    thief.log(row["log_index"], envelope=name)
    row["envelope"] = name


def _decided_twice(thief: Forger) -> None:
    row = thief.deciding()
    data = (thief.folder / inventories.decision_path(row["envelope"])).read_bytes()
    name = thief.keep(json.dumps(json.loads(data), indent=1).encode(), "")
    thief.body["decisions"].append({**row, "envelope": name})


def _moved(thief: Forger) -> None:
    other = thief.opinion("pin.md", "bob")
    row = thief.opinion("safe.md", "bob")
    row |= {key: other[key] for key in ("document", "digest", "metadata_digest")}


def _of_another_document(thief: Forger) -> None:
    """A word on one document in the place of the word on another, log and all."""
    about = thief.said(thief.opinion("pin.md", "bob")["envelope"])
    theirs = thief.opinion("safe.md", "bob")["envelope"]
    name = thief.sign(theirs, thief.world.bob, subject=about.subject, digest=about.digest)
    thief.replace_opinion("safe.md", "bob", name, thief.world.bob)


def _by_no_reviewer_of_that_day(thief: Forger) -> None:
    name = thief.sign(thief.opinion("safe.md", "bob")["envelope"], EVE)
    thief.replace_opinion("safe.md", "bob", name, EVE)


def _by_the_signer(thief: Forger) -> None:
    name = thief.sign(thief.opinion("safe.md", "bob")["envelope"], thief.world.alice)
    thief.replace_opinion("safe.md", "bob", name, thief.world.alice)


def _by_a_cosigner(thief: Forger) -> None:
    name = thief.sign(thief.opinion("safe.md", "bob")["envelope"], FRANK)
    thief.replace_opinion("safe.md", "bob", name, FRANK)


def _by_the_signer_of_no_manifest(thief: Forger) -> None:
    """As if the document had stood on a manifest that is not there, and so on nobody's word."""
    _by_the_signer(thief)
    for row in (*thief.body["opinions"], *thief.body["decisions"]):
        if row["document"] == "safe.md":
            row["manifest"] = "0" * 64


def _decided_by(key: KeyPair) -> Callable[[Forger], None]:
    def change(thief: Forger) -> None:
        row = thief.deciding()
        old, row["envelope"] = row["envelope"], thief.sign(row["envelope"], key)
        thief.drop(old)

    return change


def _denied_by_one_person(thief: Forger) -> None:
    (row,) = thief.body["denied"]
    old, row["envelope"] = row["envelope"], thief.sign(row["envelope"], SPARE)
    thief.drop(old)


def _taken_back(thief: Forger) -> None:
    """Bob's last word was another one: his dissent comes in the place of dave's, and later."""
    mine, other = thief.opinion("safe.md", "bob"), thief.opinion("safe.md", "dave")
    back = thief.sign(other["envelope"], thief.world.bob, reason="no, an order")
    first, last = sorted((mine["log_index"], other["log_index"]))
    keyid = thief.world.bob.public.keyid
    thief.drop(other["envelope"])
    for row, index, name, action in (
        (mine, first, mine["envelope"], "release"),
        (other, last, back, "reject"),
    ):
        row |= {"log_index": index, "envelope": name}
        thief.log(index, reviewer="bob", keyid=keyid, envelope=name, action=action)


def _without_its_release(thief: Forger) -> None:
    for row in (*thief.body["decisions"], thief.opinion("safe.md", "dave")):
        thief.drop(row["envelope"])
    thief.body["opinions"] = [r for r in thief.body["opinions"] if r["document"] != "safe.md"]
    thief.body["decisions"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_removed, r"opinion of 'bob' on wiki/safe\.md, entry \d+ of the log: not in the export"),
        (_a_dissent_removed, r"opinion of 'dave' on wiki/safe\.md, entry \d+ of the log: not in"),
        (_removed_of_a_denial, r"opinion of 'bob' on wiki/pin\.md, entry \d+ of the log: not in"),
        (_file_removed, r"release of wiki/safe\.md: decisions/[0-9a-f]+\.json: not in the inv"),
        (_all_removed, r"release of wiki/safe\.md: 1 of the 2 reviewers .* \(carol\)"),
        (_twice, r"opinion [0-9a-f]+… on wiki/safe\.md: listed twice"),
        (_again_under_another_id, r"opinion [0-9a-f]+… on wiki/safe\.md: it is not what was logg"),
        (_decided_twice, r"release of wiki/safe\.md: 2 decisions carry it out, expected one"),
        (_moved, r"opinion [0-9a-f]+… on wiki/pin\.md: the case .* is about wiki/safe\.md"),
        (_of_another_document, r"1 of the 2 reviewers .* \(carol\); .*'bob' said something else"),
        (_by_no_reviewer_of_that_day, r"1 of the 2 reviewers .* not signed by a reviewer in force"),
        (_by_the_signer, r"1 of the 2 reviewers .* 'alice' signed the document and cannot judge"),
        (_by_a_cosigner, r"1 of the 2 reviewers .* 'frank' signed the document and cannot judge"),
        (_by_the_signer_of_no_manifest, r"1 of the 2 reviewers .* 'alice' signed the document"),
        (_decided_by(SPARE), r"1 of the 2 reviewers .* \(bob\); .* 'bob' spoke again"),
        (_decided_by(TWIN), r"1 of the 2 reviewers .* spoke again"),
        (_denied_by_one_person, r"denial of wiki/pin\.md: 1 of the 2 reviewers .* \(bob\)"),
        (_taken_back, r"release of wiki/safe\.md: decision .* is listed and does not count|"
         r"1 of the 2 reviewers .* \(carol\); .*'bob' spoke again"),
        (_without_its_release, r"^wiki/safe\.md: was held, and no release of it is in it$"),
    ],
)  # fmt: skip
def test_who_has_stolen_the_logs_key_cannot_do_without_a_reviewer(
    world: Gate, made: ExportResult, copy: Path, change: Callable[[Forger], None], said: str
) -> None:
    forge(world, copy, lambda body: change(Forger(world, copy, body)))
    problems = verify(copy, made.log_key).problems
    assert [one for one in problems if re.search(said, one)], problems
    with pytest.raises(IntegrityError, match="wrong with this export"):
        restore_into(copy, copy.parent / "n", made.log_key, NOW)
    with pytest.raises(IntegrityError, match="wrong with this export"):
        restore(world.workspace, copy)


def test_a_new_workspace_counts_them_too_and_can_be_exported_again(
    made: ExportResult, tmp_path: Path
) -> None:
    before, folder = made.log_key, made.folder
    for number in range(2):
        place = tmp_path / str(number)
        done = restore_into(folder, place, before, NOW)
        assert (done.documents, done.releases, done.denials) == (2, 1, 1)
        with Workspace(place, Settings(), NOW) as workspace:
            assert verify_log(workspace).problems == []
            with workspace.ledger.reading() as conn:
                rows = audit_queries.small_tables(conn)["decisions"]
            assert [(row["action"], row["reviewer"]) for row in rows] == [
                *(("release", name) for name in ("bob", "carol")),
                *(("reject", name) for name in ("bob", "carol")),
            ]
            again = export(workspace, tmp_path / f"again{number}")
        found = verify(again.folder, again.log_key)
        assert found.problems == []
        assert [names(words) for _, words in (*found.released, *found.denied)] == [
            ["bob", "carol"]
        ] * 2
        before, folder = again.log_key, again.folder


def test_what_the_vault_lost_of_opinions_is_missed_and_put_back(
    world: Gate, made: ExportResult, tmp_path: Path
) -> None:
    vault = world.folder / "w/vault"
    lost = {one.document: one.envelope for one in made.inventory.opinions}
    for name in lost.values():
        (vault / name[:2] / name).unlink()
    world.reopen()
    try:
        done = export(world.workspace, tmp_path / "x")
        assert [(one.document, one.check) for one in done.inventory.left] == [
            ("safe.md", "unproved")
        ]
        found = verify(done.folder, done.log_key)
        assert (found.problems, found.denied, found.released) == ([], [], [])
        assert "wiki/pin.md: denied, but not in the export are opinions on it: 1" in found.notes
        name = made.inventory.denied[0].envelope
        (vault / name[:2] / name).unlink()
        world.reopen()
        done = export(world.workspace, tmp_path / "y")
        found = verify(done.folder, done.log_key)
        assert (found.problems, found.denied) == ([], [])
        assert "wiki/pin.md: denied, but its decision is not in the export" in found.notes
    finally:
        back = restore(world.workspace, made.folder)
    assert (back.others, back.lost) == (3, {})
    assert verify_log(world.workspace).problems == []


def test_an_export_without_opinions_is_what_it_was_before_there_were_any(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    done = export(gate.workspace, gate.folder / "x")
    assert "opinions" not in json.loads((done.folder / inventories.INVENTORY).read_bytes())
    assert verify(done.folder, done.log_key).problems == []
