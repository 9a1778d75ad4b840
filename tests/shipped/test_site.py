"""The documentation as a site: it builds without a warning, and every address we print is in it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from lxml import html as parser

from ragguard.audit.rules import RULES
from ragguard.detect import checks
from ragguard.text.documentation import DOCUMENTATION, check_address, rule_address
from tests.support.installing import BIN, REPOSITORY

pytest.importorskip("mkdocs", reason="it builds the site: pip install '.[docs]'")
LARGEST = 150_000  # bytes of a picture


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a dead link, a dead anchor or a page in no menu stops it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [BIN / "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=REPOSITORY,
        env={"PATH": str(BIN), "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return folder


def ids(page: Path) -> set[str]:
    return set(parser.fromstring(page.read_bytes()).xpath("//@id"))


def test_every_rule_and_check_has_its_address(site: Path) -> None:
    wanted = [rule_address(rule.id) for rule in RULES.values()]
    wanted += [check_address(name) for name in checks.registry()]
    assert len(wanted) > 40
    for address in wanted:
        assert address.startswith(DOCUMENTATION)
        parts = urlsplit(address.removeprefix(DOCUMENTATION))
        assert parts.fragment in ids(site / parts.path / "index.html"), address


def test_the_site_is_where_the_addresses_say() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text("utf-8")
    assert re.findall(r"^site_url: (\S+)$", text, re.M) == [DOCUMENTATION]
    body = yaml.safe_load((REPOSITORY / ".readthedocs.yaml").read_text("utf-8"))
    assert any("mkdocs build --strict" in c for c in body["build"]["commands"])


def test_the_front_page_is_the_readme_and_its_pictures_are_there(site: Path) -> None:
    tree = parser.fromstring((site / "index.html").read_bytes())
    pictures = tree.xpath("//article//img/@src")
    assert len(pictures) == 2
    for picture in pictures:
        assert (site / picture).read_bytes()[:4] == b"\x89PNG"
    links = set(tree.xpath("//article//a/@href"))
    assert "first-week/" in links
    assert not any(link.startswith("docs/") for link in links)


def test_no_page_asks_for_anything_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        tree = parser.fromstring(page.read_bytes())
        asked = tree.xpath("//script/@src | //img/@src | //link[@rel='stylesheet']/@href")
        assert [a for a in asked if re.match(r"(?:https?:)?//", a)] == []


def test_pictures_are_small_and_say_in_words_what_they_show() -> None:
    shown = re.findall(
        r"!\[([^\]]*)\]\((docs/pictures/[\w.]+)\)", (REPOSITORY / "README.md").read_text()
    )
    assert {path for _, path in shown} == {
        f"docs/pictures/{p.name}" for p in (REPOSITORY / "docs/pictures").iterdir()
    }
    for words, path in shown:
        assert len(words) > 40
        assert (REPOSITORY / path).stat().st_size < LARGEST


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").split()) < 1700
