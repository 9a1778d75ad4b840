"""Send spans and metrics to an OpenTelemetry collector, by OTLP over HTTP.

On where the standard variables name an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`, or that of one
signal); OpenTelemetry reads the rest of them itself. Spans are those of `corpus.spans` and of no
other library: providers are not OpenTelemetry's global ones. Metrics are counted as Prometheus has
them and sent under the same names, so that they are defined once.

A collector that does not answer is told once. It stops nothing, and keeps a command that is done
waiting for `LAST_SECONDS` at most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family

from ragguard import __version__
from ragguard.config import Settings
from ragguard.config.outside import by_proxy, is_near
from ragguard.corpus import spans
from ragguard.errors import ConfigError, RagguardError
from ragguard.integrations import missing
from ragguard.integrations.ledger_metrics import LedgerMetrics
from ragguard.ledger import log
from ragguard.ledger.tables import Ledger
from ragguard.workspace.create import ledger_url

try:
    import requests
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Gauge,
        Metric,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
        Sum,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError as error:
    raise missing("otel", error) from error

NAME = "ragguard"  # of the service, and of the instrumentation
LAST_SECONDS = 3.0  # that a command waits for what is still to be sent
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_NOBODY = logging.NullHandler()
GOOD = (0, 1)  # exit codes of a command that did what it was asked


@dataclass(frozen=True)
class Signals:
    """What is sent.

    Attributes:
        spans: Whether spans are.
        metrics: Whether metrics are.
        interval: Seconds between two sendings of metrics by what goes on serving.
    """

    spans: bool
    metrics: bool
    interval: float = 60.0


def asked(environment: Mapping[str, str]) -> Signals:
    """Read from the standard variables what is to be sent.

    Raises:
        ConfigError: A variable asks for what there is not, or would send a secret in the clear.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Signals(False, False)
    given = environment.get(INTERVAL, "").strip() or "60000"
    if not given.isascii() or not given.isdigit() or not int(given[:12]):
        raise ConfigError(f"{INTERVAL}: expected milliseconds such as 60000")
    spans, metrics = _wanted(environment, "TRACES"), _wanted(environment, "METRICS")
    return Signals(spans, metrics, int(given[:12]) / 1000)


def _wanted(environment: Mapping[str, str], signal: str) -> bool:
    """Tell whether a signal is to be sent."""

    def value(name: str) -> tuple[str, str]:
        """Tell what a variable of the signal says, else the one of all signals; and its name."""
        names = (f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}")
        return next(((n, environment[n]) for n in names if environment.get(n)), (names[1], ""))

    exporter = environment.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() or "otlp"
    variable, endpoint = value("ENDPOINT")
    if exporter == "none" or not endpoint:
        return False
    if exporter != "otlp":
        raise ConfigError(f"OTEL_{signal}_EXPORTER: expected otlp or none")
    named, protocol = value("PROTOCOL")
    if protocol.strip().lower() not in ("", "http/protobuf"):
        raise ConfigError(
            f"{named}: expected http/protobuf", hint="Collectors take it on port 4318."
        )
    with suppress(ValueError):  # of an address or a port that is none
        parts = urlsplit(endpoint)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            secret = value("HEADERS")[1] or "@" in parts.netloc
            if secret and parts.scheme == "http" and not is_near(parts.hostname):
                raise ConfigError(
                    f"{variable}: headers or a password would go over http in the clear",
                    hint="Use an https endpoint. Over http they are sent to this machine only.",
                )
            return True
    raise ConfigError(f"{variable}: expected http://HOST:4318 or https://HOST")


