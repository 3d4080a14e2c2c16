"""acsylla's enumerations; their values are the driver's."""

from __future__ import annotations

import logging
from enum import Enum

__all__ = ["Consistency", "HostListenerEvent", "ProtocolVersion", "SSLVerifyFlags", "ValueType", "serial_or_none"]


class ProtocolVersion(Enum):
    """Versions of the protocol; 3 and 4 can be had."""

    V1 = 1
    V2 = 2
    V3 = 3
    V4 = 4
    V5 = 5
    DSEV1 = 65
    DSEV2 = 66


class Consistency(Enum):
    """How many replicas must answer."""

    ANY = 0
    ONE = 1
    TWO = 2
    THREE = 3
    QUORUM = 4
    ALL = 5
    LOCAL_QUORUM = 6
    EACH_QUORUM = 7
    SERIAL = 8
    LOCAL_SERIAL = 9
    LOCAL_ONE = 10


class ValueType(Enum):
    """CQL types, for the values of statements that are not prepared."""

    CUSTOM = 0
    ASCII = 1
    BIGINT = 2
    BLOB = 3
    BOOLEAN = 4
    COUNTER = 5
    DECIMAL = 6
    DOUBLE = 7
    FLOAT = 8
    INT = 9
    TEXT = 10
    TIMESTAMP = 11
    UUID = 12
    VARCHAR = 13
    VARINT = 14
    TIMEUUID = 15
    INET = 16
    DATE = 17
    TIME = 18
    SMALL_INT = 19
    TINY_INT = 20
    DURATION = 21
    LIST = 32
    MAP = 33
    SET = 34
    UDT = 48
    TUPLE = 49


class SSLVerifyFlags(Enum):
    """What is verified of a server's certificate. In acsylla PEER_IDENTITY is another name of PEER_CERT."""

    NONE = 0
    PEER_CERT = 1
    PEER_IDENTITY = 2
    PEER_IDENTITY_DNS = 4


class HostListenerEvent(Enum):
    """What happened to a node."""

    UP = 0
    DOWN = 1
    ADD = 2
    REMOVE = 3


def serial_or_none(level: Consistency | None) -> int | None:
    """A serial consistency level for the package. Others, which the server would refuse, are ignored with a warning; ANY, which
    is acsylla's default, without one."""
    if level is None or level in (Consistency.SERIAL, Consistency.LOCAL_SERIAL):
        return None if level is None else int(level.value)
    if level is not Consistency.ANY:
        logging.getLogger("acsylla").warning("%s is no serial consistency level: it is ignored", level.name)
    return None
