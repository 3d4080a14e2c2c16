"""Answers that end too early: an error or the right rows, never a crash, a hang or other rows."""

from __future__ import annotations

import asyncio
import uuid

import pytest

import acsylla_like
from acsylla_like.testing import cql

COLUMNS = [
    ("k", "int"), ("t", "text"), ("b", "blob"), ("u", "uuid"), ("n", "varint"), ("d", "decimal"), ("l", "list<int>"),
    ("s", "set<text>"), ("m", "map<text, frozen<list<int>>>"), ("p", "tuple<int, text>"), ("v", "vector<float, 3>"),
    ("f", "boolean"), ("i", "inet"), ("x", "duration"), ("z", "timestamp"),
]  # fmt: skip
UUID = uuid.UUID(int=0x1234567890)


def row(n):
    return [
        n, f"text {n}", b"\x00\xff" * n, UUID, 10**20 + n, cql.integer(2) + bytes([n]), [n, 2, 3],
        ["a", "b"], {"one": [1, n], "two": []}, (n, "t"), b"\x3f\x80\x00\x00" * 3,
        True, "127.0.0.1", b"\x02\x04\x06", 1000 * n,
    ]  # fmt: skip


ANSWER = cql.rows(COLUMNS, [row(1), row(2), row(3)])


class Scripted:
    """A server with one statement, whose answer a test cuts."""

    def __init__(self, server, answer=ANSWER):
        self.columns = answer.columns
        self.answer = answer
        server.handler = self.handle

    def handle(self, request):
        if request.opcode == cql.PREPARE:
            return cql.prepared(b"0123456789abcdef", [("k", "int")], self.columns)
        return self.answer


async def rows_or_error(request):
    """The rows, read in every way, or the error."""
    try:
        result = await request
        rows = list(result)
        assert len(result) == len(rows)
        return [tuple(row) for row in rows]
    except (acsylla_like.Error, MemoryError) as error:  # memory: room for as many rows as the server says
        return error


@pytest.mark.parametrize("prepared", [False, True], ids=["text", "prepared"])
async def test_cut_at_every_byte_in_a_frame_whose_length_agrees(prepared, scripted):
    whole = ANSWER
    own = Scripted(scripted, whole)
    query = "SELECT k FROM t WHERE k = ?" if prepared else "SELECT k FROM t"
    expected = None
    for size in [len(whole.body), *range(len(whole.body))]:
        async with acsylla_like.connect(scripted.address, port=scripted.port) as session:  # the driver may drop the connection
            own.answer = whole.cut(size)
            outcome = await asyncio.wait_for(rows_or_error(session.execute(query, [1] if prepared else None, timeout=5.0)), 20)
            if expected is None:
                expected = outcome
                assert [row[0] for row in expected] == [1, 2, 3]
            else:
                assert isinstance(outcome, acsylla_like.Error), f"{outcome} from the first {size} bytes"


async def test_a_connection_closed_in_the_middle_of_an_answer(scripted):
    own = Scripted(scripted)
    for size in range(0, len(ANSWER.body), 41):
        async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
            own.answer = ANSWER.torn(size)
            assert isinstance(await rows_or_error(session.execute("SELECT k FROM t", timeout=5.0)), acsylla_like.Error)


async def test_a_count_of_rows_that_the_answer_does_not_hold(scripted):
    own = Scripted(scripted)
    at = ANSWER.body.index(cql.integer(3) + cql.integer(4) + cql.integer(1))  # the count, then the first cell
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        for count in (4, 100, 2**31 - 1, -1, -(2**31)):
            own.answer = cql.raw(ANSWER.body[:at] + cql.integer(count) + ANSWER.body[at + 4 :])
            outcome = await rows_or_error(session.execute("SELECT k FROM t"))
            assert isinstance(outcome, Exception) or outcome == [], count
        own.answer = cql.raw(ANSWER.body[:at] + cql.integer(2) + ANSWER.body[at + 4 :])
        assert [row[0] for row in await rows_or_error(session.execute("SELECT k FROM t"))] == [1, 2]


async def test_a_row_that_cannot_be_decoded_is_not_skipped(scripted):
    """Asked again, the error comes again, and not the row behind it in its place."""
    own = Scripted(scripted)
    own.answer = cql.rows([("k", "int"), ("t", "int")], [[1, 1], [2, b"\x01\x02"], [3, 1]])
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        result = await session.execute("SELECT k FROM t")
        assert result[0].k == 1
        for _ in range(3):
            with pytest.raises(acsylla_like.Error):
                result[1]
            with pytest.raises(acsylla_like.Error):
                list(result)
        assert result[0].k == 1
