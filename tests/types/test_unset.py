from __future__ import annotations

import copy
import pickle

import pytest

from acsylla_like._native import parse_type
from acsylla_like.types import UNSET, Unset


def test_there_is_one() -> None:
    assert Unset() is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert copy.copy(UNSET) is copy.deepcopy(UNSET) is UNSET
    assert repr(UNSET) == "UNSET"


@pytest.mark.parametrize("text", ["int", "text", "list<int>", "address"])
def test_it_is_no_value(text: str) -> None:
    cql_type = parse_type(text, user_types={"address": {"street": "text"}})
    with pytest.raises(TypeError, match="got Unset UNSET"):
        cql_type.encode(UNSET)
    with pytest.raises(TypeError, match=r"item 1: .*got Unset UNSET"):
        parse_type("list<int>").encode([1, UNSET])
