/// Owners of the driver's objects: unique_ptr that free through the table. Header-only, any thread.
#pragma once

#include <memory>

#include "driver.hpp"

namespace acsylla_like {

template <auto free_function>
struct FreeThroughTable {
  template <class Object>
  void operator()(Object* object) const noexcept {
    (driver.*free_function)(object);
  }
};

template <class Object, auto free_function>
using Handle = std::unique_ptr<Object, FreeThroughTable<free_function>>;

using BatchHandle = Handle<CassBatch, &DriverTable::cass_batch_free>;
using ClusterHandle = Handle<CassCluster, &DriverTable::cass_cluster_free>;
using CollectionHandle = Handle<CassCollection, &DriverTable::cass_collection_free>;
using CustomPayloadHandle = Handle<CassCustomPayload, &DriverTable::cass_custom_payload_free>;
using ErrorResultHandle = Handle<const CassErrorResult, &DriverTable::cass_error_result_free>;
using ExecProfileHandle = Handle<CassExecProfile, &DriverTable::cass_execution_profile_free>;
using FutureHandle = Handle<CassFuture, &DriverTable::cass_future_free>;
using IteratorHandle = Handle<CassIterator, &DriverTable::cass_iterator_free>;
using PreparedHandle = Handle<const CassPrepared, &DriverTable::cass_prepared_free>;
using ResultHandle = Handle<const CassResult, &DriverTable::cass_result_free>;
using RetryPolicyHandle = Handle<CassRetryPolicy, &DriverTable::cass_retry_policy_free>;
using SslHandle = Handle<CassSsl, &DriverTable::cass_ssl_free>;
using StatementHandle = Handle<CassStatement, &DriverTable::cass_statement_free>;
using TimestampGenHandle = Handle<CassTimestampGen, &DriverTable::cass_timestamp_gen_free>;
using TupleHandle = Handle<CassTuple, &DriverTable::cass_tuple_free>;
using UserTypeHandle = Handle<CassUserType, &DriverTable::cass_user_type_free>;

}  // namespace acsylla_like