class Telemetry:
    """What a command sends of itself, from when it begins until it is done.

    Args:
        tell: Told in a sentence, once, that nothing reaches the collector.

    Raises:
        ConfigError: See `asked`.
    """

    def __init__(self, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._asked = asked(environment)
        self._tell = tell
        self._told = False
        self._command = ExitStack()
        self._registries: list[CollectorRegistry] = []
        self._ledger: _LedgerReader | None = None
        self._over = Event()
        self._log = _Log(self._say)
        try:
            self._open()
        except ValueError as error:
            self._log.remove()
            raise ConfigError(f"a variable of OpenTelemetry: {error}") from None

    def _open(self) -> None:
        known = dict(Resource.create().attributes)
        # One of its own for each command would make each command's metrics new time series.
        known.pop("service.instance.id", None)
        known |= {"service.name": NAME, "service.version": __version__}
        self._resource = Resource(known).merge(OTELResourceDetector().detect())
        self._spans: OTLPSpanExporter | None = None
        self._metrics: OTLPMetricExporter | None = None
        self._provider: TracerProvider | None = None
        if self._asked.metrics:
            self._metrics = OTLPMetricExporter(session=_Session(self._over))
        if self._asked.spans:
            self._spans = OTLPSpanExporter(session=_Session(self._over))
            self._provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(self._spans))
            spans.trace_with(self._provider.get_tracer(NAME, __version__))

    def begin(self, command: str) -> None:
        """Record the command as the span that all others of it are in.

        Args:
            command: Its name, of our own words.
        """
        self._command.enter_context(spans.span(command))

    def watch(self, folder: Path, settings: Settings) -> None:
        """Send what a workspace's ledger counts, if the command makes its log grow."""
        if self._metrics is not None and self._ledger is None:
            with suppress(RagguardError):  # which the command itself will say
                self._ledger = _LedgerReader(ledger_url(folder, settings.ledger.url))

    def add(self, registry: CollectorRegistry) -> None:
        """Send what a registry has: when the command is done, and while it serves."""
        self._registries.append(registry)

    def serve(self) -> None:
        """Go on for long: the command's span ends here, and metrics are sent again and again."""
        self._command.close()
        if self._ledger is not None:
            self._ledger.always = True
        if self._metrics is not None:
            Thread(target=self._again, name="ragguard-metrics", daemon=True).start()

    def finish(self, exit_code: int) -> None:
        """Send what is left."""
        spans.tell({"ragguard.exit_code": exit_code})
        if exit_code not in GOOD:
            spans.failed()
        self._command.close()
        spans.trace_with(None)
        self._over.set()
        with suppress(KeyboardInterrupt):
            counted = self._count()
            last = Thread(target=self._send_last, args=(counted,), daemon=True)
            last.start()
            last.join(LAST_SECONDS)
            if last.is_alive():
                self._say(f"the collector did not answer within {LAST_SECONDS:g} s")
        for exporter in (self._spans, self._metrics):
            if exporter is not None:
                exporter.shutdown()
        self._log.remove()

    def _again(self) -> None:
        while not self._over.wait(self._asked.interval):
            self._send(self._count())

    def _count(self) -> list[Metric]:
        """List all metrics, as they are now."""
        registries = list(self._registries)
        if self._ledger is not None and (own_registry := self._ledger.read(self._say)) is not None:
            registries.append(own_registry)
        now = time_ns()
        return [m for registry in registries for m in translated(registry.collect(), now)]

    def _send(self, counted: list[Metric]) -> None:
        if self._metrics is None or not counted:
            return
        scope = ScopeMetrics(InstrumentationScope(NAME, __version__), counted, "")
        self._metrics.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))

    def _send_last(self, counted: list[Metric]) -> None:
        self._send(counted)
        if self._provider is not None:
            self._provider.shutdown()

    def _say(self, sentence: str) -> None:
        if not self._told:
            self._told = True
            self._tell(sentence)


def translated(families: Iterable[Family], now: int) -> list[Metric]:
    """Prometheus metrics as OpenTelemetry has them: gauges, and sums that only grow.

    Args:
        families: With their samples.
        now: Nanoseconds since 1970.
    """
    metrics: list[Metric] = []
    for family in families:
        begun = {
            _key(sample.labels): int(sample.value * 1e9)
            for sample in family.samples
            if sample.name == f"{family.name}_created"
        }
        points = [
            NumberDataPoint(dict(s.labels), begun.get(_key(s.labels), 0), now, s.value)
            for s in family.samples
            if s.name in (family.name, f"{family.name}_total")
        ]
        if not points:
            continue
        data: Gauge | Sum = Gauge(points)
        if family.type == "counter":
            data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        metrics.append(Metric(family.name, family.documentation, "", data))
    return metrics


def _key(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


class _LedgerReader:
    """What a ledger counts, if it has grown since this was made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._metrics = LedgerMetrics()
        self.always = False
        self._begun = -1
        self.read(lambda _: None)

    def read(self, say: Callable[[str], None]) -> CollectorRegistry | None:
        """Count; `None` where there is nothing new or it cannot be read, which is said."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            ledger = Ledger(self._url)
            try:
                with ledger.reading() as conn:
                    size = log.size(conn)
                    if self._begun < 0:
                        self._begun = size
                    return self._metrics(conn) if self.always or size > self._begun else None
            finally:
                ledger.close()
        except (RagguardError, OSError, SQLAlchemyError) as error:
            # Metrics keep no command from its exit code: that they are missing is said.
            say(f"the ledger cannot be counted: {type(error).__name__}")
            return None


class _Unreached(Exception):
    """Says that nothing more is tried: the command is done."""


class _Session(requests.Session):
    """Connections of an exporter to the collector; once the command is over none is tried twice."""

    def __init__(self, over: Event) -> None:
        super().__init__()
        self._over = over

    def request(self, method: Any, url: Any, *args: Any, **named: Any) -> requests.Response:
        """Send a request; of what the collector answers the status alone is read.

        Raises:
            TooManyRedirects: The collector is elsewhere, and what was sent is lost.
            _Unreached: The command is over, and no answer came; it names the kind of failure alone,
                as an exception of a connection quotes its address.
        """
        self.trust_env = by_proxy(url)
        try:
            answer = super().request(method, url, *args, **{**named, "stream": True})
            answer.close()
            if 300 <= answer.status_code < 400:
                raise requests.TooManyRedirects(f"redirected, status {answer.status_code}")
            return answer
        except requests.RequestException as error:
            if self._over.is_set():
                raise _Unreached(type(error).__name__) from None
            raise


class _Log(logging.Handler):
    """Takes what OpenTelemetry logs, in place of the terminal: warnings may quote headers."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._say = say
        self._logger = logging.getLogger("opentelemetry")
        self._logger.propagate = False
        self._logger.addHandler(self)

    def remove(self) -> None:
        """Take no more; what comes late, from a thread that still waits, is for nobody."""
        self._logger.addHandler(_NOBODY)
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Say what failed."""
        self._say(record.getMessage())
