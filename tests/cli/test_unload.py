"""`unload`: a file is whole or not there, and memory does not grow with the table."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet  # noqa: E402

import acsylla_like  # noqa: E402

ROWS = 100_000


@pytest.fixture(scope="module", autouse=True)
def _pools() -> None:
    """Lets pyarrow start the threads that it keeps."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": [1]}), buffer)
    with pyarrow.parquet.ParquetFile(buffer) as file:
        list(file.iter_batches())


@pytest.fixture
async def table(session: acsylla_like.Session) -> str:
    """Its name; 100,000 rows of 1,000 bytes that compress badly."""
    name = f"{session.keyspace}.unloaded"
    tables = "SELECT * FROM system_schema.tables WHERE keyspace_name = ?"
    if not len(await session.execute(tables, [session.keyspace])):
        await session.execute("CREATE TABLE unloaded (id int PRIMARY KEY, data blob)")
        await session.copy_from("unloaded", ({"id": n, "data": os.urandom(1000)} for n in range(ROWS)))
    return name


def ids(path: Path) -> set[int]:
    with pyarrow.parquet.ParquetFile(path) as file:
        assert file.num_row_groups == file.metadata.num_rows // 10_000
        return {n for batch in file.iter_batches(columns=["id"], use_threads=False) for n in batch.column(0).to_pylist()}


@pytest.mark.keeps_open("pyarrow keeps its threads")
async def test_parquet_has_row_groups_of_the_size_that_was_asked_for(cli: Any, table: str) -> None:
    told = cli("unload", table, "out.parquet", "--row-group", 10_000).stderr
    assert "100,000 rows unloaded to out.parquet in " in told
    assert ids(cli.folder / "out.parquet") == set(range(ROWS))
    assert [path.name for path in cli.folder.iterdir()] == ["out.parquet"]


async def test_a_file_that_is_there_is_not_replaced_unasked(cli: Any, table: str) -> None:
    (cli.folder / "out.csv").write_text("mine")
    assert "--overwrite replaces it" in cli("unload", f"SELECT id FROM {table} LIMIT 3", "out.csv", code=2).stderr
    assert (cli.folder / "out.csv").read_text() == "mine"
    cli("unload", f"SELECT id FROM {table} LIMIT 3", "out.csv", "--overwrite")
    assert len((cli.folder / "out.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_what_is_interrupted_leaves_no_file_that_looks_whole(cli: Any, table: str, number: signal.Signals) -> None:
    (cli.folder / "out.jsonl").write_text("old")
    process = cli.start("unload", table, "out.jsonl", "--overwrite", "--page-size", 100, "--concurrency", 1)
    part = cli.folder / "out.jsonl.part"
    deadline = time.monotonic() + 60
    while not part.exists() or not part.stat().st_size:
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert (cli.folder / "out.jsonl").read_text() == "old"
    assert part.exists() == (number == signal.SIGKILL)


async def test_a_reader_that_has_seen_enough_ends_it_quietly(cli: Any, table: str) -> None:
    process = cli.start("unload", table, "-", "--format", "jsonl", "--quiet")
    first = process.stdout.readline()
    process.stdout.close()
    assert set(json.loads(first)) == {"id", "data"}
    errors = process.stderr.read()
    process.stderr.close()
    process.stdin.close()
    assert process.wait(60) == 1
    assert errors == b""


@pytest.mark.parametrize("format", ["parquet", "csv", "arrow"])
async def test_memory_does_not_grow_with_the_table(cli: Any, table: str, format: str) -> None:
    """The allocators of Arrow and of the driver have what they keep after some ten thousand rows. Of 70,000 rows more, which are
    70 MB and 140 MB as text, little is seen."""
    options = ["--row-group", 5000, "--codec", "none"]
    small = cli.peak("unload", f"SELECT * FROM {table} LIMIT {ROWS * 3 // 10}", f"small.{format}", *options)
    large = cli.peak("unload", f"SELECT * FROM {table}", f"large.{format}", *options)

    assert (cli.folder / f"large.{format}").stat().st_size > ROWS * 1000
    assert large < small + 50, (small, large)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}", "out.xyz"], "give --format"),
        (["ks.nowhere", "out.csv"], "there is no table ks.nowhere"),
        (["{}", "out.csv", "--columns", "id,nme"], "no column 'nme'"),
        (["{}", "no/folder/out.csv"], "No such file"),
        (["SELECT id FROM {}", "out.csv", "--columns", "id"], "are for tables"),
        (["SELECT id, id FROM {}", "out.csv"], "two columns are called 'id'"),
        (["SELECT nme FROM {}", "out.csv"], "nme"),
        (["{}", "out.csv", "--where", "nme = 5"], "nme"),
    ],
)
async def test_mistakes_are_named_and_no_file_is_made(cli: Any, table: str, arguments: list[str], message: str) -> None:
    ran = cli("unload", *[argument.format(table) for argument in arguments], code=2)
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(cli.folder.iterdir()) == []


async def test_a_table_in_part(cli: Any, table: str) -> None:
    cli("unload", table, "out.csv", "--columns", "id", "--where", "id IN (3, 5)")
    assert sorted((cli.folder / "out.csv").read_text().split()) == ["3", "5", "id"]
