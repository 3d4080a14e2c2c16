"""What a command shows while it works: a line that changes on a terminal, with rich, and plain lines elsewhere."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any

__all__ = ["Figures", "Progress", "duration", "number", "plural"]

# Seconds between two plain lines.
_PLAIN = 5.0
# Seconds over which the rate is taken.
_RECENT = 10.0


@dataclass(frozen=True)
class Figures:
    """Where a command is."""

    rows: int
    refused: int | None = None
    in_flight: int | None = None
    latency: float | None = None
    """The 99th percentile, in seconds."""
    fraction: float | None = None
    """How much of the whole is done, 0 to 1, where that is known."""


def number(value: float) -> str:
    return f"{value:,.0f}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Such as 41 s, 3:07 or 1:02:33."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """`with Progress(title, quiet=…) as progress`, then `progress.show(figures)` as often as there are news. On stderr."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self._title = title
        self._quiet = quiet
        self._started = self._told = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._first_fraction: tuple[float, float] | None = None
        self._live: Any = None
        if not quiet and sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(title, console=Console(stderr=True), refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, figures: Figures) -> None:
        if self._quiet:
            return
        now = time.monotonic()
        self._recent.append((now, figures.rows))
        while len(self._recent) > 2 and self._recent[0][0] < now - _RECENT:
            self._recent.popleft()
        if self._live is not None:
            self._live.update(self._table(figures, now))
        elif now >= self._told + _PLAIN:
            self._told = now
            print(f"{self._title}: {', '.join(self._parts(figures, now))}", file=sys.stderr, flush=True)

    def _parts(self, figures: Figures, now: float) -> list[str]:
        (then, rows), spent = self._recent[0], now - self._recent[0][0]
        assert then <= now
        parts = [plural(figures.rows, "row"), f"{number((figures.rows - rows) / spent if spent else 0)} rows/s"]
        if figures.refused is not None:
            parts.append(f"{number(figures.refused)} refused")
        if figures.in_flight is not None:
            parts.append(f"{number(figures.in_flight)} in flight")
        if figures.latency is not None:
            parts.append(f"p99 {figures.latency * 1000:.0f} ms")
        left = self._left(figures.fraction, now)
        if left is not None:
            parts.append(f"{duration(left)} left")
        return parts

    def _left(self, fraction: float | None, now: float) -> float | None:
        """Seconds, at the pace since the first look."""
        if fraction is None:
            return None
        if self._first_fraction is None:
            self._first_fraction = (now, fraction)
        then, before = self._first_fraction
        done = fraction - before
        return (1 - fraction) * (now - then) / done if done > 0 else None

    def _table(self, figures: Figures, now: float) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        if figures.fraction is None:
            grid.add_row(f"[bold]{self._title}", *self._parts(figures, now))
        else:
            bar = ProgressBar(total=1.0, completed=figures.fraction, width=24)
            grid.add_row(f"[bold]{self._title}", bar, f"{figures.fraction:.0%}", *self._parts(figures, now))
        return grid
