"""The bench's null server: what it answers is sound, and no request brings it down."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest

import acsylla_like

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "bench"))

import bulk
import programs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the null server uses epoll"),
    pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler"),
]


@pytest.fixture(scope="module")
def null_server() -> Iterator[programs.NullServer]:
    with programs.NullServer(table_rows=2_500, bulk_rows=250_000) as server:
        yield server


async def test_rows_are_the_same_however_they_are_asked_for(null_server: programs.NullServer) -> None:
    async with acsylla_like.connect(null_server.address, port=null_server.port, keyspace="bench") as session:
        text = "SELECT id, name, big, ratio, flag FROM rows"
        whole = (await session.execute(text)).all()
        assert [row.id for row in whole] == list(range(2_500))
        assert whole[7].as_tuple() == (7, "a text of some forty characters, not more", 7 << 20, 1.0, False)
        prepared = await session.create_prepared(text)
        assert [row async for row in session.stream(prepared, page_size=999)] == whole
        pages = [len(page) async for page in session.stream(text, page_size=1_000).pages()]
        assert pages == [1_000, 1_000, 500]
        lone = (await session.execute("SELECT big, id FROM rows WHERE id = ?", [3])).single()
        assert lone.big == lone.id << 20


async def test_a_scan_by_tokens_gives_every_row_of_the_bulk_table_once(null_server: programs.NullServer) -> None:
    async with acsylla_like.connect(null_server.address, port=null_server.port, keyspace="bench") as session:
        encoded = 100_000  # then the same rows come again
        rows = [row async for row in session.stream("SELECT id, name, big, ratio, data FROM bulk", page_size=7_000)]
        assert [row.id for row in rows] == [number % encoded for number in range(250_000)]
        assert rows[100_003].as_tuple() == (3, "a text of some forty characters, not more", 3 << 20, 3 / 7, b"\x03" * 32)
        whole = pyarrow.table(await session.fetch_arrow("SELECT id, name, big, ratio, data FROM bulk"))
        assert list(zip(*(column.to_pylist() for column in whole.columns), strict=True)) == [row.as_tuple() for row in rows]
        scan = session.scan("bulk", splits=7, concurrency=3, page_size=4_000)
        assert len(await scan.splits()) == 7
        scanned = pyarrow.table(await scan.to_table()).select(whole.column_names)
        by_id = [("id", "ascending")]  # rows with the same id are equal
        assert scanned.sort_by(by_id).equals(whole.sort_by(by_id))


async def test_a_table_is_loaded_by_its_columns(null_server: programs.NullServer) -> None:
    async with acsylla_like.connect(null_server.address, port=null_server.port, keyspace="bench") as session:
        report = await session.copy_from("bulk", bulk.arrow_table(3_000))
        assert (report.rows, report.failed) == (3_000, 0)
        with pytest.raises(KeyError, match="'id' of the primary key"):
            await session.copy_from("bulk", bulk.arrow_table(3).drop_columns("id"))
        with pytest.raises(KeyError, match="'more'"):
            await session.copy_from("bulk", [{"id": 1, "more": 2}], columns=["id", "more"])


async def test_every_type_of_the_mixed_table_is_read(null_server: programs.NullServer) -> None:
    async with acsylla_like.connect(null_server.address, port=null_server.port, keyspace="bench") as session:
        rows = await session.execute("SELECT * FROM mixed WHERE part = ?", [0])
        assert len(rows) == 100
        row = rows[99]
        assert (row.number, row.big, row.ratio, row.flag) == (1099, 99 << 20, 99 / 7, False)
        assert row.key.int & 0xFFFF == 99
        assert row.moment.microsecond == 177_000
        assert (row.data, row.items, row.counts["third"]) == (b"\x63" * 32, [99_000, 99_001, 99_002, 99_003, 99_004], 1099)


async def test_writes_are_answered(null_server: programs.NullServer) -> None:
    async with acsylla_like.connect(null_server.address, port=null_server.port, keyspace="bench") as session:
        insert = await session.create_prepared("INSERT INTO rows (id, name, big, ratio, flag) VALUES (?, ?, ?, ?, ?)")
        await session.execute(insert, (1, "a", 2, 0.5, True))
        batch = acsylla_like.create_batch_unlogged()
        for number in range(100):
            batch.add(insert, (number, "a", 2, 0.5, True))
        await session.execute(batch)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(struct.pack(">BBhBI", 4, 0, 1, 0x0A, 4) + b"\xff\xff\xff\xff", id="an id longer than the request"),
        pytest.param(struct.pack(">BBhBI", 4, 0, 1, 0x07, 8) + struct.pack(">iI", 0x7FFFFFFF, 0), id="a text longer than the request"),
        pytest.param(struct.pack(">BBhBI", 4, 0, 1, 0x0A, 25) + b"\0\x10" + b"\xff" * 16 + b"\0\x01\x01\xff\xff\0\0", id="values that end"),
        pytest.param(struct.pack(">BBhBI", 4, 0, 1, 0x07, 0xFFFFFFFF), id="a huge length"),
        pytest.param(struct.pack(">BBhBI", 4, 4, 1, 0x09, 2) + b"\xff\xff", id="a payload that ends"),
        pytest.param(bytes(range(256)) * 40, id="noise"),
        pytest.param(struct.pack(">BBhBI", 4, 0, 1, 0x09, 9)[:5], id="half a header"),
    ],
)
def test_a_request_without_sense_ends_its_own_connection_only(null_server: programs.NullServer, sent: bytes) -> None:
    place = (null_server.address, null_server.port)
    options = struct.pack(">BBhBI", 4, 0, 7, 0x05, 0)
    with socket.create_connection(place, 10) as bystander, socket.create_connection(place, 10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
        bystander.sendall(options)
        assert bystander.recv(9)[:5] == struct.pack(">BBhB", 0x84, 0, 7, 0x06)


def test_it_ends_with_its_input() -> None:
    with programs.NullServer(table_rows=1) as server:
        pid = server.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
