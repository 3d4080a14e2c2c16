# The protocol's bytes to values made of values; every length is checked against what is there.

from cpython cimport array
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM

from acsylla_like.types import FrozenMap


# ---- collections, tuples, user types

cdef object _next_item(CqlType cql_type, CqlType element, const uint8_t** data, const uint8_t* end):
    """The item whose length word is at `data`, which moves behind the item."""
    cdef const uint8_t* first = data[0]
    cdef int32_t length
    if end - first < 4:
        raise _errors.DecodeError(f"the bytes of type {cql_type.name} end within an item's length")
    length = load[int32_t](first)
    first += 4
    if length > end - first:
        raise _errors.DecodeError(f"an item of {length} bytes within type {cql_type.name}, of which {end - first} bytes remain")
    if length < 0:
        data[0] = first
        return None
    data[0] = first + length
    return element.decode_function(element, first, length)


cdef int _check_count(CqlType cql_type, Py_ssize_t count, Py_ssize_t size, int words) except -1:
    """Each item has at least its length word, so that no count asks for more memory than its bytes deserve."""
    if not 0 <= count <= size // (4 * words):
        raise _errors.DecodeError(f"{count} items in {size} bytes of type {cql_type.name}")
    return 0


cdef int _check_end(CqlType cql_type, const uint8_t* data, const uint8_t* end) except -1:
    if data != end:
        raise _errors.DecodeError(f"{end - data} bytes too many in a value of type {cql_type.name}")
    return 0


cdef object _decode_list_items(CqlType cql_type, Py_ssize_t count, const uint8_t* data, Py_ssize_t size):
    cdef const uint8_t* end = data + size
    cdef CqlType element = cql_type.first
    cdef Py_ssize_t i
    _check_count(cql_type, count, size, 1)
    items = PyList_New(count)
    for i in range(count):
        item = _next_item(cql_type, element, &data, end)
        Py_INCREF(item)
        PyList_SET_ITEM(items, i, item)
    _check_end(cql_type, data, end)
    return items


cdef object _decode_list(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return decode_cell(cql_type, data, size)


cdef object _decode_tuple_of_items(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    items = decode_cell(cql_type, data, size)
    return None if items is None else tuple(items)


cdef object _decode_set_items(CqlType cql_type, Py_ssize_t count, const uint8_t* data, Py_ssize_t size):
    cdef const uint8_t* end = data + size
    cdef CqlType element = cql_type.first
    cdef set items = set()
    cdef Py_ssize_t i
    _check_count(cql_type, count, size, 1)
    for i in range(count):
        items.add(_next_member(cql_type, element, &data, end))
    _check_end(cql_type, data, end)
    return items


cdef object _decode_frozenset(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    items = decode_cell(cql_type, data, size)
    return None if items is None else frozenset(items)


cdef object _decode_map_items(CqlType cql_type, Py_ssize_t count, const uint8_t* data, Py_ssize_t size):
    cdef const uint8_t* end = data + size
    cdef CqlType first = cql_type.first
    cdef CqlType second = cql_type.second
    cdef dict items = {}
    cdef Py_ssize_t i
    _check_count(cql_type, count, size, 2)
    for i in range(count):
        key = _next_member(cql_type, first, &data, end)
        items[key] = _next_item(cql_type, second, &data, end)
    _check_end(cql_type, data, end)
    return items


cdef object _decode_map(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    return decode_cell(cql_type, data, size)


cdef object _decode_frozen_map(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    items = decode_cell(cql_type, data, size)
    return None if items is None else FrozenMap(items)


cdef inline object _next_member(CqlType cql_type, CqlType member, const uint8_t** data, const uint8_t* end):
    """A member of a set or a key of a map."""
    value = _next_item(cql_type, member, data, end)
    if member.types:  # only the class registered for a user type can make one unhashable
        _check_hashable(cql_type, value)
    return value


cdef int _check_hashable(CqlType cql_type, object value) except -1:
    try:
        hash(value)
    except TypeError:
        raise _errors.DecodeError(f"a {type(value).__name__} cannot be in a {cql_type.name}: it is not hashable") from None
    return 0


cdef object _decode_tuple(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    """Items that the bytes lack are null, as they are to the server."""
    cdef const uint8_t* end = data + size
    cdef Py_ssize_t i, n = len(cql_type.types)
    if size == 0:
        return None
    items = PyTuple_New(n)
    for i in range(n):
        item = None if data == end else _next_item(cql_type, cql_type.types[i], &data, end)
        Py_INCREF(item)
        PyTuple_SET_ITEM(items, i, item)
    _check_end(cql_type, data, end)
    return items


cdef object _decode_user_type(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    """Fields that the bytes lack are null; fields behind those we know were added to the type since, and are left out."""
    cdef const uint8_t* end = data + size
    cdef dict fields = {}
    cdef Py_ssize_t i
    if size == 0:
        return None
    for i in range(len(cql_type.types)):
        fields[cql_type.field_names[i]] = (
            None if data == end else _next_item(cql_type, cql_type.types[i], &data, end))
    while data != end:
        _next_item(cql_type, _scalar_types["blob"], &data, end)
    if cql_type.user_class is None:
        return FrozenMap(fields) if cql_type.is_member else fields
    if cql_type.class_fields is not None:
        fields = {name: fields[name] for name in cql_type.class_fields if name in fields}
    try:
        return cql_type.user_class(**fields)
    except Exception as error:
        raise DecodeError(f"{cql_type.user_class!r} does not take the fields of {cql_type.name}: {error}") from error


# ---- vectors

cdef object _next_vector_item(CqlType cql_type, CqlType element, const uint8_t** data, const uint8_t* end):
    cdef uint64_t length = <uint64_t>element.vector_width
    cdef const uint8_t* first = data[0]
    if length == 0:
        first = read_unsigned_vint(first, end, &length)
    if first == NULL or length > <uint64_t>(end - first):
        raise _errors.DecodeError(f"the bytes of type {cql_type.name} end within an item")
    data[0] = first + length
    return element.decode_function(element, first, <Py_ssize_t>length)


cdef object _decode_vector_list(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef const uint8_t* end = data + size
    cdef Py_ssize_t i
    cdef list items = []
    if size == 0 or cql_type.dimension > size:
        return _unfit(cql_type, size)
    for i in range(cql_type.dimension):
        items.append(_next_vector_item(cql_type, cql_type.first, &data, end))
    _check_end(cql_type, data, end)
    return items


cdef object _decode_vector_tuple(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    items = _decode_vector_list(cql_type, data, size)
    return None if items is None else tuple(items)


cdef object _decode_vector_array(CqlType cql_type, const uint8_t* data, Py_ssize_t size):
    cdef Py_ssize_t i, n = cql_type.dimension, width = cql_type.first.width
    cdef array.array items
    # Where the server writes a length before each item, it is one byte, for no item is longer than two.
    cdef Py_ssize_t step = width + (cql_type.first.vector_width == 0)
    if size != n * step:
        return _unfit(cql_type, size)
    items = array.clone(cql_type.first.array_template, n, False)
    if step == width:
        swap_array(items.data.as_voidptr, data, n, width)
        return items
    for i in range(n):
        if data[i * step] != width:
            raise _errors.DecodeError(f"an item of {data[i * step]} bytes within type {cql_type.name}")
        swap_array(items.data.as_chars + i * width, data + i * step + 1, 1, width)
    return items
