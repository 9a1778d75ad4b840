"""Plot ROC curves, score distributions and checks alone as SVG text.

Names in them come from files: nothing is read as markup or mathematics, and matplotlib escapes what
it writes. The same report gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ragguard.bench.peers import OURS

# Okabe and Ito's colours, told apart by colour-blind readers too; ours is the dark blue.
BLUE = "#0b4f8a"
RED = "#c0392b"
OTHERS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#8c8c8c", "#b8a200", "#5d3a9b")
LEAST = 1e-4  # left end of the false-alarm axis
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # nor addresses
INCH = 0.075  # width of a letter
MANY = 6
LONGEST = 34  # characters of a name
Case = Mapping[str, Any]


def _svg(figure: Any, salt: str) -> str:
    """Return a figure as an `<svg>` element, without prolog, date or random ids."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", metadata=NO_METADATA, transparent=True, bbox_inches="tight"
        )
    text = str(buffer.getvalue())
    text = text[text.index("<svg") :]
    # Ids are unique in a figure; on the page they must be too.
    for mark in (' id="', "url(#", 'href="#'):
        text = text.replace(mark, f"{mark}{salt.replace(' ', '-')}-")
    return text


def _grid(count: int, height: float = 2.7) -> tuple[Any, list[Any]]:
    """Return a figure with so many axes, three a row, or four where there are many."""
    from matplotlib.figure import Figure

    columns = min(4 if count > MANY else 3, count)
    width = 3.3 * 3 / max(3, columns)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns + 0.4, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[count:]:
        spare.axis("off")
    return figure, axes[:count]


def _style() -> Any:
    import matplotlib

    return matplotlib.rc_context(
        {
            "font.family": "sans-serif",
            "font.size": 8.5,
            "text.parse_math": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#8a94a0",
            "axes.labelcolor": "#3a444f",
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "xtick.color": "#3a444f",
            "ytick.color": "#3a444f",
            "grid.color": "#e3e7eb",
            "legend.frameon": False,
        }
    )


def _title(case: Case) -> str:
    size = f", {case['per_target']} per target" if case["per_target"] else ""
    return _short(case["family"]) + size


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def roc(cases: Sequence[Case], salt: str) -> str:
    """ROC curves, one plot a case, the false-alarm axis logarithmic."""
    with _style():
        figure, axes = _grid(len(cases))
        methods = list(dict.fromkeys(name for c in cases for name in c["methods"]))
        colours = dict(
            zip([m for m in methods if m != OURS], OTHERS * len(methods), strict=False)
        ) | {OURS: BLUE}
        for axis, case in zip(axes, cases, strict=True):
            for name, method in reversed(list(case["methods"].items())):
                points = [(x, y) for x, y in method["roc"] if x > 0]
                # A curve starts where its first honest document is flagged, at the left.
                start = [(LEAST, method["roc"][0][1])]
                x, y = zip(*(start + points), strict=True)
                ours = name == OURS
                axis.step(
                    x,
                    y,
                    where="post",
                    color=colours[name],
                    linewidth=2.0 if ours else 1.0,
                    zorder=3 if ours else 2,
                    label=_short(name),
                )
            axis.axvspan(LEAST, 1 / case["counts"]["reported_honest"], color="#eef1f4", zorder=0)
            axis.axvline(0.01, color="#8a94a0", linewidth=0.7, linestyle=":")
            axis.set_xscale("log")
            axis.set_xlim(LEAST, 1)
            axis.set_ylim(-0.02, 1.02)
            axis.set_xticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0.01 %", "0.1 %", "1 %", "10 %", "all"])
            axis.minorticks_off()
            axis.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
            axis.grid(True)
            axis.set_title(_title(case), loc="left")
        figure.supxlabel("honest documents flagged", fontsize=8.5)
        figure.supylabel("poison flagged", fontsize=8.5)
        if len(methods) > 1:
            handles, labels = axes[0].get_legend_handles_labels()
            room = figure.get_figwidth() / (0.5 + INCH * max(len(label) for label in labels))
            figure.legend(
                handles[::-1], labels[::-1], loc="outside upper left", ncols=max(1, int(room))
            )
        return _svg(figure, f"roc {salt}")


def distributions(cases: Sequence[Case], salt: str) -> str:
    """Suspicion of honest newcomers and of subjects, one plot a case."""
    with _style():
        figure, axes = _grid(len(cases), height=2.0)
        for axis, case in zip(axes, cases, strict=True):
            edges = case["distribution"]["edges"]
            for key, colour in (("honest", BLUE), ("subjects", RED)):
                shares = case["distribution"][key]
                label = {"honest": "honest newcomers", "subjects": case["subjects"]}[key]
                if key == "subjects" and case["subjects"] == "honest":
                    label = "the other topic"
                axis.stairs(shares, edges, fill=True, alpha=0.35, color=colour)
                axis.stairs(shares, edges, color=colour, linewidth=1.1, label=label)
            axis.set_xlim(0, 1)
            axis.set_ylim(0)
            axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axis.yaxis.set_major_locator(_few())
            axis.set_title(_title(case), loc="left")
        axes[0].legend(loc="best", fontsize=7.5)
        figure.supxlabel("suspicion (higher is worse)", fontsize=8.5)
        return _svg(figure, f"distribution {salt}")


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)


def ablation(cases: Sequence[Case], salt: str, rate: float) -> str:
    """Detection by each check alone at a false-alarm rate, checks down, cases across."""
    from matplotlib.figure import Figure

    with _style():
        names = sorted(
            {name for c in cases for name in c["checks"]},
            key=lambda n: (-max(_alone(c, n, rate) or 0.0 for c in cases), n),
        )
        left = 0.5 + INCH * max(len(_short(n)) for n in names)
        slanted = 0.9 * INCH * max(len(_title(c)) for c in cases)
        figure = Figure(
            figsize=(left + 0.82 * len(cases) + slanted, 0.4 + slanted + 0.27 * len(names)),
            layout="constrained",
        )
        axis = figure.subplots()
        table = [[_alone(c, n, rate) or 0.0 for c in cases] for n in names]
        axis.pcolormesh(table, cmap="Blues", vmin=0, vmax=1.25, edgecolors="white", linewidth=1.5)
        for row, name in enumerate(names):
            for column, case in enumerate(cases):
                share = _alone(case, name, rate)
                axis.text(
                    column + 0.5,
                    row + 0.5,
                    "-" if share is None else f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    color="white" if (share or 0.0) > 0.7 else "#3a444f",
                )
        axis.set_yticks([i + 0.5 for i in range(len(names))], [_short(n) for n in names])
        axis.set_xticks(
            [i + 0.5 for i in range(len(cases))],
            [_title(c) for c in cases],
            rotation=35,
            ha="left",
            rotation_mode="anchor",
        )
        axis.xaxis.tick_top()
        axis.invert_yaxis()
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
        return _svg(figure, f"ablation {salt}")


def _alone(case: Case, name: str, rate: float) -> float | None:
    rows = case["checks"].get(name, {"at": []})["at"]
    detections: list[float | None] = [row["detection"] for row in rows if row["rate"] == rate]
    return detections[0] if detections else None
