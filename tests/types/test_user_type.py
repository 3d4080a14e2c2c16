from __future__ import annotations

import collections
import dataclasses
import types
from typing import Any, NamedTuple

import pytest
from cql_values import USER_TYPES, round_trip, same

from acsylla_like._native import CqlType, parse_type
from acsylla_like.errors import DecodeError
from acsylla_like.types import FrozenMap

KEY = ("shop", "address")


@dataclasses.dataclass
class Address:
    street: str | None = None
    Number: int | None = None
    since: object = None


@dataclasses.dataclass(frozen=True)
class Short:
    street: str


class AddressTuple(NamedTuple):
    street: str | None
    Number: int | None
    since: object = None


class Plain:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def address(text: str = "address", **classes: type[Any]) -> CqlType:
    return parse_type(text, keyspace="shop", user_types=USER_TYPES, classes={("shop", name): cls for name, cls in classes.items()})


FULL = {"street": "a", "Number": 1, "since": None}


@pytest.mark.parametrize(
    "value",
    [
        FULL,
        {"Number": 1, "street": "a"},
        types.MappingProxyType(FULL),
        FrozenMap(FULL),
        collections.OrderedDict(FULL),
        Address("a", 1),
        AddressTuple("a", 1),
    ],
)
def test_a_user_type_is_made_of_what_names_its_fields(value: object) -> None:
    cql_type = address()
    assert same(cql_type.decode(cql_type.encode(value)), FULL)


def test_fields_that_are_missing_are_null() -> None:
    cql_type = address()
    assert cql_type.decode(cql_type.encode({})) == {"street": None, "Number": None, "since": None}
    assert cql_type.decode(cql_type.encode(Short("a"))) == {"street": "a", "Number": None, "since": None}


def test_unknown_fields_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="expected the fields street, Number, since of address, got unknown 'stret', 5 in dict"):
        address().encode({"stret": "a", 5: 1})


def test_an_error_names_the_field() -> None:
    with pytest.raises(TypeError, match='field "home": field "Number": expected an int, got str'):
        parse_type("person", user_types=USER_TYPES).encode({"home": {"Number": "1"}})


@pytest.mark.parametrize("value", [("a", 1, None), ["a"], "a", 5, Plain(street="a"), Address])
def test_what_does_not_tell_its_fields_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a mapping"):
        address().encode(value)


def test_nested_user_types_and_collections_come_back() -> None:
    value = {"name": "x", "home": FULL, "tags": frozenset({"t"}), "marks": {"m": [1, 2]}}
    assert same(round_trip("person", value, user_types=USER_TYPES), value)
    assert same(round_trip("list<frozen<person>>", [value], user_types=USER_TYPES), [value])


def test_as_a_member_it_is_hashable() -> None:
    value = FrozenMap({"name": "x", "home": FrozenMap(FULL), "tags": frozenset(), "marks": FrozenMap({"m": (1,)})})
    assert same(round_trip("set<frozen<person>>", [value], user_types=USER_TYPES), {value})


@pytest.mark.parametrize("cls", [Address, AddressTuple])
def test_it_becomes_the_registered_class(cls: type[Any]) -> None:
    cql_type = address(address=cls)
    value = cls("a", 1)
    assert same(cql_type.decode(cql_type.encode(value)), value)
    nested = address("list<frozen<address>>", address=cls)
    assert same(nested.decode(nested.encode([value, FULL])), [value, value])


def test_an_object_of_any_registered_class_is_read_by_attributes() -> None:
    cql_type = address(address=Plain)
    decoded = cql_type.decode(cql_type.encode(Plain(street="a", other=5)))
    assert type(decoded) is Plain
    assert decoded.__dict__ == {"street": "a", "Number": None, "since": None}


def test_a_class_gets_the_fields_that_it_takes() -> None:
    cql_type = address("set<frozen<address>>", address=Short)
    assert cql_type.decode(cql_type.encode([FULL])) == {Short("a")}


def test_a_registered_class_that_is_not_hashable_cannot_be_a_member() -> None:
    cql_type = address("set<frozen<address>>", address=Address)
    with pytest.raises(DecodeError, match=r"a Address cannot be in a set<frozen<address>>: it is not hashable"):
        cql_type.decode(cql_type.encode([FULL]))


def test_a_class_that_refuses_the_fields_is_named() -> None:
    def refuse(**fields: object) -> None:
        raise ZeroDivisionError("not today")

    cql_type = address(address=refuse)  # type: ignore[arg-type]
    with pytest.raises(DecodeError, match=r"refuse at .* does not take the fields of address: not today") as caught:
        cql_type.decode(cql_type.encode(FULL))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_fields_added_since_the_bytes_were_written_are_null() -> None:
    assert address().decode(bytes.fromhex("0000000161")) == {"street": "a", "Number": None, "since": None}


def test_fields_added_to_the_type_since_we_learned_it_are_left_out() -> None:
    cql_type = address()
    data = cql_type.encode(FULL)
    assert data is not None
    assert cql_type.decode(data + bytes.fromhex("00000001ffffffffff")) == FULL
    with pytest.raises(DecodeError, match="end within an item's length"):
        cql_type.decode(data + b"\0")
