"""Compute which tokens would bring a text nearer to a vector, by the encoder's gradients.

The weights are those `embed.models` has verified against the recipe; torch is imported when a
`Surface` is opened, not before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ragguard.embed import models
from ragguard.embed.encoder import Encoder
from ragguard.errors import EncodeError
from ragguard.model import Floats, Ints


class Surface:
    """An encoder's inside.

    Attributes:
        plain: Ids of tokens that are written in plain letters and survive decoding, int64 (v,).
    """

    def __init__(self, model: models.Model) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import torch
        from tokenizers import Tokenizer
        from transformers import AutoModel
        from transformers.utils import logging

        voice: Any = logging

        self._torch = torch
        self._tokenizer = Tokenizer.from_str(model.files["tokenizer.json"].decode())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        loud = voice.is_progress_bar_enabled()
        voice.disable_progress_bar()
        loaded: Any = AutoModel.from_pretrained(
            str(model.folder), local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
        if loud:
            voice.enable_progress_bar()
        self._model: Any = loaded.eval().requires_grad_(False)
        self._mean = model.pooling == "mean"
        self._embeddings: Any = self._model.get_input_embeddings().weight
        self._limit = model.max_tokens
        vocabulary = self._tokenizer.get_vocab()
        self._edges = (int(vocabulary["[CLS]"]), int(vocabulary["[SEP]"]))
        words = [i for w, i in vocabulary.items() if w.isascii() and w.isalpha() and len(w) > 2]
        self.plain: Ints = np.asarray(sorted(words), dtype=np.int64)

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, special tokens left out, at most what the model reads."""
        token_ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return token_ids[: self._limit - 2]

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return str(self._tokenizer.decode(list(ids)))

    def similarities(self, rows: Sequence[Sequence[int]], goal: Floats) -> Floats:
        """Cosine of each row of ids with a vector, float32 (b,)."""
        tokens, mask = self._batch(rows)
        with self._torch.no_grad():
            hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
            cosines: Floats = self._cosine(hidden, mask, goal).numpy()
        return cosines

    def promise(self, rows: Sequence[Sequence[int]], goal: Floats, positions: int) -> Floats:
        """Tell how much each plain token would gain at each of the first positions, to first order.

        Args:
            goal: The vector to come near, float32 (d,).
            positions: Tokens at the front that may change.

        Returns:
            float32 (b, positions, v), higher is nearer; the gain over the present token.
        """
        torch = self._torch
        tokens, mask = self._batch(rows)
        inputs = self._embeddings[tokens].clone().requires_grad_(True)
        hidden = self._model(inputs_embeds=inputs, attention_mask=mask).last_hidden_state
        self._cosine(hidden, mask, goal).sum().backward()
        gradient = inputs.grad[:, 1 : positions + 1]
        offered = gradient @ self._embeddings[torch.from_numpy(self.plain)].T
        present = (gradient * inputs.detach()[:, 1 : positions + 1]).sum(-1, keepdim=True)
        gains: Floats = (offered - present).numpy()
        return gains

    def _batch(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        begin, end = self._edges
        longest = max(map(len, rows)) + 2
        tokens = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for i, row in enumerate(rows):
            tokens[i, : len(row) + 2] = [begin, *row, end]
            mask[i, : len(row) + 2] = 1
        return self._torch.from_numpy(tokens), self._torch.from_numpy(mask)

    def _cosine(self, hidden: Any, mask: Any, goal: Floats) -> Any:
        if self._mean:
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
        else:
            pooled = hidden[:, 0]
        wanted = self._torch.from_numpy(np.ascontiguousarray(goal))
        return self._torch.nn.functional.normalize(pooled, dim=-1) @ wanted


@lru_cache(maxsize=1)
def _open(name: str, digest: str) -> Surface | None:
    model = models.load(name)
    if model.digest != digest or not model.pooling or "tokenizer.json" not in model.files:
        return None
    if b"[CLS]" not in model.files["tokenizer.json"]:
        return None
    return Surface(model)


def surface(encoder: Encoder) -> Surface | None:
    """The inside of an encoder; `None` when it cannot be had (no torch, another architecture)."""
    try:
        return _open(encoder.recipe.model, encoder.recipe.model_digest)
    except (ImportError, OSError, ValueError, EncodeError):
        return None
