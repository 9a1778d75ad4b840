from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import html as parser

from ragguard.audit.findings import AuditFinding, AuditReport, MapPoint
from ragguard.audit.report import html, html_map
from ragguard.audit.rules import RULES
from ragguard.text.documentation import DOCUMENTATION, rule_address
from ragguard.text.safe_display import plain
from tests.support.audit import reports
from tests.support.audit.chromium import needs_browser, visit

KINDS = {"quiet": reports.quiet, "busy": reports.busy, "failed": reports.failed} | {
    "hostile": reports.hostile,
    "first": lambda: replace(reports.busy(), previous="", fresh=frozenset(), gone=()),
    "empty": lambda: AuditReport(reports.AT, "0.1.0", "empty", "c"),
}


def text_of(report: AuditReport) -> str:
    return " ".join(parser.fromstring(html.render(report)).text_content().split())


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_holds_nothing_that_runs_or_fetches(kind: str) -> None:
    tree = parser.fromstring(html.render(KINDS[kind]()))
    tags = {e.tag for e in tree.iter() if isinstance(e.tag, str)}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form", "use"}
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name not in ("style", "src", "srcset", "action", "xlink:href")
            assert "url(" not in value
            if name == "href":  # what a click may ask for; nothing is fetched by itself
                assert value.startswith(("#", DOCUMENTATION))
    assert "url(" not in tree.xpath("string(//style)")
    assert "@import" not in tree.xpath("string(//style)")


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_allows_our_style_sheet_and_nothing_else(kind: str) -> None:
    text = html.render(KINDS[kind]())
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert len(parser.fromstring(text).xpath("//style")) == 1
    assert len(parser.fromstring(text).xpath("//meta[@http-equiv]")) == 1
    assert text.index("Content-Security-Policy") < text.index("<style>")


@pytest.mark.parametrize("kind", KINDS)
def test_links_lead_to_places_that_are_there(kind: str) -> None:
    tree = parser.fromstring(html.render(KINDS[kind]()))
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    inside = [h for h in tree.xpath("//@href") if not h.startswith(DOCUMENTATION)]
    assert {h[1:] for h in inside} <= set(ids)
    assert {rule_address(r.id) for r in RULES.values()} <= set(tree.xpath("//@href"))


def test_hostile_text_is_shown_as_it_is_and_harmless() -> None:
    text = html.render(reports.hostile())
    tree = parser.fromstring(text)
    seen = tree.text_content()
    for hostile in reports.HOSTILE:
        start = " ".join(plain(hostile).split())[:30]
        assert start in " ".join(seen.split())
    bad = {c for c in seen if plain(c) != c}
    assert bad == set()
    assert tree.xpath("string(//title)").startswith("<script>document.title='ran'</script>")


@needs_browser
def test_no_script_runs_and_nothing_is_fetched_in_a_browser(tmp_path: Path) -> None:
    path = tmp_path / "audit.html"
    path.write_bytes(html.dump(reports.hostile()))
    seen = visit(path, tmp_path)
    assert "<title>ran</title>" not in seen.dom
    assert 'class="hero broken"' in seen.dom
    assert seen.said == ""  # no violation of the policy: not even tried
    assert "evil.example" not in seen.network


@needs_browser
def test_the_browser_would_have_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<title>x</title><body><img src='https://evil.example/x'>"
        "<script>document.title='ran'</script>"
    )
    seen = visit(path, tmp_path)
    assert "<title>ran</title>" in seen.dom
    assert "evil.example" in seen.network
    guarded = html.render(reports.busy()).replace("</footer>", "<script>1</script></footer>")
    path.write_text(guarded, "utf-8")
    assert "Content Security Policy" in visit(path, tmp_path).said


def test_the_headline_says_what_must_be_looked_at() -> None:
    tree = parser.fromstring(html.render(reports.busy()))
    assert tree.xpath("string(//h1)") == (
        "Not what was written: 3,000 points of noise, 1 changed vector and 1 changed payload."
    )


def test_what_changed_comes_before_map_and_findings() -> None:
    text = html.render(reports.busy())
    places = [text.index(f'id="{i}"') for i in ("changed", "map", "findings", "drift", "sources")]
    assert places == sorted(places)
    seen = text_of(reports.busy())
    assert "10 new" in seen
    assert "2 gone" in seen
    assert "3 still there" in seen


def test_a_first_audit_claims_no_news() -> None:
    tree = parser.fromstring(html.render(KINDS["first"]()))
    assert "This is the first audit" in tree.text_content()
    assert not tree.xpath("//*[contains(@class, 'new')]")
    assert parser.fromstring(html.render(reports.busy())).xpath("//*[@class='badge new']")


def test_parts_that_failed_stand_at_the_top_with_their_reason() -> None:
    tree = parser.fromstring(html.render(reports.failed()))
    (alarm,) = tree.xpath("//div[@role='alert']")
    assert "out of memory at 4.0 GiB" in alarm.text_content()
    assert "the last report cannot be read" in alarm.text_content()
    assert not parser.fromstring(html.render(reports.busy())).xpath("//div[@role='alert']")


def test_every_part_is_in_plain_sight() -> None:
    seen = text_of(reports.busy())
    for part in reports.parts():
        assert part.name in seen
    assert "vault: partial, a sample, as was asked" in seen


