"""The scripted server, spoken to over a plain socket."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import threading
import time
import uuid

import pytest

from acsylla_like.testing import ScriptedServer, cql
from acsylla_like.testing.cql import Answer, Request


class Client:
    """Sends frames and reads frames."""

    def __init__(self, server: ScriptedServer, startup: bool = True) -> None:
        self.socket = socket.create_connection((server.address, server.port), 5.0)
        if startup:
            assert self.ask(cql.STARTUP, cql.short(1) + cql.string("CQL_VERSION") + cql.string("3.0.0")) == (cql.READY, b"")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, opcode: int, body: bytes = b"", stream: int = 1, version: int = 4) -> None:
        self.socket.sendall(struct.pack(">BBhBI", version, 0, stream, opcode, len(body)) + body)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError(data)
            data += part
        return data

    def receive(self) -> tuple[int, int, bytes]:
        version, _, stream, opcode, size = struct.unpack(">BBhBI", self.exactly(9))
        assert version == 0x84
        return stream, opcode, self.exactly(size)

    def ask(self, opcode: int, body: bytes = b"") -> tuple[int, bytes]:
        self.send(opcode, body)
        stream, *answer = self.receive()
        assert stream == 1
        return answer[0], answer[1]

    def query(self, text: str) -> tuple[int, bytes]:
        return self.ask(cql.QUERY, query_body(text))


def query_body(text: str, parameters: bytes = b"") -> bytes:
    data = text.encode()
    return cql.integer(len(data)) + data + cql.short(1) + (parameters or b"\x00")


ONE_ROW = cql.rows([("v", "int")], [[7]])


@pytest.fixture
def server():
    with ScriptedServer() as server:
        yield server


def test_connecting_needs_no_script(server):
    with Client(server) as client:
        opcode, body = client.ask(cql.OPTIONS)
        assert opcode == cql.SUPPORTED
        assert b"PROTOCOL_VERSIONS" in body
        assert client.ask(cql.REGISTER, cql.string_list(["SCHEMA_CHANGE"])) == (cql.READY, b"")
        opcode, body = client.query("SELECT * FROM system.local WHERE key='local'")
        assert opcode == cql.RESULT
        assert b"Murmur3Partitioner" in body
        assert b"tokens" not in client.query("SELECT key, schema_version FROM system.local")[1]
        assert client.query("SELECT * FROM system.peers")[1].endswith(cql.integer(0))
        assert client.query("SELECT * FROM system.peers_v2")[1].startswith(cql.integer(cql.INVALID))
        assert client.query('USE "ks"') == (cql.RESULT, cql.set_keyspace("ks").body)
    assert server.requests == []


def test_another_protocol_version_is_refused_in_words_drivers_know(server):
    with Client(server, startup=False) as client:
        client.send(cql.OPTIONS, version=5)
        assert b"unsupported protocol version (5)" in client.receive()[2]


def test_registered_query_is_answered_plain_and_prepared(server):
    server.answer("SELECT v FROM t WHERE k = ?", ONE_ROW, [("k", "int")], key=[0])
    with Client(server) as client:
        assert client.query("SELECT v FROM t WHERE k = ?") == (cql.RESULT, ONE_ROW.body)
        text = b"SELECT v FROM t WHERE k = ?"
        _, body = client.ask(cql.PREPARE, cql.integer(len(text)) + text)
        statement_id = body[6:22]
        parameters = b"\x01" + cql.short(1) + cql.value(cql.integer(5))
        execute = cql.short_bytes(statement_id) + cql.short(4) + parameters
        assert client.ask(cql.EXECUTE, execute) == (cql.RESULT, ONE_ROW.body)
        assert server.requests[-1].parameters == [cql.integer(5)]
        assert server.requests[-1].consistency == 4
        server.forget_prepared()
        assert client.ask(cql.EXECUTE, execute)[1].startswith(cql.integer(cql.UNPREPARED))
    assert server.queries() == [text.decode()] * 2 + [""]


def test_batches_are_read(server):
    body = b"\x01" + cql.short(1) + b"\x00" + cql.value(b"INSERT") + cql.short(1) + cql.value(None) + cql.short(6) + b"\x00"
    with Client(server) as client:
        assert client.ask(cql.BATCH, body) == (cql.RESULT, cql.void().body)
    assert (server.requests[0].batch, server.requests[0].batch_type) == ([("INSERT", [None])], 1)


def test_a_handler_decides_and_may_be_async(server):
    async def handler(request: Request) -> Answer | None:
        await asyncio.sleep(0)
        return cql.error(cql.OVERLOADED, "no more") if request.query == "X" else None

    server.handler = handler
    with Client(server) as client:
        assert client.query("X") == (cql.ERROR, cql.integer(cql.OVERLOADED) + cql.string("no more"))
        assert client.query("Y") == (cql.RESULT, cql.void().body)


def test_a_failing_handler_is_a_server_error_that_names_it(server):
    server.handler = lambda request: 1 / 0  # type: ignore[assignment, return-value]
    with Client(server) as client:
        assert b"handler: ZeroDivisionError" in client.query("X")[1]


def test_answers_may_be_cut_torn_silent_or_late(server):
    with Client(server) as client:
        for size in range(len(ONE_ROW.body)):
            server.handler = lambda request, size=size: ONE_ROW.cut(size)
            assert client.query("X") == (cql.RESULT, ONE_ROW.body[:size])
        server.handler = lambda request: {"late": ONE_ROW.delayed(0.2), "never": cql.SILENCE}.get(request.query, ONE_ROW)
        began = time.monotonic()
        for stream, text in enumerate(["never", "late", "soon"]):
            client.send(cql.QUERY, query_body(text), stream)
        assert [client.receive()[0] for _ in range(2)] == [2, 1]
        assert time.monotonic() - began >= 0.2
        server.handler = lambda request: ONE_ROW.torn(5)
        with pytest.raises(EOFError) as torn:
            client.query("X")
        assert torn.value.args == (ONE_ROW.body[:5],)
    server.handler = lambda request: cql.CLOSE
    with Client(server) as client, pytest.raises(EOFError):
        client.query("X")


def test_connections_are_counted_dropped_and_refused(server):
    with Client(server) as first, Client(server):
        assert (server.open_connections, server.connections_accepted) == (2, 2)
        server.stop_listening()
        with pytest.raises(ConnectionError):
            Client(server)
        server.drop_connections()
        server.wait_for(lambda s: s.open_connections == 0)
        with pytest.raises((EOFError, ConnectionError)):
            first.query("X")
        server.listen()
        with Client(server):
            assert (server.open_connections, server.connections_accepted) == (1, 3)
    with pytest.raises(TimeoutError):
        server.wait_for(lambda s: False, timeout=0.01)


def test_events_reach_registered_connections_only(server):
    with Client(server) as told, Client(server) as other:
        told.ask(cql.REGISTER, cql.string_list(["STATUS_CHANGE"]))
        server.push(cql.event("STATUS_CHANGE", "DOWN", address="127.0.0.1"))
        stream, opcode, body = told.receive()
        assert (stream, opcode) == (-1, cql.EVENT)
        assert body.startswith(cql.string("STATUS_CHANGE") + cql.string("DOWN"))
        other.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            other.receive()


def test_its_thread_and_sockets_end_with_it():
    threads = threading.active_count()
    with ScriptedServer(lambda request: cql.SILENCE) as server, Client(server) as client:
        client.send(cql.QUERY, query_body("X"))
        server.wait_for(lambda s: bool(s.requests))
        server.stop()
        server.stop()
        with pytest.raises((EOFError, ConnectionError)):
            client.receive()
    assert threading.active_count() == threads
    gc.collect()  # an unclosed socket would warn here
    with pytest.raises(RuntimeError, match="not started"):
        server.drop_connections()


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("int", "0009"),
        ("list<frozen<map<text, int>>>", "00200021000d0009"),
        ("tuple<set<uuid>, varint>", "003100020022000c000e"),
    ],
)
def test_types_are_read_as_written_in_cql(text, encoded):
    assert cql.parse_type(text).encode().hex() == encoded


def test_vectors_are_custom_types_spelt_as_the_server_does():
    name = "org.apache.cassandra.db.marshal.VectorType(org.apache.cassandra.db.marshal.FloatType , 3)"
    assert cql.parse_type("vector<float, 3>").encode() == cql.short(0) + cql.string(name)


def test_an_unknown_type_is_named():
    with pytest.raises(ValueError, match="integer"):
        cql.parse_type("list<integer>")


@pytest.mark.parametrize(
    ("kind", "value", "encoded"),
    [
        ("varint", 127, "7f"),
        ("varint", 128, "0080"),
        ("varint", -128, "80"),
        ("varint", -129, "ff7f"),
        ("inet", "::1", "0" * 31 + "1"),
        ("uuid", uuid.UUID(int=1), "0" * 31 + "1"),
        ("map<text, int>", {"a": 1}, "0000000100000001610000000400000001"),
        ("tuple<int, text>", (None, "b"), "ffffffff0000000162"),
        ("blob", b"\x01", "01"),
    ],
)
def test_values_are_encoded(kind, value, encoded):
    data = cql.encode(cql.parse_type(kind), value)
    assert data is not None
    assert data.hex() == encoded


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (cql.UNAVAILABLE, "00010000000200000001"),
        (cql.WRITE_TIMEOUT, "00010000000100000002000653494d504c45"),
        (cql.READ_TIMEOUT, "0001000000010000000200"),
        (cql.READ_FAILURE, "000100000001000000020000000100"),
        (cql.ALREADY_EXISTS, "00026b73000174"),
        (cql.SYNTAX_ERROR, ""),
    ],
)
def test_errors_carry_the_fields_of_their_code(code, fields):
    assert cql.error(code, "m").body.hex() == cql.integer(code).hex() + "00016d" + fields
