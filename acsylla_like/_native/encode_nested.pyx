# Values made of values to the protocol's bytes; an error inside one tells the way to it.

import sys
from collections.abc import Iterable, Mapping

from cpython.buffer cimport PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer

cdef object _missing = object()


# ---- collections, tuples, user types

cdef int _put_item(CqlType cql_type, object value, Buffer& out) except -1:
    cdef size_t position
    if value is None:
        raise ValueError("None is not allowed inside a collection")
    position = out.size()
    out.put_int32(0)
    cql_type.encode_function(cql_type, value, out)
    if not out.patch_length(position):
        raise OverflowError("expected less than 2 GiB")
    return 0


cdef int _put_field(CqlType cql_type, object value, Buffer& out) except -1:
    if value is None:
        out.put_int32(-1)
        return 0
    return _put_item(cql_type, value, out)


cdef object _items_of(object value, str expected):
    """`value` itself, or a list of its items; what is no sequence of items to a reader is refused."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        raise _refused(expected, value)
    return list(value)


cdef int _put_items(CqlType element, object items, Buffer& out, str place) except -1:
    cdef size_t position = out.size()
    cdef int32_t n = 0
    if len(items) > INT32_MAX:
        raise OverflowError(f"expected less than 2147483648 items, got {len(items)}")
    out.put_int32(0)
    try:
        for item in items:
            _put_item(element, item, out)
            n += 1
    except (TypeError, ValueError, OverflowError) as error:
        raise _within(f"{place} {n}" if place == "item" else place, error) from None
    out.patch_int32(position, n)
    return 0


cdef int _encode_list(CqlType cql_type, object value, Buffer& out) except -1:
    return _put_items(cql_type.first, _items_of(value, "a list"), out, "item")


cdef int _encode_set(CqlType cql_type, object value, Buffer& out) except -1:
    return _put_items(cql_type.first, _items_of(value, "a set"), out, "member")


cdef int _encode_map(CqlType cql_type, object value, Buffer& out) except -1:
    cdef size_t position = out.size()
    cdef int32_t n = 0
    cdef bint at_key = True
    cdef dict items
    if not isinstance(value, (dict, Mapping)):
        raise _refused("a mapping", value)
    items = value if type(value) is dict else dict(value)
    out.put_int32(0)
    key = None
    try:
        for key, item in items.items():
            at_key = True
            _put_item(cql_type.first, key, out)
            at_key = False
            _put_item(cql_type.second, item, out)
            n += 1
    except (TypeError, ValueError, OverflowError) as error:
        raise _within(f"key {_short(key)}" if at_key else f"value of key {_short(key)}", error) from None
    out.patch_int32(position, n)
    return 0


cdef int _encode_tuple(CqlType cql_type, object value, Buffer& out) except -1:
    cdef Py_ssize_t i = 0
    if not isinstance(value, (tuple, list)):
        raise _refused("a tuple", value)
    items = tuple(value)
    if len(items) != len(cql_type.types):
        raise ValueError(f"expected {len(cql_type.types)} items, got {len(items)} in {_got(value)}")
    try:
        for i in range(len(items)):
            _put_field(cql_type.types[i], items[i], out)
    except (TypeError, ValueError, OverflowError) as error:
        raise _within(f"item {i}", error) from None
    return 0


cdef object _fields_of(CqlType cql_type, object value):
    """A mapping of the field names and values of an object that tells its fields, or has the registered class."""
    cdef tuple names
    if isinstance(value, type):
        raise _refused("a mapping or object", value)
    names = _class_fields(type(value))
    if names is None:
        if cql_type.user_class is None or not isinstance(value, cql_type.user_class):
            raise _refused(f"a mapping, dataclass or named tuple with the fields of {cql_type.name}", value)
        names = cql_type.field_names
    return {name: getattr(value, name, None) for name in names}


cdef int _encode_user_type(CqlType cql_type, object value, Buffer& out) except -1:
    cdef Py_ssize_t found = 0
    cdef str name = ""
    cdef object fields = value if isinstance(value, (dict, Mapping)) else _fields_of(cql_type, value)
    cdef Py_ssize_t i
    try:
        for i in range(len(cql_type.field_names)):
            name = cql_type.field_names[i]
            field = fields.get(name, _missing)
            if field is _missing:
                field = None
            else:
                found += 1
            _put_field(cql_type.types[i], field, out)
    except (TypeError, ValueError, OverflowError) as error:
        raise _within(f'field "{name}"', error) from None
    if found != len(fields):
        unknown = ", ".join([_short(key) for key in fields if key not in cql_type.field_names])
        raise ValueError(f"expected the fields {', '.join(cql_type.field_names)} of {cql_type.name}, "
                         f"got unknown {unknown} in {_got(value)}")
    return 0


# ---- vectors

cdef int _encode_vector(CqlType cql_type, object value, Buffer& out) except -1:
    cdef CqlType element = cql_type.first
    cdef Py_ssize_t i = 0
    cdef size_t position
    if element.array_template is not None and PyObject_CheckBuffer(value) and _put_vector_buffer(cql_type, value, out):
        return 0
    if isinstance(value, (set, frozenset)):
        raise _refused("a sequence", value)
    items = _items_of(value, "a sequence")
    if len(items) != cql_type.dimension:
        raise ValueError(f"expected {cql_type.dimension} items, got {len(items)} in {_got(value)}")
    try:
        for item in items:
            if item is None:
                raise ValueError("None is not allowed inside a vector")
            position = out.size()
            element.encode_function(element, item, out)
            if element.vector_width == 0:
                out.insert_unsigned_vint(position)
            i += 1
    except (TypeError, ValueError, OverflowError) as error:
        raise _within(f"item {i}", error) from None
    if i != cql_type.dimension:
        raise ValueError(f"expected {cql_type.dimension} items, got {i}")
    return 0


cdef str _native_order = "@=<" if sys.byteorder == "little" else "@=>"


cdef bint _put_vector_buffer(CqlType cql_type, object value, Buffer& out) except -1:
    """Whether `value` is an array of just the element's format, and so was written at once."""
    cdef CqlType element = cql_type.first
    cdef Py_buffer view
    cdef Py_ssize_t i
    cdef uint8_t* to
    try:
        PyObject_GetBuffer(value, &view, PyBUF_CONTIG_RO | PyBUF_FORMAT)
    except (BufferError, ValueError):  # numpy raises the latter
        return False
    try:
        code = "B" if view.format == NULL else (<bytes>view.format).decode().lstrip(_native_order)
        if view.ndim != 1 or view.itemsize != element.width or code not in (
                "lqi" if element.array_template.typecode in "iq" else element.array_template.typecode):
            return False
        if view.shape[0] != cql_type.dimension:
            raise ValueError(f"expected {cql_type.dimension} items, got {view.shape[0]} in {_got(value)}")
        if element.vector_width != 0:
            swap_array(out.extend(view.len), view.buf, cql_type.dimension, element.width)
            return True
        to = out.extend(view.len + cql_type.dimension)
        for i in range(cql_type.dimension):
            to[0] = <uint8_t>element.width
            swap_array(to + 1, <const uint8_t*>view.buf + i * element.width, 1, element.width)
            to += 1 + element.width
        return True
    finally:
        PyBuffer_Release(&view)
