"""Run parsers of other packages, for file formats that ragguard does not read.

They run in the worker processes, under the same limits as ours: whatever one does, it costs the
document. What it returns is text, or a `ParsedDocument`; anything else, and every exception, makes
the document unreadable. None takes the place of a parser of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ragguard.errors import ConfigError, UnreadableError
from ragguard.model import Hidden
from ragguard.parse.document import MAX_TEXT, OTHER_ENDINGS, TEXT_FORMATS, ParsedDocument, has_words
from ragguard.parse.records import RECORD_FORMATS
from ragguard.trust.plugins import Plugin, PluginError, find, running

Parser = Callable[[bytes], ParsedDocument]
OURS = frozenset(TEXT_FORMATS | RECORD_FORMATS | OTHER_ENDINGS.keys())


def plugged_parsers(named: Sequence[str]) -> dict[str, Plugin]:
    """Parsers that `[plugins] parsers` names, by the file ending they are for.

    Raises:
        ConfigError: One is not installed, or its ending is taken.
    """
    plugins: dict[str, Plugin] = {}
    for plugin in (find("parsers", name) for name in named):
        if plugin.name in OURS or plugin.name in plugins:
            raise ConfigError(f"[plugins] parsers: .{plugin.name} files have a parser already")
        plugins[plugin.name] = plugin
    return plugins


def parsers_of(named: Sequence[str]) -> str:
    """Tell what a recipe adds to the name of the parser; empty where there are none."""
    parsers = sorted(plugged_parsers(named).items())
    return "".join(f" +{ending}={p.distribution}@{p.version}" for ending, p in parsers)


def load_parsers(named: Sequence[str]) -> dict[str, Parser]:
    """Import parsers, for a process that cannot do it later; one that fails says so when asked."""
    return {ending: _loaded(plugin) for ending, plugin in plugged_parsers(named).items()}


def _loaded(plugin: Plugin) -> Parser:
    try:
        with running(plugin):
            function = plugin.load()
    except PluginError as error:
        reason = f"the parser {plugin.identity} cannot be loaded ({error.kind})"

        def refuse(data: bytes) -> ParsedDocument:
            raise UnreadableError(reason)

        return refuse

    def read(data: bytes) -> ParsedDocument:
        try:
            with running(plugin, UnreadableError, MemoryError):
                return _checked(function(data), plugin)
        except PluginError as error:
            reason = f"the parser {plugin.identity} failed ({error.kind})"
            raise UnreadableError(reason) from error

    return read


def _checked(answer: object, plugin: Plugin) -> ParsedDocument:
    """Tell what a parser returned, as a document's text.

    Raises:
        UnreadableError: It is none, or is too long, or has no words.
    """
    parsed = ParsedDocument(answer) if isinstance(answer, str) else answer
    if not isinstance(parsed, ParsedDocument) or type(parsed.text) is not str:
        raise UnreadableError(
            f"the parser {plugin.identity} gave a {type(answer).__name__}, no text"
        )
    if len(parsed.text) > MAX_TEXT:
        raise UnreadableError(f"more than {MAX_TEXT} characters of text")
    if not has_words(parsed.text) or "\x00" in parsed.text:
        raise UnreadableError("no text could be extracted, or it holds NUL characters")
    text = parsed.text.replace("\r\n", "\n").replace("\r", "\n")
    return ParsedDocument(text, tuple(Hidden(str(h.kind), str(h.text)) for h in parsed.hidden))


def endings(named: Sequence[str]) -> frozenset[str]:
    """File endings that parsers of plug-ins read, without the dot."""
    return frozenset(plugged_parsers(named))
