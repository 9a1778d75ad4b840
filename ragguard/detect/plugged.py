"""Run checks of other packages: what they return is looked at before it is believed.

A check that cannot be loaded, raises, or returns something else than a signal of the right shape is
a check that failed, and holds what it could not examine: never a pass. A plug-in is a family by
itself with the share 1 of the alarm budget, whatever it says it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ragguard.detect.checks import Check
from ragguard.errors import ConfigError, NotApplicable
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.trust.plugins import Plugin, PluginError, find, running


@dataclass(frozen=True)
class NoParams:
    """Parameters of a check that could not be loaded."""


def plugged_checks(named: Sequence[str], known: Sequence[str]) -> dict[str, Check]:
    """List checks that `[plugins] checks` names.

    Args:
        named: `distribution:name` each.
        known: Names that are taken.

    Raises:
        ConfigError: One is not installed, or has a name that is taken.
    """
    checks: dict[str, Check] = {}
    for plugin in (find("checks", name) for name in named):
        if plugin.name in known or plugin.name in checks:
            raise ConfigError(f"[plugins] checks: there is a check {plugin.name!r} already")
        checks[plugin.name] = _loaded(plugin)
    return checks


def _loaded(plugin: Plugin) -> Check:
    try:
        with running(plugin):
            check = plugin.load()
            if not isinstance(check, Check):
                raise TypeError(f"a {type(check).__name__}, no ragguard.detect.checks.Check")
            check.params()  # its defaults can be had
            if not (np.isfinite(check.unit) and check.unit > 0):
                raise TypeError("its unit is no number above 0")
    except PluginError as error:
        return _broken(plugin, error.said)
    return replace(
        check,
        name=plugin.name,
        family=plugin.name,
        summary=str(check.summary),
        function=lambda view, params: _measured(plugin, check, view, params),
        origin=plugin.identity,
    )


def _broken(plugin: Plugin, reason: str) -> Check:
    def fail(view: CorpusView, params: Any) -> Signal:
        raise ValueError(f"{plugin.identity} cannot be loaded ({reason})")

    return Check(plugin.name, plugin.name, NoParams, fail, 1.0, summary="", origin=plugin.identity)


def _measured(plugin: Plugin, check: Check, view: CorpusView, params: Any) -> Signal:
    """Tell what the check says, as arrays of the right shape.

    Raises:
        NotApplicable: The check says so.
        PluginError: It raises something else.
        ValueError: It says something else than a check may.
    """
    with running(plugin, NotApplicable):
        signal = check.function(view, params)
        scores = np.array(signal.scores, dtype=np.float64)
        own = None if signal.p_values is None else np.array(signal.p_values, dtype=np.float64)
        explain = signal.explain
    if scores.shape != (view.n,) or np.isinf(scores).any():
        raise ValueError(f"{plugin.identity}: expected {view.n} finite scores")
    if own is not None and not (own.shape == (view.n,) and ((own >= 0) & (own <= 1)).all()):
        raise ValueError(f"{plugin.identity}: expected {view.n} p-values from 0 to 1")

    def explained(row: int) -> Evidence:
        try:
            with running(plugin):
                evidence = explain(row)
                return Evidence(str(evidence.detail)[:2000], evidence.facts)
        except PluginError as error:  # what it measured stands
            return Evidence(f"{plugin.identity} cannot say why ({error.kind})")

    return Signal(scores, explained, own)
