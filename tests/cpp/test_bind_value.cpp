#include "bind_value.hpp"

#include <sstream>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "check.hpp"
#include "driver.hpp"

using namespace acsylla_like;

namespace {

struct FakeType {
  CassValueType type;
  std::vector<FakeType> children{};
};

/// A statement, collection, tuple or user type: what it was told, as text.
struct FakeTarget {
  std::string said;
};

int alive = 0;

FakeTarget* of(void* object) { return static_cast<FakeTarget*>(object); }
const FakeType* of(const CassDataType* type) { return reinterpret_cast<const FakeType*>(type); }

template <class Object>
Object* make(const std::string& said) {
  ++alive;
  return reinterpret_cast<Object*>(new FakeTarget{said});
}

void discard(void* object) {
  --alive;
  delete of(object);
}

template <class... Parts>
CassError say(void* target, std::size_t index, const Parts&... parts) {
  std::ostringstream text;
  text << of(target)->said << index << ":";
  (text << ... << parts) << ";";
  of(target)->said = text.str();
  return CASS_OK;
}

std::string quoted(const void* bytes, std::size_t size) {
  return "'" + std::string(static_cast<const char*>(bytes), size) + "'";
}

/// The setters of a statement and of a user type differ in nothing but their names.
#define USE_FAKE_SETTERS(Target, prefix)                                                                                       \
  driver.prefix##_null = [](Target* t, size_t i) { return say(t, i, "null"); };                                                \
  driver.prefix##_int8 = [](Target* t, size_t i, std::int8_t v) { return say(t, i, "int8 ", int{v}); };                        \
  driver.prefix##_int16 = [](Target* t, size_t i, std::int16_t v) { return say(t, i, "int16 ", v); };                          \
  driver.prefix##_int32 = [](Target* t, size_t i, std::int32_t v) { return say(t, i, "int32 ", v); };                          \
  driver.prefix##_uint32 = [](Target* t, size_t i, std::uint32_t v) { return say(t, i, "uint32 ", v); };                       \
  driver.prefix##_int64 = [](Target* t, size_t i, std::int64_t v) { return say(t, i, "int64 ", v); };                          \
  driver.prefix##_float = [](Target* t, size_t i, float v) { return say(t, i, "float ", v); };                                 \
  driver.prefix##_double = [](Target* t, size_t i, double v) { return say(t, i, "double ", v); };                              \
  driver.prefix##_bool = [](Target* t, size_t i, CassBool v) { return say(t, i, "bool ", v); };                                \
  driver.prefix##_string_n = [](Target* t, size_t i, const char* v, size_t n) { return say(t, i, "string ", quoted(v, n)); };  \
  driver.prefix##_bytes = [](Target* t, size_t i, const std::uint8_t* v, size_t n) {                                           \
    return say(t, i, "bytes ", quoted(v, n));                                                                                  \
  };                                                                                                                           \
  driver.prefix##_uuid = [](Target* t, size_t i, CassUuid v) {                                                                 \
    return say(t, i, "uuid ", std::hex, v.time_and_version, ",", v.clock_seq_and_node, std::dec);                              \
  };                                                                                                                           \
  driver.prefix##_inet = [](Target* t, size_t i, CassInet v) {                                                                 \
    return say(t, i, "inet ", int{v.address_length}, " ", int{v.address[0]}, ".", int{v.address[3]});                          \
  };                                                                                                                           \
  driver.prefix##_decimal = [](Target* t, size_t i, const std::uint8_t* v, size_t n, std::int32_t scale) {                     \
    return say(t, i, "decimal ", quoted(v, n), " ", scale);                                                                    \
  };                                                                                                                           \
  driver.prefix##_duration = [](Target* t, size_t i, std::int32_t months, std::int32_t days, std::int64_t nanoseconds) {       \
    return say(t, i, "duration ", months, " ", days, " ", nanoseconds);                                                        \
  };                                                                                                                           \
  driver.prefix##_collection = [](Target* t, size_t i, const CassCollection* v) {                                              \
    return say(t, i, reinterpret_cast<const FakeTarget*>(v)->said);                                                            \
  };                                                                                                                           \
  driver.prefix##_tuple = [](Target* t, size_t i, const CassTuple* v) {                                                        \
    return say(t, i, reinterpret_cast<const FakeTarget*>(v)->said);                                                            \
  };                                                                                                                           \
  driver.prefix##_user_type = [](Target* t, size_t i, const CassUserType* v) {                                                 \
    return say(t, i, reinterpret_cast<const FakeTarget*>(v)->said, "}");                                                       \
  }

