"""Signature Version 4, with which Amazon Keyspaces authenticates: a nonce from the server is signed by a key that stays here.

What is signed is what Amazon's public plugins for other drivers sign: a PUT of /authenticate with the nonce's hash as its body.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import inspect
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

from acsylla_like.authentication import Authenticator, AuthExchange, Mistake

__all__ = ["AwsCredentials", "SigV4Authenticator"]

_SERVICE = "cassandra"
_NONCE = re.compile(rb"nonce=([0-9a-zA-Z]+)")


class AwsCredentials(NamedTuple):
    """An access key, its secret, and the token of credentials that end."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"AwsCredentials(access_key={self.access_key!r}, …)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("AwsCredentials are secrets, and are not pickled: make them where they are used")


class SigV4Authenticator(Authenticator):
    """Amazon Keyspaces: the option `authenticator`, together with `ssl=Tls(verify=…)` and port 9142.

    `region` is by default that of AWS_REGION or AWS_DEFAULT_REGION. `credentials` returns them, and may be `async def`: an
    AwsCredentials, or whatever has `access_key`, `secret_key` and `token`, as botocore's. By default they are those of
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. It is called when a session connects, and for later
    connections when the last are older than `renew_after`. Raises ValueError without a region, TypeError.
    """

    def __init__(self, region: str | None = None, credentials: Callable[[], Any | Awaitable[Any]] | None = None) -> None:
        region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            raise ValueError("region is not given, and neither AWS_REGION nor AWS_DEFAULT_REGION is set")
        if not isinstance(region, str):
            raise TypeError(f"region must be a str, not {type(region).__name__}")
        if credentials is not None and not callable(credentials):
            raise TypeError(f"credentials must be a function, not {type(credentials).__name__}")
        self.region = region
        self._credentials = credentials or _of_the_environment
        self._current: AwsCredentials | None = None

    async def initial_response(self) -> bytes:
        given = self._credentials()
        if inspect.isawaitable(given):
            given = await given
        self._current = _checked(given)
        return b"SigV4\0\0"

    def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        nonce = _NONCE.search(token)
        if nonce is None:
            raise Mistake("the server's challenge has no nonce, as Amazon Keyspaces sends one")
        if self._current is None:
            raise Mistake("there are no credentials yet")
        return signed_response(nonce[1], self.region, self._current, datetime.datetime.now(datetime.timezone.utc))


def signed_response(nonce: bytes, region: str, credentials: AwsCredentials, now: datetime.datetime) -> bytes:
    """The answer to a challenge; `now` in UTC."""
    time = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
    day = f"{now:%Y%m%d}"
    scope = f"{day}/{region}/{_SERVICE}/aws4_request"
    query = "&".join(
        f"X-Amz-{name}={quote(value, safe='')}"
        for name, value in (
            ("Algorithm", "AWS4-HMAC-SHA256"),
            ("Credential", f"{credentials.access_key}/{scope}"),
            ("Date", time),
            ("Expires", "900"),
        )
    )
    request = "\n".join(("PUT", "/authenticate", query, f"host:{_SERVICE}", "", "host", hashlib.sha256(nonce).hexdigest()))
    to_sign = "\n".join(("AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, _SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    token = f",session_token={credentials.token}" if credentials.token else ""
    return f"signature={signature},access_key={credentials.access_key},amzdate={time}{token}".encode()


def _of_the_environment() -> AwsCredentials:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    lacking = [name for name in names if not os.environ.get(name)]
    if lacking:
        raise Mistake(f"{' and '.join(lacking)} not set, and no function for credentials is given")
    access_key, secret_key = (os.environ[name] for name in names)
    return AwsCredentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN"))


def _checked(given: object) -> AwsCredentials:
    if isinstance(given, tuple) and not isinstance(given, AwsCredentials) and len(given) in (2, 3):
        given = AwsCredentials(given[0], given[1], given[2] if len(given) == 3 else None)
    found = AwsCredentials(*(getattr(given, name, None) for name in ("access_key", "secret_key", "token")))  # type: ignore[arg-type]
    if not isinstance(found.access_key, str) or not isinstance(found.secret_key, str) or not isinstance(found.token, str | None):
        raise Mistake("credentials must return an access key, its secret and perhaps a token, each a str: AwsCredentials(…)")
    if not found.access_key or not found.secret_key or "," in found.access_key + (found.token or ""):
        raise Mistake("an access key and its secret are not empty, and no comma is in a key or a token")
    return found
