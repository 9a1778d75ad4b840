"""The small environment: `requirements-slim.txt` is complete, and ragguard runs on it alone."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
LEFT_OUT = {"sentence-transformers"}


def pins(name: str) -> dict[str, str]:
    lines = (REPOSITORY / name).read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(r.name): str(r.specifier) for r in found}


def needed() -> set[str]:
    """Distributions that ragguard needs here, in turn, without those left out."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    left = [Requirement(line) for line in project["dependencies"]]
    seen: set[tuple[str, str]] = set()
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        extras = {"", *one.extras}
        if name in LEFT_OUT or extras <= {e for n, e in seen if n == name}:
            continue
        seen |= {(name, extra) for extra in extras}
        for line in distribution(name).requires or []:
            other = Requirement(line)
            if not other.marker or any(other.marker.evaluate({"extra": e}) for e in extras):
                left.append(other)
    return {name for name, _ in seen}


def test_it_pins_what_is_needed_and_nothing_else() -> None:
    slim, full = pins("requirements-slim.txt"), pins("constraints.txt")
    assert set(slim) == needed()
    assert {name: full[name] for name in slim} == slim
    assert not {"torch", "transformers", "sentence-transformers"} & set(slim)


# Runs before ragguard is imported: what is not in the small environment cannot be.
BLOCK = """
import importlib.metadata as metadata
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in the small environment", name=name)

sys.meta_path.insert(0, Blocked())
known = metadata.distribution

def distribution(name):
    if name in LEFT_OUT:
        raise metadata.PackageNotFoundError(name)
    return known(name)

metadata.distribution = distribution
from ragguard.cli import main
sys.exit(main())
"""


def blocked() -> set[str]:
    """Packages that are installed here and not in the small environment."""
    slim = {*pins("requirements-slim.txt"), "ragguard", "pip", "setuptools"}
    found: set[str] = set()
    for package, names in packages_distributions().items():
        if not {canonicalize_name(n) for n in names} & slim and package.isidentifier():
            found.add(package)
    return found


def ragguard(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"BLOCKED = {blocked()!r}\nLEFT_OUT = {LEFT_OUT!r}\n{BLOCK}"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_what_is_blocked_is_what_the_small_environment_lacks() -> None:
    assert {"torch", "transformers", "sentence_transformers", "pytest"} <= blocked()
    with pytest.raises(PackageNotFoundError):
        distribution("no-such-distribution")


def test_ragguard_runs_on_it(tmp_path: Path) -> None:
    pages = sorted((REPOSITORY / "corpora/ordinary").rglob("*.md"))[:40]
    for page in pages:
        copy = tmp_path / "docs" / page.parent.name / page.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(page.read_bytes())
    home = tmp_path / "w"
    for folder, line in (
        (tmp_path, "init w"),
        (home, "key generate alice"),
        (home, "trust add keys/alice.pub --source wiki"),
        (home, "sign ../docs --source wiki --key keys/alice.key -o m.intoto.json"),
        (home, "ingest m.intoto.json --root ../docs"),
        (home, "search bread"),
        (home, "audit --full"),
        (home, "log verify"),
        (home, "redteam --attack typing_errors --attack hotflip --campaigns 1 --floor 0"),
        (home, "export ../out"),
        (home, "doctor"),
    ):
        done = ragguard(folder, *line.split())
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    (home / "ragguard.toml").write_text('[model]\nruntime = "torch"\n', "utf-8")
    done = ragguard(home, "search", "bread")
    assert done.returncode != 0
    assert "sentence-transformers, which runs other models" in done.stderr
