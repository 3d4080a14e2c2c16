# From the driver's codes and error results to the exceptions of errors.py.

from acsylla_like import errors as _errors

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <sys/socket.h>

    /* The text of a socket address and its port; 0 when the family is unknown. */
    static int acsylla_like_sockaddr_text(const struct sockaddr* address, char* text, int size) {
      if (address->sa_family == AF_INET) {
        const struct sockaddr_in* v4 = (const struct sockaddr_in*)address;
        inet_ntop(AF_INET, &v4->sin_addr, text, size);
        return ntohs(v4->sin_port);
      }
      if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6* v6 = (const struct sockaddr_in6*)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, size);
        return ntohs(v6->sin6_port);
      }
      return 0;
    }
    """
    int acsylla_like_sockaddr_text(const sockaddr* address, char* text, int size) nogil

_CONSISTENCY_NAMES = {
    0: "ANY", 1: "ONE", 2: "TWO", 3: "THREE", 4: "QUORUM", 5: "ALL", 6: "LOCAL_QUORUM", 7: "EACH_QUORUM", 8: "SERIAL",
    9: "LOCAL_SERIAL", 10: "LOCAL_ONE",
}
# CassWriteType, in its order
_WRITE_TYPES = (None, "SIMPLE", "BATCH", "UNLOGGED_BATCH", "COUNTER", "BATCH_LOG", "CAS", "VIEW", "CDC")


class Coordinator(str):
    """The node that answered a request: its str is `address:port`.

    `.address` is the IP address as text, `.port` the port.
    """

    __slots__ = ("address", "port")

    def __new__(cls, address, port):
        self = super().__new__(cls, f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        self.address = address
        self.port = port
        return self

    def __reduce__(self):
        return (Coordinator, (self.address, self.port))


cdef int check(CassError code, str what) except -1:
    """Raises what `code` says about `what`; the only way from a code to an exception without a future."""
    if code == CASS_OK:
        return 0
    error = _errors.class_of_code(code)(f"{what}: {driver.cass_error_desc(code).decode().lower()}")
    error.code = code
    raise error


cdef int require(void* function, str name) except -1:
    """Raises when the library in use lacks the OPTIONAL function `name`."""
    if function == NULL:
        raise _errors.UnsupportedByDriver(f"the driver library {library_path()} has no {name}")
    return 0


cdef object coordinator_of(CassFuture* future):
    """The node that answered, or None where the library cannot tell."""
    cdef char storage[128]
    cdef char text[64]
    if driver.cass_future_coordinator == NULL or driver.node_sockaddr == NULL:
        return None
    cdef const CassNode* node = driver.cass_future_coordinator(future)
    if node == NULL:
        return None
    cdef int port = acsylla_like_sockaddr_text(driver.node_sockaddr(node, storage), text, sizeof(text))
    return None if port == 0 else Coordinator((<bytes>text).decode(), port)


cdef object uuid_of(CassUuid value):
    cdef uint64_t time_low = value.time_and_version & 0xFFFFFFFFu
    cdef uint64_t time_mid = (value.time_and_version >> 32) & 0xFFFFu
    cdef uint64_t time_high = value.time_and_version >> 48
    high = (time_low << 32) | (time_mid << 16) | time_high
    return _uuid.UUID(int=(int(high) << 64) | int(value.clock_seq_and_node))


cdef object error_of_future(CassFuture* future, CassError code, object query, bint idempotent):
    """The exception for a future that is set to an error, with all that the driver knows."""
    cdef const char* text = NULL
    cdef size_t length = 0
    driver.cass_future_error_message(future, &text, &length)
    message = text[:length].decode("utf-8", "replace") if length else driver.cass_error_desc(code).decode()
    if code == LIB_EXECUTION_PROFILE_INVALID:
        message = f"execution profile {message}"
    error_class = _errors.class_of_code(code)
    error = error_class(message)
    error.code = code
    error.query = _text_of_query(query)
    error.coordinator = coordinator_of(future)
    error.retryable = error_class.retryable or idempotent
    if is_transient(code) and not error_class.transient:  # of a class that has codes of several kinds
        error.transient = True
    cdef ErrorResultHandle result
    result.reset(driver.cass_future_get_error_result(future))
    if result.get() != NULL:
        _read_error_result(error, result.get())
    return error


cdef object lost_unless_late(object error, CassFuture* future, double elapsed, double timeout):
    """`error`, or what it should be: the driver reports every request of a connection that broke as timed out, too. Of a library
    that cannot tell, the clock must."""
    if error.code != LIB_REQUEST_TIMED_OUT:
        return error
    if not (has_lost_connection(future, LIB_REQUEST_TIMED_OUT) if tells_lost_connections() else
            elapsed < timeout - max(0.005, 0.05 * timeout)):
        return error
    lost = _errors.ConnectionLost("the connection was lost while the request was in flight")
    lost.__dict__.update(error.__dict__)
    lost.code = LIB_WRITE_ERROR
    return lost


cdef int _read_error_result(object error, const CassErrorResult* result) except -1:
    for field in type(error).fields:
        setattr(error, field, _read_field(field, result))
    return 0


cdef object _read_field(str field, const CassErrorResult* result):
    cdef const char* text = NULL
    cdef size_t length = 0
    cdef size_t i
    cdef CassError code = CASS_OK
    if field == "consistency":
        return _CONSISTENCY_NAMES.get(driver.cass_error_result_consistency(result))
    if field == "received":
        return driver.cass_error_result_responses_received(result)
    if field == "required":
        return driver.cass_error_result_responses_required(result)
    if field == "failures":
        return driver.cass_error_result_num_failures(result)
    if field == "data_present":
        return driver.cass_error_result_data_present(result) != 0
    if field == "write_type":
        return _WRITE_TYPES[driver.cass_error_result_write_type(result)]
    if field == "argument_types":
        types = []
        for i in range(driver.cass_error_num_arg_types(result)):
            if driver.cass_error_result_arg_type(result, i, &text, &length) == CASS_OK:
                types.append(text[:length].decode("utf-8", "replace"))
        return tuple(types)
    if field == "keyspace":
        code = driver.cass_error_result_keyspace(result, &text, &length)
    elif field == "table":
        code = driver.cass_error_result_table(result, &text, &length)
    elif field == "function":
        code = driver.cass_error_result_function(result, &text, &length)
    else:
        raise AssertionError(f"no error carries {field}")
    # The table is empty where it is a keyspace that exists.
    return text[:length].decode("utf-8", "replace") if code == CASS_OK and length != 0 else None


cdef object _text_of_query(object query):
    if isinstance(query, str) or query is None:
        return query
    if isinstance(query, PreparedStatement):
        return (<PreparedStatement>query).query
    return repr(query)
