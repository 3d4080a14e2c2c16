"""Python values for the CQL types that the standard library has no exact counterpart for."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, final, overload

__all__ = ["UNSET", "Date", "Duration", "FrozenMap", "Time", "Timestamp", "Unset"]

Key = TypeVar("Key")
Value = TypeVar("Value", covariant=True)

_NANOSECONDS_PER_DAY: Final = 86_400_000_000_000
_ISO_TIME: Final = re.compile(r"T?(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?", re.ASCII)
_DURATION_UNITS: Final = (
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
)


@final
class Unset:
    """The type of `UNSET`; it has no other value."""

    __slots__ = ()
    _only: Unset | None = None

    def __new__(cls) -> Unset:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""Bound in place of a value, leaves the column as it is on the server; `None` writes null."""


def _check_range(name: str, value: int, bits: int) -> None:
    if type(value) is not int:
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if not -1 << (bits - 1) <= value < 1 << (bits - 1):
        raise OverflowError(f"{name}: does not fit {bits} bits")


@dataclass(frozen=True, slots=True)
class Duration:
    """A CQL duration: months, days and nanoseconds, none of which can be expressed in another.

    All three are zero or positive, or zero or negative, as CQL demands. Durations have no order.

    Raises ValueError when the signs differ, OverflowError when months or days do not fit 32 bits or nanoseconds 64,
    TypeError for anything but int.
    """

    months: int = 0
    days: int = 0
    nanoseconds: int = 0

    def __post_init__(self) -> None:
        _check_range("months", self.months, 32)
        _check_range("days", self.days, 32)
        _check_range("nanoseconds", self.nanoseconds, 64)
        parts = (self.months, self.days, self.nanoseconds)
        if min(parts) < 0 < max(parts):
            raise ValueError(f"months, days and nanoseconds must have the same sign, got {parts}")

    @classmethod
    def from_timedelta(cls, value: datetime.timedelta) -> Duration:
        """The duration of whole days and nanoseconds that a timedelta stands for."""
        sign = -1 if value.days < 0 else 1
        length = abs(value)
        return cls(0, sign * length.days, sign * (length.seconds * 1_000_000_000 + length.microseconds * 1_000))

    def __str__(self) -> str:
        """The CQL literal: `1y2mo3d4h5m6s7ms8us9ns`, a minus sign before it when negative."""
        years, months = divmod(abs(self.months), 12)
        text = "".join(f"{n}{unit}" for n, unit in ((years, "y"), (months, "mo"), (abs(self.days), "d")) if n)
        rest = abs(self.nanoseconds)
        for unit, length in _DURATION_UNITS:
            n, rest = divmod(rest, length)
            if n:
                text += f"{n}{unit}"
        sign = "-" if min(self.months, self.days, self.nanoseconds) < 0 else ""
        return sign + text if text else "0ns"


