#!/usr/bin/env python3
"""What coodie (PyPI, an ODM) documents, told anew with a library's books, on its back end for acsylla over acsylla_like.compat.

    tests/compat/coodie_examples.py HOST PORT KEYSPACE

coodie imports `acsylla`, so that name is given to acsylla_like.compat, which is the one change. Prints what was done.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
import uuid
import warnings
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated

import coodie
import coodie.aio
import coodie.sync
from coodie import (
    AsyncBatchQuery,
    BatchQuery,
    ClusteringKey,
    Counter,
    CounterDocument,
    Document,
    Indexed,
    MaterializedView,
    PrimaryKey,
    Static,
    UserType,
    Vector,
)
from pydantic import Field

import acsylla_like.compat

# coodie imports it when it connects.
sys.modules["acsylla"] = acsylla_like.compat

KEYSPACE = sys.argv[3]


class Address(UserType):
    street: str
    number: int

    class Settings:
        keyspace = KEYSPACE


class Book(Document):
    id: Annotated[uuid.UUID, PrimaryKey()] = Field(default_factory=uuid.uuid4)
    title: str
    author: Annotated[str, Indexed()] = "unknown"
    pages: int = 0
    price: Decimal = Decimal("0.00")
    tags: set[str] = Field(default_factory=set)
    ratings: dict[str, int] = Field(default_factory=dict)
    chapters: list[str] = Field(default_factory=list)
    printed: datetime.datetime | None = None
    cover: bytes | None = None

    class Settings:
        name = "books"
        keyspace = KEYSPACE


class Loan(Document):
    branch: Annotated[str, PrimaryKey()]
    at: Annotated[int, ClusteringKey(order="DESC")]
    reader: str
    opening: Annotated[str | None, Static()] = None
    terminal: IPv4Address | None = None

    class Settings:
        name = "loans"
        keyspace = KEYSPACE


class Visits(CounterDocument):
    branch: Annotated[str, PrimaryKey()]
    visits: Annotated[int, Counter()] = 0

    class Settings:
        name = "visits"
        keyspace = KEYSPACE


class Reader(Document):
    id: Annotated[uuid.UUID, PrimaryKey()] = Field(default_factory=uuid.uuid4)
    name: str
    home: Address

    class Settings:
        name = "readers"
        keyspace = KEYSPACE


class Similar(Document):
    id: Annotated[int, PrimaryKey()]
    embedding: Annotated[list[float], Vector(dimensions=3)]

    class Settings:
        name = "similar"
        keyspace = KEYSPACE


class BooksByAuthor(MaterializedView):
    author: Annotated[str, PrimaryKey()]
    id: Annotated[uuid.UUID, ClusteringKey()]
    title: str

    class Settings:
        name = "books_by_author"
        keyspace = KEYSPACE
        __base_table__ = "books"


def done(what: str) -> None:
    print(what, flush=True)


async def in_asyncio() -> None:
    printed = datetime.datetime(2020, 2, 29, 12, 30, 15, 123000, tzinfo=datetime.timezone.utc)
    await Book.sync_table()
    await Book.sync_table()  # nothing left to do
    book = Book(title="Emma", author="Austen", pages=474, price=Decimal("12.50"), tags={"novel", "classic"}, ratings={"ada": 5})
    book.chapters, book.printed, book.cover = ["I", "II"], printed, b"\x00\xff"
    await book.save()
    again = await Book.get(id=book.id)
    assert again == book, (again, book)
    assert isinstance(again.id, uuid.UUID)
    assert again.price == Decimal("12.50")
    done("a document is saved and read again, every field of it")

    await Book(title="Persuasion", author="Austen").save()
    await Book(title="Dracula", author="Stoker", pages=418).save(ttl=1000)
    assert {found.title for found in await Book.find(author="Austen").all()} == {"Emma", "Persuasion"}
    assert await Book.find(author="Austen").allow_filtering().count() == 2
    assert len(await Book.find().limit(2).all()) == 2
    assert {found.title async for found in Book.find(author="Austen")} == {"Emma", "Persuasion"}
    assert (await Book.find_one(author="Stoker")).pages == 418
    assert await Book.find(author="Austen").allow_filtering().sum("pages") == 474
    assert await Book.find(author="Stoker").only("title").all()
    assert await Book.find(pages__gt=400).allow_filtering().values_list("title").all()
    done("queries: filters, limits, counts, sums, iteration")

    await book.update(pages=480)
    assert (await Book.get(id=book.id)).pages == 480
    await Book.find(id=book.id).update(title="Emma, revised")
    outcome = await Book.find(id=book.id).update(title="never", if_conditions={"pages": 1})
    assert outcome is not None
    assert not outcome.applied
    taken = await Book(id=book.id, title="another").insert()
    assert taken is None or not taken.applied
    assert (await Book.get(id=book.id)).title == "Emma, revised"
    done("updates, and lightweight transactions that are refused")

    async with AsyncBatchQuery() as batch:
        for number in range(5):
            await Book(title=f"Volume {number}", author="Several").save(batch=batch)
    assert len(await Book.find(author="Several").all()) == 5
    done("a batch")

    await Loan.sync_table()
    for at in range(25):
        await Loan(branch="north", at=at, reader=f"reader {at}", opening="9 to 5", terminal=IPv4Address("10.0.0.1")).save()
    newest = await Loan.find(branch="north").limit(3).all()
    assert [loan.at for loan in newest] == [24, 23, 22]
    assert newest[0].terminal == IPv4Address("10.0.0.1")
    assert [loan.at for loan in await Loan.find(branch="north", at__gte=20).order_by("at").all()] == [20, 21, 22, 23, 24]
    page = await Loan.find(branch="north").fetch_size(10).paged_all()
    seen = list(page.data)
    while page.paging_state is not None:
        page = await Loan.find(branch="north").fetch_size(10).page(page.paging_state).paged_all()
        seen += page.data
    assert [loan.at for loan in seen] == list(range(24, -1, -1))
    done("clustering columns, order, static columns and pages")

    await Visits.sync_table()
    await Visits(branch="north").increment(visits=3)
    await Visits(branch="north").decrement(visits=1)
    assert (await Visits.get(branch="north")).visits == 2
    done("counters")

    await Address.sync_type_async()
    await Reader.sync_table()
    reader = Reader(name="Ada", home=Address(street="Main", number=7))
    await reader.save()
    assert (await Reader.get(id=reader.id)).home == Address(street="Main", number=7)
    done("a user type")

    await Similar.sync_table()
    # coodie's own index is ScyllaDB's.
    await coodie.execute_raw(f"CREATE INDEX IF NOT EXISTS nearest ON {KEYSPACE}.similar (embedding) USING 'sai'")
    for number, vector in enumerate([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.9, 0.1, 0.0]]):
        await Similar(id=number, embedding=vector).save()
    nearest = await Similar.find().order_by_ann("embedding", [1.0, 0.0, 0.0]).consistency("ONE").fetch_size(100).limit(2).all()
    assert {found.id for found in nearest} == {0, 2}
    assert list(next(found for found in nearest if found.id == 0).embedding) == [1.0, 0.0, 0.0]
    done("vectors and their neighbours")

    await BooksByAuthor.sync_view()
    for _ in range(100):
        if len(await BooksByAuthor.find(author="Austen").all()) == 2:
            break
        await asyncio.sleep(0.1)
    assert {found.id for found in await BooksByAuthor.find(author="Austen").all()} >= {book.id}
    await BooksByAuthor.drop_view()
    done("a materialized view")

    await book.delete()
    try:
        await Book.get(id=book.id)
    except coodie.DocumentNotFound:
        pass
    else:
        raise AssertionError("it was deleted")
    try:
        await coodie.execute_raw("SELECT nothing FROM nowhere.at_all")
    except acsylla_like.compat.errors.CassErrorServerInvalidQuery:
        pass
    else:
        raise AssertionError("there is no such keyspace")
    done("deletions and errors")


class Shelf(coodie.sync.Document):
    id: Annotated[int, PrimaryKey()]
    label: str

    class Settings:
        name = "shelves"
        keyspace = KEYSPACE


def without_asyncio() -> None:
    Shelf.sync_table()
    with BatchQuery() as batch:
        for number in range(3):
            Shelf(id=number, label=f"shelf {number}").save(batch=batch)
    assert Shelf.get(id=1).label == "shelf 1"
    assert Shelf.find().count() == 3
    Shelf.get(id=1).delete()
    assert {shelf.id for shelf in Shelf.find().all()} == {0, 2}
    done("the blocking interface, on a loop in a thread")


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    driver = coodie.sync.init_coodie(hosts=[host], keyspace=KEYSPACE, driver_type="acsylla", port=port)
    without_asyncio()

    async def on_the_drivers_loop() -> None:
        await in_asyncio()

    asyncio.run(on_the_drivers_loop())
    driver.close()

    async def on_this_loop() -> None:
        cluster = acsylla_like.compat.create_cluster([host], port=port)
        session = await cluster.create_session(keyspace=KEYSPACE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # coodie's, of calls that block
            driver = await coodie.aio.init_coodie(session=session, keyspace=KEYSPACE, driver_type="acsylla")
        assert await Loan.find(branch="north").count() == 25
        await driver.close_async()
        done("a session that was made before")

    asyncio.run(on_this_loop())


if __name__ == "__main__":
    main()
