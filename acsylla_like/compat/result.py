"""Results and rows as acsylla has them: rows iterate over (name, value) pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from acsylla_like import _native
from acsylla_like.compat.errors import ColumnNotFound, translated
from acsylla_like.compat.values import reader

if TYPE_CHECKING:
    from acsylla_like._native import CqlType

__all__ = ["Result", "Row", "rows_like"]


class Row(_native.NamedRow):
    """One row of a result."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Row({', '.join(f'{name}={value!r}' for name, value in self)})"

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return zip(self._names, self._values, strict=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return Row, (self._names, self._values)

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._names)

    def values(self) -> Iterator[Any]:
        """The values in the order of the columns."""
        return iter(self._values)

    def as_dict(self) -> dict[str, Any]:
        """By name; of columns that share one, the last."""
        return dict(self)

    def as_named_tuple(self) -> tuple[Any, ...]:
        """The (name, value) pairs."""
        return tuple(self)

    def column_count(self) -> int:
        """How many columns there are."""
        return len(self._values)

    def column_value(self, name: str) -> Any:
        """The value of a column. Raises ColumnNotFound."""
        if name in self._names:
            return self._values[self._names.index(name)]
        # CQL does not tell capitals apart in names without quotes.
        for index, known in enumerate(self._names):
            if known.lower() == name.lower():
                return self._values[index]
        raise ColumnNotFound(name)

    def column_value_by_index(self, index: int) -> Any:
        """The value of a column. Raises ColumnNotFound."""
        try:
            return self._values[index]
        except IndexError:
            raise ColumnNotFound(f"ColumnNotFound with index {index}") from None

    def __getitem__(self, name: int | slice | str) -> Any:
        if isinstance(name, slice):
            return self._values[name]
        return self.column_value_by_index(name) if isinstance(name, int) else self.column_value(name)


def _rows_of_columns(names: tuple[str, ...], types: tuple[CqlType, ...], native_types: bool) -> _native.NamedRows[Row]:
    return _native.NamedRows(Row, names, [reader(cql_type, native_types) for cql_type in types], translated)


def rows_like(result: _native.Result, native_types: bool) -> _native.NamedRows[Row]:
    """What makes acsylla's rows of a result's."""
    return _native.named_rows(result, native_types, _rows_of_columns)


class Result(_native.NamedResult):
    """What a statement gave: its rows, or one page of them."""

    __slots__ = ()

    _rows_of_columns = staticmethod(_rows_of_columns)

    @property
    def _names(self) -> tuple[str, ...]:
        return self._result._shape[0]

    def __repr__(self) -> str:
        return f"<Result {len(self)} rows of {', '.join(self._names)}>"

    def count(self) -> int:
        """How many rows there are."""
        return len(self._result)

    def column_count(self) -> int:
        """How many columns there are."""
        return len(self._names)

    def columns(self) -> Iterator[str]:
        """The names of the columns."""
        return iter(self._names)

    def columns_names(self) -> list[str]:
        """The names of the columns."""
        return list(self._names)

    def has_more_pages(self) -> bool:
        """Whether rows are left on the server."""
        return self._result.has_more_pages

    def page_state(self) -> bytes:
        """From where on they are. Raises RuntimeError when none are left."""
        state: bytes | None = self._result.paging_state
        if state is None:
            raise RuntimeError("this was the last page: there is no page state")
        return state
