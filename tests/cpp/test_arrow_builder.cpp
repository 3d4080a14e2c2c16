#include "arrow_builder.hpp"

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "arrow_number.hpp"
#include "bind_value.hpp"
#include "buffer.hpp"
#include "check.hpp"

using namespace acsylla_like;

namespace {

ArrowType type_of(int kind, std::vector<ArrowType> children = {}) {
  ArrowType type;
  type.kind = kind;
  type.name = "type " + std::to_string(kind);
  type.children = std::move(children);
  type.field_names.assign(type.children.size(), "field");
  return type;
}

ArrowType vector_of(ArrowType element, std::int64_t dimension, std::int64_t width) {
  element.vector_width = width;
  ArrowType type = type_of(VALUE_CUSTOM, {std::move(element)});
  type.dimension = dimension;
  return type;
}

/// Bytes in a block of just their size, so that the address sanitizer sees every read beyond them.
struct Exact {
  explicit Exact(const std::string& bytes) : data(static_cast<std::uint8_t*>(std::malloc(bytes.size()))), size(bytes.size()) {
    if (size != 0) std::memcpy(data, bytes.data(), size);
  }
  ~Exact() { std::free(data); }
  std::uint8_t* data;
  std::size_t size;
};

bool append(ArrowBuilder* builder, const std::string& bytes, std::string* error) {
  const Exact exact(bytes);
  return builder->append(exact.data, exact.size, error);
}

std::string word(std::int32_t number) {
  std::uint8_t bytes[4];
  store(bytes, number);
  return std::string(reinterpret_cast<const char*>(bytes), 4);
}

std::string item(const std::string& bytes) { return word(static_cast<std::int32_t>(bytes.size())) + bytes; }

template <class Put>
std::string text_of(Put put, const std::string& bytes) {
  const Exact exact(bytes);
  ArrowBytes out;
  put(exact.data, exact.size, &out);
  return std::string(reinterpret_cast<const char*>(out.data()), out.size());
}

/// One of every type, the nested ones of others.
std::vector<ArrowType> all_types() {
  std::vector<ArrowType> types;
  for (const int kind : {VALUE_ASCII, VALUE_BIGINT, VALUE_BLOB, VALUE_BOOLEAN, VALUE_COUNTER, VALUE_DATE, VALUE_DECIMAL, VALUE_DOUBLE,
                         VALUE_DURATION, VALUE_FLOAT, VALUE_INET, VALUE_INT, VALUE_SMALLINT, VALUE_TEXT, VALUE_TIME, VALUE_TIMESTAMP,
                         VALUE_TIMEUUID, VALUE_TINYINT, VALUE_UUID, VALUE_VARINT}) {
    types.push_back(type_of(kind));
  }
  ArrowType decimal = type_of(VALUE_DECIMAL);
  decimal.precision = 50;
  decimal.scale = 3;
  types.push_back(decimal);
  decimal.kind = VALUE_VARINT;
  decimal.precision = 9;
  types.push_back(decimal);
  const ArrowType list = type_of(VALUE_LIST, {type_of(VALUE_TEXT)});
  types.push_back(list);
  types.push_back(type_of(VALUE_MAP, {type_of(VALUE_INT), list}));
  types.push_back(type_of(VALUE_TUPLE, {type_of(VALUE_INT), list, type_of(VALUE_BOOLEAN)}));
  types.push_back(type_of(VALUE_UDT, {type_of(VALUE_UUID), list}));
  types.push_back(vector_of(type_of(VALUE_FLOAT), 3, 4));
  types.push_back(vector_of(list, 2, 0));
  return types;
}

}  // namespace

CASE(numbers_are_written_as_python_writes_them) {
  const auto decimal = [](std::int32_t scale, const std::string& unscaled) { return text_of(put_decimal_text, word(scale) + unscaled); };
  CHECK(text_of(put_varint_text, std::string("\x80", 1)) == "-128");
  CHECK(text_of(put_varint_text, std::string("\x00\xFF", 2)) == "255");
  CHECK(text_of(put_varint_text, std::string("\x80\0\0\0\0\0\0\0\0", 9)) == "-2361183241434822606848");
  CHECK(text_of(put_varint_text, std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 9)) == "-1");
  CHECK(text_of(put_varint_text, std::string(20, '\0')) == "0");
  CHECK(decimal(2, "\x05") == "0.05");
  CHECK(decimal(0, "\x05") == "5");
  CHECK(decimal(1, "\x7B") == "12.3");
  CHECK(decimal(7, "\x05") == "5E-7");
  CHECK(decimal(6, "\x05") == "0.000005");
  CHECK(decimal(-2, "\x7B") == "1.23E+4");
  CHECK(decimal(-5, std::string(1, '\0')) == "0E+5");
  CHECK(decimal(INT32_MIN, "\x05") == "5E+2147483648");
  CHECK(decimal(INT32_MAX, std::string("\xFB", 1)) == "-5E-2147483647");
  CHECK(text_of(put_inet_text, std::string("\x7F\0\0\x01", 4)) == "127.0.0.1");
  CHECK(text_of(put_inet_text, std::string(16, '\0')) == "::");
  CHECK(text_of(put_inet_text, std::string("\0\x01\0\0\0\x02\0\0\0\0\0\x03\0\0\0\0", 16)) == "1:0:2::3:0:0");
  CHECK(text_of(put_inet_text, std::string(15, '\xFF') + '\0') == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00");
}

