"""ONNX graphs by FastEmbed: the same vectors, offline, and nothing undigested decides one."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragguard import doctor as doctors
from ragguard.audit.reembedding import check_reembedding
from ragguard.config import Settings
from ragguard.corpus.generations import encoder_of
from ragguard.embed import encoder as encoders
from ragguard.embed import fastembed, models, vocabulary
from ragguard.embed.encoder import Encoder, open_encoder
from ragguard.errors import (
    EncodeError,
    MissingExtraError,
    ModelDigestError,
    RagguardError,
    RecipeMismatchError,
)
from ragguard.rebuild.reindex import reindex
from ragguard.serving.publish import publish
from ragguard.serving.reader import open_reader
from ragguard.serving.search import search
from tests.embed.test_encoder import TEXTS
from tests.support import onnx_models
from tests.support.simulator import HONEST, Gate


def opened(folder: Path, pooling: str = "") -> Encoder:
    options: Any = {"runtime": "fastembed", "size": 1000, "overlap": 100, "pooling": pooling}
    plain: Any = getattr(encoders.open_encoder, "__wrapped__", encoders.open_encoder)
    made: Encoder = plain(str(folder), **options)
    return made


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_models.export(tmp_path_factory.mktemp("onnx") / "model")


@pytest.fixture(scope="module")
def plain() -> Encoder:
    return open_encoder(models.DEFAULT_MODEL, runtime="auto", size=1000, overlap=100)


@pytest.fixture(scope="module")
def encoder(graph: Path) -> Encoder:
    return opened(graph)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_models.small(tmp_path_factory.mktemp("onnx") / "small")


@pytest.fixture(scope="module")
def spread(small: Path) -> Path:
    """The same with its tensors in a file beside the graph."""
    return onnx_models.spread(small, small.with_name("spread"))


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "copy"))


def test_its_vectors_are_those_of_the_default_encoder(encoder: Encoder, plain: Encoder) -> None:
    found, expected = encoder.encode(TEXTS), plain.encode(TEXTS)
    assert found.shape == expected.shape == (len(TEXTS), 384)
    assert np.sum(found.astype(np.float64) * expected, axis=1).min() > 0.999999
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_it_counts_and_cuts_as_the_default_encoder(encoder: Encoder, plain: Encoder) -> None:
    assert encoder.count_tokens(TEXTS) == plain.count_tokens(TEXTS)
    assert max(encoder.count_tokens(TEXTS)) > encoder.recipe.max_tokens == 256
    long = ["word " * 254, "word " * 255, "word " * 254 + "other words"]
    vectors = encoder.encode(long)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6, rtol=0)
    assert np.abs(vectors[0] - encoder.encode(["word " * 200])[0]).max() > 1e-5
    np.testing.assert_allclose(vectors, plain.encode(long), atol=1e-5, rtol=0)


def test_order_and_progress_are_those_of_the_texts(encoder: Encoder) -> None:
    done: list[tuple[int, int]] = []
    together = encoder.encode(TEXTS, lambda n, of: done.append((n, of)))
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=encoder.tolerance / 10, rtol=0)
    assert done[-1] == (len(TEXTS), len(TEXTS))
    assert encoder.encode([]).shape == (0, 384)


def test_the_recipe_says_how_it_was_run(encoder: Encoder, plain: Encoder) -> None:
    recipe = encoder.recipe
    assert (recipe.pooling, recipe.dimensions) == ("fastembed mean", 384)
    assert recipe.model_digest != plain.recipe.model_digest
    assert encoders.run_as(recipe.pooling, "torch") == ("fastembed", "mean")
    assert encoders.run_as("mean", "fastembed") == ("auto", "")
    assert encoders.run_as("mean", "torch") == ("torch", "")


def test_tensors_beside_the_graph_are_read_and_digested(
    small: Path, spread: Path, tmp_path: Path
) -> None:
    assert (spread / "model.onnx.data").stat().st_size > 3_000_000
    texts = ["Close the drain valve.", "word " * 300]
    np.testing.assert_array_equal(opened(spread).encode(texts), opened(small).encode(texts))
    there = Path(shutil.copytree(spread, tmp_path / "there"))
    data = bytearray((there / "model.onnx.data").read_bytes())
    data[1000] ^= 1
    (there / "model.onnx.data").write_bytes(data)
    assert fastembed.read(str(there)).digest != fastembed.read(str(spread)).digest


@pytest.mark.parametrize("name", ["model.onnx", *onnx_models.BESIDE])
def test_every_file_that_decides_a_vector_is_in_the_digest(
    small: Path, copy: Path, name: str
) -> None:
    (copy / name).write_bytes((copy / name).read_bytes() + b"\n")
    assert fastembed.read(str(copy)).digest != fastembed.read(str(small)).digest


def test_a_file_that_comes_or_goes_changes_the_digest(small: Path, copy: Path) -> None:
    (copy / "special_tokens_map.json").unlink()
    gone = fastembed.read(str(copy)).digest
    (copy / "model.onnx_data").write_bytes(b"more")
    assert len({fastembed.read(str(small)).digest, gone, fastembed.read(str(copy)).digest}) == 3


def test_what_else_lies_there_decides_nothing_and_is_not_run(
    small: Path, copy: Path, tmp_path: Path
) -> None:
    """Python of a model's own, and descriptions that ask for it, are neither read nor imported."""
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\n"
    for name in ("modeling_own.py", "sitecustomize.py", "fastembed.py", "__init__.py"):
        (copy / name).write_text(code)
    (copy / "preprocessor_config.json").write_text('{"auto_map": {"AutoProcessor": "own.P"}}')
    (copy / "libcustom_op.so").write_bytes(b"\x7fELF")
    assert fastembed.read(str(copy)).digest == fastembed.read(str(small)).digest
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_own.Own"}
    (copy / "config.json").write_text(json.dumps(config))
    assert opened(copy).encode(["a valve"]).shape == (1, onnx_models.SMALL)
    assert not ran.exists()


