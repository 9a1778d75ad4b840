"""Open doors for others: Python (`face`), frameworks, models' clients, browsers, alarms.

Adapters of frameworks stand where documents go out and come in, one module for each; each needs its
framework, which is an extra of the same name: `langchain`, `llamaindex`, `haystack`, `mcp`. They
take what is open already: a `Retriever`, or a workspace. What they hand on for a prompt is the
passage and the document's own metadata, never ragguard's fields; proofs and refusals come by
`on_answer`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from ragguard.errors import MissingExtraError
from ragguard.serving.answer import Answer

OnAnswer = Callable[[Answer], None]

# Frameworks call from threads of their own; engine and encoder serve one caller at a time.
LOCK = RLock()


def missing(extra: str, error: ImportError) -> MissingExtraError:
    """Make the error that says which extra has to be installed.

    Args:
        extra: Of ragguard.
        error: What the import of the framework raised.
    """
    return MissingExtraError(
        f"the {extra} adapter needs what is not installed: {error}",
        hint=f"pip install 'ragguard[{extra}]'",
    )


def answered(answer: Answer, on_answer: OnAnswer | None) -> Answer:
    """Hand an answer to whoever wants proofs and refusals, and return it."""
    if on_answer is not None:
        on_answer(answer)
    return answer
