"""`ragguard demo`: what it tells is what its workspace's ledger says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from ragguard.cli import context
from ragguard.cli.demo.story import shipped_corpus
from ragguard.config import load
from ragguard.ledger import cases, commits
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow
from ragguard.parse.document import parse
from ragguard.workspace import Workspace
from tests.cli.conftest import Shell, one_line_error


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo printed, and the workspace it kept."""
    from tests.cli.conftest import Clock

    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shell = Shell(folder / "w", Clock())
        result = shell("demo", "--keep", "w")
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output
    return result.stdout, folder / "w"


@pytest.fixture(scope="module")
def kept(told: tuple[str, Path]) -> Workspace:
    """The kept workspace, open for reading."""
    folder = told[1]
    return Workspace(folder, load(folder / "ragguard.toml", {}), context.now(), exclusive=False)


def _labels() -> dict[str, str]:
    lines = (shipped_corpus() / "poison/labels.jsonl").read_text("utf-8").splitlines()
    return {row["id"]: row["family"] for row in map(json.loads, lines)}


def _part(told: str, number: int) -> str:
    return told.split(f"\n{number}. ", 1)[1].split(f"\n{number + 1}. ", 1)[0]


def _cases(kept: Workspace) -> list[CaseRow]:
    with kept.ledger.reading() as conn:
        return cases.listed(conn, state=None)


def test_the_handbook_comes_in_as_the_first_commit_says(
    told: tuple[str, Path], kept: Workspace
) -> None:
    with kept.ledger.reading() as conn:
        first = commits.get(conn, 1)
    assert first is not None
    assert f"{first.counts['admit']} admitted" in _part(told[0], 1)
    assert first.counts["admit"] >= 120


def test_the_poison_turned_away_is_what_the_ledger_holds(
    told: tuple[str, Path], kept: Workspace
) -> None:
    """Family by family, the numbers printed are the second commit's versions."""
    labels = _labels()
    with kept.ledger.reading() as conn:
        second = commits.get(conn, 2)
        opened = [c for c in cases.listed(conn, state=None) if c.opened == 2]
        versions = {c.document: version_rows.version(conn, c.version) for c in opened if c.version}
    assert second is not None
    text = _part(told[0], 2)
    assert f"{second.counts['quarantine']} quarantined" in text
    assert second.counts["quarantine"] == len(versions)
    total = Counter(labels.values())
    stopped = Counter(labels[name] for name in versions)
    printed = {
        m[1]: (int(m[2]), int(m[3]))
        for m in re.finditer(r"^  (\S+) +[#+.]+ +(\d+) of (\d+)", text, re.MULTILINE)
    }
    assert printed == {family: (stopped[family], total[family]) for family in total}
    missed = sum(n - stopped[f] for f, n in total.items() if not f.startswith("honest"))
    assert (f"{missed} of 69 poisoned documents came in" in text) == bool(missed)
    bars = re.findall(r"^  \S+ +([#+]*)\.* +(\d+) of", text, re.MULTILINE)
    assert [len(bar) for bar, _ in bars] == [int(n) for _, n in bars]


def test_what_is_held_of_the_handbook_is_said_and_what_is_not_yet_judged_and_at_which_rate(
    told: tuple[str, Path], kept: Workspace
) -> None:
    asked = kept.settings.judge
    assert (asked.false_alarm_rate, asked.least_documents) == (0.01, 100)
    text = _part(told[0], 1)
    assert "1 in 100 of the honest documents are held, where the default is\n1 in 500" in text
    assert "an index needs 499 documents" in text
    held = re.findall(r"^  held: (\S+)\n    [a-z_]+: \S", text, re.MULTILINE)
    assert len(held) == 1  # a page that quotes an order word for word; 132 at 1 % are one
    assert f"{132 - len(held)} are not yet judged" in text
    assert {c.document for c in _cases(kept) if c.opened == 1} == set(held)


def test_hardly_an_honest_document_is_pulled_back_once_it_is_judged(told: tuple[str, Path]) -> None:
    """What copies a page does not have the page pulled back."""
    text = _part(told[0], 2)
    found = re.search(r"the 131 of before are judged, .*: (\d+) are pulled back", text)
    assert found is not None
    assert int(found[1]) == len(re.findall(r"pulled back: \S+, which is honest", text))
    assert int(found[1]) <= 4  # 132 documents at 1 %: more than four has a chance of 1 in 100


