"""Results as objects of the caller's classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TypeVar

from acsylla_like._native import Column, Result, Row

__all__ = ["Column", "Result", "Row", "into"]

T = TypeVar("T")


def into(result: Result, cls: Callable[..., T]) -> list[T]:
    """The rows as objects of `cls`: a dataclass, a NamedTuple, or anything that takes the columns as keywords.

    Columns are matched by name. Raises TypeError naming the columns that `cls` does not know, or that it needs and the
    result lacks.
    """
    names = [column.name for column in result.columns]
    _check_fields(cls, names)
    return [cls(**dict(zip(names, row, strict=True))) for row in result]


def _check_fields(cls: Callable[..., object], names: list[str]) -> None:
    required: Iterable[str]
    if dataclasses.is_dataclass(cls):
        fields = [field for field in dataclasses.fields(cls) if field.init]
        known = {field.name for field in fields}
        required = (field.name for field in fields if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING)
    elif isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields"):
        known = set(cls._fields)
        required = [name for name in cls._fields if name not in cls._field_defaults]  # type: ignore[attr-defined]
    else:
        return  # its own TypeError says what it takes
    unknown = [name for name in names if name not in known]
    if unknown:
        raise TypeError(f"{getattr(cls, '__name__', cls)} has no field for column {', '.join(map(repr, unknown))}")
    missing = [name for name in required if name not in names]
    if missing:
        raise TypeError(f"the result has no column for field {', '.join(map(repr, missing))} of {cls.__name__}")
