from __future__ import annotations

import pkgutil
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import numpy as np
import pytest

from ragguard.detect import checks
from ragguard.detect.checks import Check
from ragguard.errors import ConfigError
from ragguard.model import CorpusView, Evidence, Signal

MODULES = sorted(m.name for m in pkgutil.iter_modules(checks.__path__) if not m.ispkg)


@dataclass(frozen=True)
class Params:
    whole: int = 3
    part: float = 0.5
    names: tuple[str, ...] = ("a", "b")
    flag: bool = False


def silent(view: CorpusView, params: Params) -> Signal:
    """Score nothing.

    And say no more about it.
    """
    return Signal(np.zeros(view.n), lambda row: Evidence(f"row {row}"))


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    made: dict[str, Check] = {}
    monkeypatch.setattr(checks, "_REGISTRY", made)
    return made


def test_every_module_registers_one_check_of_its_own_name() -> None:
    assert sorted(checks.registry()) == MODULES
    for name, check in checks.registry().items():
        assert check.name == name
        assert check.function.__module__ == f"ragguard.detect.checks.{name}"


def test_the_registry_is_in_alphabetical_order() -> None:
    assert list(checks.registry()) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_check_says_what_it_measures_and_has_frozen_parameters(name: str) -> None:
    check = checks.registry()[name]
    assert check.summary.startswith("Score ")
    assert check.summary.endswith(".")
    assert check.unit > 0
    params = check.params()
    first = fields(params)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(params, first, getattr(params, first))


def test_a_name_is_registered_once(empty_registry: dict[str, Check]) -> None:
    checks.check("twice", family="text", params=Params)(silent)
    with pytest.raises(ValueError, match="'twice' is registered twice"):
        checks.check("twice", family="text", params=Params)(silent)
    assert list(empty_registry) == ["twice"]


def test_a_check_without_a_docstring_is_refused(empty_registry: dict[str, Check]) -> None:
    def undocumented(view: CorpusView, params: Params) -> Signal:
        return silent(view, params)

    with pytest.raises(ValueError, match="has no docstring"):
        checks.check("undocumented", family="text", params=Params)(undocumented)
    assert empty_registry == {}


def test_the_summary_is_the_docstrings_first_line(empty_registry: dict[str, Check]) -> None:
    function = checks.check("brief", family="text", params=Params, unit=0.25)(silent)
    assert function is silent
    entry = empty_registry["brief"]
    assert entry == Check("brief", "text", Params, silent, 0.25, "Score nothing.")


# --- parameters -----------------------------------------------------------------------------------

CHECK = Check("made", "text", Params, silent, 1.0, "Score nothing.")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Params()),
        ({"whole": 7}, Params(whole=7)),
        ({"part": 2}, Params(part=2)),
        ({"part": 0.25}, Params(part=0.25)),
        ({"flag": True}, Params(flag=True)),
        ({"names": ["c"]}, Params(names=("c",))),
        ({"names": []}, Params(names=())),
        ({"names": ("d", "e")}, Params(names=("d", "e"))),
    ],
    ids=lambda v: repr(v)[:40],
)
def test_configured_values_take_the_place_of_defaults(
    values: dict[str, Any], expected: Params
) -> None:
    assert checks.parameters(CHECK, values) == expected


def test_the_configured_values_are_left_as_they_are() -> None:
    values = {"names": ["c"], "whole": 1}
    checks.parameters(CHECK, values)
    assert values == {"names": ["c"], "whole": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hole": 1}, r"\[checks.made\] hole: no such parameter"),
        ({"whole": 1.5}, r"\[checks.made\] whole: expected int, found float"),
        ({"whole": True}, r"\[checks.made\] whole: expected int, found bool"),
        ({"whole": "4"}, r"\[checks.made\] whole: expected int, found str"),
        ({"part": "half"}, r"\[checks.made\] part: expected float, found str"),
        ({"part": True}, r"\[checks.made\] part: expected float, found bool"),
        ({"flag": 1}, r"\[checks.made\] flag: expected bool, found int"),
        ({"names": "a"}, r"\[checks.made\] names: expected tuple, found str"),
        ({"names": ["a", 1]}, r"\[checks.made\] names: expected a list of strings"),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_a_wrong_parameter_is_an_error_that_names_its_place(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        checks.parameters(CHECK, values)


def test_an_unknown_parameter_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        checks.parameters(CHECK, {"hole": 1})
    assert caught.value.hint == "It has flag, names, part, whole."
