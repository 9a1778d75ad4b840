"""List the words that a model has a token of its own for, as a scan for triggers tries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragguard.embed import models
from ragguard.errors import EncodeError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LEADS = ("q", "x", "z", "1")  # put before a piece that stands only inside words
MARK = "##"  # before such a piece, in WordPiece


@dataclass(frozen=True)
class Vocabulary:
    """The part of a vocabulary that text can reach.

    Attributes:
        words: Texts that are one token each, or that end in the piece they stand for.
        size: Tokens there are.
        lengths: float64 (n,), length of the word embedding of each word's token; `None` where the
            weights do not say.
    """

    words: tuple[str, ...]
    size: int
    lengths: NDArray[np.float64] | None = None


def read(name: str, built: str = "") -> Vocabulary:
    """Read the vocabulary of a model.

    Tokens that no text by itself leads to (control tokens, reserved ones, pieces that only follow
    certain letters) are left out.

    Args:
        name: See `models.find`.
        built: Pooling of its recipe, which says whether it is an ONNX graph.

    Raises:
        EncodeError: Not found, or it has no tokenizer.json.
    """
    from tokenizers import Tokenizer

    from ragguard.embed import fastembed
    from ragguard.embed.encoder import FASTEMBED

    graph = built.startswith(FASTEMBED)
    model = fastembed.read(name, pooling="none") if graph else models.load(name)
    file = model.files.get("tokenizer.json")
    if file is None:
        raise EncodeError(f"model {name!r}: has no tokenizer.json, its words are not known")
    tokenizer = Tokenizer.from_str(file.decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    known = tokenizer.get_vocab()
    order = sorted(known, key=lambda token: (known[token], token))
    text_of: dict[str, str] = {}
    plain = [(t, _text(tokenizer, known[t])) for t in order if not t.startswith(MARK)]
    inside = [(t, t.removeprefix(MARK)) for t in order if t.startswith(MARK)]
    for lead in ("", *LEADS):
        tried = plain if not lead else [(t, lead + piece) for t, piece in inside]
        tried = [(token, text) for token, text in tried if text and token not in text_of]
        split = tokenizer.encode_batch([t for _, t in tried], add_special_tokens=False)
        for (token, text), encoding in zip(tried, split, strict=True):
            if encoding.ids[-1:] == [known[token]] and len(encoding.ids) == 1 + bool(lead):
                text_of[token] = text
    tokens = {text_of[t]: known[t] for t in reversed(order) if t in text_of}
    words = tuple(reversed(tokens))
    every = None if graph else _lengths(model)
    lengths = None
    if every is not None and max(tokens.values(), default=0) < len(every):
        lengths = every[[tokens[word] for word in words]]
    return Vocabulary(words, len(known), lengths)


def _lengths(model: models.Model) -> NDArray[np.float64] | None:
    """Length of each row of the word embeddings."""
    from safetensors import SafetensorError, safe_open

    path = model.folder / "model.safetensors"
    try:
        with safe_open(path, framework="np") as file:
            for name in sorted(file.keys()):
                if name.endswith("embeddings.word_embeddings.weight"):
                    rows = file.get_tensor(name).astype(np.float64)
                    return np.asarray(np.linalg.norm(rows, axis=1), dtype=np.float64)
    except (OSError, TypeError, SafetensorError):  # elsewhere, or of a type that numpy has not
        return None
    return None


def _text(tokenizer: Tokenizer, token: int) -> str:
    return str(tokenizer.decode([token], skip_special_tokens=True)).strip()
