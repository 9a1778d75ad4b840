"""Reading below a signed folder: never through a link, never out of it, never too much."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ragguard.errors import DocumentMissingError, SubjectNameError, SymlinkError, UsageError
from ragguard.trust import folder
from ragguard.trust.folder import SkippedFile

FORMATS = frozenset({"md", "txt"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "site"
    (made / "sub/deep").mkdir(parents=True)
    (made / "a.md").write_bytes(b"aaa")
    (made / "sub/b.md").write_bytes(b"bbbb")
    (made / "sub/deep/c.txt").write_bytes(b"ccccc")
    (tmp_path / "secret.md").write_bytes(b"secret")
    return made


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- read ---


@pytest.mark.parametrize(
    ("name", "data"), [("a.md", b"aaa"), ("sub/b.md", b"bbbb"), ("sub/deep/c.txt", b"ccccc")]
)
def test_a_subject_is_read_by_its_name(root: Path, name: str, data: bytes) -> None:
    assert folder.read(root, name, 100) == data


def test_at_most_one_byte_more_than_the_limit_is_read(root: Path) -> None:
    assert folder.read(root, "sub/deep/c.txt", 5) == b"ccccc"
    assert folder.read(root, "sub/deep/c.txt", 4) == b"ccccc"
    assert folder.read(root, "sub/deep/c.txt", 3) == b"cccc"
    assert folder.read(root, "sub/deep/c.txt", 0) == b"c"


def test_names_in_any_script_are_read(root: Path) -> None:
    (root / "休假").mkdir()
    (root / "休假/Übergröße.md").write_bytes(b"x")
    assert folder.read(root, "休假/Übergröße.md", 10) == b"x"


@pytest.mark.parametrize("name", ["../secret.md", "/etc/passwd", "sub/../../secret.md", "a.md\x00"])
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_opened(
    root: Path, name: str
) -> None:
    with pytest.raises(SubjectNameError):
        folder.read(root, name, 100)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nothing.md", id="no-such-file"),
        pytest.param("sub/nothing.md", id="no-such-file-in-folder"),
        pytest.param("nowhere/b.md", id="no-such-folder"),
        pytest.param("a.md/b.md", id="file-as-folder"),
        pytest.param("sub", id="folder-as-file"),
        pytest.param("sub/deep", id="folder-in-folder-as-file"),
        pytest.param("x" * 300 + ".md", id="longer-than-the-file-system-allows"),
        pytest.param("x" * 300 + "/b.md", id="folder-longer-than-the-file-system-allows"),
    ],
)
def test_what_is_no_file_is_missing_and_leaves_nothing_open(root: Path, name: str) -> None:
    before = open_files()
    with pytest.raises(DocumentMissingError, match=r"no such file|cannot be read|not a regular"):
        folder.read(root, name, 100)
    assert open_files() == before


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    with pytest.raises(DocumentMissingError, match="not a regular file"):
        folder.read(root, "pipe.md", 100)


def test_a_socket_is_not_a_file(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(root)  # a socket's path has to be short
        try:
            made.bind("s.md")
        finally:
            os.chdir(here)
        with pytest.raises(DocumentMissingError, match="no such file"):
            folder.read(root, "s.md", 100)


@pytest.mark.parametrize(
    ("link", "target", "name"),
    [
        pytest.param("l.md", "../secret.md", "l.md", id="file-outside"),
        pytest.param("l.md", "a.md", "l.md", id="file-inside"),
        pytest.param("l.md", "nothing.md", "l.md", id="dangling"),
        pytest.param("l.md", "l.md", "l.md", id="loop"),
        pytest.param("l", "..", "l/secret.md", id="folder-outside"),
        pytest.param("l", "sub", "l/b.md", id="folder-inside"),
        pytest.param("sub/l", "deep", "sub/l/c.txt", id="folder-on-the-way"),
    ],
)
def test_a_symbolic_link_is_never_followed(root: Path, link: str, target: str, name: str) -> None:
    (root / link).symlink_to(target)
    before = open_files()
    with pytest.raises(SymlinkError, match=f"{link} is a symbolic link") as caught:
        folder.read(root, name, 100)
    assert caught.value.hint
    assert open_files() == before


def test_the_root_itself_may_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert folder.read(tmp_path / "link", "sub/b.md", 100) == b"bbbb"


@pytest.mark.parametrize("where", ["nowhere", "secret.md"])
def test_a_root_that_is_no_folder_is_a_usage_error(root: Path, tmp_path: Path, where: str) -> None:
    with pytest.raises(UsageError, match="root folder"):
        folder.read(tmp_path / where, "a.md", 100)


def test_reading_leaves_nothing_open(root: Path) -> None:
    before = open_files()
    for _ in range(5):
        folder.read(root, "sub/deep/c.txt", 100)
    assert open_files() == before


# --- walk ---


def walked(root: Path, start: Path) -> tuple[list[str], dict[str, str]]:
    found = list(folder.walk(root, start, FORMATS))
    names = [f for f in found if isinstance(f, str)]
    return names, {f.name: f.reason for f in found if isinstance(f, SkippedFile)}


def test_a_folder_is_walked_in_one_order_with_names_relative_to_the_root(root: Path) -> None:
    for name in ("z.md", "B.md", "sub/a.md"):
        (root / name).write_bytes(b"x")
    names, skipped = walked(root, root)
    assert names == ["B.md", "a.md", "z.md", "sub/a.md", "sub/b.md", "sub/deep/c.txt"]
    assert skipped == {}


def test_a_folder_below_the_root_is_walked_alone(root: Path) -> None:
    assert walked(root, root / "sub")[0] == ["sub/b.md", "sub/deep/c.txt"]


def test_a_single_file_is_taken_alone(root: Path) -> None:
    assert walked(root, root / "sub/b.md") == (["sub/b.md"], {})


def test_file_endings_are_compared_without_case(root: Path) -> None:
    (root / "LOUD.MD").write_bytes(b"x")
    assert "LOUD.MD" in walked(root, root)[0]


def test_what_is_not_taken_is_named_with_its_reason(root: Path) -> None:
    (root / ".hidden.md").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / ".git/c.md").write_bytes(b"x")
    (root / "picture.png").write_bytes(b"x")
    (root / "README").write_bytes(b"x")
    (root / "link.md").symlink_to("a.md")
    (root / "linked").symlink_to("sub")
    os.mkfifo(root / "pipe.md")
    (root / "cafe\u0301.md").write_bytes(b"x")
    names, skipped = walked(root, root)
    assert names == ["a.md", "sub/b.md", "sub/deep/c.txt"]
    assert skipped == {
        ".git": "hidden folder",
        ".hidden.md": "hidden file",
        "README": "format without an ending is not supported",
        "cafe\u0301.md": skipped["cafe\u0301.md"],
        "link.md": "symbolic link",
        "linked": "symbolic link",
        "picture.png": "format .png is not supported",
        "pipe.md": "not a regular file",
    }
    assert "normal form C" in skipped["cafe\u0301.md"]


def test_a_file_name_that_is_not_utf_8_is_skipped(root: Path) -> None:
    with open(os.path.join(os.fsencode(root), b"caf\xe9.md"), "wb") as file:
        file.write(b"x")
    names, skipped = walked(root, root)
    assert names == ["a.md", "sub/b.md", "sub/deep/c.txt"]
    assert len(skipped) == 1
    assert "invisible or control character" in next(iter(skipped.values()))


def test_a_link_given_as_the_start_is_skipped_and_not_walked(root: Path) -> None:
    (root / "linked").symlink_to("sub")
    (root / "gone.md").symlink_to("nothing.md")
    assert walked(root, root / "linked") == ([], {"linked": "symbolic link"})
    assert walked(root, root / "gone.md") == ([], {"gone.md": "symbolic link"})


def test_a_start_that_does_not_exist_is_a_usage_error(root: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        walked(root, root / "nothing")


def test_a_start_outside_the_root_is_a_usage_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not below the root folder") as caught:
        walked(root, tmp_path / "secret.md")
    assert "--root" in caught.value.hint


def test_a_start_that_leaves_the_root_by_dots_gives_no_name(root: Path) -> None:
    names, skipped = walked(root, root / "sub/../../secret.md")
    assert names == []
    assert "leaves the signed folder" in next(iter(skipped.values()))


def test_every_name_that_is_walked_can_be_read(root: Path) -> None:
    (root / "休假").mkdir()
    (root / "休假/x.md").write_bytes(b"x")
    names, _ = walked(root, root)
    assert len(names) == 4
    assert all(folder.read(root, name, 100) for name in names)
