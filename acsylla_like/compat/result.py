"""Results and rows as acsylla has them: rows iterate over (name, value) pairs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from acsylla_like import errors as _core
from acsylla_like.compat.errors import ColumnNotFound, translated
from acsylla_like.compat.values import reader

if TYPE_CHECKING:
    from acsylla_like import _native
    from acsylla_like._native import CqlType

__all__ = ["Result", "Row", "RowMaker", "row_maker"]


class RowMaker:
    """Makes rows of columns of these names and types."""

    def __init__(self, names: tuple[str, ...], types: tuple[CqlType, ...], native_types: bool) -> None:
        self.names = names
        reads = ((index, reader(cql_type, native_types)) for index, cql_type in enumerate(types))
        self._reads = [(index, read) for index, read in reads if read is not None]

    def make(self, row: _native.Row) -> Row:
        """acsylla's row for one of the package's."""
        if not self._reads:
            return Row(self.names, row.as_tuple())
        values = list(row.as_tuple())
        for index, read in self._reads:
            values[index] = read(values[index])
        return Row(self.names, tuple(values))


@functools.lru_cache(256)
def row_maker(shape: tuple[tuple[str, ...], tuple[CqlType, ...]], native_types: bool) -> RowMaker:
    """For the columns of a result."""
    return RowMaker(*shape, native_types)


class Row:
    """One row of a result."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
        self._names = names
        self._values = values

    def __repr__(self) -> str:
        return f"Row({', '.join(f'{name}={value!r}' for name, value in self)})"

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return zip(self._names, self._values, strict=True)

    def __len__(self) -> int:
        return len(self._values)

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

    def as_list(self) -> list[Any]:
        """The values."""
        return list(self._values)

    def as_tuple(self) -> tuple[Any, ...]:
        """The values."""
        return self._values

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

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return self._values[self._names.index(name)]
        raise AttributeError(f"this row has no column {name!r}, but {', '.join(self._names)}")


class Result:
    """What a statement gave: its rows, or one page of them."""

    __slots__ = ("_made", "_result", "native_types", "tracing_id")

    def __init__(self, result: _native.Result, native_types: bool, is_traced: bool) -> None:
        self._result = result
        self._made: RowMaker | None = None
        self.native_types = native_types
        self.tracing_id: str | None = str(result.tracing_id) if is_traced and result.tracing_id is not None else None

    @property
    def _maker(self) -> RowMaker:
        if self._made is None:
            self._made = row_maker(self._result._shape, self.native_types)
        return self._made

    def __repr__(self) -> str:
        return f"<Result {len(self)} rows of {', '.join(self._maker.names)}>"

    def __len__(self) -> int:
        return len(self._result)

    def __iter__(self) -> Iterator[Row]:
        return self.all()

    def count(self) -> int:
        """How many rows there are."""
        return len(self._result)

    def column_count(self) -> int:
        """How many columns there are."""
        return len(self._maker.names)

    def columns(self) -> Iterator[str]:
        """The names of the columns."""
        return iter(self._maker.names)

    def columns_names(self) -> list[str]:
        """The names of the columns."""
        return list(self._maker.names)

    def first(self) -> Row | None:
        """The first row, or None."""
        try:
            return self._maker.make(self._result[0]) if len(self._result) else None
        except _core.Error as error:
            raise translated(error) from error

    def all(self) -> Iterator[Row]:
        """The rows."""
        try:
            yield from map(self._maker.make, self._result)
        except _core.Error as error:
            raise translated(error) from error

    def has_more_pages(self) -> bool:
        """Whether rows are left on the server."""
        return self._result.has_more_pages

    def page_state(self) -> bytes:
        """From where on they are. Raises RuntimeError when none are left."""
        state: bytes | None = self._result.paging_state
        if state is None:
            raise RuntimeError("this was the last page: there is no page state")
        return state
