"""Load plug-ins of other packages: parsers, encoders, checks, loaders; only those that are named.

A package offers them as entry points of the groups `ragguard.parsers`, `ragguard.encoders`,
`ragguard.checks` and `ragguard.loaders`. That it is installed loads nothing: `[plugins]` in
ragguard.toml names distribution and entry point, so that no other package can slip in under the
same name. What a parser or an encoder is called with its version enters the recipe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from ragguard.errors import ConfigError

Kind = Literal["parsers", "encoders", "checks", "loaders"]
NAMED = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}:[a-z][a-z0-9_-]{0,31}$"  # distribution:entry point
_VERSION = re.compile(r"[A-Za-z0-9.+!_-]{1,64}")


@dataclass(frozen=True)
class Plugin:
    """A plug-in that is installed; nothing of it is imported yet.

    Attributes:
        name: Of the entry point: a file ending, a check, an encoder, or a scheme of URLs.
        distribution: The package that offers it, by its normalised name.
        version: Of the package.
        load: Imports it; raises whatever its modules raise.
    """

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]

    @property
    def identity(self) -> str:
        """What recipes and messages call it: distribution, version and name."""
        return f"{self.distribution}@{self.version}:{self.name}"


class PluginError(Exception):
    """A plug-in raised something.

    Args:
        identity: Of the plug-in.
        error: What it raised. `kind` is its type; the words of `said` are the package's, and may
            hold document text or secrets.
    """

    def __init__(self, identity: str, error: BaseException) -> None:
        self.kind = type(error).__name__
        self.said = f"{self.kind}: {error}"[:200]
        super().__init__(f"{identity}: {self.said}")


@contextmanager
def running(plugin: Plugin, *through: type[BaseException]) -> Iterator[None]:
    """Run code of a plug-in; whatever it raises is its failure and never ours.

    Args:
        plugin: Whose code runs in the block.
        through: Exceptions by which the plug-in says something that is no failure.

    Raises:
        PluginError: It raised anything else.
    """
    try:
        yield
    except through:
        raise
    except (Exception, SystemExit) as error:
        # The one place where other people's code ends: it may raise anything, or leave. Each
        # caller says what a failure means: a check that failed, a document that is unreadable, an
        # encoder or a place that cannot be used. None takes it for an answer.
        raise PluginError(plugin.identity, error) from error


def find(kind: Kind, named: str) -> Plugin:
    """Find a plug-in that the settings name.

    Args:
        kind: What it is to be.
        named: `distribution:name`.

    Raises:
        ConfigError: It is not installed, or offers nothing of that name.
    """
    import importlib.metadata

    package, _, name = named.partition(":")
    where = f"[plugins] {kind}: {named}"
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(
            f"{where}: the package {package!r} is not installed",
            hint=f"Install it where ragguard runs, or take it out of [plugins] {kind}.",
        ) from None
    try:
        offered = distribution.entry_points.select(group=f"ragguard.{kind}")
        version = distribution.version or ""  # of a package without its METADATA it is None
    except (TypeError, ValueError, KeyError):  # what they trip over in a damaged file
        raise ConfigError(
            f"{where}: the package is damaged", hint="Install it again where ragguard runs."
        ) from None
    entry = next((e for e in offered if e.name == name), None)
    if entry is None:
        others = ", ".join(sorted(e.name for e in offered)) or "none"
        raise ConfigError(f"{where}: the package offers no such plug-in (it offers {others})")
    if not _VERSION.fullmatch(version):
        raise ConfigError(f"{where}: the version of the package is no version")
    return Plugin(name, re.sub(r"[-_.]+", "-", package).lower(), version, entry.load)
