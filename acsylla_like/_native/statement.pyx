# Options of a request, statements, and the binding of values.

import datetime as _datetime
import decimal as _decimal
import ipaddress as _ipaddress
import uuid as _uuid
from collections.abc import Iterator as _Iterator
from collections.abc import Mapping as _Mapping
from copy import copy as _copy

from acsylla_like.policies import Consistency as _Consistency
from acsylla_like.retry import RetryPolicy as _RetryPolicy

cdef object _UNSET
from acsylla_like.types import UNSET as _UNSET

cimport cython
from cpython.ref cimport PyObject
from libc.math cimport INFINITY, NAN, ceil, isinf, isnan

_ATOMS = frozenset((
    type(None), bool, int, float, str, bytes, _uuid.UUID, _decimal.Decimal, _datetime.datetime, _datetime.date, _datetime.time,
    _ipaddress.IPv4Address, _ipaddress.IPv6Address, type(_UNSET),
))

cdef extern from *:
    """
    static inline PyObject** acsylla_like_items_of_tuple(PyObject* values) { return &PyTuple_GET_ITEM(values, 0); }
    static inline PyObject** acsylla_like_items_of_list(PyObject* values) { return ((PyListObject*)values)->ob_item; }
    """
    PyObject** items_of_tuple "acsylla_like_items_of_tuple"(tuple values)
    PyObject** items_of_list "acsylla_like_items_of_list"(list values)

cdef uint64_t _NO_TIMEOUT = 0  # milliseconds, to the driver


cdef uint64_t driver_milliseconds(double seconds) except? 0:
    """A timeout in the driver's unit: rounded up, since 0 means none to it."""
    if isinf(seconds):
        return _NO_TIMEOUT
    return <uint64_t>max(1.0, ceil(seconds * 1000.0))


