"""`load`: every row of the input is in the table or in the error file, whatever ends it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet  # noqa: E402

import acsylla_like  # noqa: E402

# Rows of the file that is killed half way; 2,000,000 takes minutes.
ROWS = int(os.environ.get("ACSYLLA_LIKE_TEST_LOAD_ROWS", "100000"))
NAMES = ("id", "name", "score")


@pytest.fixture(scope="module", autouse=True)
def _pools() -> None:
    """Lets the libraries that make the data start the threads that they keep."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": [1]}), buffer)
    pyarrow.parquet.read_table(buffer).sort_by("a")


@pytest.fixture
async def table(session: acsylla_like.Session) -> acsylla_like.Session:
    await session.execute("CREATE TABLE IF NOT EXISTS loaded (id bigint PRIMARY KEY, name text, score double)")
    await session.execute("TRUNCATE loaded")
    return session


def row(n: int) -> tuple[int, str | None, float]:
    return n, None if n % 7 == 0 else f"name {n}", n / 8


async def stored(session: acsylla_like.Session) -> dict[int, tuple[Any, ...]]:
    return {found.id: found.as_tuple() async for found in session.stream("SELECT id, name, score FROM loaded")}


def write_parquet(path: Path, first: int, count: int) -> None:
    """In row groups of 10,000, so that its making needs no memory either."""
    kind = pa.schema([("id", pa.int64()), ("name", pa.string()), ("score", pa.float64())])
    with pyarrow.parquet.ParquetWriter(path, kind) as writer:
        for start in range(first, first + count, 10_000):
            rows = [row(n) for n in range(start, min(start + 10_000, first + count))]
            writer.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], schema=kind))


