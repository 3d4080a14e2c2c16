"""Local ports for connections that choose them, so that sessions and processes of one machine do not take each other's."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["LocalPorts", "Window", "default_ranges"]

# Processes agree on who uses which ports by holding the UDP port that begins a block of so many: the kernel gives it to one
# only, and takes it back however that one ends. Nothing is ever sent or received there.
_BLOCK = 64
_LOWEST = 20000  # servers are below
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"


@dataclass(frozen=True)
class Window:
    """The ports from `first` to below `end`, reserved for one session."""

    first: int
    end: int


@dataclass
class _Block:
    holder: socket.socket
    windows: int = 0


@dataclass
class LocalPorts:
    """The windows of this process. Thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards what follows
    _blocks: dict[int, _Block] = field(default_factory=dict)
    _windows: set[Window] = field(default_factory=set)

    def reserve(self, ranges: Sequence[tuple[int, int]], count: int) -> Window | None:
        """`count` ports in a row out of one of the ranges (first, end) that are free now; None when there are none.

        A port in TIME_WAIT is not free.
        """
        with self._lock:
            for first, end in ranges:
                for start in _starts(first, end, count):
                    window = self._reserve_from(start, end, count, start)
                    if window is not None:
                        return window
        return None

    def release(self, window: Window) -> None:
        """Gives the ports back."""
        with self._lock:
            self._windows.discard(window)
            self._give_up(range(window.first // _BLOCK, (window.end - 1) // _BLOCK + 1))

    def _reserve_from(self, first: int, end: int, count: int, at: int) -> Window | None:
        while at + count <= end:
            overlapping = [window.end for window in self._windows if window.first < at + count and at < window.end]
            if overlapping:
                at = max(overlapping)
                continue
            blocks = range(at // _BLOCK, (at + count - 1) // _BLOCK + 1)
            taken = self._take(blocks)
            if taken is not None:
                at = (taken + 1) * _BLOCK  # another process's
                continue
            busy = next((port for port in reversed(range(at, at + count)) if not _is_free(port)), None)
            if busy is None:
                window = Window(at, at + count)
                self._windows.add(window)
                return window
            self._give_up(blocks)
            at = busy + 1
        return None

    def _take(self, blocks: range) -> int | None:
        """Holds these blocks once more; the one that cannot be had, with none of them held."""
        for number in blocks:
            block = self._blocks.get(number)
            if block is None:
                holder = _held(number * _BLOCK)
                if holder is None:
                    self._give_up(range(blocks.start, number))
                    return number
                block = self._blocks[number] = _Block(holder)
            block.windows += 1
        return None

    def _give_up(self, blocks: range) -> None:
        for number in blocks:
            block = self._blocks.get(number)
            if block is None:
                continue
            block.windows -= 1
            if block.windows == 0:
                block.holder.close()
                del self._blocks[number]


def default_ranges() -> list[tuple[int, int]]:
    """Where to look: first where the system takes no ports of its own from, then among the dynamic ports (RFC 6335).

    Those that the system gives to connections meanwhile, ours to the normal port among them, are the other way to meet a port in use.
    """
    try:
        with open(_EPHEMERAL) as file:
            lowest, highest = map(int, file.read().split())
    except (OSError, ValueError):
        lowest, highest = 49152, 65535  # as on macOS
    outside = [(max(highest + 1, 49152), 65536), (_LOWEST, min(lowest, 65536))]
    ranges = [(first, end) for first, end in outside if end - first >= _BLOCK]
    return [*ranges, (49152, 65536)]


def _starts(first: int, end: int, count: int) -> Iterator[int]:
    """A place by chance to begin at, since processes that start together would try the same ports; then the beginning."""
    places = (end - first) // count
    if places > 1:
        yield first + random.randrange(places) * count
    yield first


def _held(port: int) -> socket.socket | None:
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return None
    return holder


def _is_free(port: int) -> bool:
    """Whether nothing has it: without SO_REUSEADDR, a connection in TIME_WAIT has it, too."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
