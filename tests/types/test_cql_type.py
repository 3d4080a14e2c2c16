from __future__ import annotations

import contextlib
import copy
import pickle

import pytest
from cql_values import SCALARS, TYPES, USER_TYPES
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import CqlType, parse_type

MARSHAL = "org.apache.cassandra.db.marshal."


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((scalar, scalar) for scalar in SCALARS),
        (" Text ", "text"),
        ("varchar", "text"),
        ("counter", "counter"),
        ("MAP< text,frozen <list<int> > >", "map<text, frozen<list<int>>>"),
        ("list<list<set<int>>>", "list<frozen<list<frozen<set<int>>>>>"),
        ("frozen<set<int>>", "frozen<set<int>>"),
        ("tuple<int, tuple<int>>", "tuple<int, frozen<tuple<int>>>"),
        ("vector<float,3>", "vector<float, 3>"),
        ("vector<vector<text, 2>, 3>", "vector<vector<text, 2>, 3>"),
        ("set<vector<list<int>, 2>>", "set<vector<frozen<list<int>>, 2>>"),
        ("frozen<address>", "frozen<address>"),
        ("list<address>", "list<frozen<address>>"),
        ("shop.address", "address"),
        (f"'{MARSHAL}EmptyType'", f"'{MARSHAL}EmptyType'"),
    ],
)
def test_cql_text_names_a_type(text: str, name: str) -> None:
    cql_type = parse_type(text, user_types=USER_TYPES)
    assert cql_type.name == str(cql_type) == name
    assert repr(cql_type) == f"CqlType({name!r})"
    assert parse_type(name, user_types=USER_TYPES).name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Int32Type", "int"),
        ("ReversedType(!TimestampType)", "timestamp"),
        ("VectorType(!FloatType , 3)", "vector<float, 3>"),
        ("VectorType(!VectorType(!ShortType, 2) , 3)", "vector<vector<smallint, 2>, 3>"),
        ("FrozenType(!MapType(!UTF8Type,!ListType(!Int32Type)))", "frozen<map<text, frozen<list<int>>>>"),
        ("TupleType(!Int32Type,!UTF8Type)", "frozen<tuple<int, text>>"),
        ("UserType(shop,61646472657373,737472656574:!UTF8Type,4e756d626572:!Int32Type)", "address"),
        ("ListType(!UserType(shop,4d792054797065,61:!SetType(!UTF8Type)))", 'list<frozen<"My Type">>'),
        (
            "DynamicCompositeType(a=>!BytesType,b=>!UTF8Type)",
            f"'{MARSHAL}DynamicCompositeType(a=>{MARSHAL}BytesType,b=>{MARSHAL}UTF8Type)'",
        ),
    ],
)
def test_class_names_of_the_server_name_a_type(text: str, name: str) -> None:
    assert parse_type(MARSHAL + text.replace("!", MARSHAL)).name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "<",
        "list",
        "list<",
        "list<>",
        "list<int",
        "list<int>>",
        "list<int, int>",
        "map<int>",
        "tuple<>",
        "int int",
        "int;",
        "vector<int>",
        "vector<int, 0>",
        "vector<int, -1>",
        "vector<int, x>",
        "vector<int, 99999999999>",
        "'unclosed",
        '"unclosed',
        "unknown",
        "list<" * 1000 + "int" + ">" * 1000,
        MARSHAL + "ListType(",
        MARSHAL + "UserType(shop,6,61:" + MARSHAL + "Int32Type)",
        MARSHAL + "VectorType(" + MARSHAL + "FloatType , x)",
        (MARSHAL + "ListType(") * 1000,
    ],
)
def test_text_that_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_type(text)


@given(st.text("<>,'\"( )intlismap.=:3", max_size=30) | st.text(max_size=10))
def test_any_text_is_a_type_or_a_value_error(text: str) -> None:
    for candidate in (text, MARSHAL + text, f"list<{text}>"):
        with contextlib.suppress(ValueError):
            assert isinstance(parse_type(candidate), CqlType)


def test_a_custom_type_holds_bytes() -> None:
    cql_type = parse_type(f"'{MARSHAL}EmptyType'")
    assert cql_type.type_name == f"{MARSHAL}EmptyType"
    assert cql_type.decode(cql_type.encode(b"abc")) == b"abc"


def test_a_user_type_refers_to_the_types_of_its_fields() -> None:
    person = parse_type("person", keyspace="shop", user_types=USER_TYPES)
    assert (person.keyspace, person.type_name) == ("shop", "person")
    assert person.field_names == ("name", "home", "tags", "marks")
    assert [str(field) for field in person.types] == [
        "text",
        "frozen<address>",
        "frozen<set<text>>",
        "frozen<map<text, frozen<list<int>>>>",
    ]
    assert person.types[1].field_names == ("street", "Number", "since")


def test_user_types_that_refer_to_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="not a CQL type"):
        parse_type("a", user_types={"a": {"b": "frozen<b>"}, "b": {"a": "frozen<a>"}})


def test_a_vector_tells_its_dimension() -> None:
    assert parse_type("vector<float, 3>").dimension == 3
    assert parse_type("list<float>").dimension == -1


@given(TYPES)
def test_types_are_equal_by_their_text_and_copy(pair: tuple[str, object]) -> None:
    text, _ = pair
    one, other = parse_type(text), parse_type(text)
    assert one == other
    assert hash(one) == hash(other)
    assert one != "text"
    for twin in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert twin == one
        assert twin.types == one.types


def test_a_user_type_pickles() -> None:
    person = parse_type("set<frozen<person>>", keyspace="shop", user_types=USER_TYPES)
    twin = pickle.loads(pickle.dumps(person))
    assert twin == person
    data = person.encode([{"name": "x"}])
    assert twin.decode(data) == person.decode(data)


def test_it_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError, match="use parse_type"):
        CqlType()
    empty = CqlType.__new__(CqlType)
    assert empty.decode(b"abc") == b"abc"
    assert empty.encode(b"abc") == b"abc"
    assert repr(empty) == "CqlType('')"
    with pytest.raises(AttributeError):
        empty.name = "int"  # type: ignore[misc]


@pytest.mark.parametrize("data", [5, "x", [1]])
def test_decode_reads_buffers_only(data: object) -> None:
    with pytest.raises(TypeError):
        parse_type("blob").decode(data)  # type: ignore[arg-type]
