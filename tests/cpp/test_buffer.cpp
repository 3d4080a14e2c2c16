#include "buffer.hpp"

#include <string>
#include <vector>

#include "check.hpp"

using namespace acsylla_like;

namespace {

std::string bytes_of(const Buffer& buffer) {
  return std::string(reinterpret_cast<const char*>(buffer.data()), buffer.size());
}

}  // namespace

CASE(one_byte_that_is_not_ascii_is_found_wherever_it_is) {
  for (std::size_t size = 0; size < 40; ++size) {
    std::vector<std::uint8_t> bytes(size, 0x7F);
    CHECK(all_ascii(bytes.data(), size));
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] = 0x80;
      CHECK(!all_ascii(bytes.data(), size));
      bytes[i] = 0x00;
    }
    CHECK(all_ascii(bytes.data(), size));
  }
}

CASE(numbers_are_written_most_significant_byte_first) {
  Buffer buffer;
  buffer.put_int8(-1);
  buffer.put_int16(0x0102);
  buffer.put_int32(-2);
  buffer.put_int64(0x0102030405060708);
  buffer.put_float(1.0f);
  buffer.put_double(-2.0);
  const char expected[] = "\xFF\x01\x02\xFF\xFF\xFF\xFE\x01\x02\x03\x04\x05\x06\x07\x08\x3F\x80\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x00";
  CHECK(bytes_of(buffer) == std::string(expected, sizeof expected - 1));
  CHECK(load<std::int64_t>(buffer.data() + 7) == 0x0102030405060708);
  CHECK(load<double>(buffer.data() + 19) == -2.0);
}

CASE(growth_keeps_what_was_written) {
  Buffer buffer;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    buffer.put_int8(static_cast<std::int8_t>(i));
    expected.push_back(static_cast<char>(i));
    if (i % 100 == 0) {
      const std::string run(static_cast<std::size_t>(i), 'x');
      buffer.put_bytes(run.data(), run.size());
      expected += run;
    }
  }
  CHECK(bytes_of(buffer) == expected);
  buffer.clear();
  CHECK(buffer.size() == 0);
  buffer.put_bytes(expected.data(), 5);
  CHECK(bytes_of(buffer) == expected.substr(0, 5));
}

CASE(a_length_is_patched_in_before_what_it_counts) {
  Buffer buffer;
  buffer.put_int8(7);
  const std::size_t position = buffer.size();
  buffer.put_int32(0);
  buffer.put_bytes("abc", 3);
  CHECK(buffer.patch_length(position));
  CHECK(bytes_of(buffer) == std::string("\x07\x00\x00\x00\x03"
                                        "abc", 8));
}

CASE(a_variable_length_is_inserted_before_what_it_counts) {
  for (const std::size_t size : {0, 1, 127, 128, 500, 16383, 16384, 3000000}) {
    Buffer buffer;
    const std::string text(size, 'y');
    buffer.put_int8(1);
    buffer.put_bytes(text.data(), text.size());
    buffer.insert_unsigned_vint(1);
    const std::uint8_t* const end = buffer.data() + buffer.size();
    std::uint64_t length = 0;
    const std::uint8_t* const first = read_unsigned_vint(buffer.data() + 1, end, &length);
    CHECK(buffer.data()[0] == 1);
    CHECK(length == size);
    CHECK(std::string(first, end) == text);
  }
}

CASE(variable_integers_come_back_and_no_read_leaves_the_bytes) {
  std::vector<std::int64_t> values{INT64_MIN, INT64_MAX, 0, -1};
  for (int bit = 0; bit < 63; ++bit) {
    for (const std::int64_t value : {(std::int64_t{1} << bit) - 1, std::int64_t{1} << bit}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  for (const std::int64_t value : values) {
    Buffer buffer;
    buffer.put_vint(value);
    // Bytes of just that size, so that the address sanitizer sees a read beyond them.
    const std::vector<std::uint8_t> bytes(buffer.data(), buffer.data() + buffer.size());
    std::int64_t read = 0;
    CHECK(read_vint(bytes.data(), bytes.data() + bytes.size(), &read) == bytes.data() + bytes.size());
    CHECK(read == value);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK(read_vint(cut.data(), cut.data() + cut.size(), &read) == nullptr);
    }
  }
}

CASE(variable_integers_have_the_servers_form) {
  const std::pair<std::uint64_t, std::string> cases[] = {
      {0, std::string("\x00", 1)},
      {127, "\x7F"},
      {128, "\x80\x80"},
      {16383, "\xBF\xFF"},
      {16384, std::string("\xC0\x40\x00", 3)},
      {(1ull << 56) - 1, "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF"},
      {1ull << 56, std::string("\xFF\x01\x00\x00\x00\x00\x00\x00\x00", 9)},
      {UINT64_MAX, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"},
  };
  for (const auto& [value, expected] : cases) {
    Buffer buffer;
    buffer.put_unsigned_vint(value);
    CHECK(bytes_of(buffer) == expected);
  }
}

CASE(arrays_are_swapped_without_regard_to_alignment) {
  alignas(8) std::uint8_t bytes[1 + 8] = {0, 0, 0, 0, 1, 0, 0, 1, 0};
  std::int32_t numbers[2];
  swap_array(numbers, bytes + 1, 2, 4);
  CHECK(numbers[0] == 1);
  CHECK(numbers[1] == 256);
  std::uint8_t back[9] = {};
  swap_array(back + 1, numbers, 2, 4);
  CHECK(std::memcmp(back, bytes, sizeof back) == 0);
}
