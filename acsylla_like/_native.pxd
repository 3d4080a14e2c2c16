# Fields of every native class and every C++ declaration, on one page.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from cpython.object cimport PyObject
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

# ---- the driver -------------------------------------------------------------------------------------------------------

cdef extern from "driver_types.hpp" nogil:
    struct sockaddr
    struct CassAuthenticator
    struct CassAuthenticatorCallbacks
    struct CassBatch
    struct CassCluster
    struct CassCollection
    struct CassColumnMeta
    struct CassCustomPayload
    struct CassDataType
    struct CassErrorResult
    struct CassExecProfile
    struct CassFuture
    struct CassIterator
    struct CassKeyspaceMeta
    struct CassNode
    struct CassPrepared
    struct CassResult
    struct CassRetryPolicy
    struct CassRow
    struct CassSchemaMeta
    struct CassSession
    struct CassSsl
    struct CassStatement
    struct CassTableMeta
    struct CassTimestampGen
    struct CassTuple
    struct CassUserType
    struct CassValue
    ctypedef uint32_t CassError
    ctypedef uint32_t CassBool
    ctypedef uint32_t CassConsistency
    ctypedef uint32_t CassValueType
    ctypedef uint32_t CassCollectionType
    ctypedef uint32_t CassBatchType
    ctypedef uint32_t CassLogLevel
    ctypedef uint32_t CassWriteType
    ctypedef uint32_t CassHostListenerEvent
    CassError CASS_OK
    struct CassUuid:
        uint64_t time_and_version
        uint64_t clock_seq_and_node
    struct CassInet:
        uint8_t address[16]
        uint8_t address_length
    struct CassRequestMetrics "decltype(CassMetrics::requests)":
        uint64_t min, max, mean, stddev, median
        uint64_t percentile_75th, percentile_95th, percentile_98th, percentile_99th, percentile_999th
        double mean_rate, one_minute_rate, five_minute_rate, fifteen_minute_rate
    struct CassStatsMetrics "decltype(CassMetrics::stats)":
        uint64_t total_connections
    struct CassErrorMetrics "decltype(CassMetrics::errors)":
        uint64_t connection_timeouts, pending_request_timeouts, request_timeouts
    struct CassMetrics:
        CassRequestMetrics requests
        CassStatsMetrics stats
        CassErrorMetrics errors
    struct CassSpeculativeExecutionMetrics:
        uint64_t min, max, mean, stddev, median
        uint64_t percentile_75th, percentile_95th, percentile_98th, percentile_99th, percentile_999th
        uint64_t count
        double percentage
    struct CassLogMessage:
        uint64_t time_ms
        CassLogLevel severity
        const char* file
        int line
        const char* function
        const char message[1024]
    ctypedef void (*CassFutureCallback)(CassFuture* future, void* data) noexcept
    ctypedef void (*CassLogCallback)(const CassLogMessage* message, void* data) noexcept
    ctypedef void (*CassHostListenerCallback)(CassHostListenerEvent event, CassInet address, void* data) noexcept
    ctypedef void (*CassAuthenticatorDataCleanupCallback)(void* data) noexcept

include "_native/driver_table.pxi"

cdef extern from "error_codes.hpp" namespace "acsylla_like" nogil:
    CassError LIB_UNEXPECTED_RESPONSE "acsylla_like::error_code::LIB_UNEXPECTED_RESPONSE"
    CassError LIB_WRITE_ERROR "acsylla_like::error_code::LIB_WRITE_ERROR"
    CassError LIB_NO_HOSTS_AVAILABLE "acsylla_like::error_code::LIB_NO_HOSTS_AVAILABLE"
    CassError LIB_REQUEST_TIMED_OUT "acsylla_like::error_code::LIB_REQUEST_TIMED_OUT"
    CassError LIB_EXECUTION_PROFILE_INVALID "acsylla_like::error_code::LIB_EXECUTION_PROFILE_INVALID"
    CassError SERVER_UNPREPARED "acsylla_like::error_code::SERVER_UNPREPARED"
    cbool was_refused(CassError code)
    cbool may_be_applied(CassError code, cbool is_idempotent)
    cbool is_transient(CassError code)
    cbool tells_lost_connections()
    cbool has_lost_connection(CassFuture* future, CassError code)

cdef extern from "driver.hpp" namespace "acsylla_like" nogil:
    string load_driver(const string& path)
    const string& driver_path()
    void* driver_library()
    vector[pair[string, cbool]] driver_features()
    string driver_symbol_text(const string& symbol)

