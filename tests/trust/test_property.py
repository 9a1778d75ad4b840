"""Properties of the trust core: what is accepted is what was signed, whatever bytes arrive."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ragguard.errors import IntegrityError, SubjectNameError, UsageError
from ragguard.model import Grant, Root, SourcePolicy, Subject
from ragguard.trust import decision, dsse, keys, manifest, root
from ragguard.trust.canonical import canonical, digest_bytes
from ragguard.trust.decision import Decision
from ragguard.trust.names import check_name, collision_keys
from tests.support.json_places import places, replaced, without
from tests.support.simulator import NOW

LIMIT = 1 << 20
ALICE, BOB, ROBOT, MALLORY = (
    keys.pair(SigningKey(bytes([n]) * 32), name)
    for n, name in enumerate(("alice", "bob", "alice", "mallory"), start=1)
)
SIGNERS = (Grant(ALICE.public.keyid), Grant(BOB.public.keyid), Grant(ROBOT.public.keyid))
ROOT = Root(
    version=1,
    issued=NOW,
    expires=NOW + timedelta(days=365),
    keys={k.public.keyid: k.public for k in (ALICE, BOB, ROBOT)},
    root_keyids=(ALICE.public.keyid,),
    root_threshold=1,
    reviewers=(Grant(BOB.public.keyid),),
    sources={
        "wiki": SourcePolicy("wiki", SIGNERS),
        "ledger": SourcePolicy("ledger", SIGNERS, threshold=2, distinct="principals"),
    },
    revoked={},
)


def subject(name: str, text: str = "", **metadata: Any) -> Subject:
    data = (text or name).encode()
    return Subject(name, digest_bytes(data), len(data), metadata)


def payload_of(*subjects: Subject, source: str = "wiki", **rest: Any) -> bytes:
    values: dict[str, Any] = {"version": 1, "previous": None, "mode": "full", **rest}
    times = {"issued": NOW, "expires": NOW + timedelta(days=90)}
    return manifest.dump(source=source, subjects=subjects, **times, **values)


def sign(payload: bytes, *who: keys.KeyPair) -> bytes:
    return dsse.sign(payload, dsse.IN_TOTO, [(k.public.keyid, k.signing_key) for k in who])


@dataclass(frozen=True)
class Shape:
    """An honest manifest to be mutated; `needed` signers must be left after any mutation."""

    envelope: bytes
    payload: bytes
    signers: frozenset[bytes]
    needed: int


def shape(payload: bytes, *who: keys.KeyPair, needed: int = 1) -> Shape:
    known = frozenset(k.public.public for k in who if k is not MALLORY)
    return Shape(sign(payload, *who), payload, known, needed)


MANY = [subject(f"folder-{i % 3}/page-{i}.md", department="it", rank=i) for i in range(25)]
DELTA = {"version": 7, "previous": "ab" * 32, "mode": "delta", "removes": ["old.md"]}
SHAPES = {
    "one signer": shape(payload_of(subject("a.md")), ALICE),
    "two signers": shape(payload_of(subject("a.md"), source="ledger"), ALICE, BOB, needed=2),
    "two, one is enough": shape(payload_of(subject("a.md")), ALICE, BOB),
    "unknown extra signature": shape(payload_of(subject("a.md")), MALLORY, ALICE),
    "record file": shape(payload_of(subject("tickets.jsonl", '{"id": 1, "text": "x"}')), ALICE),
    "many documents": shape(payload_of(*MANY), ALICE),
    "non-Latin names": shape(payload_of(subject("規則/休暇.md"), subject("отпуск.md")), ALICE),
    "delta": shape(payload_of(subject("b.md"), **DELTA), ALICE),
}

# --- mutations of bytes ---------------------------------------------------------------------------

TELLING = b'"{}[]:,\\0aA=+/-_ \n\x00\xff'  # bytes that mean something to JSON or base64


def flip(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] ^= 1 << chance.randrange(8)


def replace_byte(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] = chance.choice(TELLING) if chance.random() < 0.5 else chance.randrange(256)


def delete(data: bytearray, at: int, chance: random.Random) -> None:
    del data[at : at + chance.choice((1, 1, 1, 2, 40))]


def insert(data: bytearray, at: int, chance: random.Random) -> None:
    data.insert(at, chance.choice(TELLING) if chance.random() < 0.5 else chance.randrange(256))


def repeat(data: bytearray, at: int, chance: random.Random) -> None:
    data[at:at] = data[at : at + chance.choice((1, 4, 40))]


KINDS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    flip,
    replace_byte,
    delete,
    insert,
    repeat,
)


def mutate(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if made:
            chance.choice(KINDS)(made, chance.randrange(len(made)), chance)
    return bytes(made)


def mutate_inside(envelope: bytes, chance: random.Random) -> bytes:
    """Mutate what the base64 holds, which a changed character of it would seldom reach."""
    body = json.loads(envelope)
    where = chance.choice([body, *body["signatures"]])
    key = "payload" if where is body else "sig"
    where[key] = base64.b64encode(mutate(base64.b64decode(where[key]), chance)).decode()
    return canonical(body)


def test_no_mutation_yields_a_payload_or_a_signer_that_was_not_signed(
    pytestconfig: pytest.Config,
) -> None:
    chance = random.Random(20260301)
    wanted = pytestconfig.getoption("--mutations")
    names = list(SHAPES)
    seen: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    while seen["mutated"] < wanted:
        honest = SHAPES[names[seen["mutated"] % len(names)]]
        change = mutate_inside if chance.random() < 0.3 else mutate
        data = change(honest.envelope, chance)
        if data == honest.envelope:
            seen["came out unchanged, not counted"] += 1
            continue
        seen["mutated"] += 1
        try:
            found, result = root.authenticate(data, ROOT, NOW, max_bytes=LIMIT)
        except (IntegrityError, UsageError) as error:
            refused[type(error).__name__] += 1
            continue
        seen["accepted, same payload and signers"] += 1
        assert result.payload == honest.payload, data
        assert found == manifest.parse(honest.payload, max_bytes=LIMIT), data
        signed = {key.public for key in result.signed}
        assert honest.needed <= len(signed), data
        assert signed <= honest.signers, data
    print(f"\nmutations: {dict(seen)}; refused: {dict(refused)}")
    assert sum(refused.values()) + seen["accepted, same payload and signers"] == wanted
    assert {"MalformedError", "SignatureError"} <= refused.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_the_shapes_are_accepted_as_they_are(name: str) -> None:
    found, result = root.authenticate(SHAPES[name].envelope, ROOT, NOW, max_bytes=LIMIT)
    assert found == manifest.parse(SHAPES[name].payload, max_bytes=LIMIT)
    assert {key.public for key in result.signed} == SHAPES[name].signers
    assert len(result.unknown) == (1 if name == "unknown extra signature" else 0)


# --- hostile signers: every node of what is signed, replaced --------------------------------------

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**53, 10**19, 1e300, "", "x", "\x00", "é" * 3000, "../x"),
    *([], {}, [[]], ["a", "a"], [1], {"": 1}, {"sha256": 1}, {"a": {"b": {"c": {"d": 1}}}}),
)
DECISION = Decision(3, "release", "wiki/a.md", "ab" * 32, "cd" * 32, ("hidden",), "fine", NOW)
DECISION_PAYLOAD = dsse.parse_envelope(
    decision.sign(DECISION, BOB.signing_key, BOB.public.keyid), max_bytes=LIMIT
).payload


READERS = [
    pytest.param(
        SHAPES["delta"].payload, lambda p: manifest.parse(p, max_bytes=LIMIT), id="manifest"
    ),
    pytest.param(
        payload_of(subject("t.jsonl", label="a", tags=["b", 1])),
        lambda p: manifest.parse(p, max_bytes=LIMIT),
        id="manifest-with-metadata",
    ),
    pytest.param(root.dump_root(ROOT), root.parse_root, id="root"),
    pytest.param(DECISION_PAYLOAD, decision.parse, id="decision"),
]


@pytest.mark.parametrize(("payload", "read"), READERS)
def test_a_signed_payload_with_any_part_replaced_is_read_or_refused_by_our_errors(
    payload: bytes, read: Callable[[bytes], Any]
) -> None:
    body = json.loads(payload)
    refused = 0
    for path in places(body):
        changed = [replaced(body, path, odd) for odd in ODD]
        if path:
            changed.append(without(body, path))
        for value in changed:
            try:
                read(json.dumps(value).encode())
            except (IntegrityError, UsageError):
                refused += 1
            except Exception as error:
                pytest.fail(f"{path}: {value!r:.200} gave {error!r}")
    assert refused > 100


# --- honest signers -------------------------------------------------------------------------------

parts = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")),
    min_size=1,
    max_size=12,
)
names = st.builds("/".join, st.lists(parts, min_size=1, max_size=4))
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2**53), 2**53, exclude_max=True)
values = st.none() | st.booleans() | st.text(max_size=20) | numbers.filter(lambda v: v > -(2**53))
metadata = st.dictionaries(st.text(max_size=10), values | st.lists(values, max_size=3), max_size=4)


@given(
    st.lists(st.tuples(names, st.integers(0, 2**53 - 1), metadata), max_size=6),
    st.integers(1, 2**53 - 1),
    st.sampled_from(["full", "delta"]),
)
def test_any_honest_manifest_is_accepted_and_read_back(
    entries: list[tuple[str, int, dict[str, Any]]], version: int, mode: str
) -> None:
    subjects: list[Subject] = []
    taken: set[str] = set()
    for name, length, described in entries:
        try:
            check_name(name)
        except SubjectNameError:
            continue
        looks = {f"{n}{key}" for n, key in enumerate(collision_keys(name))}
        if not looks & taken:
            taken |= looks
            subjects.append(Subject(name, digest_bytes(name.encode()), length, described))
    assume(subjects)
    previous = None if version == 1 else "ab" * 32
    payload = payload_of(*subjects, version=version, previous=previous, mode=mode)
    found, result = root.authenticate(sign(payload, ALICE), ROOT, NOW, max_bytes=LIMIT)
    assert found.subjects == tuple(sorted(subjects, key=lambda s: s.name))
    assert (found.version, found.mode, found.previous) == (version, mode, previous)
    assert (found.issued, found.expires) == (NOW, NOW + timedelta(days=90))
    assert [k.principal for k in result.signed] == ["alice"]
    assert found.digest == digest_bytes(payload)
    manifest.check_freshness(found, NOW)