void use_fake_driver() {
  USE_FAKE_SETTERS(CassStatement, cass_statement_bind);
  USE_FAKE_SETTERS(CassUserType, cass_user_type_set);
  driver.cass_data_type_type = [](const CassDataType* type) { return of(type)->type; };
  driver.cass_data_type_sub_data_type = [](const CassDataType* type, size_t index) -> const CassDataType* {
    const std::vector<FakeType>& children = of(type)->children;
    return index < children.size() ? reinterpret_cast<const CassDataType*>(&children[index]) : nullptr;
  };
  driver.cass_collection_new = [](CassCollectionType type, size_t n) {
    return make<CassCollection>("collection " + std::to_string(type) + " of " + std::to_string(n) + " ");
  };
  driver.cass_collection_append_bytes = [](CassCollection* c, const std::uint8_t* v, size_t n) {
    of(c)->said += quoted(v, n);
    return CASS_OK;
  };
  driver.cass_collection_free = [](CassCollection* c) { discard(c); };
  driver.cass_tuple_new = [](size_t n) { return make<CassTuple>("tuple of " + std::to_string(n) + " "); };
  driver.cass_tuple_set_null = [](CassTuple* t, size_t i) { return say(t, i, "null"); };
  driver.cass_tuple_set_bytes = [](CassTuple* t, size_t i, const std::uint8_t* v, size_t n) {
    return say(t, i, quoted(v, n));
  };
  driver.cass_tuple_free = [](CassTuple* t) { discard(t); };
  driver.cass_user_type_new_from_data_type = [](const CassDataType*) { return make<CassUserType>("user type {"); };
  driver.cass_user_type_free = [](CassUserType* u) { discard(u); };
}

constexpr CassError invalid_data = 0x0100001E;

/// What the driver is told of those bytes, or "invalid".
std::string bound(const FakeType& type, const std::string& bytes) {
  use_fake_driver();
  FakeTarget statement;
  // A copy of just that size, so that the address sanitizer sees a read beyond it.
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  const CassError error = bind_value(reinterpret_cast<CassStatement*>(&statement), 3,
                                     reinterpret_cast<const CassDataType*>(&type), copy.data(), copy.size());
  CHECK(alive == 0);
  CHECK(error == CASS_OK || error == invalid_data);
  return error == CASS_OK ? statement.said : "invalid";
}

template <std::size_t size>
std::string raw(const char (&text)[size]) {
  return std::string(text, size - 1);
}

}  // namespace

CASE(each_type_has_its_setter) {
  CHECK(bound({VALUE_TINYINT}, raw("\xFF")) == "3:int8 -1;");
  CHECK(bound({VALUE_SMALLINT}, raw("\xFF\xFE")) == "3:int16 -2;");
  CHECK(bound({VALUE_INT}, raw("\x00\x00\x00\x05")) == "3:int32 5;");
  CHECK(bound({VALUE_DATE}, raw("\x80\x00\x00\x01")) == "3:uint32 2147483649;");
  for (const ValueType type : {VALUE_BIGINT, VALUE_COUNTER, VALUE_TIMESTAMP, VALUE_TIME}) {
    CHECK(bound({type}, raw("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")) == "3:int64 -1;");
  }
  CHECK(bound({VALUE_FLOAT}, raw("\x3F\xC0\x00\x00")) == "3:float 1.5;");
  CHECK(bound({VALUE_DOUBLE}, raw("\xBF\xF8\x00\x00\x00\x00\x00\x00")) == "3:double -1.5;");
  CHECK(bound({VALUE_BOOLEAN}, raw("\x01")) == "3:bool 1;");
  for (const ValueType type : {VALUE_ASCII, VALUE_TEXT, VALUE_VARCHAR}) CHECK(bound({type}, "abc") == "3:string 'abc';");
  for (const ValueType type : {VALUE_BLOB, VALUE_VARINT, VALUE_CUSTOM}) CHECK(bound({type}, "abc") == "3:bytes 'abc';");
  CHECK(bound({VALUE_TEXT}, "") == "3:string '';");
  CHECK(bound({VALUE_INET}, raw("\x7F\x00\x00\x01")) == "3:inet 4 127.1;");
  CHECK(bound({VALUE_DECIMAL}, raw("\xFF\xFF\xFF\xFE" "ab")) == "3:decimal 'ab' -2;");
  CHECK(bound({VALUE_DURATION}, raw("\x02\x01\x80\x80")) == "3:duration 1 -1 64;");
}