cdef extern from "handles.hpp" namespace "acsylla_like" nogil:
    cppclass Handle[T]:
        T* get()
        void reset(T* object)
        T* release()
    ctypedef Handle[CassBatch] BatchHandle "acsylla_like::BatchHandle"
    ctypedef Handle[CassCluster] ClusterHandle "acsylla_like::ClusterHandle"
    ctypedef Handle[CassCustomPayload] CustomPayloadHandle "acsylla_like::CustomPayloadHandle"
    ctypedef Handle[const CassErrorResult] ErrorResultHandle "acsylla_like::ErrorResultHandle"
    ctypedef Handle[CassExecProfile] ExecProfileHandle "acsylla_like::ExecProfileHandle"
    ctypedef Handle[CassFuture] FutureHandle "acsylla_like::FutureHandle"
    ctypedef Handle[CassIterator] IteratorHandle "acsylla_like::IteratorHandle"
    ctypedef Handle[const CassPrepared] PreparedHandle "acsylla_like::PreparedHandle"
    ctypedef Handle[const CassResult] ResultHandle "acsylla_like::ResultHandle"
    ctypedef Handle[CassRetryPolicy] RetryPolicyHandle "acsylla_like::RetryPolicyHandle"
    ctypedef Handle[CassSsl] SslHandle "acsylla_like::SslHandle"
    ctypedef Handle[CassStatement] StatementHandle "acsylla_like::StatementHandle"
    ctypedef Handle[CassTimestampGen] TimestampGenHandle "acsylla_like::TimestampGenHandle"

# ---- types ------------------------------------------------------------------------------------------------------------

cdef extern from "buffer.hpp" namespace "acsylla_like" nogil:
    cppclass Buffer:
        const uint8_t* data()
        size_t size()
        void clear()
        uint8_t* extend(size_t size) except +
        void put_bytes(const void* bytes, size_t size) except +
        void put_int8(int8_t value) except +
        void put_int16(int16_t value) except +
        void put_int32(int32_t value) except +
        void put_int64(int64_t value) except +
        void put_float(float value) except +
        void put_double(double value) except +
        void put_vint(int64_t value) except +
        void put_unsigned_vint(uint64_t value) except +
        void insert_unsigned_vint(size_t position) except +
        void patch_int32(size_t position, int32_t value)
        bint patch_length(size_t position)
    Number load[Number](const uint8_t* data)
    void store[Number](uint8_t* data, Number number)
    cbool all_ascii(const uint8_t* data, size_t size)
    void swap_array(void* to, const void* from_, size_t n, size_t width)
    const uint8_t* read_vint(const uint8_t* data, const uint8_t* end, int64_t* value)
    const uint8_t* read_unsigned_vint(const uint8_t* data, const uint8_t* end, uint64_t* value)

cdef extern from "bind_value.hpp" namespace "acsylla_like" nogil:
    CassError bind_value(CassStatement* statement, size_t index, const CassDataType* type, const uint8_t* data,
                         size_t size)
    enum ValueType:
        VALUE_CUSTOM, VALUE_ASCII, VALUE_BIGINT, VALUE_BLOB, VALUE_BOOLEAN, VALUE_COUNTER, VALUE_DECIMAL, VALUE_DOUBLE
        VALUE_FLOAT, VALUE_INT, VALUE_TEXT, VALUE_TIMESTAMP, VALUE_UUID, VALUE_VARCHAR, VALUE_VARINT, VALUE_TIMEUUID
        VALUE_INET, VALUE_DATE, VALUE_TIME, VALUE_SMALLINT, VALUE_TINYINT, VALUE_DURATION, VALUE_LIST, VALUE_MAP
        VALUE_SET, VALUE_UDT, VALUE_TUPLE, VALUE_UNKNOWN

cdef class CqlType

# Appends the bytes of a value that is not None, without a length word; after an error `out` holds rubbish.
ctypedef int (*EncodeFunction)(CqlType cql_type, object value, Buffer& out) except -1
ctypedef object (*DecodeFunction)(CqlType cql_type, const uint8_t* data, Py_ssize_t size)
# `data` starts after the element count.
ctypedef object (*DecodeItemsFunction)(CqlType cql_type, Py_ssize_t count, const uint8_t* data, Py_ssize_t size)

cdef class CqlType:
    cdef readonly int kind              # a ValueType; VALUE_CUSTOM for vectors, too
    cdef readonly str name
    cdef readonly tuple types           # of elements, key and value, or fields
    cdef readonly tuple field_names
    cdef readonly str keyspace
    cdef readonly str type_name         # a user type's name, or a custom type's class
    cdef readonly Py_ssize_t dimension  # of a vector, otherwise -1
    cdef readonly bint is_frozen
    cdef readonly bint has_order        # holds sets or maps, which the server sorts
    cdef readonly object user_class     # made from a user type's fields, or None for a dict
    cdef tuple class_fields             # the fields that user_class takes, or None for all
    cdef bint is_member                 # decodes to something hashable, for set members and map keys
    cdef CqlType first                  # types[0], types[1]: saves a tuple access per element
    cdef CqlType second
    cdef Py_ssize_t vector_width        # of an element of this type in a vector; 0: each has a length before it
    cdef Py_ssize_t width               # of the bytes, or 0 when it varies
    cdef object array_template          # an empty array.array for elements of this type, or None
    cdef EncodeFunction encode_function
    cdef DecodeFunction decode_function
    cdef DecodeItemsFunction decode_items_function  # for a column: a list, set or map; otherwise NULL

