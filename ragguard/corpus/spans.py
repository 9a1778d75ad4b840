"""Record what jobs do as OpenTelemetry spans, where somebody traces them.

Steps have the names that reports give them (`Job.timed`, the parts of an audit). A span tells
numbers, words of our own code, and names of sources that the trust root has: never texts, names or
metadata of documents, never a question, a path or what an exception says. docs/telemetry.md lists
all attributes. Where nobody traces, a span costs a look at a variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

P = ParamSpec("P")
R = TypeVar("R")
Attributes = Mapping[str, str | int]

_NOBODY = nullcontext()
_tracer: Tracer | None = None  # of the process, as OpenTelemetry's own providers are


def trace_with(tracer: Tracer | None) -> None:
    """Record spans with a tracer from now on, in the whole process; `None`: no more."""
    global _tracer
    _tracer = tracer


def span(name: str, *, server: bool = False) -> AbstractContextManager[None]:
    """Record a block as a span, within the one that runs.

    Args:
        name: One of few: never made of what somebody else wrote.
        server: It answers a request from elsewhere.
    """
    return _NOBODY if _tracer is None else _recorded(_tracer, name, server)


@contextmanager
def _recorded(tracer: Tracer, name: str, server: bool) -> Iterator[None]:
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if server else SpanKind.INTERNAL
    with tracer.start_as_current_span(
        name, kind=kind, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except BaseException as error:
            failed(type(error).__name__)
            raise


def tell(attributes: Attributes, name: str = "") -> None:
    """Add attributes to the span that runs, and give it a better name where one is known now."""
    if _tracer is None:
        return
    from opentelemetry.trace import get_current_span

    running = get_current_span()
    for key, value in attributes.items():
        running.set_attribute(key, value)
    if name:
        running.update_name(name)


def failed(kind: str = "") -> None:
    """Say that what the span that runs records has failed.

    Args:
        kind: Class of the exception; empty where there is none.
    """
    if _tracer is None:
        return
    from opentelemetry.trace import StatusCode, get_current_span

    running = get_current_span()
    running.set_status(StatusCode.ERROR)
    if kind:
        running.set_attribute("error.type", kind)


def traced(
    name: str, about: Callable[[Any], Attributes] = lambda result: {}
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record each call of a function as a span.

    Args:
        name: See `span`.
        about: What its result adds to the span.
    """

    def decorate(job: Callable[P, R]) -> Callable[P, R]:
        @wraps(job)
        def recorded(*args: P.args, **named: P.kwargs) -> R:
            if _tracer is None:
                return job(*args, **named)
            with span(name):
                result = job(*args, **named)
                tell(about(result))
                return result

        return recorded

    return decorate
