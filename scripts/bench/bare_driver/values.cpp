#include "values.hpp"

#include <dlfcn.h>

#include <atomic>

#include "handles.hpp"

namespace bare_driver {

using acsylla_like::driver;
using acsylla_like::IteratorHandle;

Getters getters;

namespace {

/// Takes what was read, so that no compiler leaves the reading out.
std::atomic<std::uint64_t> sink{0};

class Sum {
 public:
  ~Sum() { sink.fetch_add(total_, std::memory_order_relaxed); }
  void take(std::uint64_t value) { total_ += value; }
  void take_int32(const CassValue* value) {
    std::int32_t number = 0;
    getters.cass_value_get_int32(value, &number);
    take(static_cast<std::uint64_t>(number));
  }
  void take_int64(const CassValue* value) {
    std::int64_t number = 0;
    getters.cass_value_get_int64(value, &number);
    take(static_cast<std::uint64_t>(number));
  }
  void take_double(const CassValue* value) {
    double number = 0;
    getters.cass_value_get_double(value, &number);
    take(number > 0.5);
  }
  void take_bool(const CassValue* value) {
    CassBool truth = 0;
    getters.cass_value_get_bool(value, &truth);
    take(truth);
  }
  void take_text(const CassValue* value) {
    const char* text = nullptr;
    std::size_t size = 0;
    getters.cass_value_get_string(value, &text, &size);
    take(size + static_cast<unsigned char>(text[0]));
  }
  void take_bytes(const CassValue* value) {
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    driver.cass_value_get_bytes(value, &bytes, &size);
    take(size + bytes[0]);
  }
  void take_uuid(const CassValue* value) {
    CassUuid uuid{};
    getters.cass_value_get_uuid(value, &uuid);
    take(uuid.clock_seq_and_node);
  }

 private:
  std::uint64_t total_ = 0;
};

template <class ReadRow>
std::size_t read_rows(const CassResult* result, ReadRow read_row) {
  const IteratorHandle rows(driver.cass_iterator_from_result(result));
  std::size_t count = 0;
  for (; driver.cass_iterator_next(rows.get()) != 0; ++count) read_row(driver.cass_iterator_get_row(rows.get()));
  return count;
}

}  // namespace

std::string load_getters() {
  void* library = dlopen(acsylla_like::driver_path().c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (library == nullptr) return "(the library itself)";
  std::string missing;
  const auto look_up = [&](auto& slot, const char* name) {
    slot = reinterpret_cast<std::remove_reference_t<decltype(slot)>>(dlsym(library, name));
    if (slot == nullptr) missing = name;
  };
  look_up(getters.cass_value_get_int32, "cass_value_get_int32");
  look_up(getters.cass_value_get_int64, "cass_value_get_int64");
  look_up(getters.cass_value_get_double, "cass_value_get_double");
  look_up(getters.cass_value_get_bool, "cass_value_get_bool");
  look_up(getters.cass_value_get_uuid, "cass_value_get_uuid");
  look_up(getters.cass_value_get_string, "cass_value_get_string");
  look_up(getters.cass_iterator_from_collection, "cass_iterator_from_collection");
  look_up(getters.cass_iterator_from_map, "cass_iterator_from_map");
  look_up(getters.cass_iterator_get_value, "cass_iterator_get_value");
  look_up(getters.cass_iterator_get_map_key, "cass_iterator_get_map_key");
  look_up(getters.cass_iterator_get_map_value, "cass_iterator_get_map_value");
  return missing;
}

std::size_t read_plain(const CassResult* result) {
  Sum sum;
  return read_rows(result, [&](const CassRow* row) {
    sum.take_int32(driver.cass_row_get_column(row, 0));
    sum.take_text(driver.cass_row_get_column(row, 1));
    sum.take_int64(driver.cass_row_get_column(row, 2));
    sum.take_double(driver.cass_row_get_column(row, 3));
    sum.take_bool(driver.cass_row_get_column(row, 4));
  });
}

std::size_t read_bulk(const CassResult* result) {
  Sum sum;
  return read_rows(result, [&](const CassRow* row) {
    sum.take_int32(driver.cass_row_get_column(row, 0));
    sum.take_text(driver.cass_row_get_column(row, 1));
    sum.take_int64(driver.cass_row_get_column(row, 2));
    sum.take_double(driver.cass_row_get_column(row, 3));
    sum.take_bytes(driver.cass_row_get_column(row, 4));
  });
}

std::size_t read_mixed(const CassResult* result) {
  Sum sum;
  return read_rows(result, [&](const CassRow* row) {
    sum.take_int32(driver.cass_row_get_column(row, 0));
    sum.take_int64(driver.cass_row_get_column(row, 1));
    sum.take_text(driver.cass_row_get_column(row, 2));
    sum.take_double(driver.cass_row_get_column(row, 3));
    sum.take_bool(driver.cass_row_get_column(row, 4));
    sum.take_uuid(driver.cass_row_get_column(row, 5));
    sum.take_int64(driver.cass_row_get_column(row, 6));
    sum.take_bytes(driver.cass_row_get_column(row, 7));
    const IteratorHandle items(getters.cass_iterator_from_collection(driver.cass_row_get_column(row, 8)));
    while (driver.cass_iterator_next(items.get()) != 0) sum.take_int32(getters.cass_iterator_get_value(items.get()));
    const IteratorHandle counts(getters.cass_iterator_from_map(driver.cass_row_get_column(row, 9)));
    while (driver.cass_iterator_next(counts.get()) != 0) {
      sum.take_text(getters.cass_iterator_get_map_key(counts.get()));
      sum.take_int32(getters.cass_iterator_get_map_value(counts.get()));
    }
  });
}

}  // namespace bare_driver