cdef CqlType cql_type_from_driver(const CassDataType* data_type, dict user_types)
cdef object bind_error(str column, CqlType cql_type, object value, object error)
cdef object decode_column(CqlType cql_type, const CassValue* value)
cdef object decode_cell(CqlType cql_type, const uint8_t* data, Py_ssize_t size)

cdef extern from "routing.hpp" namespace "acsylla_like" nogil:
    int64_t murmur3_token(const uint8_t* key, size_t size)
    uint32_t shard_of_token(int64_t token, uint32_t shards, unsigned ignored_bits)
    const size_t LONGEST_KEY_PART

# ---- the bridge -------------------------------------------------------------------------------------------------------

cdef extern from "wakeup.hpp" namespace "acsylla_like" nogil:
    cppclass Wakeup:
        cbool open(cbool prefer_pipe)
        void close()
        int fd()
        void clear()

cdef extern from "mailbox.hpp" namespace "acsylla_like" nogil:
    cppclass Mailbox[Item]:
        Item* take_all()
        void give_back(Item* items)
        void set_wakeup(Wakeup* wakeup)
        size_t size()

cdef extern from "callbacks.hpp" namespace "acsylla_like" nogil:
    cppclass Ticket:
        Ticket* next
        Mailbox[Ticket]* mailbox
        void* owner
    cppclass LogLine:
        LogLine* next
        CassLogMessage message
    CassError notify_when_set(CassFuture* future, Ticket* ticket)
    Mailbox[LogLine]& log_lines()
    void start_logging(CassLogLevel level)
    uint64_t take_dropped_log_lines()
    void forget_inherited_log_lines()

cdef extern from "session_owner.hpp" namespace "acsylla_like" nogil:
    cppclass CurrentSession:
        pass
    cppclass SessionOwner:
        cbool create()
        CassSession* get()
        void set_connecting(CassFuture* connecting)
        CassFuture* close()
        CassFuture* transition()
        cbool wait_for_transition(uint64_t microseconds)
        const shared_ptr[CurrentSession]& current()
        void exchange(SessionOwner& other)
        cbool was_connected()
        cbool is_of_this_process()
        void reset()
    void drop_all_sessions()
    cbool wait_until_freed(unsigned milliseconds)
    unsigned sessions_being_freed()
    unsigned fork_generation()

cdef extern from "session_watch.hpp" namespace "acsylla_like" nogil:
    enum class SessionEventKind(int):
        host_up
        host_down
        host_added
        host_removed
        ports_low
        ports_gone
    struct SessionEvent:
        uint64_t session
        SessionEventKind kind
        CassInet address
    struct PortSupply:
        uint64_t connections
        unsigned tries
        unsigned base_delay
        unsigned max_delay
    CassError note_host_events(CassCluster* cluster, uint64_t session)
    cbool wait_for_session_event(SessionEvent* event, int64_t milliseconds)
    void interrupt_session_events()
    void watch_ports(uint64_t number, CassSession* session, const PortSupply& supply) except +

cdef extern from "authenticator.hpp" namespace "acsylla_like" nogil:
    cppclass AuthQuestion "acsylla_like::Authenticator::Question":
        uint64_t id
        uint64_t exchange
        int kind
        string token
        string address
        string server
    cppclass CAuthenticator "acsylla_like::Authenticator":
        CAuthenticator(double timeout, double renew_after, cbool wants_challenges, cbool wants_success) except +
        void set_response(string response) except +
        uint64_t open() except +
        void close()
        cbool next(uint64_t worker, AuthQuestion& question) except +
        cbool answer(uint64_t id, string response) except +
        cbool refuse(uint64_t id, string reason) except +
    CassError attach_authenticator(CassCluster* cluster, shared_ptr[CAuthenticator] authenticator) except +

cdef extern from "row_walk.hpp" namespace "acsylla_like" nogil:
    void allow_row_walk(cbool allowed)
    cbool row_walk_allowed()
    cbool guard_driver_decoder(void* handle)
    enum RowsFound:
        ROWS_UNKNOWN
        ROWS_FOUND
        ROWS_TRUNCATED
    RowsFound find_rows(const CassResult* result, const CassIterator* iterator, size_t columns, const uint8_t** first,
                        const uint8_t** end)