def test_evidence_is_shown_for_a_suspect() -> None:
    tree = parser.fromstring(html.render(reports.busy()))
    (row,) = [
        f
        for f in tree.xpath("//div[@class='finding']")
        if "leave-copy.md" in f.xpath("string(.//summary)")
    ]
    marks = row.xpath(".//div[@class='compare']//mark/text()")
    assert marks == ["41", "days", "27", "weeks"]
    assert row.xpath(".//del/text()") == ["27", "weeks"]
    assert row.xpath(".//ins/text()") == ["41", "days"]


def test_advice_stands_beside_each_rule_that_spoke() -> None:
    seen = text_of(reports.busy())
    for found in reports.busy().findings:
        assert RULES[found.rule].advice.replace("`", "") in seen


def test_suspects_on_the_map_lead_to_their_finding() -> None:
    tree = parser.fromstring(html.render(reports.busy()))
    links = tree.xpath("//figure[@class='map']//a")
    assert len(links) == 9
    for link in links:
        number, _, document = link.xpath("string(.//title)").partition(": ")
        target = tree.get_element_by_id(link.get("href")[1:])
        assert target.get("id") == f"f{number}"
        assert document in target.text_content()


def test_ten_thousand_findings_make_a_page_that_opens() -> None:
    report = reports.many()
    data = html.dump(report)
    assert len(data) < 3_000_000
    tree = parser.fromstring(data.decode())
    shown = len(tree.xpath("//div[@class='finding']"))
    more = sum(int(t.split()[1].replace(",", "")) for t in tree.xpath("//p[@class='more']/text()"))
    assert shown + more == len(report.findings)
    assert html.MOST_FINDINGS <= shown <= html.MOST_FINDINGS + 2 * len(RULES)
    assert len(tree.xpath("//figure[@class='map']//circle")) < 2 * html_map.MOST_MARKS + 4_000
    assert "points not drawn" in tree.text_content()
    assert "and 28 more in the JSON report" in tree.text_content()  # series


def test_texts_without_end_are_cut_off() -> None:
    found = AuditFinding(
        "hub",
        "x" * 1_000_000,
        "a/" + "y" * 1_000_000,
        "z" * 1_000_000,
        facts={f"{i}" + "k" * 100_000: "v " * 100_000 for i in range(50)},
    )
    report = replace(reports.quiet(), findings=[found], places=())
    assert len(html.dump(report)) < 100_000


def test_the_same_report_gives_the_same_page() -> None:
    assert html.render(reports.busy()) == html.render(reports.busy())


def test_a_place_outside_the_map_is_drawn_at_its_edge() -> None:
    found = html_map.scatter([MapPoint(-1.0, 7.0, "s", "s/a"), MapPoint(0.5, 0.5, "s", "s/b")], {})
    assert (found.dots[0].x, found.dots[0].y) == (html_map.MARGIN, html_map.MARGIN)
    assert (found.dots[1].x, found.dots[1].y) == (html_map.WIDTH / 2, html_map.HEIGHT / 2)


def test_suspects_that_stand_together_share_a_label() -> None:
    marks = [MapPoint(0.5 + i / 1000, 0.5, "s", f"s/{i}", True) for i in range(4)]
    far = MapPoint(0.95, 0.1, "s", "s/9", True)
    numbers = {f"s/{i}": i + 3 for i in range(4)} | {"s/9": 1}
    found = html_map.scatter([*marks, far], numbers)
    assert [(label.text, label.end) for label in found.labels] == [
        ("1", True),
        ("3\N{EN DASH}6", False),
    ]


def test_labels_neither_crowd_the_map_nor_lie_on_each_other() -> None:
    marks = [MapPoint(i % 12 / 12, i // 12 / 12, "s", f"s/{i}", True) for i in range(144)]
    labels = html_map.scatter(marks, {f"s/{i}": i + 1 for i in range(144)}).labels
    assert len(labels) == html_map.MOST_LABELS
    near = [MapPoint(0.5, 0.5, "s", "s/1", True), MapPoint(0.535, 0.5, "s", "s/2", True)]
    assert len(html_map.scatter(near, {"s/1": 10_000, "s/2": 20_000}).labels) == 1


def test_sources_beyond_the_palette_are_one_colour() -> None:
    places = [MapPoint(0.1, 0.1, f"s{i % 11}", "d") for i in range(110)]
    legend = html_map.scatter(places, {}).legend
    assert legend[-1] == (html_map.COLOURS, "3 other sources", 30)
    assert len(legend) == html_map.COLOURS + 1


def test_a_sparkline_goes_from_left_to_right_and_up_when_it_rises() -> None:
    found = html_map.spark([("a", 1.0), ("b", 3.0), ("c", 2.0)])
    xs, ys = zip(*[(x, y) for x, y, _, _ in found.dots], strict=True)
    assert list(xs) == sorted(xs)
    assert ys[1] < ys[2] < ys[0]
    assert (found.low, found.high, found.last, found.step) == (1.0, 3.0, 2.0, -1.0)


def test_a_sparkline_of_one_value_has_no_step() -> None:
    found = html_map.spark([("a", 1.0)])
    assert found.step is None
    assert len(found.dots) == 1
