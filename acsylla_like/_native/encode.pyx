# Python values to the protocol's bytes, one function per CQL type; nothing is rounded or cut in silence.

import decimal
import ipaddress
import reprlib
import uuid

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.datetime cimport (PyDate_Check, PyDateTime_Check, PyDateTime_CheckExact, PyDelta_Check, PyTime_Check,
                               date_day, date_month, date_year, datetime_day, datetime_hour, datetime_microsecond,
                               datetime_minute, datetime_month, datetime_second, datetime_tzinfo, datetime_year,
                               get_utc, import_datetime, time_hour, time_microsecond, time_minute, time_second,
                               time_tzinfo, timedelta_days, timedelta_microseconds, timedelta_seconds)
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_AsUnsignedLongLong, PyLong_AsUnsignedLongLongMask
from libc.math cimport isfinite, isinf

from acsylla_like.types import Date, Duration, Time, Timestamp

cdef extern from "<stdint.h>":
    const int32_t INT32_MIN, INT32_MAX
    const int64_t INT64_MIN, INT64_MAX

cdef extern from "Python.h":
    bint PyIndex_Check(object value)
    bint PyBool_Check(object value)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    object PyNumber_Index(object value)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const void* PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

import_datetime()

cdef object _utc = get_utc()
cdef object _UUID = uuid.UUID
cdef object _IPv4Address = ipaddress.IPv4Address
cdef object _IPv6Address = ipaddress.IPv6Address
cdef object _Decimal = decimal.Decimal
cdef object _Duration = Duration
cdef object _Time = Time
cdef object _Timestamp = Timestamp
cdef object _Date = Date

cdef int64_t _nanoseconds_per_day = 86_400_000_000_000


# ---- errors

cdef object _repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
_repr.maxlevel = 3


cdef str _short(object value):
    """A repr of bounded length, or an empty string when the value cannot be shown."""
    cdef str text
    try:
        if isinstance(value, int) and not -(1 << 400) < value < 1 << 400:
            # Python refuses to print what has more than 4,300 digits.
            return f"of {int.bit_length(value)} bits"
        if isinstance(value, (str, bytes, bytearray)) and len(value) > 60:
            return f"{value[:40]!r}... of length {len(value)}"
        text = _repr.repr(value)
    except Exception:
        return ""
    return text if len(text) <= 120 else text[:117] + "..."


cdef str _got(object value):
    """The type and the repr of a value, for the text of an error."""
    cdef str name = type(value).__name__
    cdef str text = _short(value)
    return text if text.startswith(f"{name}(") else f"{name} {text}".rstrip()


cdef object _refused(str expected, object value):
    return TypeError(f"expected {expected}, got {_got(value)}")


cdef object _same_class(object error, str text):
    """A plain error of the class of `error`, since some classes (UnicodeEncodeError) are not made from a text."""
    if isinstance(error, OverflowError):
        return OverflowError(text)
    return TypeError(text) if isinstance(error, TypeError) else ValueError(text)


cdef object _within(str place, object error):
    return _same_class(error, f"{place}: {error}")


cdef object bind_error(str column, CqlType cql_type, object value, object error):
    """The error to raise for a value that `encode_function` refused: it names column, CQL type, Python type and value.

    TypeError, ValueError or OverflowError as `error` is, with `.column`; anything else, which the value's own code raised, is returned
    unchanged.
    """
    if not isinstance(error, (TypeError, ValueError, OverflowError)):
        return error
    cdef str got = _got(value)
    cdef str text = f'column "{column}" ({cql_type.name}): {error}'
    made = _same_class(error, text if got in text else f"{text}, in {got}")
    made.column = column
    return made


# ---- numbers

cdef object _index(object value, str expected):
    """The int that `value` is; a bool is not taken for one, since it would come back as an int."""
    # numpy's bool is called bool_ before numpy 2 and offers an index, with a warning, before 2.3.
    if not PyBool_Check(value) and type(value).__name__ not in ("bool", "bool_") and PyIndex_Check(value):
        try:
            return PyNumber_Index(value)
        except TypeError:
            pass
    raise _refused(expected, value)


cdef int64_t _integer(object value, int64_t low, int64_t high) except? -1:
    cdef int overflow = 0
    cdef int64_t number
    if type(value) is not int:
        return _integer(_index(value, "an int"), low, high)
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or number < low or number > high:
        raise OverflowError(f"expected an int from {low} to {high}, got {_got(value)}")
    return number


cdef int _encode_tinyint(CqlType cql_type, object value, Buffer& out) except -1:
    out.put_int8(<int8_t>_integer(value, -128, 127))
    return 0


cdef int _encode_smallint(CqlType cql_type, object value, Buffer& out) except -1:
    out.put_int16(<int16_t>_integer(value, -32768, 32767))
    return 0


cdef int _encode_int(CqlType cql_type, object value, Buffer& out) except -1:
    out.put_int32(<int32_t>_integer(value, INT32_MIN, INT32_MAX))
    return 0


cdef int _encode_bigint(CqlType cql_type, object value, Buffer& out) except -1:
    out.put_int64(_integer(value, INT64_MIN, INT64_MAX))
    return 0