@pytest.mark.parametrize("where", ["../outside.data", "other.data", "{}/outside.data"])
def test_tensors_elsewhere_are_not_read(spread: Path, tmp_path: Path, where: str) -> None:
    """A graph may name any file for its tensors; only those in the digest are there."""
    there = Path(shutil.copytree(spread, tmp_path / "there"))
    for outside in (tmp_path / "outside.data", there / "other.data"):
        shutil.copy(spread / "model.onnx.data", outside)
    onnx_models.edit(there, onnx_models.located(where.format(tmp_path)))
    with pytest.raises(EncodeError, match="cannot run it") as caught:
        opened(there)
    assert "begin with its name" in caught.value.hint


def test_an_operator_that_onnxruntime_does_not_have_is_refused(copy: Path) -> None:
    def foreign(model: Any) -> None:
        model.graph.node[-1].domain = "com.example.custom"

    with pytest.raises(EncodeError, match="cannot run it"):
        opened(onnx_models.edit(copy, foreign))


def test_a_graph_that_pools_is_taken_at_its_word(copy: Path) -> None:
    tokens = (copy / "model.onnx").read_bytes()
    found = opened(onnx_models.edit(copy, onnx_models.first_token), "none")
    assert found.recipe.pooling == "fastembed none"
    pooled = (copy / "model.onnx").read_bytes()
    (copy / "modules.json").unlink()
    (copy / "model.onnx").write_bytes(tokens)
    first = opened(copy, "cls")
    assert first.recipe.digest != found.recipe.digest
    texts = ["Close the drain valve.", "Über 12 °C"]
    np.testing.assert_array_equal(found.encode(texts), first.encode(texts))
    with pytest.raises(EncodeError, match="cannot run it"):
        opened(copy, "none")  # the graph gives a vector a token
    (copy / "model.onnx").write_bytes(pooled)
    with pytest.raises(EncodeError, match=r"gave \(1,\) for 1 texts"):
        opened(copy, "cls")  # and here one a text


def test_a_quantised_graph_gives_a_text_one_vector_in_any_company(
    small: Path, tmp_path: Path
) -> None:
    made = opened(onnx_models.quantise(small, tmp_path / "q"))
    together = made.encode(TEXTS)
    assert (together == np.concatenate([made.encode([t]) for t in TEXTS])).all()
    assert not (together == opened(small).encode(TEXTS)).all(axis=1).any()  # another model


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def described(name: str, **changed: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        body = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**body, **changed}))

    return change


def several(folder: Path) -> None:
    (folder / "onnx").mkdir()
    shutil.copy(folder / "model.onnx", folder / "onnx/model_O4.onnx")


def garbage(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"PK\x03\x04 nothing of the kind\x1b[2J")


def endless(folder: Path) -> None:
    described("tokenizer_config.json", model_max_length=int(1e30))(folder)
    (folder / "sentence_bert_config.json").unlink()


def deep(folder: Path) -> None:
    (folder / "modules.json").write_text("[" * 100_000)