CASE(the_driver_keeps_the_fields_of_a_uuid_in_its_own_order) {
  const std::string bytes = raw("\x00\x11\x22\x33\x44\x55\x16\x77\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF");
  CHECK(bound({VALUE_UUID}, bytes) == "3:uuid 1677445500112233,8899aabbccddeeff;");
  CHECK(bound({VALUE_TIMEUUID}, bytes) == "3:uuid 1677445500112233,8899aabbccddeeff;");
}

CASE(collections_and_tuples_take_their_items_as_bytes) {
  const std::string two = raw("\x00\x00\x00\x02\x00\x00\x00\x01" "a\x00\x00\x00\x00");
  CHECK(bound({VALUE_LIST}, two) == "3:collection 32 of 2 'a''';");
  CHECK(bound({VALUE_SET}, two) == "3:collection 34 of 2 'a''';");
  const std::string pair = raw("\x00\x00\x00\x01\x00\x00\x00\x01" "a\x00\x00\x00\x01" "b");
  CHECK(bound({VALUE_MAP}, pair) == "3:collection 33 of 2 'a''b';");
  CHECK(bound({VALUE_TUPLE}, raw("\x00\x00\x00\x01" "a\xFF\xFF\xFF\xFF\x00\x00\x00\x00")) == "3:tuple of 3 0:'a';1:null;2:'';;");
}

CASE(fields_of_user_types_are_typed_all_the_way_down) {
  const FakeType inner{VALUE_UDT, {{VALUE_INT}, {VALUE_TEXT}}};
  const FakeType outer{VALUE_UDT, {{VALUE_TINYINT}, inner, {VALUE_LIST, {{VALUE_INT}}}, {VALUE_TEXT}}};
  const std::string inner_bytes = raw("\x00\x00\x00\x04\x00\x00\x00\x07\xFF\xFF\xFF\xFF");
  const std::string bytes = raw("\x00\x00\x00\x01\x05\x00\x00\x00\x0C") + inner_bytes + raw("\x00\x00\x00\x04\x00\x00\x00\x00");
  // The last field is not in the bytes: it stays null.
  CHECK(bound(outer, bytes) ==
        "3:user type {0:int8 5;1:user type {0:int32 7;1:null;};2:collection 32 of 0 ;};");
}

CASE(bytes_that_do_not_fit_are_refused_before_the_driver_sees_them) {
  CHECK(bound({VALUE_TINYINT}, "") == "invalid");
  CHECK(bound({VALUE_INT}, "abc") == "invalid");
  CHECK(bound({VALUE_DATE}, "abcde") == "invalid");
  CHECK(bound({VALUE_BIGINT}, "abcd") == "invalid");
  CHECK(bound({VALUE_UUID}, "abcd") == "invalid");
  CHECK(bound({VALUE_INET}, "abc") == "invalid");
  CHECK(bound({VALUE_DECIMAL}, "abcd") == "invalid");
  CHECK(bound({VALUE_DURATION}, raw("\x00\x00")) == "invalid");
  CHECK(bound({VALUE_DURATION}, raw("\x00\x00\x00\x00")) == "invalid");
  CHECK(bound({VALUE_LIST}, "abc") == "invalid");
  CHECK(bound({VALUE_LIST}, raw("\x7F\xFF\xFF\xFF\x00\x00\x00\x00")) == "invalid");
  CHECK(bound({VALUE_LIST}, raw("\xFF\xFF\xFF\xFF")) == "invalid");
  CHECK(bound({VALUE_LIST}, raw("\x00\x00\x00\x01\xFF\xFF\xFF\xFF")) == "invalid");
  CHECK(bound({VALUE_LIST}, raw("\x00\x00\x00\x01\x00\x00\x00\x09" "a")) == "invalid");
  CHECK(bound({VALUE_LIST}, raw("\x00\x00\x00\x00" "a")) == "invalid");
  CHECK(bound({VALUE_TUPLE}, raw("\x00\x00\x00\x09" "a")) == "invalid");
  CHECK(bound({VALUE_TUPLE}, raw("\x00\x00")) == "invalid");
  CHECK(bound({VALUE_UDT, {{VALUE_INT}}}, raw("\x00\x00\x00\x01" "a")) == "invalid");
  CHECK(bound({VALUE_UDT, {}}, raw("\xFF\xFF\xFF\xFF")) == "invalid");
}

CASE(without_a_type_the_bytes_are_bound_as_they_are) {
  use_fake_driver();
  FakeTarget statement;
  CHECK(bind_value(reinterpret_cast<CassStatement*>(&statement), 0, nullptr, reinterpret_cast<const std::uint8_t*>("ab"), 2) ==
        CASS_OK);
  CHECK(statement.said == "0:bytes 'ab';");
}
