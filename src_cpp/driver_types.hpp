/// The driver's C types, as far as we use them: opaque handles, plain structs and the constants of its documented C API.
/// Values and layouts are the driver's; the words are ours.
#pragma once

#include <cstddef>
#include <cstdint>

struct sockaddr;

extern "C" {

struct CassAuthenticator;
struct CassBatch;
struct CassCluster;
struct CassCollection;
struct CassColumnMeta;
struct CassCustomPayload;
struct CassDataType;
struct CassErrorResult;
struct CassExecProfile;
struct CassFuture;
struct CassIterator;
struct CassKeyspaceMeta;
struct CassNode;
struct CassPrepared;
struct CassResult;
struct CassRetryPolicy;
struct CassRow;
struct CassSchemaMeta;
struct CassSession;
struct CassSsl;
struct CassStatement;
struct CassTableMeta;
struct CassTimestampGen;
struct CassTuple;
struct CassUserType;
struct CassValue;

/// An error code: the source in the top byte, the code below it.
using CassError = std::uint32_t;
using CassBool = std::uint32_t;
using CassConsistency = std::uint32_t;
using CassValueType = std::uint32_t;
using CassCollectionType = std::uint32_t;
using CassBatchType = std::uint32_t;
using CassLogLevel = std::uint32_t;
using CassWriteType = std::uint32_t;
using CassHostListenerEvent = std::uint32_t;

constexpr CassError CASS_OK = 0;

struct CassUuid {
  std::uint64_t time_and_version;
  std::uint64_t clock_seq_and_node;
};

struct CassInet {
  std::uint8_t address[16];
  std::uint8_t address_length;
};

/// Latencies in microseconds, rates in requests per second.
struct CassMetrics {
  struct {
    std::uint64_t min, max, mean, stddev, median;
    std::uint64_t percentile_75th, percentile_95th, percentile_98th, percentile_99th, percentile_999th;
    double mean_rate, one_minute_rate, five_minute_rate, fifteen_minute_rate;
  } requests;
  struct {
    std::uint64_t total_connections, available_connections;
    std::uint64_t exceeded_pending_requests_water_mark, exceeded_write_bytes_water_mark;
  } stats;
  struct {
    std::uint64_t connection_timeouts, pending_request_timeouts, request_timeouts;
  } errors;
};

/// Latencies in microseconds; the percentage is a fraction.
struct CassSpeculativeExecutionMetrics {
  std::uint64_t min, max, mean, stddev, median;
  std::uint64_t percentile_75th, percentile_95th, percentile_98th, percentile_99th, percentile_999th;
  std::uint64_t count;
  double percentage;
};

struct CassLogMessage {
  std::uint64_t time_ms;
  CassLogLevel severity;
  const char* file;
  int line;
  const char* function;
  char message[1024];
};

using CassFutureCallback = void (*)(CassFuture* future, void* data);
using CassLogCallback = void (*)(const CassLogMessage* message, void* data);
using CassHostListenerCallback = void (*)(CassHostListenerEvent event, CassInet address, void* data);
using CassAuthenticatorDataCleanupCallback = void (*)(void* data);

/// All on I/O threads, each for one connection's exchange; the answer is read as soon as a callback returns.
struct CassAuthenticatorCallbacks {
  void (*initial)(CassAuthenticator* exchange, void* data);
  void (*challenge)(CassAuthenticator* exchange, void* data, const char* token, std::size_t size);
  void (*success)(CassAuthenticator* exchange, void* data, const char* token, std::size_t size);
  void (*cleanup)(CassAuthenticator* exchange, void* data);
};

}  // extern "C"
