"""Ingest end to end: real signatures, real files, a real embedded index."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ragguard.errors import LockedError, StoreError
from ragguard.ingest.run import ingest
from ragguard.ledger import commits
from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import decide
from ragguard.store.qdrant import QdrantStore
from ragguard.trust import keys
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace import Workspace
from tests.support.handbook import SMALL, add, judged_handbook_gate, poison
from tests.support.simulator import HONEST, SUSPECT, Gate, Publisher


@pytest.fixture
def handbook(tmp_path: Path) -> Iterator[Gate]:
    gate = judged_handbook_gate(tmp_path / "handbook")
    yield gate
    gate.close()


class Spy:
    """Counts what the real encoder is asked to embed."""

    def __init__(self, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        encoder = gate.workspace.encoder
        real = encoder.encode

        def encode(texts: list[str], progress: object = None) -> np.ndarray:
            self.texts.extend(texts)
            return real(texts, progress)

        monkeypatch.setattr(encoder, "encode", encode)


# --- what comes in --------------------------------------------------------------------------------


def test_a_signed_site_is_admitted_and_served(gate: Gate) -> None:
    report = gate.publish(HONEST)
    assert report.counts == {
        "admitted": 6,
        "quarantined": 0,
        "rejected": 0,
        "unchanged": 0,
        "removed": 0,
    }
    assert report.exit_code == 0
    assert gate.documents() == set(HONEST)
    assert gate.documents("quarantine") == set()


def test_payloads_have_langchains_shape_and_ragguards_own_key(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]}, metadata={"leave.md": {"department": "people"}})
    ((point, payload),) = gate.points().items()
    assert payload["page_content"] == HONEST["leave.md"]
    assert payload["metadata"] == {"department": "people", "source": "wiki/leave.md"}
    own = payload["ragguard"]
    assert set(payload) == {"page_content", "metadata", "ragguard"}
    assert own["digest"] == digest_bytes(HONEST["leave.md"].encode())
    assert (own["start"], own["end"]) == (0, len(HONEST["leave.md"]))
    stored = gate.workspace.open_store().get("corpus", [point], vectors=True)[0]
    seal = gate.workspace.committer.seal("corpus-g1", point, stored.vector, payload)
    assert seal == own["seal"]
    assert abs(float(np.linalg.norm(stored.vector)) - 1.0) < 1e-6


def test_equal_bytes_of_two_sources_never_share_a_point(gate: Gate, tmp_path: Path) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="mirror")
    gate.publish({"leave.md": HONEST["leave.md"]})
    mirror = Publisher(tmp_path / "mirror", carol, "mirror")
    report = gate.ingest(mirror.publish({"leave.md": HONEST["leave.md"]}), root=mirror.folder)
    assert report.manifests[0].error is None
    everywhere = [*gate.points().items(), *gate.points("quarantine").items()]
    assert len({point for point, _ in everywhere}) == len(everywhere) == 2


def test_an_honest_non_latin_name_is_served(gate: Gate) -> None:
    gate.publish({"手冊/休暇.md": HONEST["leave.md"], "отпуск.md": HONEST["visitors.md"]})
    assert gate.documents() == {"手冊/休暇.md", "отпуск.md"}


def test_records_are_documents_with_their_own_digests(gate: Gate) -> None:
    rows = [
        {"id": name, "text": text, "metadata": {"department": "x", "rank": 1}}
        for name, text in HONEST.items()
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    gate.publish({"all.jsonl": lines}, metadata={"all.jsonl": {"department": "people"}})
    assert gate.documents() == {f"all.jsonl#{name}" for name in HONEST}
    payload = next(
        p for p in gate.points().values() if p["ragguard"]["document"] == "all.jsonl#leave.md"
    )
    assert payload["ragguard"]["digest"] == digest_bytes(HONEST["leave.md"].encode())
    # The manifest's metadata wins over the record's.
    assert payload["metadata"] == {
        "department": "people",
        "rank": 1,
        "source": "wiki/all.jsonl#leave.md",
    }


# --- what does not change -------------------------------------------------------------------------


def test_the_last_accepted_manifest_again_does_nothing_and_loads_no_model(gate: Gate) -> None:
    path = gate.publisher.publish(HONEST)
    gate.ingest(path)
    workspace = gate.reopen(hours=1)
    report = gate.ingest(path)
    assert report.exit_code == 0
    assert report.manifests[0].commit is None
    assert report.counts["unchanged"] == len(report.documents) == 6
    assert "encoder" not in workspace.__dict__
    assert workspace._store is None


def test_the_last_accepted_manifest_again_is_a_no_op_after_its_expiry(gate: Gate) -> None:
    path = gate.publisher.publish(HONEST, expires=timedelta(days=1))
    gate.ingest(path)
    gate.reopen(days=3)
    assert gate.ingest(path).exit_code == 0


def test_unchanged_documents_are_neither_parsed_nor_embedded_again(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.publish(HONEST)
    spy = Spy(gate, monkeypatch)
    parsed: list[str] = []
    monkeypatch.setattr(
        "ragguard.parse.workers.read_documents",
        lambda sources, *_, **__: parsed.extend(s.fmt for s in sources) or [],
    )
    report = gate.publish()
    assert report.counts["unchanged"] == 6
    assert report.manifests[0].version == 2
    assert report.manifests[0].commit == 2
    assert spy.texts == []
    assert parsed == []


def test_changed_metadata_is_judged_anew_but_not_embedded_anew(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.publish(HONEST)
    spy = Spy(gate, monkeypatch)
    before = set(gate.points())
    report = gate.publish(metadata={"leave.md": {"department": "people"}})
    assert report.counts["admitted"] == 1
    assert spy.texts == []
    points = gate.points()
    assert set(points) == before
    departments = {p["metadata"].get("department") for p in points.values()}
    assert departments == {None, "people"}


def test_a_changed_contract_has_documents_judged_again(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.set_policy(labels=["guide"])
    report = gate.publish()
    assert report.counts["rejected"] == 6
    assert gate.documents() == set(HONEST)  # what was admitted under the old contract still serves


# --- what changes ---------------------------------------------------------------------------------


def test_a_new_version_takes_the_old_ones_place(gate: Gate) -> None:
    gate.publish(HONEST)
    old = {p for p, x in gate.points().items() if x["ragguard"]["document"] == "leave.md"}
    text = HONEST["leave.md"].replace("27 days", "28 days")
    report = gate.publish({"leave.md": text})
    assert report.counts == {
        "admitted": 1,
        "quarantined": 0,
        "rejected": 0,
        "unchanged": 5,
        "removed": 0,
    }
    new = {p: x for p, x in gate.points().items() if x["ragguard"]["document"] == "leave.md"}
    assert not old & set(new)
    assert [x["page_content"] for x in new.values()] == [text]


def test_a_suspect_new_version_leaves_the_old_one_serving(gate: Gate) -> None:
    gate.publish(HONEST)
    report = gate.publish({"leave.md": HONEST["leave.md"] + "\n\n" + SUSPECT})
    assert report.counts["quarantined"] == 1
    assert report.exit_code == 1
    assert "leave.md" in gate.documents()
    assert gate.documents("quarantine") == {"leave.md"}


def test_an_honest_version_after_a_suspect_one_closes_its_case(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.publish({"leave.md": HONEST["leave.md"] + "\n\n" + SUSPECT})
    gate.publish({"leave.md": HONEST["leave.md"].replace("27 days", "28 days")})
    assert gate.documents("quarantine") == set()
    (case,) = gate.cases(None)
    assert case.state == "superseded"


def test_a_document_no_longer_listed_is_gone(gate: Gate) -> None:
    gate.publish(HONEST)
    (gate.publisher.folder / "leave.md").unlink()
    report = gate.publish()
    assert report.counts["removed"] == 1
    assert gate.documents() == set(HONEST) - {"leave.md"}


def test_a_delta_adds_and_removes_and_leaves_the_rest(gate: Gate) -> None:
    gate.publish(HONEST)
    news = "# News\n\nThe canteen opens at seven from Monday on. Soup is at noon, bread at six."
    report = gate.publish(
        {"news.md": news},
        mode="delta",
        paths=[gate.publisher.folder / "news.md"],
        removes=["leave.md"],
    )
    assert (report.counts["admitted"], report.counts["removed"]) == (1, 1)
    assert gate.documents() == set(HONEST) - {"leave.md"} | {"news.md"}


def test_a_record_that_left_its_file_is_removed_by_a_delta(gate: Gate) -> None:
    lines = {n: json.dumps({"id": n, "text": t}) for n, t in HONEST.items()}
    gate.publish({"all.jsonl": "\n".join(lines.values())})
    lines.pop("leave.md")
    gate.publish(
        {"all.jsonl": "\n".join(lines.values())},
        mode="delta",
        paths=[gate.publisher.folder / "all.jsonl"],
    )
    assert "all.jsonl#leave.md" not in gate.documents()
    assert len(gate.documents()) == 5


def test_removing_more_than_a_fifth_at_once_waits_for_a_reviewer(gate: Gate) -> None:
    gate.publish(HONEST)
    for name in ("leave.md", "laptops.md"):
        (gate.publisher.folder / name).unlink()
    report = gate.publish()
    assert report.exit_code == 1
    assert report.counts["removed"] == 0
    assert "2 of 6" in report.manifests[0].note
    assert gate.documents() == set(HONEST)
    (case,) = gate.cases()
    assert (case.kind, case.detail["documents"]) == ("removal", ["laptops.md", "leave.md"])
    decide(gate.workspace, case, "release", gate.bob, "they moved to the intranet")
    assert gate.documents() == set(HONEST) - {"leave.md", "laptops.md"}


def test_a_rejected_removal_keeps_the_documents(gate: Gate) -> None:
    gate.publish(HONEST)
    for name in ("leave.md", "laptops.md"):
        (gate.publisher.folder / name).unlink()
    gate.publish()
    decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "a mistake of the exporter")
    assert gate.documents() == set(HONEST)
    assert gate.cases() == []


# --- front matter ---------------------------------------------------------------------------------

FRONT = "---\nowner: hr\ndepartment: people\ntags: [leave, rota]\nsource: payroll\n---\n\n"


def test_front_matter_is_metadata_beneath_the_manifests_and_is_not_served(gate: Gate) -> None:
    gate.publish(
        {"leave.md": FRONT + HONEST["leave.md"]}, metadata={"leave.md": {"department": "staff"}}
    )
    (payload,) = gate.points().values()
    assert payload["metadata"] == {
        "department": "staff",
        "owner": "hr",
        "tags": ["leave", "rota"],
        "source": "wiki/leave.md",
    }
    assert payload["page_content"] == HONEST["leave.md"].strip()
    assert payload["ragguard"]["start"] == len(FRONT)


def test_the_contract_looks_at_metadata_in_force_front_matter_included(gate: Gate) -> None:
    gate.set_policy(departments=["people"], required_metadata=["owner"])
    report = gate.publish(
        {
            "leave.md": FRONT + HONEST["leave.md"],
            "laptops.md": FRONT.replace("people", "it") + HONEST["laptops.md"],
            "visitors.md": HONEST["visitors.md"],
        }
    )
    outcomes = {v.id: v.outcome for v in report.documents}
    assert outcomes == {"leave.md": "admit", "laptops.md": "reject", "visitors.md": "reject"}


@pytest.mark.parametrize(
    "front",
    [
        "---\na: &a [x]\nb: [*a, *a]\n---\n",
        "---\nbroken: [\n---\n",
        "---\n" + "k: v\n" * 420 + "---\n",
    ],
    ids=["alias", "broken", "huge"],
)
def test_damaged_front_matter_is_text_and_stops_nothing(gate: Gate, front: str) -> None:
    report = gate.publish(
        {"leave.md": front + HONEST["leave.md"], "visitors.md": "Ask at the desk."}
    )
    outcomes = {v.id: v.outcome for v in report.documents}
    assert outcomes["visitors.md"] == "admit"
    assert outcomes["leave.md"] in ("admit", "quarantine")
    texts = [p["page_content"] for z in ("serving", "quarantine") for p in gate.points(z).values()]
    assert any(front[:6] in text for text in texts)


def test_rulers_and_titles_alone_are_not_served(gate: Gate) -> None:
    body = HONEST["leave.md"]
    page = f"# Leave\n\n---\n\n{body}\n\n***\n\n## More\n\n```\n```\n\n{body}\n\n-----\n"
    gate.publish({"leave.md": page, "rota.rst": f"Rota\n====\n\n{body}\n\nMore\n----\n\n{body}\n"})
    texts = [p["page_content"] for p in gate.points().values()]
    assert all(len(text.split()) > 12 for text in texts)


def test_a_document_without_a_letter_is_refused_and_the_others_come_in(gate: Gate) -> None:
    report = gate.publish({"rule.md": "---\n\n***\n", "leave.md": HONEST["leave.md"]})
    outcomes = {v.id: v.outcome for v in report.documents}
    assert outcomes == {"rule.md": "reject", "leave.md": "admit"}


# --- contract and denial --------------------------------------------------------------------------


def test_a_document_that_breaks_the_contract_is_rejected_and_the_others_come_in(gate: Gate) -> None:
    gate.set_policy(departments=["people"], required_metadata=["owner"])
    good = {"department": "people", "owner": "hr"}
    report = gate.publish(
        {n: HONEST[n] for n in ("leave.md", "laptops.md", "visitors.md")},
        metadata={"leave.md": good, "laptops.md": {**good, "department": "it"}},
    )
    outcomes = {v.id: v.outcome for v in report.documents}
    assert outcomes == {"leave.md": "admit", "laptops.md": "reject", "visitors.md": "reject"}
    details = {v.id: " ".join(f.detail for f in v.findings) for v in report.documents}
    assert "'it'" in details["laptops.md"]
    assert "owner" in details["visitors.md"]
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("policy", "error"),
    [({"max_documents": 5}, "6 documents"), ({"max_new_per_day": 5}, "24 hours")],
)
def test_a_source_above_its_quota_is_refused_whole(
    gate: Gate, policy: dict[str, int], error: str
) -> None:
    gate.set_policy(**policy)
    report = gate.publish(HONEST)
    assert report.exit_code == 3
    assert error in (report.manifests[0].error or "")
    assert report.documents == []
    assert gate.workspace.generation() is None


def test_a_days_quota_is_counted_over_manifests_and_runs_out_after_a_day(gate: Gate) -> None:
    gate.set_policy(max_new_per_day=7)
    gate.publish(HONEST)
    more = {"news.md": "# News\n\nSoup is at noon.", "post.md": "# Post\n\nThe van comes at nine."}
    path = gate.publisher.publish(more)
    assert gate.ingest(path).exit_code == 3
    gate.reopen(days=1, minutes=1)
    assert gate.ingest(path).counts["admitted"] == 2


def test_what_a_reviewer_rejected_is_refused_by_its_bytes_also_from_another_source(
    gate: Gate, tmp_path: Path
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "poison")
    carol = keys.generate("carol")
    gate.trust(carol, source="blog")
    blog = Publisher(tmp_path / "blog", carol, "blog")
    report = gate.ingest(blog.publish({"other.md": SUSPECT}), root=blog.folder)
    (verdict,) = report.documents
    assert (verdict.outcome, verdict.findings[0].check) == ("reject", "denied")


def elsewhere(gate: Gate) -> Publisher:
    """Another source, which copies the handbook."""
    carol = keys.generate("carol")
    gate.trust(carol, source="blog")
    return Publisher(gate.folder / "blog", carol, "blog")


def test_the_like_of_what_was_rejected_is_quarantined_and_the_honest_original_is_not(
    handbook: Gate,
) -> None:
    edits = poison("fact-edit")
    blog = elsewhere(handbook)
    path = blog.publish({n: t for n, (t, _) in edits.items()})
    report = handbook.ingest(path, root=blog.folder)
    assert report.counts["quarantined"] >= 4
    let_in = [f"blog/{v.id}" for v in report.documents if v.outcome == "admit"]
    if let_in:
        hold(handbook.workspace, let_in, "one fact was changed")
    assert len(handbook.cases()) == len(edits)
    for case in handbook.cases():
        decide(handbook.workspace, case, "reject", handbook.bob, "one fact was changed")
    again = {f"again/{n}": t.replace(" the ", " our ", 2) for n, (t, _) in edits.items()}
    report = add(handbook, again)
    assert report.counts["quarantined"] == len(edits)
    for verdict in (v for v in report.documents if v.id in again):
        assert {f.check for f in verdict.findings} & {"denylist", "twin_edit"}
    # The honest originals still serve.
    originals = {d for d in handbook.documents() if not d.startswith("again/")}
    assert len(originals) == 132


def test_a_release_holds_until_a_finding_it_did_not_cover(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a quotation")
    gate.set_policy(max_document_bytes=1_000_000)  # another contract: everything is judged again
    assert gate.publish().counts["quarantined"] == 0
    assert "safe.md" in gate.documents()
    gate.set_policy(max_document_bytes=1_000_001)
    hidden = SUSPECT + "".join(chr(0xE0000 + ord(c)) for c in "and send the log")
    report = gate.publish({"safe.md": hidden})
    assert report.counts["quarantined"] == 1


# --- the neighbourhood ----------------------------------------------------------------------------


def test_a_one_fact_edit_is_innocent_alone_and_convicted_by_the_serving_index(
    handbook: Gate, new_gate: Callable[..., Gate]
) -> None:
    name = "operations/returns-rma-guide.md"
    text, metadata = poison("fact-edit")[name]
    alone = new_gate(judge=SMALL).publish({**HONEST, name: text}, metadata={name: metadata})
    assert {v.id: v.outcome for v in alone.documents}[name] == "admit"
    blog = elsewhere(handbook)
    path = blog.publish({name: text}, metadata={name: metadata})
    beside = handbook.ingest(path, root=blog.folder)
    assert beside.documents[0].outcome == "quarantine"
    assert beside.documents[0].findings[0].check == "twin_edit"


def test_the_last_of_a_campaign_is_innocent_alone_and_convicted_by_the_quarantine(
    handbook: Gate, tmp_path: Path
) -> None:
    campaign = {n: t for n, t in poison("question-led").items() if "Who" not in t[0]}
    names = sorted(n for n in campaign if "iban" in campaign[n][0].lower())[:5]
    last, others = names[-1], names[:-1]
    alone = judged_handbook_gate(tmp_path / "alone")
    report = add(alone, {last: campaign[last][0]}, {last: campaign[last][1]})
    alone.close()
    assert report.documents[0].outcome == "admit"
    report = add(
        handbook,
        {n: campaign[n][0] for n in others},
        {n: campaign[n][1] for n in others},
    )
    assert report.counts["quarantined"] == len(others)
    report = add(handbook, {last: campaign[last][0]}, {last: campaign[last][1]})
    (verdict,) = report.documents
    assert verdict.outcome == "quarantine"
    assert "quarantine" in verdict.findings[0].detail


# fmt: off
DISHES = (
    "lentil soup with smoked paprika", "baked cod", "mushroom risotto", "chicken with almonds",
    "pumpkin curry", "pea and mint tart", "beef stew with barley", "spinach dumplings",
    "grilled halloumi", "pork schnitzel", "tomato gnocchi", "fish pie with leeks",
    "black bean chilli", "apple strudel", "roast carrots", "peanut noodles", "onion quiche",
    "cabbage rolls", "plum cake", "venison goulash", "fennel pasta", "potato pancakes",
    "trout in foil", "leek frittata", "rye dumplings", "squash ravioli", "lamb tagine",
    "turnip gratin", "pear crumble", "nettle broth", "duck with prunes", "kohlrabi fritters",
    "barley salad", "sorrel soup",
)
# fmt: on


def _menu(week: int) -> str:
    served = random.Random(week).sample(DISHES, 5)
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    listed = ", ".join(f"{day} {dish}" for day, dish in zip(days, served, strict=True))
    return f"# Canteen menu\n\nThe kitchen in Leeds cooks this in week {week}: {listed}."


def test_a_batch_that_looks_odd_alone_is_ordinary_beside_its_like(
    handbook: Gate,
) -> None:
    """Menus: words and word order nobody knows here, until earlier menus are in the index."""
    batch = {f"menus/week-{w}.md": _menu(w) for w in range(50, 54)}
    alone = handbook.ingest(
        handbook.publisher.publish(
            dict(batch),
            mode="delta",
            paths=[handbook.publisher.folder / "menus"],
            keep=False,
        ),
        dry_run=True,
    )
    odd = {v.id: v.p_value or 1.0 for v in alone.documents if v.id in batch}
    assert min(odd.values()) < 0.03
    earlier = {f"menus/week-{w}.md": _menu(w) for w in range(20, 48)}
    add(handbook, earlier)
    for case in handbook.cases():
        decide(handbook.workspace, case, "release", handbook.bob, "our menu")
    beside = add(handbook, batch)
    assert beside.counts["admitted"] == len(batch)
    assert min(v.p_value or 1.0 for v in beside.documents if v.id in batch) > min(odd.values())


# --- runs -----------------------------------------------------------------------------------------


def test_a_dry_run_judges_and_changes_nothing(gate: Gate) -> None:
    gate.publish(HONEST)
    before = _snapshot(gate)
    path = gate.publisher.publish({"safe.md": SUSPECT}, keep=False)
    report = gate.ingest(path, dry_run=True)
    assert report.counts["quarantined"] == 1
    assert report.manifests[0].commit is None
    assert _snapshot(gate) == before


def _snapshot(gate: Gate) -> dict[str, bytes]:
    folder = gate.folder / "w"
    files = [p for d in ("vault", "trust", "keys") for p in (folder / d).rglob("*") if p.is_file()]
    with gate.workspace.ledger.reading() as conn:
        rows = repr([(r.id, r.corpus) for r in commits.listed(conn)]).encode()
    everywhere = [gate.points(), gate.points("quarantine")]
    snapshot = {str(p): p.read_bytes() for p in files}
    return {**snapshot, "commits": rows, "points": json.dumps(everywhere, sort_keys=True).encode()}


def test_a_bad_manifest_does_not_stop_the_others_of_the_call(gate: Gate, tmp_path: Path) -> None:
    bad = tmp_path / "bad.intoto.json"
    bad.write_text("{}")
    good = gate.publisher.publish(HONEST)
    report = gate.ingest(bad, good, tmp_path / "absent.intoto.json")
    assert [bool(m.error) for m in report.manifests] == [True, False, True]
    assert report.exit_code == 3
    assert gate.documents() == set(HONEST)


def test_manifests_of_one_call_are_commits_of_their_own_in_order(gate: Gate) -> None:
    first = gate.publisher.publish(HONEST)
    (gate.publisher.folder / "leave.md").unlink()
    second = gate.publisher.publish()
    gate.publisher.write({"leave.md": HONEST["leave.md"]})
    report = gate.ingest(first, second)
    assert [m.commit for m in report.manifests] == [1, 2]
    assert gate.documents() == set(HONEST) - {"leave.md"}


def test_a_store_that_fails_leaves_a_commit_that_the_next_run_finishes(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = gate.publisher.publish(HONEST)
    with monkeypatch.context() as patch:

        def fail(*_args: object, **_rest: object) -> None:
            raise StoreError("store: no space left on device")

        patch.setattr(QdrantStore, "flush", fail)
        report = gate.ingest(path)
    assert report.exit_code == 5
    assert "no space" in (report.manifests[0].error or "")
    with gate.workspace.ledger.reading() as conn:
        assert len(commits.pending(conn)) == 1
        assert commits.listed(conn) == []
    gate.reopen(minutes=5)
    report = ingest(gate.workspace, [])
    assert report.recovered == 1
    assert gate.documents() == set(HONEST)
    assert gate.ingest(path).counts["unchanged"] == 6


def test_a_store_that_keeps_other_bytes_than_were_written_is_noticed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = gate.publisher.publish(HONEST)
    real = QdrantStore.get

    def lie(self: QdrantStore, *args: object, **rest: object) -> list[object]:
        points = real(self, *args, **rest)
        for point in points:
            if rest.get("vectors") and point.vector.size:
                point.vector[0] += 1e-6
        return points

    monkeypatch.setattr(QdrantStore, "get", lie)
    report = gate.ingest(path)
    assert report.exit_code == 5
    assert "not what was written" in (report.manifests[0].error or "")


def test_a_second_process_is_refused_while_one_works(gate: Gate) -> None:
    assert gate.workspace is not None
    with pytest.raises(LockedError, match="another ragguard process"):
        Workspace(gate.folder / "w", gate.settings, gate.now)


def test_another_recipe_on_the_same_collection_is_refused(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.settings = gate.settings.model_copy(
        update={"chunks": gate.settings.chunks.model_copy(update={"size": 500})}
    )
    gate.reopen(hours=1)
    report = gate.publish({"news.md": "# News\n\nSoup is at noon."})
    assert report.exit_code == 2
    assert "splitter" in (report.manifests[0].error or "")
    assert gate.documents() == set(HONEST)


def test_progress_and_seconds_name_the_same_stages(gate: Gate) -> None:
    told: list[tuple[str, int, int]] = []
    path = gate.publisher.publish(HONEST)
    report = gate.ingest(path, progress=lambda *step: told.append(step))
    assert {"read", "load model", "embed", "checks", "commit"} <= {stage for stage, _, _ in told}
    assert all(0 <= done <= total for _, done, total in told)
    assert set(report.seconds) == {
        "recover",
        "verify",
        "read",
        "load model",
        "parse",
        "embed",
        "judge",
        "commit",
        "index",
    }


def test_a_first_import_says_so_and_a_fitted_profile_takes_over(
    new_gate: Callable[..., Gate],
) -> None:
    gate = new_gate(judge={**SMALL, "reference_documents": 100})
    first = gate.publish(HONEST)
    assert first.profile == "first import"
    assert first.as_dict()["promised_false_alarm_rate"] is None
    assert first.as_dict()["not_yet_judged"] == len(HONEST)
    topics = ["boats", "tea", "roofs", "maps", "wool", "bread", "clocks", "trams"]
    many = {
        f"{topic}-{n}.md": f"# {topic.title()}, part {n}\n\nThe {topic} of hall {n} are counted "
        f"on Monday, cleaned on day {n % 5 + 1} and stored in hall {n % 7}. Ask desk {n * 13}."
        for topic in topics
        for n in range(15)
    }
    assert gate.publish(many).profile == "first import"  # judged against what was there before it
    for case in gate.cases():
        decide(gate.workspace, case, "release", gate.bob, "fine")
    report = gate.publish({"news.md": "# News\n\nThe trams of hall 3 are cleaned on Monday."})
    assert report.profile == "corpus"
    assert report.promised == pytest.approx(1 / 113)
    again = gate.publish({"news2.md": "# More news\n\nThe clocks of hall 4 are stored on Monday."})
    assert again.profile == "corpus"
    assert "calibrate" not in again.seconds
