from __future__ import annotations

import ipaddress
import pickle

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type


@pytest.mark.parametrize("text", ["0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::8:800:200c:417a"])
def test_addresses_come_back(text: str) -> None:
    value = ipaddress.ip_address(text)
    decoded = round_trip("inet", value)
    assert decoded == value
    assert type(decoded) is type(value)
    assert hash(decoded) == hash(value)
    assert str(decoded) == text
    assert pickle.loads(pickle.dumps(decoded)) == value
    assert round_trip("inet", text) == value


def test_a_mapped_address_stays_one_of_16_bytes() -> None:
    value = ipaddress.IPv6Address("::ffff:1.2.3.4")
    decoded = round_trip("inet", value)
    assert decoded == value
    assert type(decoded) is ipaddress.IPv6Address


def test_a_scope_is_refused_for_it_would_be_lost() -> None:
    with pytest.raises(ValueError, match="expected an IP address without scope"):
        parse_type("inet").encode(ipaddress.IPv6Address("fe80::1%eth0"))


def test_text_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an IP address, got str '1\.2'"):
        parse_type("inet").encode("1.2")


@pytest.mark.parametrize("value", [16909060, b"\1\2\3\4"])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected an IPv4Address, IPv6Address or its text"):
        parse_type("inet").encode(value)
