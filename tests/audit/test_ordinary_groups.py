"""What is nobody's claim is no campaign: translations, shared passages, lists, code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragguard.audit import neighbourhoods
from ragguard.audit.neighbourhoods import look
from ragguard.knn.graph import neighbour_table
from tests.support.audit.spools import campaign, crowd, prose, spooled

RATE = 0.002
TRANSLATIONS = (
    "The backup is made every night and it is kept for thirty days. If a restore is needed, write "
    "to the desk that is named in the contract, and have the number of your order at hand.",
    "Die Sicherung wird in jeder Nacht erstellt und für dreißig Tage aufbewahrt. Wenn sie "
    "gebraucht wird, schreiben Sie an die Stelle, die im Vertrag genannt ist, und halten Sie die "
    "Nummer der Bestellung bereit.",
    "La sauvegarde est faite dans la nuit et elle est gardée pour une durée de trente jours. Si "
    "elle est utile, il faut écrire au bureau nommé dans le contrat, avec le numéro de la commande "
    "qui est sur la facture.",
    "Резервная копия создаётся каждую ночь и хранится тридцать дней. Если она нужна, напишите в "
    "отдел, который указан в договоре, и приготовьте номер заказа.",
)
PARAPHRASES = (
    TRANSLATIONS[0],
    "Copies of all data are taken at night, for a month. Who wants one back has to ask the office "
    "in the agreement and to tell which order it was.",
    "Each evening we save what you have with us, and we delete that after four weeks. To get it "
    "again, contact the team from your papers and say the order's number.",
    "You can have lost files again for thirty days, as they are saved daily. Send the order number "
    "to the address which your contract gives.",
)
PASSAGE = prose(41, 24)
SIGNATURES = tuple(
    f".. automethod:: types.{name}.clone(value=NoValue(), {a}=TagSet(), {b}='us-ascii')\n"
    f"   .. automethod:: types.{name}.subtype(value=NoValue(), {c}=Tag(), {d}=Spec(), {e}=Range())"
    for name, a, b, c, d, e in (
        ("Enumerated", "tags", "named", "implicit", "subspec", "between"),
        ("VisibleString", "tag_set", "encoding", "outer", "constraint", "length"),
        ("ObjectDescriptor", "kinds", "charset", "explicit", "restriction", "size"),
        ("UtcTime", "marks", "zone", "inner", "bounds", "span"),
    )
)


def named(folder: Path, texts: Sequence[str]) -> int:
    """How many documents of a tight group with these texts are suspected."""
    honest = crowd()
    group = campaign(honest, len(texts), texts=texts)
    spool = spooled(folder, [*honest, *group])
    hoods = look(spool, neighbour_table(spool.vectors, neighbourhoods.K), RATE, "docs")
    names = {p.document for p in group}
    return sum(bool(hoods.suspects[i]) for i, name in enumerate(spool.labels) if name in names)


def test_translations_of_a_page_are_no_campaign_and_paraphrases_are(tmp_path: Path) -> None:
    assert named(tmp_path / "translated", TRANSLATIONS) == 0
    assert named(tmp_path / "reworded", PARAPHRASES) == 4


def test_a_passage_that_pages_share_is_no_campaign(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pages = [f"{prose(50 + i, 20)} {PASSAGE} {prose(60 + i, 6)}" for i in range(4)]
    shuffled = [
        f"{prose(50 + i, 20)} {' '.join(rng.permutation(PASSAGE.split()))} {prose(60 + i, 6)}"
        for i in range(4)
    ]
    assert named(tmp_path / "shared", pages) == 0
    assert named(tmp_path / "shuffled", shuffled) == 4


@pytest.mark.parametrize(("words", "found"), [(8, 0), (30, 4)])
def test_a_group_is_named_only_where_its_texts_say_something(
    words: int, found: int, tmp_path: Path
) -> None:
    assert named(tmp_path, [prose(70 + i, words) for i in range(4)]) == found


def test_signatures_without_prose_are_no_campaign(tmp_path: Path) -> None:
    assert named(tmp_path / "code", SIGNATURES) == 0
    reworded = [f"{p} {s}" for p, s in zip(PARAPHRASES, SIGNATURES, strict=True)]
    assert named(tmp_path / "prose", reworded) == 4
