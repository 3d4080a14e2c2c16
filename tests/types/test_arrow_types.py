"""Each CQL type as Arrow data: the values of the ordinary decoder, or the same errors."""

from __future__ import annotations

import decimal
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from arrow_values import check_same, of_arrow  # noqa: E402
from cql_values import SCALARS, TYPES, USER_TYPES, make_decimal  # noqa: E402
from fix_wire import Wire, item  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import _native  # noqa: E402
from acsylla_like._native import parse_type  # noqa: E402
from acsylla_like.testing import cql  # noqa: E402

D = decimal.Decimal

pytestmark = pytest.mark.usefixtures("arrow_released")


# Whatever the server may send of each type, with what the ordinary decoder cannot tell from it left out.
ARROW_TYPES = {
    "ascii": pa.string(),
    "bigint": pa.int64(),
    "blob": pa.binary(),
    "boolean": pa.bool_(),
    "counter": pa.int64(),
    "date": pa.date32(),
    "decimal": pa.string(),
    "double": pa.float64(),
    "duration": pa.month_day_nano_interval(),
    "float": pa.float32(),
    "inet": pa.string(),
    "int": pa.int32(),
    "smallint": pa.int16(),
    "text": pa.string(),
    "time": pa.time64("ns"),
    "timestamp": pa.timestamp("ms", "UTC"),
    "timeuuid": pa.uuid(),
    "tinyint": pa.int8(),
    "uuid": pa.uuid(),
    "varint": pa.string(),
    "list<int>": pa.list_(pa.int32()),
    "set<text>": pa.list_(pa.string()),
    "map<uuid, list<decimal>>": pa.map_(pa.uuid(), pa.list_(pa.string())),
    "tuple<int, text>": pa.struct([("0", pa.int32()), ("1", pa.string())]),
    "vector<float, 3>": pa.list_(pa.float32(), 3),
    "vector<text, 2>": pa.list_(pa.string(), 2),
    "'org.example.Own'": pa.binary(),
}


@pytest.mark.parametrize(("name", "arrow_type"), ARROW_TYPES.items(), ids=ARROW_TYPES)
def test_each_cql_type_has_its_arrow_type(name: str, arrow_type: Any) -> None:
    schema = pa.schema(acsylla_like.ArrowSchema(["c"], [parse_type(name)]))
    assert schema.field("c").type == arrow_type
    assert schema.field("c").nullable


def test_a_user_type_is_a_struct_with_its_fields() -> None:
    schema = pa.schema(acsylla_like.ArrowSchema(["c"], [parse_type("person", user_types=USER_TYPES)]))
    address = pa.struct([("street", pa.string()), ("Number", pa.int32()), ("since", pa.timestamp("ms", "UTC"))])
    marks = pa.map_(pa.string(), pa.list_(pa.int32()))
    assert schema.field("c").type == pa.struct(
        [("name", pa.string()), ("home", address), ("tags", pa.list_(pa.string())), ("marks", marks)]
    )


PATIENT = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", sorted(SCALARS))
@PATIENT
@given(data=st.data())
def test_values_of_each_type_are_those_of_the_ordinary_decoder(name: str, data: st.DataObject, wire: Wire) -> None:
    values = data.draw(st.lists(SCALARS[name] | st.none(), max_size=20))
    cql_type = parse_type(name)
    result = wire.result([("k", "int"), ("c", cql_type)], [[cql.integer(i), cql_type.encode(v)] for i, v in enumerate(values)])
    check_same(result, pa.table(result.to_arrow()))


@pytest.mark.usefixtures("both_ways")
@PATIENT
@given(data=st.data())
def test_values_of_nested_types_are_those_of_the_ordinary_decoder(data: st.DataObject, wire: Wire) -> None:
    columns = data.draw(st.lists(TYPES, min_size=1, max_size=3))
    types = [parse_type(text) for text, _ in columns]
    rows = data.draw(st.lists(st.tuples(*(values | st.none() for _, values in columns)), max_size=5))
    cells = [[cql_type.encode(value) for cql_type, value in zip(types, row, strict=True)] for row in rows]
    result = wire.result([(f"c{i}", cql_type) for i, cql_type in enumerate(types)], cells)
    check_same(result, pa.table(result.to_arrow()))