def write_csv(path: Path, rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([NAMES, *rows])


def settled(path: Path) -> int:
    return int(json.loads(path.read_text())["done"]["settled"])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def started(cli: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts commands, and ends what is left of them."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(cli.start(*arguments, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


# ---- ends in the middle


@pytest.mark.keeps_open("pyarrow keeps its threads")
async def test_a_load_that_is_killed_goes_on_and_comes_out_equal(cli: Any, started: Any, table: acsylla_like.Session) -> None:
    """Rows that cannot be written are in it, too: in the error file once, however often the load is killed."""
    write_parquet(cli.folder / "rows.parquet", 0, ROWS)
    command = ["load", "rows.parquet", f"{table.keyspace}.loaded", "--checkpoint", "state.json", "--quiet"]
    checkpoint = cli.folder / "state.json"
    process = started(*command, "--max-rate", max(ROWS // 4, 10_000))
    wait_for(lambda: checkpoint.exists() and settled(checkpoint) >= ROWS // 3, process)
    process.kill()
    process.wait()
    before = settled(checkpoint)
    assert ROWS // 3 <= before < ROWS
    assert not process.stderr.read()  # type: ignore[union-attr]
    # What it says is settled is written. The rest of what was in flight may be, so it is taken away: it must come again.
    found = await stored(table)
    assert all(n in found for n in range(before))
    for n in [n for n in found if n >= before][:2000]:
        await table.execute("DELETE FROM loaded WHERE id = ?", [n])
    told = cli(*command[:-1]).stderr
    assert f"going on after row {before:,}" in told
    assert f"{ROWS - before:,} rows loaded" in told
    assert settled(checkpoint) == ROWS
    cli("unload", f"{table.keyspace}.loaded", "out.parquet", "--quiet")
    out = pyarrow.parquet.read_table(cli.folder / "out.parquet").sort_by("id")
    assert out.equals(pyarrow.parquet.read_table(cli.folder / "rows.parquet"))
    assert "0 rows loaded" in cli(*command[:-1]).stderr


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
async def test_refused_rows_are_written_down_once_however_often_it_is_killed(
    cli: Any, started: Any, table: acsylla_like.Session, suffix: str
) -> None:
    """Two files, of which the second continues the numbers; a twentieth of the rows is bad."""
    count = 16_000
    rows: list[tuple[Any, ...]] = [row(n) for n in range(count)]
    bad = set(random.Random(5).sample(range(count), count // 20))
    for part in range(2):
        chosen = range(part * count // 2, (part + 1) * count // 2)
        path = cli.folder / f"part{part}.{suffix}"
        if suffix == "csv":
            write_csv(path, [("x" if n in bad else n, *rows[n][1:]) for n in chosen])
        elif suffix == "jsonl":
            objects = [dict(zip(NAMES, rows[n], strict=True)) for n in chosen]
            path.write_text("".join(f"{'[]' if n in bad else json.dumps(found)}\n" for n, found in zip(chosen, objects, strict=True)))
        else:
            columns = [[None if n in bad and i == 0 else rows[n][i] for n in chosen] for i in range(3)]
            pyarrow.parquet.write_table(pa.table(columns, names=NAMES), path, row_group_size=3000)
    command = ["load", f"part0.{suffix}", f"part1.{suffix}", f"{table.keyspace}.loaded", "--checkpoint", "state", "--errors", "bad.jsonl"]
    checkpoint = cli.folder / "state"
    for fraction in (0.2, 0.7):
        process = started(*command, "--max-rate", 4000)
        wait_for(lambda fraction=fraction: checkpoint.exists() and settled(checkpoint) >= fraction * count, process)  # type: ignore[misc]
        process.kill()
        process.wait()
        with (cli.folder / "bad.jsonl").open("a") as file:  # as if it had been killed before it noted this
            file.write('{"id": 1, "_error_row": 1, "_error_')
    assert 0.7 * count <= settled(checkpoint) < count
    assert f"{len(bad):,} refused, in bad.jsonl" in cli(*command, code=3).stderr
    lines = [json.loads(line) for line in (cli.folder / "bad.jsonl").read_text().splitlines()]
    assert [line["_error_row"] for line in lines] == sorted(bad)
    assert await stored(table) == {n: rows[n] for n in range(count) if n not in bad}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupt_ends_it_with_report_and_checkpoint(
    cli: Any, started: Any, table: acsylla_like.Session, number: signal.Signals, code: int
) -> None:
    write_parquet(cli.folder / "rows.parquet", 0, 20_000)
    checkpoint = cli.folder / "state"
    process = started("load", "rows.parquet", f"{table.keyspace}.loaded", "--checkpoint", "state", "--max-rate", 4000)
    wait_for(lambda: checkpoint.exists() and settled(checkpoint) > 1000, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    done = settled(checkpoint)
    assert f"{done:,} rows loaded" in errors.decode()
    assert f"not finished: every row before {done:,} is settled" in errors.decode()
    assert set(await stored(table)) == set(range(done))
    assert f"{20_000 - done:,} rows loaded" in cli("load", "rows.parquet", f"{table.keyspace}.loaded", "--checkpoint", "state").stderr


async def test_an_interrupt_ends_it_while_it_waits_for_the_standard_input(cli: Any, started: Any, table: acsylla_like.Session) -> None:
    process = started("load", "-", f"{table.keyspace}.loaded", "--format", "csv", "--checkpoint", "state")
    process.stdin.write(b"id,name,score\n" + b"1,x,0.5\n" * 10)
    process.stdin.flush()
    wait_for((cli.folder / "state").exists, process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == 130
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(("suffix", "most"), [("parquet", 150), ("csv", 250)])
async def test_memory_does_not_grow_with_the_file(cli: Any, table: acsylla_like.Session, suffix: str, most: int) -> None:
    """A file of 200 MB that cannot be compressed takes what the blocks and requests under way take, and what allocators keep: of
    CSV that is the more, and reached in the first seconds. To keep the rows takes 400 MB."""
    peaks = []
    for count in (10, 100_000):
        path = cli.folder / f"rows{count}.{suffix}"
        kind = pa.schema([("id", pa.int64()), ("name", pa.string())])
        with contextlib.ExitStack() as stack:
            if suffix == "csv":
                write = stack.enter_context(path.open("w")).write
                write("id,name\n")
            else:
                writer = stack.enter_context(pyarrow.parquet.ParquetWriter(path, kind, compression="none", use_dictionary=False))
            for start in range(0, count, 5000):
                rows = [(n, os.urandom(1000).hex()) for n in range(start, min(count, start + 5000))]
                if suffix == "csv":
                    write("".join(f"{n},{name}\n" for n, name in rows))
                else:
                    writer.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], schema=kind))
        peaks.append(cli.peak("load", path.name, f"{table.keyspace}.loaded", "--quiet"))
    assert peaks[1] < peaks[0] + most, peaks


# ---- rows that cannot be written


def cells(n: int) -> list[str]:
    return ["" if value is None else str(value) for value in row(n)]


async def test_one_per_cent_of_bad_rows_in_csv(cli: Any, table: acsylla_like.Session) -> None:
    """Of every kind: a value, a key that is missing, too few cells, bytes that are no text, and one that only the server refuses."""
    count = 10_000
    lines = [",".join(cells(n)).encode() for n in range(count)]
    bad = {}
    for i, n in enumerate(random.Random(7).sample(range(count), count // 100)):
        bad[n] = [b"x,bad,1", b",no key,1", b"5,too,many,cells", b"%d,\xff\xfe,1" % n, b'%d,"say ""x"", no",one' % n][i % 5]
    (cli.folder / "rows.csv").write_bytes(b"id,name,score\n" + b"\n".join(bad.get(n, line) for n, line in enumerate(lines)) + b"\n")
    told = cli("load", "rows.csv", f"{table.keyspace}.loaded", "--errors", "bad.csv", code=3).stderr
    assert "9,900 rows loaded" in told
    assert "100 refused, in bad.csv" in told
    assert await stored(table) == {n: row(n) for n in range(count) if n not in bad}
    with (cli.folder / "bad.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        found = list(csv.DictReader(file))
    assert [int(line["_error_row"]) for line in found] == sorted(bad)
    for line in found:
        given = bad[int(line["_error_row"])].decode("utf-8", "surrogateescape")
        if line["_error_raw"]:
            assert line["_error_raw"] == given
        else:
            assert [line[name] for name in NAMES] == next(csv.reader([given]))
        assert line["_error"]
    assert {line["_error_column"] for line in found} == {"id", "name", "score", ""}
    # Mended, it can be loaded as it is.
    with (cli.folder / "mended.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows({**line, **dict(zip(NAMES, cells(int(line["_error_row"])), strict=True))} for line in found)
    cli("load", "mended.csv", f"{table.keyspace}.loaded")
    assert await stored(table) == {n: row(n) for n in range(count)}


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "arrow"])
async def test_bad_rows_of_other_formats_are_whole_in_the_error_file(cli: Any, table: acsylla_like.Session, suffix: str) -> None:
    count = 5000
    bad = {n for n in range(count) if n % 100 == 99}
    path = cli.folder / f"rows.{suffix}"
    ids = [None if n in bad and n % 200 == 99 else n for n in range(count)]
    names = [row(n)[1] for n in range(count)]
    if suffix == "jsonl":
        scores = ['"much"' if n in bad else json.dumps(row(n)[2]) for n in range(count)]
        objects = zip(ids, names, scores, strict=True)
        path.write_text(
            "".join(f'{{"id": {json.dumps(i)}, "name": {json.dumps(name)}, "score": {score} }}\n' for i, name, score in objects)
        )
    else:
        # Too many digits for a double is refused by the load itself, row by row.
        scores = [2**63 - 1 if n in bad else n * 8 for n in range(count)]  # type: ignore[misc]
        data = pa.table({"id": ids, "name": names, "score": pa.array(scores, pa.int64())})
        if suffix == "parquet":
            pyarrow.parquet.write_table(data, path)
        else:
            with pa.ipc.new_file(path, data.schema) as writer:
                writer.write_table(data)
    cli("load", path.name, f"{table.keyspace}.loaded", "--errors", "bad.jsonl", code=3)
    lines = [json.loads(line) for line in (cli.folder / "bad.jsonl").read_text().splitlines()]
    assert [line["_error_row"] for line in lines] == sorted(bad)
    for line in lines:
        n = line["_error_row"]
        assert (line["id"], line["name"], line["score"]) == (ids[n], names[n], "much" if suffix == "jsonl" else 2**63 - 1)
        assert line["_error_column"] in ("id", "score")
        assert line["_error"]
    assert set(await stored(table)) == set(range(count)) - bad


async def test_without_an_error_file_the_first_bad_row_ends_it(cli: Any, table: acsylla_like.Session) -> None:
    write_csv(cli.folder / "rows.csv", [("x" if n == 3000 else n, *row(n)[1:]) for n in range(5000)])
    told = cli("load", "rows.csv", f"{table.keyspace}.loaded", code=1).stderr
    assert "row 3000, column 'id': \"x\" is no value of type bigint" in told
    assert set(await stored(table)) == set(range(3000))
    data = pa.table({"id": [*range(3000), None], "name": ["x"] * 3001})
    pyarrow.parquet.write_table(data, cli.folder / "rows.parquet")
    told = cli("load", "rows.parquet", f"{table.keyspace}.loaded", code=1).stderr
    assert "row 3000, column 'id': null in a column of the primary key" in told


async def test_too_many_bad_rows_end_it(cli: Any, table: acsylla_like.Session) -> None:
    write_csv(cli.folder / "rows.csv", [("x" if n % 10 == 0 else n, *row(n)[1:]) for n in range(5000)])
    told = cli("load", "rows.csv", f"{table.keyspace}.loaded", "--errors", "bad.csv", "--max-errors", 100, code=1).stderr
    assert "more than 100 rows were refused" in told


# ---- what goes where


async def test_columns_are_chosen_and_renamed(cli: Any, table: acsylla_like.Session) -> None:
    (cli.folder / "rows.csv").write_text("key,other,points\n1,a,0.5\n2,b,\n")
    cli("load", "rows.csv", f"{table.keyspace}.loaded", "--columns", "key=id, points=score")
    assert await stored(table) == {1: (1, None, 0.5), 2: (2, None, None)}
    (cli.folder / "rows.jsonl").write_text('{"id": 3, "name": "x"}\n\n{"score": 1e0, "id": 4}\n')
    cli("load", "rows.jsonl", "loaded", "--keyspace", table.keyspace, "--ttl", 1000)
    assert await stored(table) == {1: (1, None, 0.5), 2: (2, None, None), 3: (3, "x", None), 4: (4, None, 1.0)}


async def test_a_table_is_made_from_the_columns_of_a_file(cli: Any, table: acsylla_like.Session) -> None:
    (cli.folder / "made.csv").write_text("day,n,ok,zip,at,what\n2026-01-02,5,true,01234,2026-01-02T03:04:05Z,x\n")
    (cli.folder / "made.jsonl").write_text('{"day": "x", "n": 5, "f": 0.5, "l": [1, 2], "m": {"a": "b"}}\n')
    data = pa.table(
        {"day": pa.array([1], pa.int32()), "n": pa.array([2], pa.int8()), "v": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))}
    )
    pyarrow.parquet.write_table(data, cli.folder / "made.parquet")
    expected = {
        "csv": {"day": "date", "n": "bigint", "ok": "boolean", "zip": "text", "at": "timestamp", "what": "text"},
        "jsonl": {"day": "text", "n": "bigint", "f": "double", "l": "list<bigint>", "m": "map<text, text>"},
        "parquet": {"day": "int", "n": "tinyint", "v": "vector<float, 2>"},
    }
    for suffix, columns in expected.items():
        name = f"{table.keyspace}.made_of_{suffix}"
        options = ["--create-table", "--primary-key", "day, n"]
        assert "would run: CREATE TABLE" in cli("load", f"made.{suffix}", name, *options, "--dry-run").stderr
        cli("load", f"made.{suffix}", name, *options)
        cli("load", f"made.{suffix}", name, *options)  # it is there by now
        result = await table.execute(f"SELECT * FROM {name}")
        assert len(result) == 1
        assert {column.name: str(column.type) for column in result.columns} == columns


async def test_a_dry_run_names_what_would_be_refused_and_writes_nothing(cli: Any, table: acsylla_like.Session) -> None:
    data = pa.table({"id": [1, None, 3], "name": ["a", "b", "c"], "score": pa.array([1, 2, 2**63 - 1], pa.int64())})
    pyarrow.parquet.write_table(data, cli.folder / "rows.parquet")
    ran = cli("load", "rows.parquet", f"{table.keyspace}.loaded", "--dry-run", "--errors", "bad.jsonl", "--checkpoint", "state", code=3)
    assert "row 1, column 'id': null in a column of the primary key" in ran.stderr
    assert "row 2, column 'score'" in ran.stderr
    assert "3 rows checked, 2 would be refused; nothing was written" in ran.stderr
    assert await stored(table) == {}
    assert sorted(path.name for path in cli.folder.iterdir()) == ["rows.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rows.csv", "loaded"], "has no keyspace"),
        (["rows.csv", "{}.nowhere"], "there is no table"),
        (["rows.xyz", "{}.loaded"], "give --format"),
        (["nothing.csv", "{}.loaded"], "nothing.csv: No such file"),
        (["rows.csv", "{}.loaded", "--columns", "id,nme"], "no column 'nme' in rows.csv, which has id, name, score"),
        (["rows.csv", "{}.loaded", "--columns", "id,name=nme"], "no column 'nme' in"),
        (["rows.csv", "{}.loaded", "--columns", "name"], "lacks 'id' of the primary key"),
        (["rows.csv", "{}.loaded", "--columns", "id,name=id"], "two columns of the data are for 'id'"),
        (["rows.csv", "{}.loaded", "--errors", "bad.txt"], "ends in .csv or .jsonl"),
        (["rows.csv", "{}.loaded", "--errors", "rows.csv"], "it is there already"),
        (["rows.csv", "{}.loaded", "--checkpoint", "rows.csv"], "is no checkpoint of a load"),
        (["rows.csv", "{}.loaded", "--max-errors", "5"], "goes with --errors"),
        (["rows.csv", "{}.loaded", "--no-header"], "needs --columns"),
        (["rows.csv", "{}.loaded", "--format", "parquet"], "is no parquet that can be read"),
        (["rows.csv", "{}.new", "--create-table"], "needs --primary-key"),
        (["rows.csv", "{}.new", "--create-table", "--primary-key", "x"], "no column 'x' in the data"),
        (["rows.csv", "{}.loaded", "--concurrency", "0"], "0 is not 1 or more"),
        (["rows.csv", "{}.loaded", "--consistency", "SOME"], "SOME"),
        (["text.parquet", "{}.loaded"], "column 'score'"),
    ],
)  # fmt: skip
async def test_mistakes_are_named_and_nothing_is_written(cli: Any, table: acsylla_like.Session, arguments: list[str], message: str) -> None:
    write_csv(cli.folder / "rows.csv", [row(1)])
    pyarrow.parquet.write_table(pa.table({"id": [1], "score": [[1]]}), cli.folder / "text.parquet")
    ran = cli("load", *[argument.format(table.keyspace) for argument in arguments], code=2)
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
    assert await stored(table) == {}


async def test_a_checkpoint_of_another_load_is_refused(cli: Any, table: acsylla_like.Session) -> None:
    write_csv(cli.folder / "rows.csv", [row(1)])
    cli("load", "rows.csv", f"{table.keyspace}.loaded", "--checkpoint", "state")
    write_csv(cli.folder / "rows.csv", [row(1), row(2)])
    assert "is the checkpoint of a load" in cli("load", "rows.csv", f"{table.keyspace}.loaded", "--checkpoint", "state", code=2).stderr
    assert set(await stored(table)) == {1}


async def test_an_error_file_that_is_gone_is_missed(cli: Any, table: acsylla_like.Session) -> None:
    write_csv(cli.folder / "rows.csv", [("x", "y", 1.0), row(2)])
    command = ["load", "rows.csv", f"{table.keyspace}.loaded", "--checkpoint", "state", "--errors", "bad.csv"]
    cli(*command, code=3)
    cli(*command, code=3)
    (cli.folder / "bad.csv").write_bytes((cli.folder / "bad.csv").read_bytes()[:-1])
    assert "it lacks rows that the checkpoint knows of" in cli(*command, code=2).stderr


@pytest.mark.parametrize("suffix", ["csv.gz", "jsonl.zst", "csv.bz2", "arrows", "parquet", "arrow.gz"])
async def test_a_file_that_is_cut_short_is_not_taken_for_whole(cli: Any, table: acsylla_like.Session, suffix: str) -> None:
    await table.copy_from("loaded", ({"id": n, "name": os.urandom(8).hex(), "score": n / 7} for n in range(3000)))
    cli("unload", f"{table.keyspace}.loaded", f"rows.{suffix}")
    whole = (cli.folder / f"rows.{suffix}").read_bytes()
    (cli.folder / f"rows.{suffix}").write_bytes(whole[: len(whole) * 3 // 4])
    process = cli.start("load", f"rows.{suffix}", f"{table.keyspace}.loaded")
    errors = process.communicate()[1].decode()
    assert process.returncode in (1, 2)
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 2


async def test_a_password_is_asked_for_and_never_taken_from_the_data(cli: Any, table: acsylla_like.Session) -> None:
    process = cli.start("load", "-", "ks.t", "--format", "csv", "--username", "me", start_new_session=True)
    _, errors = process.communicate(b"id\n1\n")
    assert process.returncode == 2
    assert errors.decode() == "acsylla-like: there is nobody to ask for the password of me: set ACSYLLA_LIKE_PASSWORD\n"
    cli("query", "SELECT key FROM system.local", "--username", "me", environment={"ACSYLLA_LIKE_PASSWORD": "secret"})


async def test_no_connection_is_an_exit_code_of_its_own(cli: Any, table: acsylla_like.Session) -> None:
    write_csv(cli.folder / "rows.csv", [row(1)])
    ran = cli("load", "rows.csv", "ks.t", port=1, code=4)
    assert "refused" in ran.stderr
    assert "Traceback" not in ran.stderr


async def test_progress_is_told_in_plain_lines(cli: Any, table: acsylla_like.Session) -> None:
    write_parquet(cli.folder / "rows.parquet", 0, 14_000)
    told = cli("load", "rows.parquet", f"{table.keyspace}.loaded", "--max-rate", 2000).stderr.splitlines()
    assert told[0].startswith("loaded: ")
    assert " rows/s, 0 refused, " in told[0]
    assert told[-1].startswith("14,000 rows loaded into ")


async def test_progress_is_shown_on_a_terminal(cli: Any, started: Any, table: acsylla_like.Session) -> None:
    pytest.importorskip("rich")
    write_parquet(cli.folder / "rows.parquet", 0, 6000)
    terminal, end = os.openpty()
    command = ["load", "rows.parquet", f"{table.keyspace}.loaded", "--max-rate", 2000]
    started(*command, stderr=end, environment={"TERM": "xterm"})
    os.close(end)
    shown = b""
    with contextlib.closing(os.fdopen(terminal, "rb", 0)) as screen, contextlib.suppress(OSError):  # at its end
        while text := screen.read(4096):
            shown += text
    for part in (" rows/s", "0 refused", " in flight", "p99 ", " left", "%"):
        assert part in shown.decode()
    assert "6,000 rows loaded into" in shown.decode().rstrip().splitlines()[-1]


async def test_without_pyarrow_one_line_says_so(cli: Any, table: acsylla_like.Session) -> None:
    (cli.folder / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'pyarrow' else find(name, *more)\n"
    )
    import acsylla_like as package

    paths = os.pathsep.join([str(cli.folder), str(Path(package.__file__).parent.parent)])
    ran = cli("load", "rows.csv", "ks.t", code=2, environment={"PYTHONPATH": paths})
    assert ran.stderr == "acsylla-like: load needs pyarrow: pip install 'acsylla_like[cli]'\n"
