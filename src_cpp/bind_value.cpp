#include "bind_value.hpp"

#include "buffer.hpp"
#include "error_codes.hpp"
#include "handles.hpp"

namespace acsylla_like {
namespace {

constexpr CassError invalid_data = error_code::LIB_INVALID_DATA;

/// Which of the driver's functions set a value on a statement and on a user type: one algorithm serves both.
template <class Target>
struct Setters;

#define SETTERS(Target, prefix)                                              \
  template <>                                                                \
  struct Setters<Target> {                                                   \
    static constexpr auto set_null = &DriverTable::prefix##_null;            \
    static constexpr auto set_int8 = &DriverTable::prefix##_int8;            \
    static constexpr auto set_int16 = &DriverTable::prefix##_int16;          \
    static constexpr auto set_int32 = &DriverTable::prefix##_int32;          \
    static constexpr auto set_uint32 = &DriverTable::prefix##_uint32;        \
    static constexpr auto set_int64 = &DriverTable::prefix##_int64;          \
    static constexpr auto set_float = &DriverTable::prefix##_float;          \
    static constexpr auto set_double = &DriverTable::prefix##_double;        \
    static constexpr auto set_bool = &DriverTable::prefix##_bool;            \
    static constexpr auto set_string = &DriverTable::prefix##_string_n;      \
    static constexpr auto set_bytes = &DriverTable::prefix##_bytes;          \
    static constexpr auto set_uuid = &DriverTable::prefix##_uuid;            \
    static constexpr auto set_inet = &DriverTable::prefix##_inet;            \
    static constexpr auto set_decimal = &DriverTable::prefix##_decimal;      \
    static constexpr auto set_duration = &DriverTable::prefix##_duration;    \
    static constexpr auto set_collection = &DriverTable::prefix##_collection; \
    static constexpr auto set_tuple = &DriverTable::prefix##_tuple;          \
    static constexpr auto set_user_type = &DriverTable::prefix##_user_type;  \
  }
SETTERS(CassStatement, cass_statement_bind);
SETTERS(CassUserType, cass_user_type_set);
#undef SETTERS

/// The length-prefixed items inside the bytes of a collection, tuple or user type.
class Items {
 public:
  Items(const std::uint8_t* data, std::size_t size) : data_(data), end_(data + size) {}

  bool done() const { return data_ == end_; }
  bool is_null() const { return length_ < 0; }
  const std::uint8_t* data() const { return data_ - (length_ > 0 ? length_ : 0); }
  std::size_t size() const { return static_cast<std::size_t>(length_); }

  bool next() {
    if (end_ - data_ < 4) return false;
    length_ = load<std::int32_t>(data_);
    data_ += 4;
    if (length_ > end_ - data_) return false;
    if (length_ > 0) data_ += length_;
    return true;
  }

