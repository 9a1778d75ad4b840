from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ragguard.encode import models
from ragguard.encode.encoder import open_encoder
from ragguard.errors import EncodeError, ModelDigestError


def folder(tmp_path: Path) -> Path:
    """A copy of the default model that may be changed."""
    return Path(shutil.copytree(models.find(models.DEFAULT_MODEL), tmp_path / "model"))


def small(tmp_path: Path, **files: str) -> Path:
    """A folder that looks like a model, with weights of a few bytes."""
    made = tmp_path / "small"
    made.mkdir()
    (made / "model.safetensors").write_bytes(b"weights")
    modules = [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
    ]
    usual = {
        "config.json": json.dumps({"model_type": "bert", "hidden_size": 8}),
        "modules.json": json.dumps(modules),
        "1_Pooling/config.json": json.dumps({"pooling_mode_mean_tokens": True}),
    }
    for name, content in {**usual, **files}.items():
        path = made / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return made


def test_the_default_model_is_the_pinned_one() -> None:
    model = models.load(models.DEFAULT_MODEL)
    assert (model.pooling, model.normalise, model.max_tokens, model.dimensions) == (
        "mean",
        True,
        256,
        384,
    )
    assert models.PINNED.keys() <= model.files.keys()
    assert models.load(f"sentence-transformers/{models.DEFAULT_MODEL}").digest == model.digest


@pytest.mark.parametrize("name", models.PINNED)
def test_one_changed_byte_under_the_default_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = folder(tmp_path)
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    monkeypatch.setattr(models, "find", lambda _: copied)
    with pytest.raises(ModelDigestError, match=name):
        open_encoder(models.DEFAULT_MODEL, runtime="openvino", size=1000, overlap=150)


def test_a_missing_file_under_the_default_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = folder(tmp_path)
    (copied / "vocab.txt").unlink()
    monkeypatch.setattr(models, "find", lambda _: copied)
    with pytest.raises(ModelDigestError, match=r"vocab\.txt .* missing"):
        models.load(models.DEFAULT_MODEL)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: (f / "model.safetensors").write_bytes(b"weighty"), id="weights"),
        pytest.param(lambda f: (f / "vocab.txt").write_text("the\n"), id="a file more"),
        pytest.param(lambda f: (f / "modules.json").unlink(), id="a file less"),
        pytest.param(lambda f: (f / "config.json").rename(f / "config2.json"), id="a new name"),
        pytest.param(
            lambda f: (f / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}'),
            id="pooling",
        ),
    ],
)
def test_any_change_of_what_decides_the_vectors_changes_the_digest(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    made = small(tmp_path)
    before = models.load(str(made)).digest
    assert models.load(str(made)).digest == before
    change(made)
    assert models.load(str(made)).digest != before


def test_notes_beside_a_model_do_not_change_its_digest(tmp_path: Path) -> None:
    made = small(tmp_path)
    before = models.load(str(made)).digest
    (made / "README.md").write_text("about")
    (made / "train_script.txt").write_text("how")
    (made / "pytorch_model.bin").write_bytes(b"a pickle, never read")
    found = models.load(str(made))
    assert found.digest == before
    assert not {"README.md", "train_script.txt", "pytorch_model.bin"} & found.files.keys()


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    made = small(tmp_path)
    (made / "model.safetensors").rename(made / "pytorch_model.bin")
    with pytest.raises(EncodeError, match=r"no \.safetensors weights") as caught:
        open_encoder(str(made), runtime="auto", size=1000, overlap=150)
    assert "execute code" in caught.value.hint


@pytest.mark.parametrize("runtime", ["auto", "openvino", "torch"])
def test_a_model_that_brings_code_is_refused(runtime: str, tmp_path: Path) -> None:
    made = small(
        tmp_path,
        **{"config.json": json.dumps({"auto_map": {"AutoModel": "evil.Model"}, "hidden_size": 8})},
    )
    (made / "evil.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(EncodeError, match="code of its own"):
        open_encoder(str(made), runtime=runtime, size=1000, overlap=150)


@pytest.mark.parametrize("name", ["config.json", "modules.json", "1_Pooling/config.json"])
def test_a_damaged_description_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="is not JSON"):
        models.load(str(small(tmp_path, **{name: "{"})))


@pytest.mark.parametrize(
    ("files", "pooling", "normalise"),
    [
        pytest.param({}, "mean", False, id="mean"),
        pytest.param(
            {"1_Pooling/config.json": '{"pooling_mode_cls_token": true}'}, "cls", False, id="first"
        ),
        pytest.param(
            {"1_Pooling/config.json": '{"pooling_mode": "cls"}'}, "cls", False, id="first, by name"
        ),
        pytest.param(
            {"1_Pooling/config.json": '{"pooling_mode_max_tokens": true}'}, "", False, id="maximum"
        ),
        pytest.param(
            {
                "1_Pooling/config.json": '{"pooling_mode_cls_token": true, '
                '"pooling_mode_mean_tokens": true}'
            },
            "",
            False,
            id="two at once",
        ),
        pytest.param({"modules.json": "[]"}, "", False, id="no modules"),
        pytest.param(
            {"modules.json": json.dumps([{"type": "a.Transformer"}, {"type": "a.Dense"}])},
            "",
            False,
            id="a dense layer",
        ),
        pytest.param(
            {
                "modules.json": json.dumps(
                    [{"type": f"m.{k}"} for k in ("Transformer", "Pooling", "Normalize")]
                )
            },
            "mean",
            True,
            id="normalised",
        ),
    ],
)
def test_pooling_is_known_or_left_to_the_other_runtime(
    files: dict[str, str], pooling: str, normalise: bool, tmp_path: Path
) -> None:
    model = models.load(str(small(tmp_path, **files)))
    assert (model.pooling, model.normalise) == (pooling, normalise)


def test_the_openvino_runtime_says_when_it_cannot_build_a_model(tmp_path: Path) -> None:
    made = small(tmp_path, **{"config.json": json.dumps({"model_type": "t5"})})
    with pytest.raises(EncodeError, match="not an architecture") as caught:
        open_encoder(str(made), runtime="openvino", size=1000, overlap=150)
    assert "torch" in caught.value.hint


def test_an_unknown_name_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="no such folder"):
        models.find(str(tmp_path / "missing"))
