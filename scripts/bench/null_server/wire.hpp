/// The CQL protocol's notations, version 4: appended to an answer, read from a request.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace null_server {

/// Appends big-endian numbers and length-prefixed bytes to a string.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <class Number>
  Writer& number(Number value) {
    char bytes[sizeof value];
    for (std::size_t i = 0; i < sizeof value; ++i) bytes[i] = static_cast<char>(value >> (8 * (sizeof value - 1 - i)));
    out_.append(bytes, sizeof value);
    return *this;
  }
  Writer& byte(std::uint8_t value) { return number(value); }
  Writer& shorter(std::uint16_t value) { return number(value); }
  Writer& integer(std::int32_t value) { return number(static_cast<std::uint32_t>(value)); }
  Writer& raw(std::string_view bytes) {
    out_.append(bytes);
    return *this;
  }
  /// A [string] or [short bytes].
  Writer& string(std::string_view text) { return shorter(static_cast<std::uint16_t>(text.size())).raw(text); }
  /// A [bytes]: a value, or a paging state.
  Writer& bytes(std::string_view value) { return integer(static_cast<std::int32_t>(value.size())).raw(value); }

 private:
  std::string& out_;
};

/// Reads what a client sent. Past the end everything is zero or empty and `is_sound` turns false.
class Reader {
 public:
  explicit Reader(std::string_view data) : data_(data) {}

  bool is_sound() const { return sound_; }

  std::string_view raw(std::size_t size) {
    if (size > data_.size()) {
      sound_ = false;
      data_ = {};
      return {};
    }
    const std::string_view taken = data_.substr(0, size);
    data_.remove_prefix(size);
    return taken;
  }
  template <class Number>
  Number number() {
    Number value = 0;
    for (const char byte : raw(sizeof(Number))) value = static_cast<Number>(value << 8 | static_cast<unsigned char>(byte));
    return value;
  }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  std::uint16_t shorter() { return number<std::uint16_t>(); }
  std::int32_t integer() { return static_cast<std::int32_t>(number<std::uint32_t>()); }
  std::string_view string() { return raw(shorter()); }
  std::string_view long_string() { return bytes(); }
  /// A [bytes] or [value]; null and unset are empty.
  std::string_view bytes() {
    const std::int32_t size = integer();
    return size > 0 ? raw(static_cast<std::size_t>(size)) : std::string_view{};
  }

 private:
  std::string_view data_;
  bool sound_ = true;
};

}  // namespace null_server