 private:
  const std::uint8_t* data_;
  const std::uint8_t* end_;
  std::int32_t length_ = -1;
};

/// Untyped, it equals a collection of any element types in the driver and takes bytes for every element.
CassError make_collection(CassValueType type, const std::uint8_t* data, std::size_t size, CollectionHandle* collection) {
  if (size < 4) return invalid_data;
  const std::int32_t count = load<std::int32_t>(data);
  if (count < 0) return invalid_data;
  const std::size_t n = type == VALUE_MAP ? 2 * static_cast<std::size_t>(count) : static_cast<std::size_t>(count);
  if (n > size / 4) return invalid_data;
  collection->reset(driver.cass_collection_new(type, n));
  Items items(data + 4, size - 4);
  for (std::size_t i = 0; i < n; ++i) {
    if (!items.next() || items.is_null()) return invalid_data;
    const CassError error = driver.cass_collection_append_bytes(collection->get(), items.data(), items.size());
    if (error != CASS_OK) return error;
  }
  return items.done() ? CASS_OK : invalid_data;
}

/// Untyped for the same reason.
CassError make_tuple(const std::uint8_t* data, std::size_t size, TupleHandle* tuple) {
  std::size_t n = 0;
  for (Items items(data, size); !items.done(); ++n) {
    if (!items.next()) return invalid_data;
  }
  tuple->reset(driver.cass_tuple_new(n));
  Items items(data, size);
  for (std::size_t i = 0; i < n && items.next(); ++i) {
    const CassError error = items.is_null()
                                ? driver.cass_tuple_set_null(tuple->get(), i)
                                : driver.cass_tuple_set_bytes(tuple->get(), i, items.data(), items.size());
    if (error != CASS_OK) return error;
  }
  return CASS_OK;
}

template <class Target>
CassError set_value(Target* target, std::size_t index, const CassDataType* type, const std::uint8_t* data,
                    std::size_t size);

/// A user type is typed through and through in the driver. Fields beyond the bytes stay null.
CassError make_user_type(const CassDataType* type, const std::uint8_t* data, std::size_t size,
                         UserTypeHandle* user_type) {
  user_type->reset(driver.cass_user_type_new_from_data_type(type));
  if (!*user_type) return invalid_data;
  Items items(data, size);
  for (std::size_t i = 0; !items.done(); ++i) {
    if (!items.next()) return invalid_data;
    const CassDataType* field_type = driver.cass_data_type_sub_data_type(type, i);
    if (field_type == nullptr) return invalid_data;
    const CassError error = items.is_null() ? driver.cass_user_type_set_null(user_type->get(), i)
                                            : set_value(user_type->get(), i, field_type, items.data(), items.size());
    if (error != CASS_OK) return error;
  }
  return CASS_OK;
}

template <class Target>
CassError set_value(Target* target, std::size_t index, const CassDataType* type, const std::uint8_t* data,
                    std::size_t size) {
  using Set = Setters<Target>;
  const CassValueType value_type = driver.cass_data_type_type(type);
  switch (value_type) {
    case VALUE_TINYINT:
      if (size != 1) return invalid_data;
      return (driver.*Set::set_int8)(target, index, load<std::int8_t>(data));
    case VALUE_SMALLINT:
      if (size != 2) return invalid_data;
      return (driver.*Set::set_int16)(target, index, load<std::int16_t>(data));
    case VALUE_INT:
      if (size != 4) return invalid_data;
      return (driver.*Set::set_int32)(target, index, load<std::int32_t>(data));
    case VALUE_DATE:
      if (size != 4) return invalid_data;
      return (driver.*Set::set_uint32)(target, index, load<std::uint32_t>(data));
    case VALUE_BIGINT:
    case VALUE_COUNTER:
    case VALUE_TIMESTAMP:
    case VALUE_TIME:
      if (size != 8) return invalid_data;
      return (driver.*Set::set_int64)(target, index, load<std::int64_t>(data));
    case VALUE_FLOAT:
      if (size != 4) return invalid_data;
      return (driver.*Set::set_float)(target, index, load<float>(data));
    case VALUE_DOUBLE:
      if (size != 8) return invalid_data;
      return (driver.*Set::set_double)(target, index, load<double>(data));
    case VALUE_BOOLEAN:
      if (size != 1) return invalid_data;
      return (driver.*Set::set_bool)(target, index, data[0] != 0);
    case VALUE_ASCII:
    case VALUE_TEXT:
    case VALUE_VARCHAR:
      return (driver.*Set::set_string)(target, index, reinterpret_cast<const char*>(data), size);
    case VALUE_UUID:
    case VALUE_TIMEUUID: {
      if (size != 16) return invalid_data;
      const std::uint64_t high = load<std::uint64_t>(data);
      CassUuid uuid;
      // The driver keeps a UUID's first three fields with the least significant one, written first, at the bottom.
      uuid.time_and_version = high >> 32 | (high >> 16 & 0xFFFF) << 32 | high << 48;
      uuid.clock_seq_and_node = load<std::uint64_t>(data + 8);
      return (driver.*Set::set_uuid)(target, index, uuid);
    }
    case VALUE_INET: {
      if (size != 4 && size != 16) return invalid_data;
      CassInet inet{};
      std::memcpy(inet.address, data, size);
      inet.address_length = static_cast<std::uint8_t>(size);
      return (driver.*Set::set_inet)(target, index, inet);
    }
    case VALUE_DECIMAL:
      if (size < 5) return invalid_data;
      return (driver.*Set::set_decimal)(target, index, data + 4, size - 4, load<std::int32_t>(data));
    case VALUE_DURATION: {
      const std::uint8_t* const end = data + size;
      std::int64_t months, days, nanoseconds;
      if ((data = read_vint(data, end, &months)) == nullptr || (data = read_vint(data, end, &days)) == nullptr ||
          read_vint(data, end, &nanoseconds) != end) {
        return invalid_data;
      }
      return (driver.*Set::set_duration)(target, index, static_cast<std::int32_t>(months),
                                         static_cast<std::int32_t>(days), nanoseconds);
    }
    case VALUE_LIST:
    case VALUE_SET:
    case VALUE_MAP: {
      CollectionHandle collection;
      const CassError error = make_collection(value_type, data, size, &collection);
      if (error != CASS_OK) return error;
      return (driver.*Set::set_collection)(target, index, collection.get());
    }
    case VALUE_TUPLE: {
      TupleHandle tuple;
      const CassError error = make_tuple(data, size, &tuple);
      if (error != CASS_OK) return error;
      return (driver.*Set::set_tuple)(target, index, tuple.get());
    }
    case VALUE_UDT: {
      UserTypeHandle user_type;
      const CassError error = make_user_type(type, data, size, &user_type);
      if (error != CASS_OK) return error;
      return (driver.*Set::set_user_type)(target, index, user_type.get());
    }
    default:  // blob, varint, custom
      return (driver.*Set::set_bytes)(target, index, data, size);
  }
}

}  // namespace

CassError bind_value(CassStatement* statement, std::size_t index, const CassDataType* type, const std::uint8_t* data,
                     std::size_t size) {
  if (type == nullptr) return driver.cass_statement_bind_bytes(statement, index, data, size);
  return set_value(statement, index, type, data, size);
}

}  // namespace acsylla_like
