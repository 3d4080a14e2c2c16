"""Free loopback addresses and ports, so that several servers run side by side."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Sequence

_random = random.SystemRandom()


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ports in TIME_WAIT may be taken, as a server would
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_addresses(count: int) -> list[str]:
    """`count` consecutive addresses 127.x.y.z; where the platform has only 127.0.0.1 (macOS), that one.

    Raises RuntimeError when more than one is asked for there.
    """
    for _ in range(100):
        prefix = f"127.{_random.randrange(1, 255)}.{_random.randrange(256)}"
        first = _random.randrange(1, 254 - count)
        addresses = [f"{prefix}.{first + i}" for i in range(count)]
        if all(_is_free(address, 0) for address in addresses):
            return addresses
    if count == 1:
        return ["127.0.0.1"]
    raise RuntimeError(
        f"{count} loopback addresses are needed and only 127.0.0.1 is there; "
        "on macOS run, for each address: sudo ifconfig lo0 alias 127.0.0.2"
    )


def free_ports(addresses: Sequence[str], count: int) -> list[int]:
    """`count` different ports, each free on every one of `addresses`.

    Below 32,768, where no system takes source ports from, so that none is lost between this call and the bind.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _random.randrange(10_000, 32_768)
        if port not in ports and all(_is_free(address, port) for address in addresses):
            ports.append(port)
    return ports


async def gone(server: asyncio.Server, timeout: float = 2.0) -> None:
    """Waits until a server that was closed has no connections left: one whose TLS handshake is under way is known to nobody else."""
    deadline = asyncio.get_running_loop().time() + timeout
    # Its count, and since CPython 3.13 its set; what has neither is not waited for.
    while getattr(server, "_active_count", 0) or len(getattr(server, "_clients", ())):
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(0.001)
