#!/usr/bin/env python3
"""Tables of what side_by_side.py measured and wrote as JSON."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BARE = "bare_driver:eventfd"
BARE_CALLBACK = "bare_driver:callback"

Figures = dict[str, dict[str, list[float]]]  # client → name of the figure → one number per round


def peer(by_client: Figures, name: str) -> str:
    """The client that `name` is compared with: acsylla on the same event loop, in the form that takes the least CPU."""
    wanted = "acsylla:uvloop" if name.partition(" ")[0].endswith(":uvloop") else "acsylla"
    forms = [other for other in by_client if other.partition(" ")[0] == wanted and by_client[other].get("cpu")]
    return min(forms, key=lambda form: statistics.median(by_client[form]["cpu"]), default=wanted)


def ratios(by_client: Figures, name: str, other: str, figure: str = "cpu") -> tuple[float, float, float] | None:
    """Lower quartile, median and upper quartile of the per-round ratios of `name` to `other`; None when one was not measured."""
    if not by_client.get(name, {}).get(figure) or not by_client.get(other, {}).get(figure):
        return None
    found = [mine / theirs for mine, theirs in zip(by_client[name][figure], by_client[other][figure], strict=True)]
    if len(found) == 1:
        return found[0], found[0], found[0]
    low, median, high = statistics.quantiles(found, n=4, method="inclusive")
    return low, median, high


def median(by_client: Figures, name: str, figure: str) -> float | None:
    values = by_client[name].get(figure)
    return statistics.median(values) if values else None


def _micro(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:,.2f}" if seconds < 1e-4 else f"{seconds * 1e6:,.0f}"


def _spread(three: tuple[float, float, float] | None) -> str:
    return "" if three is None else f"{three[1]:.2f} ({three[0]:.2f}–{three[2]:.2f})"


def _lines(measured: dict[str, Any]) -> Iterator[str]:
    machine = measured["machine"]
    yield f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, CPython {machine['python']}; {measured['server']};"
    yield f"medians of {measured['rounds']} interleaved rounds, ratios per round with quartiles; driver {measured['driver']};"
    yield ", ".join(f"{name} {version}" for name, version in measured["clients"].items() if ":" not in name)
    for title, by_client in measured["work"].items():
        yield ""
        if any("server" in figures for figures in by_client.values()):
            yield from _bulk_lines(title, by_client)
            continue
        has_memory = any("peak_kib" in figures for figures in by_client.values())
        yield (
            f"{title:<54}{'CPU µs':>10}  {'to acsylla':<22}{'to the bare driver':<22}"
            + (f"{'wall µs':>10}{'peak MiB':>10}" if has_memory else f"{'per second':>11}{'p50 µs':>10}{'p99 µs':>10}")
        )  # fmt: skip
        for name in by_client:
            if not by_client[name]:
                continue
            to_peer = _spread(ratios(by_client, name, peer(by_client, name)))
            cells = f"    {name:<50}{_micro(median(by_client, name, 'cpu')):>10}  {to_peer:<22}"
            cells += f"{_spread(ratios(by_client, name, BARE)):<22}"
            if has_memory:
                yield f"{cells}{_micro(median(by_client, name, 'wall')):>10}{(median(by_client, name, 'peak_kib') or 0) / 1024:>10.1f}"
                continue
            rate = median(by_client, name, "rate") or 0.0
            yield f"{cells}{rate:>11,.0f}{_micro(median(by_client, name, 'p50')):>10}{_micro(median(by_client, name, 'p99')):>10}"


def cores(by_client: Figures, name: str, figure: str) -> float:
    """How many processors a client (`cpu`) or the server (`server`) had on average."""
    return statistics.median(cpu / wall for cpu, wall in zip(by_client[name][figure], by_client[name]["wall"], strict=True))


def _bulk_lines(title: str, by_client: Figures) -> Iterator[str]:
    yield (
        f"{title + ', per row':<50}{'CPU µs':>8}  {'to acsylla':<20}{'to bare, eventfd':<20}{'to bare, callback':<20}{'per second':>10}"
        f"{'cores':>7}{'server':>7}{'MiB':>8}{'grown':>7}"
    )
    for name in by_client:
        others = (peer(by_client, name), BARE, BARE_CALLBACK)
        memory = "".join(
            f"{(median(by_client, name, figure) or 0) / 1024:>{width},.0f}" for figure, width in (("peak_kib", 8), ("grown_kib", 7))
        )
        rate = median(by_client, name, "rate") or 0.0
        busy = f"{cores(by_client, name, 'cpu'):>7.2f}{cores(by_client, name, 'server'):>7.2f}"
        yield (
            f"    {name:<46}{_micro(median(by_client, name, 'cpu')):>8}  "
            + "".join(f"{_spread(ratios(by_client, name, other)):<19} " for other in others)
            + f"{rate:>10,.0f}{busy}{memory}"
        )


def text(measured: dict[str, Any]) -> str:
    """Every figure, one block for each kind of work."""
    return "\n".join(_lines(measured))


def markdown(measured: dict[str, Any]) -> str:
    """CPU as multiples of the bare driver's, or of acsylla's where there is no bare driver: one row for each kind of work."""
    if "rows" in measured:
        return bulk_markdown(measured)
    base = BARE if BARE in measured["clients"] else "acsylla"
    others = [name for name in measured["clients"] if name != base]
    rows = [f"| work | {base}, CPU µs | " + " | ".join(others) + " |", "|---" * (len(others) + 2) + "|"]
    for title, by_client in measured["work"].items():
        cells = [three and f"{three[1]:.2f}" for three in (ratios(by_client, name, base) for name in others)]
        rows.append(f"| {title} | {_micro(median(by_client, base, 'cpu'))} | " + " | ".join(cell or "" for cell in cells) + " |")
    return "\n".join(rows)


def bulk_markdown(measured: dict[str, Any]) -> str:
    """Every client's bulk work, a row each: of acsylla, the form that takes the least CPU."""
    heads = ["work", "client", "CPU µs per row", "to acsylla", "to bare, eventfd", "to bare, callback", "rows per second"]
    heads += ["cores: client, server", "MiB: peak, grown"]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for title, by_client in measured["work"].items():
        shown = [name for name in by_client if name.partition(" ")[0] not in ("acsylla", "acsylla:uvloop") or name == peer(by_client, name)]
        for name in shown:
            three = [_spread(ratios(by_client, name, other)) for other in (peer(by_client, name), BARE, BARE_CALLBACK)]
            memory = [f"{(median(by_client, name, figure) or 0) / 1024:,.0f}" for figure in ("peak_kib", "grown_kib")]
            busy = [f"{cores(by_client, name, figure):.2f}" for figure in ("cpu", "server")]
            cells = [title if name == shown[0] else "", name, _micro(median(by_client, name, "cpu")), *three]
            cells += [f"{median(by_client, name, 'rate') or 0:,.0f}", ", ".join(busy), ", ".join(memory)]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def against_peers(measured: dict[str, Any], client: str) -> str:
    """What one client takes, beside acsylla on the same event loop and the bare driver: one row for each kind of work."""
    other = peer({}, client)
    rows = [f"| {client} | CPU µs | CPU to {other} | CPU to the bare driver | p50 to {other} | rate to {other} |"]
    rows.append("|---" * 6 + "|")
    for title, by_client in measured["work"].items():
        if not by_client.get(client):
            continue
        pairs = ((other, "cpu"), (BARE, "cpu"), (other, "p50"), (other, "rate"))
        ratio = [ratios(by_client, client, base, figure) for base, figure in pairs]
        rows.append(f"| {title} | {_micro(median(by_client, client, 'cpu'))} | " + " | ".join(map(_spread, ratio)) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--markdown", action="store_true", help="one short table of ratios")
    parser.add_argument("--client", help="with --markdown: this one beside acsylla and the bare driver, with quartiles")
    arguments = parser.parse_args()
    measured = json.loads(arguments.figures.read_text(encoding="utf-8"))
    if not arguments.markdown:
        print(text(measured))
    else:
        print(against_peers(measured, arguments.client) if arguments.client else markdown(measured))


if __name__ == "__main__":
    main()
