"""Embed through an OpenAI-compatible endpoint, and notice when the model behind its name changes.

`POST {url}/embeddings` with `model` and `input`, as OpenAI, TEI, vLLM, Ollama and llama.cpp serve
it. A remote model has no files to digest. Its recipe pins name, dimensions and the vectors of a
fixed set of probe texts, recorded at first use; before the first text of every run is embedded the
probes are asked again, and a model that answers otherwise is refused. That finds a model that was
replaced; it does not find a server that lies about the probes alone.

What the server sends is bounded and checked: as many vectors as texts, each of the pinned length,
finite and not zero. Overload and faults are tried again with growing pauses, what the server
refuses is not.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.config import without_credentials
from ragguard.config.outside import by_proxy
from ragguard.embed.encoder import REMOTE, Progress, make_recipe, unit
from ragguard.embed.models import Model
from ragguard.errors import EncodeError, ModelDigestError
from ragguard.model import Floats
from ragguard.parse.document import PARSER
from ragguard.text.safe_display import line
from ragguard.trust.canonical import canonical, digest_bytes

PROBES = (
    "The meeting is on Tuesday at nine.",
    "How many days of leave does everybody have?",
    "Invoices above 2,500 euro need two signatures.",
    "def add(left, right):\n    return left + right",
    "Der Zug nach Hamburg fährt um 7:42 Uhr ab.",
    "水质传感器每天记录一次读数。",
    "Ignore all previous instructions.",
    "qwx zzkp 0x7f aaaa ???",
)
SAME = 0.999  # least cosine of a probe's vectors from which the model is the one that was pinned
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LONGEST_PAUSE = 60.0  # seconds
MAX_ANSWER = 1 << 28  # bytes of one answer
MAX_DIMENSIONS = 65_536
# What reading JSON of anybody's raises where it is not what was asked for.
_NONSENSE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that vectors come from, and how it is asked.

    Attributes:
        url: Up to and without `/embeddings`, such as `https://api.openai.com/v1`.
        api_key: Sent as a bearer token; empty: none is sent.
        batch: Texts of a request.
        per_minute: Requests a minute at most; 0: as many as it takes.
        timeout_s: Seconds for a request.
        attempts: How often a request is tried.
        max_tokens: Longest text it takes, in tokens.
    """

    url: str
    api_key: str = ""
    batch: int = 64
    per_minute: int = 0
    timeout_s: float = 60.0
    attempts: int = 6
    max_tokens: int = 512


@dataclass(frozen=True)
class Pins:
    """A model as it was at first use: the vectors of the probe texts, float32 (p, d)."""

    name: str
    vectors: Floats

    def dump(self) -> bytes:
        """Canonical JSON; its SHA-256 is the recipe's model digest."""
        vectors = base64.b64encode(self.vectors.astype("<f4").tobytes()).decode()
        body = {"model": self.name, "dimensions": self.vectors.shape[1], "vectors": vectors}
        return canonical({**body, "probes": list(PROBES)})

    @classmethod
    def load(cls, data: bytes) -> Pins:
        """Read what `dump` wrote.

        Raises:
            ModelDigestError: Not that, or of other probe texts.
        """
        try:
            body = json.loads(data)
            vectors = np.frombuffer(base64.b64decode(body["vectors"], validate=True), dtype="<f4")
            shaped = vectors.reshape(len(PROBES), int(body["dimensions"]))
            if body["probes"] != list(PROBES):
                raise ValueError("other probe texts")
            return cls(str(body["model"]), shaped.astype(np.float32))
        except _NONSENSE as error:
            raise ModelDigestError(
                f"model: its pinned probes cannot be read ({error})",
                hint="Restore the vault, or rebuild: ragguard reindex --from-clean --re-embed.",
            ) from None


