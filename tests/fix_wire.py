"""Answers for the decoders of Arrow data: a session on a server that sends the rows it is given."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import pytest

import acsylla_like
from acsylla_like import _native
from acsylla_like._native import parse_type
from acsylla_like.testing import ScriptedServer, cql


def option(cql_type: _native.CqlType) -> bytes:
    """A type as the protocol's metadata has it."""
    if cql_type.field_names:
        fields = zip(cql_type.field_names, cql_type.types, strict=True)
        inner = b"".join(cql.string(name) + option(kind) for name, kind in fields)
        return cql.short(0x30) + cql.string("ks") + cql.string(cql_type.type_name) + cql.short(len(cql_type.types)) + inner
    if cql_type.types and cql_type.dimension < 0:
        code = {"list": 0x20, "map": 0x21, "set": 0x22, "tuple": 0x31}[cql_type.name.removeprefix("frozen<").partition("<")[0]]
        count = cql.short(len(cql_type.types)) if code == 0x31 else b""
        return cql.short(code) + count + b"".join(map(option, cql_type.types))
    return cql.parse_type(cql_type.name).encode()


def item(data: bytes | None) -> bytes:
    """A cell or an item with its length word."""
    return cql.value(data)


class Wire:
    """A session on a server that answers with the rows it is given; for tests that draw examples."""

    def __init__(self, server: ScriptedServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self.loop = server, loop
        self.session = loop.run_until_complete(self._open())

    async def _open(self) -> acsylla_like.Session:
        session = await acsylla_like.connect(self.server.address, port=self.server.port)
        await session.execute("SELECT 1")  # the driver makes a timer with the first request, and keeps it
        return session

    def result(self, columns: list[tuple[str, Any]], rows: list[list[bytes | None]]) -> acsylla_like.Result:
        """The answer with these cells; a column's type is text, a CqlType or a cql.Type."""
        kinds = [(name, parse_type(kind) if isinstance(kind, str) else kind) for name, kind in columns]
        specs = [(name, cql.Type("raw", raw=option(kind))) for name, kind in kinds]
        answer = cql.rows(specs, rows)
        self.server.handler = lambda request: answer

        async def execute() -> acsylla_like.Result:
            return await self.session.execute("SELECT * FROM ks.t")

        return self.loop.run_until_complete(execute())

    def table(self, kind: Any, cells: list[bytes | None], **options: Any) -> Any:
        """The cells as the column `c` of a pyarrow table."""
        import pyarrow

        return pyarrow.table(self.result([("c", kind)], [[cell] for cell in cells]).to_arrow(**options))


def of_the_schema(request: cql.Request, columns: list[tuple[str, str, int]]) -> cql.Answer:
    """The answer to a question for the columns of a table: each its name, kind and position."""
    fields = [("column_name", "text"), ("kind", "text"), ("position", "int")]
    count = 3 if "position" in request.query else 2
    answer = cql.rows(fields[:count], [list(column[:count]) for column in columns])
    if request.opcode == cql.PREPARE:
        return cql.prepared(request.query.encode()[:30][-16:], [("a", "text"), ("b", "text")], answer.columns)
    return answer


class Loader:
    """A table `ks.t` on a server that keeps what is written: `k int` is its key, `c` of the type that is given."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.written: dict[int, Any] = {}

    def load(self, kind: Any, data: Any, **options: Any) -> Any:
        """What `copy_from` returns; `written` then has the bytes of `c` by those of `k` as a number."""
        cql_type = parse_type(kind) if isinstance(kind, str) else kind
        parameters = {"k": cql.Type("int"), "c": cql.Type("raw", raw=option(cql_type))}
        self.written = {}

        def handle(request: cql.Request) -> cql.Answer | None:
            if "system_schema" in request.query:
                return of_the_schema(request, [("k", "partition_key", 0), ("c", "regular", -1)])
            if request.opcode == cql.PREPARE:
                names = request.query.partition("(")[2].partition(")")[0].replace('"', "").split(", ")
                key = [names.index("k")] if "k" in names else []
                return cql.prepared(repr((names, kind)).encode()[-16:], [(name, parameters[name]) for name in names], key=key)
            values = dict(
                zip(request.query.partition("(")[2].partition(")")[0].replace('"', "").split(", "), request.parameters, strict=True)
            )
            assert isinstance(values["k"], bytes)
            self.written[int.from_bytes(values["k"], "big", signed=True)] = values.get("c")
            return cql.void()

        self.wire.server.handler = handle
        return self.wire.loop.run_until_complete(self.wire.session.copy_from("ks.t", data, **options))


@pytest.fixture(scope="module")
def wire(loop_factory: Any) -> Iterator[Wire]:
    with ScriptedServer() as server, contextlib.closing(loop_factory()) as loop:
        wire = Wire(server, loop)
        yield wire
        loop.run_until_complete(wire.session.close())


@pytest.fixture(scope="module")
def loader(wire: Wire) -> Loader:
    return Loader(wire)


@pytest.fixture(params=["walk", "iterate"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Answers walked in memory, and by the driver's iterator as with any other library."""
    acsylla_like.driver_info()
    before = _native.walks_rows_in_memory()
    _native.walk_rows_in_memory(request.param == "walk" and before)
    yield
    _native.walk_rows_in_memory(before)


@pytest.fixture
def arrow_released() -> Iterator[None]:
    """Every structure that was handed out is released."""
    gc.collect()
    before = _native.arrow_structures()
    yield
    gc.collect()
    assert _native.arrow_structures() <= before  # what a failed test before has kept may have gone