cdef double timeout_seconds(object value, str name) except? -2:
    """Checks a timeout: a positive number of seconds, or infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    cdef double seconds = value
    if isnan(seconds) or seconds <= 0:
        raise ValueError(f"{name} must be positive (math.inf for none), not {value!r}")
    return seconds


cdef int64_t consistency_code(object value, str name, bint serial) except -2:
    try:
        level = _Consistency[value.upper()] if isinstance(value, str) else _Consistency(value)
    except (KeyError, ValueError):
        raise ValueError(f"{name} {value!r} is none of {', '.join(c.name for c in _Consistency)}") from None
    if serial and level not in (_Consistency.SERIAL, _Consistency.LOCAL_SERIAL):
        raise ValueError(f"{name} must be SERIAL or LOCAL_SERIAL, not {level.name}")
    return int(level)


cdef int positive_int(object value, str name) except -1:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 0 < value <= 0x7FFFFFFF:
        raise ValueError(f"{name} must be between 1 and {0x7FFFFFFF}, not {value}")
    return value


cdef int truth_of(object value, str name) except -2:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return 1 if value else 0


@cython.final
cdef class Options:
    """What may be said of a request beside its text and values; None leaves it to the session."""

    def __cinit__(self):
        self.timeout = NAN
        self.try_timeout = INFINITY
        self.consistency = self.serial_consistency = self.idempotent = self.tracing = -1

    def __init__(self, *, timeout=None, consistency=None, serial_consistency=None, page_size=None, paging_state=None,
                 timestamp=None, idempotent=None, tracing=None, execution_profile=None, custom_payload=None,
                 routing_key=None, host=None, retry_policy=None, Options defaults=None):
        if defaults is not None:
            self._take(defaults)
        if timeout is not None:
            self.timeout = timeout_seconds(timeout, "timeout")
        if consistency is not None:
            self.consistency = consistency_code(consistency, "consistency", False)
        if serial_consistency is not None:
            self.serial_consistency = consistency_code(serial_consistency, "serial_consistency", True)
        if page_size is not None:
            self.page_size = positive_int(page_size, "page_size")
        if paging_state is not None:
            if not isinstance(paging_state, bytes):
                raise TypeError(f"paging_state must be bytes, not {type(paging_state).__name__}")
            self.paging_state = paging_state
        if timestamp is not None:
            if isinstance(timestamp, bool) or not isinstance(timestamp, int):
                raise TypeError(f"timestamp must be an int (microseconds since 1970), not {type(timestamp).__name__}")
            if not -(1 << 63) < timestamp < (1 << 63):
                raise OverflowError(f"timestamp {timestamp} does not fit 64 bits")
            self.timestamp = timestamp
            self.has_timestamp = True
        if idempotent is not None:
            self.idempotent = truth_of(idempotent, "idempotent")
        if tracing is not None:
            self.tracing = truth_of(tracing, "tracing")
        if execution_profile is not None:
            self.execution_profile = _encoded(execution_profile, "execution_profile")
        if custom_payload is not None:
            self._set_custom_payload(custom_payload)
        if routing_key is not None:
            self._set_routing_key(routing_key)
        if host is not None:
            self._set_host(host)
        if retry_policy is not None:
            if not isinstance(retry_policy, _RetryPolicy):
                raise TypeError(f"retry_policy must be a RetryPolicy, not {type(retry_policy).__name__}")
            self.retry_policy = retry_policy
            self.try_timeout = INFINITY if retry_policy.try_timeout is None else retry_policy.try_timeout

    cdef int _take(self, Options other) except -1:
        """Takes what `other` says, and leaves the rest alone."""
        if not isnan(other.timeout):
            self.timeout = other.timeout
        if other.consistency >= 0:
            self.consistency = other.consistency
        if other.serial_consistency >= 0:
            self.serial_consistency = other.serial_consistency
        if other.page_size:
            self.page_size = other.page_size
        if other.paging_state is not None:
            self.paging_state = other.paging_state
        if other.has_timestamp:
            self.timestamp = other.timestamp
            self.has_timestamp = True
        if other.idempotent >= 0:
            self.idempotent = other.idempotent
        if other.tracing >= 0:
            self.tracing = other.tracing
        if other.execution_profile is not None:
            self.execution_profile = other.execution_profile
        if other.custom_payload_items is not None:
            self._set_custom_payload(other.custom_payload_items)
        if other.routing_key is not None:
            self.routing_key = other.routing_key
        if other.host is not None:
            self.host = other.host
            self.host_port = other.host_port
        if other.retry_policy is not None:
            self.retry_policy = other.retry_policy
            self.try_timeout = other.try_timeout
        return 0

    cpdef Options over(self, Options defaults):
        """What this says, and `defaults` where it says nothing."""
        cdef Options merged
        if self is _NO_OPTIONS or self is defaults:
            return defaults
        if defaults is _NO_OPTIONS:
            return self
        merged = Options(defaults=defaults)
        merged._take(self)
        return merged

    cdef int _set_custom_payload(self, object items) except -1:
        cdef const uint8_t[::1] view
        cdef bytes name
        cdef bytes data
        if not isinstance(items, _Mapping):
            raise TypeError(f"custom_payload must map str to bytes, not {type(items).__name__}")
        _ensure_loaded()
        self.custom_payload.reset(driver.cass_custom_payload_new())
        for key, value in items.items():
            if not isinstance(value, (bytes, bytearray, memoryview)):
                raise TypeError(f"custom_payload[{key!r}] must be bytes, not {type(value).__name__}")
            name = _encoded(key, "a name in custom_payload")
            data = bytes(value)
            driver.cass_custom_payload_set_n(self.custom_payload.get(), <const char*>name, len(name),
                                             <const uint8_t*><const char*>data, len(data))
        self.custom_payload_items = dict(items)
        return 0

    cdef int _set_host(self, object host) except -1:
        _ensure_loaded()
        require(<void*>driver.cass_statement_set_host_n, "cass_statement_set_host_n")
        if isinstance(host, Coordinator):
            address, port = host.address, host.port
        elif isinstance(host, tuple) and len(host) == 2:
            address, port = host
        else:
            address, port = host, 9042
        self.host = _encoded(address, "host")
        self.host_port = positive_int(port, "the port of host")
        return 0

    cdef int _set_routing_key(self, object key) except -1:
        _ensure_loaded()
        require(<void*>driver.cass_statement_set_host_n, "cass_statement_set_host_n")
        if isinstance(key, (bytes, bytearray, memoryview)):
            self.routing_key = bytes(key)
        elif isinstance(key, (list, tuple)) and key:
            self.routing_key = tuple([_frozen(value, None) for value in key])
        elif isinstance(key, (list, tuple)):
            raise ValueError("routing_key has no values: a partition key has one column at least")
        else:
            raise TypeError(
                f"routing_key must be bytes or a list of the partition key's values, not {type(key).__name__}")
        return 0

    cdef int apply_to_statement(self, CassStatement* statement) except -1:
        if self.consistency >= 0:
            driver.cass_statement_set_consistency(statement, <CassConsistency>self.consistency)
        if self.serial_consistency >= 0:
            driver.cass_statement_set_serial_consistency(statement, <CassConsistency>self.serial_consistency)
        if self.paging_state is not None:
            check(driver.cass_statement_set_paging_state_token(
                statement, <const char*>self.paging_state, len(self.paging_state)), "paging_state")
        if self.has_timestamp:
            driver.cass_statement_set_timestamp(statement, self.timestamp)
        if self.idempotent >= 0:
            driver.cass_statement_set_is_idempotent(statement, self.idempotent)
        if self.tracing >= 0:
            driver.cass_statement_set_tracing(statement, self.tracing)
        if self.execution_profile is not None:
            driver.cass_statement_set_execution_profile_n(
                statement, <const char*>self.execution_profile, len(self.execution_profile))
        if self.custom_payload.get() != NULL:
            driver.cass_statement_set_custom_payload(statement, self.custom_payload.get())
        if self.host is not None:
            check(driver.cass_statement_set_host_n(statement, <const char*>self.host, len(self.host), self.host_port),
                  f"host {self.host.decode()!r} (an IP address is expected)")
        return 0

    cdef int apply_to_batch(self, CassBatch* batch) except -1:
        if not isnan(self.timeout) or not isinf(self.try_timeout):
            driver.cass_batch_set_request_timeout(
                batch, driver_milliseconds(self.try_timeout if isnan(self.timeout) else min(self.timeout, self.try_timeout)))
        if self.consistency >= 0:
            driver.cass_batch_set_consistency(batch, <CassConsistency>self.consistency)
        if self.serial_consistency >= 0:
            driver.cass_batch_set_serial_consistency(batch, <CassConsistency>self.serial_consistency)
        if self.has_timestamp:
            driver.cass_batch_set_timestamp(batch, self.timestamp)
        if self.idempotent >= 0:
            driver.cass_batch_set_is_idempotent(batch, self.idempotent)
        if self.tracing >= 0:
            driver.cass_batch_set_tracing(batch, self.tracing)
        if self.execution_profile is not None:
            driver.cass_batch_set_execution_profile_n(
                batch, <const char*>self.execution_profile, len(self.execution_profile))
        if self.custom_payload.get() != NULL:
            driver.cass_batch_set_custom_payload(batch, self.custom_payload.get())
        if self.host is not None:
            raise ValueError("host cannot be chosen for a batch: the driver has no such option")
        if self.routing_key is not None:
            raise ValueError("a batch has no routing_key: it goes to where its first statement with a bound key belongs")
        return 0

    @property
    def is_idempotent(self):
        """True, False, or None where nothing is said."""
        return None if self.idempotent < 0 else self.idempotent == 1

    @property
    def has_host(self):
        """Whether a node is chosen."""
        return self.host is not None

    def timeout_or(self, double default):
        """The timeout in seconds, or `default` where it says none."""
        return default if isnan(self.timeout) else self.timeout

    def with_changes(self, **changes):
        """A copy with some of them set anew."""
        return Options(defaults=self, **changes)

    def __repr__(self):
        said = []
        for name, value in (("timeout", None if isnan(self.timeout) else self.timeout),
                            ("consistency", None if self.consistency < 0 else _Consistency(self.consistency).name),
                            ("page_size", self.page_size or None),
                            ("idempotent", None if self.idempotent < 0 else bool(self.idempotent))):
            if value is not None:
                said.append(f"{name}={value!r}")
        return f"Options({', '.join(said)})"


cdef bytes _encoded(object text, str name):
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, not {type(text).__name__}")
    return text.encode()


cdef Options _NO_OPTIONS = Options()


@cython.final
cdef class Statement:
    """A text or a prepared statement with its values and options, ready to be executed any number of times."""

    def __cinit__(self):
        self.query = ""
        self.options = _NO_OPTIONS

    def __init__(self, query, parameters=None, Options options=None):
        if not isinstance(query, (str, PreparedStatement)):
            raise TypeError(f"a statement is made of a str or a PreparedStatement, not {type(query).__name__}")
        self.query = query
        self.parameters = frozen_parameters(query, parameters)
        self.options = _NO_OPTIONS if options is None else options

    def __repr__(self):
        return f"<Statement {_errors.shorten(_text_of_query(self.query), 80)!r}>"


cdef object frozen_parameters(object query, object parameters):
    """Parameters that no longer change with what the caller passed: a tuple, or a dict of its own."""
    cdef PreparedVersion version
    if parameters is None:
        return None
    if isinstance(query, PreparedStatement):
        version = version_of(<PreparedStatement>query)
        return frozen_values(positional(parameters, version), version)
    if isinstance(parameters, _Mapping):
        return {name: _frozen(value, None) for name, value in parameters.items()}
    return tuple([_frozen(value, None) for value in _as_tuple(parameters)])


cdef tuple frozen_values(tuple values, PreparedVersion version):
    """Values that are the same when they are bound again: for the next page, or after a statement was prepared anew."""
    cdef CqlType cql_type
    cdef Py_ssize_t i
    if not version.takes_mutable:
        return values
    frozen = []
    for i in range(len(values)):
        cql_type = <CqlType>version.parameter_types[i]
        frozen.append(_frozen(values[i], cql_type) if _may_be_mutable(cql_type) else values[i])
    return tuple(frozen)


cdef bint _may_be_mutable(CqlType cql_type):
    return bool(cql_type.types) or cql_type.kind == VALUE_BLOB or cql_type.kind == VALUE_CUSTOM


cdef object _frozen(object value, CqlType cql_type):
    """A copy that shares nothing which may change; of a type that is None, by the look of the value."""
    cdef bint nested = cql_type is None
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is bytearray or kind is memoryview:
        return bytes(value)
    if cql_type is not None:
        for member in cql_type.types:
            nested = nested or _may_be_mutable(member)
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return kind([_frozen(item, None) for item in value]) if nested else kind(value)
    if kind is dict:
        return {_frozen(key, None): _frozen(item, None) for key, item in value.items()} if nested else dict(value)
    if isinstance(value, _Iterator):  # walked once, it would be empty the next time
        return [_frozen(item, None) for item in value]
    try:
        return _copy(value)
    except Exception:
        return value


cdef tuple _as_tuple(object parameters):
    if isinstance(parameters, (str, bytes, bytearray, set, frozenset)):
        raise TypeError(
            f"parameters must be a sequence or a mapping, not {type(parameters).__name__}: [value] for a single one")
    try:
        return tuple(parameters)
    except TypeError:
        raise TypeError(f"parameters must be a sequence or a mapping, not {type(parameters).__name__}") from None


cdef tuple positional(object parameters, PreparedVersion version):
    """The values in the order of the markers. Raises BindError for unknown names and missing values, ValueError for a
    wrong count."""
    cdef tuple names = version.parameter_names
    cdef tuple values
    if parameters is None:
        values = ()
    elif type(parameters) is tuple:
        values = <tuple>parameters
    elif type(parameters) is list:
        values = tuple(<list>parameters)
    elif type(parameters) is dict or isinstance(parameters, _Mapping):
        return _by_name(parameters, names)
    else:
        values = _as_tuple(parameters)
    if len(values) != len(names):
        raise ValueError(_count_message(len(values), names))
    return values


cdef str _count_message(Py_ssize_t given, tuple names):
    markers = f"{len(names)} value{'' if len(names) == 1 else 's'} expected ({', '.join(names)})" if names else \
        "no values expected"
    if given < len(names):
        return f"{markers}, got {given}: missing {', '.join(names[given:])} (UNSET leaves a column alone)"
    return f"{markers}, got {given}: {given - len(names)} too many"


cdef tuple _by_name(object parameters, tuple names):
    missing = [name for name in names if name not in parameters]
    if missing:
        raise _errors.BindError(f"no value for {', '.join(dict.fromkeys(missing))} (UNSET leaves a column alone)")
    unknown = [name for name in parameters if name not in names]
    if unknown:
        raise _errors.BindError(
            f"unknown parameter {', '.join(repr(name) for name in unknown)}: the statement has {', '.join(names) or 'none'}")
    return tuple([parameters[name] for name in names])


@cython.final
@cython.freelist(64)
cdef class EncodedValue:
    """The bytes of a value that its owner may change: kept in its place, to be bound again."""

    cdef object decoded(self):
        return self.cql_type.decode(self.data)


cdef EncodedValue encoded_value(CqlType cql_type, Buffer& buffer):
    cdef EncodedValue made = EncodedValue.__new__(EncodedValue)
    made.cql_type = cql_type
    made.data = (<const char*>buffer.data())[:buffer.size()]
    return made


cdef bytes _bytes_for(EncodedValue value, CqlType cql_type):
    if value.cql_type is cql_type or value.cql_type == cql_type:
        return value.data
    # Prepared anew since, for a type that may have other fields by the same name.
    return cql_type.encode(value.decoded())


cdef tuple bind_values(CassStatement* statement, PreparedVersion version, tuple values):
    """Encodes the values and hands them to the driver; returns them in a form that no longer changes, for the next page or
    after the statement was prepared anew. Raises naming the column and leaves the statement unusable."""
    cdef list kept = list(values) if version.takes_mutable else None
    bind_items(statement, version, items_of_tuple(values), kept, 0)
    return values if kept is None else tuple(kept)


cdef int bind_items(CassStatement* statement, PreparedVersion version, PyObject** values, list kept, Py_ssize_t first) except -1:
    """As bind_values, from an array that nobody else can change; what must be kept in another form is put into `kept`, if that is
    not None, from index `first` on."""
    cdef Buffer buffer
    cdef PyObject** types = items_of_tuple(version.parameter_types)
    cdef Py_ssize_t count = len(version.parameter_types)
    cdef Py_ssize_t i = 0
    cdef bytes data
    cdef CassError code = CASS_OK
    try:  # around the loop: entering it costs as much as encoding an int
        while i < count:
            if values[i] == <PyObject*>None or values[i] == <PyObject*>_UNSET:
                if version.roles[i] != ROLE_NO_KEY:
                    refuse_if_key(version, i, <object>values[i])
                if values[i] == <PyObject*>None:
                    code = driver.cass_statement_bind_null(statement, i)
            elif version.runs_unprepared or not bind_plain(statement, i, <CqlType>types[i], <object>values[i], &code):
                buffer.clear()
                if version.takes_mutable and type(<object>values[i]) is EncodedValue:
                    data = _bytes_for(<EncodedValue>values[i], <CqlType>types[i])
                    buffer.put_bytes(<const char*>data, len(data))
                else:
                    (<CqlType>types[i]).encode_function(<CqlType>types[i], <object>values[i], buffer)
                    if version.roles[i] != ROLE_NO_KEY and (buffer.size() == 0 or (<CqlType>types[i]).has_order):
                        put_as_key(version, i, <object>values[i], buffer)
                    if kept is not None and _may_be_mutable(<CqlType>types[i]) and type(<object>values[i]) is not bytes:
                        kept[first + i] = encoded_value(<CqlType>types[i], buffer)
                if version.runs_unprepared:
                    code = driver.cass_statement_bind_bytes(statement, i, buffer.data(), buffer.size())
                else:
                    code = bind_value(statement, i, version.data_types[i], buffer.data(), buffer.size())
            if code != CASS_OK:
                break
            i += 1
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        value = <object>values[i]
        raise bind_error(version.parameter_names[i], <CqlType>types[i],
                         (<EncodedValue>value).decoded() if type(value) is EncodedValue else value, error) from None
    if code != CASS_OK:
        check(code, f"parameter {version.parameter_names[i]!r} ({version.parameter_types[i]})")
    return 0


cdef inline bint bind_plain(CassStatement* statement, size_t index, CqlType cql_type, object value, CassError* code) except -1:
    """Binds a value of the commonest types, without its bytes in between; False for the others."""
    if cql_type.kind == VALUE_INT:
        code[0] = driver.cass_statement_bind_int32(statement, index, <int32_t>_integer(value, INT32_MIN, INT32_MAX))
    elif cql_type.kind == VALUE_BIGINT:
        code[0] = driver.cass_statement_bind_int64(statement, index, _integer(value, INT64_MIN, INT64_MAX))
    elif cql_type.kind == VALUE_DOUBLE:
        code[0] = driver.cass_statement_bind_double(statement, index, _float(value))
    elif cql_type.kind == VALUE_BOOLEAN and PyBool_Check(value):
        code[0] = driver.cass_statement_bind_bool(statement, index, value is True)
    elif cql_type.kind == VALUE_TEXT and type(value) is str and PyUnicode_IS_COMPACT_ASCII(value) and \
            PyUnicode_GET_LENGTH(value) != 0:
        code[0] = driver.cass_statement_bind_string_n(
            statement, index, <const char*>PyUnicode_1BYTE_DATA(value), PyUnicode_GET_LENGTH(value))
    else:
        return False
    return True


cdef CassStatement* new_statement(PreparedVersion version) except NULL:
    """An unbound statement of the driver's for a prepared one."""
    cdef bytes text
    if version.runs_unprepared:
        text = version.text.encode()
        return driver.cass_statement_new_n(<const char*>text, len(text), len(version.parameter_names))
    return driver.cass_prepared_bind(version.handle.get())


cdef CassStatement* new_text_statement(str query) except NULL:
    cdef bytes text = query.encode()
    return driver.cass_statement_new_n(<const char*>text, len(text), 0)
