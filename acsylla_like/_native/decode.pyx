# The protocol's bytes to Python values, one function per CQL type; no read leaves the bytes that were given.

from cpython.datetime cimport PyDateTimeAPI, date_new, datetime_new
from cpython.object cimport PyTypeObject, Py_TYPE
from libc.string cimport memcpy

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)
    object PyUnicode_DecodeASCII(const char* data, Py_ssize_t size, const char* errors)
    object PyBytes_FromStringAndSize(const char* data, Py_ssize_t size)
    object PyType_GenericAlloc(PyTypeObject* cls, Py_ssize_t n)
    object PyLong_FromLongLong(long long number)
    object _PyLong_FromByteArray(const unsigned char* data, size_t size, int is_little_endian, int is_signed)
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 greatest)

cdef object _safety_unknown = uuid.SafeUUID.unknown
cdef object _uuid_int = uuid.UUID.__dict__["int"]
cdef object _uuid_is_safe = uuid.UUID.__dict__["is_safe"]
cdef object _time_nanosecond = Time.__dict__["_nanosecond"]
# Exact whatever the thread's own context says; its traps stay off.
cdef object _exact_context = decimal.Context(prec=decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX,
                                             capitals=1, clamp=0, flags=[], traps=[])


cdef inline int _set_slot(object slot, object owner, object value) except -1:
    """Sets what a class of Python code keeps in `__slots__`, past its __setattr__ and past a look-up by name."""
    return Py_TYPE(slot).tp_descr_set(slot, owner, value)