@pytest.mark.usefixtures("both_ways")
@PATIENT
@given(data=st.data())
def test_user_types_are_those_of_the_ordinary_decoder(data: st.DataObject, wire: Wire) -> None:
    cql_type = parse_type("list<frozen<person>>", user_types=USER_TYPES)
    address = st.fixed_dictionaries(
        {"street": SCALARS["text"] | st.none(), "Number": SCALARS["int"], "since": SCALARS["timestamp"] | st.none()}
    )
    person = st.fixed_dictionaries(
        {
            "name": SCALARS["text"],
            "home": address | st.none(),
            "tags": st.sets(SCALARS["text"], max_size=3) | st.none(),
            "marks": st.dictionaries(SCALARS["text"], st.lists(SCALARS["int"], max_size=3), max_size=3),
        }
    )
    values = data.draw(st.lists(st.lists(person, max_size=3) | st.none(), max_size=4))
    result = wire.result([("c", cql_type)], [[cql_type.encode(value)] for value in values])
    check_same(result, pa.table(result.to_arrow()))


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        # null and empty values where the server allows them
        ("list<int>", cql.integer(3) + item(cql.integer(1)) + item(None) + item(b"")),
        ("map<int, text>", cql.integer(1) + item(cql.integer(1)) + item(None)),
        ("tuple<int, text, int>", item(None) + item(b"")),
        ("tuple<int, text>", b""),
        ("vector<text, 2>", b"\x00\x01a"),
        ("address", item(b"here")),
        ("address", item(None) + item(None) + item(None) + item(b"added since") + item(None)),
        *((kind, b"") for kind in [*SCALARS, "list<int>", "map<int, int>", "vector<float, 3>", "address"]),
    ],
)
def test_what_bytes_lack_is_null_as_for_the_ordinary_decoder(kind: str, cell: bytes, wire: Wire) -> None:
    cql_type = parse_type(kind, user_types=USER_TYPES)
    if cell == b"" and cql_type.decode(cell) is None and kind.startswith(("list", "map")) and not _native.walks_rows_in_memory():
        cell = None  # the driver's iterator ends at a collection without a count
    result = wire.result([("k", "int"), ("c", cql_type)], [[cql.integer(n), c] for n, c in enumerate([None, cell, None, cell])])
    check_same(result, pa.table(result.to_arrow()))


BAD_CELLS = [
    ("int", b"\x01\x02"),
    ("boolean", b"\x01\x02"),
    ("timestamp", b"\x01"),
    ("uuid", bytes(15)),
    ("inet", bytes(5)),
    ("time", cql.encode(cql.Type("time"), 86_400_000_000_000)),
    ("time", cql.encode(cql.Type("time"), -1)),
    ("text", b"a\xff"),
    ("text", b"\xed\xa0\x80"),
    ("text", b"\xc0\x80"),
    ("text", b"12345678\xf4\x90\x80\x80"),
    ("text", b"\xe2\x82"),
    ("ascii", b"12345678\x80"),
    ("decimal", bytes(4)),
    ("duration", b"\x02"),
    ("duration", b"\x02\x01\x02"),
    ("duration", b"\xf1" + b"\xff" * 4 + b"\x00\x00"),
    ("list<int>", b"\x00\x00"),
    ("list<int>", cql.integer(-1)),
    ("list<int>", cql.integer(2**31 - 1)),
    ("list<int>", cql.integer(1) + cql.integer(5) + bytes(4)),
    ("list<int>", cql.integer(1) + item(bytes(4)) + b"x"),
    ("list<text>", cql.integer(1) + item(b"\xff")),
    ("map<int, int>", cql.integer(1) + item(bytes(4))),
    ("tuple<int, int>", item(bytes(4)) + b"\x00"),
    ("tuple<int>", item(bytes(4)) + item(bytes(4))),
    ("vector<float, 3>", bytes(8)),
    ("vector<float, 3>", bytes(16)),
    ("vector<text, 2>", b"\x01a\x05b"),
    ("vector<smallint, 2>", b"\x02ab\x03abc"),
    ("address", item(b"here") + cql.integer(9)),
]


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("kind", "cell"), BAD_CELLS)
def test_bytes_that_are_no_value_are_an_error_that_names_row_and_column(kind: str, cell: bytes, wire: Wire) -> None:
    cql_type = parse_type(kind, user_types=USER_TYPES)
    result = wire.result(
        [("k", "int"), ("Some column", cql_type)], [[cql.integer(1), None], [cql.integer(2), cell], [cql.integer(3), None]]
    )
    with pytest.raises(acsylla_like.Error):
        list(result)
    # A collection without a count is where the driver's iterator ends, and it does not say why.
    ends = not _native.walks_rows_in_memory() and cql_type.name == "list<int>" and len(cell) < 4
    with pytest.raises(acsylla_like.DecodeError, match=r"^row 1: " if ends else r"^row 1, column 'Some column': "):
        result.to_arrow()


@pytest.mark.parametrize("key", [None, b""])
def test_a_null_key_of_a_map_is_an_error(key: bytes | None, wire: Wire) -> None:
    with pytest.raises(acsylla_like.DecodeError, match="row 0, column 'c': a key of type map<int, int> is null or empty"):
        wire.table("map<int, int>", [cql.integer(1) + item(key) + item(bytes(4))])


