"""Embed texts as unit vectors, under a recipe that names everything the vectors depend on.

Two runtimes give the same vectors (largest difference below 1e-6, tested): OpenVINO on a graph
built from the verified weights (`embed.bert`), which needs no torch and is 1.4 to 1.6 times as
fast on two cores (docs/benchmarks.md); and sentence-transformers, for every other architecture.
The runtime is not part of the recipe. An ONNX graph is run by FastEmbed (`embed.fastembed`). Or an
endpoint embeds (`embed.remote`).
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from ragguard.embed import models
from ragguard.errors import EncodeError
from ragguard.model import Floats, Recipe
from ragguard.parse.chunk import SPLITTER
from ragguard.parse.document import PARSER
from ragguard.trust.canonical import digest

if TYPE_CHECKING:
    from ragguard.embed.remote import Endpoint

Progress = Callable[[int, int], None]
Runtime = Literal["auto", "openvino", "torch", "fastembed"]
BATCH = 8
REMOTE = "remote"  # what a recipe has for pooling where an endpoint embeds
FASTEMBED = "fastembed "  # begins what it has where FastEmbed does
# Measured over 120 passages: the two runtimes differ by 1.0e-6 at most, one runtime in other
# batches by 8e-7; the rest is room for other processors. It moves no similarity by more.
TOLERANCE = 1e-4
LEAST_VERSION = (6, 2)  # of sentence-transformers


class Encoder(Protocol):
    """A loaded model.

    Attributes:
        recipe: What its vectors depend on, chunking included.
        tolerance: Length of the difference of two of its unit vectors of one text, at most.
        pins: What pins a model that has no files, see `remote.Pins`; empty for one that has.
    """

    recipe: Recipe
    tolerance: float
    pins: bytes

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special tokens included, not truncated."""

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Embed texts.

        Args:
            texts: Texts of at most `recipe.max_tokens` tokens.

        Returns:
            float32 (n, d), unit length.

        Raises:
            EncodeError: A vector came out not finite or zero.
        """


def make_recipe(
    model: models.Model, dimensions: int, size: int, overlap: int, parser: str = PARSER
) -> Recipe:
    """Name the recipe of a model, a chunking and a way to read."""
    recipe = Recipe(
        parser=parser,
        splitter=f"{SPLITTER} size={size} overlap={overlap}",
        model=model.name,
        model_digest=model.digest,
        pooling=model.pooling or "sentence-transformers",
        normalised=True,
        max_tokens=model.max_tokens,
        dimensions=dimensions,
    )
    body = asdict(recipe)
    del body["digest"]
    return replace(recipe, digest=digest(body))


def open_encoder(
    name: str,
    *,
    runtime: Runtime,
    size: int,
    overlap: int,
    offline: bool = True,
    endpoint: Endpoint | None = None,
    pins: bytes | None = None,
    parser: str = PARSER,
    pooling: str = "",
) -> Encoder:
    """Load a model, or reach one.

    Args:
        name: See `models.find`.
        runtime: `openvino`, `torch`, or `auto`: the first of them that can compute the model;
            `fastembed` for an ONNX graph.
        size: Upper characters of a chunk, for the recipe.
        overlap: Overlap of chunks, for the recipe.
        offline: See `models.find`.
        endpoint: Where the model of this name is served; `None`: it is on this machine.
        pins: See `remote.RemoteEncoder`.
        parser: How documents are read, for the recipe; see `parse.document.parser_of`.
        pooling: See `fastembed.read`; for that runtime only.

    Raises:
        EncodeError: Not found, not to be trusted, or the runtime cannot compute it.
        MissingExtraError: The runtime is not installed.
        ModelDigestError: Not the pinned files.
    """
    if endpoint is not None:
        from ragguard.embed.remote import RemoteEncoder

        return RemoteEncoder(name, endpoint, size, overlap, pins, parser)
    if runtime == "fastembed":
        from ragguard.embed import fastembed

        graph = fastembed.read(name, offline=offline, pooling=pooling)
        return fastembed.FastEmbedEncoder(graph, size, overlap, parser)
    model = models.load(name, offline=offline)
    config = json.loads(model.files.get("config.json", b"{}"))
    from ragguard.embed import bert

    direct = bool(model.pooling) and bert.supported(config) and "tokenizer.json" in model.files
    direct = direct and "model.safetensors" in model.files
    if runtime == "openvino" and not direct:
        raise EncodeError(
            f"model {name!r}: not an architecture the openvino runtime builds",
            hint='Set [model] runtime = "torch".',
        )
    if runtime != "torch" and direct:
        return DirectEncoder(model, config, size, overlap, parser)
    return TorchEncoder(model, size, overlap, parser)


def run_as(built: str, runtime: Runtime = "auto") -> tuple[Runtime, str]:
    """Tell how a model of a recipe is run: by which runtime, with which pooling of `open_encoder`.

    Args:
        built: The recipe's pooling.
        runtime: What runs a model that is no ONNX graph.
    """
    if built.startswith(FASTEMBED):
        return "fastembed", built.removeprefix(FASTEMBED)
    return "auto" if runtime == "fastembed" else runtime, ""


class DirectEncoder:
    """OpenVINO on the verified bytes.

    Args:
        model: Read model; its weights are let go once the graph is built.
        size: Chunk size, for the recipe.
        overlap: Chunk overlap, for the recipe.
        parser: How documents are read, for the recipe.
    """

    tolerance = TOLERANCE
    pins = b""

    def __init__(
        self,
        model: models.Model,
        config: dict[str, Any],
        size: int,
        overlap: int,
        parser: str = PARSER,
    ) -> None:
        from tokenizers import Tokenizer

        self.recipe = make_recipe(model, model.dimensions, size, overlap, parser)
        self._model: models.Model | None = model
        self._config = config
        self._queue: Any = None
        self._tokenizer = Tokenizer.from_str(model.files["tokenizer.json"].decode())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def _compile(self) -> Any:
        """Return the inference queue, made when the first text is embedded."""
        if self._model is not None:
            import openvino as ov
            from safetensors.numpy import load

            from ragguard.embed import bert

            weights = load(self._model.files["model.safetensors"])
            graph = bert.build(weights, self._config, self._model.pooling, normalise=True)
            settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
            compiled = ov.Core().compile_model(graph, "CPU", settings)
            self._queue = ov.AsyncInferQueue(compiled, 0)
            self._model = None
        return self._queue

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts))]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """See `Encoder.encode`."""
        n, limit = len(texts), self.recipe.max_tokens
        vectors = np.empty((n, self.recipe.dimensions), dtype=np.float32)
        # The last token of a truncated text is its closing special token, as the models do it.
        ids = [
            e.ids if len(e.ids) <= limit else [*e.ids[: limit - 1], e.ids[-1]]
            for e in self._tokenizer.encode_batch_fast(list(texts))
        ]
        order = sorted(range(n), key=lambda i: -len(ids[i]))
        done = 0

        def keep(request: Any, rows: list[int]) -> None:
            nonlocal done
            vectors[rows] = request.get_output_tensor(0).data
            done += len(rows)

        queue = self._compile()
        queue.set_callback(keep)
        told = 0
        try:
            for start in range(0, n, BATCH):
                rows = order[start : start + BATCH]
                length = len(ids[rows[0]])
                tokens = np.zeros((len(rows), length), dtype=np.int64)
                mask = np.zeros((len(rows), length), dtype=np.int64)
                for row, i in enumerate(rows):
                    tokens[row, : len(ids[i])] = ids[i]
                    mask[row, : len(ids[i])] = 1
                queue.start_async({0: tokens, 1: mask}, rows)
                # Told from this thread: it may raise, to stop a job, and what is raised in the
                # engine's own threads ends the process.
                if progress is not None and done > told:
                    told = done
                    progress(told, n)
        finally:
            queue.wait_all()
        if progress is not None and n > told:
            progress(n, n)
        return unit(vectors)


class TorchEncoder:
    """sentence-transformers, for any model it can load from safetensors.

    It is given a folder of its own with the digested bytes in it: what else lies beside the model
    is never seen, and what is changed after it was digested is not what is loaded.

    Args:
        size: Chunk size, for the recipe.
        overlap: Chunk overlap, for the recipe.
        parser: How documents are read, for the recipe.
    """

    tolerance = TOLERANCE
    pins = b""

    def __init__(self, model: models.Model, size: int, overlap: int, parser: str = PARSER) -> None:
        _check_version()
        import sentence_transformers

        try:
            with tempfile.TemporaryDirectory(prefix="ragguard-model-") as folder:
                for name, data in model.files.items():
                    path = Path(folder) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                self._model = sentence_transformers.SentenceTransformer(
                    folder,
                    device="cpu",
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs={"use_safetensors": True},
                )
        except (OSError, ValueError, KeyError) as error:
            raise EncodeError(f"model {model.name!r}: {str(error)[:300]}") from error
        longest = self._model.max_seq_length
        if longest:
            model = replace(model, max_tokens=int(longest))
        dimensions = int(self._model.encode(["x"]).shape[1])
        self.recipe = make_recipe(model, dimensions, size, overlap, parser)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        tokenizer = self._model.tokenizer
        return [len(tokenizer(t, truncation=False, verbose=False)["input_ids"]) for t in texts]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """See `Encoder.encode`."""
        parts: list[Floats] = []
        block = 256
        for start in range(0, len(texts), block):
            part = self._model.encode(
                list(texts[start : start + block]),
                batch_size=32,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            parts.append(np.asarray(part, dtype=np.float32))
            if progress is not None:
                progress(min(start + block, len(texts)), len(texts))
        if not parts:
            return np.empty((0, self.recipe.dimensions), dtype=np.float32)
        return unit(np.concatenate(parts))


def _check_version() -> None:
    """Refuse a sentence-transformers that runs code lying in a model's folder.

    Raises:
        EncodeError: It is older than `LEAST_VERSION`, before it is imported; or not installed.
    """
    try:
        version = importlib.metadata.version("sentence-transformers")
    except importlib.metadata.PackageNotFoundError as error:
        raise EncodeError(
            "model: sentence-transformers, which runs other models than the default one, is not "
            "installed",
            hint="use the default model (no [model] name), or pip install sentence-transformers",
        ) from error
    parts = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)*(?:\.post\d+)?(?:\+[\w.]+)?", version)
    if parts is None or (int(parts[1]), int(parts[2])) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise EncodeError(
            f"model: sentence-transformers {version[:40]} is installed, older ones run Python that "
            "lies in a model's folder",
            hint=f"pip install 'sentence-transformers>={least}'",
        )


def unit(vectors: Floats) -> Floats:
    """Scale rows to unit length, computed in double precision.

    Args:
        vectors: float32 (n, d).

    Raises:
        EncodeError: A row is not finite or is zero.
    """
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < 1e-12).any():
        raise EncodeError("model: gave a vector that is not finite or is zero")
    scaled: Floats = (exact / norms).astype(np.float32)
    return scaled