cdef extern from "arrow_abi.hpp" namespace "acsylla_like" nogil:
    # The interface's own names are taken by the classes below.
    struct CArrowSchema "acsylla_like::ArrowSchema":
        const char* format
        const char* name
        int64_t n_children
        CArrowSchema** children
        void (*release)(CArrowSchema*) noexcept
    struct CArrowArray "acsylla_like::ArrowArray":
        void (*release)(CArrowArray*) noexcept
    struct CArrowArrayStream "acsylla_like::ArrowArrayStream":
        int (*get_schema)(CArrowArrayStream*, CArrowSchema*) noexcept nogil
        int (*get_next)(CArrowArrayStream*, CArrowArray*) noexcept nogil
        const char* (*get_last_error)(CArrowArrayStream*) noexcept nogil
        void (*release)(CArrowArrayStream*) noexcept nogil
        void* private_data

cdef extern from "arrow_array.hpp" namespace "acsylla_like" nogil:
    cppclass ArrowType:
        int kind
        int64_t dimension
        int64_t vector_width
        int precision
        int scale
        string name
        vector[string] field_names
        vector[ArrowType] children
    cppclass ArrowField:
        string name
        ArrowType type
    ctypedef vector[ArrowField] ArrowFields
    cppclass ArrayData:
        int64_t length
    ctypedef shared_ptr[const ArrayData] ArrowData "acsylla_like::ArrowBatch"
    void export_schema(const ArrowFields& fields, CArrowSchema* out) except +
    void export_array(const ArrowData& batch, CArrowArray* out) except +
    void export_stream(shared_ptr[const ArrowFields] fields, vector[ArrowData] batches, CArrowArrayStream* out) except +
    void release_if_held(CArrowSchema* schema)
    void release_if_held(CArrowArray* array)
    void release_if_held(CArrowArrayStream* stream)
    void stream_of_array(CArrowSchema* schema, CArrowArray* array, CArrowArrayStream* out) except +
    int64_t exported_structures()

cdef extern from "arrow_rows.hpp" namespace "acsylla_like" nogil:
    cppclass DecodedPage:
        vector[ArrowData] batches
        string error
        int64_t row
        int64_t column
    DecodedPage decode_page(const CassResult* result, const ArrowFields& fields, size_t batch_bytes) except +
    const size_t arrow_batch_bytes

cdef extern from "bulk_write.hpp" namespace "acsylla_like" nogil:
    cppclass BulkOptions:
        size_t concurrency
        unsigned retries
        cbool may_repeat
        cbool repeats_overloaded
        cbool gives_back
    cppclass Latencies:
        vector[double] summary() except +
    cppclass BulkSlot "acsylla_like::BulkWrite::Slot":
        BulkSlot* next
        StatementHandle statement
        BatchHandle batch
        FutureHandle future
        int64_t row
        vector[int64_t] other_rows
        unsigned tries
        CassError code
    cppclass BulkWrite:
        BulkWrite(shared_ptr[CurrentSession] session, const BulkOptions& options) except +
        cbool has_room()
        BulkSlot* take_slot()
        void submit(BulkSlot* slot)
        void release(BulkSlot* slot)
        size_t index_of(const BulkSlot* slot)
        BulkSlot* take_answers(size_t most)
        cbool has_left_answers()
        void send_due()
        double seconds_to_next_due()
        BulkSlot* give_up()
        void notify_when(size_t answers, Ticket* ticket)
        void interrupt()
        size_t in_flight()
        double last_sent()
        size_t unfinished()
        int64_t written()
        int64_t retried()
        const Latencies& latencies()
        int64_t first_unsettled(int64_t next)
    cppclass BulkWriteHandle:
        BulkWrite* get()
        void reset(BulkWrite* write)
        BulkWrite* release()
    double seconds_in_flight(const BulkSlot& slot)

cdef extern from "arrow_load.hpp" namespace "acsylla_like" nogil:
    cppclass LoadColumn:
        size_t child
        string name
        ArrowType type
        cbool is_key
        cbool is_partition_key
        const CassDataType* data_type
    cppclass LoadOptions:
        size_t concurrency
        unsigned retries
        cbool stops
        cbool writes_nulls
        cbool truncate
        int64_t skip
        size_t batch_bytes
        double max_rate
        uint64_t timeout
        int64_t consistency
        string execution_profile
    cppclass LoadFailure:
        int64_t row
        int64_t column
        CassError code
        cbool may_be_written
        string message
    cppclass LoadCounters:
        int64_t rows, failed, retries, truncated, in_flight, settled
        vector[double] latencies
    cppclass CArrowLoad "acsylla_like::ArrowLoad":
        CArrowLoad(CArrowArrayStream* stream, shared_ptr[CurrentSession] session, const CassPrepared* prepared, LoadOptions options) except +
        string prepare(const CArrowSchema& schema, vector[LoadColumn] columns) except +
        void read()
        void send()
        void stop(const string& reason) except +
        LoadCounters counters()
        vector[LoadFailure] take_failures() except +
        string stopped() except +