cdef object decode_cell(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    """The value of a column from its bytes."""
    if cql_type.decode_items_function == NULL:
        return cql_type.decode_function(cql_type, data, size)
    if size < 4:
        return _unfit(cql_type, size)
    return cql_type.decode_items_function(cql_type, load[int32_t](data), data + 4, size - 4)


cdef object decode_column(CqlType cql_type, const CassValue* value):
    """The value of a column of a row; None for null."""
    cdef const uint8_t* data = NULL
    cdef size_t size = 0
    if driver.cass_value_get_bytes(value, &data, &size) != CASS_OK:
        return None
    if cql_type.decode_items_function == NULL:
        return cql_type.decode_function(cql_type, data, size)
    # The driver has read the count: the bytes start after it.
    return cql_type.decode_items_function(cql_type, <Py_ssize_t>driver.cass_value_item_count(value), data, size)


cdef object _unfit(CqlType cql_type, Py_ssize_t size):
    """None for the empty value that old servers allow for any type; otherwise the bytes do not fit the type."""
    if size == 0:
        return None
    raise _errors.DecodeError(f"{size} bytes are no value of type {cql_type.name}")


# ---- numbers

cdef object _decode_tinyint(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return PyLong_FromLongLong(load[int8_t](data)) if size == 1 else _unfit(cql_type, size)


cdef object _decode_smallint(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return PyLong_FromLongLong(load[int16_t](data)) if size == 2 else _unfit(cql_type, size)


cdef object _decode_int(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return PyLong_FromLongLong(load[int32_t](data)) if size == 4 else _unfit(cql_type, size)


cdef object _decode_bigint(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return PyLong_FromLongLong(load[int64_t](data)) if size == 8 else _unfit(cql_type, size)


cdef object _decode_float(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return <double>load[float](data) if size == 4 else _unfit(cql_type, size)


cdef object _decode_double(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return load[double](data) if size == 8 else _unfit(cql_type, size)


cdef object _decode_boolean(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return data[0] != 0 if size == 1 else _unfit(cql_type, size)


cdef object _varint(const uint8_t* data, Py_ssize_t size):
    cdef int64_t number
    cdef Py_ssize_t i
    if size > 8:
        return int.from_bytes(PyBytes_FromStringAndSize(<const char*>data, size), "big", signed=True)
    number = <int8_t>data[0]
    for i in range(1, size):
        number = <int64_t>(<uint64_t>number << 8 | data[i])
    return PyLong_FromLongLong(number)


cdef object _decode_varint(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return _varint(data, size) if size > 0 else None


cdef object _decode_decimal(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef int64_t scale
    if size < 5:
        return _unfit(cql_type, size)
    scale = load[int32_t](data)
    number = _Decimal(_varint(data + 4, size - 4))
    return number if scale == 0 else number.scaleb(-scale, _exact_context)


# ---- text, bytes, identifiers

cdef object _decode_text(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    if size > 1 and all_ascii(data, size):  # shorter ones the interpreter has already
        text = PyUnicode_New(size, 127)
        memcpy(<void*>PyUnicode_1BYTE_DATA(text), data, size)
        return text
    return _decode_any_text(cql_type, data, size)


cdef object _decode_any_text(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    try:
        return PyUnicode_DecodeUTF8(<const char*>data, size, NULL)
    except UnicodeDecodeError as error:
        raise _errors.DecodeError(f"{size} bytes of type {cql_type.name} are not valid UTF-8 at byte {error.start}") from None


cdef object _decode_ascii(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    try:
        return PyUnicode_DecodeASCII(<const char*>data, size, NULL)
    except UnicodeDecodeError as error:
        raise _errors.DecodeError(f"{size} bytes of type {cql_type.name} are not ASCII at byte {error.start}") from None


cdef object _decode_blob(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return PyBytes_FromStringAndSize(<const char*>data, size)


cdef object _decode_uuid(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    # uuid.UUID is immutable in Python only: its constructor costs ten times as much as the two slots it fills.
    if size != 16:
        return _unfit(cql_type, size)
    made = PyType_GenericAlloc(<PyTypeObject*>_UUID, 0)
    _set_slot(_uuid_int, made, _PyLong_FromByteArray(data, 16, 0, 0))
    _set_slot(_uuid_is_safe, made, _safety_unknown)
    return made


cdef object _decode_inet(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    if size == 4:
        return _IPv4Address(PyBytes_FromStringAndSize(<const char*>data, 4))
    if size == 16:
        return _IPv6Address(PyBytes_FromStringAndSize(<const char*>data, 16))
    return _unfit(cql_type, size)


# ---- time

cdef struct _Civil:
    int year
    int month
    int day


cdef _Civil _civil_from_days(int64_t days) noexcept:
    """The inverse of _days_from_civil, for the years that Python has."""
    cdef _Civil civil
    cdef int64_t era, day_of_era, year_of_era, day_of_year, month
    days += 719468  # from 0000-03-01
    era = days // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    civil.day = <int>(day_of_year - (153 * month + 2) // 5 + 1)
    civil.month = <int>(month + 3 if month < 10 else month - 9)
    civil.year = <int>(year_of_era + era * 400 + (civil.month <= 2))
    return civil


cdef object _decode_timestamp(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef int64_t milliseconds, days
    cdef int rest, second
    cdef _Civil civil
    if size != 8:
        return _unfit(cql_type, size)
    milliseconds = load[int64_t](data)
    if not -62_135_596_800_000 <= milliseconds <= 253_402_300_799_999:  # years 1 to 9999
        return _Timestamp(milliseconds)
    days = milliseconds // 86_400_000
    rest = <int>(milliseconds - days * 86_400_000)
    second = rest // 1000
    civil = _civil_from_days(days)
    return datetime_new(civil.year, civil.month, civil.day, second // 3600, second // 60 % 60, second % 60,
                        rest % 1000 * 1000, _utc)


cdef object _decode_date(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef int64_t days
    cdef _Civil civil
    if size != 4:
        return _unfit(cql_type, size)
    days = <int64_t>load[uint32_t](data) - 0x80000000
    if not -719_162 <= days <= 2_932_896:  # years 1 to 9999
        return _Date(days)
    civil = _civil_from_days(days)
    return date_new(civil.year, civil.month, civil.day)


cdef object _decode_time(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef int64_t nanoseconds
    cdef int second, nanosecond
    if size != 8:
        return _unfit(cql_type, size)
    nanoseconds = load[int64_t](data)
    if not 0 <= nanoseconds < _nanoseconds_per_day:
        raise _errors.DecodeError(f"{nanoseconds} nanoseconds are no value of type {cql_type.name}")
    second = <int>(nanoseconds // 1_000_000_000)
    nanosecond = <int>(nanoseconds % 1_000_000_000)
    made = PyDateTimeAPI.Time_FromTime(second // 3600, second // 60 % 60, second % 60, nanosecond // 1000, None,
                                       <PyTypeObject*>_Time)
    _set_slot(_time_nanosecond, made, nanosecond)
    return made


cdef object _decode_duration(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef const uint8_t* end = data + size
    cdef int64_t months = 0, days = 0, nanoseconds = 0
    if size == 0:
        return None
    data = read_vint(data, end, &months)
    if data != NULL:
        data = read_vint(data, end, &days)
    if data != NULL:
        data = read_vint(data, end, &nanoseconds)
    if data != end:
        return _unfit(cql_type, size)
    try:
        return _Duration(months, days, nanoseconds)
    except (ValueError, OverflowError) as error:
        raise _errors.DecodeError(f"{size} bytes are no value of type {cql_type.name}: {error}") from None
