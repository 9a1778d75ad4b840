"""What was rejected comes back in other clothes; the honest document beside it does not suffer.

The handbook with poison that a reviewer rejected, and an index that was rebuilt since. Each way of
coming back is tried with 40 documents, and only what the denylist itself names counts: other checks
see forty rewrites of one text anyway.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragguard.config import Settings
from ragguard.model import Verdict
from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import decide
from ragguard.rebuild.reindex import ReindexResult, reindex
from ragguard.redteam.attacks.edits import edit_fact
from ragguard.redteam.attacks.wording import reword
from tests.support.simulator import Gate, Publisher
from tests.support.workspaces.handbook import CORPORA, add, handbook_gate, poison

SITE = CORPORA / "handbook/v1"
FAMILIES = ("question-led", "paraphrase", "dispersed")
EDITED = ("people/annual-leave.md", "people/remote-working.md", "people/parental-leave.md")
EACH = 40  # documents of each kind


def texts() -> dict[str, str]:
    """Plain poisoned documents, ten of them."""
    found = {name: text for name, (text, _) in poison(*FAMILIES).items()}
    plain = sorted(name for name in found if name.endswith((".md", ".txt")))
    return {f"bad/{Path(name).name}": found[name] for name in plain[::2]}


def edits() -> dict[str, str]:
    """Copies of honest documents with one number changed, by the original's name."""
    rng = np.random.default_rng(3)
    made = {}
    for name in EDITED:
        changed = edit_fact((SITE / name).read_text("utf-8"), rng, lambda kind: (), ["number"])
        assert changed is not None
        made[name] = changed[0]
    return made


@pytest.fixture(scope="module")
def cured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, ReindexResult]]:
    """Poison was in, was rejected, and the index was rebuilt."""
    folder = tmp_path_factory.mktemp("cured")
    gate = handbook_gate(folder, judge={"false_alarm_rate": 1e-9})
    copies = {f"copies/{Path(name).name}": text for name, text in edits().items()}
    bad = {**texts(), **copies}
    gate.publisher.write(bad)
    add(gate, bad)
    assert bad.keys() <= gate.documents()
    hold(gate.workspace, [f"wiki/{name}" for name in bad], "a wrong answer rests on it")
    for case in gate.cases():
        decide(gate.workspace, case, "reject", gate.bob, "poison")
    gate.settings = Settings()
    gate.reopen(days=1)
    done = reindex(gate.workspace)
    assert bad.keys().isdisjoint(gate.documents())
    yield gate, done
    gate.close()


def named(verdict: Verdict) -> bool:
    """Whether the denylist has something against it."""
    return any(finding.check == "denylist" for finding in verdict.findings)


def test_the_rebuild_keeps_the_honest_documents_that_were_copied(
    cured: tuple[Gate, ReindexResult],
) -> None:
    gate, done = cured
    assert done.commit is not None
    assert [one.label for one in done.left if one.findings[0].check in ("denied", "denylist")] == []
    assert set(EDITED) <= gate.documents()


def test_the_same_bytes_are_refused_under_any_name_and_from_any_source(
    cured: tuple[Gate, ReindexResult],
) -> None:
    gate, _ = cured
    name, text = next(iter(texts().items()))
    gate.publisher.write({name: text, "people/other.md": text})
    report = add(gate, {name: text, "people/other.md": text})
    gate.trust(gate.alice, source="desk")
    desk = Publisher(gate.folder / "desk", gate.alice, "desk")
    foreign = gate.ingest(desk.publish({"note.md": text}, now=gate.now), root=desk.folder)
    verdicts = [v for v in (*report.documents, *foreign.documents) if v.outcome != "unchanged"]
    assert [v.outcome for v in verdicts] == ["reject"] * 3
    assert {finding.check for v in verdicts for finding in v.findings} == {"denied"}


def sentences(text: str) -> list[str]:
    """Lines and sentences, without marks of headings."""
    parts = re.split(r"(?<=[.!?])\s+|\n+", text)
    return [part.strip().lstrip("# ") for part in parts if part.strip().lstrip("# ")]


def disguises(text: str, honest: str, rng: np.random.Generator) -> dict[str, list[str]]:
    """What one rejected text comes back as, by kind and ending."""
    said = sentences(text)
    paragraphs = "".join(f"<p>{html.escape(s)}</p>\n" for s in said)
    return {
        "synonyms.txt": [reword(text, rng, 0.6)],
        "page.html": [f"<html><body><h1>Note</h1>\n{paragraphs}</body></html>"],
        "capitals.txt": [reword(text, rng, 0.1).upper()],
        "blanks.txt": [re.sub(r"\s+", lambda _: " " * int(rng.integers(1, 4)), text)],
        "bullets.md": ["# Notes\n\n" + "".join(f"- {s}\n" for s in rng.permutation(said))],
        "split.txt": [" ".join(said[: len(said) // 2]), " ".join(said[len(said) // 2 :])],
        "appended.md": [f"{honest}\n\n{text}\n"],
    }


def test_it_is_known_again_rewritten_reformatted_split_or_hidden_in_an_honest_text(
    cured: tuple[Gate, ReindexResult],
) -> None:
    gate, _ = cured
    rng = np.random.default_rng(0)
    honest = sorted(SITE.rglob("*.md"))
    made: dict[str, list[str]] = {}
    for times in range(EACH // len(texts())):
        for text in texts().values():
            other = honest[int(rng.integers(len(honest)))].read_text("utf-8")
            for kind, parts in disguises(text, other, rng).items():
                if times < 2 or len(parts) == 1:
                    made.setdefault(kind, []).extend(parts)
    back = {f"back/{n}-{kind}": t for kind, many in made.items() for n, t in enumerate(many)}
    assert {len(many) for many in made.values()} == {EACH}
    gate.publisher.write(back)
    verdicts = {v.id: v for v in add(gate, back).documents if v.id in back}
    caught = Counter(name.partition("-")[2] for name, v in verdicts.items() if named(v))
    assert min(caught[kind] for kind in made) >= 0.9 * EACH, caught
    assert {v.outcome for v in verdicts.values() if named(v)} == {"quarantine"}


def test_an_honest_document_that_was_copied_may_change(cured: tuple[Gate, ReindexResult]) -> None:
    gate, _ = cured
    changed = {
        name: (SITE / name).read_text("utf-8").rstrip() + "\n\nQuestions go to the People team.\n"
        for name in EDITED
    }
    gate.publisher.write(changed)
    verdicts = [v for v in add(gate, changed).documents if v.id in changed]
    assert [(v.outcome, named(v)) for v in verdicts] == [("admit", False)] * len(changed)


def test_the_next_edition_of_the_handbook_resembles_nothing_that_was_rejected(
    cured: tuple[Gate, ReindexResult],
) -> None:
    gate, _ = cured
    root = CORPORA / "handbook/v2"
    edition = {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    assert len(edition) > 10
    gate.publisher.write(edition)
    verdicts = [v for v in add(gate, edition).documents if v.id in edition]
    assert [v.id for v in verdicts if named(v) or v.outcome == "reject"] == []
