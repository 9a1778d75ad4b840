"""Embed through FastEmbed: an ONNX graph in a folder of this machine, run by onnxruntime.

FastEmbed is given a folder of its own with the digested bytes in it and no others: the graph, the
files beside it that begin with its name (its tensors), the tokenizer and what describes it. An
ONNX file is a graph of operators that onnxruntime has; nothing of a model's own is executed, and
onnxruntime refuses a graph whose tensors lie outside of its folder (older ones, which do not, are
refused here). Runs without torch. Needs the extra `fastembed`.

A graph whose activations are quantised as they come gives a text another vector in other company,
so its texts are embedded one by one.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragguard.embed import models
from ragguard.embed.encoder import FASTEMBED, TOLERANCE, Progress, make_recipe, unit
from ragguard.errors import EncodeError, MissingExtraError
from ragguard.model import Floats
from ragguard.parse.document import PARSER
from ragguard.text.safe_display import line
from ragguard.trust.canonical import digest, digest_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

POOLINGS = ("mean", "cls", "none")
BATCH = 8
LEAST_RUNTIME = (1, 24, 2)  # of onnxruntime: reads no tensors outside of a graph's folder
MAX_TOKENS = 1_000_000
# What FastEmbed reads beside the graph, and what says how tokens become one vector.
_DESCRIPTIONS = (
    *("config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"),
)
_WANTED = ("*.onnx*", "*.json")
_BY_COMPANY = b"DynamicQuantize"  # in the names of the operators that quantise activations


def read(name: str, *, offline: bool = True, pooling: str = "") -> models.Model:
    """Read and digest a model's files.

    Args:
        name: Folder, or a hub name; see `models.find`.
        offline: See `models.find`.
        pooling: What makes one vector of a text's tokens, of `POOLINGS`; empty: as the folder's
            modules.json says. `none`: the graph does.

    Returns:
        The model; its `pooling` begins with `FASTEMBED`.

    Raises:
        EncodeError: Not found, no graph or several, no tokenizer, no length, or another pooling
            than the folder describes.
    """
    folder = models.find(name, offline=offline, patterns=_WANTED)
    graphs = sorted(p for p in folder.rglob("*.onnx") if p.is_file())
    if len(graphs) != 1:
        listed = ", ".join(p.relative_to(folder).as_posix() for p in graphs[:5])
        raise EncodeError(
            f"model {name!r}: {len(graphs)} .onnx files in {folder}"
            f"{f' ({listed})' if listed else ''}, expected one",
            hint="Give the one that is meant a folder of its own, with its tokenizer.",
        )
    graph = graphs[0]
    beside = [p for p in graph.parent.iterdir() if p.name.startswith(graph.name) and p.is_file()]
    described = [folder / n for n in _DESCRIPTIONS if (folder / n).is_file()]
    paths = {p.relative_to(folder).as_posix(): p for p in (*beside, *described)}
    size = sum(p.stat().st_size for p in paths.values())
    if size > models.MAX_BYTES:
        raise EncodeError(
            f"model {name!r}: its files are {size:,} bytes, expected at most {models.MAX_BYTES:,}",
            hint="Choose a smaller model in [model] name.",
        )
    files = {n: paths[n].read_bytes() for n in sorted(paths)}
    for needed in ("tokenizer.json", "tokenizer_config.json"):
        if needed not in files:
            raise EncodeError(
                f"model {name!r}: no {needed} in {folder}",
                hint="Put the tokenizer's files beside the graph, as FastEmbed wants them.",
            )
    return models.Model(
        name=name,
        folder=folder,
        files=files,
        digest=digest({n: digest_bytes(b) for n, b in files.items()}),
        pooling=f"{FASTEMBED}{_pooling(name, files, pooling)}",
        normalise=True,
        max_tokens=_longest(name, files),
        dimensions=0,
    )


def _pooling(name: str, files: Mapping[str, bytes], asked: str) -> str:
    """Return the pooling that was asked for, if the folder's description agrees; else that one."""
    if asked == "none" or (asked and "modules.json" not in files):
        return asked
    if "modules.json" not in files:
        raise EncodeError(
            f"model {name!r}: nothing says what makes one vector of its tokens",
            hint='Set [model] pooling to "mean" or "cls", as its maker says, or to "none" for a '
            "graph that gives one vector a text.",
        )
    try:
        described, _ = models.pooling_of(files)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError):
        described = ""
    if described not in POOLINGS or asked not in ("", described):
        raise EncodeError(
            f"model {name!r}: modules.json asks for {described or 'more than tokens and pooling'}"
            f"{f', [model] pooling for {asked}' if asked else ''}",
            hint='Take [model] pooling out; or set it to "none" where the graph does all of it.',
        )
    return described


def _longest(name: str, files: Mapping[str, bytes]) -> int:
    """Return the longest text in tokens, by the strictest of the descriptions."""
    tokenizer = models.json_of(files, "tokenizer_config.json")
    limits = [
        tokenizer.get("model_max_length"),
        tokenizer.get("max_length"),
        models.json_of(files, "sentence_bert_config.json").get("max_seq_length"),
    ]
    lengths = [n for n in limits if type(n) is int and 16 <= n <= MAX_TOKENS]
    if not lengths:
        raise EncodeError(
            f"model {name!r}: nothing says how long a text it takes",
            hint="Set model_max_length in its tokenizer_config.json, to 16 tokens or more.",
        )
    positions = models.json_of(files, "config.json").get("max_position_embeddings")
    return min(*lengths, positions) if type(positions) is int and positions > 15 else min(lengths)


