"""Tokens, replicas and shards in plain Python: an arithmetic of its own, which checks that of the package."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _mixed(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & _MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ (value >> 33)


def _signed_tail(tail: bytes) -> int:
    """The bytes as a little-endian number in which each byte is signed, as Cassandra's Murmur3 has them."""
    number = 0
    for place, byte in enumerate(tail):
        number ^= ((byte - 256 if byte > 127 else byte) << (8 * place)) & _MASK
    return number


def murmur3_token(key: bytes) -> int:
    """The token of a partition key's bytes, from -2**63 + 1 to 2**63 - 1 (Murmur3Partitioner)."""
    h1 = h2 = 0
    whole = len(key) & ~15
    for at in range(0, whole, 16):
        k1 = int.from_bytes(key[at : at + 8], "little") * _C1 & _MASK
        h1 ^= _rotated(k1, 31) * _C2 & _MASK
        h1 = ((_rotated(h1, 27) + h2) * 5 + 0x52DCE729) & _MASK
        k2 = int.from_bytes(key[at + 8 : at + 16], "little") * _C2 & _MASK
        h2 ^= _rotated(k2, 33) * _C1 & _MASK
        h2 = ((_rotated(h2, 31) + h1) * 5 + 0x38495AB5) & _MASK
    tail = key[whole:]
    if len(tail) > 8:
        h2 ^= _rotated(_signed_tail(tail[8:]) * _C2 & _MASK, 33) * _C1 & _MASK
    if tail:
        h1 ^= _rotated(_signed_tail(tail[:8]) * _C1 & _MASK, 31) * _C2 & _MASK
    h1 ^= len(key)
    h2 ^= len(key)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1 = (_mixed(h1) + _mixed(h2)) & _MASK
    token = h1 - (1 << 64) if h1 >> 63 else h1
    return token if token != -(1 << 63) else (1 << 63) - 1


def partition_key(components: Sequence[bytes]) -> bytes:
    """The key's bytes: one component as it is; several each after its two-byte length, and a zero byte behind it."""
    if len(components) == 1:
        return components[0]
    return b"".join(len(part).to_bytes(2, "big") + part + b"\0" for part in components)


def shard_of(token: int, nr_shards: int, ignore_msb: int) -> int:
    """The shard that owns a token on a node of `nr_shards` (ScyllaDB's biased-token-round-robin)."""
    biased = (token + (1 << 63)) & _MASK
    return (((biased << ignore_msb) & _MASK) * nr_shards) >> 64


class Placed(Protocol):
    """Where a node is; read-only."""

    @property
    def datacenter(self) -> str: ...
    @property
    def rack(self) -> str: ...


N = TypeVar("N", bound=Placed)


@dataclass(frozen=True)
class Ring(Generic[N]):
    """Who owns which token: `tokens` ascending, each with its node."""

    tokens: Sequence[int]
    nodes: Sequence[N]

    @classmethod
    def of(cls, tokens: Mapping[int, N]) -> Ring[N]:
        """The ring of these tokens."""
        ordered = sorted(tokens)
        return cls(ordered, [tokens[token] for token in ordered])

    def replicas(self, token: int, replication: Mapping[str, str]) -> list[N]:
        """The nodes that hold a token, the primary first, under a keyspace's replication options.

        Knows SimpleStrategy and NetworkTopologyStrategy; with any other each node holds everything.
        """
        first = bisect.bisect_left(self.tokens, token) % len(self.tokens)
        around = list(dict.fromkeys(itertools.chain(self.nodes[first:], self.nodes[:first])))
        strategy = replication["class"].rpartition(".")[2]
        if strategy == "SimpleStrategy":
            return around[: int(replication["replication_factor"].partition("/")[0])]
        if strategy == "NetworkTopologyStrategy":
            wanted = {dc: int(count.partition("/")[0]) for dc, count in replication.items() if dc != "class"}
            chosen = {dc: self._in_datacenter(around, dc, count) for dc, count in wanted.items()}
            return [node for node in around if node in chosen.get(node.datacenter, ())]
        return around

    @staticmethod
    def _in_datacenter(around: Sequence[N], datacenter: str, count: int) -> list[N]:
        """As the server chooses: a node of each rack before a second one of any, skipped nodes in their order after that."""
        candidates = [node for node in around if node.datacenter == datacenter]
        racks = {node.rack for node in candidates}
        chosen: list[N] = []
        skipped: list[N] = []
        seen: set[str] = set()
        for node in candidates:
            if len(chosen) == count:
                break
            if len(seen) == len(racks):
                chosen.append(node)
            elif node.rack in seen:
                skipped.append(node)
            else:
                chosen.append(node)
                seen.add(node.rack)
                if len(seen) == len(racks):
                    chosen.extend(skipped[: count - len(chosen)])
        return chosen