def dense(folder: Path) -> None:
    rows = json.loads((folder / "modules.json").read_text())
    rows.insert(2, {"type": "sentence_transformers.models.Dense", "path": "2_Dense"})
    (folder / "modules.json").write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("change", "pooling", "told"),
    [
        (without("model.onnx"), "", r"0 \.onnx files .* expected one"),
        (several, "", r"2 \.onnx files .*model\.onnx, onnx/model_O4\.onnx.* expected one"),
        (garbage, "", "cannot run it"),
        (without("tokenizer.json"), "", r"no tokenizer\.json"),
        (without("tokenizer_config.json"), "", r"no tokenizer_config\.json"),
        (described("tokenizer.json", model={}), "", "cannot run it"),
        (endless, "", "how long a text it takes"),
        (without("modules.json"), "", "what makes one vector of its tokens"),
        (without("1_Pooling/config.json"), "", "asks for more than tokens and pooling"),
        (dense, "", "asks for more than tokens and pooling"),
        (dense, "mean", r"asks for more .*, \[model\] pooling for mean"),
        (deep, "", "asks for more|not JSON"),
        (lambda folder: None, "cls", r"asks for mean, \[model\] pooling for cls"),
    ],
)
def test_a_folder_that_is_no_such_model_is_refused_and_says_why(
    copy: Path, change: Callable[[Path], None], pooling: str, told: str
) -> None:
    change(copy)
    with pytest.raises(EncodeError, match=told) as caught:
        opened(copy, pooling)
    assert caught.value.hint
    assert "\x1b" not in caught.value.message


def test_the_strictest_length_holds(copy: Path) -> None:
    assert fastembed.read(str(copy)).max_tokens == 256
    described("tokenizer_config.json", model_max_length=100)(copy)
    assert fastembed.read(str(copy)).max_tokens == 100
    described("config.json", max_position_embeddings=64)(copy)
    model = fastembed.read(str(copy))
    assert model.max_tokens == 64
    long = opened(copy).encode(["word " * 62, "word " * 63])
    assert (long[0] == long[1]).all()