class FastEmbedEncoder:
    """FastEmbed on the digested bytes; see `Encoder`.

    Args:
        model: What `read` gave.
        size: Upper characters of a chunk, for the recipe.
        overlap: Overlap of chunks, for the recipe.
        parser: How documents are read, for the recipe.

    Raises:
        MissingExtraError: FastEmbed is not installed.
        EncodeError: It cannot run the graph, or onnxruntime is too old.
    """

    tolerance = TOLERANCE
    pins = b""

    def __init__(self, model: models.Model, size: int, overlap: int, parser: str = PARSER) -> None:
        self._name = model.name
        graph = next(n for n in model.files if n.endswith(".onnx"))
        self._batch = 1 if _BY_COMPANY in model.files[graph] else BATCH
        with tempfile.TemporaryDirectory(prefix="ragguard-model-") as folder:
            for name, data in model.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            # FastEmbed cuts texts where this file says, and not at what the others say.
            cut = models.json_of(model.files, "tokenizer_config.json")
            cut["model_max_length"] = model.max_tokens
            Path(folder, "tokenizer_config.json").write_text(json.dumps(cut), "utf-8")
            self._model = _opened(model, graph, folder)
        with _running(self._name):
            self._tokenizer: Tokenizer = type(self._model.model.tokenizer).from_str(
                self._model.model.tokenizer.to_str()
            )
            self._tokenizer.no_padding()
            self._tokenizer.no_truncation()
        dimensions = self._ask(["x"]).shape[1]
        self.recipe = make_recipe(model, dimensions, size, overlap, parser)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts))]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """See `Encoder.encode`."""
        n = len(texts)
        vectors = np.empty((n, self.recipe.dimensions), dtype=np.float32)
        order = sorted(range(n), key=lambda i: -len(texts[i]))
        for start in range(0, n, self._batch):
            rows = order[start : start + self._batch]
            vectors[rows] = self._ask([texts[i] for i in rows])
            if progress is not None:
                progress(start + len(rows), n)
        return unit(vectors)

    def _ask(self, texts: Sequence[str]) -> Floats:
        with _running(self._name):
            rows = list(self._model.embed(list(texts), batch_size=len(texts)))
            vectors = np.array(rows, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise EncodeError(
                f"model {self._name!r}: gave {vectors.shape} for {len(texts)} texts, expected one "
                "vector each",
                hint='Its first output is pooled already: set [model] pooling = "none".',
            )
        return vectors


@contextmanager
def _running(name: str) -> Iterator[None]:
    """Run what FastEmbed, tokenizers and onnxruntime do with a model's files.

    Raises:
        EncodeError: They cannot.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        # tokenizers raises `Exception` itself, onnxruntime classes of its own that have no base but
        # it, and a damaged file makes FastEmbed trip over anything. Nothing is embedded then: the
        # command ends, and says what was raised.
        reason = f"{type(error).__name__}: {line(str(error))[:300]}"
        raise EncodeError(
            f"model {name!r}: FastEmbed cannot run it ({reason})",
            hint="Its tensors have to lie beside the graph in files that begin with its name, and "
            '[model] pooling has to fit its first output ("none": one vector a text).',
        ) from error


def _opened(model: models.Model, graph: str, folder: str) -> Any:
    """Return a FastEmbed model over a folder."""
    _check_version()
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    kinds = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "none": PoolingType.DISABLED}
    pooling = model.pooling.removeprefix(FASTEMBED)
    name = f"ragguard/{model.digest}-{pooling}"
    with _running(model.name):
        if all(known["model"] != name for known in TextEmbedding.list_supported_models()):
            TextEmbedding.add_custom_model(
                model=name,
                pooling=kinds[pooling],
                normalization=False,  # `unit` does, in double precision
                sources=ModelSource(hf=name),  # never asked: the folder is given
                dim=model.dimensions,
                model_file=graph,
            )
        return TextEmbedding(
            name,
            cache_dir=folder,
            providers=["CPUExecutionProvider"],
            specific_model_path=folder,
            local_files_only=True,
        )


def _check_version() -> None:
    """Refuse to run without FastEmbed, or with an onnxruntime that reads any file of the machine.

    Raises:
        MissingExtraError: One of them is not installed.
        EncodeError: onnxruntime is older than `LEAST_RUNTIME`.
    """
    least = ".".join(map(str, LEAST_RUNTIME))
    try:
        importlib.metadata.version("fastembed")
        actual = importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(
            f'model: [model] runtime = "fastembed" needs what is not installed: {error}',
            hint="pip install 'ragguard[fastembed]'",
        ) from error
    parts = re.match(r"(\d+)\.(\d+)\.(\d+)", actual)
    if parts is None or tuple(map(int, parts.groups())) < LEAST_RUNTIME:
        raise EncodeError(
            f"model: onnxruntime {actual[:40]} is installed, older ones read tensors from any file",
            hint=f"pip install 'onnxruntime>={least}'",
        )