CASE(every_type_takes_any_bytes_and_reads_none_beyond_them) {
  std::mt19937 random(5);
  for (const ArrowType& type : all_types()) {
    int good = 0;
    for (int round = 0; round < 2000; ++round) {
      // Small numbers pass for lengths and counts more often.
      std::string bytes(random() % 40, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 4 == 0 ? random() % 12 : 0);
      const auto builder = make_builder(type);
      std::string error;
      builder->reserve(3);
      builder->append_null();
      if (append(builder.get(), bytes, &error)) {
        ++good;
        builder->append_null();
        const auto made = builder->finish();
        CHECK(made->length == 3);
        CHECK(builder->length() == 0);
        ArrowArray array;
        export_array(made, &array);
        release_if_held(&array);
      } else {
        CHECK(error.find(type.name) != std::string::npos || error.find("type ") != std::string::npos || error.find("fit") != std::string::npos);
      }
    }
    CHECK(good > 0);
  }
  CHECK(exported_structures() == 0);
}

CASE(a_value_cut_at_any_byte_is_refused_or_shorter) {
  const ArrowType list = type_of(VALUE_LIST, {type_of(VALUE_TEXT)});
  const ArrowType type = type_of(VALUE_MAP, {type_of(VALUE_INT), list});
  const std::string value = word(1) + item(word(7)) + item(word(2) + item("one") + item("two"));
  for (std::size_t size = 1; size < value.size(); ++size) {
    std::string error;
    CHECK(!append(make_builder(type).get(), value.substr(0, size), &error));
    CHECK(!error.empty());
  }
  std::string error;
  CHECK(append(make_builder(type).get(), value, &error));
}

CASE(offsets_beyond_their_word_are_an_error) {
  const std::size_t before = arrow_max_offset;
  arrow_max_offset = 10;
  const ArrowType text = type_of(VALUE_TEXT), list = type_of(VALUE_LIST, {type_of(VALUE_INT)});
  std::string error;
  auto builder = make_builder(text);
  CHECK(append(builder.get(), "12345", &error) && append(builder.get(), "12345", &error));
  CHECK(!append(builder.get(), "1", &error));
  CHECK(error.find("too large for one Arrow array") != std::string::npos);
  builder = make_builder(list);
  std::string items = word(11);
  for (int i = 0; i < 11; ++i) items += item(word(i));
  CHECK(!append(builder.get(), items, &error));
  const ArrowType vector = vector_of(type_of(VALUE_FLOAT), 6, 4);
  builder = make_builder(vector);
  builder->append_null();
  bool has_refused = false;
  try {
    builder->append_null();
  } catch (const std::bad_alloc&) {
    has_refused = true;
  }
  CHECK(has_refused);
  arrow_max_offset = before;
}

CASE(a_child_that_was_moved_out_is_released_by_its_holder) {
  const ArrowType type = type_of(VALUE_TUPLE, {type_of(VALUE_TEXT), type_of(VALUE_INT)});
  const auto builder = make_builder(type);
  std::string error;
  CHECK(append(builder.get(), item("kept") + item(word(5)), &error));
  auto made = builder->finish();
  ArrowArray array;
  export_array(made, &array);
  made.reset();
  CHECK(exported_structures() == 3);
  ArrowArray child = *array.children[0];
  array.children[0]->release = nullptr;
  array.release(&array);
  CHECK(array.release == nullptr);
  CHECK(exported_structures() == 1);
  CHECK(std::memcmp(child.buffers[2], "kept", 4) == 0);
  child.release(&child);
  CHECK(exported_structures() == 0);

  ArrowSchema schema;
  export_schema({ArrowField{"a", type}, ArrowField{"b", type_of(VALUE_MAP, {type_of(VALUE_UUID), type_of(VALUE_INT)})}}, &schema);
  CHECK(schema.n_children == 2);
  CHECK(std::string(schema.children[1]->children[0]->children[0]->format) == "w:16");
  CHECK((schema.children[1]->children[0]->children[0]->flags & ARROW_NULLABLE) == 0);
  ArrowSchema moved = *schema.children[0];
  schema.children[0]->release = nullptr;
  schema.release(&schema);
  CHECK(std::string(moved.name) == "a");
  moved.release(&moved);
  CHECK(exported_structures() == 0);
}

CASE(a_stream_gives_its_batches_once_and_releases_the_rest) {
  const ArrowType type = type_of(VALUE_INT);
  const auto fields = std::make_shared<const ArrowFields>(ArrowFields{ArrowField{"n", type}});
  std::vector<ArrowBatch> batches;
  for (int i = 0; i < 3; ++i) {
    const auto builder = make_builder(type);
    std::string error;
    CHECK(append(builder.get(), word(i), &error));
    auto batch = std::make_shared<ArrayData>();
    batch->length = 1;
    batch->buffers.emplace_back();
    batch->children.push_back(builder->finish());
    batches.push_back(std::move(batch));
  }
  ArrowArrayStream stream;
  export_stream(fields, batches, &stream);
  ArrowSchema schema;
  CHECK(stream.get_schema(&stream, &schema) == 0);
  release_if_held(&schema);
  for (int i = 0; i < 3; ++i) {
    ArrowArray array;
    CHECK(stream.get_next(&stream, &array) == 0);
    std::int32_t number;
    std::memcpy(&number, array.children[0]->buffers[1], sizeof number);
    CHECK(number == i);
    release_if_held(&array);
  }
  ArrowArray end;
  CHECK(stream.get_next(&stream, &end) == 0 && end.release == nullptr);
  CHECK(stream.get_next(&stream, &end) == 0 && end.release == nullptr);
  release_if_held(&stream);
  export_stream(fields, batches, &stream);
  release_if_held(&stream);
  CHECK(exported_structures() == 0);
}
