"""Register checks: each measures one thing about chunks, in one file. Scoring judges.

A check is a function of a `CorpusView` and its parameters that returns a `Signal`. It knows no
threshold, weight or other check, and reaches for nothing outside the view. How to write one:
docs/checks.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ragguard.errors import ConfigError
from ragguard.model import CorpusView, Signal

Function = Callable[[CorpusView, Any], Signal]


@dataclass(frozen=True)
class Check:
    """A registered check.

    Attributes:
        name: As in findings, configuration and docs/checks.md.
        family: Family of signals (docs/checks.md).
        params: Frozen dataclass of its tunable values.
        unit: Rise in raw score that makes an honest chunk e times rarer, where the reference has
            too few cases to tell.
        on: Whether it runs where the settings say nothing.
        origin: Package, version and name of the plug-in that it is; empty for one of ours.
    """

    name: str
    family: str
    params: type[Any]
    function: Function
    unit: float
    summary: str
    on: bool = True
    origin: str = ""


_REGISTRY: dict[str, Check] = {}


def check(
    name: str, *, family: str, params: type[Any], unit: float = 1.0, on: bool = True
) -> Callable[[Function], Function]:
    """Register a check.

    Raises:
        ValueError: The name is taken, or the function has no docstring.
    """

    def register(function: Function) -> Function:
        if name in _REGISTRY:
            raise ValueError(f"check {name!r} is registered twice")
        if not function.__doc__:
            raise ValueError(f"check {name!r} has no docstring")
        summary = function.__doc__.strip().splitlines()[0]
        _REGISTRY[name] = Check(name, family, params, function, unit, summary, on)
        return function

    return register


def registry() -> Mapping[str, Check]:
    """List all checks by name; imports every module of this package (`rules` holds none)."""
    for module in (m for m in pkgutil.iter_modules(__path__) if not m.ispkg):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def parameters(check_: Check, values: Mapping[str, Any]) -> Any:
    """Return a check's parameters with configured values in place of defaults.

    Raises:
        ConfigError: An unknown parameter, or one of another type.
    """
    defaults = check_.params()
    known = check_.params.__dataclass_fields__
    settings: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(
                f"[checks.{check_.name}] {key}: no such parameter",
                hint=f"It has {', '.join(sorted(known)) or 'none'}.",
            )
        default = getattr(defaults, key)
        if isinstance(default, tuple) and isinstance(value, list):  # TOML has no tuples
            if not all(isinstance(item, str) for item in value):
                raise ConfigError(f"[checks.{check_.name}] {key}: expected a list of strings")
            value = tuple(value)
        fits = isinstance(value, type(default)) or (
            isinstance(default, float) and isinstance(value, int)
        )
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise ConfigError(
                f"[checks.{check_.name}] {key}: expected {type(default).__name__}, "
                f"found {type(value).__name__}"
            )
        settings[key] = value
    return check_.params(**settings)
