"""Local ports for connections that choose them, so that sessions and processes of one machine do not take each other's."""

from __future__ import annotations

import math
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["LocalPorts", "Window", "default_ranges", "ports_for", "system_range"]

# Processes agree on who uses which ports by holding the UDP port that begins a block of so many: the kernel gives it to one
# only, and takes it back however that one ends. Nothing is ever sent or received there.
_BLOCK = 64
_LOWEST = 20000  # servers are below
_DYNAMIC = 49152  # and hardly any from here on (RFC 6335)
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

        A port in TIME_WAIT is not free. Connections come from the first ports of a window and leave these in TIME_WAIT, so windows are
        kept apart while there is room: those that come after them begin right behind what they left.
        """
        room = 2 * count + _BLOCK  # for a second one beside it when there is none elsewhere
        with self._lock:
            for first, end in ranges:
                for start in range(first, end - count + 1, room + _BLOCK):
                    window = self._reserve_alone(start, min(start + room, end), count)
                    if window is not None:
                        return window
            for first, end in ranges:
                window = self._reserve_from(first, end, count)
                if window is not None:
                    return window
        return None

    def release(self, window: Window) -> None:
        """Gives the ports back."""
        with self._lock:
            self._windows.discard(window)
            self._give_up(range(window.first // _BLOCK, (window.end - 1) // _BLOCK + 1))

    def _reserve_alone(self, first: int, end: int, count: int) -> Window | None:
        """One between these, unless there is another, of whatever process."""
        if any(window.first < end and first < window.end for window in self._windows):
            return None
        blocks = range(first // _BLOCK, (end - 1) // _BLOCK + 1)
        if self._take(blocks) is not None:
            return None
        window = self._reserve_from(first, end, count)
        self._give_up(blocks)
        return window

    def _reserve_from(self, at: int, end: int, count: int) -> Window | None:
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


def system_range() -> tuple[int, int]:
    """The ports (first, end) that the system gives to connections without one of their own."""
    try:
        with open(_EPHEMERAL) as file:
            lowest, highest = map(int, file.read().split())
    except (OSError, ValueError):
        lowest, highest = 49152, 65535  # the dynamic ports of RFC 6335, as on macOS
    return lowest, highest + 1


def default_ranges() -> list[tuple[int, int]]:
    """Where to look: only where the system takes no ports of its own from; empty when it takes them from everywhere.

    A port of its own it may give away between our look and the driver's bind.
    """
    first, end = system_range()
    outside = [(max(end, _DYNAMIC), 65536), (_LOWEST, min(first, 65536))]
    return [(first, end) for first, end in outside if end - first >= _BLOCK]


def ports_for(shards: Sequence[int], connections_per_shard: Sequence[int], tries: int) -> int:
    """How many ports in a row let each connection to nodes of so many shards be attempted `tries` times, in whatever order.

    All nodes take from the same ports, and each attempt takes the lowest one left that leads to its shard (the driver's
    ShardPortCalculator). Of those that lead to one shard of a node with n shards, a node with m takes at most one for each attempt at one
    of the m / g shards, g = gcd(m, n), that have ports in common with it. Nor can it take more than there are attempts for, since the lower
    ports of the same shard of m are gone first: i * n / m of them below the i-th, and n / g more below the next that leads to the same.
    """
    attempts = tries * sum(count * each for count, each in zip(shards, connections_per_shard, strict=True))
    of_a_shard: Counter[int] = Counter()
    for count, each in zip(shards, connections_per_shard, strict=True):
        of_a_shard[count] += tries * each

    def taken(n: int, m: int) -> int:
        g = math.gcd(n, m)
        count = ports = 0
        while count < of_a_shard[m] * (m // g):
            ports += count * n // m + 1 if count < m // g else n // g
            if ports > attempts:
                break
            count += 1
        return count

    return max(n * sum(taken(n, m) for m in of_a_shard) for n in of_a_shard)


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
