"""Just enough of the CQL binary protocol, version 4, to play the server: types, values, requests and answers."""

from __future__ import annotations

import ipaddress
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Opcodes.
ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06
QUERY, RESULT, PREPARE, EXECUTE, REGISTER, EVENT, BATCH = 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D
AUTH_CHALLENGE, AUTH_RESPONSE, AUTH_SUCCESS = 0x0E, 0x0F, 0x10

OPCODE_NAMES = {STARTUP: "STARTUP", OPTIONS: "OPTIONS", QUERY: "QUERY", PREPARE: "PREPARE", EXECUTE: "EXECUTE"}
OPCODE_NAMES |= {REGISTER: "REGISTER", BATCH: "BATCH", AUTH_RESPONSE: "AUTH_RESPONSE"}

# Error codes.
SERVER_ERROR, PROTOCOL_ERROR, BAD_CREDENTIALS, UNAVAILABLE = 0x0000, 0x000A, 0x0100, 0x1000
OVERLOADED, IS_BOOTSTRAPPING, TRUNCATE_ERROR, WRITE_TIMEOUT = 0x1001, 0x1002, 0x1003, 0x1100
READ_TIMEOUT, READ_FAILURE, FUNCTION_FAILURE, WRITE_FAILURE = 0x1200, 0x1300, 0x1400, 0x1500
SYNTAX_ERROR, UNAUTHORIZED, INVALID, CONFIG_ERROR, ALREADY_EXISTS, UNPREPARED = (
    0x2000, 0x2100, 0x2200, 0x2300, 0x2400, 0x2500,
)  # fmt: skip

_SIMPLE_TYPES = {
    "ascii": 0x01, "bigint": 0x02, "blob": 0x03, "boolean": 0x04, "counter": 0x05, "decimal": 0x06, "double": 0x07,
    "float": 0x08, "int": 0x09, "timestamp": 0x0B, "uuid": 0x0C, "text": 0x0D, "varchar": 0x0D, "varint": 0x0E,
    "timeuuid": 0x0F, "inet": 0x10, "date": 0x11, "time": 0x12, "smallint": 0x13, "tinyint": 0x14, "duration": 0x15,
}  # fmt: skip
_MARSHAL = {
    "ascii": "AsciiType", "bigint": "LongType", "blob": "BytesType", "boolean": "BooleanType", "decimal": "DecimalType",
    "double": "DoubleType", "duration": "DurationType", "float": "FloatType", "inet": "InetAddressType", "int": "Int32Type",
    "date": "SimpleDateType", "smallint": "ShortType", "text": "UTF8Type", "varchar": "UTF8Type", "time": "TimeType",
    "timestamp": "TimestampType", "timeuuid": "TimeUUIDType", "tinyint": "ByteType", "uuid": "UUIDType", "varint": "IntegerType",
}  # fmt: skip
_INTEGER_FORMATS = {
    "bigint": ">q", "counter": ">q", "int": ">i", "smallint": ">h", "tinyint": ">b", "timestamp": ">q", "time": ">q",
    "date": ">I",
}  # fmt: skip
_PACKAGE = "org.apache.cassandra.db.marshal."


def short(value: int) -> bytes:
    """A [short]: two bytes, unsigned."""
    return struct.pack(">H", value)


def integer(value: int) -> bytes:
    """An [int]: four bytes, signed."""
    return struct.pack(">i", value)


def string(value: str) -> bytes:
    """A [string]: UTF-8 after a [short] length."""
    data = value.encode()
    return short(len(data)) + data


def string_list(values: Sequence[str]) -> bytes:
    """A [string list]."""
    return short(len(values)) + b"".join(map(string, values))


def value(data: bytes | None) -> bytes:
    """A [bytes]: after an [int] length, which is -1 for None."""
    return integer(-1) if data is None else integer(len(data)) + data


def short_bytes(data: bytes) -> bytes:
    """A [short bytes]."""
    return short(len(data)) + data


