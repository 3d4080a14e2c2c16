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

cdef CassError _LIB_UNEXPECTED_RESPONSE = (1 << 24) | 6
cdef CassError _LIB_NO_HOSTS_AVAILABLE = (1 << 24) | 10
cdef CassError _LIB_REQUEST_TIMED_OUT = (1 << 24) | 14
cdef CassError _LIB_EXECUTION_PROFILE_INVALID = (1 << 24) | 34
cdef CassError _SERVER_UNPREPARED = (2 << 24) | 0x2500

_CONSISTENCY_NAMES = {
    0: "ANY", 1: "ONE", 2: "TWO", 3: "THREE", 4: "QUORUM", 5: "ALL", 6: "LOCAL_QUORUM", 7: "EACH_QUORUM", 8: "SERIAL",
    9: "LOCAL_SERIAL", 10: "LOCAL_ONE",
}
# CassWriteType, in its order
_WRITE_TYPES = (None, "SIMPLE", "BATCH", "UNLOGGED_BATCH", "COUNTER", "BATCH_LOG", "CAS", "VIEW", "CDC")
# Server errors that carry counts of replicas, and those that carry a write type (native_protocol_v4.spec, section 9).
_WITH_COUNTS = frozenset((_errors.Unavailable, _errors.ReadTimeout, _errors.WriteTimeout, _errors.ReadFailure,
                          _errors.WriteFailure))


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
    if code == _LIB_EXECUTION_PROFILE_INVALID:
        message = f"execution profile {message}"
    error_class = _errors.class_of_code(code)
    error = error_class(message)
    error.code = code
    error.query = _text_of_query(query)
    error.coordinator = coordinator_of(future)
    error.retryable = error_class.retryable or idempotent
    cdef ErrorResultHandle result
    result.reset(driver.cass_future_get_error_result(future))
    if result.get() != NULL:
        _read_error_result(error, error_class, result.get())
    return error


cdef object lost_unless_late(object error, double elapsed, double timeout):
    """`error`, or what it should be: the driver reports every request of a connection that broke as timed out."""
    if error.code != _LIB_REQUEST_TIMED_OUT or elapsed >= timeout - max(0.005, 0.05 * timeout):
        return error
    lost = _errors.ConnectionLost("the connection was lost while the request was in flight")
    lost.__dict__.update(error.__dict__)
    return lost


cdef int _read_error_result(object error, object error_class, const CassErrorResult* result) except -1:
    cdef const char* text = NULL
    cdef size_t length = 0
    cdef size_t i
    if error_class in _WITH_COUNTS:
        error.consistency = _CONSISTENCY_NAMES.get(driver.cass_error_result_consistency(result))
        error.received = driver.cass_error_result_responses_received(result)
        error.required = driver.cass_error_result_responses_required(result)
    if error_class is _errors.ReadTimeout or error_class is _errors.ReadFailure:
        error.data_present = driver.cass_error_result_data_present(result) != 0
    if error_class is _errors.WriteTimeout or error_class is _errors.WriteFailure:
        error.write_type = _WRITE_TYPES[driver.cass_error_result_write_type(result)]
    if error_class is _errors.ReadFailure or error_class is _errors.WriteFailure:
        error.failures = driver.cass_error_result_num_failures(result)
    if error_class is _errors.AlreadyExists or error_class is _errors.FunctionFailure:
        if driver.cass_error_result_keyspace(result, &text, &length) == CASS_OK:
            error.keyspace = text[:length].decode("utf-8", "replace")
    if error_class is _errors.AlreadyExists:
        if driver.cass_error_result_table(result, &text, &length) == CASS_OK and length != 0:
            error.table = text[:length].decode("utf-8", "replace")
    if error_class is _errors.FunctionFailure:
        if driver.cass_error_result_function(result, &text, &length) == CASS_OK:
            error.function = text[:length].decode("utf-8", "replace")
        types = []
        for i in range(driver.cass_error_num_arg_types(result)):
            if driver.cass_error_result_arg_type(result, i, &text, &length) == CASS_OK:
                types.append(text[:length].decode("utf-8", "replace"))
        error.argument_types = tuple(types)
    return 0


cdef object _text_of_query(object query):
    if isinstance(query, str) or query is None:
        return query
    if isinstance(query, PreparedStatement):
        return (<PreparedStatement>query).query
    return repr(query)