class Time(datetime.time):
    """A time of day to the nanosecond: a `datetime.time` without time zone whose `nanosecond` is exact.

    `nanosecond` counts within the second, so `microsecond` is `nanosecond // 1000`. Equal to, and hashed and ordered
    like, the `datetime.time` of the same instant when there is one.

    Raises ValueError when a part is out of range, or when `microsecond` and `nanosecond` are both given.
    """

    __slots__ = ("_nanosecond",)
    _nanosecond: int

    def __new__(cls, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0, *, nanosecond: int | None = None) -> Time:
        if nanosecond is None:
            nanosecond = microsecond * 1_000
        elif microsecond:
            raise ValueError("microsecond and nanosecond cannot both be given")
        elif not 0 <= nanosecond < 1_000_000_000:
            raise ValueError(f"nanosecond must be in 0..999999999, got {nanosecond}")
        self = super().__new__(cls, hour, minute, second, nanosecond // 1_000)
        object.__setattr__(self, "_nanosecond", nanosecond)
        return self

    @classmethod
    def from_nanosecond_of_day(cls, nanoseconds: int) -> Time:
        """The time that many nanoseconds after midnight."""
        if not 0 <= nanoseconds < _NANOSECONDS_PER_DAY:
            raise ValueError(f"nanoseconds must be in 0..{_NANOSECONDS_PER_DAY - 1}, got {nanoseconds}")
        seconds, nanosecond = divmod(nanoseconds, 1_000_000_000)
        return cls(seconds // 3600, seconds // 60 % 60, seconds % 60, nanosecond=nanosecond)

    @classmethod
    def from_time(cls, value: datetime.time) -> Time:
        """The same time of day; a time zone is refused with ValueError."""
        if isinstance(value, Time):
            return value
        if value.tzinfo is not None:
            raise ValueError("a CQL time has no time zone")
        return cls(value.hour, value.minute, value.second, value.microsecond)

    @classmethod
    def fromisoformat(cls, time_string: str) -> Time:
        """The time written as `HH:MM[:SS[.fffffffff]]`, one to nine digits of fraction."""
        match = _ISO_TIME.fullmatch(time_string)
        if match is None:
            raise ValueError(f"invalid time: {time_string!r}")
        hour, minute, second, fraction = match.groups(default="0")
        return cls(int(hour), int(minute), int(second), nanosecond=int(fraction.ljust(9, "0")))

    @property
    def nanosecond(self) -> int:
        """Nanoseconds within the second, 0 to 999,999,999."""
        return self._nanosecond

    @property
    def nanosecond_of_day(self) -> int:
        """Nanoseconds since midnight."""
        return (self.hour * 3600 + self.minute * 60 + self.second) * 1_000_000_000 + self._nanosecond

    # typeshed declares replace with all of datetime.time's parameters; a CQL time has no tzinfo and no fold.
    def replace(  # type: ignore[override]
        self,
        hour: int | None = None,
        minute: int | None = None,
        second: int | None = None,
        microsecond: int | None = None,
        *,
        nanosecond: int | None = None,
    ) -> Time:
        """The same time with the given parts replaced; a new `microsecond` also clears the nanoseconds below it."""
        if microsecond is None and nanosecond is None:
            nanosecond = self._nanosecond
        return type(self)(
            self.hour if hour is None else hour,
            self.minute if minute is None else minute,
            self.second if second is None else second,
            microsecond or 0,
            nanosecond=nanosecond,
        )

    __replace__ = replace

    def isoformat(self, timespec: str = "auto") -> str:
        """`HH:MM:SS`, with nine digits of fraction when it is not zero; `timespec` may also be "nanoseconds"."""
        if timespec == "nanoseconds" or (timespec == "auto" and self._nanosecond):
            return f"{super().isoformat('seconds')}.{self._nanosecond:09d}"
        return super().isoformat(timespec)

    def __str__(self) -> str:
        return self.isoformat()

    def __repr__(self) -> str:
        fraction = f", nanosecond={self._nanosecond}" if self._nanosecond else ""
        return f"{type(self).__name__}({self.hour}, {self.minute}, {self.second}{fraction})"

    def _below_microsecond(self) -> int:
        return self._nanosecond % 1_000

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, datetime.time):
            return NotImplemented
        below = other._below_microsecond() if isinstance(other, Time) else 0
        return super().__eq__(other) and self._below_microsecond() == below

    # datetime.time has one of its own, so that it would not be derived from __eq__.
    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        below = self._below_microsecond()
        return hash((super().__hash__(), below)) if below else super().__hash__()

    def __lt__(self, other: datetime.time) -> bool:
        if not isinstance(other, datetime.time):
            return NotImplemented
        below = other._below_microsecond() if isinstance(other, Time) else 0
        return super().__lt__(other) or (super().__eq__(other) and self._below_microsecond() < below)

    def __le__(self, other: datetime.time) -> bool:
        if not isinstance(other, datetime.time):
            return NotImplemented
        return self < other or self == other

    def __gt__(self, other: datetime.time) -> bool:
        if not isinstance(other, datetime.time):
            return NotImplemented
        return not self <= other

    def __ge__(self, other: datetime.time) -> bool:
        if not isinstance(other, datetime.time):
            return NotImplemented
        return not self < other

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_time, (type(self), self.hour, self.minute, self.second, self._nanosecond)

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return self.__reduce__()


def _restore_time(cls: type[Time], hour: int, minute: int, second: int, nanosecond: int) -> Time:
    return cls(hour, minute, second, nanosecond=nanosecond)


Time.min = Time()
Time.max = Time(23, 59, 59, nanosecond=999_999_999)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A CQL timestamp, in milliseconds since 1970 UTC, that `datetime` cannot hold: before year 1 or after year 9999.

    Binds back unchanged. Raises OverflowError when it does not fit 64 bits, TypeError for anything but int.
    """

    milliseconds: int

    def __post_init__(self) -> None:
        _check_range("milliseconds", self.milliseconds, 64)


@dataclass(frozen=True, slots=True, order=True)
class Date:
    """A CQL date, in days since 1970-01-01, that `datetime.date` cannot hold: before year 1 or after year 9999.

    Binds back unchanged. Raises OverflowError when it does not fit 32 bits, TypeError for anything but int.
    """

    days: int

    def __post_init__(self) -> None:
        _check_range("days", self.days, 32)


class FrozenMap(Mapping[Key, Value]):
    """An immutable, hashable mapping: what a map or user type becomes as a set member or map key.

    Equal to any mapping with the same items.
    """

    __slots__ = ("_hash", "_items")
    _items: dict[Key, Value]
    _hash: int | None

    @overload
    def __init__(self, items: Mapping[Key, Value], /) -> None: ...
    @overload
    def __init__(self, items: list[tuple[Key, Value]] = ..., /) -> None: ...
    def __init__(self, items: Mapping[Key, Value] | list[tuple[Key, Value]] = [], /) -> None:  # noqa: B006
        self._items = dict(items)
        self._hash = None

    def __getitem__(self, key: Key) -> Value:
        return self._items[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._items,)
