"""Describe the corpus at a commit as a dataset card with the front matter of Hugging Face's hub.

It holds no text of a document, no name of one, and of sources that are not for every reader their
number alone: a card is made to be published.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from ragguard import __version__
from ragguard.corpus.documents import format_of
from ragguard.export.corpus_at import CorpusAt, SourceAt, license_of
from ragguard.text.safe_display import cut, line

# https://huggingface.co/docs/hub/datasets-cards
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
_HUB_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,40}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#|!&~])")


def dataset_card(corpus: CorpusAt) -> str:
    """Return the card of the corpus at a commit; the same for the same commit."""
    row = corpus.row
    shown = [source for source in corpus.sources if not source.restricted]
    hidden = [source for source in corpus.sources if source.restricted]
    lines = [
        *_front_matter(corpus),
        f"# {_plain(corpus.name)}",
        "",
        "A corpus for retrieval-augmented generation. Its documents were signed by their sources, "
        "held against their contract, and judged before they came in.",
        "",
        "## Dataset details",
        "",
        f"- **Documents:** {corpus.documents:,}",
        f"- **Sources:** {len(corpus.sources):,}",
        f"- **Version:** commit {row.id}, {row.at}",
        f"- **Digest of all documents:** `{row.corpus}`",
        f"- **Log:** {_plain(corpus.name)}, entry {corpus.log_index}",
        f"- **License:** {_licenses(shown)}",
        f"- **Made with:** ragguard {__version__}",
        "",
        "## Sources",
        "",
        *_sources(shown, hidden),
        "",
        "## Structure",
        "",
        *_formats(shown),
        f"Passages are cut by `{_code(corpus.recipe.get('splitter', '?'))}` and embedded with "
        f"`{_code(corpus.recipe.get('model', '?'))}` in {corpus.recipe.get('dimensions', '?')} "
        "dimensions."
        if corpus.recipe
        else "Nothing is embedded.",
        "",
        "## How it was curated",
        "",
        *_verdicts(corpus),
        "",
        "What waits for a reviewer, and what was rejected, is not in it. A document that came in "
        "is signed and looked like the others; that it is true was not verified.",
        "",
        "## Verifying",
        "",
        "`ragguard export` writes the documents with their manifests, trust roots and log; "
        "`ragguard export --verify` proves them, with public keys alone, to have the digest above.",
        "",
    ]
    return "\n".join(lines)


def _front_matter(corpus: CorpusAt) -> list[str]:
    shown = [row for s in corpus.sources if not s.restricted for row in s.documents]
    names = {license_of(row).lower() for row in shown}
    (only,) = names if len(names) == 1 else ("",)
    known = only if _HUB_LICENSE.fullmatch(only) else "other" if names - {""} else "unknown"
    languages = sorted(
        {
            value.lower()
            for row in shown
            if isinstance(value := row.metadata.get("language"), str)
            and _LANGUAGE.fullmatch(value.lower())
        }
    )
    lines = ["---", f"pretty_name: {json.dumps(line(corpus.name))}", f"license: {known}"]
    if languages:
        lines += ["language:", *(f"- {json.dumps(value)}" for value in languages[:50])]
    size = next((name for most, name in SIZES if corpus.documents < most), "n>100M")
    return [
        *lines,
        "task_categories:",
        "- text-retrieval",
        "size_categories:",
        f"- {size}",
        "tags:",
        "- rag",
        "- ragguard",
        "---",
        "",
    ]


def _plain(text: object) -> str:
    """Return the text of others in Markdown: one line, no markup."""
    return _MARKUP.sub(r"\\\1", cut(line(str(text)), 200))


def _code(text: object) -> str:
    return cut(line(str(text)), 120).replace("`", "'")


def _licenses(shown: Sequence[SourceAt]) -> str:
    counts = Counter(license_of(row) or "not told" for s in shown for row in s.documents)
    return ", ".join(f"{_plain(name)} ({n:,})" for name, n in counts.most_common(20)) or "not told"


def _sources(shown: Sequence[SourceAt], hidden: Sequence[SourceAt]) -> list[str]:
    lines = []
    if shown:
        lines += ["| source | documents | signed by |", "|---|---:|---|"]
        for source in shown:
            who = ", ".join(map(_plain, source.signers)) or "nobody (adopted)"
            lines.append(f"| {_plain(source.name)} | {len(source.documents):,} | {who} |")
    if hidden:
        number = sum(len(source.documents) for source in hidden)
        hidden_sources = f"{len(hidden)} source{'s' if len(hidden) > 1 else ''}"
        lines += [
            "",
            f"Besides, {number:,} documents of {hidden_sources} that are for some readers only.",
        ]
    return lines or ["None."]


def _formats(shown: Sequence[SourceAt]) -> list[str]:
    counts = Counter(format_of(row.subject) for s in shown for row in s.documents)
    if not counts:
        return []
    told = ", ".join(f"{n:,} `.{_code(name)}`" for name, n in counts.most_common(20))
    return [f"Documents come as {told}.", ""]


def _verdicts(corpus: CorpusAt) -> list[str]:
    rows = [row for source in corpus.sources for row in source.documents]
    released = sum(row.outcome == "quarantine" for row in rows)
    admitted = len(rows) - released
    return [
        f"- {admitted:,} documents were admitted by the checks",
        f"- {released:,} were held, and released by a reviewer's signed decision",
    ]