def test_what_was_hidden_in_pages_that_came_in_is_not_served(kept: Workspace) -> None:
    generation = kept.generation()
    assert generation is not None
    served = [
        str(p.payload["page_content"])
        for block in kept.open_store().scan(generation.serving)
        for p in block
    ]
    assert len(served) > 300
    pages = [n for n, f in _labels().items() if f == "hidden-text" and n.endswith(".html")]
    cut = 0
    for name in pages:
        body = (shipped_corpus() / "poison/documents" / name).read_bytes()
        for hidden in parse(body, "html").hidden:
            if hidden.kind != "front-matter" and len(hidden.text) > 60:
                cut += 1
                assert not any(hidden.text[:60] in text for text in served), name
    assert cut >= 5


def test_whole_families_are_turned_away(kept: Workspace) -> None:
    """Campaigns that lead with their question, false metadata, copies with a fact changed."""
    labels = _labels()
    stopped = Counter(labels.get(c.document) for c in _cases(kept) if c.opened == 2)
    assert stopped["question-led"] == 10
    assert stopped["metadata-flip"] == 4
    assert stopped["fact-edit"] >= 4


def test_most_poison_is_turned_away(kept: Workspace) -> None:
    labels = _labels()
    poison = {name for name, family in labels.items() if not family.startswith("honest")}
    stopped = {c.document for c in _cases(kept) if c.opened == 2} & poison
    assert len(stopped) > len(poison) / 2


def test_a_reason_is_given_in_words(told: tuple[str, Path]) -> None:
    reasons = _part(told[0], 2).partition("Some of the reasons given:")[2]
    assert len(re.findall(r"^    [a-z_]+: \S", reasons, re.MULTILINE)) >= 4


def test_the_reviewer_released_and_rejected_what_the_decisions_say(
    told: tuple[str, Path], kept: Workspace
) -> None:
    states = Counter(c.state for c in _cases(kept))
    text = _part(told[0], 3)
    found = re.search(r"rejects (\d+) and releases (\d+)", text)
    assert found is not None
    later = re.findall(r"denies (\d+) and gives (\d+) back", _part(told[0], 4))
    decided = [sum(int(n) for n in column) for column in zip(found.groups(), *later, strict=True)]
    assert decided == [states["rejected"], states["released"]]
    assert int(found[1]) > 0


def test_a_wrong_answer_is_traced_to_poison_that_then_answers_no_more(
    told: tuple[str, Path],
) -> None:
    answered, *rounds = _part(told[0], 4).split("Traced, and out of the index")
    assert answered.count("<-- POISON") >= 2
    first, again = rounds[0].split("Asked again:")
    assert first.count("<-- POISON") >= 2
    assert again.count("<-- POISON") < answered.count("<-- POISON")
    assert set(re.findall(r"    (\S+)  <-- POISON", first)).isdisjoint(again.split())


def test_the_page_that_answers_is_first_but_where_everything_came_in(
    told: tuple[str, Path],
) -> None:
    """Before the attack and behind the gate it is; without the gate poison is."""
    before = _part(told[0], 1).partition("An employee asks:")[2]
    without, _, behind = (
        _part(told[0], 2).partition("took everything in:")[2].partition("this one:")
    )
    first = [re.search(r"^  1\. .*$", text, re.MULTILINE) for text in (before, without, behind)]
    marks = [m[0].rpartition("  ")[2] if m else "" for m in first]
    assert marks == ["<-- answers it", "<-- POISON", "<-- answers it"]
    assert "POISON" not in behind


def test_the_clean_rebuild_is_audited_and_clean(told: tuple[str, Path], kept: Workspace) -> None:
    generation = kept.generation()
    assert generation is not None
    assert generation.id == 2
    text = _part(told[0], 5)
    assert text.startswith("A clean rebuild, audited")
    assert "generation 2 serves" in text
    assert "exit code 3" not in text
    assert "exit code 5" not in text


def test_the_log_is_intact_and_counted(told: tuple[str, Path], kept: Workspace) -> None:
    from ragguard.lineage.prove import verify_log

    report = verify_log(kept)
    assert report.problems == []
    assert f"The log of all this: {report.entries} entries, intact." in told[0]


def test_the_kept_workspace_can_be_looked_at(
    told: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cli.conftest import Clock

    monkeypatch.chdir(told[1])
    shell = Shell(told[1], Clock())
    assert [r["kind"] for r in shell.json("history", "-n", "1000")][-2:] == ["ingest", "ingest"]
    assert "ragguard history" in told[0]


def test_a_folder_that_exists_is_not_touched(empty: Shell) -> None:
    before = empty.state()
    result = empty("demo", "--keep", "docs")
    assert result.exit_code == 2
    assert "docs: exists" in one_line_error(result)
    assert empty.state() == before
