/// How a C++ program reads the bench's rows: the driver's typed getters, every value, every element.
#pragma once

#include <string>

#include "driver.hpp"

namespace bare_driver {

/// The driver's functions that a C++ program uses and the package does not, which reads bytes.
struct Getters {
  CassError (*cass_value_get_int32)(const CassValue*, std::int32_t*);
  CassError (*cass_value_get_int64)(const CassValue*, std::int64_t*);
  CassError (*cass_value_get_double)(const CassValue*, double*);
  CassError (*cass_value_get_bool)(const CassValue*, CassBool*);
  CassError (*cass_value_get_uuid)(const CassValue*, CassUuid*);
  CassError (*cass_value_get_string)(const CassValue*, const char**, std::size_t*);
  CassIterator* (*cass_iterator_from_collection)(const CassValue*);
  CassIterator* (*cass_iterator_from_map)(const CassValue*);
  const CassValue* (*cass_iterator_get_value)(const CassIterator*);
  const CassValue* (*cass_iterator_get_map_key)(const CassIterator*);
  const CassValue* (*cass_iterator_get_map_value)(const CassIterator*);
};

extern Getters getters;

/// Fills `getters` from the library that load_driver opened. Returns the name of a function it lacks, or an empty string.
std::string load_getters();

/// Reads every value of every row: int, text, bigint, double, boolean. Returns the count of rows.
std::size_t read_plain(const CassResult* result);

/// The same for the columns of `bulk`: int, text, bigint, double, blob.
std::size_t read_bulk(const CassResult* result);

/// The same for the ten columns of `mixed`.
std::size_t read_mixed(const CassResult* result);

}  // namespace bare_driver
