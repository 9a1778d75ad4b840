"""Build a BERT sentence encoder as an OpenVINO graph, straight from verified weights.

The graph is the architecture of Devlin et al., "BERT" (NAACL 2019), with mean or first-token
pooling and unit length at the end: what sentence-transformers computes for such a model, without
importing torch. Weights are taken from the very bytes whose digest was checked. Compared with
sentence-transformers in `tests/embed/test_encoder.py`: largest difference below 1e-6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from ragguard.errors import EncodeError

Weights = Mapping[str, NDArray[Any]]


def supported(config: Mapping[str, Any]) -> bool:
    """Tell whether a model's config.json describes the architecture built here."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
    )


class _Builder:
    """Nodes of one encoder."""

    def __init__(self, weights: Weights, config: Mapping[str, Any]) -> None:
        prefix = "bert." if any(name.startswith("bert.") for name in weights) else ""
        self.weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        self.heads = int(config["num_attention_heads"])
        self.width = int(config["hidden_size"])
        self.layers = int(config["num_hidden_layers"])
        self.epsilon = float(config["layer_norm_eps"])

    def constant(self, name: str) -> Any:
        try:
            return op.constant(np.ascontiguousarray(self.weights[name], dtype=np.float32))
        except KeyError:
            raise EncodeError(f"model: weights lack {name!r}") from None

    def linear(self, x: Any, name: str) -> Any:
        product = op.matmul(x, self.constant(f"{name}.weight"), False, True)
        return op.add(product, self.constant(f"{name}.bias"))

    def norm(self, x: Any, name: str) -> Any:
        scaled = op.mvn(x, op.constant([-1], dtype=np.int64), True, self.epsilon, "inside_sqrt")
        weighted = op.multiply(scaled, self.constant(f"{name}.weight"))
        return op.add(weighted, self.constant(f"{name}.bias"))

    def embed(self, ids: Any) -> Any:
        axis = op.constant(0, dtype=np.int64)
        words = op.gather(self.constant("embeddings.word_embeddings.weight"), ids, axis)
        length = op.gather(op.shape_of(ids), op.constant([1], dtype=np.int64), axis)
        positions = op.slice(
            self.constant("embeddings.position_embeddings.weight"),
            op.constant([0], dtype=np.int64),
            length,
            op.constant([1], dtype=np.int64),
            op.constant([0], dtype=np.int64),
        )
        kinds = self.weights["embeddings.token_type_embeddings.weight"][0].astype(np.float32)
        summed = op.add(op.add(words, positions), op.constant(kinds))
        return self.norm(summed, "embeddings.LayerNorm")

    def attend(self, x: Any, bias: Any, name: str) -> Any:
        split = op.constant([0, 0, self.heads, self.width // self.heads], dtype=np.int64)
        order = op.constant([0, 2, 1, 3], dtype=np.int64)
        query, key, value = (
            op.transpose(op.reshape(self.linear(x, f"{name}.self.{part}"), split, True), order)
            for part in ("query", "key", "value")
        )
        mixed = op.scaled_dot_product_attention(query, key, value, bias)
        joined = op.reshape(
            op.transpose(mixed, order), op.constant([0, 0, self.width], dtype=np.int64), True
        )
        projected = self.linear(joined, f"{name}.output.dense")
        return self.norm(op.add(projected, x), f"{name}.output.LayerNorm")

    def layer(self, x: Any, bias: Any, number: int) -> Any:
        name = f"encoder.layer.{number}"
        attended = self.attend(x, bias, f"{name}.attention")
        inner = op.gelu(self.linear(attended, f"{name}.intermediate.dense"), "erf")
        outer = self.linear(inner, f"{name}.output.dense")
        return self.norm(op.add(outer, attended), f"{name}.output.LayerNorm")


def build(weights: Weights, config: Mapping[str, Any], pooling: str, normalise: bool) -> ov.Model:
    """Build the graph.

    Args:
        weights: Tensors by name, as in a Hugging Face BERT checkpoint.
        config: Its config.json; `supported(config)` must hold.
        pooling: `mean` over the tokens, or `cls` for the first token.
        normalise: Whether vectors end at unit length.

    Returns:
        A model with inputs `input_ids` and `attention_mask`, int64 (b, l), and one output,
        float32 (b, d).

    Raises:
        EncodeError: A tensor is missing.
    """
    builder = _Builder(weights, config)
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    mask = op.parameter([-1, -1], np.int64, name="attention_mask")
    kept = op.convert(mask, "f32")
    # 0 where attended, a large negative number where padded: (b, 1, 1, l)
    absent = op.subtract(op.constant(np.float32(1)), kept)
    spread = op.unsqueeze(absent, op.constant([1, 2], dtype=np.int64))
    bias = op.multiply(spread, op.constant(np.float32(np.finfo(np.float32).min)))
    x = builder.embed(ids)
    for number in range(builder.layers):
        x = builder.layer(x, bias, number)
    if pooling == "cls":
        first = op.constant(0, dtype=np.int64)
        pooled = op.gather(x, first, op.constant(1, dtype=np.int64))
    else:
        weight = op.unsqueeze(kept, op.constant([2], dtype=np.int64))
        axis = op.constant([1], dtype=np.int64)
        summed = op.reduce_sum(op.multiply(x, weight), axis, False)
        pooled = op.divide(summed, op.reduce_sum(weight, axis, False))
    if normalise:
        last = op.constant([1], dtype=np.int64)
        pooled = op.normalize_l2(pooled, last, 1e-24, "max")
    return ov.Model([pooled], [ids, mask], "encoder")
