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
