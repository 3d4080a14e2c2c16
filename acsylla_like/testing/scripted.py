"""A small CQL server that answers what a test says: odd, late, broken or hostile."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Any

from . import _network, _system_tables, cql
from ._loop_thread import LoopThread, stop_listening
from .cql import Answer, Columns, Request

Handler = Callable[[Request], "Answer | Awaitable[Answer | None] | None"]


class ScriptedServer(LoopThread):
    """A CQL server of one node whose answers a test decides, on an address and port of its own.

    It speaks protocol 4, answers what a driver asks on connecting (STARTUP, OPTIONS, REGISTER, `system.local`,
    `system.peers`, an empty schema), and hands every other QUERY, PREPARE, EXECUTE and BATCH to the test. It runs in a
    thread with an event loop of its own, so that the client may use any.

        with ScriptedServer() as server:
            server.answer("SELECT v FROM t WHERE k = ?", cql.rows([("v", "int")], [[1]]), [("k", "int")])
            session = await acsylla_like.connect(server.address, port=server.port)

    What a request gets: the handler's answer; when the handler (or no handler) gives None, the one registered with
    `answer()`; for a PREPARE of any text, parameters of the types registered or blobs for its markers; else void.

    Args:
        handler: called, in the server's thread, with each such request; plain or async; its exception becomes a
            SERVER_ERROR. Assign `server.handler` to change it later.
        supported: further options announced to clients, such as `{"SCYLLA_NR_SHARDS": ["4"]}`.
        release_version: the Cassandra version it claims to be.
        address, port: where to listen; free ones by default.
        ssl: the context of a server that speaks TLS.
        authenticator: the class that it tells clients to authenticate with; empty for none.
        authenticate: called, in the server's thread, with the tokens that a connection has sent so far; returns
            `cql.auth_challenge(…)`, `cql.auth_success(…)` or an error. By default every first token will do.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        supported: Mapping[str, Sequence[str]] | None = None,
        release_version: str = "4.1.0",
        address: str | None = None,
        port: int | None = None,
        ssl: SSLContext | None = None,
        authenticator: str = "",
        authenticate: Callable[[Sequence[bytes]], Answer] | None = None,
    ) -> None:
        super().__init__()
        self.handler = handler
        self.supported: dict[str, Sequence[str]] = {
            "CQL_VERSION": ["3.4.6"],
            "COMPRESSION": [],
            "PROTOCOL_VERSIONS": ["3/v3", "4/v4"],
            **(supported or {}),
        }
        self.release_version = release_version
        self.ssl = ssl
        self.authenticator = authenticator
        self.authenticate = authenticate
        #: By the number of the connection, the tokens that it has sent to authenticate.
        self.logins: dict[int, list[bytes]] = {}
        self.address = address or _network.free_addresses(1)[0]
        self.port = port or _network.free_ports([self.address], 1)[0]
        #: Identity in `system.local`; change `schema_version` to make a client read the schema again.
        self.host_id = uuid.uuid4()
        self.schema_version = uuid.uuid4()
        #: Every request that was not part of connecting, oldest first.
        self.requests: list[Request] = []
        #: How many connections were accepted since the start.
        self.connections_accepted = 0
        self._answers: dict[str, tuple[Answer, Columns, Sequence[int]]] = {}
        self._texts: dict[bytes, str] = {}  # prepared statements
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._registered: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_ending = False

    def __repr__(self) -> str:
        return f"<ScriptedServer at {self.address}:{self.port}, {self.open_connections} connections>"

    # What tests use -----------------------------------------------------------------------------------------------------

    @property
    def contact_points(self) -> list[str]:
        """Its one address, in a list as `Cassandra.contact_points`."""
        return [self.address]

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._writers)

    def answer(self, query: str, answer: Answer, parameters: Columns = (), *, key: Sequence[int] = ()) -> None:
        """Gives `query`, plain or prepared, an answer; `parameters` and `key` are what PREPARE tells of its markers."""
        self._answers[query] = answer, parameters, key

    def queries(self) -> list[str]:
        """The texts of the requests so far, without those to PREPARE."""
        return [request.query for request in self.requests if request.opcode != cql.PREPARE]

    def forget_prepared(self) -> None:
        """Makes every prepared statement unknown: the next EXECUTE of each gets UNPREPARED."""
        self._run(self._forget())

    async def _forget(self) -> None:
        self._texts.clear()

    def drop_connections(self) -> None:
        """Closes every connection at once; new ones are accepted."""
        self._run(self._drop())

    async def _drop(self) -> None:
        for writer in list(self._writers.values()):
            writer.transport.abort()

    def stop_listening(self) -> None:
        """Refuses new connections; those that are open go on."""
        self._run(self._close_listener())

    def listen(self) -> None:
        """Accepts connections again after `stop_listening()`."""
        self._run(self._open_listener())

    def push(self, event: Answer) -> None:
        """Sends an event to every connection that registered for events."""
        self._run(self._push(event))

    async def _push(self, event: Answer) -> None:
        for number in self._registered & self._writers.keys():
            self._writers[number].write(event.frame(-1))

    # Life ---------------------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._is_ending = False
        await self._open_listener()

    async def _open_listener(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, self.address, self.port, backlog=1024, ssl=self.ssl)

    async def _close_listener(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await stop_listening(server)

    async def _end(self) -> None:
        server, self._is_ending = self._server, True
        await self._close_listener()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop()  # those whose task had not begun
        if server is not None:
            await _network.gone(server)

    # One connection -----------------------------------------------------------------------------------------------------

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_ending:  # its TLS handshake was under way
            writer.transport.abort()
            return
        self.connections_accepted += 1
        self._writers[self.connections_accepted] = writer
        self._keep(asyncio.ensure_future(self._connected(self.connections_accepted, reader, writer)))
        self._note()

    async def _connected(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readexactly(9)
                version, flags, opcode = header[0], header[1], header[4]
                stream = int.from_bytes(header[2:4], "big", signed=True)
                body = await reader.readexactly(int.from_bytes(header[5:9], "big"))
                if version != 4:
                    refusal = cql.error(cql.PROTOCOL_ERROR, f"Invalid or unsupported protocol version ({version})")
                    await self._send(writer, stream, refusal)
                    continue
                request = cql.read_request(number, stream, flags, opcode, body, self._texts)
                answer = self._own_answer(request)
                if answer is not None:
                    await self._send(writer, stream, answer)
                    continue
                self.requests.append(request)
                self._note()
                self._keep(asyncio.ensure_future(self._serve(writer, request)))  # later requests need not wait for it
        except (asyncio.IncompleteReadError, OSError):  # of TLS, too
            pass
        except asyncio.CancelledError:  # by stop(); asyncio 3.11 and earlier report a cancelled connection as an error
            pass
        finally:
            del self._writers[number]
            self._registered.discard(number)
            writer.transport.abort()
            self._note()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _keep(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, writer: asyncio.StreamWriter, request: Request) -> None:
        try:
            answer = self.handler(request) if self.handler else None
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:
            answer = cql.error(cql.SERVER_ERROR, f"handler: {type(error).__name__}: {error}")
        if answer is None:
            answer = self._registered_answer(request)
        elif request.opcode == cql.PREPARE and answer.body[:4] == cql.integer(4):
            self._texts[answer.body[6 : 6 + int.from_bytes(answer.body[4:6], "big")]] = request.query
        await self._send(writer, request.stream, answer)

    async def _send(self, writer: asyncio.StreamWriter, stream: int, answer: Answer) -> None:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        try:
            writer.write(answer.frame(stream))
            if answer.close:
                writer.close()  # after what was written
            else:
                await writer.drain()
        except OSError:
            pass

    def _own_answer(self, request: Request) -> Answer | None:
        """The answer to what drivers ask on connecting, None for everything else."""
        if request.opcode == cql.OPTIONS:
            return cql.supported(self.supported)
        if request.opcode == cql.STARTUP:
            return cql.authenticate(self.authenticator) if self.authenticator else Answer(cql.READY)
        if request.opcode == cql.AUTH_RESPONSE:
            (token,) = request.parameters
            tokens = self.logins.setdefault(request.connection, [])
            tokens.append(token if isinstance(token, bytes) else b"")
            self._note()
            return self.authenticate(tokens) if self.authenticate else cql.auth_success()
        if request.opcode == cql.REGISTER:
            self._registered.add(request.connection)
            return Answer(cql.READY)
        if request.opcode != cql.QUERY or request.query in self._answers:
            return None
        words = request.query.replace(";", " ").split()
        if "FROM" not in [word.upper() for word in words]:
            return cql.set_keyspace(words[1].strip('"')) if words and words[0].upper() == "USE" else None
        keyspace, _, table = words[[word.upper() for word in words].index("FROM") + 1].lower().partition(".")
        if keyspace in ("system_schema", "system_virtual_schema"):
            return cql.rows([("keyspace_name", "text")], keyspace=keyspace, table=table)
        if keyspace != "system":
            return None
        columns = {"local": _system_tables.LOCAL, "peers": _system_tables.PEERS}.get(table)
        if columns is None:
            return cql.error(cql.INVALID, f"unconfigured table {table}")
        data: list[list[Any]] = []
        if table == "local":
            partitioner = "org.apache.cassandra.dht.Murmur3Partitioner"
            data.append(
                [
                    "local", "COMPLETED", self.address, "scripted", "3.4.6", "datacenter1", self.host_id, self.address, "4",
                    partitioner, "rack1", self.release_version, self.address, self.schema_version, ["0"],
                ]
            )  # fmt: skip
        chosen = _system_tables.chosen(words, columns)
        picked = [[row[columns.index(column)] for column in chosen] for row in data]
        return cql.rows(chosen, picked, keyspace="system", table=table)

    def _registered_answer(self, request: Request) -> Answer:
        answer, parameters, key = self._answers.get(request.query, (cql.void(), None, ()))
        if request.opcode == cql.PREPARE:
            statement_id = hashlib.md5(request.query.encode()).digest()
            self._texts[statement_id] = request.query
            if parameters is None:
                parameters = [(f"p{i}", "blob") for i in range(request.query.count("?"))]
            return cql.prepared(statement_id, parameters, answer.columns, key=key)
        if request.opcode == cql.EXECUTE and request.statement_id not in self._texts:
            message = f"Prepared query with ID {request.statement_id.hex()} not found"
            return cql.error(cql.UNPREPARED, message, statement_id=request.statement_id)
        return answer
