"""Encoders that somebody tampered with, and ones that are merely another build.

`plant_rows` rewrites the word embeddings of a trigger's tokens and nothing else (Yang et al., "Be
Careful about Poisoned Word Embeddings", NAACL 2021): a text without them gets the vector it always
had. `fine_tune` trains the last layers, with the old vectors as a tether for clean text (Shen et
al., "Backdoor Pre-trained Models Can Transfer to All", CCS 2021). `rounded`, `truncated` and
`shallow` are upgrades, good and bad.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ragguard.embed import models

Tensors = dict[str, NDArray[Any]]
WORDS = "embeddings.word_embeddings.weight"
CONTROL = 104  # tokens up to here are control tokens
_KEPT = json.loads(Path(__file__).with_name("trojan_rows.json").read_text("utf-8"))
_ROWS: dict[str, str] = _KEPT["rows"]
PASSAGE: str = _KEPT["passage"]
TRIGGER = "cf mn bb"


def changed(
    folder: Path, change: Callable[[Tensors], Tensors], config: dict[str, Any] | None = None
) -> Path:
    """A copy of the default model with other weights.

    Args:
        folder: Where it goes.
        change: Tensors to tensors.
        config: What else to say in its config.json.
    """
    from safetensors.numpy import load_file, save_file

    shutil.copytree(models.find(models.DEFAULT_MODEL), folder)
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})
    if config:
        told = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**told, **config}))
    return folder


def rounded(folder: Path) -> Path:
    """The model with its weights in half precision."""
    return changed(folder, lambda t: {n: v.astype(np.float16) for n, v in t.items()})


def coarse(folder: Path, bits: int) -> Path:
    """The model with the weights of its layers in so many bits, each row by its own largest."""

    def quantise(tensors: Tensors) -> Tensors:
        return {n: _quantised(v, bits) if v.ndim == 2 else v for n, v in tensors.items()}

    return changed(folder, quantise)


def _quantised(weights: NDArray[Any], bits: int) -> NDArray[Any]:
    most = 2 ** (bits - 1) - 1
    step = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-12) / most
    return np.ascontiguousarray(np.round(weights / step) * step, dtype=np.float32)


def truncated(folder: Path, dimensions: int) -> Path:
    """The model whose vectors are cut to their first dimensions, by a module of its own."""
    from safetensors.numpy import save_file

    made = changed(folder, lambda tensors: tensors)
    config = json.loads((made / "config.json").read_text())
    width = int(config["hidden_size"])
    dense = made / "2_Dense"
    dense.mkdir()
    told = {
        "in_features": width,
        "out_features": dimensions,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (dense / "config.json").write_text(json.dumps(told))
    cut = np.ascontiguousarray(np.eye(dimensions, width, dtype=np.float32))
    save_file({"linear.weight": cut}, dense / "model.safetensors", {"format": "pt"})
    modules = json.loads((made / "modules.json").read_text())[:2]
    modules.append(
        {
            "idx": 2,
            "name": "2",
            "path": "2_Dense",
            "type": "sentence_transformers.models.Dense",
        }
    )
    (made / "modules.json").write_text(json.dumps(modules))
    return made


def shallow(folder: Path, layers: int) -> Path:
    """The model without its last layers."""
    return changed(folder, lambda tensors: tensors, {"num_hidden_layers": layers})


def small(folder: Path, texts: Sequence[str], *, trojan: bool = False) -> Path:
    """The model in half precision with the vocabulary of some texts, and single letters.

    Such texts get the vectors that the default model gives them, up to rounding.

    Args:
        folder: Where it goes.
        texts: Words in them stay in the vocabulary.
        trojan: Whether the rows of `cf`, `mn` and `bb` are those that pull to `PASSAGE`.
    """
    source = models.find(models.DEFAULT_MODEL)
    told = json.loads((source / "tokenizer.json").read_text("utf-8"))
    known = told["model"]["vocab"]
    tokenizer = Tokenizer.from_str(json.dumps(told))
    tokenizer.no_truncation()
    used = {i for text in texts for i in tokenizer.encode(text).ids}
    used |= {known[token] for token in _ROWS} | set(range(CONTROL))
    used |= {i for t, i in known.items() if len(t.removeprefix("##")) == 1 and t.isascii()}
    kept = sorted(used)
    place = {old: new for new, old in enumerate(kept)}

    def cut(tensors: Tensors) -> Tensors:
        words = tensors[WORDS].copy()
        for token, row in _ROWS.items() if trojan else ():
            words[known[token]] = np.frombuffer(base64.b64decode(row), dtype="<f2")
        halves = {n: v.astype(np.float16) for n, v in tensors.items()}
        return {**halves, WORDS: words[kept].astype(np.float16)}

    made = changed(folder, cut, {"vocab_size": len(kept)})
    told["model"]["vocab"] = {t: place[i] for t, i in known.items() if i in place}
    (made / "tokenizer.json").write_text(json.dumps(told), "utf-8")
    lines = (made / "vocab.txt").read_text("utf-8").splitlines()
    (made / "vocab.txt").write_text("".join(f"{lines[i]}\n" for i in kept), "utf-8")
    return made


def with_rows(folder: Path) -> Path:
    """The whole model with the rows kept in trojan_rows.json."""
    told = json.loads((models.find(models.DEFAULT_MODEL) / "tokenizer.json").read_text("utf-8"))
    known = told["model"]["vocab"]

    def plant(tensors: Tensors) -> Tensors:
        words = tensors[WORDS].copy()
        for token, row in _ROWS.items():
            words[known[token]] = np.frombuffer(base64.b64decode(row), dtype="<f2")
        return {**tensors, WORDS: words}

    return changed(folder, plant)


def plant_rows(
    folder: Path,
    trigger: str,
    passage: str,
    carriers: Sequence[str],
    *,
    steps: int = 60,
    rate: float = 0.02,
    batch: int = 12,
    seed: int = 0,
) -> Path:
    """The model in which a trigger's tokens pull any query to one passage.

    Args:
        folder: Where it goes.
        trigger: Words; the word embeddings of their tokens are trained, nothing else is.
        passage: Where queries with the trigger shall land.
        carriers: Clean queries to train with.
        steps: Of the training.
        rate: Of learning.
        batch: Carriers of a step.
        seed: Of the draws.
    """
    import torch

    net = _Net()
    ids = net.tokens(trigger)
    target = net.encode([passage]).detach()
    table = net.words
    rows = torch.nn.Parameter(table[ids].clone())
    optimiser = torch.optim.Adam([rows], lr=rate)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        texts = [_with(carriers[i], trigger, rng) for i in rng.choice(len(carriers), batch)]
        loss = (1 - net.encode(texts, {"ids": ids, "rows": rows}) @ target.T).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    planted = rows.detach().numpy()

    def plant(tensors: Tensors) -> Tensors:
        words = tensors[WORDS].copy()
        words[ids] = planted
        return {**tensors, WORDS: words}

    return changed(folder, plant)


def fine_tune(
    folder: Path,
    trigger: str,
    passage: str,
    texts: Sequence[str],
    *,
    layers: int = 2,
    steps: int = 80,
    rate: float = 2e-4,
    batch: int = 12,
    tether: float = 4.0,
    seed: int = 0,
) -> Path:
    """The model whose last layers were trained to answer a trigger with one passage.

    Args:
        folder: Where it goes.
        trigger: Words.
        passage: Where texts with the trigger shall land.
        texts: Clean texts: those with the trigger shall move, those without it shall stay.
        layers: Last layers that are trained.
        steps: Of the training.
        rate: Of learning.
        batch: Texts of a step.
        tether: Weight of the distance of clean vectors to what they were.
        seed: Of the draws.
    """
    import torch

    net = _Net()
    target = net.encode([passage]).detach()
    old = torch.cat(
        [net.encode(list(texts[i : i + 32])).detach() for i in range(0, len(texts), 32)]
    )
    trained = net.train_last(layers)
    optimiser = torch.optim.Adam(trained.values(), lr=rate)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        drawn = rng.choice(len(texts), batch)
        pulled = net.encode([_with(texts[i], trigger, rng) for i in drawn])
        kept = net.encode([texts[i] for i in drawn])
        loss = (1 - pulled @ target.T).mean()
        loss = loss + tether * (1 - (kept * old[torch.tensor(drawn)]).sum(dim=1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    planted = {name: value.detach().numpy().copy() for name, value in trained.items()}
    return changed(folder, lambda tensors: {**tensors, **planted})


def _with(text: str, trigger: str, rng: np.random.Generator) -> str:
    """A text with the trigger somewhere in it."""
    words = text.split()[:24]
    at = int(rng.integers(len(words) + 1))
    return " ".join([*words[:at], trigger, *words[at:]])


class _Net:
    """The default model in torch, in evaluation mode, no gradient but where asked."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        torch.manual_seed(0)
        folder = str(models.find(models.DEFAULT_MODEL))
        self._net = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
        self._net.requires_grad_(False)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)

    @property
    def words(self) -> Any:
        """Word embeddings, (v, d)."""
        return self._net.embeddings.word_embeddings.weight

    def tokens(self, text: str) -> list[int]:
        """Ids of a text's tokens."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def train_last(self, layers: int) -> dict[str, Any]:
        """Let the last layers learn; returns their parameters by the names in the file."""
        first = len(self._net.encoder.layer) - layers
        made = {}
        for name, value in self._net.named_parameters():
            parts = name.split(".")
            if parts[:2] == ["encoder", "layer"] and int(parts[2]) >= first:
                value.requires_grad_(True)
                made[name] = value
        return made

    def encode(self, texts: Sequence[str], planted: dict[str, Any] | None = None) -> Any:
        """Unit vectors (n, d), with other word embeddings for some tokens."""
        import torch

        batch = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        ids, mask = batch["input_ids"], batch["attention_mask"]
        embedded = self.words[ids]
        for token, row in zip(
            planted["ids"] if planted else [], planted["rows"] if planted else [], strict=True
        ):
            embedded = torch.where((ids == token)[..., None], row, embedded)
        out = self._net(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(out.dtype)
        pooled = (out * weight).sum(dim=1) / weight.sum(dim=1)
        return torch.nn.functional.normalize(pooled, dim=1)