cdef bint _is_numpy(object value):
    # Its floats and bools are the only ones to be taken for Python's that neither inherit from them nor have __index__.
    return type(value).__module__ == "numpy"


cdef double _float(object value) except? -1:
    if isinstance(value, float):
        return value
    if _is_numpy(value) and hasattr(value, "__float__") and getattr(value, "ndim", 1) == 0:
        if type(value).__name__.startswith(("float", "half", "single", "double")):
            return float(value)
    value = _index(value, "a float")
    try:
        number = float(value)
    except OverflowError:
        number = None
    if number is None or int(number) != value:
        raise ValueError(f"expected a float, got an int that none is equal to: {_got(value)}")
    return number


cdef int _encode_double(CqlType cql_type, object value, Buffer& out) except -1:
    out.put_double(_float(value))
    return 0


cdef int _encode_float(CqlType cql_type, object value, Buffer& out) except -1:
    cdef double number = _float(value)
    cdef float single = <float>number
    if isinf(<double>single) and isfinite(number):
        raise OverflowError(f"expected a float of 32 bits, got {_got(value)}")
    if not isinstance(value, float) and <double>single != number and not _is_numpy(value):
        raise ValueError(f"expected a float of 32 bits, got an int that none is equal to: {_got(value)}")
    out.put_float(single)
    return 0


cdef int _encode_boolean(CqlType cql_type, object value, Buffer& out) except -1:
    if not PyBool_Check(value) and not (_is_numpy(value) and type(value).__name__ in ("bool", "bool_")):
        raise _refused("a bool", value)
    out.put_int8(1 if value else 0)
    return 0


cdef int _put_varint(object value, Buffer& out) except -1:
    """The shortest two's complement, as the server's BigInteger writes it."""
    cdef int overflow = 0
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    cdef int width = 1
    cdef uint8_t word[8]
    if not overflow:
        while width < 8 and not -(<int64_t>1 << (8 * width - 1)) <= number < <int64_t>1 << (8 * width - 1):
            width += 1
        store[int64_t](word, number)
        out.put_bytes(word + 8 - width, width)
        return 0
    length = int.bit_length(value if value >= 0 else ~value) // 8 + 1
    data = int.to_bytes(value, length, "big", signed=True)
    out.put_bytes(<const char*>data, length)
    return 0


cdef int _encode_varint(CqlType cql_type, object value, Buffer& out) except -1:
    return _put_varint(_index(value, "an int"), out)


cdef int _encode_decimal(CqlType cql_type, object value, Buffer& out) except -1:
    cdef object exponent = 0
    cdef int64_t unscaled = 0
    if isinstance(value, _Decimal):
        # Neither the tuple nor int() looks at the decimal context.
        sign, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            raise ValueError(f"expected a finite Decimal, got {_got(value)}")
        if not INT32_MIN <= -exponent <= INT32_MAX:
            raise OverflowError(f"expected a Decimal whose scale fits 32 bits, got {_got(value)}")
        if len(digits) > 18:
            value = int(_Decimal((sign, digits, 0)))
        else:
            for digit in <tuple>digits:
                unscaled = unscaled * 10 + <int>digit
            value = -unscaled if sign else unscaled
    else:
        value = _index(value, "a Decimal or int")
    out.put_int32(-exponent)
    return _put_varint(value, out)


# ---- text, bytes, identifiers

cdef int _encode_text(CqlType cql_type, object value, Buffer& out) except -1:
    if type(value) is str and PyUnicode_IS_COMPACT_ASCII(value):
        out.put_bytes(PyUnicode_1BYTE_DATA(value), PyUnicode_GET_LENGTH(value))
        return 0
    return _encode_any_text(value, out)


cdef int _encode_any_text(object value, Buffer& out) except -1:
    cdef Py_ssize_t size = 0
    cdef const char* data
    if not isinstance(value, str):
        raise _refused("a str", value)
    try:
        data = PyUnicode_AsUTF8AndSize(value, &size)
    except UnicodeEncodeError as error:
        raise ValueError(f"expected a str that UTF-8 can encode, got a lone surrogate at index {error.start} "
                         f"of {_got(value)}") from None
    out.put_bytes(data, size)
    return 0


cdef int _encode_ascii(CqlType cql_type, object value, Buffer& out) except -1:
    if isinstance(value, str) and not value.isascii():
        raise ValueError(f"expected a str of ASCII characters, got {_got(value)}")
    return _encode_text(cql_type, value, out)


