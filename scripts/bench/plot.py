#!/usr/bin/env python3
"""Draw what side_by_side.py measured and wrote as JSON: client CPU by client, one panel for each kind of work, as PNG and SVG.

With several figures each kind of work has a row of panels.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.ticker
import report

matplotlib.use("Agg")

import matplotlib.pyplot as plt

COLOURS = {
    "acsylla_like": "#0b6e4f",
    "compat": "#5aa786",
    "acsylla": "#c1666b",
    "bare_driver": "#48494b",
    "scyllapy": "#e4b363",
    "cassandra_driver": "#6c8ead",
}
CUT_AT = 12
FIGURES = {
    "cpu": ("client CPU, µs per request or row", 1e6),
    "rate": ("requests or rows per second", 1.0),
    "p50": ("latency, median, µs", 1e6),
    "p99": ("latency, 99th percentile, µs", 1e6),
    "server": ("server CPU, µs per row", 1e6),
    "peak_kib": ("peak memory, MiB", 1 / 1024),
    "grown_kib": ("memory beyond that of the data given, MiB", 1 / 1024),
}


def draw(measured: dict[str, Any], figures: list[str], clients: list[str]) -> Any:
    """A picture with a panel for each figure of each kind of work; bars are medians, whiskers the quartiles of the rounds."""
    panels = {
        (title, figure): {name: by_client[name][figure] for name in clients if by_client.get(name, {}).get(figure)}
        for title, by_client in measured["work"].items()
        for figure in figures
    }
    panels = {which: by_client for which, by_client in panels.items() if by_client}
    across = len(figures) if len(figures) > 1 else min(3, len(panels))
    down = -(-len(panels) // across)
    longest_panel = max(map(len, panels.values()))
    picture, axes = plt.subplots(down, across, figsize=(5.2 * across, (0.9 + 0.32 * longest_panel) * down), squeeze=False)
    for place in axes.flat[len(panels) :]:
        place.axis("off")
    for place, ((title, figure), by_client) in zip(axes.flat, panels.items(), strict=False):
        label, unit = FIGURES[figure]
        # What is far longer than the rest would hide it: its bar is cut, its number stays.
        limit = (CUT_AT if figure != "rate" else 1e9) * min(statistics.median(values) for values in by_client.values()) * unit
        longest = 0.0
        for row, (name, values) in enumerate(by_client.items()):
            low, median, high = _quartiles([value * unit for value in values])
            kind = name.partition(":")[0].partition(" ")[0]
            end = min(limit, max(median, high))
            longest = max(longest, end)
            place.barh(
                row, min(median, limit), color=COLOURS.get(kind, "#999999"), alpha=0.6 if ":" in name and kind != "bare_driver" else 1.0
            )
            place.plot([min(low, limit), end], [row, row], color="black", linewidth=1)
            number = f"{median:,.3g}" if median < 1000 else f"{median:,.0f}"
            place.annotate(f" {number}{' …' if median > limit else ''}", (end, row), va="center", fontsize=8)
        place.set_yticks(range(len(by_client)), by_client, fontsize=8)
        place.invert_yaxis()
        if figure == figures[0]:
            place.set_title(title, fontsize=9, loc="left")
        if len(figures) > 1:
            place.set_xlabel(label, fontsize=8)
            place.ticklabel_format(axis="x", style="plain")
            place.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
        place.tick_params(axis="x", labelsize=7)
        place.set_xlim(0, 1.18 * longest)
        place.spines[["top", "right"]].set_visible(False)
    machine = measured["machine"]
    common = f"{FIGURES[figures[0]][0]}; " if len(figures) == 1 else ""
    picture.suptitle(
        f"{common}{measured['server']}; {machine['processor']}, {machine['cores']} cores, CPython {machine['python']};"
        f" medians and quartiles of {measured['rounds']} rounds",
        fontsize=10,
    )
    picture.tight_layout(rect=(0, 0, 1, 0.985))
    return picture


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path, help="what side_by_side.py --json wrote")
    parser.add_argument("output", type=Path, help="the pictures' name; .png and .svg are put behind it")
    parser.add_argument("--figure", default="cpu", help=f"one or several, after commas, of {', '.join(FIGURES)} (default: cpu)")
    parser.add_argument("--clients", help="which, after commas; without it, all that are within ten times of the bare driver's CPU")
    arguments = parser.parse_args()
    measured = json.loads(arguments.figures.read_text(encoding="utf-8"))
    figures = arguments.figure.split(",")
    names = list(measured["clients"])
    clients = arguments.clients.split(",") if arguments.clients else [name for name in names if _is_near(measured, name)]
    picture = draw(measured, figures, clients)
    for kind in ("png", "svg"):
        metadata = {"Date": None} if kind == "svg" else None
        picture.savefig(f"{arguments.output}.{kind}", dpi=110, metadata=metadata)


def _is_near(measured: dict[str, Any], name: str) -> bool:
    is_best = [report.peer(by_client, name) == name for by_client in measured["work"].values() if name in by_client]
    if name.partition(":")[0].partition(" ")[0] == "acsylla" and not any(is_best):
        return False  # there is a form that takes less
    found = [report.ratios(by_client, name, report.BARE) for by_client in measured["work"].values()]
    return statistics.median([three[1] for three in found if three is not None] or [1.0]) <= 10


if __name__ == "__main__":
    main()
