"""Ingest end to end: real signatures, real files, a real embedded index."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ragguard.config import Settings
from ragguard.errors import LockedError, StoreError
from ragguard.ingest.run import ingest
from ragguard.ledger import commits
from ragguard.quarantine.review import decide
from ragguard.store.qdrant import QdrantStore
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace import Workspace
from tests.support.simulator import HONEST, SUSPECT, Gate, outcomes
from tests.support.workspaces.handbook import SMALL


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
    assert Counter(report.counts) == Counter(admitted=6)
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
    gate.publish({"leave.md": HONEST["leave.md"]})
    mirror = gate.another("mirror")
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


def test_rulers_and_titles_alone_are_not_served(gate: Gate) -> None:
    body = HONEST["leave.md"]
    page = f"# Leave\n\n---\n\n{body}\n\n***\n\n## More\n\n```\n```\n\n{body}\n\n-----\n"
    gate.publish({"leave.md": page, "rota.rst": f"Rota\n====\n\n{body}\n\nMore\n----\n\n{body}\n"})
    texts = [p["page_content"] for p in gate.points().values()]
    assert all(len(text.split()) > 12 for text in texts)


def test_a_document_without_a_letter_is_refused_and_the_others_come_in(gate: Gate) -> None:
    report = gate.publish({"rule.md": "---\n\n***\n", "leave.md": HONEST["leave.md"]})
    assert outcomes(report) == {"rule.md": "reject", "leave.md": "admit"}


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


# --- what changes ---------------------------------------------------------------------------------


def test_a_new_version_takes_the_old_ones_place(gate: Gate) -> None:
    gate.publish(HONEST)
    old = {p for p, x in gate.points().items() if x["ragguard"]["document"] == "leave.md"}
    text = HONEST["leave.md"].replace("27 days", "28 days")
    report = gate.publish({"leave.md": text})
    assert Counter(report.counts) == Counter(admitted=1, unchanged=5)
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
    gate.settings = Settings.model_validate({"chunks": {"size": 500}})
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
    stages = ("recover", "verify", "read", "load model", "parse", "embed", "judge", "commit")
    assert set(report.seconds) == {*stages, "index"}


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