cdef int _encode_blob(CqlType cql_type, object value, Buffer& out) except -1:
    cdef Py_buffer view
    if isinstance(value, bytes):
        out.put_bytes(<const char*>value, len(value))
        return 0
    if not PyObject_CheckBuffer(value):
        raise _refused("bytes or another buffer", value)
    try:
        PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    except (BufferError, ValueError):  # numpy raises the latter
        value = bytes(memoryview(value))
        PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        out.put_bytes(view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef int _put_uuid(object value, bint is_timeuuid, Buffer& out) except -1:
    cdef uint64_t high, low
    if not isinstance(value, _UUID):
        if not isinstance(value, str):
            raise _refused("a uuid.UUID or its text", value)
        try:
            value = _UUID(value)
        except ValueError:
            raise ValueError(f"expected a UUID, got {_got(value)}") from None
    number = value.int
    high = PyLong_AsUnsignedLongLong(number >> 64)
    low = PyLong_AsUnsignedLongLongMask(number)
    if is_timeuuid and high >> 12 & 0xF != 1:
        raise ValueError(f"expected a UUID of version 1, got {_got(value)}")
    out.put_int64(<int64_t>high)
    out.put_int64(<int64_t>low)
    return 0


cdef int _encode_uuid(CqlType cql_type, object value, Buffer& out) except -1:
    return _put_uuid(value, False, out)


cdef int _encode_timeuuid(CqlType cql_type, object value, Buffer& out) except -1:
    return _put_uuid(value, True, out)


cdef int _encode_inet(CqlType cql_type, object value, Buffer& out) except -1:
    cdef object given = value
    if isinstance(value, str):
        try:
            value = ipaddress.ip_address(value)
        except ValueError:
            raise ValueError(f"expected an IP address, got {_got(given)}") from None
    elif not isinstance(value, (_IPv4Address, _IPv6Address)):
        raise _refused("an IPv4Address, IPv6Address or its text", value)
    if getattr(value, "scope_id", None) is not None:
        raise ValueError(f"expected an IP address without scope, got {_got(given)}")
    packed = value.packed
    out.put_bytes(<const char*>packed, len(packed))
    return 0


# ---- time

cdef int64_t _days_from_civil(int64_t year, int month, int day) noexcept:
    """Days from 1970-01-01, by years that begin in March, whose months have regular lengths."""
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469


cdef int64_t _milliseconds(object value) except? -1:
    """Cut towards minus infinity; a datetime without time zone is taken for UTC."""
    cdef int64_t microseconds = (
        (_days_from_civil(datetime_year(value), datetime_month(value), datetime_day(value)) * 86400
         + datetime_hour(value) * 3600 + datetime_minute(value) * 60 + datetime_second(value)) * 1_000_000
        + datetime_microsecond(value))
    zone = datetime_tzinfo(value)
    if zone is not None and zone is not _utc:
        offset = value.utcoffset()
        if offset is not None:
            microseconds -= ((<int64_t>timedelta_days(offset) * 86400 + timedelta_seconds(offset)) * 1_000_000
                             + timedelta_microseconds(offset))
    return microseconds // 1000


cdef int _encode_timestamp(CqlType cql_type, object value, Buffer& out) except -1:
    cdef int64_t milliseconds
    if PyDateTime_Check(value):
        # pandas' NaT is a datetime, of year 1, that is not equal to itself.
        if not PyDateTime_CheckExact(value) and not value == value:
            raise ValueError(f"expected a datetime, got {_got(value)}")
        milliseconds = _milliseconds(value)
    elif isinstance(value, _Timestamp):
        milliseconds = value.milliseconds
    elif PyDate_Check(value) or PyBool_Check(value) or not PyIndex_Check(value):
        raise _refused("a datetime, Timestamp or int of milliseconds", value)
    else:
        milliseconds = _integer(value, INT64_MIN, INT64_MAX)
    out.put_int64(milliseconds)
    return 0


cdef int _encode_date(CqlType cql_type, object value, Buffer& out) except -1:
    cdef int64_t days
    if PyDateTime_Check(value):
        raise _refused("a date without time of day", value)
    if PyDate_Check(value):
        days = _days_from_civil(date_year(value), date_month(value), date_day(value))
    elif isinstance(value, _Date):
        days = value.days
    else:
        raise _refused("a date", value)
    # The server counts days from -2**31, unsigned.
    out.put_int32(<int32_t>(<uint32_t>(days + 0x80000000)))
    return 0


cdef int _encode_time(CqlType cql_type, object value, Buffer& out) except -1:
    cdef int64_t nanoseconds
    if PyTime_Check(value):
        if time_tzinfo(value) is not None:
            raise ValueError(f"expected a time without time zone, got {_got(value)}")
        nanoseconds = (<int64_t>time_hour(value) * 3600 + time_minute(value) * 60 + time_second(value)) * 1_000_000_000
        nanoseconds += value.nanosecond if isinstance(value, _Time) else <int64_t>time_microsecond(value) * 1000
    elif PyBool_Check(value) or not PyIndex_Check(value):
        raise _refused("a time or an int of nanoseconds", value)
    else:
        nanoseconds = _integer(value, 0, _nanoseconds_per_day - 1)
    out.put_int64(nanoseconds)
    return 0


cdef int _encode_duration(CqlType cql_type, object value, Buffer& out) except -1:
    if PyDelta_Check(value):
        if not value == value:  # pandas' NaT
            raise ValueError(f"expected a Duration, got {_got(value)}")
        value = _Duration.from_timedelta(value)
    elif not isinstance(value, _Duration):
        raise _refused("a Duration or timedelta", value)
    out.put_vint(value.months)
    out.put_vint(value.days)
    out.put_vint(value.nanoseconds)
    return 0
