#include "arrow_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

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
  for (std::size_t i = 0; i < type.children.size(); ++i) type.field_names.push_back(std::string(1, static_cast<char>('a' + i)));
  return type;
}

ArrowType vector_of(ArrowType element, std::int64_t dimension, std::int64_t width) {
  element.vector_width = width;
  ArrowType type = type_of(VALUE_CUSTOM, {std::move(element)});
  type.dimension = dimension;
  return type;
}

/// A type and an array of it, each buffer in a block of just its size: the address sanitizer sees every read beyond.
struct Made {
  explicit Made(std::string format_) : format(std::move(format_)) {
    schema.format = format.c_str();
    schema.name = "";
  }
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() {
    for (void* block : blocks) std::free(block);
  }

  Made& called(const char* name) {
    schema.name = name;
    return *this;
  }
  Made& sized(std::int64_t length, std::int64_t offset = 0, std::int64_t null_count = 0) {
    array.length = length;
    array.offset = offset;
    array.null_count = null_count;
    return *this;
  }
  Made& without_buffer() {
    buffers.push_back(nullptr);
    return finish();
  }
  Made& bytes(const std::string& content) {
    blocks.push_back(std::malloc(content.size()));
    if (!content.empty()) std::memcpy(blocks.back(), content.data(), content.size());
    buffers.push_back(blocks.back());
    return finish();
  }
  template <class Number>
  Made& numbers(const std::vector<Number>& content) {
    return bytes(std::string(reinterpret_cast<const char*>(content.data()), content.size() * sizeof(Number)));
  }
  Made& child(std::shared_ptr<Made> inner) {
    children.push_back(std::move(inner));
    arrays.push_back(&children.back()->array);
    schemas.push_back(&children.back()->schema);
    return finish();
  }
  Made& dictionary(std::shared_ptr<Made> inner) {
    values = std::move(inner);
    array.dictionary = &values->array;
    schema.dictionary = &values->schema;
    return *this;
  }
  Made& finish() {
    array.buffers = buffers.data();
    array.n_buffers = static_cast<std::int64_t>(buffers.size());
    array.children = arrays.data();
    schema.children = schemas.data();
    array.n_children = schema.n_children = static_cast<std::int64_t>(arrays.size());
    return *this;
  }

  std::string format;
  ArrowSchema schema{};
  ArrowArray array{};
  std::vector<void*> blocks{};
  std::vector<const void*> buffers{};
  std::vector<ArrowArray*> arrays{};
  std::vector<ArrowSchema*> schemas{};
  std::vector<std::shared_ptr<Made>> children{};
  std::shared_ptr<Made> values{};
};

std::shared_ptr<Made> made(const std::string& format) { return std::make_shared<Made>(format); }

/// int32 values without a validity.
std::shared_ptr<Made> ints(std::vector<std::int32_t> values) {
  auto array = made("i");
  array->sized(static_cast<std::int64_t>(values.size())).without_buffer().numbers(values);
  return array;
}

/// What a reader says to an array: "null", the bytes in hexadecimal, or "!" and the error, for each value.
std::vector<std::string> read(const Made& from, const ArrowType& type, bool truncate = false) {
  std::string error;
  const auto reader = make_reader(from.schema, type, &error);
  if (reader == nullptr) return {"no reader: " + error};
  error = reader->take(&from.array);
  if (!error.empty()) return {"not taken: " + error};
  std::vector<std::string> found;
  ArrowReading reading;
  reading.truncate = truncate;
  for (std::int64_t i = 0; i < reader->length(); ++i) {
    Buffer out;
    if (reader->is_null(i)) {
      found.push_back("null");
    } else if (!reader->encode(i, &out, &reading)) {
      found.push_back("!" + reading.error);
    } else {
      std::string text;
      for (std::size_t k = 0; k < out.size(); ++k) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", out.data()[k]);
        text += digits;
      }
      found.push_back(text);
    }
  }
  return found;
}

