"""Measure how much of ordinary documents is taken for hidden, and what it costs to find out.

python benchmarks/hidden_text.py /usr/share/doc
python benchmarks/hidden_text.py --draw --most 100 pages/     # pages in a browser, too

Read are the `.html`, `.htm`, `.pdf` and `.docx` below the folders, the smaller ones first, one
after the other, in workers as an ingest reads them. What no reader ever sees (comments, `noscript`,
templates, what a file says about itself) is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragguard.config import ParseSettings
from ragguard.parse.workers import Read, Source, Unread, read_documents

FORMATS = {".html": "html", ".htm": "html", ".pdf": "pdf", ".docx": "docx"}
UNWRITTEN = {"html-comment", "html-noscript", "html-template", "front-matter", "invalid-bytes"}
WORD = re.compile(r"\w+")
Measured = tuple[Path, Read | Unread, float]
RULES, DRAWN = ParseSettings(), ParseSettings(render="chromium")


def files(folders: Sequence[Path], most: int) -> dict[str, list[Path]]:
    """The files to read, by format."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for path in [folder] if folder.is_file() else folder.rglob("*"):
            if path.suffix.lower() in FORMATS and path.is_file() and path.stat().st_size:
                found[FORMATS[path.suffix.lower()]].append(path)
    return {f: sorted(p, key=lambda x: (x.stat().st_size, x))[:most] for f, p in found.items()}


def words(text: str) -> Counter[str]:
    """How often each word stands in a text."""
    return Counter(WORD.findall(text))


def unseen(read: Read) -> int:
    """Words that are hidden in a document."""
    hidden = [h.text for h in read.parsed.hidden if h.kind not in UNWRITTEN]
    return sum(words(" ".join(hidden)).values())


def measured(fmt: str, paths: Sequence[Path], settings: ParseSettings) -> Iterator[Measured]:
    """Each document as it is read, and in how many seconds."""
    read_documents([Source(b"<p>words", "html")], settings, size=1000, overlap=100)  # to be warm
    for path in paths:
        source, begin = Source(path.read_bytes(), fmt), time.perf_counter()
        (read,) = read_documents([source], settings, size=1000, overlap=100)
        yield path, read, time.perf_counter() - begin


def table(fmt: str, by: str, found: Sequence[Measured]) -> dict[str, object]:
    """One row of figures."""
    whole = [(path, read, took) for path, read, took in found if isinstance(read, Read)]
    hidden = {str(path): count for path, read, _ in whole if (count := unseen(read))}
    took = sorted(seconds for _, _, seconds in whole) or [0.0]
    return {
        "format": fmt,
        "by": by,
        "read": len(whole),
        "unread": [f"{p}: {r.reason}" for p, r, _ in found if isinstance(r, Unread)],
        "words": sum(sum(words(read.parsed.text).values()) for _, read, _ in whole),
        "hidden_words": sum(hidden.values()),
        "with_hidden": len(hidden),
        "median_ms": round(1000 * took[len(took) // 2], 1),
        "mean_ms": round(1000 * sum(took) / len(took), 1),
        "most_hidden": dict(sorted(hidden.items(), key=lambda one: -one[1])[:10]),
    }


def main() -> None:
    """Print one JSON object a format and way of judging, and what two ways judge otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=100, help="documents of a format")
    parser.add_argument("--draw", action="store_true", help="judge pages in a browser, too")
    asked = parser.parse_args()
    for fmt, paths in sorted(files(asked.folders, asked.most).items()):
        ways = {"ink" if fmt == "pdf" else "rules": RULES}
        if asked.draw and fmt == "html":
            ways["ink"] = DRAWN
        texts: list[dict[Path, Counter[str]]] = []
        for by, settings in ways.items():
            found = list(measured(fmt, paths, settings))
            print(json.dumps(table(fmt, by, found)))
            texts.append({p: words(r.parsed.text) for p, r, _ in found if isinstance(r, Read)})
        if len(texts) == 2:
            both = texts[0].keys() & texts[1].keys()
            lost = sum((texts[0][path] - texts[1][path]).total() for path in both)
            won = sum((texts[1][path] - texts[0][path]).total() for path in both)
            print(json.dumps({"pages": len(both), "only_by_rules": lost, "only_by_ink": won}))


if __name__ == "__main__":
    main()
