"""The documentation is what the program does: pages generated, links alive, blocks that run.

A fenced block is run unless an HTML comment `<!-- not run: why -->` stands on the line before it.
"""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

import ragguard
from ragguard import config
from ragguard.cli import COMMANDS
from ragguard.detect import checks
from ragguard.errors import RagguardError
from ragguard.integrations import face

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *DOCS.rglob("*.md"),
        *REPOSITORY.glob("corpora/*/README.md"),
        *REPOSITORY.glob("keys/*.md"),
    ]
)
FENCE = re.compile(
    r"(?P<mark><!-- not run: [^>]+ -->\n+)?^```(?P<kind>[a-z]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


TEST = re.compile(r"`(?P<path>tests/[\w/.]+)(?:::(?P<name>\w+))?`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    body: str
    run: bool


def blocks(page: Path, *kinds: str) -> list[Block]:
    """Blocks of a page, in order."""
    found = FENCE.finditer(page.read_text("utf-8"))
    made = [Block(m["kind"], m["body"], m["mark"] is None) for m in found]
    return [b for b in made if b.kind in kinds]


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as code hosts make them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    made = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE):
        kept = [
            c
            for c in heading.lower()
            if c in " -_" or unicodedata.category(c)[0] in ("L", "N", "M")
        ]
        made.add("".join(kept).replace(" ", "-"))
    return made


@dataclass(frozen=True)
class Sandbox:
    """A folder in which blocks of documentation run as a reader would run them.

    `ragguard` on its path is the real command and writes down its exit codes; `.venv` is there.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Sandbox:
        made = cls(folder)
        commands = folder / ".venv/bin"
        commands.mkdir(parents=True)
        script = commands / "ragguard"
        script.write_text(
            f'#!/bin/sh\n"{sys.executable}" -m ragguard "$@"\ncode=$?\n'
            f'echo "$code $*" >> "{folder}/codes"\nexit $code\n'
        )
        script.chmod(0o755)
        (commands / "activate").write_text(f'PATH="{commands}:$PATH"\n')
        return made

    def run(self, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAGGUARD_")}
        path = f"{self.folder}/.venv/bin:{kept['PATH']}"
        return subprocess.run(
            command,
            input=text,
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(REPOSITORY), "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def shell(self, page: Path) -> str:
        """Run the shell blocks of a page in order; what they printed."""
        script = "\n".join(b.body for b in blocks(page, "bash", "sh", "console") if b.run)
        done = self.run(["bash"], script)
        assert "Traceback" not in done.stderr
        assert "command not found" not in done.stderr
        return done.stdout + done.stderr

    def codes(self) -> list[tuple[int, str]]:
        """Exit code and arguments of each `ragguard` that ran."""
        lines = (self.folder / "codes").read_text().splitlines()
        return [(int(x.split()[0]), x.split(" ", 1)[1]) for x in lines]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """An empty folder with the command in it."""
    return Sandbox.make(tmp_path)


# --- pages ----------------------------------------------------------------------------------------


def test_generated_pages_are_what_the_program_says() -> None:
    made = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stderr) == (0, "")


def test_every_command_has_its_section_with_help_and_an_example() -> None:
    text = (DOCS / "cli.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (ragguard.*?)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    names = [n.removeprefix("ragguard").strip() for n in sections]
    assert {n.split()[0] for n in names if n} == set(COMMANDS)
    for title, body in sections.items():
        assert f"Usage: {title} " in body
        if "COMMAND [ARGS]" not in body:
            assert re.search(rf"Examples?:\n    {title}", body)


def test_every_registered_check_is_in_the_table_and_no_other() -> None:
    text = (DOCS / "checks.md").read_text("utf-8")
    table = text.partition("<!-- table:begin -->")[2].partition("<!-- table:end -->")[0]
    named = re.findall(r'^\| <a id="(\w+)"></a>`(\w+)` \|', table, re.MULTILINE)
    assert {name for _, name in named} == set(checks.registry())
    assert all(anchor == name for anchor, name in named)


def test_every_setting_is_in_the_configuration_page() -> None:
    text = (DOCS / "configuration.md").read_text("utf-8")
    for section, body in config.Settings().model_dump().items():
        for key in body:
            assert f"`[{section}] {key}`" in text


def test_every_name_of_the_python_page_is_there() -> None:
    text = (DOCS / "python-api.md").read_text("utf-8")
    lost = []
    for name in sorted(set(re.findall(r"\bragguard(?:\.\w+)+", text)) - {"ragguard.toml"}):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            lost.append(name)
    assert lost == []


def test_every_method_of_the_python_page_takes_what_is_shown() -> None:
    text = (DOCS / "python-api.md").read_text("utf-8")
    shown = re.findall(r"`w\.([\w.]+)\(([^`]*)\)`", text)
    public = {name for name in vars(ragguard.Workspace) if not name.startswith("_")}
    public |= {f"quarantine.{n}" for n in vars(face.Quarantine) if not n.startswith("_")}
    also = {"quarantine.reject"}  # in the row of `release`
    assert {name for name, _ in shown} | also == public - {"quarantine"}
    for name, arguments in shown:
        *group, word = name.split(".")
        method = getattr(face.Quarantine if group else ragguard.Workspace, word)
        names = [a.strip().partition("=")[0] for a in arguments.split(",") if a]
        assert names == list(inspect.signature(method).parameters)[1:]


def test_every_exit_code_of_an_error_is_explained() -> None:
    classes = [RagguardError]
    for found in classes:
        classes.extend(found.__subclasses__())
    codes = {c.exit_code for c in classes} | {0, 1}
    table = (REPOSITORY / "README.md").read_text("utf-8").partition("## Exit codes")[2]
    explained = {int(x) for x in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert codes <= explained


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_resolves(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    dead = []
    for match in LINK.finditer(text):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(match["target"])
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_and_json_in_blocks_are_valid(page: Path) -> None:
    for block in blocks(page, "toml", "json"):
        if block.run and block.kind == "json":
            json.loads(block.body)
        elif block.run:
            config.Settings.model_validate(tomllib.loads(block.body))


def test_a_marked_block_is_not_run_and_others_are(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: why -->\n```bash\nfalse\n```\n\n```bash\ntrue\n```\n")
    assert blocks(page, "bash") == [Block("bash", "false\n", False), Block("bash", "true\n", True)]


# --- blocks that run ------------------------------------------------------------------------------


@pytest.mark.sweep
def test_the_shell_blocks_of_the_readme_run_in_order(sandbox: Sandbox) -> None:
    (sandbox.folder / "docs").mkdir()
    for page in ("how-to", "tutorial", "limits", "export", "rollback", "faq"):
        shutil.copy(DOCS / f"{page}.md", sandbox.folder / "docs")
    said = sandbox.shell(REPOSITORY / "README.md")
    codes = sandbox.codes()
    assert [args.split()[0] for _, args in codes] == [
        *("init", "key", "trust", "sign", "ingest", "search"),
        *("key", "trust", "quarantine", "quarantine", "log", "doctor", "audit"),
    ]
    # Both may have something to show to a person.
    told = ("ingest", "audit")
    assert [args for code, args in codes if code > (args.startswith(told))] == []
    assert "wiki/how-to.md" in said
    assert "commits agree" in said


@pytest.mark.sweep
def test_the_tutorial_runs_from_an_empty_folder(sandbox: Sandbox) -> None:
    said = sandbox.shell(DOCS / "tutorial.md")
    assert [args for code, args in sandbox.codes() if code] == []
    assert len(sandbox.codes()) == len(re.findall(r"\bragguard ", _shell_text("tutorial.md")))
    assert "1. wiki/leave.md" in said
    assert "wiki/safe.md rejected, commit 3" in said
    assert "proved: wiki/leave.md (admit)" in said


@pytest.mark.sweep
def test_the_first_week_runs_as_written(sandbox: Sandbox) -> None:
    site = sandbox.folder / "site"
    site.mkdir()
    shutil.copy(DOCS / "tutorial.md", site)
    said = sandbox.shell(DOCS / "first-week.md")
    assert [args for code, args in sandbox.codes() if code] == []
    assert "nothing to do" in said or "unchanged" in said


def _shell_text(name: str) -> str:
    return "".join(b.body for b in blocks(DOCS / name, "bash", "sh", "console"))


@pytest.mark.sweep
def test_the_python_blocks_run(sandbox: Sandbox) -> None:
    pytest.importorskip("langchain_huggingface", reason="the page shows it: pip install .[bench]")
    prepare = """
        ragguard init w && cd w && mkdir ../site
        printf '# Leave\\n\\nEverybody has 27 days of paid leave a year.\\n' > ../site/leave.md
        ragguard key generate alice && ragguard trust add keys/alice.pub --source wiki
        ragguard sign ../site --source wiki --key keys/alice.key -o ../m.intoto.json
    """
    assert sandbox.run(["bash", "-e"], prepare).returncode == 0
    first, second = (b.body for b in blocks(DOCS / "python-api.md", "python") if b.run)
    done = sandbox.run([sys.executable, "-c", first])
    assert done.returncode == 0, done.stderr
    assert "'admitted': 1" in done.stdout
    assert "1 wiki/leave.md # Leave" in done.stdout
    done = sandbox.run([sys.executable, "-c", second])
    assert done.returncode == 0, done.stderr
    assert "27 days of paid leave" in done.stdout


@pytest.mark.parametrize("name", ["security.md", "threat-model.md"])
def test_every_test_that_is_named_as_proof_is_there(name: str) -> None:
    named = {(m["path"], m["name"]) for m in TEST.finditer((DOCS / name).read_text("utf-8"))}
    assert len(named) > 10
    assert sorted(path for path, _ in named if not (REPOSITORY / path).exists()) == []
    missing = [
        f"{path}::{test}"
        for path, test in sorted((p, t) for p, t in named if t)
        if not re.search(rf"^ *(?:async )?def {test}\(", (REPOSITORY / path).read_text(), re.M)
    ]
    assert missing == []


def test_every_claim_of_the_requirements_names_its_proof() -> None:
    rows = [line.split(" | ") for line in (DOCS / "security.md").read_text("utf-8").split("\n")]
    claimed = [row for row in rows if {"met", "partly"} & set(row)]
    assert len(claimed) > 30
    assert [row[0] for row in claimed if not TEST.search(row[-1])] == []
