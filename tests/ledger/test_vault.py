"""Content-addressed bytes: what is read is what its name says, or an error."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest

from ragguard.errors import VaultError
from ragguard.ledger.vault import Vault


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder, and a store that is no file system."""
    if request.param == "folder":
        yield str(tmp_path / "vault")
        return
    made = f"memory://{tmp_path.name}"
    yield made
    memory = fsspec.filesystem("memory")
    if memory.exists(made):
        memory.rm(made, recursive=True)


@contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    """Less of a resource, as on a full disk or a busy machine."""
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_bytes_are_kept_under_their_sha_256(url: str) -> None:
    vault = Vault(url)
    digest = vault.put(b"abc")
    assert digest == sha256(b"abc").hexdigest()
    assert vault.has(digest)
    assert vault.get(digest) == b"abc"


def test_what_was_not_put_is_not_there(url: str) -> None:
    vault = Vault(url)
    digest = sha256(b"abc").hexdigest()
    assert not vault.has(digest)
    with pytest.raises(VaultError, match=f"vault: {digest[:12]}… cannot be read") as caught:
        vault.get(digest)
    assert "backup" in caught.value.hint


def test_another_vault_at_the_same_place_reads_what_was_put(url: str) -> None:
    digest = Vault(url).put(b"abc")
    assert Vault(url).get(digest) == b"abc"


def test_many_blobs_come_back_in_order_repeats_and_empty_ones_included(url: str) -> None:
    vault = Vault(url)
    blobs = [b"blob %d" % (i % 30) for i in range(50)] + [b""]
    digests = vault.put_many(blobs)
    assert digests == [sha256(b).hexdigest() for b in blobs]
    assert [vault.get(d) for d in digests] == blobs


def test_putting_nothing_is_nothing(url: str) -> None:
    assert Vault(url).put_many([]) == []


def test_putting_again_leaves_the_blob_alone(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    digest = vault.put(b"abc")
    path = tmp_path / digest[:2] / digest
    os.utime(path, (1, 1))
    vault.put(b"abc")
    vault.put_many([b"abc", b"abc"])
    assert path.stat().st_mtime == 1
    assert files(tmp_path) == [digest]


def test_changed_bytes_are_not_given_out(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    digest = vault.put(b"abc")
    (tmp_path / digest[:2] / digest).write_bytes(b"abd")
    with pytest.raises(VaultError, match="holds other bytes than its name says"):
        vault.get(digest)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * 63, id="short"),
        pytest.param("a" * 65, id="long"),
        pytest.param("A" * 64, id="upper-case"),
        pytest.param("g" * 64, id="not-hex"),
        pytest.param("../" * 21 + "a", id="path"),
        pytest.param("٣" * 64, id="other-digits"),
    ],
)
def test_a_name_that_is_no_digest_reaches_no_file(tmp_path: Path, name: str) -> None:
    vault = Vault(str(tmp_path))
    for act in (vault.get, vault.has):
        with pytest.raises(VaultError, match="is not a SHA-256 digest"):
            act(name)


def test_a_folder_where_no_folder_can_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    vault = Vault(str(tmp_path / "file/vault"))
    with pytest.raises(VaultError, match="cannot write"):
        vault.put(b"abc")
    with pytest.raises(VaultError, match="cannot write"):
        vault.put_many([b"abc", b"abd"])


def test_a_write_that_breaks_off_leaves_nothing_under_the_digest(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    kept = vault.put(b"small")
    large = b"x" * 100_000
    with limited(resource.RLIMIT_FSIZE, 1000), pytest.raises(VaultError, match="cannot write"):
        vault.put(large)
    assert not vault.has(sha256(large).hexdigest())
    assert files(tmp_path) == [kept]
    assert vault.get(vault.put(large)) == large


def test_one_blob_of_many_that_breaks_off_is_an_error_and_leaves_no_half(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    blobs = [b"a", b"x" * 100_000, b"b"]
    with limited(resource.RLIMIT_FSIZE, 1000), pytest.raises(VaultError, match="cannot write"):
        vault.put_many(blobs)
    assert set(files(tmp_path)) <= {sha256(b"a").hexdigest(), sha256(b"b").hexdigest()}
    assert [vault.get(d) for d in vault.put_many(blobs)] == blobs


def test_no_file_to_be_had_is_an_error(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    with limited(resource.RLIMIT_NOFILE, 0), pytest.raises(VaultError, match="Too many open files"):
        vault.put(b"abc")
    assert files(tmp_path) == []
    assert vault.get(vault.put(b"abc")) == b"abc"


def test_what_is_missing_or_damaged_is_mended_and_what_is_whole_is_left(url: str) -> None:
    vault = Vault(url)
    assert vault.mend(b"one")
    assert not vault.mend(b"one")
    name = sha256(b"one").hexdigest()
    fs, root = fsspec.core.url_to_fs(url)
    fs.pipe_file(f"{root}/{name[:2]}/{name}", b"another")
    with pytest.raises(VaultError, match="other bytes"):
        vault.get(name)
    assert vault.mend(b"one")
    assert vault.get(name) == b"one"
    assert [path.rpartition("/")[2] for path in fs.find(root)] == [name]


def test_what_cannot_be_mended_is_an_error(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path / "vault"))
    name = vault.put(b"y" * 2000)
    (tmp_path / "vault" / name[:2] / name).write_bytes(b"damaged")
    with limited(resource.RLIMIT_FSIZE, 1000), pytest.raises(VaultError, match="cannot write"):
        vault.mend(b"y" * 2000)
    assert sorted(p.name for p in (tmp_path / "vault" / name[:2]).iterdir()) == [name]
