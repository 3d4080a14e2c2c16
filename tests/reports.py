"""The report of a bulk call that was ended."""

from __future__ import annotations

import acsylla_like


def report_of(error: BaseException) -> acsylla_like.BulkReport:
    """What the error carries. On CPython 3.10 whoever awaits a cancelled task gets another CancelledError, with the task's own as
    its context."""
    found: BaseException | None = error
    while found is not None and not hasattr(found, "report"):
        found = found.__context__
    assert found is not None, "no report"
    report: acsylla_like.BulkReport = found.report  # type: ignore[attr-defined]
    return report
