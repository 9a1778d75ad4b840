from __future__ import annotations

from ragguard.trust import kept

KEY, OTHER = bytes(range(32)), bytes(32)


def test_what_was_kept_comes_back() -> None:
    assert kept.unwrap(kept.wrap(b"data", KEY, "profile a"), KEY, "profile a") == b"data"


def test_nothing_else_does() -> None:
    whole = kept.wrap(b"data", KEY, "profile a")
    assert kept.unwrap(whole, OTHER, "profile a") is None
    assert kept.unwrap(whole, KEY, "profile b") is None
    assert kept.unwrap(b"data", KEY, "profile a") is None
    assert kept.unwrap(b"", KEY, "profile a") is None
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        assert kept.unwrap(bytes(changed), KEY, "profile a") is None


def test_parts_cannot_be_cut_elsewhere() -> None:
    assert kept.tag(KEY, "x", b"ab", b"c") != kept.tag(KEY, "x", b"a", b"bc")