class Type(NamedTuple):
    """A CQL type as it is written in CQL, taken apart; `raw` replaces its encoding in metadata."""

    name: str
    arguments: tuple[Type, ...] = ()
    size: int = 0
    raw: bytes = b""

    def encode(self) -> bytes:
        """The [option] that stands for the type in metadata."""
        if self.raw:
            return self.raw
        inner = b"".join(argument.encode() for argument in self.arguments)
        if self.name == "list":
            return short(0x20) + inner
        if self.name == "map":
            return short(0x21) + inner
        if self.name == "set":
            return short(0x22) + inner
        if self.name == "tuple":
            return short(0x31) + short(len(self.arguments)) + inner
        if self.name == "vector":
            return short(0x00) + string(self.class_name())
        return short(_SIMPLE_TYPES[self.name])

    def class_name(self) -> str:
        """The name of the server's class, as custom types spell it."""
        inner = ",".join(argument.class_name() for argument in self.arguments)
        if self.name == "vector":
            return f"{_PACKAGE}VectorType({inner} , {self.size})"
        if self.name in ("list", "set", "map", "tuple"):
            return f"{_PACKAGE}{self.name.capitalize()}Type({inner})"
        return _PACKAGE + _MARSHAL[self.name]


def parse_type(text: str) -> Type:
    """The type written as in CQL: `int`, `map<text, frozen<list<int>>>`, `tuple<int, text>`, `vector<float, 3>`.

    Raises ValueError for a name it does not know; give such types as `Type("…", raw=…)`.
    """
    text = text.strip()
    name, bracket, rest = text.partition("<")
    name = name.strip().lower()
    if not bracket:
        if name not in _SIMPLE_TYPES:
            raise ValueError(f"unknown CQL type {text!r}")
        return Type(name)
    parts, depth = [""], 0
    for character in rest.strip()[:-1]:
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    if name == "frozen":
        return parse_type(parts[0])
    if name == "vector":
        return Type("vector", (parse_type(parts[0]),), int(parts[1]))
    if name not in ("list", "set", "map", "tuple"):
        raise ValueError(f"unknown CQL type {text!r}")
    return Type(name, tuple(map(parse_type, parts)))