bool has(const std::vector<std::string>& found, std::size_t i, const std::string& part) {
  if (i < found.size() && found[i].find(part) != std::string::npos) return true;
  for (const std::string& text : found) std::fprintf(stderr, "found: %s\n", text.c_str());
  return false;
}

using Texts = std::vector<std::string>;

}  // namespace

CASE(a_validity_is_read_from_the_arrays_offset_and_need_not_be_there) {
  Made some("s");
  some.sized(9, 3, -1).bytes(std::string("\xEF\x0F", 2)).numbers(std::vector<std::int16_t>{9, 9, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8});
  CHECK((read(some, type_of(VALUE_INT)) ==
         Texts{"00000000", "null", "00000002", "00000003", "00000004", "00000005", "00000006", "00000007", "00000008"}));
  Made all("s");
  all.sized(1, 0, -1).without_buffer().numbers(std::vector<std::int16_t>{-1});
  CHECK((read(all, type_of(VALUE_VARINT)) == Texts{"ff"}));
  Made none("n");
  none.sized(2);
  CHECK((read(none, type_of(VALUE_INT)) == Texts{"null", "null"}));
  Made empty("u");
  empty.sized(0).without_buffer().without_buffer().without_buffer();
  CHECK(read(empty, type_of(VALUE_TEXT)).empty());
}

CASE(an_array_that_lacks_what_its_type_needs_is_not_taken) {
  Made bare("i");
  bare.sized(1).without_buffer().without_buffer();
  CHECK(has(read(bare, type_of(VALUE_INT)), 0, "not taken: an array without its buffer 1"));
  Made few("i");
  few.sized(1).without_buffer();
  CHECK(has(read(few, type_of(VALUE_INT)), 0, "not taken: an array of 1 buffers and 0 children, where 2 and 0 belong"));
  Made silent("i");
  silent.sized(1, 0, 1).without_buffer().numbers(std::vector<std::int32_t>{1});
  CHECK(has(read(silent, type_of(VALUE_INT)), 0, "not taken: an array with 1 nulls that does not say which"));
  Made negative("i");
  negative.sized(-1).without_buffer().numbers(std::vector<std::int32_t>{1});
  CHECK(has(read(negative, type_of(VALUE_INT)), 0, "negative length"));
  negative.sized(1, -1);
  CHECK(has(read(negative, type_of(VALUE_INT)), 0, "negative length"));
  negative.sized(1, INT64_MAX);
  CHECK(has(read(negative, type_of(VALUE_INT)), 0, "more values than there can be"));
  Made listed("+l");
  listed.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 1}).child(ints({1}));
  const ArrowType list = type_of(VALUE_LIST, {type_of(VALUE_INT)});
  CHECK((read(listed, list) == Texts{"000000010000000400000001"}));
  listed.array.n_children = 0;
  CHECK(has(read(listed, list), 0, "where 2 and 1 belong"));
  listed.finish();
  listed.arrays[0] = nullptr;
  CHECK(has(read(listed, list), 0, "without its child 0"));
  listed.array.children = nullptr;
  CHECK(has(read(listed, list), 0, "without its buffers or children"));
  Made unlisted("C");
  unlisted.sized(1).without_buffer().bytes(std::string(1, '\0'));
  unlisted.dictionary(ints({1}));
  CHECK((read(unlisted, type_of(VALUE_INT)) == Texts{"00000001"}));
  unlisted.array.dictionary = nullptr;
  CHECK(has(read(unlisted, type_of(VALUE_INT)), 0, "without its dictionary"));
}

