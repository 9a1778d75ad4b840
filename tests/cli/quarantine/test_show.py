"""quarantine show: what the reason points at is marked, and what it is compared with is beside."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from ragguard.cli.quarantine.page import page
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.evidence import differing
from ragguard.quarantine import compared_with as beside_step
from ragguard.quarantine.compared_with import ComparedPassage, Mark
from ragguard.quarantine.review import CaseView
from tests.cli.conftest import SITE, SUSPECT, Shell

CASE = CaseRow(1, "document", "open", "wiki", "a.md", 1, {}, 1, None, "2026-03-01T12:00:00Z")
OURS = "The warranty of the pump runs for ten years from the day of sale."
THEIRS = "The warranty of the pump runs for two years from the day of sale."


def view(text: str, *marks: Mark, beside: tuple[ComparedPassage, ...] = ()) -> CaseView:
    return CaseView(CASE, None, False, (), (text,), (), marks, beside)


def twin(theirs: str = THEIRS) -> ComparedPassage:
    return ComparedPassage("hr/b.md", "twin", "serving", 0.98, 0, theirs, *differing(OURS, theirs))


def rows(shown: CaseView, width: int, terminal: bool = False) -> list[str]:
    return [row.plain for row in page(shown, width, terminal)]


def marked(shown: CaseView, width: int) -> list[str]:
    """Marked pieces of a page on a terminal."""
    return [
        row.plain[span.start : span.end].strip()
        for row in page(shown, width, True)
        for span in row.spans
        if span.style == "bold reverse"
    ]


def test_marks_are_where_the_reason_points() -> None:
    shown = view(OURS, Mark(0, 34, 43, "twin_edit"))
    assert marked(shown, 80) == ["ten years"]
    text = rows(shown, 80)
    assert text[1] == f"  |>{OURS}"
    assert text[2] == "  | " + " " * 34 + "^" * 9


def test_text_without_a_mark_has_no_carets() -> None:
    assert rows(view(OURS), 80) == ["text:", f"  | {OURS}", "  |"]


@pytest.mark.parametrize("width", [80, 160])
def test_the_twin_stands_beside_with_differing_words_marked(width: int) -> None:
    shown = view(OURS, beside=(twin(),))
    assert marked(shown, width) == ["ten", "two"]
    text = "\n".join(rows(shown, width))
    assert "beside its twin: hr/b.md (served, similarity 0.98)" in text
    assert max(map(len, text.splitlines())) <= width


def test_two_texts_are_side_by_side_on_a_wide_screen_and_one_below_the_other_else() -> None:
    def together(width: int) -> bool:
        return any("ten years" in r and "two years" in r for r in rows(shown, width))

    shown = view(OURS, beside=(twin(),))
    assert together(160)
    assert together(120)
    assert not together(119)
    assert not together(80)


def test_a_document_cannot_steer_the_terminal_or_fake_the_frame() -> None:
    evil = "one \x1b[31mred\u202e\r\n  |>two [bold]three[/bold] \u200bfour"
    for width in (80, 160):
        text = rows(view(evil, Mark(0, 4, 12, "hidden"), beside=(twin(evil),)), width)
        joined = "\n".join(text)
        assert not {"\x1b", "\u202e", "\r", "\u200b"} & set(joined)
        assert "\\x1b[31mred" in joined
        assert "[bold]three[/bold]" in joined
        frames = ("  |", "text", "beside", "  this", "  the")
        assert all(r.startswith(frames) for r in text)


def test_wide_letters_and_long_words_stay_within_the_screen() -> None:
    text = "\u4f11\u6687" * 60 + " " + "x" * 300
    for width in (80, 160):
        console = Console(width=width)
        made = list(
            page(view(text, Mark(0, 0, 400, "stuffing"), beside=(twin(text),)), width, True)
        )
        assert max(row.cell_len for row in made) <= width
        assert console.width == width


def test_what_is_not_kept_is_said_so() -> None:
    gone = ComparedPassage("hr/c.md", "companion", "", None, 0, "")
    assert "beside a companion: hr/c.md (gone): its text is not kept" in rows(
        view(OURS, beside=(gone,)), 80
    )


def body_of(shell: Shell, name: str) -> Any:
    return shell.json("quarantine", "show", name)


def test_json_has_spans_of_what_the_reason_points_at(served: Shell) -> None:
    body = body_of(served, "safe.md")
    said = [m for m in body["marks"] if m["check"] == "instructions"]
    assert said
    (mark,) = [m for m in said if m["start"] == 0]
    assert body["texts"][mark["passage"]][: mark["end"]] in SUSPECT
    assert "Ignore all previous instructions" in body["texts"][0][: mark["end"]]


def test_the_nearest_indexed_documents_are_beside_where_no_finding_names_one(
    served: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert body_of(served, "safe.md")["beside"] == []  # nothing is alike enough to tell anything
    monkeypatch.setattr(beside_step, "ALIKE", 0.0)
    found = body_of(served, "safe.md")["beside"]
    assert found
    assert {b["role"] for b in found} == {"nearest"}
    for one in found:
        source, _, name = one["document"].partition("/")
        assert source == "wiki"
        assert one["text"] in SITE[name] or name.endswith(".rst")


def test_a_changed_fact_is_shown_beside_the_original(served: Shell) -> None:
    copy = SITE["leave.md"].replace("27 days", "37 days")
    served.write({"leave-new.md": copy})
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", "../docs")
    if "leave-new.md" not in [c["document"] for c in served.json("quarantine", "list")]:
        served.ok("quarantine", "hold", "wiki/leave-new.md", "--reason", "a copy, it seems")
    body = body_of(served, "leave-new.md")
    beside = {b["document"]: b for b in body["beside"]}["wiki/leave.md"]
    texts = [body["texts"][beside["passage"]][a:b] for a, b in beside["differs"]]
    others = [beside["text"][a:b] for a, b in beside["other_differs"]]
    assert (texts, others) == (["37"], ["27"])
    said = served.ok("quarantine", "show", "leave-new.md")
    assert "wiki/leave.md (served" in said
    assert "^^" in said
