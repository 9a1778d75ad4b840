"""The GitHub Action and the pre-commit hooks: valid by their own schemas, and their steps run.

A small runner carries out the action's `run` steps as GitHub's does: each a shell script, its
environment filled from inputs and from what earlier steps wrote. Other people's actions are not
run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragguard.cli import run as command_line
from tests.shipped.test_docs import DOCS, blocks
from tests.shipped.test_install import run
from tests.support.installing import BIN, REPOSITORY

ACTION = yaml.safe_load((REPOSITORY / "action.yml").read_text("utf-8"))
HOOKS = {h["id"]: h for h in yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())}
DOCUMENTED = [yaml.safe_load(b.body) for b in blocks(DOCS / "pipelines.md", "yaml")]


@dataclass
class Runner:
    """Carries out the action in a folder."""

    folder: Path
    outputs: dict[str, str] = field(default_factory=dict)
    said: str = ""

    def action(self, **given: str) -> int:
        """Run it with inputs; the exit code of the job."""
        inputs = {n: str(i.get("default", "")) for n, i in ACTION["inputs"].items()}
        inputs |= {name.replace("_", "-"): value for name, value in given.items()}
        self.outputs, self.said = {}, ""
        for step in ACTION["runs"]["steps"]:
            if "run" not in step or step["name"].startswith("Install"):
                continue
            code = self._step(step, inputs)
            if code:
                return code
        return 0

    def _step(self, step: dict[str, Any], inputs: dict[str, str]) -> int:
        def value(match: re.Match[str]) -> str:
            kind, name = match[1].rsplit(".", 1)
            return {"inputs": inputs, "steps.run.outputs": self.outputs}[kind].get(name, "")

        filled = {k: re.sub(r"\$\{\{ (.+?) \}\}", value, v) for k, v in step["env"].items()}
        temp = self.folder / "runner-temp"
        temp.mkdir(exist_ok=True)
        written = temp / "output"
        written.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env={
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "PYTHONPATH": str(REPOSITORY),
                "HOME": str(self.folder),
                "RUNNER_TEMP": str(temp),
                "GITHUB_OUTPUT": str(written),
                **filled,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.outputs |= dict(line.split("=", 1) for line in written.read_text().splitlines())
        self.said += done.stdout + done.stderr
        return done.returncode


@pytest.fixture(scope="module")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "site").mkdir()
    (folder / "site/leave.md").write_text("# Leave\n\nEverybody has 27 days of leave.\n")
    ragguard(folder, "init .")
    ragguard(folder, "key generate alice")
    ragguard(folder, "trust add keys/alice.pub --source wiki")
    return folder


@pytest.fixture
def checkout(_checkout: Path, tmp_path: Path) -> Path:
    """A repository with a workspace in it, made by today's clock, as the commands run by it."""
    folder = tmp_path / "checkout"
    shutil.copytree(_checkout, folder)
    return folder


def ragguard(folder: Path, line: str) -> None:
    """Prepare something; what is looked at runs the command as a process."""
    with contextlib.chdir(folder):
        assert command_line(line.split()) == 0


# --- the action -----------------------------------------------------------------------------------


def test_action_and_hooks_fit_their_schemas(tmp_path: Path) -> None:
    check = ("check-jsonschema", "--builtin-schema", "vendor.github-actions")
    run(tmp_path, *check, REPOSITORY / "action.yml")
    run(tmp_path, "pre-commit", "validate-manifest", REPOSITORY / ".pre-commit-hooks.yaml")
    workflow = {"name": "documents", "on": "pull_request", **DOCUMENTED[0]}
    steps = workflow["jobs"]["documents"]["steps"]
    steps += [step for block in DOCUMENTED if isinstance(block, list) for step in block]
    path = tmp_path / "workflow.yml"
    path.write_text(yaml.safe_dump(workflow))
    run(tmp_path, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)
    for step in steps[1:]:
        assert set(step["with"]) <= set(ACTION["inputs"])


def test_no_script_of_the_action_has_an_expression_in_it() -> None:
    """What stands in an input would be run; in the environment it is a value."""
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert not any("${{" in script for script in scripts)