CASE(a_schema_that_lacks_what_its_format_needs_makes_no_reader) {
  const ArrowType list = type_of(VALUE_LIST, {type_of(VALUE_INT)});
  const ArrowType tuple = type_of(VALUE_TUPLE, {type_of(VALUE_INT)});
  for (const char* format : {"+l", "+L", "+vl", "+w:2", "+s", "+m", "+r", "+", "+w", "+w:", "+w:x", "+us:0", "w", "w:", "w:-1", "d", "d:", "d:3",
                             "d:3,2,", "d:3,2,77", "d:3,99999999999", "t", "td", "tdx", "ts", "tsx:", "tt", "ttx", "tix", "v", "vx", "", "?", "ii"}) {
    Made lacking(format);
    lacking.schema.n_children = lacking.format == "+s" ? 1 : 0;
    for (const ArrowType& type : {list, tuple, type_of(VALUE_INT), type_of(VALUE_UUID), type_of(VALUE_DECIMAL), type_of(VALUE_TIMESTAMP),
                                  type_of(VALUE_TIME), type_of(VALUE_DURATION), type_of(VALUE_TEXT), type_of(VALUE_BLOB)}) {
      std::string error;
      CHECK(make_reader(lacking.schema, type, &error) == nullptr);
      CHECK(error.find(type.name) != std::string::npos);
    }
  }
  ArrowSchema unformatted{};
  std::string error;
  CHECK(make_reader(unformatted, list, &error) == nullptr);
  Made counted("+l");
  counted.schema.n_children = -1;
  CHECK(make_reader(counted.schema, list, &error) == nullptr);
}

CASE(positions_of_bytes_that_run_backwards_or_beyond_are_malformed) {
  const ArrowType text = type_of(VALUE_TEXT), blob = type_of(VALUE_BLOB);
  Made good("u");
  good.sized(2, 1).without_buffer().numbers(std::vector<std::int32_t>{0, 1, 1, 3}).bytes("abc");
  CHECK((read(good, text) == Texts{"", "6263"}));
  Made back("u");
  back.sized(2).without_buffer().numbers(std::vector<std::int32_t>{0, 3, 1}).bytes("abc");
  CHECK(has(read(back, text), 0, "malformed: the bytes of value 0"));
  CHECK(has(read(back, text), 1, "malformed: the bytes of value 1"));
  Made below("Z");
  below.sized(2).without_buffer().numbers(std::vector<std::int64_t>{-5, 1, 3}).bytes("abc");
  CHECK(has(read(below, blob), 0, "malformed"));
  CHECK(has(read(below, blob), 1, "6263"));
  Made nowhere("z");
  nowhere.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 3}).without_buffer();
  CHECK(has(read(nowhere, blob), 0, "not taken: an array without its buffer 2"));
  Made nothing("z");
  nothing.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 0}).without_buffer();
  CHECK((read(nothing, blob) == Texts{""}));
}

CASE(views_of_bytes_that_are_not_there_are_malformed) {
  const auto view = [](std::int32_t size, std::int32_t buffer, std::int32_t position) {
    const std::int32_t parts[4] = {size, 0x61616161, buffer, position};
    return std::string(reinterpret_cast<const char*>(parts), sizeof parts);
  };
  const auto views = [](const std::string& content, std::int64_t length) {
    auto array = made("vu");
    array->sized(length).without_buffer().bytes(content).bytes(std::string(20, 'a')).numbers(std::vector<std::int64_t>{20});
    return array;
  };
  const ArrowType text = type_of(VALUE_TEXT);
  CHECK((read(*views(view(4, 7, 7) + view(13, 0, 7), 2), text) == Texts{"61616161", "61616161616161616161616161"}));
  for (const std::string& bad : {view(13, 0, 8), view(21, 0, 0), view(13, 1, 0), view(13, -1, 0), view(13, 0, -1), view(-1, 0, 0),
                                 view(INT32_MAX, 0, INT32_MAX), view(INT32_MIN, 0, 0)}) {
    CHECK(has(read(*views(bad, 1), text), 0, "malformed"));
  }
  Made unsized("vz");
  unsized.sized(1).without_buffer().bytes(view(13, 0, 0)).bytes(std::string(20, 'a')).without_buffer();
  CHECK(has(read(unsized, type_of(VALUE_BLOB)), 0, "without the lengths of its buffers"));
  Made none("vz");
  none.sized(2).without_buffer().bytes(view(1, 0, 0) + view(13, 0, 0)).without_buffer();
  CHECK(has(read(none, type_of(VALUE_BLOB)), 0, "61"));
  CHECK(has(read(none, type_of(VALUE_BLOB)), 1, "malformed"));
}

