from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragguard.embed import models
from ragguard.embed.encoder import open_encoder
from ragguard.errors import EncodeError, ModelDigestError

ST = "sentence_transformers.models"


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
    monkeypatch.setattr(models, "find", lambda *_, **__: copied)
    with pytest.raises(ModelDigestError, match=name):
        open_encoder(models.DEFAULT_MODEL, runtime="openvino", size=1000, overlap=150)


def test_a_missing_file_under_the_default_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = folder(tmp_path)
    (copied / "vocab.txt").unlink()
    monkeypatch.setattr(models, "find", lambda *_, **__: copied)
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


def test_a_model_too_large_to_be_read_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = small(tmp_path)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    monkeypatch.setattr(models, "MAX_BYTES", size)
    models.load(str(place))
    monkeypatch.setattr(models, "MAX_BYTES", size - 1)
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(EncodeError, match=f"{size} bytes, expected at most {size - 1}"):
        models.load(str(place))


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
            {
                "modules.json": json.dumps(
                    [{"type": f"{ST}.Transformer"}, {"type": f"{ST}.Dense"}]
                ),
            },
            "",
            False,
            id="a dense layer",
        ),
        pytest.param(
            {
                "modules.json": json.dumps(
                    [{"type": f"{ST}.{k}"} for k in ("Transformer", "Pooling", "Normalize")]
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


# --- a model folder is hostile --------------------------------------------------------------------


def modules(*kinds: str) -> str:
    """A modules.json."""
    paths = ["", *(f"{n}_{kind.rpartition('.')[2]}" for n, kind in enumerate(kinds[1:], start=1))]
    rows = [
        {"idx": n, "name": str(n), "path": path, "type": kind}
        for n, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    return json.dumps(rows)


def dense(tmp_path: Path, scale: float, kind: str = "safetensors") -> Path:
    """The default model with a dense layer on top, of weights in either format."""
    import torch
    from safetensors.torch import save_file

    made = folder(tmp_path)
    usual = (f"{ST}.Transformer", f"{ST}.Pooling", f"{ST}.Dense", f"{ST}.Normalize")
    (made / "modules.json").write_text(modules(*usual))
    layer = made / "2_Dense"
    layer.mkdir()
    config = {"in_features": 384, "out_features": 384, "bias": True}
    config["activation_function"] = "torch.nn.modules.linear.Identity"
    (layer / "config.json").write_text(json.dumps(config))
    weights = torch.eye(384)
    weights[0] *= scale
    state = {"linear.weight": weights, "linear.bias": torch.zeros(384)}
    if kind == "safetensors":
        save_file(state, layer / "model.safetensors")
    else:
        torch.save(state, layer / "pytorch_model.bin")
    return made


def test_weights_of_every_module_are_safetensors(tmp_path: Path) -> None:
    made = dense(tmp_path, 2.0, "pickle")
    with pytest.raises(EncodeError, match=r"2_Dense: no \.safetensors weights"):
        open_encoder(str(made), runtime="auto", size=1000, overlap=150)


def test_weights_of_every_module_are_in_the_digest(tmp_path: Path) -> None:
    found = {}
    for scale in (2.0, -9.0):
        (tmp_path / str(scale)).mkdir()
        made = dense(tmp_path / str(scale), scale)
        (made / "2_Dense" / "pytorch_model.bin").write_bytes(b"a pickle, never read")
        encoder = open_encoder(str(made), runtime="auto", size=1000, overlap=150)
        vector = encoder.encode(["a valve"])[0]
        found[encoder.recipe.model_digest] = vector
    assert len(found) == 2
    first, second = found.values()
    assert abs(first - second).max() > 1e-3


def test_a_file_that_is_not_in_the_digest_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the bytes that were digested are loaded, whatever else lies in the folder."""
    import sentence_transformers

    seen: list[set[str]] = []
    real = sentence_transformers.SentenceTransformer

    def load(path: str, **rest: object) -> object:
        seen.append({p.relative_to(path).as_posix() for p in Path(path).rglob("*") if p.is_file()})
        return real(path, **rest)

    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", load)
    made = folder(tmp_path)
    for name in ("pytorch_model.bin", "modeling.py", "tokenizer.pkl", "README.md"):
        (made / name).write_bytes(b"of another hand")
    model = models.load(str(made))
    encoder = open_encoder(str(made), runtime="torch", size=1000, overlap=150)
    assert seen == [set(model.files)]
    assert encoder.recipe.model_digest == model.digest
    assert encoder.encode(["a"]).shape == (1, 384)


@pytest.mark.parametrize(
    "kind",
    [
        "evil.Module",
        "evil.Transformer",
        "os.system",
        f"{ST}.WordEmbeddings",
        f"{ST}.CLIPModel",
        f"{ST}.Router",
        f"{ST}.evil.sub.Dense",
        "sentence_transformers.util.import_from_string",
        "sentence_transformersx.models.Dense",
        "Dense",
        "",
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_module_that_is_not_on_the_list_is_refused(kind: str, place: int, tmp_path: Path) -> None:
    kinds = [f"{ST}.Transformer", f"{ST}.Pooling"]
    kinds.insert(place, kind)
    made = small(tmp_path, **{"modules.json": modules(*kinds)})
    (made / "evil.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(EncodeError, match=r"modules\.json"):
        models.load(str(made))


@pytest.mark.parametrize(
    "text",
    ["5", "{}", '"a"', "[5]", "[[]]", '[{"type": 5}]', '[{"path": ""}]'],
)
def test_a_list_of_modules_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=r"modules\.json"):
        models.load(str(small(tmp_path, **{"modules.json": text})))


@pytest.mark.parametrize("path", ["../other", "/etc", "1_Pooling/../../x", "a\\..\\b", 5])
def test_a_module_outside_the_folder_is_refused(path: object, tmp_path: Path) -> None:
    rows = json.loads(modules(f"{ST}.Transformer", f"{ST}.Pooling"))
    rows[1]["path"] = path
    with pytest.raises(EncodeError, match=r"modules\.json"):
        models.load(str(small(tmp_path, **{"modules.json": json.dumps(rows)})))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("0_Transformer/config.json", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}),
        ("adapter_config.json", {"base_model_name_or_path": "somebody/else"}),
        ("sentence_bert_config.json", {"model_args": {"use_safetensors": False}}),
        ("sentence_bert_config.json", {"config_args": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"tokenizer_kwargs": {"cache_dir": "/tmp"}}),
        ("sentence_bert_config.json", {"model_kwargs": 5}),
    ],
)
def test_a_description_that_asks_for_more_than_these_files_is_refused(
    name: str, text: object, tmp_path: Path
) -> None:
    with pytest.raises(EncodeError, match=name.replace(".", r"\.")):
        models.load(str(small(tmp_path, **{name: json.dumps(text)})))


def test_another_file_under_the_default_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = folder(tmp_path)
    (copied / "added_tokens.json").write_text('{"the": 5}')
    monkeypatch.setattr(models, "find", lambda *_, **__: copied)
    with pytest.raises(ModelDigestError, match=r"added_tokens\.json"):
        models.load(models.DEFAULT_MODEL)


@pytest.mark.parametrize("version", ["5.0.0", "6.1.9", "6", "4.1", "6.2rc1", "odd"])
def test_a_runtime_that_runs_code_of_a_model_folder_is_refused(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    with pytest.raises(EncodeError, match=rf"sentence-transformers {version}") as caught:
        open_encoder(models.DEFAULT_MODEL, runtime="torch", size=1000, overlap=150)
    assert "6.2" in caught.value.hint


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
    open_encoder(sys.argv[1], runtime=sys.argv[2], size=1000, overlap=150).encode(["a valve"])
    print("loaded", asked)
except EncodeError as error:
    print("refused", asked, error.hint)
"""


@pytest.mark.parametrize(
    ("name", "runtime", "says"),
    [
        ("all-MiniLM-L6-v3", "auto", "refused []"),
        ("sentence-transformers/all-MiniLM-L6-v3", "auto", "refused []"),
        ("", "torch", "loaded []"),
    ],
)
def test_the_network_is_not_asked(name: str, runtime: str, says: str, tmp_path: Path) -> None:
    """A name with a typing error must not fetch a stranger's model, nor a folder call home."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, name or str(folder(tmp_path)), runtime],
        capture_output=True,
        text=True,
        env={**variables, "HF_HOME": str(tmp_path / "hf")},
        check=False,
    )
    assert done.stdout.startswith(says), (done.stdout, done.stderr[-2000:])
    if says.startswith("refused"):
        assert "offline" in done.stdout


def test_the_hub_is_asked_where_one_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[bool] = []

    def snapshot(name: str, **rest: object) -> str:
        asked.append(bool(rest["local_files_only"]))
        raise OSError("no network here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    for offline in (True, False):
        with pytest.raises(EncodeError, match="no such folder"):
            models.find("somebody/else", offline=offline)
    assert asked == [True, False]
