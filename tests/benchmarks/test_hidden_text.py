"""The script that measures hidden text, on a handful of documents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.documents import SHOWN, pdf, word

ROOT = Path(__file__).parents[2]


def test_it_counts_what_is_hidden_by_format(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>Guests sign the book.</p><p hidden>four words are hidden")
    (tmp_path / "b.htm").write_text("<p>They return the badge.</p><!-- a comment -->")
    (tmp_path / "c.pdf").write_bytes(pdf(SHOWN))
    (tmp_path / "d.docx").write_bytes(word())
    (tmp_path / "broken.docx").write_bytes(b"PK")
    script = [sys.executable, str(ROOT / "benchmarks/hidden_text.py"), str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=True)
    docx, html, pdfs = map(json.loads, done.stdout.splitlines())
    assert (html["format"], html["by"], html["read"]) == ("html", "rules", 2)
    assert (html["words"], html["hidden_words"], html["with_hidden"]) == (8, 4, 1)
    assert list(html["most_hidden"]) == [str(tmp_path / "a.html")]
    assert (docx["read"], len(docx["unread"]), docx["hidden_words"]) == (1, 1, 0)
    assert (pdfs["by"], pdfs["read"], pdfs["hidden_words"]) == ("ink", 1, 0)