CASE(items_beyond_those_of_the_child_are_malformed) {
  const ArrowType list = type_of(VALUE_LIST, {type_of(VALUE_INT)});
  for (const auto& [start, end] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 4}, {-1, 2}, {2, 1}, {INT64_MIN, INT64_MAX}, {INT64_MAX, INT64_MIN}}) {
    Made large("+L");
    large.sized(1).without_buffer().numbers(std::vector<std::int64_t>{start, end}).child(ints({1, 2, 3}));
    CHECK(has(read(large, list), 0, "malformed: the items of value 0"));
    Made view("+vL");
    view.sized(1).without_buffer().numbers(std::vector<std::int64_t>{start}).numbers(std::vector<std::int64_t>{end}).child(ints({1, 2, 3}));
    CHECK(has(read(view, list), 0, start == 2 ? "0000000100000004" : "malformed"));
  }
  Made fixed("+w:2");
  fixed.sized(2, 0).without_buffer().child(ints({1, 2, 3}));
  CHECK(has(read(fixed, list), 0, "00000002"));
  CHECK(has(read(fixed, list), 1, "malformed"));
  fixed.sized(1, 1);
  CHECK(has(read(fixed, list), 0, "malformed"));
  fixed.sized(1, std::int64_t{1} << 56);
  CHECK(has(read(fixed, list), 0, "malformed"));
  Made wide("+w:2147483647");
  wide.sized(1, std::int64_t{1} << 40).without_buffer().child(ints({1, 2, 3}));
  CHECK(has(read(wide, list), 0, "malformed"));
}

CASE(a_child_that_is_sliced_is_read_from_its_own_offset) {
  auto sliced = made("i");
  sliced->sized(2, 1).without_buffer().numbers(std::vector<std::int32_t>{9, 7, 8});
  Made list("+l");
  list.sized(1, 1).without_buffer().numbers(std::vector<std::int32_t>{0, 1, 2}).child(sliced);
  CHECK((read(list, type_of(VALUE_LIST, {type_of(VALUE_INT)})) == Texts{"000000010000000400000008"}));
  Made pair("+s");
  pair.sized(1, 1).without_buffer().child(sliced);
  CHECK((read(pair, type_of(VALUE_TUPLE, {type_of(VALUE_INT)})) == Texts{"0000000400000008"}));
  Made fixed("+w:1");
  fixed.sized(1, 1).without_buffer().child(sliced);
  CHECK((read(fixed, vector_of(type_of(VALUE_INT), 1, 4)) == Texts{"00000008"}));
  auto entries = made("+s");
  entries->sized(1, 1).without_buffer().child(sliced).child(ints({5, 6}));
  Made map("+m");
  map.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 1}).child(entries);
  CHECK((read(map, type_of(VALUE_MAP, {type_of(VALUE_INT), type_of(VALUE_INT)})) == Texts{"0000000100000004000000080000000400000006"}));
  Made coded("c");
  coded.sized(1).without_buffer().bytes(std::string(1, '\1')).dictionary(sliced);
  CHECK((read(coded, type_of(VALUE_INT)) == Texts{"00000008"}));
}

CASE(maps_and_structs_whose_children_are_too_short_are_not_taken) {
  auto entries = made("+s");
  entries->sized(2).without_buffer().child(ints({1, 2})).child(ints({1}));
  Made map("+m");
  map.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 2}).child(entries);
  const ArrowType type = type_of(VALUE_MAP, {type_of(VALUE_INT), type_of(VALUE_INT)});
  CHECK(has(read(map, type), 0, "not taken: a map with fewer keys or values than entries"));
  entries->sized(1);
  CHECK(has(read(map, type), 0, "malformed: the entries of value 0"));
  entries->sized(1, 0, 1);
  entries->blocks.push_back(std::calloc(1, 1));
  entries->buffers[0] = entries->blocks.back();
  Made null_entry("+l");
  null_entry.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 1}).child(entries);
  CHECK(has(read(null_entry, type), 0, "a map with a null entry"));
  Made pair("+s");
  pair.sized(2).without_buffer().child(ints({1}));
  CHECK(has(read(pair, type_of(VALUE_TUPLE, {type_of(VALUE_INT)})), 0, "not taken: a struct with fewer values of a field"));
  Made twice("+s");
  auto one = ints({1}), two = ints({1});
  one->called("a");
  two->called("a");
  twice.sized(1).without_buffer().child(one).child(two);
  CHECK(has(read(twice, type_of(VALUE_UDT, {type_of(VALUE_INT), type_of(VALUE_INT)})), 0, "no second field for 'a'"));
}

