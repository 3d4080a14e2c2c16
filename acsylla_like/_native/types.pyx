# CQL types: what the driver, a server's class name or CQL text says a value is, with the functions that convert it.

import dataclasses
import re
from array import array as Array

from acsylla_like.errors import DecodeError

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


cdef class CqlType:
    """A CQL type: immutable, equal by its text; it encodes and decodes values as the protocol does.

    Whatever is nested in another type is frozen. Members of sets and keys of maps come back hashable: lists and vectors
    as tuples, sets as frozensets, maps and user types without a class as `FrozenMap`.
    """

    def __cinit__(self):
        self.kind = VALUE_CUSTOM
        self.name = self.keyspace = self.type_name = ""
        self.types = self.field_names = ()
        self.dimension = -1
        self.encode_function = _encode_blob
        self.decode_function = _decode_blob

    def __init__(self):
        raise TypeError("CqlType cannot be made directly: use parse_type")

    def encode(self, value):
        """The protocol's bytes of `value`, or None for None.

        Raises TypeError, ValueError or OverflowError with what was expected and what came.
        """
        cdef Buffer out
        if value is None:
            return None
        self.encode_function(self, value, out)
        return (<const char*>out.data())[:out.size()]

    def decode(self, data):
        """The value of the protocol's bytes, or None for None. Raises DecodeError."""
        if data is None:
            return None
        cdef bytes copy = bytes(memoryview(data))
        return decode_cell(self, <const uint8_t*><const char*>copy, len(copy))

    def __repr__(self):
        return f"CqlType({self.name!r})"

    def __str__(self):
        return self.name

    def __eq__(self, other):
        if not isinstance(other, CqlType):
            return NotImplemented
        cdef CqlType that = other
        return (self.name == that.name and self.keyspace == that.keyspace and self.field_names == that.field_names
                and self.types == that.types and self.user_class is that.user_class)

    def __hash__(self):
        return hash(self.name)

    def __reduce__(self):
        return _restore_type, (self.kind, self.type_name if self.type_name else self.name, self.types, self.field_names,
                               self.keyspace, self.dimension, self.is_frozen, self.is_member, self.user_class)


def _restore_type(kind, text, types, field_names, keyspace, dimension, is_frozen, is_member, user_class):
    if kind == VALUE_UDT:
        return _user_type(keyspace, text, field_names, types, user_class, is_frozen, is_member)
    if dimension >= 0:
        return _vector_type(types[0], dimension, is_member)
    if types:
        return _composite_type(kind, types, is_frozen, is_member)
    return _scalar_types.get(text) or _custom_type(text)


# ---- making types

cdef CqlType _bare_type(int kind, str name, EncodeFunction encode, DecodeFunction decode, Py_ssize_t width=0):
    cdef CqlType made = CqlType.__new__(CqlType)
    made.kind = kind
    made.name = name
    made.encode_function = encode
    made.decode_function = decode
    made.width = width
    return made


cdef CqlType _scalar(int kind, str name, EncodeFunction encode, DecodeFunction decode, Py_ssize_t width=0,
                     Py_ssize_t vector_width=0, str array_code=None):
    cdef CqlType made = _bare_type(kind, name, encode, decode, width)
    # The server writes no length before a vector's element when it considers the element's size fixed, which it does
    # not for tinyint, smallint, date and time.
    made.vector_width = vector_width
    if array_code is not None:
        made.array_template = Array(array_code)
    return made


