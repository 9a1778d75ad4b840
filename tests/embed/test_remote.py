"""An endpoint that embeds: the same vectors, retried with sense, refused when it changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ragguard.audit.reembedding import check_reembedding
from ragguard.config import load
from ragguard.embed import encoder as encoders
from ragguard.embed import remote as remotes
from ragguard.embed.encoder import open_encoder
from ragguard.embed.remote import PROBES, SAME, Endpoint, Pins, RemoteEncoder
from ragguard.errors import ConfigError, EncodeError, ModelDigestError
from ragguard.rebuild.reindex import reindex
from ragguard.serving.search import search
from ragguard.trust.canonical import digest_bytes
from tests.support.servers.embedding import Server, serving
from tests.support.simulator import HONEST

TEXTS = ["Leave is 27 days.", "The desk opens at nine.", "", "Ein kurzer Satz."] * 3


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def encoder(
    server: Server, pins: bytes | None = None, paused: list[float] | None = None, **options: Any
) -> RemoteEncoder:
    options = {"batch": 5, "timeout_s": 120.0, "attempts": 4, **options}
    waits: list[float] = [] if paused is None else paused
    endpoint = Endpoint(server.url, **options)
    return RemoteEncoder("m", endpoint, 1000, 100, pins, pause=waits.append)


def test_it_gives_the_vectors_of_the_model_behind_it_in_batches(server: Server) -> None:
    local = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)
    remote, done = encoder(server), []
    made = remote.encode(TEXTS, lambda n, of: done.append((n, of)))
    assert np.abs(made - local.encode(TEXTS)).max() < 1e-5
    assert [len(asked) for asked in server.asked] == [5, 3, 5, 5, 2]  # probes, then texts
    assert done == [(5, 12), (10, 12), (12, 12)]
    assert remote.recipe.dimensions == 384
    assert remote.recipe.pooling == "remote"
    assert remote.encode([]).shape == (0, 384)
    assert min(remote.count_tokens(TEXTS)) >= 2


def test_the_recipe_is_pinned_by_the_probes_and_the_same_at_every_run(server: Server) -> None:
    first = encoder(server)
    assert first.recipe.model_digest == digest_bytes(first.pins)
    server.asked.clear()
    again = encoder(server, first.pins)
    assert again.recipe == first.recipe
    assert server.asked == []  # nothing is asked until something is embedded
    again.encode(["one"])
    again.encode(["two"])
    assert [text for asked in server.asked for text in asked] == [*PROBES, "one", "two"]


def noisy(length: float) -> Any:
    def change(vectors: Any) -> Any:
        noise = np.random.default_rng(len(vectors)).normal(size=vectors.shape)
        return (vectors + length * noise / np.sqrt(vectors.shape[1])).tolist()

    return change


def test_a_model_that_was_changed_under_its_name_is_refused_and_the_drift_told(
    server: Server,
) -> None:
    pins = encoder(server).pins
    server.change = noisy(0.01)  # what another batch or processor may do
    encoder(server, pins).encode(["one"])
    for change in (noisy(0.2), lambda v: v[:, ::-1].tolist()):
        server.change = change
        remote = encoder(server, pins)
        with pytest.raises(ModelDigestError, match=rf"at worst.*expected at least {SAME}") as told:
            remote.encode(["one"])
        assert "reindex --from-clean --re-embed" in told.value.hint
        with pytest.raises(ModelDigestError):
            remote.encode(["one"])  # not once only
    server.change = lambda v: v[:, :100].tolist()
    with pytest.raises(ModelDigestError, match="100 dimensions, the index was built with 384"):
        encoder(server, pins).encode(["one"])


def test_overload_and_faults_are_tried_again_with_growing_pauses(server: Server) -> None:
    remote, paused = encoder(server, paused=(waits := [])), waits
    server.faults = [(429, "7"), (500, ""), (503, "")]
    remote.encode(["one"])
    assert paused[0] == 7.0
    assert 1.0 <= paused[1] <= 2.0 <= paused[2] <= 4.0
    server.faults = [(429, "")] * 9
    with pytest.raises(EncodeError, match=r"status 429.*after 4 attempts") as told:
        remote.encode(["one"])
    assert "\x1b" not in told.value.message


def test_what_the_server_refuses_is_not_tried_again(server: Server) -> None:
    remote = encoder(server)
    server.faults = [(400, ""), (400, "")]
    with pytest.raises(EncodeError, match="status 400"):
        remote.encode(["one"])
    assert server.refused == 1


def test_a_slow_or_absent_server_is_given_up(server: Server) -> None:
    remote = encoder(server, encoder(server).pins, timeout_s=0.2, attempts=2)
    server.slow = True
    with pytest.raises(EncodeError, match=r"no answer within 0.2 s after 2 attempts"):
        remote.encode(["one"])
    server.ended.set()
    gone = Server(url="http://127.0.0.1:9/v1")
    with pytest.raises(EncodeError, match="ConnectError"):
        encoder(gone)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v[:-1].tolist(), "0 vectors for 1 texts"),
        (lambda v: [[float("nan")] * 384], "not finite or is zero"),
        (lambda v: [[0.0] * 384], "not finite or is zero"),
        (lambda v: [["x"] * 384], "no embeddings in its answer"),
        (lambda v: v[:, :7].tolist(), "vectors of 7 dimensions, expected 384"),
        (lambda v: {"data": [{"index": 0, "embedding": []}]}, "vectors of no length"),
        (lambda v: {"data": "none"}, "in its answer|vectors for 1 texts"),
        (lambda v: {"error": "out of memory"}, "no embeddings in its answer"),
        (lambda v: b"[" * 100_000, "no embeddings in its answer"),
    ],
)
def test_an_answer_that_is_no_vectors_is_refused(server: Server, change: Any, told: str) -> None:
    remote = encoder(server)
    server.change = change
    with pytest.raises(EncodeError, match=told):
        remote.encode(["one"])


def test_a_packed_answer_is_read_and_unpacks_to_no_more_than_the_limit(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = encoder(server)
    plain = remote.encode(["one"])
    server.coding = "gzip"
    assert np.array_equal(remote.encode(["one"]), plain)
    monkeypatch.setattr(remotes, "MAX_ANSWER", 1 << 20)
    server.change = lambda v: bytes(2 << 20)
    for coding, told in (
        ("gzip", "an answer of more than 1,048,576 bytes"),
        ("gzip gzip", "in an encoding not asked for: gzip, gzip"),
    ):
        server.coding = coding
        with pytest.raises(EncodeError, match=told):
            remote.encode(["one"])


def test_requests_keep_to_their_rate(server: Server) -> None:
    now, paused = [0.0], []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        now[0] += seconds

    endpoint = Endpoint(server.url, batch=5, per_minute=30, timeout_s=120.0)
    clock = lambda: now[0]  # noqa: E731
    remote = RemoteEncoder("m", endpoint, 1000, 100, None, pause=pause, clock=clock)
    remote.encode(["one"])
    assert paused == [2.0, 2.0]  # two requests of probes and one of a text
    now[0] += 60.0
    remote.encode(["two"])
    assert paused == [2.0, 2.0]


def test_the_key_is_sent_from_the_environment_and_never_in_the_clear(
    server: Server, tmp_path: Any
) -> None:
    server.key = "s3cr3t"
    with pytest.raises(EncodeError, match="status 401"):
        encoder(server)
    file = tmp_path / "ragguard.toml"
    file.write_text(f'[model]\nname = "m"\nurl = "{server.url}"\n')
    settings = load(file, {"RAGGUARD_MODEL__API_KEY": "s3cr3t"})
    encoder(server, api_key=settings.model.api_key).encode(["one"])
    assert "s3cr3t" not in repr(settings)
    assert settings.digest == load(file, {}).digest
    file.write_text('[model]\nurl = "http://models.example/v1"\n')
    with pytest.raises(ConfigError, match="model: the API key would go"):
        load(file, {"RAGGUARD_MODEL__API_KEY": "s3cr3t"})


def test_pins_that_were_damaged_are_refused(server: Server) -> None:
    pins = encoder(server).pins
    assert Pins.load(pins).dump() == pins
    other = pins.replace(PROBES[0].encode(), b"Another text.")
    endless = pins.replace(b'"dimensions":384', b'"dimensions":1e999')
    nameless = pins.replace(b'"model":', b'"medal":')
    for bad in (b"{}", b"x", b"[" * 100_000, pins[:-40], other, endless, nameless):
        with pytest.raises(ModelDigestError, match="cannot be read"):
            Pins.load(bad)


def test_a_workspace_keeps_the_pins_and_a_changed_model_needs_a_rebuild(
    server: Server, new_gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Any = encoders.open_encoder  # the tests share encoders; this one looks at every opening
    monkeypatch.setattr(encoders, "open_encoder", opened.__wrapped__)
    model = {"name": "m", "url": server.url, "timeout_s": 300, "max_tokens": 256}
    gate = new_gate(model=model, reindex={"probe": False})
    gate.publish({"leave.md": HONEST["leave.md"], "laptops.md": HONEST["laptops.md"]})
    gate.reopen()
    assert search(gate.workspace, "days of leave", 1)[0].document == "wiki/leave.md"
    server.change = noisy(0.01)
    gate.reopen(hours=1)
    assert check_reembedding(gate.workspace, 1.0) == ([], 2)  # another batch is no tampering
    server.change = lambda v: v[:, ::-1].tolist()
    gate.reopen(hours=1)
    with pytest.raises(ModelDigestError, match="at worst"):
        search(gate.workspace, "days of leave", 1)
    gate.reopen(hours=1)
    made = reindex(gate.workspace, re_embed=True)
    assert (made.generation, made.recipe_changed, made.kept) == (2, True, 2)
    gate.reopen(hours=1)
    assert search(gate.workspace, "days of leave", 1)[0].document == "wiki/leave.md"
