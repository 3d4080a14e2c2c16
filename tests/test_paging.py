"""All rows, page by page: behind the scenes, by hand and as a stream."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest

import acsylla_like
from acsylla_like import _native, errors
from acsylla_like.testing import cql

QUERY = "SELECT v FROM ks.t"
V = [("v", "int")]


class Pages:
    """Answers QUERY, plain or prepared, with pages of consecutive numbers, and notes which were asked for."""

    def __init__(self, server, count: int, size: int) -> None:
        self.asked: list[int] = []
        self.sizes: list[int | None] = []
        self.count, self.size, self.server = count, size, server
        self.delay = 0.0
        self.errors: dict[int, cql.Answer] = {}
        server.answer(QUERY, cql.rows(V))
        server.answer(f"{QUERY} WHERE k = ?", cql.rows(V), [("k", "int")], key=[0])
        server.handler = self

    def __call__(self, request):
        if request.opcode == cql.PREPARE:
            return None
        page = int(request.paging_state or b"0")
        self.asked.append(page)
        self.sizes.append(request.page_size)
        if page in self.errors:
            return self.errors[page]
        more = str(page + 1).encode() if page + 1 < self.count else None
        numbers = range(page * self.size, (page + 1) * self.size)
        return cql.rows(V, [[number] for number in numbers], paging_state=more).delayed(self.delay)


@pytest.fixture
async def asking(scripted):
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


@pytest.fixture
def pages(scripted):
    return Pages(scripted, 10, 3)


def _numbers(rows) -> list[int]:
    return [row.v for row in rows]


async def _until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


ALL = list(range(30))


# ---- execute ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["text", "text and values", "prepared", "statement"])
async def test_without_a_page_size_all_rows_are_here(asking, pages, how):
    query, parameters = {
        "text": (QUERY, None),
        "text and values": (f"{QUERY} WHERE k = ?", [1]),
        "prepared": (await asking.create_prepared(f"{QUERY} WHERE k = ?"), [1]),
        "statement": (acsylla_like.create_statement(f"{QUERY} WHERE k = ?", [1]), None),
    }[how]
    result = await asking.execute(query, parameters)
    assert len(result) == 30
    assert _numbers(result) == ALL
    assert [row.v async for row in result] == ALL
    assert result[-1].v == 29
    assert not result.has_more_pages
    assert result.paging_state is None
    assert pages.asked == list(range(10))
    assert set(pages.sizes) == {5000}


async def test_the_page_size_behind_the_scenes_is_the_clusters(scripted):
    pages = Pages(scripted, 2, 3)
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port, page_size=17) as session:
        assert len(await session.execute(QUERY)) == 6
    assert pages.sizes == [17, 17]


async def test_with_a_page_size_one_page_is_here(asking, pages):
    result = await asking.execute(QUERY, page_size=3)
    assert _numbers(result) == [0, 1, 2]
    assert len(result) == 3
    assert result.has_more_pages
    assert result.paging_state == b"1"
    assert "more pages" in repr(result)
    with pytest.raises(errors.NotSingleRow, match="or more"):
        result.single()
    assert pages.asked == [0]
    assert pages.sizes == [3]
    later = await asking.execute(QUERY, page_size=3, paging_state=b"9")
    assert _numbers(later) == [27, 28, 29]
    assert not later.has_more_pages
    with pytest.raises(LookupError, match="last page"):
        later.next_page()


async def test_async_iteration_goes_on_through_later_pages_every_time(asking, pages):
    result = await asking.execute(QUERY, page_size=3)
    for _ in range(2):
        assert [row.v async for row in result] == ALL
        assert _numbers(result) == [0, 1, 2]
    again = await asking.execute(f"{QUERY} WHERE k = ?", [1], page_size=3)
    assert [row.v async for row in again] == ALL


async def test_pages_by_hand(asking, pages):
    result = await asking.execute(f"{QUERY} WHERE k = ?", [1], page_size=3)
    found = _numbers(result)
    while result.has_more_pages:
        result = await result.next_page()
        found += _numbers(result)
    assert found == ALL
    assert set(pages.sizes) == {3}


async def test_a_statement_paged_twice_gives_all_rows_twice(asking, pages):
    prepared = await asking.create_prepared(f"{QUERY} WHERE k = ?")
    statement = prepared.bind([1], page_size=3)
    for _ in range(2):
        assert [row.v async for row in await asking.execute(statement)] == ALL
        assert [row.v async for row in asking.stream(statement)] == ALL


async def test_one_deadline_covers_all_pages(asking, pages):
    pages.delay = 0.1
    started = time.monotonic()
    with pytest.raises(errors.RequestTimeout) as caught:
        await asking.execute(QUERY, timeout=0.25)
    assert time.monotonic() - started < 0.9
    assert caught.value.query == QUERY
    assert len(pages.asked) <= 4
    assert len(await asking.execute(QUERY, timeout=5.0)) == 30


@pytest.mark.parametrize("page", [0, 4, 9])
async def test_a_page_that_fails_fails_the_call(asking, pages, page):
    pages.errors[page] = cql.error(cql.READ_FAILURE)
    with pytest.raises(errors.ReadFailure):
        await asking.execute(QUERY)
    pages.errors.clear()
    assert len(await asking.execute(QUERY)) == 30


async def test_cancelling_between_pages_asks_for_no_more(asking, pages):
    pages.delay = 0.05
    task = asyncio.create_task(asking.execute(QUERY))
    await _until(lambda: len(pages.asked) >= 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until(lambda: asking.in_flight == 0)
    assert len(pages.asked) < 10


async def test_empty_pages_in_between_end_nothing(scripted, asking):
    answers = {b"": ([], b"a"), b"a": ([[1]], b"b"), b"b": ([], b"c"), b"c": ([[2]], None)}

    def answer(request):
        if request.opcode == cql.PREPARE:
            return None
        rows, more = answers[request.paging_state or b""]
        return cql.rows(V, rows, paging_state=more)

    scripted.handler = answer
    assert _numbers(await asking.execute(QUERY)) == [1, 2]
    first = await asking.execute(QUERY, page_size=1)
    assert not first.all()
    assert first.has_more_pages
    assert [row.v async for row in first] == [1, 2]
    assert [row.v async for row in asking.stream(QUERY)] == [1, 2]
    assert [len(page) async for page in asking.stream(QUERY).pages()] == [0, 1, 0, 1]


async def test_rows_kept_while_many_pages_are_read_stay_what_they_were(session):
    await session.execute("CREATE TABLE kept (k int, c int, v text, PRIMARY KEY (k, c))")
    insert = await session.create_prepared("INSERT INTO kept (k, c, v) VALUES (1, ?, ?)")
    for start in range(0, 2000, 500):
        await asyncio.gather(*[session.execute(insert, [c, f"{c:050}"]) for c in range(start, start + 500)])
    kept = []
    async for page in session.stream("SELECT c, v FROM kept WHERE k = ?", [1], page_size=100).pages():
        kept.extend(page)
        gc.collect()
    assert kept == [(c, f"{c:050}") for c in range(2000)]


# ---- stream -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["text", "text and values", "prepared", "statement"])
async def test_a_stream_yields_every_row(asking, pages, how):
    query, parameters = {
        "text": (QUERY, None),
        "text and values": (f"{QUERY} WHERE k = ?", [1]),
        "prepared": (await asking.create_prepared(f"{QUERY} WHERE k = ?"), {"k": 1}),
        "statement": (acsylla_like.create_statement(f"{QUERY} WHERE k = ?", [1]), None),
    }[how]
    stream = asking.stream(query, parameters, page_size=3)
    for _ in range(2):
        assert [row.v async for row in stream] == ALL
    assert pages.asked == [*range(10), *range(10)]
    assert set(pages.sizes) == {3}


async def test_a_stream_yields_pages(asking, pages):
    found = [page async for page in asking.stream(QUERY, page_size=3).pages()]
    assert [_numbers(page) for page in found] == [ALL[i : i + 3] for i in range(0, 30, 3)]
    assert all(isinstance(page, acsylla_like.Result) for page in found)
    assert [page.has_more_pages for page in found] == [True] * 9 + [False]


async def test_a_stream_asks_for_nothing_before_it_is_read(asking, pages):
    stream = asking.stream(QUERY)
    stream.pages()
    assert pages.asked == []
    assert [row.v async for row in stream] == ALL
    assert set(pages.sizes) == {5000}


async def test_one_page_at_most_is_fetched_ahead(asking, pages):
    read = 0
    async for _ in asking.stream(QUERY, page_size=3).pages():
        read += 1
        ahead = min(read + 1, 10)
        await _until(lambda ahead=ahead: len(pages.asked) >= ahead)
        assert len(pages.asked) == ahead
    assert pages.asked == list(range(10))


async def test_the_next_page_comes_while_this_one_is_read(asking, pages):
    pages.delay = 0.1
    started = time.monotonic()
    async for _ in asking.stream(QUERY, page_size=3).pages():
        await asyncio.sleep(0.1)
    assert time.monotonic() - started < 1.7  # one after the other: 2 s


@pytest.mark.parametrize("how", ["break", "aclose", "async with", "error", "cancel"])
async def test_leaving_early_asks_for_no_more_and_leaves_nothing_behind(asking, pages, how):
    stream = asking.stream(QUERY, page_size=3)

    async def read():
        if how == "async with":
            async with stream:
                async for row in stream:
                    if row.v == 7:
                        return
        iterator = aiter(stream)
        async for row in iterator:
            if row.v == 7:
                if how == "error":
                    raise KeyError("mine")
                if how == "cancel":
                    await asyncio.Event().wait()
                break
        await (stream.aclose() if how == "aclose" else iterator.aclose())

    task = asyncio.create_task(read())
    if how == "cancel":
        await _until(lambda: len(pages.asked) >= 4)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif how == "error":
        with pytest.raises(KeyError, match="mine"):
            await task
    else:
        await task
    await asyncio.get_running_loop().shutdown_asyncgens()
    del task
    gc.collect()
    await _until(lambda: asking.in_flight == 0 and _native.requests_in_flight() == 0)
    assert len(pages.asked) <= 4


async def test_a_stream_is_awaited_row_by_row_by_one_task_at_a_time(asking, pages):
    pages.delay = 0.5
    rows = aiter(asking.stream(QUERY, page_size=3))
    assert (await anext(rows)).v == ALL[0]
    assert (await asyncio.wait_for(rows.__anext__(), 5)).v == ALL[1]
    assert (await asyncio.create_task(_next(rows))).v == ALL[2]
    waiting = asyncio.create_task(_next(rows))
    others = [asyncio.create_task(_next(rows)) for _ in range(3)]
    seen = await asyncio.gather(waiting, *others, return_exceptions=True)
    assert seen[0].v == ALL[3]
    assert all(isinstance(error, RuntimeError) and "is being read already" in str(error) for error in seen[1:])
    pages.delay = 0
    assert [row.v async for row in rows] == ALL[4:]
    assert await anext(rows, "none left") == "none left"
    with pytest.raises(StopAsyncIteration):
        await anext(rows)


async def _next(rows):
    return await anext(rows)


async def test_a_stream_that_was_left_in_a_page_does_not_end_as_if_it_were_complete(asking, pages):
    rows = aiter(asking.stream(QUERY, page_size=3))
    assert (await anext(rows)).v == ALL[0]
    pages.delay = 5
    for _ in range(20):  # the page that is here is followed by the one that was asked for before the delay
        try:
            await asyncio.wait_for(anext(rows), 0.05)
        except (asyncio.TimeoutError, TimeoutError):
            break
    with pytest.raises(RuntimeError, match="left by a CancelledError before its end"):
        await anext(rows)
    with pytest.raises(RuntimeError, match="left by a CancelledError before its end"):
        [row async for row in rows]


async def test_a_stream_by_hand_is_a_coroutines_protocol(asking, pages):
    rows = aiter(asking.stream(QUERY, page_size=30))
    first = await anext(rows)
    step = rows.__anext__().__await__()
    with pytest.raises(StopIteration) as caught:
        step.send(None)
    assert (first.v, caught.value.value.v) == (ALL[0], ALL[1])
    with pytest.raises(KeyError, match="mine"):
        step.throw(KeyError("mine"))
    with pytest.raises(StopIteration) as caught:
        next(step)
    assert caught.value.value.v == ALL[2]
    step.close()
    assert [row.v async for row in rows] == ALL[3:]
    await rows.aclose()


@pytest.mark.parametrize("page", [0, 4, 9])
async def test_a_failing_page_fails_the_stream_after_the_rows_before_it(asking, pages, page):
    pages.errors[page] = cql.error(cql.READ_FAILURE)
    found = []

    async def read():
        async for row in asking.stream(QUERY, page_size=3):
            found.append(row.v)

    with pytest.raises(errors.ReadFailure):
        await read()
    assert found == ALL[: page * 3]
    await asyncio.sleep(0)
    assert asking.in_flight == 0


async def test_a_failed_prefetch_that_nobody_reads_is_not_reported(asking, pages, caplog):
    pages.errors[1] = cql.error(cql.READ_FAILURE)
    unhandled = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    iterator = aiter(asking.stream(QUERY, page_size=3))
    assert (await anext(iterator)).v == 0
    await _until(lambda: len(pages.asked) == 2 and asking.in_flight == 0)
    await iterator.aclose()
    del iterator
    gc.collect()
    assert unhandled == []


async def test_mistakes_are_told_when_the_stream_is_made_or_first_read(asking, pages):
    with pytest.raises(ValueError, match="page_size"):
        asking.stream(QUERY, page_size=0)
    with pytest.raises(TypeError, match="nonsense"):
        asking.stream(QUERY, nonsense=1)
    with pytest.raises(TypeError):
        async for _ in asking.stream(None):
            pass
    assert pages.asked == []


async def test_two_streams_of_one_statement_side_by_side(asking, pages):
    prepared = await asking.create_prepared(f"{QUERY} WHERE k = ?")

    async def read():
        return [row.v async for row in asking.stream(prepared, [1], page_size=3)]

    assert await asyncio.gather(read(), read(), read()) == [ALL, ALL, ALL]


async def test_parameters_changed_between_pages_change_nothing(scripted, asking):
    Pages(scripted, 4, 3)
    text = f"{QUERY} WHERE k IN ?"
    scripted.answer(text, cql.rows(V), [("k", "list<int>")])
    prepared = await asking.create_prepared(text)
    sent = []
    for query in (prepared, text):
        keys = [1, 2]
        result = await asking.execute(query, [keys], page_size=3)
        keys.append(3)
        while result.has_more_pages:
            result = await result.next_page()
        sent += [request.parameters[0] for request in scripted.requests if request.opcode == cql.EXECUTE]
    assert {len(data) for data in sent} == {4 + 2 * 8}
