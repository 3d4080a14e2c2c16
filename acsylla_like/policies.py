"""Consistency levels, and later the policies of routing and retrying."""

from __future__ import annotations

import enum

__all__ = ["Consistency"]


class Consistency(enum.IntEnum):
    """How many replicas must answer; the values are the protocol's (native_protocol_v4.spec, section 3, [consistency])."""

    ANY = 0x0
    ONE = 0x1
    TWO = 0x2
    THREE = 0x3
    QUORUM = 0x4
    ALL = 0x5
    LOCAL_QUORUM = 0x6
    EACH_QUORUM = 0x7
    SERIAL = 0x8
    LOCAL_SERIAL = 0x9
    LOCAL_ONE = 0xA