cdef dict _scalar_types = {
    cql_type.name: cql_type for cql_type in (
        _scalar(VALUE_ASCII, "ascii", _encode_ascii, _decode_ascii),
        _scalar(VALUE_BIGINT, "bigint", _encode_bigint, _decode_bigint, 8, 8, "q"),
        _scalar(VALUE_BLOB, "blob", _encode_blob, _decode_blob),
        _scalar(VALUE_BOOLEAN, "boolean", _encode_boolean, _decode_boolean, 1, 1),
        _scalar(VALUE_COUNTER, "counter", _encode_bigint, _decode_bigint, 8),
        _scalar(VALUE_DATE, "date", _encode_date, _decode_date, 4),
        _scalar(VALUE_DECIMAL, "decimal", _encode_decimal, _decode_decimal),
        _scalar(VALUE_DOUBLE, "double", _encode_double, _decode_double, 8, 8, "d"),
        _scalar(VALUE_DURATION, "duration", _encode_duration, _decode_duration),
        _scalar(VALUE_FLOAT, "float", _encode_float, _decode_float, 4, 4, "f"),
        _scalar(VALUE_INET, "inet", _encode_inet, _decode_inet),
        _scalar(VALUE_INT, "int", _encode_int, _decode_int, 4, 4, "i"),
        _scalar(VALUE_SMALLINT, "smallint", _encode_smallint, _decode_smallint, 2, 0, "h"),
        _scalar(VALUE_TEXT, "text", _encode_text, _decode_text),
        _scalar(VALUE_TIME, "time", _encode_time, _decode_time, 8),
        _scalar(VALUE_TIMESTAMP, "timestamp", _encode_timestamp, _decode_timestamp, 8, 8),
        _scalar(VALUE_TIMEUUID, "timeuuid", _encode_timeuuid, _decode_uuid, 16, 16),
        _scalar(VALUE_TINYINT, "tinyint", _encode_tinyint, _decode_tinyint, 1, 0, "b"),
        _scalar(VALUE_UUID, "uuid", _encode_uuid, _decode_uuid, 16, 16),
        _scalar(VALUE_VARINT, "varint", _encode_varint, _decode_varint),
    )
}
cdef dict _scalar_types_by_kind = {(<CqlType>cql_type).kind: cql_type for cql_type in _scalar_types.values()}
_scalar_types["varchar"] = _scalar_types["text"]
_scalar_types_by_kind[VALUE_VARCHAR] = _scalar_types["text"]


cdef CqlType _custom_type(str class_name):
    cdef CqlType made = _bare_type(VALUE_CUSTOM, "'" + class_name.replace("'", "''") + "'", _encode_blob, _decode_blob)
    made.type_name = class_name
    return made


cdef CqlType _nested(CqlType element, bint is_member):
    """The type as a part of another: frozen, and hashable inside what must be hashable."""
    is_member = is_member or element.is_member
    if not element.types or is_member == element.is_member and (element.is_frozen or element.dimension >= 0):
        return element
    if element.kind == VALUE_UDT:
        return _user_type(element.keyspace, element.type_name, element.field_names, element.types, element.user_class,
                          True, is_member)
    if element.dimension >= 0:
        return _vector_type(element.first, element.dimension, is_member)
    return _composite_type(element.kind, element.types, True, is_member)


cdef bint _any_has_order(tuple types):
    cdef CqlType element
    for element in types:
        if element.has_order:
            return True
    return False


cdef CqlType _composite_type(int kind, tuple types, bint is_frozen=False, bint is_member=False):
    cdef CqlType made
    if kind == VALUE_LIST:
        made = _bare_type(kind, "list", _encode_list, _decode_tuple_of_items if is_member else _decode_list)
        made.decode_items_function = _decode_list_items
        types = (_nested(types[0], is_member),)
    elif kind == VALUE_SET:
        made = _bare_type(kind, "set", _encode_set, _decode_frozenset)
        made.decode_items_function = _decode_set_items
        types = (_nested(types[0], True),)
    elif kind == VALUE_MAP:
        made = _bare_type(kind, "map", _encode_map, _decode_frozen_map if is_member else _decode_map)
        made.decode_items_function = _decode_map_items
        types = (_nested(types[0], True), _nested(types[1], is_member))
        made.second = types[1]
    else:
        made = _bare_type(kind, "tuple", _encode_tuple, _decode_tuple)
        types = tuple([_nested(element, is_member) for element in types])
    made.types = types
    made.first = types[0]
    made.has_order = kind == VALUE_SET or kind == VALUE_MAP or _any_has_order(types)
    made.name = f"{made.name}<{', '.join([(<CqlType>element).name for element in types])}>"
    made.is_member = is_member
    made.is_frozen = is_frozen
    if is_frozen:
        made.name = f"frozen<{made.name}>"
    return made