CASE(a_number_beyond_its_dictionary_is_an_error_and_no_null) {
  Made coded("L");
  coded.sized(4, 0, 1).bytes("\x07").numbers(std::vector<std::uint64_t>{1, 2, UINT64_MAX, 5}).dictionary(ints({7, 8}));
  const auto found = read(coded, type_of(VALUE_INT));
  CHECK(found[0] == "00000008" && found[3] == "null");
  CHECK(has(found, 1, "malformed: value 2 of a dictionary of 2"));
  CHECK(has(found, 2, "malformed: value 18446744073709551615 of a dictionary of 2"));
  Made below("c");
  below.sized(1).without_buffer().bytes("\xFF").dictionary(ints({7, 8}));
  CHECK(has(read(below, type_of(VALUE_INT)), 0, "malformed: value -1"));
  Made item("+l");
  auto codes = made("c");
  codes->sized(1).without_buffer().bytes("\x02").dictionary(ints({7, 8}));
  item.sized(1).without_buffer().numbers(std::vector<std::int32_t>{0, 1}).child(codes);
  CHECK(has(read(item, type_of(VALUE_LIST, {type_of(VALUE_INT)})), 0, "malformed: value 2"));
}

CASE(runs_are_found_from_any_offset_and_in_any_order) {
  const auto runs = [](std::vector<std::int32_t> ends, std::shared_ptr<Made> values, std::int64_t length, std::int64_t offset) {
    auto array = made("+r");
    array->sized(length, offset).child(ints(std::move(ends))).child(std::move(values));
    return array;
  };
  const ArrowType type = type_of(VALUE_TINYINT);
  CHECK((read(*runs({1, 3, 4}, ints({7, 8, 9}), 4, 0), type) == Texts{"07", "08", "08", "09"}));
  CHECK((read(*runs({1, 3, 4}, ints({7, 8, 9}), 2, 2), type) == Texts{"08", "09"}));
  CHECK(has(read(*runs({1, 3}, ints({7, 8}), 4, 0), type), 0, "not taken: an array whose runs end before it does"));
  CHECK(has(read(*runs({1, 4}, ints({7}), 4, 0), type), 0, "not taken"));
  CHECK(has(read(*runs({}, ints({}), 1, 0), type), 0, "not taken"));
  CHECK(read(*runs({}, ints({}), 0, 0), type).empty());
  CHECK(read(*runs({3, -1, 2, 4}, ints({1, 2, 3, 4}), 4, 0), type).size() == 4);
  const auto array = runs({2, 5, 9}, ints({1, 2, 3}), 9, 0);
  std::string error;
  const auto reader = make_reader(array->schema, type, &error);
  CHECK(reader != nullptr && reader->take(&array->array).empty());
  for (const std::int64_t i : {8, 0, 4, 2, 1, 5}) {
    Buffer out;
    ArrowReading reading;
    CHECK(reader->encode(i, &out, &reading));
    CHECK(out.data()[0] == (i < 2 ? 1 : i < 5 ? 2 : 3));
  }
  // It was in the third run of three.
  const auto shorter = runs({2}, ints({4}), 2, 0);
  Buffer out;
  ArrowReading reading;
  CHECK(reader->encode(8, &out, &reading));
  CHECK(reader->take(&shorter->array).empty());
  out.clear();
  CHECK(reader->encode(1, &out, &reading) && out.data()[0] == 4);
}