# ---- a request, from its statement to its rows ------------------------------------------------------------------------

cdef class Options:
    cdef double timeout                 # seconds; NaN: not given
    cdef int64_t consistency            # -1: not given, as below
    cdef int64_t serial_consistency
    cdef readonly int page_size         # rows; 0: not given
    cdef readonly bytes paging_state
    cdef bint has_timestamp
    cdef int64_t timestamp              # microseconds since 1970
    cdef int idempotent                 # 1, 0, -1: not given
    cdef int tracing
    cdef bytes execution_profile
    cdef CustomPayloadHandle custom_payload
    cdef dict custom_payload_items      # what custom_payload was made of
    cdef bytes host
    cdef int host_port
    cdef readonly object retry_policy
    cdef double try_timeout             # the policy's, seconds; infinity: none
    cdef readonly object routing_key    # bytes, a tuple of the key's values, or None
    cdef int _take(self, Options other) except -1
    cdef int _set_custom_payload(self, object items) except -1
    cdef int _set_host(self, object host) except -1
    cdef int _set_routing_key(self, object key) except -1
    cpdef Options over(self, Options defaults)
    cdef int apply_to_statement(self, CassStatement* statement) except -1
    cdef int apply_to_batch(self, CassBatch* batch) except -1

cdef class NamedRows

cdef class Columns:
    cdef readonly tuple names
    cdef readonly tuple types           # of CqlType
    cdef bint holds_no_containers       # no value of these types can be part of a reference cycle
    cdef dict index_of                  # name -> index; the first of duplicates
    cdef int _index(self) except -1
    cdef const CassDataType* identity   # the driver's object for the first column: the same while the metadata is the same
    cdef uint64_t prepares              # the session's when identity was seen
    cdef NamedRows plain_rows           # compat's, once there are any; and those with native_types
    cdef NamedRows native_rows

cdef enum KeyRole:
    ROLE_UNKNOWN    # nobody has asked, or the table was not known then
    ROLE_NO_KEY     # no column of the partition key
    ROLE_KEY

cdef class PreparedVersion:
    cdef PreparedHandle handle
    cdef readonly str text              # what was sent: the user's text, or that with `*` expanded
    cdef uint64_t session_number        # of the session that prepared it
    cdef readonly tuple parameter_names
    cdef readonly tuple parameter_types # of CqlType
    cdef vector[const CassDataType*] data_types  # borrowed from handle
    cdef readonly object keyspace       # the session's when it was prepared
    cdef object session_reference       # weak: whom to ask for the table's key
    cdef vector[KeyRole] roles          # of each parameter, as far as known
    cdef Py_ssize_t key_columns         # how many the partition key has, once roles are known
    cdef double roles_sought_at         # monotonic seconds; 0: never
    cdef bint takes_mutable             # some parameter's values may be lists or the like
    cdef Columns columns                # of the last result
    cdef bint runs_unprepared           # `*` could not be expanded: answers must carry their own metadata

cdef class PreparedStatement:
    cdef readonly str query             # the user's text
    cdef readonly object keyspace       # the session's when it was prepared
    cdef readonly bint has_star
    cdef PreparedVersion version        # replaced when the schema changes
    cdef readonly Options options
    cdef public object schema_version   # the session's count of schema changes when version was made
    cdef object __weakref__

cdef class Statement:
    cdef readonly object query          # str or PreparedStatement
    cdef readonly object parameters
    cdef readonly Options options

cdef class Batch:
    cdef readonly str kind
    cdef CassBatchType type_code
    cdef list entries                   # of BoundRows, or (text, its values: a tuple, a dict or None)
    cdef BoundRows open_rows            # the last entry, which takes more rows until the batch is executed
    cdef Py_ssize_t count               # of statements
    cdef readonly Options options
    cdef int make_room(self, Py_ssize_t more) except -1

cdef class Request

cdef class EncodedValue:
    cdef CqlType cql_type               # that it was encoded for
    cdef bytes data
    cdef object decoded(self)

cdef class BoundRows:
    cdef readonly PreparedStatement prepared
    cdef PreparedVersion version        # that the statements were made of
    cdef vector[StatementHandle] statements
    cdef list values                    # of all rows, one after the other
    cdef bint is_binding                # a row, which may run code of the caller's
    cdef int add(self, object parameters) except -1
    cdef int add_entry(self, object parameters, Py_ssize_t index) except -1
    cdef BoundRows bound_anew(self, Py_ssize_t index)

