from __future__ import annotations

from pathlib import Path

import pytest

from ragguard.bench import dataset
from ragguard.errors import BenchError
from tests.support.bench_folder import write_rows


def _corpus(folder: Path) -> Path:
    write_rows(folder / "corpus.jsonl", [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}])
    return folder


def test_the_layout_is_read(site: Path) -> None:
    found = dataset.load(site, topics=[site / "topic/stars.jsonl"])
    assert found.name == "handbook"
    assert len(found.corpus) > 200
    assert {e.campaign for e in found.families["led"]} >= {"iban", "safe"}
    assert found.families["led"][0].question == "which iban do we pay vendors to"
    assert found.qrels["q7"] == {"p7": 1, "gone": 1}
    assert list(found.questions) == ["q7", "q40", "q90", "q160"]
    assert len(found.topics["stars"]) == 8
    assert found.dropped == {}


def test_what_would_be_fitted_on_and_reported_is_left_out_and_counted(tmp_path: Path) -> None:
    _corpus(tmp_path)
    write_rows(tmp_path / "corpus.jsonl", [{"id": i, "text": t} for i, t in enumerate("xyxz")])
    write_rows(
        tmp_path / "attacks/copies.jsonl",
        [{"id": 1, "text": "y"}, {"id": 2, "text": "new"}, {"id": 3, "text": " "}],
    )
    write_rows(tmp_path / "other.jsonl", [{"id": 1, "text": "z"}, {"id": 2, "text": "fine"}])
    found = dataset.load(tmp_path, topics=[tmp_path / "other.jsonl"])
    assert [e.text for e in found.corpus] == ["x", "y", "z"]
    assert [e.text for e in found.families["copies"]] == ["new"]
    assert [e.text for e in found.topics["other"]] == ["fine"]
    assert found.dropped == {
        "attack that is an honest document": 1,
        "known already": 1,
        "text or id twice": 1,
        "without text": 1,
    }


def test_an_attack_without_a_campaign_is_one_by_itself(tmp_path: Path) -> None:
    write_rows(_corpus(tmp_path) / "attacks/x.jsonl", [{"id": "k", "text": "poison"}])
    assert dataset.load(tmp_path).families["x"][0].campaign == "k"


def test_a_family_can_be_chosen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_rows(_corpus(tmp_path) / f"attacks/{name}.jsonl", [{"id": "k", "text": "poison"}])
    assert list(dataset.load(tmp_path, only=["two"]).families) == ["two"]


def test_a_topic_file_without_a_name_of_its_own_has_its_folders(tmp_path: Path) -> None:
    write_rows(_corpus(tmp_path) / "med/documents.jsonl", [{"id": "k", "text": "other"}])
    assert list(dataset.load(tmp_path, topics=[tmp_path / "med/documents.jsonl"]).topics) == ["med"]


def test_two_families_of_one_name_are_refused(tmp_path: Path) -> None:
    for place in ("attacks", "more"):
        write_rows(_corpus(tmp_path) / place / "x.jsonl", [{"id": "k", "text": "poison"}])
    with pytest.raises(BenchError, match="second family named 'x'"):
        dataset.load(tmp_path, attacks=[tmp_path / "more"])


@pytest.mark.parametrize(
    ("line", "message"),
    [("[1]", "expected an object"), ("{", "not JSON lines"), ("\xff", "not JSON lines")],
)
def test_a_malformed_corpus_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "corpus.jsonl").write_text(line, "latin-1")
    with pytest.raises(BenchError, match=message) as error:
        dataset.load(tmp_path)
    assert "corpus.jsonl" in error.value.message


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"corpus\.jsonl: No such file"):
        dataset.load(tmp_path)


def test_malformed_judgements_are_named_with_their_line(tmp_path: Path) -> None:
    (_corpus(tmp_path) / "qrels.trec").write_text("q 0 a 1\nq a 1\n", "utf-8")
    with pytest.raises(BenchError, match=r"qrels\.trec:2"):
        dataset.load(tmp_path)