CASE(intervals_of_each_width_are_durations) {
  const ArrowType type = type_of(VALUE_DURATION);
  Made months("tiM");
  months.sized(2).without_buffer().numbers(std::vector<std::int32_t>{14, -1});
  CHECK((read(months, type) == Texts{"1c0000", "010000"}));  // zigzag: twice the number, or one less than twice its magnitude
  Made days("tiD");
  days.sized(3).without_buffer().numbers(std::vector<std::int32_t>{1, 1, -1, 0, 1, -1});
  const auto found = read(days, type);
  CHECK(found[0] == "0002de8480");  // 2,000,000 as a zigzag of a million
  CHECK(found[1] == "000100");
  CHECK(has(found, 2, "whose signs differ"));
  Made all("tin");
  std::string bytes(16, '\0');
  bytes[0] = 1;
  bytes[4] = 2;
  bytes[8] = 3;
  all.sized(1).without_buffer().bytes(bytes);
  CHECK((read(all, type) == Texts{"020406"}));
}

CASE(arrow_types_are_named_in_words) {
  const auto name = [](const Made& type) { return arrow_type_name(type.schema); };
  CHECK(name(Made("tsu:Europe/Berlin")) == "timestamp[us, tz=Europe/Berlin]");
  CHECK(name(Made("tsn:")) == "timestamp[ns]");
  CHECK(name(Made("ttm")) == "time32[ms]");
  CHECK(name(Made("tDs")) == "duration[s]");
  CHECK(name(Made("d:10,2")) == "decimal128(10, 2)");
  CHECK(name(Made("d:60,-2,256")) == "decimal256(60, -2)");
  CHECK(name(Made("w:16")) == "fixed_size_binary[16]");
  CHECK(name(Made("x")) == "unknown to the reader ('x')");
  Made list("+vl");
  auto entries = made("+s");
  entries->child(made("u")).child(made("g"));
  auto map = made("+m");
  map->child(entries);
  auto pair = made("+s");
  auto first = made("+w:3");
  first->child(map);
  pair->child(first);
  first->called("x");
  list.child(pair);
  CHECK(name(list) == "list_view<struct<x: fixed_size_list<map<string, float64>>[3]>>");
  Made coded("s");
  coded.dictionary(made("vu"));
  CHECK(name(coded) == "dictionary<int16, string_view>");
  Made mixed("+ud:0,1");
  mixed.child(made("i")).child(made("n"));
  CHECK(name(mixed) == "dense_union<: int32, : null>");
}

namespace {

/// Arrays whose buffers have the sizes that the interface promises and hold whatever comes.
class Random {
 public:
  explicit Random(unsigned seed) : random_(seed) {}

  std::int64_t below(std::int64_t bound) { return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(bound)); }

  std::string noise(std::int64_t size) {
    std::string text(static_cast<std::size_t>(size), '\0');
    for (char& byte : text) byte = static_cast<char>(below(3) == 0 ? below(256) : below(8));
    return text;
  }

