"""The wheel: the package, typed, and requirements that are the package's own."""

from __future__ import annotations

import ast
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.installing import REPOSITORY, build_wheel

EXTRAS = (
    "langchain",
    "llamaindex",
    "haystack",
    "mcp",
    "web",
    "otel",
    "render",
    "s3",
    "fastembed",
    "test",
    "lint",
    "docs",
    "bench",
)
# Rooms that need an extra, and which.
ROOMS = {
    "ragguard/bench/": "bench",
    "ragguard/corpus/spans.py": "otel",
    "ragguard/embed/fastembed.py": "fastembed",
    "ragguard/integrations/haystack.py": "haystack",
    "ragguard/integrations/langchain.py": "langchain",
    "ragguard/integrations/llamaindex.py": "llamaindex",
    "ragguard/integrations/mcp.py": "mcp",
    "ragguard/integrations/telemetry.py": "otel",
    "ragguard/cli/integrations/mcp.py": "mcp",
    "ragguard/parse/drawn.py": "render",
    "ragguard/parse/view.py": "render",
    "ragguard/parse/worker.py": "render",
    "ragguard/integrations/web/": "web",
}
# Tools by which the package is built, tested or measured, and that something required brings
# anyway: hdbscan is built on scikit-learn, langchain-text-splitters on langchain-core,
# detect-secrets on requests.
BROUGHT = {"scikit-learn", "packaging", "langchain-core", "requests"}
# Only for tests, in one namespace with what a room imports.
NAMESAKES = {"llama-index-vector-stores-qdrant"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree without a network."""
    pytest.importorskip("hatchling", reason="it builds the wheel: pip install '.[test]'")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [n for n in opened.namelist() if n.endswith(".dist-info/METADATA")]
        return Parser().parsestr(opened.read(name).decode())


def required(lines: Iterable[str], extra: str = "") -> set[str]:
    """Names of what is required with an extra, or without any."""
    found = [Requirement(line) for line in lines]
    return {
        canonicalize_name(r.name)
        for r in found
        if r.marker is None or r.marker.evaluate({"extra": extra})
    }


def tools(lines: list[str]) -> set[str]:
    """What only an extra requires."""
    every = set().union(*(required(lines, extra) for extra in EXTRAS))
    return every - required(lines)


def declared() -> list[str]:
    """Requirements as METADATA has them, read from pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["optional-dependencies"]) == set(EXTRAS)
    extras = project["optional-dependencies"].items()
    return project["dependencies"] + [
        f'{line}; extra == "{extra}"' for extra, lines in extras for line in lines
    ]


def imported(path: Path) -> set[str]:
    """Packages that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def looked_for(path: Path) -> set[str]:
    """What a module names in a string: it may find a package, or a package's files, by it."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


installed = cache(packages_distributions)


def distributions(packages: set[str]) -> set[str]:
    """Installed distributions that packages are of."""
    return {canonicalize_name(name) for p in packages for name in installed().get(p, ())}


def modules(folder: str = "ragguard") -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


# --- what is in it --------------------------------------------------------------------------------


def test_it_is_typed_and_holds_the_package_and_its_corpora_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert "ragguard/py.typed" in names
    assert {name_of(path) for path in modules()} <= names
    assert any(name.startswith("ragguard/corpora/") for name in names)
    tops = {name.partition("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"ragguard"}


# --- what it brings -------------------------------------------------------------------------------


def test_it_demands_what_is_declared_and_no_tool(wheel: Path) -> None:
    lines = metadata(wheel).get_all("Requires-Dist") or []
    for extra in ("", *EXTRAS):
        assert required(lines, extra) == required(declared(), extra)
    never = {"pytest", "hypothesis", "ruff", "mypy", "import-linter", "matplotlib"}
    assert required(lines) & (never | tools(lines)) == set()


def test_what_it_demands_brings_no_tool_along() -> None:
    brought: dict[str, str] = dict.fromkeys(required(declared()), "ragguard")
    for name in brought_in_turn(brought):
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # for another system or version of Python
            continue
        for other in required(lines):
            brought.setdefault(other, name)
    unwanted = tools(declared()) - BROUGHT
    assert {name: by for name, by in brought.items() if name in unwanted} == {}


def brought_in_turn(brought: dict[str, str]) -> Iterable[str]:
    """Names in a dictionary that grows meanwhile, each once."""
    seen: set[str] = set()
    while left := brought.keys() - seen:
        yield from left
        seen |= left


def test_nothing_is_demanded_that_no_module_uses() -> None:
    named = set().union(*(imported(path) | looked_for(path) for path in modules()))
    assert required(declared()) - distributions(named) == set()


def test_an_extra_demands_nothing_that_comes_without_it() -> None:
    lines = [line for line in declared() if "extra ==" in line]
    for extra in EXTRAS:
        assert required(lines, extra) & required(declared()) == set()


def test_only_its_own_room_uses_what_only_an_extra_brings() -> None:
    only = tools(declared()) - NAMESAKES
    outside = [path for path in modules() if not name_of(path).startswith(tuple(ROOMS))]
    used = {name_of(path): distributions(imported(path)) & only for path in outside}
    assert {name: found for name, found in used.items() if found} == {}
    for room, extra in ROOMS.items():
        inside = distributions(
            set().union(*(imported(p) for p in modules() if name_of(p).startswith(room)))
        )
        assert inside & only <= required(declared(), extra)
