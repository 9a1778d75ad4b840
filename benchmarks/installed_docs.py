"""Gathers ordinary documents that an installed machine has anyway, for `ragguard bench --honest`.

    python benchmarks/installed_docs.py FOLDER [--packages 20] [--pages 120] [--seed 0]
    ragguard bench --honest FOLDER/* --cache .vectors -o result

READMEs, Markdown, reStructuredText and text of installed Python packages, documentation folders of
the system, manual pages rendered to text, HTML documentation. A package with enough pages is a
collection of its own; the pages of small packages go together by kind. What is drawn depends on
the seed and on what is installed: figures of two machines are not comparable, those of one before
and after a change are. Prints how many documents each collection has.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

WANTED = frozenset({".md", ".rst", ".txt", ".html", ".htm"})
BARE = re.compile(r"^(README|NEWS|CHANGELOG|CHANGES|FAQ|HOWTO|TODO|copyright|METADATA)\b", re.I)
LEFT = frozenset({"test", "tests", "site-packages", "dist-packages"})  # below a folder
LEAST, MOST = 300, 200_000  # bytes of a page
OWN = 20  # pages from which a package is a collection of its own


def python_folders() -> list[Path]:
    """Where installed Python packages lie."""
    paths = sysconfig.get_paths()
    return [Path(paths[key]) for key in ("purelib", "platlib", "stdlib") if key in paths]


def node_folders() -> list[Path]:
    """Where global node packages lie, if node is installed."""
    node = shutil.which("node")
    return [Path(node).resolve().parents[1] / "lib/node_modules"] if node else []


def document_folders() -> list[Path]:
    """Folders of documentation, as XDG names the data folders."""
    data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [Path(part) / "doc" for part in data.split(":") if part]


def manual_folders() -> list[Path]:
    """The path of `man`, else the usual places."""
    found = ""
    if manpath := shutil.which("manpath"):
        done = subprocess.run([manpath, "-q"], capture_output=True, text=True, check=False)
        found = done.stdout.strip()
    return [Path(part) for part in (found or "/usr/local/share/man:/usr/share/man").split(":")]


def pages(roots: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Package and file of every page below some folders; links are not followed."""
    for root in dict.fromkeys(r.resolve() for r in roots if r.is_dir()):
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in LEFT)
            here = Path(folder)
            for name in sorted(files):
                path = here / name
                plain = name.removesuffix(".gz")
                if Path(plain).suffix.lower() not in WANTED and not BARE.match(plain):
                    continue
                parts = path.relative_to(root).parts
                if len(parts) > 1 and not path.is_symlink():
                    yield re.sub(r"-\d.*$", "", parts[0]), path


def read(path: Path) -> str | None:
    """Text of a page; `None` for what is no page: too short, too long, not text."""
    try:
        if path.stat().st_size > MOST:
            return None
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, ValueError, EOFError):
        return None
    words = len(re.findall(r"[^\W\d_]{2,}", text))
    return text if LEAST <= len(text) <= MOST and words >= 40 else None


def file_name(path: Path, number: int) -> str:
    """A name of its own, with an ending that `sign` takes."""
    plain = path.name.removesuffix(".gz")
    suffix = Path(plain).suffix.lower().replace(".htm", ".html").replace(".htmll", ".html")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(plain).stem)[:60].strip(".-") or "page"
    if suffix not in WANTED:
        stem, suffix = re.sub(r"[^A-Za-z0-9_-]+", "-", plain)[:60].strip("-"), ".txt"
    return f"{stem}-{number}{suffix}"


def render_manual(path: Path) -> str | None:
    """A manual page as a reader sees it."""
    man = shutil.which("man")
    if man is None:
        return None
    done = subprocess.run(
        [man, "-l", "-P", "cat", str(path)],
        capture_output=True,
        check=False,
        timeout=20,
        env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )
    text = re.sub(r".\x08", "", done.stdout.decode("utf-8", "replace"))
    return text if len(text) >= LEAST else None


def gather(roots: Mapping[str, Sequence[Path]], rng: random.Random, most: int) -> dict[str, dict]:
    """Pages by collection and file name, each text once.

    Args:
        roots: Folders by kind.
        rng: Draws.
        most: Pages of a collection.
    """
    found: dict[str, dict[str, str]] = {}
    seen: set[int] = set()
    for kind, folders in roots.items():
        packages: dict[str, list[Path]] = defaultdict(list)
        for package, path in pages(folders):
            packages[package].append(path)
        small: list[Path] = []
        for package, paths in sorted(packages.items()):
            if len(paths) < OWN:
                small += paths
            else:
                name = re.sub(r"[^a-z0-9-]+", "-", f"{kind}-{package}".lower())
                keep(found.setdefault(name, {}), paths, rng, most, seen)
        keep(found.setdefault(f"{kind}-small", {}), small, rng, 2 * most, seen)
    return found


def keep(
    into: dict[str, str], paths: list[Path], rng: random.Random, most: int, seen: set[int]
) -> None:
    """Draw pages into a collection."""
    for path in rng.sample(paths, len(paths)):
        if len(into) >= most:
            return
        text = read(path)
        if text is not None and hash(text) not in seen:
            seen.add(hash(text))
            into[file_name(path, len(into))] = text


def manuals(folders: Sequence[Path], rng: random.Random, most: int) -> dict[str, str]:
    """Rendered manual pages."""
    paths = sorted({p for f in folders if f.is_dir() for p in f.glob("man[1-8]/*") if p.is_file()})
    made: dict[str, str] = {}
    for path in rng.sample(paths, len(paths)):
        if len(made) >= most:
            break
        text = render_manual(path)
        if text is not None:
            made[f"{path.name.removesuffix('.gz')}.txt"] = text
    return made


def main() -> None:
    """Gather, write, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="is made; must not exist")
    parser.add_argument("--packages", type=int, default=20, help="most collections")
    parser.add_argument("--pages", type=int, default=120, help="most pages of a collection")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--python", type=Path, action="append", help="folder of Python packages")
    parser.add_argument("--docs", type=Path, action="append", help="folder of documentation")
    parser.add_argument("--man", type=Path, action="append", help="folder of manual pages")
    options = parser.parse_args()
    if options.folder.exists():
        sys.exit(f"{options.folder}: exists already")
    rng = random.Random(options.seed)
    roots = {
        "python": options.python or python_folders(),
        "node": node_folders(),
        "docs": options.docs or document_folders(),
    }
    found = gather(roots, rng, options.pages)
    found["man"] = manuals(options.man or manual_folders(), rng, 2 * options.pages)
    found = {name: texts for name, texts in found.items() if len(texts) >= 10}
    names = sorted(found, key=lambda n: (not n.endswith("small") and n != "man", -len(found[n])))
    for name in sorted(names[: options.packages]):
        (options.folder / name).mkdir(parents=True)
        for file, text in found[name].items():
            (options.folder / name / file).write_text(text, "utf-8")
        print(f"{len(found[name]):5d}  {name}")
    print(f"{sum(len(found[n]) for n in names[: options.packages]):5d}  documents")


if __name__ == "__main__":
    main()
