from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ragguard.embed import bert, models
from ragguard.embed.encoder import Encoder, open_encoder, unit
from ragguard.errors import EncodeError
from ragguard.trust.canonical import digest

NAME = models.DEFAULT_MODEL
TEXTS = [
    "a",
    ".",
    " ",
    "",
    "Close the drain valve before starting the pump.",
    "word " * 254,
    "word " * 600,
    "Закройте сливной клапан перед запуском.",
    "在启动泵之前关闭排水阀。",
    "\u05e1\u05d2\u05d5\u05e8 \u05d0\u05ea \u05d4\u05e9\u05e1\u05ea\u05d5\u05dd",
    "Grüße, naïve café — 12 °C",
    "\U0001f6a8\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "x" * 400,
    "\u0000\u200b\ufeff",
    *(f"Pump {i} delivers {i * 7} litres" + " a minute" * i for i in range(1, 60, 4)),
]


@pytest.fixture(scope="module")
def direct() -> Encoder:
    return open_encoder(NAME, runtime="openvino", size=1000, overlap=150)


@pytest.fixture(scope="module")
def torch() -> Encoder:
    return open_encoder(NAME, runtime="torch", size=1000, overlap=150)


def test_both_runtimes_give_the_same_vectors(direct: Encoder, torch: Encoder) -> None:
    found, expected = direct.encode(TEXTS), torch.encode(TEXTS)
    assert found.shape == expected.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_both_runtimes_count_tokens_alike_and_beyond_the_limit(
    direct: Encoder, torch: Encoder
) -> None:
    counts = direct.count_tokens(TEXTS)
    assert counts == torch.count_tokens(TEXTS)
    assert counts[0] == 3
    assert counts[TEXTS.index("word " * 600)] == 602


def test_both_runtimes_have_one_recipe(direct: Encoder, torch: Encoder) -> None:
    assert direct.recipe == torch.recipe


def test_the_recipe_digest_covers_every_other_part(direct: Encoder) -> None:
    body = asdict(direct.recipe)
    named = body.pop("digest")
    assert digest(body) == named
    for part in body:
        assert digest({**body, part: "another"}) != named
    wider = open_encoder(NAME, runtime="openvino", size=900, overlap=150)
    assert wider.recipe.digest != named
    assert wider.recipe.model_digest == direct.recipe.model_digest


def test_a_vector_does_not_depend_on_order_or_company(direct: Encoder) -> None:
    together = direct.encode(TEXTS)
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled = direct.encode([TEXTS[i] for i in order])
    np.testing.assert_allclose(shuffled, together[order], atol=1e-6, rtol=0)
    for i in (0, 3, 5, 8, len(TEXTS) - 1):
        np.testing.assert_allclose(direct.encode([TEXTS[i]])[0], together[i], atol=1e-6, rtol=0)


def test_vectors_have_unit_length_and_single_precision(direct: Encoder) -> None:
    vectors = direct.encode(TEXTS)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_what_is_beyond_the_limit_is_not_seen_and_what_is_within_is(direct: Encoder) -> None:
    limit = direct.recipe.max_tokens
    full = "word " * (limit - 2)
    same, other = (
        direct.encode([full, full + "poison " * 50]),
        direct.encode([full[:-5] + "poison"]),
    )
    np.testing.assert_allclose(same[0], same[1], atol=1e-6, rtol=0)
    assert abs(other[0] - same[0]).max() > 1e-4


@pytest.mark.parametrize("runtime", ["direct", "torch"])
def test_nothing_gives_no_vectors(runtime: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(runtime)
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.count_tokens([]) == []


class Stopped(BaseException):
    """As a job that is cancelled, or Ctrl-C, stops what tells its progress."""


@pytest.mark.parametrize(("runtime", "count"), [("direct", 200), ("torch", 20)])
def test_what_is_stopped_at_its_progress_leaves_the_encoder_usable(
    runtime: str, count: int, request: pytest.FixtureRequest
) -> None:
    encoder: Encoder = request.getfixturevalue(runtime)
    texts = [f"note {n} on pumps" for n in range(count)]

    def stop(done: int, total: int) -> None:
        raise Stopped

    for _ in range(3):
        with pytest.raises(Stopped):
            encoder.encode(texts, stop)
    np.testing.assert_array_equal(encoder.encode(texts[:3]), encoder.encode(texts[:3]))


@pytest.mark.parametrize("runtime", ["direct", "torch"])
def test_progress_ends_with_all_texts_done(runtime: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(runtime)
    seen: list[tuple[int, int]] = []
    encoder.encode(TEXTS[:20], lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {20}


def test_texts_are_not_changed_by_being_embedded(direct: Encoder) -> None:
    texts = list(TEXTS)
    direct.encode(texts)
    assert texts == TEXTS


@pytest.mark.parametrize(
    "row", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]], ids=["zero", "nan", "infinite"]
)
def test_a_vector_that_is_none_is_an_error(row: list[float]) -> None:
    vectors = np.array([[1, 0], row], dtype=np.float32)
    with pytest.raises(EncodeError, match="not finite or is zero"):
        unit(vectors)


def test_unit_leaves_its_argument_as_it_was() -> None:
    vectors = np.array([[3, 4], [1e-5, 0]], dtype=np.float32)
    before = vectors.copy()
    np.testing.assert_allclose(unit(vectors), [[0.6, 0.8], [1, 0]])
    assert (vectors == before).all()


def changed(tmp_path: Path, **settings: object) -> Path:
    made = Path(shutil.copytree(models.find(NAME), tmp_path / "model"))
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, **settings}))
    return made


def test_first_token_pooling_agrees_with_the_other_runtime(tmp_path: Path) -> None:
    made = changed(tmp_path)
    pooling = made / "1_Pooling" / "config.json"
    pooled = json.loads(pooling.read_text())
    pooled.update(pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    pooling.write_text(json.dumps(pooled))
    first = open_encoder(str(made), runtime="openvino", size=1000, overlap=150)
    other = open_encoder(str(made), runtime="torch", size=1000, overlap=150)
    texts = TEXTS[4:8]
    np.testing.assert_allclose(first.encode(texts), other.encode(texts), atol=1e-6, rtol=0)
    assert first.recipe.pooling == "cls"


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_act": "relu"},
        {"model_type": "roberta"},
        {"is_decoder": True},
        {"position_embedding_type": "relative_key"},
    ],
    ids=["activation", "architecture", "decoder", "positions"],
)
def test_another_architecture_is_not_built_as_if_it_were_this_one(
    settings: dict[str, object], tmp_path: Path
) -> None:
    config = json.loads((models.find(NAME) / "config.json").read_text())
    assert bert.supported(config)
    assert not bert.supported({**config, **settings})


def test_weights_that_lack_a_tensor_are_refused(tmp_path: Path) -> None:
    made = changed(tmp_path, num_hidden_layers=7)
    encoder = open_encoder(str(made), runtime="openvino", size=1000, overlap=150)
    with pytest.raises(EncodeError, match=r"lack 'encoder\.layer\.6"):
        encoder.encode(["a"])