cdef class Reactor:
    cdef Mailbox[Ticket] mailbox
    cdef Wakeup wakeup
    cdef object loop_reference
    cdef object loop                    # while a drain runs
    cdef PyObject* loop_pointer         # only compared; NULL when the reactor is closed
    cdef object loop_getter             # self.get_loop: its requests hand it out as theirs
    cdef readonly bint is_closed
    cdef readonly Py_ssize_t in_flight  # tickets that were not drained yet
    cdef readonly uint64_t drains       # how often the loop was woken
    cdef readonly uint64_t drained      # tickets taken by these
    cdef object __weakref__
    cdef int take_tickets(self) except -1
    cdef int resume(self, object callback, Request request, object context) except -1
    cdef int close(self) except -1

cdef class Answers:
    cdef type result_class              # derives from NamedResult
    cdef bint native_types
    cdef bint is_traced
    cdef object translate
    cdef object result_of(self, object result)
    cdef object error_of(self, object error)

cdef class TicketHolder:
    """What a mailbox hands back to the loop; `on_set` is called by the reactor, once for each push of the ticket."""
    cdef Ticket ticket
    cdef int on_set(self) except -1

cdef class Request(TicketHolder):
    cdef FutureHandle future            # in flight, or set and not read yet
    cdef StatementHandle statement
    cdef BatchHandle batch
    cdef int kind
    cdef int state
    cdef bint blocking                  # asyncio's _asyncio_future_blocking
    cdef bint gathers_pages
    cdef bint idempotent
    cdef bint is_routed                 # its node was found by the routing key, as far as that could be
    cdef bint is_own                    # a question of the package's own, or a step of another request: not counted as the user's
    cdef bint is_again                  # sent once more
    cdef bint is_step                   # on the way of a request that the session has taken: it may be closing
    cdef bint is_unfinished             # among the session's unfinished
    cdef bint has_recovered
    cdef object retries                 # from the first failure on, where a policy has it sent again
    cdef Answers answers                # what compat has its users get instead, or None
    cdef bint has_moved                 # the session's keyspace is not the one that the statement was prepared in
    cdef bint exception_unseen
    cdef double timeout                 # seconds for the whole call; infinity: none
    cdef double started                 # monotonic seconds; 0 before it starts
    cdef Reactor reactor
    cdef object loop
    cdef Session session
    cdef object query                   # str, PreparedStatement or Batch
    cdef object parameters              # by position, kept to send the statement anew
    cdef Options options
    cdef PreparedVersion version
    cdef list pages
    cdef object cold                    # a function that makes the coroutine which does the work of the unusual paths
    cdef object delegate                # its task
    cdef object outcome
    cdef object exception_value
    cdef object exception_traceback
    cdef object cancel_message
    cdef object callback
    cdef object callback_context
    cdef list more_callbacks
    cdef object __weakref__
    cdef int add_callback(self, object callback, object context) except -1
    cdef int start(self) except -1
    cdef int submit(self) except -1
    cdef int watch(self, CassFuture* future) except -1
    cdef int delegate_to(self, object coroutine) except -1
    cdef int on_page(self) except -1
    cdef int on_error(self, CassError code) except -1
    cdef int fail_or_retry(self, object error) except -1
    cdef int send_again(self, Options options) except -1
    cdef int finish(self, object outcome) except -1
    cdef int fail(self, object error) except -1
    cdef int schedule_callbacks(self) except -1
    cdef int has_more_steps(self) except -1
    cdef int has_ended(self) except -1
    cdef int release(self) except -1
    cdef int take_outcome(self) except -1
    cdef int _read_answer(self) except -1
    cdef bint _can_recover(self, CassError code) noexcept
    cdef object timeout_error(self)

cdef class Page:
    cdef ResultHandle result
    cdef Columns columns
    cdef Py_ssize_t row_count

cdef class RowReader:
    cdef IteratorHandle iterator        # of the current page; goes before the pages, which own what it walks
    cdef const uint8_t* cell            # the next one, where the rows are walked in memory; else NULL
    cdef const uint8_t* end             # of the answer
    cdef Page only_page                 # to be opened, where the result has just one
    cdef list pages                     # of a result that has several, else None
    cdef object failure                 # the error that ended the reading
    cdef Py_ssize_t next_page
    cdef Page page                      # that is being read
    cdef Py_ssize_t next_row            # within the page
    cdef Row read(self)
    cdef object named(self, object error, Py_ssize_t column)
    cdef bint turn_page(self) except -1
    cdef int walk_cells(self, Columns columns, tuple values, Py_ssize_t* column) except -1
    cdef int take_cells(self, Columns columns, tuple values, Py_ssize_t* column) except -1

cdef class Row:
    cdef tuple row_values
    cdef Columns row_columns

