"""acsylla's exceptions, made from the package's errors."""

from __future__ import annotations

import pytest

from acsylla_like import errors as core
from acsylla_like.compat import errors


def with_code(error: core.Error, code: int | None) -> core.Error:
    error.code = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (with_code(core.QuerySyntaxError("x"), 2 << 24 | 0x2000), errors.CassErrorServerSyntaxError),
        (with_code(core.RequestTimeout("x"), 1 << 24 | 14), errors.CassErrorLibRequestTimedOut),
        (with_code(core.ConnectionLost("x"), 1 << 24 | 14), errors.CassErrorLibRequestTimedOut),
        (with_code(core.TlsError("x"), 3 << 24 | 5), errors.CassErrorSslIdentityMismatch),
        (with_code(core.ServerError("x"), 0), errors.CassErrorSourceServer),
        (with_code(core.ServerError("x"), 2 << 24), errors.CassErrorServerServerError),
        (with_code(core.ServerError("x"), 2 << 24 | 0x7777), errors.CassErrorSourceServer),
        (core.TlsError("x"), errors.CassErrorSourceSsl),
        (core.SessionClosed("x"), errors.CassErrorSourceLib),
        (core.Error("x"), errors.CassException),
    ],
)
def test_the_class_follows_from_code_or_source(error, expected):
    error.query = "SELECT"
    made = errors.translated(error)
    assert type(made) is expected
    assert made.__cause__ is error
    assert made.query == "SELECT"
    assert str(made) == str(error)
