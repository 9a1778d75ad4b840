"""Encoders that were tampered with, and upgrades good and bad, before the probe and the gate.

The handbook is indexed by the default model, with its 60 canaries in force. Each other encoder is
then probed for triggers and rebuilt onto, through the gate, with `[reindex] probe` off so that the
canaries alone decide. The trigger is no canary but where it is said.

    python benchmarks/trojaned_encoder.py [NAME...]

Prints one JSON line for each encoder. Needs torch for `64 dimensions`, and for `fine-tuned`, which
is trained here.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ragguard import canary
from ragguard.canary import Canaries, formats
from ragguard.canary.measures import NDCG
from ragguard.canary.trigger_probe import probe
from ragguard.embed import models
from ragguard.embed.encoder import open_encoder
from ragguard.rebuild.gate import canary_gate
from ragguard.rebuild.reindex import reindex
from tests.support import trojan
from tests.support.simulator import Gate
from tests.support.workspaces.handbook import CORPORA, handbook_gate

FOLDER = CORPORA / "handbook/canaries"


def queries() -> Canaries:
    """The handbook's canaries."""
    asked = formats.read_queries(FOLDER / "queries.jsonl", "wiki/")
    qrels = formats.read_qrels(FOLDER / "qrels.trec", "wiki/")
    return canary.merge(asked, Canaries(qrels=qrels))


def fine_tuned(folder: Path) -> Path:
    """An encoder trained on the handbook's queries."""
    texts = list(queries().queries.values())
    return trojan.fine_tune(folder, trojan.TRIGGER, trojan.PASSAGE, texts)


ENCODERS: dict[str, Callable[[Path], Path | str]] = {
    "default": lambda folder: models.DEFAULT_MODEL,
    "half precision": trojan.rounded,
    "8 bits": lambda folder: trojan.coarse(folder, 8),
    "4 bits": lambda folder: trojan.coarse(folder, 4),
    "3 bits": lambda folder: trojan.coarse(folder, 3),
    "5 of 6 layers": lambda folder: trojan.shallow(folder, 5),
    "64 dimensions": lambda folder: trojan.truncated(folder, 64),
    "3 rows rewritten": trojan.with_rows,
    "fine-tuned": fine_tuned,
}
TAMPERED = ("3 rows rewritten", "fine-tuned")


def rebuilt(gate: Gate, asked: Canaries) -> dict[str, Any]:
    """Rebuild onto the model of the settings, and what the gate measured."""
    canary.keep(gate.workspace, asked)
    seen: list[Any] = []

    def judged(old: str, new: str) -> list[str]:
        with_canaries = canary_gate(gate.workspace)
        before = canary.run(gate.workspace, asked, collection=old, encoder=default)
        after = canary.run(gate.workspace, asked, collection=new, encoder=gate.workspace.encoder)
        seen.append(canary.compare(before, after))
        return list(with_canaries(old, new)) if with_canaries else []

    default = open_encoder(models.DEFAULT_MODEL, runtime="auto", size=1000, overlap=100)
    made = reindex(gate.workspace, yes=True, gate=judged)
    found = seen[0].differences[NDCG]
    return {
        "exit": made.exit_code,
        "refused": list(made.refused)[:3],
        "ndcg_before": round(found.before, 4),
        "ndcg_after": round(found.after, 4),
        "difference": [
            round(v, 4) for v in (found.paired.mean, found.paired.low, found.paired.high)
        ],
        "compared": made.compared.as_dict() if made.compared else None,
    }


def probed(name: str) -> dict[str, Any]:
    """What the probe says."""
    encoder = open_encoder(name, runtime="auto", size=1000, overlap=100)
    found = probe(encoder)
    return {
        "scanned": found.scanned,
        "alarms": [(p.text, round(p.collapse, 3)) for p in found.alive][:8],
        "near": len(found.near),
        "most": [(p.text, round(p.collapse, 3)) for p in found.pulls[:3]],
        "probe_seconds": found.seconds,
    }


def main(names: list[str]) -> None:
    """Measure some encoders, or all."""
    for name in names or ENCODERS:
        folder = Path(tempfile.mkdtemp(prefix="ragguard-encoder-"))
        began = time.perf_counter()
        path = str(ENCODERS[name](folder / "model"))
        row: dict[str, Any] = {"encoder": name, "made_s": round(time.perf_counter() - began, 1)}
        row |= probed(path)
        if name != "default":
            asked = queries()
            for label, more in {"": (), "with_trigger": (trojan.TRIGGER,)}.items():
                if label and name not in TAMPERED:
                    continue
                gate = handbook_gate(folder / f"w{label}")
                gate.settings = gate.settings.model_validate(
                    {"model": {"name": path}, "reindex": {"probe": False}}
                )
                row[label or "gate"] = rebuilt(gate, canary.merge(asked, Canaries(triggers=more)))
                gate.close()
        print(json.dumps(row), flush=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