def test_it_signs_verifies_and_refuses_what_was_changed_after(checkout: Path) -> None:
    runner = Runner(checkout)
    key = (checkout / "keys/alice.key").read_text()
    sign = "site\n--source\nwiki\n-o\nm.intoto.json\n"
    assert runner.action(command="sign", key=key, arguments=sign) == 0, runner.said
    for name in ("keys", "ledger.db", "ragguard.toml"):
        (checkout / name).rename(checkout.parent / name)  # a runner has none of it
    verify = "m.intoto.json\n--root\nsite\n--trust-root\ntrust/root.json\n"
    assert runner.action(command="verify", arguments=verify) == 0, runner.said
    assert runner.outputs["exit-code"] == "0"
    (checkout / "site/leave.md").write_text("Everybody has ninety-nine days of leave.")
    assert runner.action(command="verify", arguments=verify, fail_on_findings="false") == 3
    left = [p for p in checkout.rglob("*") if p.name in ("signer.key", "passphrase")]
    assert left == []  # neither key nor passphrase outlives the step


def test_a_line_is_one_argument_whatever_is_in_it(checkout: Path) -> None:
    runner = Runner(checkout)
    hostile = "$(touch stolen) ; touch stolen * --root"
    assert runner.action(command="verify", arguments=f"{hostile}\n") == 2
    assert not (runner.folder / "stolen").exists()
    assert hostile in runner.said
    assert runner.action(command="trust", arguments="list") == 2
    assert "command must be" in runner.said


def test_an_audit_writes_sarif_and_findings_fail_the_job_where_they_should(
    checkout: Path,
) -> None:
    ragguard(checkout, "sign site --source wiki --key keys/alice.key -o m.intoto.json")
    ragguard(checkout, "ingest m.intoto.json --root site")
    runner = Runner(checkout)
    args = {"command": "audit", "arguments": "--fail-on\nnote\n"}
    code = runner.action(**args)
    assert code == int(runner.outputs["exit-code"])
    body = json.loads(Path(runner.outputs["sarif"]).read_text())
    assert body["version"] == "2.1.0"
    assert code == (1 if body["runs"][0]["results"] else 0)
    upload = next(s for s in ACTION["runs"]["steps"] if s.get("name", "").startswith("Upload"))
    assert upload["with"]["sarif_file"] == "${{ steps.run.outputs.sarif }}"


@pytest.mark.parametrize(
    ("code", "lenient", "expected"), [("0", "true", 0), ("1", "true", 0), ("1", "false", 1)]
)
def test_findings_may_pass_and_nothing_else_may(
    tmp_path: Path, code: str, lenient: str, expected: int
) -> None:
    runner = Runner(tmp_path, {"exit-code": code})
    last = ACTION["runs"]["steps"][-1]
    inputs = {"fail-on-findings": "false" if lenient == "true" else "true"}
    assert runner._step(last, inputs) == expected
    for grave in ("2", "3", "4", "5", "70"):
        runner.outputs = {"exit-code": grave}
        assert runner._step(last, inputs) == int(grave)


# --- pre-commit -----------------------------------------------------------------------------------


def test_the_hooks_run_in_a_repository_as_the_page_has_them(checkout: Path) -> None:
    """With the real pre-commit; the environment it would build is the one of the tests."""
    folder = checkout
    (documented,) = [b["repos"][0]["hooks"] for b in DOCUMENTED if "repos" in b]
    hooks = [{**HOOKS[h["id"]], **h, "language": "system"} for h in documented]
    hooks = [h for h in hooks if h["id"] != "ragguard-redteam"]
    # Pre-commit runs them from its cache of this repository; here the command is on the path.
    text = yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]})
    (folder / ".pre-commit-config.yaml").write_text(text)
    (folder / ".gitignore").write_text(
        "*\n!/site/\n!/site/*\n!/trust/\n!/trust/*\n!*.json\n!.*.yaml\n"
    )

    def git(*args: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return run(folder, "git", *name, *args, variables=places)

    places = {"PRE_COMMIT_HOME": str(folder.parent / "cache"), "PYTHONPATH": str(REPOSITORY)}
    git("init", "--quiet")
    ragguard(folder, "sign site --source wiki --key keys/alice.key -o wiki.intoto.json")
    git("add", ".")
    commit = (BIN / "pre-commit", "run", "--hook-stage", "pre-commit")
    assert "Passed" in run(folder, *commit, variables=places)
    git("commit", "--quiet", "-m", "documents")
    (folder / "site/leave.md").write_text("Everybody has ninety-nine days of leave.")
    git("add", ".")
    with pytest.raises(AssertionError, match="files were modified by this hook"):
        run(folder, *commit, variables=places)
    git("add", ".")
    told = run(folder, *commit, variables=places)  # signed by now, and not once more
    assert told.count("Passed") == 2


def test_redteam_waits_for_a_push() -> None:
    assert HOOKS["ragguard-redteam"]["stages"] == ["pre-push", "manual"]
    assert {h["entry"].split()[1] for h in HOOKS.values()} == {"verify", "sign", "redteam"}