# ---- decimals


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1.5", (38, 10)), ("-1.5", (2, 1)), ("9.99", (3, 2)), ("1E+5", (6, 0)), ("1E+5", (2, -4)), ("0E-100", (1, 0)), ("-0.00", (1, 0)),
     ("1." + "0" * 90, (1, 0)), ("1" + "0" * 37, (38, 0)), ("9" * 76, (76, 0)), ("-" + "9" * 76, (76, 0)),
     ("0." + "0" * 75 + "1", (76, 76)),
     ("-170141183460469231731687303715884105728", (39, 0)), ("123456789012345678901234567890", (40, 2))],
)  # fmt: skip
def test_a_decimal_that_fits_is_the_same_number(text: str, wanted: tuple[int, int], wire: Wire) -> None:
    cell = parse_type("decimal").encode(D(text))
    column = wire.table("decimal", [cell, None], decimals={"c": wanted}).column("c")
    assert column.type == (pa.decimal128 if wanted[0] <= 38 else pa.decimal256)(*wanted)
    assert column.to_pylist() == [D(text), None]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1.55", (38, 1)), ("10", (1, 0)), ("1E+6", (6, 0)), ("1E+2000000000", (76, 0)), ("1E-2000000000", (76, 76)), ("1E-77", (76, 76)),
     ("9" * 77, (76, 0)), ("15", (2, -1)), ("0." + "0" * 200 + "1", (76, 76)), ("1" + "0" * 38, (38, 0))],
)  # fmt: skip
def test_a_decimal_that_does_not_fit_exactly_is_an_error_that_names_its_place(text: str, wanted: tuple[int, int], wire: Wire) -> None:
    kind = parse_type("decimal")
    with pytest.raises(acsylla_like.DecodeError, match=r"^row 1, column 'c': .* does not fit decimal\(.*\) exactly"):
        wire.table("decimal", [kind.encode(D("0")), kind.encode(D(text))], decimals={"c": wanted})


@PATIENT
@given(
    unscaled=st.integers(-(10**80), 10**80) | st.integers(-1000, 1000),
    scale=st.integers(-100, 100),
    precision=st.integers(1, 76),
    wanted_scale=st.integers(-76, 76),
)
def test_decimals_are_exact_or_refused(unscaled: int, scale: int, precision: int, wanted_scale: int, wire: Wire) -> None:
    number = make_decimal(unscaled, scale)
    cell = parse_type("decimal").encode(number)
    with decimal.localcontext(decimal.Context(prec=500, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)):
        scaled = number.scaleb(wanted_scale)
        fits = scaled == scaled.to_integral_value() and abs(scaled) < D(10) ** precision
    if not fits:
        with pytest.raises(acsylla_like.DecodeError, match="exactly"):
            wire.table("decimal", [cell], decimals={"c": (precision, wanted_scale)})
    else:
        column = wire.table("decimal", [cell], decimals={"c": (precision, wanted_scale)}).column("c").chunk(0)
        # The number itself: pyarrow (26) cannot print every decimal that Arrow has.
        assert int.from_bytes(column.buffers()[1].to_pybytes()[: column.type.byte_width], "little", signed=True) == scaled


@PATIENT
@given(number=st.integers(-(10**77), 10**77) | st.integers(-(2**70), 2**70))
def test_a_varint_becomes_a_decimal_when_asked(number: int, wire: Wire) -> None:
    cell = parse_type("varint").encode(number)
    if abs(number) >= 10**76:
        with pytest.raises(acsylla_like.DecodeError, match="exactly"):
            wire.table("varint", [cell], decimals={"c": (76, 0)})
    else:
        assert wire.table("varint", [cell], decimals={"c": (76, 0)}).column("c").to_pylist() == [number]


def test_decimals_for_columns_that_are_none_are_mistakes(wire: Wire) -> None:
    result = wire.result([("k", "int"), ("d", "decimal")], [])
    with pytest.raises(KeyError, match="no column 'x' among k, d"):
        result.to_arrow(decimals={"x": (1, 0)})
    with pytest.raises(TypeError, match="column 'k' is of type int"):
        result.to_arrow(decimals={"k": (1, 0)})
    for wrong in (5, (1,), (1.0, 0), "ab"):
        with pytest.raises(TypeError, match="decimals"):
            result.to_arrow(decimals={"d": wrong})
    for wrong in ((0, 0), (77, 0), (10, 77), (10, -77)):
        with pytest.raises(ValueError, match="column 'd': precision is 1 to 76"):
            result.to_arrow(decimals={"d": wrong})


def test_a_long_varint_is_exact_text(wire: Wire) -> None:
    number = 3**20000
    (scalar,) = wire.table("varint", [parse_type("varint").encode(-number)]).column("c")
    text = of_arrow(scalar)
    assert text[0] == "-"
    assert len(text) == 9544
    value = 0
    for start in range(1, len(text), 1000):  # Python limits the digits of one conversion
        part = text[start : start + 1000]
        value = value * 10 ** len(part) + int(part)
    assert value == number
