"""An OpenTelemetry collector on loopback: takes OTLP over HTTP, and keeps what it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.servers.loopback import taking

FAILED = 2  # status code of a span, as the protocol has it


@dataclass
class Collector:
    """What arrived; `status` is what it answers."""

    port: int = 0
    status: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """What a command is told by."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Attributes of who sent, of each sending."""
        sent = [r for t in self.traces for r in t.resource_spans]
        return [
            plain(r.resource.attributes)
            for r in (*sent, *(r for m in self.metrics for r in m.resource_metrics))
        ]

    @property
    def spans(self) -> list[Any]:
        """All spans, in the order in which they began."""
        found = [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    @property
    def points(self) -> dict[tuple[str, ...], float]:
        """The last value of each metric, by its name and the values of its labels."""
        found: dict[tuple[str, ...], float] = {}
        for request in self.metrics:
            for resource in request.resource_metrics:
                for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        labels = sorted(plain(point.attributes).items())
                        found[(metric.name, *(v for _, v in labels))] = point.as_double
        return found

    @property
    def requests(self) -> set[str]:
        """Ids of the requests whose spans arrived."""
        return {plain(span.attributes).get("ragguard.request_id", "") for span in self.spans}

    def tree(self, name: str) -> list[tuple[int, str]]:
        """Names of a span and of those in it, each with its depth."""
        below: dict[bytes, list[Any]] = {}
        for span in self.spans:
            below.setdefault(span.parent_span_id, []).append(span)

        def walk(span: Any, depth: int) -> Iterator[tuple[int, str]]:
            yield depth, span.name
            for child in below.get(span.span_id, ()):
                yield from walk(child, depth + 1)

        (top,) = [span for span in self.spans if span.name == name]
        return list(walk(top, 0))

    def told(self, name: str) -> dict[str, Any]:
        """Attributes of the span of a name."""
        (found,) = [span for span in self.spans if span.name == name]
        return plain(found.attributes)


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs."""
    made = Collector()
    kinds: dict[str, tuple[Any, list[Any]]] = {
        "/v1/traces": (ExportTraceServiceRequest, made.traces),
        "/v1/metrics": (ExportMetricsServiceRequest, made.metrics),
    }

    def take(path: str, headers: dict[str, str], body: bytes) -> int:
        made.headers.append(headers)
        made.bodies.append(body)
        kind, kept = kinds[path]
        if made.status == 200:
            kept.append(kind.FromString(body))
        return made.status

    with taking(take) as made.port:
        yield made
