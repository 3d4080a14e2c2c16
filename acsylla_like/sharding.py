"""How a ScyllaDB node shards its data, asked of the node itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sharding", "ask"]

# An OPTIONS request of protocol version 4 (native_protocol_v4.spec, sections 2 and 4.1.3): it needs no STARTUP before it,
# so no credentials either.
_OPTIONS = struct.pack(">BBhBI", 0x04, 0, 0, 0x05, 0)
_SUPPORTED = 0x06
_MAX_ANSWER = 1 << 20  # bytes; SUPPORTED has some hundred

_PARTITIONER = "org.apache.cassandra.dht.Murmur3Partitioner"
_ALGORITHM = "biased-token-round-robin"
# What can be meant: the driver makes an array of that many connections, and shifts a 64-bit token.
_MAX_SHARDS = 1 << 16


@dataclass(frozen=True)
class Sharding:
    """What a ScyllaDB node says of its shards (ScyllaDB's protocol extensions, "Intranode sharding").

    Attributes:
        shard: the shard that serves the connection which asked.
        nr_shards: how many shards the node has.
        ignore_msb: how many of the token's most significant bits do not count.
        shard_aware_port: where a connection's source port modulo `nr_shards` chooses its shard; None where there is none.
        shard_aware_port_ssl: the same for TLS.
    """

    shard: int
    nr_shards: int
    ignore_msb: int
    shard_aware_port: int | None = None
    shard_aware_port_ssl: int | None = None

    @classmethod
    def read(cls, supported: Mapping[str, Sequence[str]]) -> Self | None:
        """Reads the options of a SUPPORTED answer; None when they are not ScyllaDB's.

        Raises ValueError for numbers that no node can mean, and for another partitioner or algorithm than this arithmetic's.
        """
        if "SCYLLA_NR_SHARDS" not in supported:
            return None
        partitioner, algorithm = _only(supported, "SCYLLA_PARTITIONER"), _only(supported, "SCYLLA_SHARDING_ALGORITHM")
        if partitioner != _PARTITIONER or algorithm != _ALGORITHM:
            raise ValueError(f"unknown sharding: {partitioner}, {algorithm}; known is {_PARTITIONER}, {_ALGORITHM}")
        nr_shards = _number(supported, "SCYLLA_NR_SHARDS", 1, _MAX_SHARDS)
        return cls(
            shard=_number(supported, "SCYLLA_SHARD", 0, nr_shards - 1),
            nr_shards=nr_shards,
            ignore_msb=_number(supported, "SCYLLA_SHARDING_IGNORE_MSB", 0, 63),
            shard_aware_port=_port(supported, "SCYLLA_SHARD_AWARE_PORT"),
            shard_aware_port_ssl=_port(supported, "SCYLLA_SHARD_AWARE_PORT_SSL"),
        )

    def divides_like(self, other: Sharding | None) -> bool:
        """Whether `other` places every token on the same shard and is reached by the same ports."""
        return other is not None and (self.nr_shards, self.ignore_msb, self.shard_aware_port, self.shard_aware_port_ssl) == (
            other.nr_shards, other.ignore_msb, other.shard_aware_port, other.shard_aware_port_ssl,
        )  # fmt: skip


def _only(supported: Mapping[str, Sequence[str]], key: str) -> str:
    values = supported.get(key, ())
    return values[0] if len(values) == 1 else ""


def _number(supported: Mapping[str, Sequence[str]], key: str, lowest: int, highest: int) -> int:
    text = _only(supported, key)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and lowest <= int(text) <= highest):
        raise ValueError(f"{key} must be a number from {lowest} to {highest}, not {text!r}")
    return int(text)


def _port(supported: Mapping[str, Sequence[str]], key: str) -> int | None:
    return _number(supported, key, 1, 65535) if _only(supported, key) else None


async def ask(
    address: str,
    port: int,
    *,
    timeout: float = 5.0,
    ssl_context: ssl.SSLContext | None = None,
    local_port: int | None = None,
) -> Sharding | None:
    """Asks a node how it shards; None when it is not ScyllaDB. Sends an OPTIONS request on a connection of its own.

    With `local_port` the connection comes from that port, as on a shard-aware port. Raises OSError when it cannot be
    reached, TimeoutError after `timeout` seconds, ValueError when it answers what no node can mean.
    """
    try:
        return await asyncio.wait_for(_ask(address, port, ssl_context, local_port), timeout)
    except asyncio.TimeoutError:
        raise TimeoutError(f"{address}:{port} did not answer within {timeout:g} s") from None


async def _ask(address: str, port: int, context: ssl.SSLContext | None, local_port: int | None) -> Sharding | None:
    local = None if local_port is None else ("::" if ":" in address else "0.0.0.0", local_port)
    opening = asyncio.ensure_future(
        asyncio.open_connection(address, port, ssl=context, server_hostname="" if context is not None else None, local_addr=local)
    )
    try:
        # asyncio forgets to close a connection whose TLS handshake is cancelled before it has begun.
        reader, writer = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_abort)
        raise
    try:
        writer.write(_OPTIONS)
        header = await reader.readexactly(9)
        length = int.from_bytes(header[5:9], "big")
        if header[4] != _SUPPORTED or length > _MAX_ANSWER:
            raise ValueError(f"{address}:{port} answered OPTIONS with opcode {header[4]:#04x} and {length} bytes")
        return Sharding.read(read_multimap(await reader.readexactly(length)))
    except asyncio.IncompleteReadError:
        raise ConnectionResetError(f"{address}:{port} closed the connection instead of answering OPTIONS") from None
    finally:
        if local_port is not None:
            # Closed by a reset, so that the port is free again at once.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _abort(opening: asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].transport.abort()


def read_multimap(body: bytes) -> dict[str, list[str]]:
    """Reads a [string multimap] (native_protocol_v4.spec, section 3). Raises ValueError when it is cut short."""
    try:
        at = 2
        options: dict[str, list[str]] = {}
        for _ in range(struct.unpack_from(">H", body)[0]):
            key, at = _string(body, at)
            (count,) = struct.unpack_from(">H", body, at)
            at += 2
            values = options.setdefault(key, [])
            for _ in range(count):
                value, at = _string(body, at)
                values.append(value)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"the answer to OPTIONS cannot be read: {error}") from None
    return options


def _string(body: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">H", body, at)
    end = at + 2 + length
    if end > len(body):
        raise struct.error("a string ends behind the answer")
    return body[at + 2 : end].decode(), end
