"""Frames of pandas and polars as they are: their nulls, nanoseconds and categories."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

import numpy as np  # noqa: E402
from cql_values import same  # noqa: E402
from fix_wire import Loader  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import Duration, Time  # noqa: E402
from acsylla_like._native import parse_type  # noqa: E402

pytestmark = pytest.mark.usefixtures("arrow_released")

UTC = datetime.timezone.utc
DAY = datetime.date(2020, 1, 1)
MOMENT = datetime.datetime(2020, 1, 1, 10, 0, 0, 123000, tzinfo=UTC)
TIME = datetime.time(1, 2, 3, 4)


def series(values: Any, dtype: str | None = None) -> Any:
    return pd.Series(values, dtype=dtype)


PANDAS = [
    (series(["2020-01-01T10:00:00.123", None], "datetime64[ns]"), "timestamp", [MOMENT, None]),
    (series(["2020-01-01T11:00:00.123", None], "datetime64[ns]").dt.tz_localize("Europe/Berlin"), "timestamp", [MOMENT, None]),
    (series(["2020-01-01T10:00:00.123", None], "datetime64[us]"), "timestamp", [MOMENT, None]),
    (series(["a", None, "b", "a"], "category"), "text", ["a", None, "b", "a"]), (series([5, None, 7], "category"), "int", [5, None, 7]),
    (series([1, pd.NA], "Int64"), "bigint", [1, None]), (series([1, pd.NA], "UInt8"), "int", [1, None]),
    (series([True, pd.NA], "boolean"), "boolean", [True, None]), (series(["a", pd.NA], "string"), "text", ["a", None]),
    (series(["a", None], "object"), "text", ["a", None]), (series([1.5, float("nan")]), "double", [1.5, None]),
    (series([1.0, float("nan")]), "int", [1, None]), (series([1.5, pd.NA], "Float32"), "float", [1.5, None]),
    (series(np.array([1.5, 2], "float16")), "float", [1.5, 2.0]),
    (series([datetime.timedelta(seconds=1), None], "timedelta64[s]"), "duration", [Duration(0, 0, 10**9), None]),
    (series([DAY, None], "object"), "date", [DAY, None]), (series([Decimal("1.5"), None]), "decimal", [Decimal("1.5"), None]),
    (series([[1, 2], None]), "list<int>", [[1, 2], None]), (series([b"1", None], "object"), "blob", [b"1", None]),
    (series([TIME, None]), "time", [Time(1, 2, 3, 4), None]),
    (series([{"a": 1, "b": "x"}, None]), "tuple<int, text>", [(1, "x"), None]),
    (series([1, None], "int64[pyarrow]"), "bigint", [1, None]),
]  # fmt: skip

POLARS = [
    (pl.Series([MOMENT, None], dtype=pl.Datetime("ns", "UTC")), "timestamp", [MOMENT, None]),
    (pl.Series([MOMENT.replace(tzinfo=None), None], dtype=pl.Datetime("us")), "timestamp", [MOMENT, None]),
    (pl.Series(["a", None, "ä" * 20]), "text", ["a", None, "ä" * 20]),
    (pl.Series([b"a", None, b"ab" * 20]), "blob", [b"a", None, b"ab" * 20]),
    (pl.Series(["a", None, "b"], dtype=pl.Categorical), "text", ["a", None, "b"]),
    (pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])), "text", ["a", None, "b"]),
    (pl.Series([["a", "b"], None], dtype=pl.List(pl.Categorical)), "list<text>", [["a", "b"], None]),
    (pl.Series([DAY, None]), "date", [DAY, None]), (pl.Series([TIME, None]), "time", [Time(1, 2, 3, 4), None]),
    (pl.Series([datetime.timedelta(1), None]), "duration", [Duration(0, 0, 86_400 * 10**9), None]),
    (pl.Series([Decimal("1.50"), None]), "decimal", [Decimal("1.50"), None]), (pl.Series([True, None]), "boolean", [True, None]),
    (pl.Series([[1, 2], None, []]), "list<int>", [[1, 2], None, []]),
    (pl.Series([[1, 2], None], dtype=pl.Array(pl.Int32, 2)), "list<int>", [[1, 2], None]),
    (pl.Series([{"a": 1, "b": "x"}, None]), "tuple<int, text>", [(1, "x"), None]),
    (pl.Series([[{"key": "a", "value": 1}], None, []]), "map<text, int>", [{"a": 1}, None, {}]),
    (pl.Series([None, None]), "int", [None, None]), (pl.Series([1.0, None, float("inf")]), "double", [1.0, None, float("inf")]),
]  # fmt: skip


def check(frame: Any, kind: str, values: list[Any], loader: Loader) -> None:
    loader.load(kind, frame, nulls="null")
    found = {k: None if cell is None else parse_type(kind).decode(cell) for k, cell in loader.written.items()}
    assert sorted(found) == list(range(len(values)))
    for i, value in enumerate(values):
        assert same(found[i], value), f"{found[i]!r} is not {value!r}"


@pytest.mark.parametrize(
    ("column", "kind", "values"), PANDAS, ids=[f"{i}-{column.dtype}-{kind}" for i, (column, kind, _) in enumerate(PANDAS)]
)
def test_a_pandas_frame_is_written_as_it_is(column: Any, kind: str, values: list[Any], loader: Loader) -> None:
    check(pd.DataFrame({"k": np.arange(len(column), dtype="int32"), "c": column}), kind, values, loader)
    # Every second row of a longer frame; its index is no column.
    frame = pd.DataFrame({"k": np.arange(2 * len(column), dtype="int32") // 2, "c": column.repeat(2).reset_index(drop=True)})
    check(frame.iloc[::2], kind, values, loader)


@pytest.mark.parametrize(("column", "kind", "values"), POLARS, ids=[f"{column.dtype}-{kind}" for column, kind, _ in POLARS])
def test_a_polars_frame_is_written_as_it_is(column: Any, kind: str, values: list[Any], loader: Loader) -> None:
    frame = pl.DataFrame({"k": pl.Series(range(len(column)), dtype=pl.Int32), "c": column})
    check(frame, kind, values, loader)
    check(pl.concat([frame[:1], frame[1:]], rechunk=False), kind, values, loader)
    check(pl.concat([frame.clear(), frame]).slice(0), kind, values, loader)


def test_nanoseconds_of_pandas_are_refused_or_cut_and_counted(loader: Loader) -> None:
    frame = pd.DataFrame({"k": np.arange(2, dtype="int32"), "c": series(["2020-01-01T10:00:00.123456789", None], "datetime64[ns]")})
    with pytest.raises(acsylla_like.BulkError, match=r"row 0, column 'c': .* ns, with parts of a millisecond \(cut them with truncate\)"):
        loader.load("timestamp", frame)
    assert loader.load("timestamp", frame, truncate=True).truncated == 1
    assert parse_type("timestamp").decode(loader.written[0]) == MOMENT
