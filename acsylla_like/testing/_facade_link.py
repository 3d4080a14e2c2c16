"""One client's connection through the façade: its frames, what is answered here, and what goes to the real node."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import re
import struct
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _ring, _system_tables, cql
from .cql import Answer, Columns, Type

if TYPE_CHECKING:
    from .scylla_facade import Arrival, FacadeNode, ScyllaFacade

_HEADER = struct.Struct(">BBhBI")
_NO_METADATA, _GLOBAL_SPEC, _MORE_PAGES = 0x04, 0x01, 0x02
_TRACING, _PAYLOAD, _WARNING = 0x02, 0x04, 0x08
_ROWS, _PREPARED = 2, 4
_TABLETS = "TABLETS_ROUTING_V1"
_PAYLOAD_KEY = "tablets-routing-v1"

# Stream ids of our own requests on a connection to a real node: drivers count from below.
_OWN_STREAMS = range(32767, 32000, -1)

_CLIENTS: Columns = [
    ("address", "inet"), ("port", "int"), ("client_type", "text"), ("connection_stage", "text"), ("driver_name", "text"),
    ("driver_version", "text"), ("hostname", "text"), ("protocol_version", "int"), ("shard_id", "int"),
    ("ssl_cipher_suite", "text"), ("ssl_enabled", "boolean"), ("ssl_protocol", "text"), ("username", "text"),
]  # fmt: skip
_TABLETS_TABLE: Columns = [
    ("table_id", "uuid"), ("last_token", "bigint"), ("keyspace_name", "text"), ("table_name", "text"), ("tablet_count", "int"),
    ("replicas", "list<tuple<uuid, int>>"),
]  # fmt: skip
_EVENTS: Columns = [
    ("session_id", "uuid"), ("event_id", "timeuuid"), ("activity", "text"), ("source", "inet"), ("source_elapsed", "int"),
    ("thread", "text"),
]  # fmt: skip
_TABLES: dict[str, Columns] = {
    "system.local": _system_tables.LOCAL,
    "system.peers": _system_tables.PEERS,
    "system.clients": _CLIENTS,
    "system.tablets": _TABLETS_TABLE,
    "system_traces.events": _EVENTS,
}

_SELECT = re.compile(r"\s*SELECT\s+(?P<columns>.+?)\s+FROM\s+(?P<table>system\w*\.\w+)\s*(?P<rest>.*?)[\s;]*$", re.I | re.S)
_USING_TIMEOUT = re.compile(r"\s+USING\s+TIMEOUT\s+\w+", re.I)  # which Cassandra does not know
_CONDITION = re.compile(r"(\w+)\s*=\s*('[^']*'|\?|:\w+|-?[\w-]+)", re.I)
_LIMIT = re.compile(r"\bLIMIT\s+(\d+)", re.I)


@dataclass(frozen=True)
class Statement:
    """What is known of a prepared statement: which of its parameters are the partition key, in the key's order."""

    query: str
    keyspace: str = ""
    table: str = ""
    key: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def token_of(self, parameters: Sequence[bytes | cql.Unset | None], names: Sequence[str] = ()) -> int | None:
        """The token of the key among these parameters; None when the statement does not have all of it."""
        if not self.key:
            return None
        if names:
            by_name = dict(zip(names, parameters, strict=True))
            components = [by_name.get(self.names[i]) for i in self.key]
        else:
            components = [parameters[i] if i < len(parameters) else None for i in self.key]
        given = [part for part in components if isinstance(part, bytes)]
        return _ring.murmur3_token(_ring.partition_key(given)) if len(given) == len(components) else None


class _Frames(asyncio.Protocol):
    """A connection that takes frames apart."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at + 5 : at + 9], "big")
            end = at + 9 + length
            if len(buffer) < end:
                break
            frame = bytes(buffer[at:end])
            at = end
            version, flags, stream, opcode, _ = _HEADER.unpack_from(frame)
            self.on_frame(version, flags, stream, opcode, frame)
        del buffer[:at]

    def on_frame(self, version: int, flags: int, stream: int, opcode: int, frame: bytes) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def abort(self) -> None:
        """Closes the connection at once."""
        if self.transport is not None:
            self.transport.abort()


class _BackendLink(_Frames):
    """The connection to the real node that belongs to a client's."""

    def __init__(self, client: ClientLink) -> None:
        super().__init__()
        self.client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.client.backend_lost()

    def on_frame(self, version: int, flags: int, stream: int, opcode: int, frame: bytes) -> None:
        self.client.on_answer(flags, stream, opcode, frame)


