"""ONNX graphs: the default model as torch exports it, a small one, and both bent as tests want.

`python -m tests.support.onnx_models FOLDER` makes one to try by hand.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.embed import models

SMALL = 32  # dimensions of a small model
BESIDE = (
    *("config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"),
)


def export(folder: Path) -> Path:
    """Export the default model to a folder as FastEmbed wants it."""
    import torch
    from transformers import AutoModel

    source = models.find(models.DEFAULT_MODEL)
    model = AutoModel.from_pretrained(source, attn_implementation="eager").eval()

    class Tokens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            given = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return given.last_hidden_state

    for name in BESIDE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    ids = torch.ones(2, 7, dtype=torch.long)
    names = ["input_ids", "attention_mask", "last_hidden_state"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without further packages is the old one
        torch.onnx.export(
            Tokens(),
            (ids, torch.ones_like(ids)),
            folder / "model.onnx",
            dynamo=False,
            opset_version=17,
            input_names=names[:2],
            output_names=names[2:],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
        )
    return folder


def small(folder: Path) -> Path:
    """Make a model that loads at once: the default tokenizer, random words times a matrix.

    Its description is that of the default one, so mean pooling and 256 tokens.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    source = models.find(models.DEFAULT_MODEL)
    for name in BESIDE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    rng = np.random.default_rng(0)
    sizes = {"words": (30_522, SMALL), "matrix": (SMALL, SMALL)}
    tensors = [
        numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    asked = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    given = helper.make_tensor_value_info(
        "last_hidden_state", TensorProto.FLOAT, ["batch", "length", SMALL]
    )
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["last_hidden_state"]),
    ]
    graph = helper.make_graph(nodes, "small", asked, [given], tensors)
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")
    return folder


def spread(folder: Path, target: Path) -> Path:
    """Copy a folder, its graph's tensors moved to a file beside the graph."""
    import onnx

    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.onnx"))
    model = onnx.load(folder / "model.onnx")
    onnx.save_model(
        model, target / "model.onnx", save_as_external_data=True, location="model.onnx.data"
    )
    return target


def edit(folder: Path, change: Callable[[Any], None]) -> Path:
    """Change a folder's graph, an `onnx.ModelProto` without tensors of other files."""
    import onnx

    path = folder / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.unlink()  # it may be a link
    path.write_bytes(model.SerializeToString())
    return folder


def first_token(model: Any) -> None:
    """Make the first token's vector the first output of a small graph: one vector a text."""
    from onnx import TensorProto, helper

    model.graph.initializer.append(helper.make_tensor("first", TensorProto.INT64, [], [0]))
    model.graph.node.append(
        helper.make_node("Gather", ["last_hidden_state", "first"], ["sentence"], axis=1)
    )
    made = helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["batch", SMALL])
    model.graph.output.insert(0, made)


def located(where: str) -> Callable[[Any], None]:
    """Make tensors that lie in another file lie in this one."""

    def change(model: Any) -> None:
        moved = [
            entry
            for tensor in model.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        ]
        assert moved
        for entry in moved:
            entry.value = where

    return change


def quantise(folder: Path, target: Path) -> Path:
    """Quantise a graph as FastEmbed's own "-Q" models are: activations as they come."""
    from onnxruntime.quantization import quantize_dynamic

    shutil.copytree(folder, target)
    (target / "model.onnx").unlink()
    quantize_dynamic(folder / "model.onnx", target / "model.onnx")
    return target


if __name__ == "__main__":
    print(export(Path(sys.argv[1])))
