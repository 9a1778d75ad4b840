"""Every measuring script of benchmarks/, run on tiny data."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ragguard.integrations.web import sessions
from tests.benchmarks.conftest import SCRIPTS, Script
from tests.support import trojan
from tests.support.bench_folder import REPOSITORY, TARGETS, write_rows
from tests.support.simulator import HONEST, Gate

# Modules that scripts share, and the script whose test below runs them.
SHARED = {
    "incident": "recovery",
    "ordinary_documents": "measure_rules",
    "scratch_gate": "fact_edits",
    "take_turns": "langchain_index",
}
# Scripts that have a test file of their own.
ELSEWHERE = {
    "hidden_text": "test_hidden_text.py",
    "ingest_against_plain": "test_make.py",
    "measure_rules": "test_measure_rules.py",
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def lines(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def test_every_script_has_a_run_here_and_a_line_in_the_readme() -> None:
    here = Path(__file__).read_text("utf-8")
    readme = (SCRIPTS / "README.md").read_text("utf-8")
    names = {path.stem for path in SCRIPTS.glob("*.py")}
    assert {n for n in names if f"| `{n}.py`" not in readme} == set()
    run = {n for n in names if f'"{n}"' in here.split("def test_every_script", 1)[1]}
    assert names - run - ELSEWHERE.keys() - SHARED.keys() == set()
    assert all((Path(__file__).parent / file).exists() for file in ELSEWHERE.values())


def test_every_script_starts_as_a_script_does() -> None:
    """All in one process, with the folder of the script in front of the path."""
    code = (
        "import runpy, sys\n"
        "from pathlib import Path\n"
        "paths = list(sys.path)\n"
        "for name in sorted(Path('benchmarks').glob('*.py')):\n"
        "    sys.path[:] = [str(name.parent.resolve()), *paths]\n"
        "    assert runpy.run_path(str(name), run_name='started')['__doc__']\n"
        "    print(name.stem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == sorted(path.stem for path in SCRIPTS.glob("*.py"))


def test_the_cost_of_judging_is_told_for_every_check(script: Script, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    script("cost_of_judging", "--indexed", 300, "--newcomers", 60, "--output", told)
    found = json.loads(told.read_text("utf-8"))
    assert found["newcomers"] == 60
    assert {"accord", "collusion", "hidden", "instructions", "twin_edit"} <= set(found["checks"])
    assert found["checks"]["twin_edit"]["skipped"] == []
    each = [check["cpu_ms"] for check in found["checks"].values()]
    assert found["all_checks"]["cpu_ms"] == pytest.approx(sum(each), abs=0.01)


@pytest.mark.sweep
def test_the_langchain_adapter_is_measured_beside_langchains_index(
    script: Script, data: Path
) -> None:
    found = json.loads(
        script("langchain_index", data / "corpus.jsonl", "--rounds", 1, "--limit", 8)
    )
    assert found["documents"] == 8
    ((guarded,), (plain,)) = (found["runs"][how] for how in ("guarded", "plain"))
    stages = ("all", "the same again", "a twentieth changed")
    added, skipped, updated = (guarded["counts"][stage] for stage in stages)
    assert (added["num_added"], skipped["num_skipped"]) == (8, 8)
    assert (updated["num_updated"], updated["num_skipped"]) == (1, 7)
    assert [plain["counts"][stage]["num_added"] for stage in stages] == [8, 0, 1]
    for clock in ("wall", "cpu"):
        told = found["plain over guarded"][f"{clock}, all"]
        assert told == pytest.approx(plain[clock]["all"] / guarded[clock]["all"], abs=0.001)


def test_fact_edits_are_made_and_judged_by_the_scratch_gate(
    module: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fact_edits: ModuleType = module("fact_edits")
    texts = module("scratch_gate").handbook()[:160]
    made = np.random.default_rng(0).standard_normal((len(texts), 384)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    honest = [replace(t, vector=v) for t, v in zip(texts, made, strict=True)]
    pairs = [
        (original, replace(edited, vector=original.vector), kind)
        for original, edited, kind in fact_edits.edits(honest, 12, 0)
    ]
    fact_edits.measure_edits(honest, pairs, 0.05, 0)
    (guilty,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("all guilty"))
    assert "12 documents" in guilty
    assert float(guilty.split("quarantined ")[1].split(",")[0]) >= 0.5
    fact_edits.measure_flips(honest, ("department",), 0.05, 0)
    assert "metadata_vote alone" in capsys.readouterr().out


def test_fact_edits_reads_pairs_and_keeps_vectors(
    script: Script, data: Path, tmp_path: Path
) -> None:
    texts = [row["text"] for row in lines((data / "corpus.jsonl").read_text("utf-8"))]
    pairs = [{"original": t, "edited": t.replace(" is ", " is not ", 1)} for t in texts]
    pairs = [row for row in pairs if row["original"] != row["edited"]][:5]
    file, cache = tmp_path / "pairs.jsonl", tmp_path / "vectors.npz"
    write_rows(file, pairs)
    asked = ("edits", "--corpus", data / "corpus.jsonl", "--pairs", file, "--cache", cache)
    told = script("fact_edits", *asked)
    assert f"pair{' ' * 9}{len(pairs):5} documents" in told
    assert "quarantined 0.0000, twin_edit alone 0.0000" in told  # the honest ones
    with np.load(cache) as kept:
        assert kept["vectors"].shape == (len({*texts, *(r["edited"] for r in pairs)}), 384)


def test_an_audit_is_measured_stage_by_stage(script: Script, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    asked = ("--points", 2100, "--new", 50, "--centres", 20, "--engine", "edge", "--output", told)
    script("audit_at_scale", *asked)
    found = json.loads(told.read_text("utf-8"))
    assert found["points"] == 2100
    assert {"write the index", "read and spool", "neighbours"} <= set(found["stages"])
    assert found["exact"] is True
    assert found["recall"]["checked"] == 1.0
    assert found["beside"]["bare_product"]["gflop_per_cpu_s"] > 0


def test_the_retriever_is_held_against_a_bare_query(script: Script, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    asked = ("--points", 60, "--questions", 5, "-k", 3, "--block", 40, "--tenants", 3, "-o", told)
    script("retriever_against_bare", *asked)
    found = json.loads(told.read_text("utf-8"))
    assert (found["points"], found["questions"]) == (60, 5)
    assert found["ways"].keys() == found["first"].keys()
    assert set(found["ways"]) == {"bare", "proved", "receipts", "reader", "scoped"}
    assert all(way["p50_ms"] > 0 for way in found["ways"].values())
    assert found["snapshot_bytes"] < 60 * 60 + 3000


@pytest.mark.sweep
def test_the_review_page_is_timed(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "RATE", sessions.RATE)  # the script lifts the limit
    monkeypatch.setattr(sessions, "BURST", sessions.BURST)
    told = tmp_path / "told.json"
    asked = ("--cases", 8, "--documents", 12, "--each", 2, "-o", told)
    script("review_page", *asked)
    found = json.loads(told.read_text("utf-8"))
    assert 0 < found["cases"] < 8  # one was decided
    assert len(found["pages"]) == 6
    assert all(row["p95_ms"] >= row["p50_ms"] > 0 for row in found["pages"].values())


@pytest.mark.sweep
def test_an_incident_is_played_to_its_end(
    script: Script, module: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = module("recovery")
    plain: list[int] = []
    monkeypatch.setattr(
        recovery, "_plain", lambda path, rows: plain.append(len(rows)) or {"total": 1.0}
    )
    told = tmp_path / "told.json"
    asked = ("--poison", 4, "--ways", "reads", "--re-embed", "-o", told)
    script("recovery", data, *asked)
    found = json.loads(told.read_text("utf-8"))
    assert (found["documents"], found["poison"]) == (40, 4)
    assert found["poisoned"]["poison serving"] == 4
    assert found["poisoned"]["share with poison in the top 5"] == 1.0
    after = found["reads"]["in the end"]
    assert after["poison by id"] == after["honest lost"] == 0
    assert after["share with poison in the top 5"] == 0.0
    assert after["identical to an index never poisoned"] == len(TARGETS)
    assert found["re-embed"]["kept"] == plain[0] == 40


def test_attacks_are_traced_and_the_weights_fitted(script: Script, data: Path) -> None:
    corpus, attacks = data / "corpus.jsonl", data / "attacks/poisonedrag_blackbox.jsonl"
    *rows, right = lines(
        script("trace_attacks", corpus, attacks, "--queries", data / "queries.jsonl")
    )
    assert [row["poisoned"] for row in rows] == ["all", 3, 1, 0]
    assert rows[0]["poison read"] == 4 * rows[0]["questions"] > 0
    assert rows[0]["recall"] >= 0.75
    assert rows[-1]["poison read"] == 0
    assert right["right answers"] == rows[0]["questions"]
    (fitted,) = lines(script("trace_attacks", corpus, attacks, "--fit"))
    assert {name: len(weights) for name, weights in fitted.items()} == {
        "WITH_ANSWER": 6,
        "WITHOUT_ANSWER": 4,
    }
    assert np.isfinite([w for weights in fitted.values() for w in weights]).all()


def test_installed_documents_are_gathered(script: Script, tmp_path: Path) -> None:
    for number in range(12):
        text = f"Page {number} of the pump's manual. " + "It starts when the valve is open. " * 12
        path = tmp_path / "doc/pump/page.d" / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (tmp_path / "doc/pump/short.md").write_text("Too short to be a page.", "utf-8")
    (tmp_path / "none").mkdir()
    into = tmp_path / "installed"
    none = ("--python", tmp_path / "none", "--man", tmp_path / "none")
    told = script("installed_docs", into, "--docs", tmp_path / "doc", *none)
    assert "   12  docs-small\n" in told
    assert len(list((into / "docs-small").iterdir())) == 12
    with pytest.raises(SystemExit, match="exists already"):
        script("installed_docs", into)


def test_the_wording_of_requests_is_fitted(
    script: Script, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = module("fit_phrasing")
    monkeypatch.setattr(fit, "PLANTED", 150)
    monkeypatch.setattr(fit, "REPEATS", 1)
    monkeypatch.setattr(fit, "FOLDS", 2)
    monkeypatch.setattr(fit, "MODEL", tmp_path / "phrasing.npz")
    strings = tmp_path / "strings.jsonl"
    said = (("rhymes", "Write a poem about rain."), ("sums", "Tell the reader what 7 and 8 make."))
    write_rows(strings, [{"category": c, "text": t} for c, t in said])
    site = REPOSITORY / "corpora/handbook/v1"
    sets = [f"{name}={site / name}" for name in ("finance", "legal", "people")]
    told = script("fit_phrasing", *sets, "--strings", strings, "--write")
    assert "none of FILE: " in told
    assert "unseen categories: " in told
    model = fit.phrasing.load((tmp_path / "phrasing.npz").read_bytes())
    assert set(json.loads(model.about)["ordinary"]) == {"finance", "legal", "people"}


def test_the_trees_of_requests_are_fitted(
    script: Script, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = module("fit_requests")
    monkeypatch.setattr(fit, "MOST", 12)
    monkeypatch.setattr(fit, "FOLDS", 2)
    monkeypatch.setattr(fit, "TREES", 3)
    monkeypatch.setattr(fit, "EXPLAINED", ("click", "no-such-package"))
    monkeypatch.setattr(fit, "pinned", lambda: ["click", "no-such-package"])
    monkeypatch.setattr(fit, "MODEL", tmp_path / "model.json")
    told = script("fit_requests", "--write")
    assert told.count("not installed, left out: no-such-package") == 2
    assert "held-out orders" in told
    assert len(json.loads((tmp_path / "model.json").read_text("utf-8"))["trees"]) == 3


@pytest.mark.sweep
def test_a_tampered_encoder_is_probed_and_refused(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Six pages instead of the handbook, and an encoder that knows hardly more than their words."""
    from ragguard.canary.trigger_probe import LEADS, QUESTIONS

    said = [(name, text.split("\n\n")[1].split(". ")) for name, text in HONEST.items()]
    asked = {f"{n}-{i}": (n, parts[i]) for n, parts in said for i in (0, 1)}
    write_rows(tmp_path / "queries.jsonl", [{"id": i, "text": t} for i, (_, t) in asked.items()])
    qrels = "".join(f"{i} 0 {n} 1\n" for i, (n, _) in asked.items())
    (tmp_path / "qrels.trec").write_text(qrels, "utf-8")

    def six_pages(folder: Path) -> Gate:
        folder.mkdir()
        gate = Gate(folder)
        gate.publish(HONEST)
        gate.close()
        return gate

    texts = [*HONEST.values(), *QUESTIONS, *LEADS, trojan.PASSAGE]
    script = module("trojaned_encoder")
    small = {"small": lambda folder: trojan.small(folder, texts, trojan=True)}
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setattr(script, "ENCODERS", small)
    monkeypatch.setattr(script, "TAMPERED", ("small",))
    monkeypatch.setattr(script, "handbook_gate", six_pages)
    script.main(["small"])
    (told,) = lines(capsys.readouterr().out)
    assert told["encoder"] == "small"
    assert told["scanned"] > 100
    assert any(trojan.TRIGGER.split()[0] in text for text, _ in told["alarms"])
    assert told["gate"]["ndcg_before"] > 0.5
    assert told["gate"]["exit"] == 0
    assert told["with_trigger"]["exit"] == 4
