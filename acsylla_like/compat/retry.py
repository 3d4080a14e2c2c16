"""The two retry policies that acsylla's users can name: the driver's default, decided here, and none."""

from __future__ import annotations

import logging

from acsylla_like import errors
from acsylla_like.retry import NO_RETRIES, RETHROW, FailedRequest, Retry, RetryPolicy, Verdict

__all__ = ["retry_policy"]

_logger = logging.getLogger("acsylla")


class _DriverDefault(RetryPolicy):
    """As the C++ driver's own: once, and at once, where nothing can be applied twice.

    A node that has enough answers to a read but not the data is asked again, so is one that could not write the batch log; when
    too few replicas are alive it is another node's turn, and for idempotent requests also when a node has trouble of its own.
    """

    def __init__(self, is_logged: bool) -> None:
        super().__init__(retries=3, only_idempotent=False, first_pause=0.0, longest_pause=0.0, budget=None)
        self._is_logged = is_logged

    def decide(self, error: errors.Error, request: FailedRequest) -> Retry | Verdict:
        decision = self._decision(error, request)
        if self._is_logged:
            what = f"is sent again ({decision.host} node)" if isinstance(decision, Retry) else "is not sent again"
            _logger.info("a request that failed %s: %s", what, error)
        return decision

    def _decision(self, error: errors.Error, request: FailedRequest) -> Retry | Verdict:
        is_first = not request.attempts
        if isinstance(error, errors.ReadTimeout):
            has_answers = error.received is not None and error.required is not None and error.received >= error.required
            return Retry("same") if is_first and has_answers and not error.data_present else RETHROW
        if isinstance(error, errors.WriteTimeout):
            return Retry("same") if is_first and error.write_type == "BATCH_LOG" else RETHROW
        if isinstance(error, errors.Unavailable):
            return Retry("next") if is_first else RETHROW
        if isinstance(error, errors.IsBootstrapping):
            return Retry("next")
        if type(error) is errors.ServerError or isinstance(error, (errors.Overloaded, errors.TruncateError)):
            return Retry("next") if request.idempotent else RETHROW
        return RETHROW


_DEFAULT = _DriverDefault(False)
_DEFAULT_LOGGED = _DriverDefault(True)


def retry_policy(name: str, is_logged: bool = False) -> RetryPolicy:
    """By acsylla's name of it. Raises ValueError for another."""
    if name == "fallthrough":
        return NO_RETRIES
    if name == "default":
        return _DEFAULT_LOGGED if is_logged else _DEFAULT
    raise ValueError(f"Retry policy must be 'default' or 'fallthrough', not {name!r}")
