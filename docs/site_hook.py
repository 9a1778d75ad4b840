"""Let mkdocs build the site from pages that are also read on a code host.

The front page is the README. Links that leave docs/ lead to the file in the repository; links to a
folder lead there too. Comments for tests (`<!-- not run: … -->`) are left out.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?P<before>\[[^\]]*\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Make the front page out of the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite what a code host resolves and a site does not."""
    home = PurePosixPath("docs") / PurePosixPath(page.file.src_uri).parent
    if page.file.src_uri == "index.md":
        home = PurePosixPath()

    def link(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = (ROOT / home / target).resolve()
        name = path.relative_to(ROOT).as_posix()
        if name == "README.md":
            new = _up(page) + "index.md"
        elif path.is_relative_to(ROOT / "docs") and path.is_file():
            if page.file.src_uri != "index.md":
                return match[0]
            new = name.removeprefix("docs/")
        else:
            kind = "tree" if path.is_dir() else "blob"
            new = f"{config.repo_url}/{kind}/main/{name}"
        return f"{match['before']}{new}{anchor})"

    return re.sub(r"<!-- not run:[^>]*-->\n+", "", LINK.sub(link, markdown))


def _up(page: Any) -> str:
    return "../" * page.file.src_uri.count("/")