cdef CqlType _vector_type(CqlType element, Py_ssize_t dimension, bint is_member=False):
    cdef CqlType made = _bare_type(VALUE_CUSTOM, "", _encode_vector, NULL)
    made.first = _nested(element, is_member)
    made.types = (made.first,)
    made.has_order = made.first.has_order
    made.name = f"vector<{made.first.name}, {dimension}>"
    made.dimension = dimension
    made.is_member = is_member
    if element.vector_width and dimension < PY_SSIZE_T_MAX // element.vector_width:
        made.vector_width = made.width = element.vector_width * dimension
    if is_member:
        made.decode_function = _decode_vector_tuple
    elif element.array_template is not None:
        made.decode_function = _decode_vector_array
    else:
        made.decode_function = _decode_vector_list
    return made


cdef CqlType _user_type(str keyspace, str type_name, tuple field_names, tuple types, object user_class,
                        bint is_frozen=False, bint is_member=False):
    cdef CqlType made = _bare_type(VALUE_UDT, _quoted(type_name), _encode_user_type, _decode_user_type)
    made.keyspace = keyspace
    made.type_name = type_name
    made.field_names = field_names
    made.types = tuple([_nested(element, is_member) for element in types])
    made.has_order = _any_has_order(made.types)
    made.is_frozen = is_frozen
    made.is_member = is_member
    if is_frozen:
        made.name = f"frozen<{made.name}>"
    made.user_class = user_class
    if user_class is not None:
        made.class_fields = _class_fields(user_class)
    return made


cdef tuple _class_fields(object user_class):
    """The field names that a class takes as keywords when it tells them, or None."""
    if dataclasses.is_dataclass(user_class):
        return tuple([field.name for field in dataclasses.fields(user_class) if field.init])
    if isinstance(user_class, type) and issubclass(user_class, tuple) and hasattr(user_class, "_fields"):
        return tuple(user_class._fields)
    attributes = getattr(user_class, "__attrs_attrs__", None)
    if attributes is not None:
        return tuple([attribute.name for attribute in attributes if attribute.init])
    return None


cdef object _plain_name = re.compile("[a-z][a-z0-9_]*")


cdef str _quoted(str name):
    return name if _plain_name.fullmatch(name) else '"' + name.replace('"', '""') + '"'


# ---- from the driver

cdef CqlType cql_type_from_driver(const CassDataType* data_type, dict user_types):
    """The type of a column or parameter. What is not understood becomes a custom type, whose values are bytes.

    `user_types` maps (keyspace, name) of user types to classes, or is None.
    """
    cdef int kind
    cdef CqlType scalar
    cdef size_t i, n
    cdef const char* text = NULL
    cdef size_t length = 0
    if data_type == NULL:
        return _custom_type("unknown")
    kind = driver.cass_data_type_type(data_type)
    scalar = _scalar_types_by_kind.get(kind)
    if scalar is not None:
        return scalar
    if kind == VALUE_CUSTOM:
        if driver.cass_data_type_class_name(data_type, &text, &length) != CASS_OK:
            return _custom_type("unknown")
        return _type_from_class_name(text[:length].decode("utf-8", "replace"), user_types)
    n = driver.cass_data_type_sub_type_count(data_type)
    if (kind not in (VALUE_LIST, VALUE_SET, VALUE_MAP, VALUE_TUPLE, VALUE_UDT) or kind == VALUE_MAP and n != 2
            or kind in (VALUE_LIST, VALUE_SET) and n != 1 or n == 0):
        return _custom_type(f"unknown type {kind}")
    types = tuple([cql_type_from_driver(driver.cass_data_type_sub_data_type(data_type, i), user_types)
                   for i in range(n)])
    if kind != VALUE_UDT:
        return _composite_type(kind, types)
    names = []
    for i in range(n):
        driver.cass_data_type_sub_type_name(data_type, i, &text, &length)
        names.append(text[:length].decode("utf-8", "replace"))
    driver.cass_data_type_keyspace(data_type, &text, &length)
    keyspace = text[:length].decode("utf-8", "replace")
    driver.cass_data_type_type_name(data_type, &text, &length)
    type_name = text[:length].decode("utf-8", "replace")
    return _user_type(keyspace, type_name, tuple(names), types, _registered(user_types, keyspace, type_name))


cdef object _registered(dict user_types, str keyspace, str type_name):
    return None if user_types is None else user_types.get((keyspace, type_name))