def test_a_model_too_large_to_be_read_is_refused_unread(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(EncodeError, match="expected at most 1,000,000"):
        fastembed.read(str(small))


def test_without_the_extra_it_says_what_to_install(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.version

    def gone(name: str) -> str:
        if name == "fastembed":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", gone)
    with pytest.raises(MissingExtraError) as caught:
        opened(small)
    assert "ragguard[fastembed]" in caught.value.hint


@pytest.mark.parametrize("version", ["1.23.2", "1.24.1", "0.9", "next"])
def test_a_runtime_that_reads_tensors_from_anywhere_is_refused(
    small: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    real = importlib.metadata.version
    told = {"onnxruntime": version}
    monkeypatch.setattr(importlib.metadata, "version", lambda n: told.get(n) or real(n))
    with pytest.raises(EncodeError, match=f"onnxruntime {version} is installed") as caught:
        opened(small)
    assert "1.24.2" in caught.value.hint


PROBE = """
import socket, sys
asked = []
def refuse(*args, **rest):
    asked.append(args[0])
    raise OSError("no network here")
socket.getaddrinfo = refuse
socket.socket.connect = lambda self, address: refuse(address)
from ragguard.embed.encoder import open_encoder
from ragguard.errors import EncodeError
try:
    open_encoder(sys.argv[1], runtime="fastembed", size=1000, overlap=150).encode(["a valve"])
    print("loaded", asked, "torch" in sys.modules)
except EncodeError as error:
    print("refused", asked, error.hint)
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "loaded [] False"),
        ("Qdrant/bge-small-en-v1.5-onnx-Q", "refused []"),
        ("BAAI/bge-small-en-v1.5", "refused []"),
    ],
)
def test_the_network_is_not_asked_and_torch_not_loaded(
    small: Path, name: str, says: str, tmp_path: Path
) -> None:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, name or str(small)],
        capture_output=True,
        text=True,
        env={**variables, "HF_HOME": str(tmp_path / "hf")},
        check=False,
    )
    assert done.stdout.startswith(says), (done.stdout, done.stderr[-2000:])
    if says.startswith("refused"):
        assert "offline" in done.stdout


def test_a_hub_name_is_taken_from_the_cache_of_this_machine(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hub's client lays it out: a snapshot of links into a store of blobs."""
    import huggingface_hub.constants

    there = tmp_path / "models--somebody--graph"
    revision = "a" * 40
    (there / "refs").mkdir(parents=True)
    (there / "refs/main").write_text(revision)
    for number, name in enumerate(("model.onnx", *onnx_models.BESIDE)):
        blob, link = there / f"blobs/{number}", there / f"snapshots/{revision}/{name}"
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(small / name, blob)
        link.symlink_to(blob)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    found = opened(Path("somebody/graph"))
    there_too = opened(small)
    assert found.recipe.model_digest == there_too.recipe.model_digest
    assert (found.encode(["a valve"]) == there_too.encode(["a valve"])).all()


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    return {"name": str(folder), "runtime": "fastembed", **more}


def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load a model at every opening; the tests share encoders else."""
    opening: Any = encoders.open_encoder
    monkeypatch.setattr(encoders, "open_encoder", opening.__wrapped__)


def test_the_whole_way_and_a_file_that_is_swapped(
    graph: Path, new_gate: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unshared(monkeypatch)
    copy = Path(shutil.copytree(graph, tmp_path / "copy"))
    gate = new_gate(model=settings(copy), reindex={"probe": False})
    report = gate.publish(HONEST)
    assert report.counts["admitted"] == len(HONEST)
    gate.reopen(hours=1)
    assert search(gate.workspace, "days of leave", 1)[0].document == "wiki/leave.md"
    assert check_reembedding(gate.workspace, 1.0) == ([], len(gate.points()))
    found = {f.name: f for f in doctors.examine(gate.workspace)}
    assert found["model"].state == "ok", found["model"]
    assert "fastembed mean, 384 dimensions, the one the index was built with" in (
        found["model"].detail
    )
    assert found["model origin"].state == "note"

    publish(gate.workspace, tmp_path / "out")
    with open_reader(tmp_path / "out", gate.workspace.log_key, clock=lambda: gate.now) as reader:
        hits = reader.retrieve("days of leave", 1).hits
    assert [hit.document for hit in hits] == ["wiki/leave.md"]

    whole = (copy / "special_tokens_map.json").read_bytes()
    (copy / "special_tokens_map.json").write_bytes(whole + b" ")
    gate.reopen(hours=1)
    for ask in (
        lambda: search(gate.workspace, "days of leave", 1),
        lambda: check_reembedding(gate.workspace, 1.0),
    ):
        with pytest.raises(ModelDigestError, match="its files are not those"):
            ask()
    (refused,) = gate.publish({"new.md": "# New\n\nA new page about the canteen."}).manifests
    assert refused.exit_code == 3
    assert "its files are not those" in str(refused.error)
    wrong = {f.name: f for f in doctors.examine(gate.workspace)}["model"]
    assert (wrong.state, wrong.exit_code) == ("wrong", 3)
    with pytest.raises(ModelDigestError, match="files are not those"):
        open_reader(tmp_path / "out", gate.workspace.log_key, clock=lambda: gate.now)
    (copy / "special_tokens_map.json").write_bytes(whole)
    gate.reopen(hours=1)
    assert search(gate.workspace, "days of leave", 1)[0].document == "wiki/leave.md"
    assert reindex(gate.workspace, re_embed=True).kept == len(gate.documents())


def test_a_corpus_moves_to_it_and_back(
    graph: Path, new_gate: Callable[..., Gate], plain: Encoder
) -> None:
    """What stands is asked by the encoder that made it, whatever the settings say by now."""
    gate = new_gate(reindex={"probe": False})
    gate.publish(HONEST)
    for model, pooling in ((settings(graph), "fastembed mean"), ({}, "mean")):
        before = gate.workspace.generation()
        assert before is not None
        gate.settings = Settings.model_validate({"model": model, "reindex": {"probe": False}})
        gate.reopen(hours=1)
        with pytest.raises((RecipeMismatchError, ModelDigestError)):
            search(gate.workspace, "days of leave", 1)
        gate.reopen(hours=1)
        old = encoder_of(gate.workspace, before)
        assert old.recipe.pooling != gate.workspace.encoder.recipe.pooling == pooling
        made = reindex(gate.workspace)
        assert (made.recipe_changed, made.kept) == (True, len(HONEST))
        gate.reopen(hours=1)
        assert search(gate.workspace, "days of leave", 1)[0].document == "wiki/leave.md"


def test_its_words_are_known_to_the_probe_for_triggers(small: Path) -> None:
    found = vocabulary.read(str(small), "fastembed mean")
    expected = vocabulary.read(models.DEFAULT_MODEL)
    assert (found.words, found.size) == (expected.words, expected.size)
    assert found.lengths is None
    with pytest.raises(EncodeError, match="safetensors") as caught:
        vocabulary.read(str(small), "mean")
    assert 'runtime = "fastembed"' in caught.value.hint


def test_reading_is_refused_with_an_error_of_ours(tmp_path: Path) -> None:
    for name in (models.DEFAULT_MODEL, str(tmp_path)):
        with pytest.raises(RagguardError, match=r"0 \.onnx files"):
            fastembed.read(name)
