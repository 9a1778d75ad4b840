"""Dockerfile and compose file, as far as a machine without a container engine can tell.

The Dockerfile is linted, and its steps are carried out in a plain folder from a context that holds
what .dockerignore lets through; dependencies are lent (`tests.support.installing`), so pip finds
every pin of requirements-slim.txt met. That they suffice is `test_slim.py`'s to say; that the base
image has what the steps call is not proved here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

import ragguard
from ragguard import config
from tests.shipped.test_install import run
from tests.support.installing import REPOSITORY, build_borrowed

DOCKERFILE = REPOSITORY / "Dockerfile"
COMPOSE = REPOSITORY / "compose.yaml"


def steps() -> list[dict[str, str]]:
    parser = DockerfileParser(path=str(DOCKERFILE))
    return [s for s in parser.structure if s["instruction"] != "COMMENT"]


def last_stage() -> list[dict[str, str]]:
    found = steps()
    start = max(i for i, s in enumerate(found) if s["instruction"] == "FROM")
    return found[start:]


# --- Dockerfile -----------------------------------------------------------------------------------


def test_the_linter_finds_nothing_wrong(tmp_path: Path) -> None:
    run(tmp_path, "hadolint", DOCKERFILE)
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE.read_text().replace("python:3.11-slim-bookworm", "python:latest"))
    with pytest.raises(AssertionError, match="DL3007"):
        run(tmp_path, "hadolint", bad)


def test_it_runs_as_nobody_in_particular_and_brings_no_torch() -> None:
    (user,) = [s["value"] for s in last_stage() if s["instruction"] == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert "torch" not in DOCKERFILE.read_text().replace("PyTorch", "").lower()
    pins = (REPOSITORY / "requirements-slim.txt").read_text()
    assert not re.search(r"^(torch|transformers|sentence-transformers)==", pins, re.M)


def context(folder: Path) -> Path:
    """What `docker build` would be sent: files that .dockerignore lets through."""
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines
    folder.mkdir()
    for name in let:
        path = REPOSITORY / name
        if path.is_dir():
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, folder / name, ignore=without)
        else:
            shutil.copy(path, folder / name)
    return folder


def test_its_steps_carried_out_in_a_folder_give_a_command_that_runs(tmp_path: Path) -> None:
    sent = context(tmp_path / "context")
    source, home = tmp_path / "src", tmp_path / "app/ragguard"
    source.mkdir()
    home.parent.mkdir()
    borrowed = build_borrowed(tmp_path)
    for number, step in enumerate(steps()):
        value = step["value"].replace("/app/ragguard", str(home)).replace("/src", str(source))
        if step["instruction"] == "COPY":
            *names, target = value.split()
            for name in names:
                _copy(sent / name, source / target)
        elif step["instruction"] == "RUN":
            # As the first step makes the environment, it is lent its packages.
            value = value.replace(
                "--without-pip " + str(home),
                f"--without-pip {home} && python -m pip --python {home}/bin/python install "
                f"--quiet {borrowed}",
            )
            run(source, "bash", "-euo", "pipefail", "-c", value)
        elif step["instruction"] == "FROM" and number:
            break
    told = run(tmp_path, home / "bin/ragguard", "--version")
    assert told.strip() == f"ragguard, version {ragguard.__version__}"
    run(tmp_path, home / "bin/ragguard", "init", "w")
    assert "corpora" in {p.name for p in home.glob("lib/*/site-packages/ragguard/*")}


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target, dirs_exist_ok=True)
    else:
        shutil.copy(path, target)


def test_what_the_last_stage_sets_is_what_a_container_needs() -> None:
    values = {s["instruction"]: s["value"] for s in last_stage()}
    assert values["WORKDIR"] == "/workspace"
    assert json.loads(values["ENTRYPOINT"]) == ["ragguard"]
    made = next(s["value"] for s in last_stage() if "install -d" in s["value"])
    assert "-m 0700 /workspace" in made  # key files are refused in a folder that others may write


# --- compose --------------------------------------------------------------------------------------


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load(COMPOSE.read_text("utf-8"))


def test_the_compose_file_fits_its_schema(tmp_path: Path) -> None:
    check = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")
    run(tmp_path, *check, COMPOSE)
    bad = tmp_path / "compose.yaml"
    bad.write_text(COMPOSE.read_text().replace("cap_drop", "cap_dropp"))
    with pytest.raises(AssertionError, match="cap_dropp"):
        run(tmp_path, *check, bad)


def test_its_settings_are_settings_and_the_key_stays_on_the_loopback(
    compose: Any, tmp_path: Path
) -> None:
    service = compose["services"]["ragguard"]
    variables = {k: re.sub(r"\$\{.*\}", "secret", v) for k, v in service["environment"].items()}
    settings = config.load(tmp_path / "ragguard.toml", variables)
    assert settings.store.api_key == "secret"
    assert service["network_mode"] == "service:qdrant"
    assert all(p.startswith("127.0.0.1:") for p in compose["services"]["qdrant"]["ports"])


def test_nothing_in_it_may_gain_rights_and_no_key_stands_in_it(compose: Any) -> None:
    service = compose["services"]["ragguard"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    for one in compose["services"].values():
        assert one["security_opt"] == ["no-new-privileges:true"]
        keys = [v for k, v in one["environment"].items() if k.endswith("API_KEY")]
        assert keys
        assert all(v.startswith("${QDRANT_API_KEY:?") for v in keys)


# --- versions -------------------------------------------------------------------------------------

PLACES = {
    "Dockerfile": r'image\.version="([^"]+)"|ragguard:(\d\S*)',
    "compose.yaml": r"image: ragguard:(\S+)",
    "docs/scheduling/cronjob.yaml": r"/ragguard:(\S+)",
    "docs/containers.md": r"ragguard:(\d\S+?)[`\s]",
    "docs/pipelines.md": r"(?:ragguard@|rev: )v([\d.]+)",
}


@pytest.mark.parametrize("name", PLACES)
def test_every_place_names_the_version_there_is(name: str) -> None:
    text = (REPOSITORY / name).read_text("utf-8")
    found = {next(filter(None, m.groups())) for m in re.finditer(PLACES[name], text)}
    assert found == {ragguard.__version__}


def test_the_server_is_of_the_client_that_is_pinned(compose: Any) -> None:
    pinned = re.search(
        r"^qdrant-client==(\d+\.\d+)", (REPOSITORY / "constraints.txt").read_text(), re.M
    )
    image = compose["services"]["qdrant"]["image"]
    assert pinned is not None
    assert image.startswith(f"qdrant/qdrant:v{pinned[1]}.")


def test_no_other_file_names_an_image_or_a_release() -> None:
    """A new place must be added to `PLACES`."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    kinds = (".md", ".yaml", ".yml", "Dockerfile")
    found = []
    for name in listed.stdout.splitlines():
        if name.endswith(kinds) and not name.startswith("tests/") and name not in PLACES:
            text = (REPOSITORY / name).read_text("utf-8", "replace")
            if re.search(r"(?:image: \S*ragguard:|ragguard@v|ragguard==)\d", text):
                found.append(name)
    assert found == []
