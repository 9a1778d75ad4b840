"""Merkle trees against published vectors and a slow definition."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.trust import merkle

# The test data of the Certificate Transparency reference implementation.
ENTRIES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
CONSISTENCY = {
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
MANY = [merkle.leaf_hash(b"entry %d" % i) for i in range(41)]
SIZES = range(1, 41)


# --- the slow definition: RFC 6962, section 2.1, word for word, over entries' leaf hashes ---


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*proof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*proof(m - k, leaves[k:], False), mth(leaves[:k])]


# --- published vectors ---


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_roots_are_the_published_ones(size: int, root: str) -> None:
    assert merkle.root(LEAVES[:size]).hex() == root


def test_an_empty_leaf_and_an_empty_tree_have_different_hashes() -> None:
    assert merkle.leaf_hash(b"").hex() == ROOTS[1]
    assert merkle.EMPTY_ROOT.hex() == ROOTS[0]


@pytest.mark.parametrize(("place", "wanted"), INCLUSION.items())
def test_inclusion_proofs_are_the_published_ones(place: tuple[int, int], wanted: list[str]) -> None:
    index, size = place
    made = merkle.inclusion_proof(LEAVES[:size], index)
    assert [h.hex() for h in made] == wanted
    root = bytes.fromhex(ROOTS[size])
    assert merkle.verify_inclusion(LEAVES[index], index, size, made, root)


@pytest.mark.parametrize(("sizes", "wanted"), CONSISTENCY.items())
def test_consistency_proofs_are_the_published_ones(
    sizes: tuple[int, int], wanted: list[str]
) -> None:
    old, new = sizes
    made = merkle.consistency_proof(LEAVES[:new], old)
    assert [h.hex() for h in made] == wanted
    roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
    assert merkle.verify_consistency(old, new, made, *roots)


# --- against the slow definition, every size to 40 ---


@pytest.mark.parametrize("size", SIZES)
def test_root_and_inclusion_proofs_agree_with_the_definition(size: int) -> None:
    leaves = MANY[:size]
    root = merkle.root(leaves)
    assert root == mth(leaves)
    for index in range(size):
        made = merkle.inclusion_proof(leaves, index)
        assert made == path(index, leaves)
        assert merkle.verify_inclusion(leaves[index], index, size, made, root)


@pytest.mark.parametrize("size", SIZES)
def test_consistency_proofs_agree_with_the_definition(size: int) -> None:
    leaves = MANY[:size]
    for old in range(1, size + 1):
        made = merkle.consistency_proof(leaves, old)
        assert made == proof(old, leaves)
        roots = mth(leaves[:old]), mth(leaves)
        assert merkle.verify_consistency(old, size, made, *roots)


# --- what does not verify ---


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 21])
def test_an_inclusion_proof_holds_only_for_its_leaf_index_and_size(size: int) -> None:
    leaves = MANY[:size]
    root = merkle.root(leaves)
    for index in range(size):
        made = merkle.inclusion_proof(leaves, index)
        for other in range(size):
            holds = merkle.verify_inclusion(leaves[index], other, size, made, root)
            assert holds == (other == index)
        assert not merkle.verify_inclusion(MANY[40], index, size, made, root)
        assert not merkle.verify_inclusion(leaves[index], index, size, made, MANY[40])
        assert not merkle.verify_inclusion(leaves[index], index, size, [*made, MANY[40]], root)
        if made:
            assert not merkle.verify_inclusion(leaves[index], index, size, made[:-1], root)
            changed = [MANY[40], *made[1:]]
            assert not merkle.verify_inclusion(leaves[index], index, size, changed, root)


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 0), (9, 8)])
def test_a_leaf_outside_the_tree_never_verifies(index: int, size: int) -> None:
    made = merkle.inclusion_proof(LEAVES, 0)
    assert not merkle.verify_inclusion(LEAVES[0], index, size, made, merkle.root(LEAVES))


@pytest.mark.parametrize("index", [-1, 8])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError, match=f"leaf {index} of 8"):
        merkle.inclusion_proof(LEAVES, index)


@pytest.mark.parametrize("old", [-1, 0, 9])
def test_no_consistency_proof_is_made_for_a_size_out_of_range(old: int) -> None:
    with pytest.raises(IndexError, match=f"older tree of {old}"):
        merkle.consistency_proof(LEAVES, old)


@pytest.mark.parametrize(("old", "new"), [(0, 8), (-1, 8), (8, 6), (0, 0)])
def test_sizes_out_of_order_are_never_consistent(old: int, new: int) -> None:
    made = merkle.consistency_proof(LEAVES, 6)
    roots = merkle.root(LEAVES[:6]), merkle.root(LEAVES)
    assert not merkle.verify_consistency(old, new, made, *roots)


def test_a_tree_is_consistent_with_itself_by_an_empty_proof_only() -> None:
    root = merkle.root(LEAVES)
    assert merkle.verify_consistency(8, 8, [], root, root)
    assert not merkle.verify_consistency(8, 8, [root], root, root)
    assert not merkle.verify_consistency(8, 8, [], root, MANY[0])


@pytest.mark.parametrize("new", [2, 3, 5, 8, 13, 21, 32, 40])
def test_a_rewritten_past_is_not_consistent(new: int) -> None:
    leaves = MANY[:new]
    for old in range(1, new):
        made = merkle.consistency_proof(leaves, old)
        before, after = mth(leaves[:old]), mth(leaves)
        rewritten = mth([MANY[40], *leaves[1:old]])
        assert not merkle.verify_consistency(old, new, made, rewritten, after)
        assert not merkle.verify_consistency(old, new, made, before, rewritten)
        assert not merkle.verify_consistency(old, new, [], before, after)
        assert not merkle.verify_consistency(old, new, [*made, MANY[40]], before, after)
        assert not merkle.verify_consistency(old, new, made[:-1], before, after)


def test_a_node_cannot_be_passed_off_as_a_leaf() -> None:
    left, right = MANY[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
    assert merkle.root([merkle.leaf_hash(left + right)]) != merkle.root([left, right])


def test_leaves_are_not_modified() -> None:
    leaves = list(MANY[:7])
    merkle.root(leaves)
    merkle.inclusion_proof(leaves, 3)
    merkle.consistency_proof(leaves, 3)
    assert leaves == MANY[:7]


@given(st.integers(1, 40), st.data())
def test_a_changed_proof_never_verifies(size: int, data: st.DataObject) -> None:
    leaves = MANY[:size]
    root = mth(leaves)
    index = data.draw(st.integers(0, size - 1))
    made = merkle.inclusion_proof(leaves, index)
    changed = data.draw(st.lists(st.sampled_from([*made, MANY[40], root]), max_size=7))
    holds = merkle.verify_inclusion(leaves[index], index, size, changed, root)
    assert holds == (changed == made)