class ClientLink(_Frames):
    """A client's connection to a node of the façade."""

    def __init__(self, facade: ScyllaFacade, node: FacadeNode, *, is_shard_aware: bool, is_silent: bool = False) -> None:
        super().__init__()
        self.facade = facade
        self.node = node
        self.shard: int | None = None
        self.is_ready = False
        self.driver: dict[str, str] = {}
        self.peer: tuple[Any, ...] = ("127.0.0.1", 0)
        self._is_shard_aware = is_shard_aware
        self._is_silent = is_silent
        self._knows_tablets = False
        self._events: list[str] = []
        self._backend: _BackendLink | None = None
        self._backend_made: asyncio.Task[_BackendLink] | None = None
        self._was_told_to_start = False
        self._hooks: dict[int, Callable[[int, bytes], None]] = {}  # of streams whose answer is looked at
        self._own: dict[int, asyncio.Future[tuple[int, int, bytes]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._keyspace = ""

    # The client's side --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.peer = transport.get_extra_info("peername")
        self.shard = self.facade.shard_for(self.node, self.peer[1], is_shard_aware=self._is_shard_aware)
        self.facade._connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_ready = False
        for task in self._tasks:
            task.cancel()
        self.abort()  # CPython 3.10 takes a transport with TLS for unclosed until it is told
        self.facade._disconnected(self)

    def abort(self) -> None:
        super().abort()
        if self._backend is not None:
            self._backend.abort()

    def backend_lost(self) -> None:
        """The real node has gone: so has this one, for this client."""
        for future in self._own.values():
            if not future.done():
                future.set_exception(ConnectionResetError(f"{self.node.backend[0]} closed the connection"))
        super().abort()

    def on_frame(self, version: int, flags: int, stream: int, opcode: int, frame: bytes) -> None:
        if self._is_silent:
            return
        if version not in (3, 4):
            self._answer(stream, cql.error(cql.PROTOCOL_ERROR, f"Invalid or unsupported protocol version: {version & 0x7F}"))
        elif opcode == cql.OPTIONS:
            self._answer(stream, cql.supported(self.facade.supported(self.node, self.shard)))
        elif opcode in (cql.STARTUP, cql.REGISTER):
            self._open(version, flags, stream, opcode, frame)
        elif opcode in (cql.QUERY, cql.PREPARE, cql.EXECUTE, cql.BATCH):
            self._request(flags, stream, opcode, frame)
        else:
            self._forward(frame)

    def _open(self, version: int, flags: int, stream: int, opcode: int, frame: bytes) -> None:
        reader = cql._Reader(frame[9:])
        if opcode == cql.REGISTER:
            self._events = [reader.string() for _ in range(reader.short())]
            self._forward(frame)
            return
        options = {reader.string(): reader.string() for _ in range(reader.short())}
        self.driver = {key: options[key] for key in ("DRIVER_NAME", "DRIVER_VERSION") if key in options}
        self._knows_tablets = self.facade.tablets and _TABLETS in options
        self._was_told_to_start = True
        known = {key: text for key, text in options.items() if not key.startswith(("SCYLLA_", "TABLETS_", "COMPRESSION"))}
        body = cql.short(len(known)) + b"".join(cql.string(key) + cql.string(text) for key, text in known.items())
        self._hooks[stream] = self._started
        self._forward(_HEADER.pack(version, flags, stream, opcode, len(body)) + body)

    def _started(self, opcode: int, frame: bytes) -> None:
        self.is_ready = opcode == cql.READY
        self.write(frame)
        self.facade._note()

    def _request(self, flags: int, stream: int, opcode: int, frame: bytes) -> None:
        texts = self.facade.texts
        request = cql.read_request(0, stream, flags, opcode, frame[9:], texts)
        if opcode in (cql.QUERY, cql.PREPARE) and self.node.nr_shards is not None and not flags & _PAYLOAD:
            plain = _USING_TIMEOUT.sub("", request.query)
            if plain != request.query:
                rest = frame[9 + 4 + len(request.query.encode()) :]
                body = cql.integer(len(plain.encode())) + plain.encode() + rest
                frame = frame[:5] + cql.integer(len(body)) + body
                request.query = plain
        if opcode != cql.BATCH:
            found = _SELECT.match(request.query)
            table = found["table"].lower() if found else ""
            if found and table == "system.peers_v2":
                self._answer(stream, cql.error(cql.INVALID, "unconfigured table peers_v2"))
                return
            if found and table in _TABLES and (self.node.nr_shards is not None or table in ("system.local", "system.peers")):
                self._later(self._serve(request, found, table))
                return
        if opcode == cql.PREPARE:
            self._hooks[stream] = lambda _, answer: self._later(self._prepared(request.query, answer))
            self._forward(frame)
        elif opcode == cql.EXECUTE:
            statement = self.facade.statements.get(request.statement_id, Statement(request.query))
            self._note_and_forward("EXECUTE", statement, statement.token_of(request.parameters, request.names), request, frame)
        elif opcode == cql.BATCH:
            keyed = Statement(request.batch[0][0] if request.batch else "")
            token = None
            for identity, (_, parameters) in zip(request.batch_ids, request.batch, strict=True):
                known = self.facade.statements.get(identity)
                if known is not None and (token := known.token_of(parameters)) is not None:
                    keyed = known
                    break
            self._note_and_forward("BATCH", keyed, token, request, frame)
        elif request.parameters:
            self._later(self._query_with_parameters(request, frame))
        else:
            self._note_and_forward("QUERY", Statement(request.query), None, request, frame)

    async def _query_with_parameters(self, request: cql.Request, frame: bytes) -> None:
        """Prepares the text on the side, since only that tells which parameters are its key."""
        statement = Statement(request.query)
        body = cql.integer(len(request.query.encode())) + request.query.encode()
        _, opcode, answer = await self._ask(cql.PREPARE, body)
        if opcode == cql.RESULT:
            identity = self._read_prepared(request.query, answer[9:])
            await self._learn_replication(self.facade.statements[identity].keyspace)
            statement = self.facade.statements[identity]
        self._note_and_forward("QUERY", statement, statement.token_of(request.parameters, request.names), request, frame)

    def _note_and_forward(self, kind: str, statement: Statement, token: int | None, request: cql.Request, frame: bytes) -> None:
        arrival = self.facade._note_arrival(kind, statement.query, statement.keyspace, statement.table, self.node, self.shard, token)
        tablet = None
        if self._knows_tablets and token is not None and not arrival.hit:
            tablet = self.facade.tablet_of(statement.keyspace, statement.table, token)
        if request.tracing or tablet is not None:
            payload = None if tablet is None else _tablet_payload(tablet)
            self._hooks[request.stream] = lambda _, answer: self._decorate(answer, arrival, payload)
        if kind == "QUERY" and (used := re.match(r"\s*USE\s+(\"[^\"]+\"|\w+)", statement.query, re.I)):
            self._keyspace = used[1]
        if kind == "QUERY" and re.match(r"\s*(CREATE|ALTER|DROP)\s+KEYSPACE", statement.query, re.I):
            self.facade.replications.clear()
        self._forward(frame)

    def _decorate(self, frame: bytes, arrival: Arrival, payload: bytes | None) -> None:
        """Notes whose trace an answer is, and adds a tablet to what it carries."""
        version, flags, stream, opcode, _ = _HEADER.unpack_from(frame)
        body = frame[9:]
        if flags & _TRACING:
            self.facade.traced[uuid.UUID(bytes=body[:16])] = arrival
        if payload is not None and opcode == cql.RESULT and not flags & _PAYLOAD:
            at = 16 if flags & _TRACING else 0  # the payload comes after the tracing id and the warnings
            if flags & _WARNING:
                reader = cql._Reader(body)
                reader.take(at)
                for _ in range(reader.short()):
                    reader.string()
                at = reader.at
            body = body[:at] + cql.short(1) + cql.string(_PAYLOAD_KEY) + cql.value(payload) + body[at:]
            frame = _HEADER.pack(version, flags | _PAYLOAD, stream, opcode, len(body)) + body
        self.write(frame)

    async def _prepared(self, query: str, frame: bytes) -> None:
        _, flags, _, opcode, _ = _HEADER.unpack_from(frame)
        if opcode == cql.RESULT:
            body = frame[9:]
            at = 16 if flags & _TRACING else 0
            if not flags & (_PAYLOAD | _WARNING):
                statement = self.facade.statements[self._read_prepared(query, body[at:])]
                with contextlib.suppress(OSError):
                    await self._learn_replication(statement.keyspace)
        self.write(frame)

    def _read_prepared(self, query: str, body: bytes) -> bytes:
        """Keeps what an answer to PREPARE tells of the statement; returns its id."""
        reader = cql._Reader(body)
        if reader.int() != _PREPARED:
            raise ValueError("not the answer to PREPARE")
        identity = reader.take(reader.short())
        flags, count, keys = reader.int(), reader.int(), reader.int()
        key = tuple(reader.short() for _ in range(keys))
        keyspace = table = ""
        if flags & _GLOBAL_SPEC:
            keyspace, table = reader.string(), reader.string()
        names = []
        for _ in range(count):
            if not flags & _GLOBAL_SPEC:
                keyspace, table = reader.string(), reader.string()
            names.append(reader.string())
            _read_type(reader)
        self.facade.statements[identity] = Statement(query, keyspace, table, key, tuple(names))
        self.facade.texts[identity] = query
        return identity

    async def _learn_replication(self, keyspace: str) -> None:
        if keyspace and keyspace not in self.facade.replications:
            rows = await self.ask_rows(f"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'")
            if rows:
                texts = self.texts(rows[0]["replication"])
                self.facade.replications[keyspace] = dict(zip(texts[::2], texts[1::2], strict=True))

    def push_change(self, kind: str, change: str, about: FacadeNode) -> None:
        """Tells the client that a node went or came, if it wants to know: STATUS_CHANGE or TOPOLOGY_CHANGE."""
        if kind in self._events:
            self.write(cql.event(kind, change, address=about.address, port=about.port).frame(-1))

    def _answer(self, stream: int, answer: Answer) -> None:
        self.write(answer.frame(stream))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        if self.transport is not None and self.transport.is_closing():
            work.close()
            return
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # which has not begun when the task was cancelled at once

    async def _guarded(self, work: Awaitable[None]) -> None:
        with contextlib.suppress(ConnectionError):  # both ends are closed by then
            await work

    # ScyllaDB's own tables ----------------------------------------------------------------------------------------------

    async def _serve(self, request: cql.Request, found: re.Match[str], table: str) -> None:
        columns = _TABLES[table]
        types = {name: kind if isinstance(kind, Type) else cql.parse_type(kind) for name, kind in columns}
        wanted = found["columns"].replace(" ", "").replace('"', "").lower().split(",")
        chosen = columns if wanted == ["*"] else [column for name in wanted for column in columns if column[0] == name]
        if wanted != ["*"] and len(chosen) < len(wanted):
            self._answer(request.stream, cql.error(cql.INVALID, f"the façade has no {set(wanted) - set(types)} in {table}"))
            return
        conditions = _CONDITION.findall(found["rest"])
        markers = [name.lower() for name, text in conditions if text[0] in "?:"]
        keyspace, _, name = table.partition(".")
        if request.opcode == cql.PREPARE:
            identity = hashlib.md5(request.query.encode()).digest()
            self.facade.texts[identity] = request.query
            parameters = [(marker, types[marker]) for marker in markers]
            result = cql.rows(chosen, keyspace=keyspace, table=name).columns
            self._answer(request.stream, cql.prepared(identity, parameters, result, keyspace=keyspace, table=name))
            return
        given = iter(request.parameters)
        equal: dict[str, bytes | None] = {}
        for column, text in conditions:
            bound = next(given, None) if text[0] in "?:" else _literal(types[column.lower()], text)
            equal[column.lower()] = bound if isinstance(bound, bytes) else None
        rows = await self._rows_of(table, equal)
        encoded = [{column: cql.encode(types[column], row.get(column)) for column in types} for row in rows]
        kept = [row for row in encoded if all(row[column] == value for column, value in equal.items())]
        if limit := _LIMIT.search(found["rest"]):
            kept = kept[: int(limit[1])]
        self._answer(
            request.stream,
            cql.rows(chosen, [[row[column] for column, _ in chosen] for row in kept], keyspace=keyspace, table=name),
        )

    async def _rows_of(self, table: str, equal: Mapping[str, bytes | None]) -> list[dict[str, Any]]:
        if table == "system.local":
            return [await self._local_row()]
        if table == "system.peers":
            return await self._peer_rows()
        if table == "system.clients":
            return [link._client_row() for link in tuple(self.node._links) if link.is_ready]
        if table == "system.tablets":
            return self._tablet_rows()
        session = equal.get("session_id")
        return [] if session is None else await self._trace_rows(uuid.UUID(bytes=session))

    async def _local_row(self) -> dict[str, Any]:
        row = await self.ask_row("SELECT cluster_name, schema_version FROM system.local WHERE key = 'local'")
        return {
            **row,
            "key": "local",
            "bootstrapped": "COMPLETED",
            "broadcast_address": self.node.address,
            "cql_version": "3.3.1",
            "data_center": self.node.datacenter,
            "host_id": self.node.host_id,
            "listen_address": self.node.address,
            "native_protocol_version": "4",
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "rack": self.node.rack,
            "release_version": "3.0.8",
            "rpc_address": self.node.address,
            "tokens": [str(token) for token in self.node.tokens],
        }

    async def _peer_rows(self) -> list[dict[str, Any]]:
        local = await self.ask_row("SELECT schema_version FROM system.local WHERE key = 'local'")
        return [
            {
                "peer": node.address,
                "data_center": node.datacenter,
                "host_id": node.host_id,
                "preferred_ip": node.address,
                "rack": node.rack,
                "release_version": "3.0.8",
                "rpc_address": node.address,
                "schema_version": local["schema_version"],
                "tokens": [str(token) for token in node.tokens],
            }
            for node in self.facade.nodes
            if node is not self.node and node.is_member
        ]

    def _client_row(self) -> dict[str, Any]:
        return {
            "address": self.peer[0],
            "port": self.peer[1],
            "client_type": "cql",
            "connection_stage": "READY",
            "driver_name": self.driver.get("DRIVER_NAME"),
            "driver_version": self.driver.get("DRIVER_VERSION"),
            "protocol_version": 4,
            "shard_id": self.shard,
            "ssl_enabled": self.facade.ssl_context is not None,
            "username": "anonymous",
        }

    def _tablet_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "table_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{keyspace}.{table}"),
                "last_token": tablet.last,
                "keyspace_name": keyspace,
                "table_name": table,
                "tablet_count": len(tablets),
                "replicas": [(node.host_id, shard) for node, shard in tablet.replicas],
            }
            for (keyspace, table), tablets in self.facade._tables.items()
            for tablet in tablets
        ]

    async def _trace_rows(self, session: uuid.UUID) -> list[dict[str, Any]]:
        """The real trace, its threads named as ScyllaDB does: the shard that it arrived on, then the shard that owns the key."""
        rows: list[dict[str, Any]] = await self.ask_rows(f"SELECT * FROM system_traces.events WHERE session_id = {session}")
        arrival = self.facade.traced.get(session)
        if arrival is None or arrival.shard is None:
            return rows
        owned = {node.address: shard for node, shard in arrival.owners}
        owner = owned.get(arrival.node.address)
        for at, row in enumerate(rows):
            is_forwarded = owner is not None and 0 < at < len(rows) - 1
            row["source"] = arrival.node.address
            row["thread"] = f"shard {owner if is_forwarded else arrival.shard}"
        return rows

    # The real node's side -----------------------------------------------------------------------------------------------

    def _forward(self, frame: bytes) -> None:
        if self._backend is not None:
            self._backend.write(frame)
        else:
            self._later(self._forward_when_open(frame))

    async def _forward_when_open(self, frame: bytes) -> None:
        (await self._opened()).write(frame)

    async def _opened(self) -> _BackendLink:
        if self._backend is None:
            if self._backend_made is None:
                self._backend_made = asyncio.ensure_future(self._connect())
            try:
                return await asyncio.shield(self._backend_made)
            except OSError as error:
                super().abort()
                raise ConnectionResetError(str(error)) from None
        return self._backend

    async def _connect(self) -> _BackendLink:
        _, link = await asyncio.get_running_loop().create_connection(lambda: _BackendLink(self), *self.node.backend)
        if self.transport is not None and self.transport.is_closing():
            link.abort()
        self._backend = link
        return link

    def on_answer(self, flags: int, stream: int, opcode: int, frame: bytes) -> None:
        """A frame from the real node."""
        if stream < 0:
            self._event(frame)
            return
        waiting = self._own.pop(stream, None)
        if waiting is not None:
            if not waiting.done():
                waiting.set_result((flags, opcode, frame))
            return
        hook = self._hooks.pop(stream, None)
        if hook is not None:
            hook(opcode, frame)
        else:
            self.write(frame)

    def _event(self, frame: bytes) -> None:
        reader = cql._Reader(frame[9:])
        kind = reader.string()
        if kind == "SCHEMA_CHANGE":
            self.write(frame)
            return
        change = reader.string()
        address = str(ipaddress.ip_address(reader.take(reader.take(1)[0])))
        node = self.facade.node_of_backend(address)
        if node is not None:
            self.write(cql.event(kind, change, address=node.address, port=node.port).frame(-1))

    async def _ask(self, opcode: int, body: bytes) -> tuple[int, int, bytes]:
        """Sends a request of our own; returns the answer's flags, opcode and frame."""
        backend = await self._opened()
        if not self._was_told_to_start:
            self._was_told_to_start = True
            await self._ask(cql.STARTUP, cql.short(1) + cql.string("CQL_VERSION") + cql.string("3.0.0"))
        stream = next(stream for stream in _OWN_STREAMS if stream not in self._own)
        future: asyncio.Future[tuple[int, int, bytes]] = asyncio.get_running_loop().create_future()
        self._own[stream] = future
        backend.write(_HEADER.pack(4, 0, stream, opcode, len(body)) + body)
        return await future

    async def ask_rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query of our own, by column name; each cell its bytes or None."""
        text = query.encode()
        _, opcode, frame = await self._ask(cql.QUERY, cql.integer(len(text)) + text + cql.short(1) + b"\0")
        reader = cql._Reader(frame[9:])
        kind = reader.int()
        if opcode != cql.RESULT or kind != _ROWS:
            raise ConnectionResetError(f"{query}: answered with opcode {opcode:#04x}")
        flags, count = reader.int(), reader.int()
        if flags & _GLOBAL_SPEC:
            reader.string(), reader.string()
        names = []
        for _ in range(count):
            if not flags & _GLOBAL_SPEC:
                reader.string(), reader.string()
            names.append(reader.string())
            _read_type(reader)
        return [{name: reader.value() for name in names} for _ in range(reader.int())]

    async def ask_row(self, query: str) -> dict[str, Any]:
        """The only row of a query of our own."""
        rows = await self.ask_rows(query)
        if len(rows) != 1:
            raise ConnectionResetError(f"{query}: {len(rows)} rows")
        return rows[0]

    @staticmethod
    def texts(cell: bytes) -> list[str]:
        """The elements of a cell with a collection of text; keys and values of a map in turn."""
        reader = cql._Reader(cell)
        reader.int()
        texts = []
        while reader.at < len(cell):
            texts.append(reader.take(reader.int()).decode())
        return texts


def _read_type(reader: cql._Reader) -> None:
    """Skips an [option] of metadata."""
    kind = reader.short()
    if kind == 0x00:
        reader.string()
    elif kind in (0x20, 0x22):
        _read_type(reader)
    elif kind == 0x21:
        _read_type(reader)
        _read_type(reader)
    elif kind == 0x31:
        for _ in range(reader.short()):
            _read_type(reader)
    elif kind == 0x30:
        reader.string(), reader.string()
        for _ in range(reader.short()):
            reader.string()
            _read_type(reader)


def _literal(kind: Type, text: str) -> bytes | None:
    plain = text.strip("'")
    if kind.name in ("uuid", "timeuuid"):
        return uuid.UUID(plain).bytes
    return cql.encode(kind, int(plain) if kind.name in ("int", "bigint") else plain)


def _tablet_payload(tablet: Any) -> bytes:
    """tuple<bigint, bigint, list<tuple<uuid, int>>>: the range, its first token excluded, and the replicas."""
    replicas = [cql.value(node.host_id.bytes) + cql.value(cql.integer(shard)) for node, shard in tablet.replicas]
    listed = cql.integer(len(replicas)) + b"".join(map(cql.value, replicas))
    return cql.value(struct.pack(">q", tablet.first)) + cql.value(struct.pack(">q", tablet.last)) + cql.value(listed)
