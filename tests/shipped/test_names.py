"""Names and first lines say what there is: what a stranger would search for is found."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "ragguard"
MODULES = {str(p.relative_to(PACKAGE)): ast.parse(p.read_text()) for p in PACKAGE.rglob("*.py")}
RIDDLES = {"What", "How", "Who", "Which", "Where", "When", "Why", "Whether", "The", "A", "An", "It"}
# A variable of one of these names says nothing of what it holds; a few truly are such.
EMPTY_NAMES, FEW = ("found", "made", "one", "said"), 20


def test_the_first_line_of_a_module_is_no_riddle() -> None:
    texts = {name: ast.get_docstring(tree) or "" for name, tree in MODULES.items()}
    assert [name for name, text in texts.items() if not text] == []
    firsts = {name: text.split()[0].rstrip(":,") for name, text in texts.items()}
    assert {n: f for n, f in firsts.items() if f in RIDDLES} == {}, "begin with verb and object"


def test_variables_are_named_for_what_they_hold() -> None:
    counts = Counter(
        node.id
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    assert {n: counts[n] for n in EMPTY_NAMES if counts[n] > FEW} == {}


def test_no_public_class_stands_for_two_things() -> None:
    """A room's class and the page's JSON for it may share a name, and what people import may."""
    shared = {"Params", "GuardedRetriever", "Hit", "Asked", "Evidence", "Workspace"}
    homes: dict[str, list[str]] = {}
    for name, tree in MODULES.items():
        if name.startswith("integrations/web/"):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name)
    assert {n: h for n, h in homes.items() if len(h) > 1 and n not in shared} == {}