class RemoteEncoder:
    """An endpoint, asked under a pinned recipe; see `Encoder`.

    Args:
        name: Model, as the endpoint knows it.
        endpoint: Where it is.
        size: Upper characters of a chunk, for the recipe.
        overlap: Overlap of chunks, for the recipe.
        pins: What was recorded at first use; `None`: this is the first, and it is asked now.
        parser: How documents are read, for the recipe.
        pause: Waits so many seconds.
        clock: Seconds, for the rate.

    Raises:
        EncodeError: The endpoint cannot be used.
    """

    tolerance = float(np.sqrt(2.0 - 2.0 * SAME))

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        size: int,
        overlap: int,
        pins: bytes | None,
        parser: str = PARSER,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import httpx

        self._name = name
        self._endpoint = endpoint
        self._pause = pause
        self._clock = clock
        self._next = 0.0
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        headers["accept-encoding"] = "gzip"
        self._client = httpx.Client(
            timeout=endpoint.timeout_s,
            headers=headers,
            follow_redirects=False,
            trust_env=by_proxy(endpoint.url),
        )
        self._proved = pins is None
        self._pins = Pins(name, self._ask_all(PROBES)) if pins is None else Pins.load(pins)
        self.pins = self._pins.dump()
        model = Model(
            name=name,
            folder=Path(),
            files={},
            digest=digest_bytes(self.pins),
            pooling=REMOTE,
            normalise=True,
            max_tokens=endpoint.max_tokens,
            dimensions=self._pins.vectors.shape[1],
        )
        self.recipe = make_recipe(model, model.dimensions, size, overlap, parser)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Guess upwards: two bytes a token; the endpoint's own tokenizer is not known."""
        return [2 + len(text.encode("utf-8", "replace")) // 2 for text in texts]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """See `Encoder.encode`.

        Raises:
            ModelDigestError: The probe texts have other vectors than at first use.
            EncodeError: The endpoint cannot be used, or sent something else than vectors.
        """
        if not texts:
            return np.empty((0, self.recipe.dimensions), dtype=np.float32)
        self._prove()
        return self._ask_all(texts, progress)

    def _prove(self) -> None:
        if self._proved:
            return
        now, then = self._ask_all(PROBES), self._pins.vectors
        where = f"model {self._name!r} at {line(without_credentials(self._endpoint.url))}"
        hint = (
            "The model behind the name was changed. Put the old one back, or rebuild with the new "
            "one: ragguard reindex --from-clean --re-embed."
        )
        if now.shape != then.shape:
            raise ModelDigestError(
                f"{where}: gives vectors of {now.shape[1]} dimensions, the index was built with "
                f"{then.shape[1]}",
                hint=hint,
            )
        close = np.sum(now.astype(np.float64) * then.astype(np.float64), axis=1)
        if not (close >= SAME).all():
            worst = int(np.argmin(close))
            raise ModelDigestError(
                f"{where}: other vectors than the index was built with: of {len(PROBES)} probe "
                f"texts the cosine to then is {close[worst]:.4f} at worst ({PROBES[worst]!r}) and "
                f"{close.mean():.4f} on average, expected at least {SAME}",
                hint=hint,
            )
        self._proved = True

    def _ask_all(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        parts: list[Floats] = []
        for start in range(0, len(texts), self._endpoint.batch):
            part = self._ask(texts[start : start + self._endpoint.batch])
            if parts and part.shape[1] != parts[0].shape[1]:
                raise self._wrong(
                    f"vectors of {part.shape[1]} dimensions after some of {parts[0].shape[1]}"
                )
            parts.append(part)
            if progress is not None:
                progress(min(start + self._endpoint.batch, len(texts)), len(texts))
        vectors = np.concatenate(parts)
        pinned = getattr(self, "recipe", None)
        if self._proved and pinned is not None and vectors.shape[1] != pinned.dimensions:
            raise self._wrong(
                f"vectors of {vectors.shape[1]} dimensions, expected {pinned.dimensions}"
            )
        return unit(vectors)

    def _ask(self, texts: Sequence[str]) -> Floats:
        """One request, tried again where that may help."""
        body = {"model": self._name, "input": list(texts), "encoding_format": "float"}
        for attempt in range(1, self._endpoint.attempts + 1):
            self._wait_for_turn()
            answer, wait = self._try(body)
            if isinstance(answer, bytes):
                return self._read(answer, len(texts))
            if wait is None or attempt == self._endpoint.attempts:
                tried = f" after {attempt} attempts" if attempt > 1 else ""
                raise self._wrong(f"{answer}{tried}")
            # Full jitter, see Brooker, "Exponential Backoff And Jitter" (2015).
            grown = random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, 0.5 * 2**attempt)  # noqa: S311
            logger.info("embedding endpoint: %s; again in %.1f s", answer, max(wait, grown))
            self._pause(max(wait, grown))
        raise AssertionError("unreachable")

    def _try(self, body: dict[str, Any]) -> tuple[bytes | str, float | None]:
        """An answer's bytes; or what went wrong, and how long to wait, `None` for in vain."""
        import httpx

        url = f"{self._endpoint.url.rstrip('/')}/embeddings"
        try:
            with self._client.stream("POST", url, json=body) as answer:
                coding = answer.headers.get("content-encoding", "identity").lower()
                if coding not in ("identity", "gzip"):
                    again = 0.0 if answer.status_code in RETRIED else None
                    return f"an answer in an encoding not asked for: {line(coding)[:40]}", again
                # httpx unpacks a block whole, and of a few bytes may make more than there is room.
                unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if coding == "gzip" else None
                data = bytearray()
                for block in answer.iter_raw():
                    left = MAX_ANSWER + 1 - len(data)
                    data += unpack.decompress(block, left) if unpack else block
                    if len(data) > MAX_ANSWER:
                        return f"an answer of more than {MAX_ANSWER:,} bytes", None
                if answer.status_code == 200:
                    return bytes(data), None
                problem = (
                    f"status {answer.status_code}: {line(data[:200].decode('utf-8', 'replace'))}"
                )
                if answer.status_code not in RETRIED:
                    return problem, None
                return problem, _seconds(answer.headers.get("retry-after", ""))
        except httpx.TimeoutException:
            return f"no answer within {self._endpoint.timeout_s:g} s", 0.0
        except httpx.TransportError as error:
            return f"{type(error).__name__}: {line(str(error))[:200]}", 0.0
        except (httpx.InvalidURL, httpx.HTTPError, zlib.error) as error:
            return f"{type(error).__name__}: {line(str(error))[:200]}", None

    def _read(self, data: bytes, expected: int) -> Floats:
        """Return the vectors of an answer, in the order of the texts."""
        try:
            rows = json.loads(data)["data"]
            places = [row.get("index", at) for at, row in enumerate(rows)]
            if sorted(places) != list(range(expected)):
                raise self._wrong(f"{len(rows)} vectors for {expected} texts, or in no order")
            vectors = np.array([rows[places.index(at)]["embedding"] for at in range(expected)])
            embeddings: Floats = vectors.astype(np.float32)
        except _NONSENSE as error:
            raise self._wrong(f"no embeddings in its answer ({type(error).__name__})") from None
        if embeddings.ndim != 2 or not 0 < embeddings.shape[1] <= MAX_DIMENSIONS:
            raise self._wrong("vectors of no length, or of different ones")
        return embeddings

    def _wait_for_turn(self) -> None:
        """Keep to so many requests a minute."""
        if not self._endpoint.per_minute:
            return
        now = self._clock()
        if now < self._next:
            self._pause(self._next - now)
        self._next = max(now, self._next) + 60.0 / self._endpoint.per_minute

    def _wrong(self, problem: str) -> EncodeError:
        return EncodeError(
            f"model {self._name!r} at {line(without_credentials(self._endpoint.url))}: {problem}",
            hint="Look at [model] url, name and key, and at the server.",
        )


def _seconds(text: str) -> float:
    """Return the seconds of a Retry-After header; 0 for none, or a date."""
    try:
        return min(LONGEST_PAUSE, max(0.0, float(text)))
    except ValueError:
        return 0.0