def encode(kind: Type, item: Any) -> bytes | None:
    """A Python value as the bytes of a cell; bytes (and None) are taken as they are, for whatever type.

    Knows integers of fixed width and varint, floats, text, booleans, uuids, inet and collections of these.
    """
    if item is None or isinstance(item, bytes):
        return item
    name = kind.name
    if name in _INTEGER_FORMATS:
        return struct.pack(_INTEGER_FORMATS[name], item)
    if name in ("float", "double"):
        return struct.pack(">f" if name == "float" else ">d", item)
    if name == "boolean":
        return b"\x01" if item else b"\x00"
    if name == "varint":
        number = int(item)
        return number.to_bytes(((number if number >= 0 else ~number).bit_length()) // 8 + 1, "big", signed=True)
    if isinstance(item, str):
        return ipaddress.ip_address(item).packed if name == "inet" else item.encode()
    if isinstance(item, uuid.UUID):
        return item.bytes
    if isinstance(item, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return item.packed
    if name in ("list", "set"):
        cells = [encode(kind.arguments[0], element) for element in item]
        return integer(len(cells)) + b"".join(map(value, cells))
    if name == "map":
        both = [encode(kind.arguments[i], pair[i]) for pair in item.items() for i in (0, 1)]
        return integer(len(item)) + b"".join(map(value, both))
    if name == "tuple":
        return b"".join(value(encode(t, element)) for t, element in zip(kind.arguments, item, strict=False))
    raise TypeError(f"no encoding of {type(item).__name__} for {name}; give bytes")


Columns = Sequence[tuple[str, "str | Type"]]


def _column_types(columns: Columns) -> list[Type]:
    return [kind if isinstance(kind, Type) else parse_type(kind) for _, kind in columns]


def _specs(columns: Columns, keyspace: str, table: str) -> bytes:
    types = _column_types(columns)
    specs = b"".join(string(name) + kind.encode() for (name, _), kind in zip(columns, types, strict=True))
    return string(keyspace) + string(table) + specs


# Answers ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A response frame's opcode and body. The other fields say how it is sent.

    Attributes:
        delay: seconds to wait before it is sent.
        sent: how many bytes of the body are sent; the frame's header announces `announced` bytes.
        announced: the length in the header, the bytes sent when None.
        close: whether the connection is closed afterwards (for `opcode` None: without any answer).
        flags: the header's flags (0x02 tracing, 0x04 custom payload, 0x08 warning), whose data the body starts with.
    """

    opcode: int | None
    body: bytes = b""
    delay: float = 0.0
    sent: int | None = None
    announced: int | None = None
    close: bool = False
    flags: int = 0
    columns: bytes | None = field(default=None, repr=False)  # result metadata, for the answer to PREPARE

    def delayed(self, seconds: float) -> Answer:
        """The same, sent after `seconds`."""
        return _replace(self, delay=seconds)

    def cut(self, size: int) -> Answer:
        """The same with only the first `size` bytes of the body, in a frame whose length agrees."""
        return _replace(self, sent=size)

    def torn(self, size: int) -> Answer:
        """The same, the connection closed after `size` bytes of a body announced in full."""
        return _replace(self, sent=size, announced=len(self.body), close=True)

    def then_close(self) -> Answer:
        """The same, after which the connection is closed."""
        return _replace(self, close=True)

    def frame(self, stream: int) -> bytes:
        """The bytes to send for a request with this stream id."""
        if self.opcode is None:
            return b""
        body = self.body if self.sent is None else self.body[: self.sent]
        announced = len(body) if self.announced is None else self.announced
        return struct.pack(">BBhBI", 0x84, self.flags, stream, self.opcode, announced & 0xFFFFFFFF) + body


def _replace(answer: Answer, **changes: Any) -> Answer:
    return Answer(**{**vars(answer), **changes})


#: Sends nothing, ever.
SILENCE = Answer(None)
#: Closes the connection without an answer.
CLOSE = Answer(None, close=True)


def raw(body: bytes, opcode: int = RESULT) -> Answer:
    """A body of any bytes."""
    return Answer(opcode, body)


def void() -> Answer:
    """The answer to a write."""
    return Answer(RESULT, integer(1))


def rows(
    columns: Columns,
    data: Iterable[Sequence[Any]] = (),
    *,
    keyspace: str = "ks",
    table: str = "t",
    paging_state: bytes | None = None,
) -> Answer:
    """A result: columns as (name, CQL type), and rows of Python values or raw cells (see `encode`).

    With `paging_state` the result says that more pages follow.
    """
    types = _column_types(columns)
    lines = [[value(encode(kind, cell)) for kind, cell in zip(types, row, strict=True)] for row in data]
    flags = 0x01 | (0x02 if paging_state is not None else 0)
    more = b"" if paging_state is None else value(paging_state)
    specs = _specs(columns, keyspace, table)
    metadata = integer(flags) + integer(len(columns)) + more + specs
    body = integer(2) + metadata + integer(len(lines)) + b"".join(cell for line in lines for cell in line)
    return Answer(RESULT, body, columns=integer(0x01) + integer(len(columns)) + specs)


def set_keyspace(keyspace: str) -> Answer:
    """The answer to USE."""
    return Answer(RESULT, integer(3) + string(keyspace))


def schema_change(change: str = "CREATED", target: str = "TABLE", *names: str) -> Answer:
    """The answer to DDL: CREATED, UPDATED or DROPPED; KEYSPACE, TABLE, TYPE …; keyspace and name."""
    return Answer(RESULT, integer(5) + b"".join(map(string, (change, target, *names))))


def prepared(
    statement_id: bytes,
    parameters: Columns = (),
    columns: bytes | None = None,
    *,
    key: Sequence[int] = (),
    keyspace: str = "ks",
    table: str = "t",
) -> Answer:
    """The answer to PREPARE: the parameters as (name, CQL type), which of them are the partition key, the result's metadata.

    `columns` is another answer's `.columns`; None says that the statement returns no rows.
    """
    specs = _specs(parameters, keyspace, table) if parameters else b""
    flags = integer(0x01 if parameters else 0)
    binds = flags + integer(len(parameters)) + integer(len(key)) + b"".join(map(short, key)) + specs
    nothing = integer(0x04) + integer(0)  # no metadata
    return Answer(RESULT, integer(4) + short_bytes(statement_id) + binds + (columns or nothing))


def error(
    code: int,
    message: str = "scripted",
    *,
    consistency: int = 0x01,
    required: int = 2,
    alive: int = 1,
    received: int = 1,
    failures: int = 1,
    write_type: str = "SIMPLE",
    data_present: bool = False,
    keyspace: str = "ks",
    table: str = "t",
    function: str = "f",
    arguments: Sequence[str] = (),
    statement_id: bytes = b"",
) -> Answer:
    """An error of any code, with the fields that its code carries; the other arguments are not sent."""
    body = integer(code) + string(message)
    counts = short(consistency) + integer(received) + integer(required)
    if code == UNAVAILABLE:
        body += short(consistency) + integer(required) + integer(alive)
    elif code == WRITE_TIMEOUT:
        body += counts + string(write_type)
    elif code == READ_TIMEOUT:
        body += counts + bytes([data_present])
    elif code == READ_FAILURE:
        body += counts + integer(failures) + bytes([data_present])
    elif code == WRITE_FAILURE:
        body += counts + integer(failures) + string(write_type)
    elif code == FUNCTION_FAILURE:
        body += string(keyspace) + string(function) + string_list(arguments)
    elif code == ALREADY_EXISTS:
        body += string(keyspace) + string(table)
    elif code == UNPREPARED:
        body += short_bytes(statement_id)
    return Answer(ERROR, body)


def supported(options: Mapping[str, Sequence[str]]) -> Answer:
    """The answer to OPTIONS."""
    items = b"".join(string(key) + string_list(values) for key, values in options.items())
    return Answer(SUPPORTED, short(len(options)) + items)


def authenticate(authenticator: str) -> Answer:
    """The answer to STARTUP of a server that asks who the client is; `authenticator` is its class there."""
    return Answer(AUTHENTICATE, string(authenticator))


def auth_challenge(token: bytes) -> Answer:
    """An answer to an AUTH_RESPONSE that asks for another."""
    return Answer(AUTH_CHALLENGE, value(token))


def auth_success(token: bytes | None = None) -> Answer:
    """The answer to the last AUTH_RESPONSE."""
    return Answer(AUTH_SUCCESS, value(token))


def event(kind: str, *names: str, address: str | None = None, port: int = 9042) -> Answer:
    """An event to push: ("STATUS_CHANGE", "DOWN", address=…), ("SCHEMA_CHANGE", "UPDATED", "TABLE", "ks", "t")."""
    body = string(kind) + b"".join(map(string, names))
    if address is not None:
        packed = ipaddress.ip_address(address).packed
        body += bytes([len(packed)]) + packed + integer(port)
    return Answer(EVENT, body)


# Requests --------------------------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def short(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def int(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def string(self) -> str:
        return self.take(self.short()).decode()

    def value(self) -> bytes | Unset | None:
        size = self.int()
        return UNSET if size == -2 else None if size < 0 else self.take(size)


class Unset:
    """The value that leaves a column alone."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


@dataclass
class Request:
    """A request as it came from the client.

    Attributes:
        connection: number of the connection, counted from 1.
        stream: the stream id its answer carries.
        opcode: QUERY, PREPARE, EXECUTE, BATCH and so on.
        body: the undecoded body.
        query: the text of QUERY and PREPARE, for EXECUTE the text that was prepared ("" for an unknown id).
        statement_id: of EXECUTE.
        parameters: of QUERY and EXECUTE, each its bytes, None or UNSET; by position. Of AUTH_RESPONSE, the token.
        names: of the parameters, when the client sent names.
        consistency, serial_consistency, page_size, paging_state, timestamp: None where the client sent none.
        options: of STARTUP.
        batch: of BATCH, each statement's text and parameters.
        batch_ids: of BATCH, each statement's id, b"" for one that is not prepared.
        batch_type: 0 logged, 1 unlogged, 2 counter.
        tracing: whether the client asked for tracing.
        payload: the client's custom payload.
    """

    connection: int
    stream: int
    opcode: int
    body: bytes
    query: str = ""
    statement_id: bytes = b""
    parameters: list[bytes | Unset | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    consistency: int | None = None
    serial_consistency: int | None = None
    page_size: int | None = None
    paging_state: bytes | None = None
    timestamp: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    batch: list[tuple[str, list[bytes | Unset | None]]] = field(default_factory=list)
    batch_ids: list[bytes] = field(default_factory=list)
    batch_type: int | None = None
    tracing: bool = False
    payload: dict[str, bytes | None] = field(default_factory=dict)

    @property
    def opcode_name(self) -> str:
        """The opcode in words."""
        return OPCODE_NAMES.get(self.opcode, hex(self.opcode))


def read_request(connection: int, stream: int, flags: int, opcode: int, body: bytes, texts: Mapping[bytes, str]) -> Request:
    """Decodes a request; `texts` maps the ids of prepared statements to their text."""
    request = Request(connection, stream, opcode, body, tracing=bool(flags & 0x02))
    reader = _Reader(body)
    if flags & 0x04:
        for _ in range(reader.short()):
            key, content = reader.string(), reader.value()
            request.payload[key] = None if isinstance(content, Unset) else content
    if opcode in (QUERY, PREPARE):
        request.query = reader.take(reader.int()).decode()
    elif opcode == EXECUTE:
        request.statement_id = reader.take(reader.short())
        request.query = texts.get(request.statement_id, "")
    elif opcode == STARTUP:
        request.options = {reader.string(): reader.string() for _ in range(reader.short())}
    elif opcode == AUTH_RESPONSE:
        request.parameters.append(reader.value())
    elif opcode == BATCH:
        request.batch_type = reader.take(1)[0]
        for _ in range(reader.short()):
            is_prepared = reader.take(1)[0]
            statement_id = reader.take(reader.short()) if is_prepared else b""
            text = texts.get(statement_id, "") if is_prepared else reader.take(reader.int()).decode()
            request.batch_ids.append(statement_id)
            request.batch.append((text, [reader.value() for _ in range(reader.short())]))
        request.consistency = reader.short()
        options = reader.take(1)[0]
        if options & 0x10:
            request.serial_consistency = reader.short()
        if options & 0x20:
            request.timestamp = int.from_bytes(reader.take(8), "big", signed=True)
    if opcode in (QUERY, EXECUTE):
        request.consistency = reader.short()
        options = reader.take(1)[0]
        if options & 0x01:
            for _ in range(reader.short()):
                if options & 0x40:
                    request.names.append(reader.string())
                request.parameters.append(reader.value())
        if options & 0x04:
            request.page_size = reader.int()
        if options & 0x08:
            state = reader.value()
            request.paging_state = state if isinstance(state, bytes) else None
        if options & 0x10:
            request.serial_consistency = reader.short()
        if options & 0x20:
            request.timestamp = int.from_bytes(reader.take(8), "big", signed=True)
    return request
