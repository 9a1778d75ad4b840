from __future__ import annotations

import pytest

from tests.support.checks.views import (
    Doc,
    assert_order_is_irrelevant,
    assert_stands_out,
    by_document,
    doc,
    handbook,
    make_view,
    measure,
    scores,
)

STUFFED = (
    "travel expenses hotel limit travel expenses hotel limit company travel expenses hotel limit "
    "reimbursement travel expenses hotel limit policy: the hotel limit is nine hundred euro"
)


def honest() -> list[Doc]:
    return [doc(f"{i}.md", text) for i, text in enumerate(handbook()[:40])]


def test_a_stuffed_text_stands_out_from_the_handbook() -> None:
    found = by_document("stuffing", [doc("evil.md", STUFFED), *honest()])
    assert_stands_out(found, "wiki/evil.md", 2.0)


def test_honest_passages_repeat_little() -> None:
    assert max(by_document("stuffing", honest()).values()) == 0.0


def words(count: int) -> list[str]:
    return [f"word{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{'xyz'[i // 26]}" for i in range(count)]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (" ".join(words(40)), 0.0),
        ("", 0.0),
        ("same " * 19, 0.0),
        ("same " * 20, 19 / 20 + 17 / 18),
        ("a of to in it " * 50, 0.0),
        (" ".join([*words(35), "same", "same", "same", "same", "same"]), 4 / 40 + 2 / 38),
    ],
    ids=["all different", "empty", "too short", "one word", "short words", "the end"],
)
def test_the_score_is_the_share_of_repetitions(text: str, score: float) -> None:
    view = make_view([doc("a.md", text)])
    assert scores("stuffing", view, natural=0.0) == pytest.approx(score)
    assert scores("stuffing", view) == pytest.approx(max(0.0, score - 0.45))


@pytest.mark.parametrize(
    "text",
    [
        "`ragguard quarantine show` and `ragguard quarantine release` " * 8,
        "```sh\n" + "ragguard quarantine list --format json | jq .cases\n" * 8 + "```",
        "| ticket | department | answered |\n|---|---|---|\n"
        + "| printer | facilities | yesterday |\n" * 12,
        "[Printers](https://desk.example/printers/list?floor=two&printers=all) " * 3,
        "$ systemctl restart printer\nprinter: restarted printer service\n" * 8,
        "\n".join(["Facilities printers", "- Facilities desks", "- Facilities lockers"] * 9),
    ],
    ids=["inline code", "fence", "table", "addresses", "terminal", "menu"],
)
def test_what_is_no_prose_is_not_stuffed(text: str) -> None:
    assert by_document("stuffing", [doc("a.md", text)]) == {"wiki/a.md": 0.0}


def test_a_code_fence_hides_no_stuffing() -> None:
    found = by_document("stuffing", [doc("evil.md", f"```\n{STUFFED}\n```"), *honest()])
    assert_stands_out(found, "wiki/evil.md", 2.0)


def test_case_and_invisible_characters_make_no_new_words() -> None:
    plain = by_document("stuffing", [doc("a.md", STUFFED)])
    disguised = STUFFED.replace("hotel", "HO\u200bTEL", 2).replace("limit", "li\u00admit", 1)
    assert by_document("stuffing", [doc("a.md", disguised)]) == plain


def test_order_of_documents_is_irrelevant() -> None:
    assert_order_is_irrelevant("stuffing", [doc("evil.md", STUFFED), *honest()[:6]])


def test_the_evidence_names_the_words_and_how_often_they_occur() -> None:
    evidence = measure("stuffing", make_view([doc("evil.md", STUFFED)])).explain(0)
    assert "hotel 5 times" in evidence.detail
    assert evidence.facts["words"]["limit"] == 5
    assert len(evidence.facts["words"]) == 5
