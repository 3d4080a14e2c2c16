from __future__ import annotations

import copy
import pickle
import uuid

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type


@pytest.mark.parametrize("value", [uuid.uuid4(), uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid1()])
def test_a_decoded_uuid_is_like_any_other(value: uuid.UUID) -> None:
    decoded = round_trip("uuid", value)
    assert type(decoded) is uuid.UUID
    assert decoded == value
    assert hash(decoded) == hash(value)
    assert decoded.is_safe is uuid.SafeUUID.unknown
    assert str(decoded) == str(value)
    assert repr(decoded) == repr(value)
    assert decoded.bytes == value.bytes
    assert decoded.version == value.version
    assert pickle.loads(pickle.dumps(decoded)) == value
    assert copy.copy(decoded) == value
    assert sorted([decoded, uuid.UUID(int=5)]) == sorted([value, uuid.UUID(int=5)])
    with pytest.raises(TypeError):
        decoded.int = 3


def test_text_is_taken() -> None:
    value = uuid.uuid1()
    assert round_trip("uuid", str(value)) == value
    assert round_trip("timeuuid", str(value)) == value
    with pytest.raises(ValueError, match="expected a UUID, got str 'zz'"):
        parse_type("uuid").encode("zz")


def test_a_timeuuid_has_version_1() -> None:
    with pytest.raises(ValueError, match="expected a UUID of version 1, got UUID"):
        parse_type("timeuuid").encode(uuid.uuid4())


@pytest.mark.parametrize("value", [5, b"x" * 16])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"expected a uuid\.UUID or its text"):
        parse_type("uuid").encode(value)