cdef class Result:
    cdef FutureHandle future            # of the last page: coordinator, tracing id and payload are read when asked for
    cdef Page only_page                 # where one answer has all the rows
    cdef list pages                     # where several have, else None
    cdef Py_ssize_t row_count
    cdef list decoded_rows              # the first ones, of those that were asked for by index
    cdef RowReader reader               # decodes the next of these
    cdef Columns result_columns
    cdef readonly bint has_more_pages
    cdef readonly object paging_state
    cdef object origin                  # (session, query, parameters, options): where later pages come from
    cdef object coordinator_value
    cdef object __weakref__
    cdef int decode_until(self, Py_ssize_t count) except -1

cdef class ResultIterator:
    cdef RowReader reader               # None after the last row
    cdef Py_ssize_t left

cdef class StatementParts:
    cdef public object session          # compat's, or None
    cdef public object _query           # a text or a PreparedStatement
    cdef public PreparedVersion _version  # of the latter: then the types are known
    cdef public dict _options
    cdef public Options _made_options   # what _options are to the package, once that was looked at
    cdef public list _values            # UNSET where none was bound
    cdef public dict _named             # those of a text by name
    cdef public bint native_types
    cdef public bint tracing_enabled

cdef class PreparedParts:
    cdef public PreparedStatement _prepared
    cdef public StatementParts _template    # what is bound begins as this

cdef class BatchParts:
    cdef public str _kind
    cdef public list _statements        # what is to be executed, with its values; or statements whose values have no types yet
    cdef public dict _options
    cdef public Options _made_options
    cdef public bint tracing_enabled

cdef class NamedResult:
    cdef readonly Result _result
    cdef public bint native_types
    cdef public object tracing_id

cdef class NamedRow:
    cdef readonly tuple _names
    cdef readonly tuple _values

cdef class NamedRows:
    cdef type row_class
    cdef readonly tuple names
    cdef list reads                     # (index, function) of the columns that have one
    cdef object translate
    cdef bint holds_no_containers       # as of Columns
    cdef object _make(self, Row row)

cdef class NamedRowIterator:
    cdef NamedRows rows
    cdef ResultIterator source          # None after the last row

cdef class RowStream:
    cdef object pages                   # an asynchronous generator of results
    cdef object step                    # of its __anext__, while the next page is awaited; else None
    cdef RowReader reader               # of the present page
    cdef unsigned taken                 # rows
    cdef double turn_ends               # monotonic seconds; 0: when the next page is here
    cdef bint is_yielding               # to the loop, though rows are here
    cdef object failure                 # the error that left the pages
    cdef int has_failed(self, object error) except -1
    cdef int advance(self, PyObject** result) except -1
    cdef int open_page(self, Result page) except -1

cdef class ArrowSchema:
    cdef shared_ptr[const ArrowFields] fields
    cdef readonly tuple names
    cdef readonly tuple types           # of CqlType
    cdef readonly dict decimals         # name -> (precision, scale)
    cdef ArrowFields* prepare(self) except NULL

cdef class ArrowBatch:
    cdef ArrowData data
    cdef readonly ArrowSchema schema

cdef class ArrowTable:
    cdef readonly ArrowSchema schema
    cdef readonly tuple batches
    cdef readonly Py_ssize_t num_rows

cdef ArrowTable arrow_table(Result result, object decimals)

cdef class BulkGroup:
    cdef BatchHandle batch
    cdef list rows
    cdef Py_ssize_t size                # bytes of all values

cdef class BulkWriter(TicketHolder):
    cdef BulkWriteHandle write
    cdef unsigned fork_generation
    cdef Session session
    cdef PreparedStatement prepared
    cdef Options options
    cdef uint64_t timeout_ms            # 0: none
    cdef readonly double timeout        # seconds; infinity: none
    cdef readonly bint is_idempotent
    cdef object convert                 # from what the iterator gives to values; None: it gives values
    cdef Py_ssize_t batch_bytes         # 0: rows are sent one by one
    cdef tuple partition_key
    cdef dict groups                    # that may grow, by their partition keys
    cdef Py_ssize_t grouped             # rows in groups, or in ready since they were emptied
    cdef list ready                     # groups to be sent
    cdef list kept                      # of each slot: the values of its row, in a form that no longer changes, or its group
    cdef list again                     # rows to be sent anew, as in failures
    cdef BulkSlot* failed               # whose errors are not made yet; the writer's
    cdef int64_t sent_again             # rows that were in again
    cdef list failures                  # (row, values, tries, error)
    cdef int64_t skip
    cdef readonly int64_t taken         # rows that the iterator has given
    cdef bint is_armed                  # the ticket is waited for, by a reference of its own
    cdef object waiter                  # a future
    cdef Reactor reactor
    cdef int send_row(self, PreparedVersion version, int64_t row, object given, unsigned tries) except -1
    cdef BulkSlot* take_slot(self, int64_t row, unsigned tries, object kept) except NULL
    cdef int add_to_group(self, PreparedVersion version, CassStatement* statement, int64_t row, tuple values) except -1
    cdef int end_groups(self) except -1
    cdef int send_group(self, BulkGroup group) except -1
    cdef str send_rows(self, object rows, Py_ssize_t most, Py_ssize_t most_failures, double end)
    cdef int take_answers(self, double end) except -1
    cdef BulkWrite* made(self) except NULL

