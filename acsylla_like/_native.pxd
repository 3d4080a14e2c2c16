# Fields of every native class and every C++ declaration, on one page.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

# ---- the driver -------------------------------------------------------------------------------------------------------

cdef extern from "driver_types.hpp" nogil:
    struct sockaddr
    struct CassBatch
    struct CassCluster
    struct CassCollection
    struct CassCustomPayload
    struct CassDataType
    struct CassErrorResult
    struct CassFuture
    struct CassIterator
    struct CassNode
    struct CassPrepared
    struct CassResult
    struct CassRetryPolicy
    struct CassRow
    struct CassSession
    struct CassStatement
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
    struct CassLogMessage:
        uint64_t time_ms
        CassLogLevel severity
        const char* file
        int line
        const char* function
        char message[1024]
    ctypedef void (*CassFutureCallback)(CassFuture* future, void* data) noexcept
    ctypedef void (*CassLogCallback)(const CassLogMessage* message, void* data) noexcept

include "_native/driver_table.pxi"

cdef extern from "driver.hpp" namespace "acsylla_like" nogil:
    string load_driver(const string& path)
    const string& driver_path()
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
    ctypedef Handle[CassFuture] FutureHandle "acsylla_like::FutureHandle"
    ctypedef Handle[CassIterator] IteratorHandle "acsylla_like::IteratorHandle"
    ctypedef Handle[const CassPrepared] PreparedHandle "acsylla_like::PreparedHandle"
    ctypedef Handle[const CassResult] ResultHandle "acsylla_like::ResultHandle"
    ctypedef Handle[CassRetryPolicy] RetryPolicyHandle "acsylla_like::RetryPolicyHandle"
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
