"""The published vectors: what another implementation signs is what ours does, byte by byte."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

from ragguard.trust import decision, dsse, keys
from ragguard.trust.canonical import canonical, parse_time

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "docs/vectors/decision.json").read_text("utf-8")
)


def test_the_encoding_before_signing_is_as_published() -> None:
    assert VECTORS["pae"]
    for row in VECTORS["pae"]:
        assert dsse.pae(row["payload_type"], b64decode(row["payload"])) == b64decode(row["pae"])


def test_decisions_are_written_signed_and_verified_as_published() -> None:
    key = keys.load_private(canonical(VECTORS["key"]), None)
    assert len(VECTORS["decisions"]) == 3
    for row in VECTORS["decisions"]:
        said = decision.Decision(
            row["case"],
            row["action"],
            row["subject"],
            row["digest"],
            row["metadata_digest"],
            tuple(row["covers"]),
            row["reason"],
            parse_time(row["at"]),
        )
        payload = b64decode(row["payload"])
        assert decision.dump(said) == payload
        assert decision.parse(payload) == said
        assert dsse.pae(dsse.IN_TOTO, payload) == b64decode(row["pae"])
        made = decision.sign(said, key.signing_key, key.public.keyid)
        assert json.loads(made) == row["envelope"]
        envelope = dsse.parse_envelope(made, max_bytes=1 << 20)
        known = {key.public.keyid: key.public}
        assert dsse.verify(envelope, known, payload_type=dsse.IN_TOTO, threshold=1)