  /// A random CQL type and an Arrow type that becomes it.
  std::shared_ptr<Made> any(ArrowType* type, std::int64_t length, int depth) {
    const std::int64_t choice = below(depth > 0 ? 16 : 9);
    const std::int64_t offset = below(3), end = offset + length;
    std::shared_ptr<Made> array;
    switch (choice) {
      case 0:
      case 1: {
        static constexpr const char* formats[] = {"c", "C", "s", "S", "i", "I", "l", "L", "e", "f", "g"};
        static constexpr int widths[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
        static constexpr int kinds[] = {VALUE_TINYINT, VALUE_SMALLINT, VALUE_INT, VALUE_BIGINT, VALUE_VARINT, VALUE_FLOAT, VALUE_DOUBLE};
        const std::int64_t k = below(11);
        *type = type_of(kinds[below(7)]);
        array = sized(formats[k], length, offset);
        array->bytes(noise(end * widths[k]));
        return array;
      }
      case 2: {
        static constexpr const char* formats[] = {"tdD", "tdm", "tss:", "tsm:UTC", "tsu:", "tsn:X", "tts", "ttm", "ttu", "ttn", "tDn", "tiM", "tiD", "tin"};
        static constexpr int widths[] = {4, 8, 8, 8, 8, 8, 4, 4, 8, 8, 8, 4, 8, 16};
        static constexpr int kinds[] = {VALUE_DATE, VALUE_TIMESTAMP, VALUE_TIME, VALUE_DURATION};
        const std::int64_t k = below(14);
        *type = type_of(k < 2 ? kinds[below(2)] : k < 6 ? kinds[1] : k < 10 ? kinds[2] : kinds[3]);
        array = sized(formats[k], length, offset);
        array->bytes(noise(end * widths[k]));
        return array;
      }
      case 3: {
        static constexpr const char* formats[] = {"d:9,2,32", "d:18,-3,64", "d:38,0", "d:76,5,256"};
        const std::int64_t k = below(4);
        *type = type_of(below(2) == 0 ? VALUE_DECIMAL : VALUE_VARINT);
        array = sized(formats[k], length, offset);
        array->bytes(noise(end * (4 << k)));
        return array;
      }
      case 4:
      case 5: {
        *type = type_of(bytes_kind());
        const bool is_text = type->kind != VALUE_BLOB;
        return below(2) == 0 ? texts<std::int32_t>(is_text ? "u" : "z", length, offset) : texts<std::int64_t>(is_text ? "U" : "Z", length, offset);
      }
      case 6: {
        *type = type_of(bytes_kind());
        array = sized(type->kind == VALUE_BLOB ? "vz" : "vu", length, offset);
        std::string views = noise(end * 16);
        std::vector<std::int64_t> sizes;
        for (std::int64_t k = below(3); k > 0; --k) sizes.push_back(below(40));
        for (std::int64_t i = 0; i < end; ++i) {
          const auto parts = std::vector<std::int32_t>{word(-2, 30), word(-2, 99), word(-1, 3), word(-2, 30)};
          std::memcpy(&views[static_cast<std::size_t>(i) * 16], parts.data(), 16);
        }
        array->bytes(views);
        for (const std::int64_t size : sizes) array->bytes(noise(size));
        array->numbers(sizes);
        return array;
      }
      case 7: {
        static constexpr int kinds[] = {VALUE_UUID, VALUE_TIMEUUID, VALUE_INET, VALUE_BLOB};
        *type = type_of(kinds[below(4)]);
        array = sized("w:16", length, offset);
        array->bytes(noise(end * 16));
        return array;
      }
      case 8: {
        *type = type_of(VALUE_BOOLEAN);
        array = sized("b", length, offset);
        array->bytes(noise((end + 7) / 8));
        return array;
      }
      case 9:
      case 10: {
        const std::int64_t items = below(8);
        ArrowType inner;
        auto child = any(&inner, items, depth - 1);
        if (below(3) == 0) {
          const std::int64_t dimension = below(3) + 1;
          *type = vector_of(inner, dimension, 0);
        } else {
          *type = type_of(below(2) == 0 ? VALUE_LIST : VALUE_SET, {inner});
        }
        switch (below(5)) {
          case 0:
            array = sized("+l", length, offset);
            array->numbers(positions<std::int32_t>(end + 1, items));
            break;
          case 1:
            array = sized("+L", length, offset);
            array->numbers(positions<std::int64_t>(end + 1, items));
            break;
          case 2:
            array = sized("+vl", length, offset);
            array->numbers(positions<std::int32_t>(end, items)).numbers(positions<std::int32_t>(end, items));
            break;
          case 3:
            array = sized("+vL", length, offset);
            array->numbers(positions<std::int64_t>(end, items)).numbers(positions<std::int64_t>(end, items));
            break;
          default:
            array = sized("+w:" + std::to_string(type->dimension > 0 ? type->dimension : below(4)), length, offset);
        }
        array->child(child);
        return array;
      }
      case 11: {
        ArrowType key, value;
        const std::int64_t items = below(8), entries_offset = below(2);
        auto keys = any(&key, items + below(3), depth - 1), values = any(&value, items + below(3), depth - 1);
        auto entries = sized("+s", items, entries_offset);
        entries->child(keys).child(values);
        *type = type_of(VALUE_MAP, {key, value});
        array = sized(below(2) == 0 ? "+m" : "+l", length, offset);
        array->numbers(positions<std::int32_t>(end + 1, items)).child(entries);
        return array;
      }
      case 12:
      case 13: {
        array = sized("+s", length, offset);
        std::vector<ArrowType> fields;
        for (std::int64_t k = below(3) + 1; k > 0; --k) {
          ArrowType field;
          auto child = any(&field, std::max<std::int64_t>(0, end + below(4) - (below(8) == 0)), depth - 1);
          child->called(fields.empty() ? "a" : fields.size() == 1 ? "b" : "c");
          fields.push_back(field);
          array->child(child);
        }
        *type = type_of(below(2) == 0 ? VALUE_TUPLE : VALUE_UDT, fields);
        return array;
      }
      case 14: {
        static constexpr const char* formats[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
        const std::int64_t k = below(8), count = below(6);
        array = sized(formats[k], length, offset);
        array->bytes(noise(end * (1 << (k / 2))));
        array->dictionary(any(type, count, depth - 1));
        return array;
      }
      default: {
        const std::int64_t count = below(6);
        auto ends = sized("i", count, below(2));
        ends->numbers(positions<std::int32_t>(count + ends->array.offset, end + 1));
        array = made("+r");
        array->sized(length, offset).child(ends).child(any(type, below(6), depth - 1));
        return array;
      }
    }
  }

 private:
  std::int32_t word(std::int64_t least, std::int64_t bound) {
    return static_cast<std::int32_t>(below(30) == 0 ? static_cast<std::int64_t>(random_()) : least + below(bound - least));
  }

  int bytes_kind() {
    static constexpr int kinds[] = {VALUE_TEXT, VALUE_ASCII, VALUE_BLOB, VALUE_DECIMAL, VALUE_VARINT, VALUE_UUID, VALUE_INET};
    const int kind = kinds[below(7)];
    return kind;
  }

  /// With a validity, or without.
  std::shared_ptr<Made> sized(const std::string& format, std::int64_t length, std::int64_t offset) {
    auto array = made(format);
    array->sized(length, offset, below(3) == 0 ? 0 : -1);
    if (below(2) == 0) return array->without_buffer(), array;
    array->bytes(noise((offset + length + 7) / 8));
    return array;
  }

  template <class Offset>
  std::vector<Offset> positions(std::int64_t count, std::int64_t bound) {
    std::vector<Offset> numbers;
    Offset last = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (below(3) == 0 && last < bound) last = static_cast<Offset>(last + below(bound - last + 1));
      if (below(30) == 0) last = static_cast<Offset>(below(2) == 0 ? random_() : -below(5));
      numbers.push_back(last);
      if (last < 0 || last > bound) last = 0;
    }
    return numbers;
  }

  template <class Offset>
  std::shared_ptr<Made> texts(const char* format, std::int64_t length, std::int64_t offset) {
    auto array = sized(format, length, offset);
    std::vector<Offset> ends = positions<Offset>(offset + length + 1, 40);
    if (ends.back() > 100) ends.back() = 100;
    array->numbers(ends);
    return array->bytes(noise(std::max<std::int64_t>(0, ends.back()))), array;
  }

  std::mt19937_64 random_;
};

}  // namespace

CASE(no_array_makes_its_reader_read_beyond_it) {
  std::int64_t values = 0, refused = 0, nulls = 0, not_taken = 0;
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    Random random(seed);
    ArrowType type;
    const auto array = random.any(&type, random.below(6), 3);
    const auto found = read(*array, type, random.below(2) == 0);
    for (const std::string& text : found) {
      if (text.compare(0, 10, "no reader:") == 0) check::fail(__FILE__, __LINE__, text);
      ++(text == "null" ? nulls : text[0] == '!' ? refused : text.compare(0, 9, "not taken") == 0 ? not_taken : values);
      CHECK(text[0] != '!' || text.size() > 1);
    }
  }
  CHECK(values > 10'000 && refused > 3'000 && nulls > 3'000 && not_taken > 500);
}