cdef class ArrowInput:
    cdef CArrowSchema schema
    cdef CArrowArrayStream stream
    cdef readonly tuple names
    cdef readonly tuple formats         # of the fields, as Arrow's C data interface writes them

cdef class ArrowLoad:
    cdef unique_ptr[CArrowLoad] load    # which borrows from the two below
    cdef Session session
    cdef PreparedVersion version
    cdef tuple names
    cdef CArrowLoad* _made(self) except NULL

cdef class AuthenticatorBridge:
    cdef shared_ptr[CAuthenticator] authenticator
    cdef CAuthenticator* made(self) except NULL

cdef class Cluster:
    cdef ClusterHandle handle
    cdef readonly double request_timeout  # seconds; infinity: none
    cdef readonly int page_size           # rows that are fetched at a time behind the scenes
    cdef readonly object keyspace
    cdef readonly tuple contact_points
    cdef readonly int port
    cdef readonly double connect_timeout
    cdef SslHandle ssl
    cdef AuthenticatorBridge bridge
    cdef readonly object tls              # a Tls, or None
    cdef readonly object tls_context      # the same for connections of our own; None where Python's ssl cannot
    cdef readonly object listener         # told of the nodes, on listener_loop
    cdef readonly object listener_loop    # a weak reference to the loop that opened a session last
    cdef dict profile_timeouts            # profile's name as bytes -> seconds
    cdef bint sees_schema                 # the driver reads the schema, and so knows of its changes
    cdef readonly object local_dc
    cdef readonly object retry_policy
    cdef readonly dict profile_retry_policies  # of execution profiles that have one, by their names as bytes; else None
    cdef readonly object login            # a Login, or None where the driver answers by itself
    cdef object __weakref__

cdef class Replacement:
    cdef SessionOwner owner             # the driver's new session, later the one that it replaced
    cdef uint64_t session_number
    cdef object keyspace                # the session's when this began to connect
    cdef bint is_closed
    cdef readonly unsigned short incarnation  # of the session's; the driver's first one is 0
    cdef int require_made(self) except -1
    cdef int require_of(self, Session session) except -1

cdef class Session:
    cdef SessionOwner owner
    cdef readonly Cluster cluster
    cdef public object keyspace         # of the connections, as USE changes it
    cdef readonly Options options       # defaults of every request
    cdef bint has_profile_policies      # for retries
    cdef dict user_types                # (keyspace, name) -> class
    cdef readonly bint is_open
    cdef readonly Py_ssize_t in_flight  # requests that the driver has not answered
    cdef uint64_t requests_started      # the user's, as are the next two
    cdef uint64_t requests_failed
    cdef uint64_t requests_cancelled
    cdef uint64_t questions_asked       # the package's own, and steps of the user's
    cdef set unfinished                 # requests that have more to send after the driver's next answer
    cdef readonly bint is_finishing     # takes no new requests, but lets those that were taken go on
    cdef object prepared_cache          # OrderedDict: (keyspace, text) -> PreparedStatement
    cdef object seen_schema_version
    cdef double schema_version_seen_at
    cdef uint64_t schema_changes        # made by this session
    cdef uint64_t prepares              # texts prepared by this session
    cdef unsigned short incarnations    # how many further driver sessions were made for it
    cdef readonly unsigned short serving  # which of them takes the requests
    cdef readonly uint64_t number       # unlike that of any other session of the process
    cdef object opened_at
    cdef public object shard_counter    # is told of each request with bound values, if it is to be counted
    cdef object __weakref__
    cdef double effective_timeout(self, Options options) noexcept
    cdef int require_open(self, bint is_step=*) except -1
    cdef int require_made(self) except -1
    cdef CassFuture* connect(self) except NULL
    cdef CassFuture* connect_owner(self, SessionOwner* owner, Cluster cluster, unsigned short incarnation) except NULL
    cdef CassFuture* close_driver(self) except NULL
    cdef object schema_version(self)
    cdef Request failed_request(self, object query, object error)
    cdef Request request_for(self, object query, object parameters, Options options)
    cdef int build(self, Request request, object query, object parameters) except -1
    cdef int build_prepared(self, Request request, PreparedStatement prepared, object parameters) except -1
    cdef int build_text(self, Request request, str query, object parameters) except -1
    cdef int build_batch(self, Request request, Batch batch) except -1
    cdef int count_batch(self, list entries) except -1
    cdef int build_again(self, Request request, Options options) except -1
    cdef Options with_policy_of_profile(self, Options options)
    cdef int complete_statement(self, Request request) except -1
