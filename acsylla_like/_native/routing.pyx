# Tokens of partition keys and the shards that own them, without asking anybody; and what a partition key may not be.

# Seconds until the driver is asked again for a table that it did not know.
cdef double _ROLES_AGE = 0.5


def token_of(key):
    """The token of a partition key, as Murmur3Partitioner computes it: an int from -2**63 to 2**63 - 1.

    `key` is the bytes that a row's partition key has in the protocol: bytes for a key of one column, a sequence of bytes, one for
    each column in their order, for one of several (or of one).

    Raises TypeError for what is no bytes, ValueError for a part of more than 65,535 bytes among several and for no part at all.
    """
    cdef bytes data = routing_key_of(key)
    return murmur3_token(<const uint8_t*><const char*>data, len(data))


def shard_of(token, nr_shards, ignore_msb):
    """The shard that owns a token on a ScyllaDB node: from 0 to `nr_shards` - 1.

    `nr_shards` and `ignore_msb` are what the node says in SCYLLA_NR_SHARDS and SCYLLA_SHARDING_IGNORE_MSB.

    Raises TypeError for what is no int, ValueError for a number out of its range.
    """
    cdef int64_t place
    for name, value, least, most in (("token", token, -(1 << 63), (1 << 63) - 1),
                                     ("nr_shards", nr_shards, 1, (1 << 32) - 1), ("ignore_msb", ignore_msb, 0, 63)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if not least <= value <= most:
            raise ValueError(f"{name} must be between {least} and {most}, not {value}")
    place = token
    return shard_of_token(place, nr_shards, ignore_msb)


cpdef bytes routing_key_of(object key):
    """The bytes that a partition key is hashed by: those of its only column; of several, for each its length in two bytes, the
    bytes and a zero. Takes and raises what `token_of` does."""
    cdef Buffer out
    if isinstance(key, (bytes, bytearray, memoryview)):
        return bytes(key)
    if isinstance(key, (str, _Mapping, set, frozenset)):
        raise TypeError(f"a partition key is bytes or a sequence of bytes, not {type(key).__name__}")
    try:
        parts = tuple(key)
    except TypeError:
        raise TypeError(f"a partition key is bytes or a sequence of bytes, not {type(key).__name__}") from None
    if not parts:
        raise ValueError("a partition key has one column at least")
    for i, part in enumerate(parts):
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise TypeError(f"part {i} of the partition key must be bytes, not {type(part).__name__}")
    if len(parts) == 1:
        return bytes(parts[0])
    for i, part in enumerate(parts):
        part = bytes(part)
        if <size_t>len(part) > LONGEST_KEY_PART:
            raise ValueError(f"part {i} of the partition key has {len(part)} bytes: {LONGEST_KEY_PART} are the most")
        out.put_int16(<int16_t><uint16_t>len(part))
        out.put_bytes(<const char*><bytes>part, len(part))
        out.put_int8(0)
    return (<const char*>out.data())[:out.size()]


def token_of_values(PreparedVersion version not None, tuple indexes not None, parameters):
    """The token of a row of parameters, of which those at `indexes` are the partition key in its order.

    Raises what binding them raises for those of the key."""
    cdef Buffer key
    cdef Buffer part
    cdef tuple values = positional(parameters, version)
    cdef CqlType cql_type
    cdef bytes data
    cdef bint is_composite = len(indexes) > 1
    for i in indexes:
        value = values[i]
        cql_type = version.parameter_types[i]
        part.clear()
        try:
            if value is None or value is _UNSET:
                raise ValueError(f"expected a value, since it is a part of the partition key, got {_got(value)}")
            if type(value) is EncodedValue:
                data = _bytes_for(<EncodedValue>value, cql_type)
                part.put_bytes(<const char*>data, len(data))
            else:
                cql_type.encode_function(cql_type, value, part)
            if cql_type.has_order:
                put_in_order(cql_type, part)
            if part.size() > LONGEST_KEY_PART:
                raise ValueError(f"expected {LONGEST_KEY_PART} bytes at most, since it is a part of the partition key, "
                                 f"got {part.size()} in {_got(value)}")
            if part.size() == 0 and not is_composite:
                raise ValueError(f"expected a value that is not empty, since it is the partition key, got {_got(value)}")
        except (TypeError, ValueError, OverflowError) as error:
            raise bind_error(version.parameter_names[i], cql_type, value, error) from None
        if is_composite:
            key.put_int16(<int16_t><uint16_t>part.size())
        key.put_bytes(part.data(), part.size())
        if is_composite:
            key.put_int8(0)
    return murmur3_token(key.data(), key.size())


cdef int put_in_order(CqlType cql_type, Buffer& buffer) except -1:
    """Sorts sets and maps in the bytes of a value."""
    from acsylla_like.key_order import in_order
    cdef bytes data = in_order(cql_type, (<const char*>buffer.data())[:buffer.size()])
    buffer.clear()
    buffer.put_bytes(<const char*>data, len(data))
    return 0


cdef tuple partition_key_of(Session session, str keyspace, str table):
    """The columns of a table's partition key as the driver knows them; None for a table that it does not know."""
    cdef const CassSchemaMeta* schema
    cdef const CassKeyspaceMeta* keyspace_meta
    cdef const CassTableMeta* table_meta = NULL
    cdef const char* name = NULL
    cdef size_t length = 0
    cdef size_t i
    cdef bytes text
    if driver.cass_session_get_schema_meta == NULL or driver.cass_schema_meta_free == NULL or \
            driver.cass_schema_meta_keyspace_by_name_n == NULL or driver.cass_keyspace_meta_table_by_name_n == NULL or \
            driver.cass_table_meta_partition_key_count == NULL or driver.cass_table_meta_partition_key == NULL or \
            driver.cass_column_meta_name == NULL or session.owner.get() == NULL:
        return None
    schema = driver.cass_session_get_schema_meta(session.owner.get())
    try:
        text = keyspace.encode()
        keyspace_meta = driver.cass_schema_meta_keyspace_by_name_n(schema, <const char*>text, len(text))
        if keyspace_meta != NULL:
            text = table.encode()
            table_meta = driver.cass_keyspace_meta_table_by_name_n(keyspace_meta, <const char*>text, len(text))
        if table_meta == NULL:
            return None
        columns = []
        for i in range(driver.cass_table_meta_partition_key_count(table_meta)):
            driver.cass_column_meta_name(driver.cass_table_meta_partition_key(table_meta, i), &name, &length)
            columns.append(name[:length].decode())
        return tuple(columns) or None
    finally:
        driver.cass_schema_meta_free(schema)


cdef int find_roles(PreparedVersion version) except -1:
    """Which parameters are columns of the partition key; as good as it can be told now."""
    cdef Session session
    cdef size_t i
    if version.roles_sought_at != 0 and monotonic() < version.roles_sought_at + _ROLES_AGE:
        return 0
    version.roles_sought_at = monotonic()
    from acsylla_like.key_markers import index_of, read
    found = read(version.text)
    indexes = ()
    if not isinstance(found, str):
        keyspace = version.keyspace if found.keyspace is None else found.keyspace
        session = version.session_reference()
        if session is None or keyspace is None or not session.is_open:
            return 0
        key = partition_key_of(session, keyspace, found.table)
        if key is None:
            return 0
        version.key_columns = len(key)
        indexes = [index_of(found, version.parameter_names, column) for column in key]
    for i in range(version.roles.size()):
        version.roles[i] = ROLE_KEY if i in indexes else ROLE_NO_KEY
    return 0


cdef int refuse_if_key(PreparedVersion version, size_t index, object value) except -1:
    """Raises ValueError for None or UNSET as a column of the partition key, which no row is without."""
    if version.roles[index] == ROLE_KEY:  # the table may be another one by the same name since
        version.roles[index] = ROLE_UNKNOWN
        version.roles_sought_at = 0
    if version.roles[index] == ROLE_UNKNOWN:
        find_roles(version)
    if version.roles[index] == ROLE_KEY:
        raise ValueError(f"expected a value, since it is a part of the partition key, got {_got(value)}")
    return 0


cdef int put_as_key(PreparedVersion version, size_t index, object value, Buffer& buffer) except -1:
    """Has a column of the partition key sent as the server keeps it, since the driver finds its node by the bytes that are sent.

    Raises ValueError for an empty key."""
    if version.roles[index] == ROLE_UNKNOWN:
        find_roles(version)
    if version.roles[index] != ROLE_KEY:
        return 0
    if buffer.size() == 0:
        if version.key_columns == 1:
            raise ValueError(f"expected a value that is not empty, since it is the partition key, got {_got(value)}")
        return 0
    return put_in_order(version.parameter_types[index], buffer)
