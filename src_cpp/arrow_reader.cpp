#include "arrow_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "arrow_number.hpp"
#include "bind_value.hpp"
#include "driver.hpp"

namespace acsylla_like {

namespace {

// Of an array; so that no position within one overflows, whatever the size of a value.
constexpr std::int64_t most_values = std::int64_t{1} << 56;

}  // namespace

std::string ArrowReader::check_layout(const ArrowArray* array, const Layout& layout) {
  if (array == nullptr) return "an array that is not there";
  if (array->length < 0 || array->offset < 0) return "an array of negative length or offset";
  if (array->length > most_values || array->offset > most_values) return "an array of more values than there can be";
  const std::int64_t n_buffers = array->n_buffers;
  const bool fits = n_buffers == layout.buffers || (layout.or_more_buffers && n_buffers > layout.buffers);
  if (!fits || array->n_children != layout.children) {
    return "an array of " + std::to_string(n_buffers) + " buffers and " + std::to_string(array->n_children) + " children, where " +
           std::to_string(layout.buffers) + " and " + std::to_string(layout.children) + " belong";
  }
  if ((n_buffers != 0 && array->buffers == nullptr) || (layout.children != 0 && array->children == nullptr)) {
    return "an array without its buffers or children";
  }
  for (std::int64_t i = 0; i < layout.children; ++i) {
    if (array->children[i] == nullptr) return "an array without its child " + std::to_string(i);
  }
  if (array->length == 0) return {};  // nothing is read
  for (std::int64_t i = 1; i < layout.needed; ++i) {
    if (array->buffers[i] == nullptr) return "an array without its buffer " + std::to_string(i);
  }
  if (layout.buffers != 0 && array->null_count > 0 && array->buffers[0] == nullptr) {
    return "an array with " + std::to_string(array->null_count) + " nulls that does not say which";
  }
  return {};
}

std::string ArrowReader::take(const ArrowArray* array) {
  offset_ = array->offset;
  length_ = array->length;
  validity_ = array->n_buffers > 0 && array->null_count != 0 ? static_cast<const std::uint8_t*>(array->buffers[0]) : nullptr;
  return {};
}

bool ArrowReader::check_bound(CassError code, ArrowReading* reading) const {
  if (code == CASS_OK) return true;
  reading->error = "the driver takes no value of type " + type_.name + " (code " + std::to_string(code) + ")";
  return false;
}

bool ArrowReader::refuse(ArrowReading* reading, const std::string& what) const {
  reading->error = what + " is no value of type " + type_.name;
  return false;
}

bool ArrowReader::malformed(ArrowReading* reading, const std::string& what) const {
  reading->error = "the Arrow array of a value of type " + type_.name + " is malformed: " + what;
  return false;
}

bool ArrowReader::bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
                       ArrowReading* reading) {
  scratch->clear();
  if (!encode(i, scratch, reading)) return false;
  return check_bound(bind_value(statement, index, data_type, scratch->data(), scratch->size()), reading);
}

namespace {

__extension__ typedef __int128 Wide;

constexpr std::int64_t nanoseconds_per_day = 86'400'000'000'000;

// ---- what several readers share

/// Two's complement, least significant byte first, as the shortest one with the most significant first.
void put_varint_bytes(const std::uint8_t* little, std::size_t width, Buffer* out) {
  const std::uint8_t sign = (little[width - 1] & 0x80) != 0 ? 0xFF : 0;
  while (width > 1 && little[width - 1] == sign && ((little[width - 2] ^ sign) & 0x80) == 0) --width;
  std::uint8_t* const bytes = out->extend(width);
  for (std::size_t i = 0; i < width; ++i) bytes[i] = little[width - 1 - i];
}

void put_varint(Wide number, Buffer* out) {
  std::uint8_t little[sizeof number];
  std::memcpy(little, &number, sizeof number);
  put_varint_bytes(little, sizeof little, out);
}

std::string text_of(Wide number) {
  std::uint8_t big[sizeof number];
  for (std::size_t i = 0; i < sizeof number; ++i) big[i] = static_cast<std::uint8_t>(number >> (8 * (sizeof number - 1 - i)));
  ArrowBytes text;
  put_varint_text(big, sizeof big, &text);
  return std::string(reinterpret_cast<const char*>(text.data()), text.size());
}

std::string text_of(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

std::string shown(const char* text, std::size_t size) {
  return size <= 60 ? "'" + std::string(text, size) + "'" : "'" + std::string(text, 40) + "…' of " + std::to_string(size) + " bytes";
}

bool is_whole_type(int kind) {
  return kind == VALUE_TINYINT || kind == VALUE_SMALLINT || kind == VALUE_INT || kind == VALUE_BIGINT || kind == VALUE_COUNTER ||
         kind == VALUE_VARINT;
}
bool is_text_type(int kind) { return kind == VALUE_TEXT || kind == VALUE_VARCHAR || kind == VALUE_ASCII; }
bool is_uuid_type(int kind) { return kind == VALUE_UUID || kind == VALUE_TIMEUUID; }
bool is_blob_type(const ArrowType& type) { return type.kind == VALUE_BLOB || (type.kind == VALUE_CUSTOM && type.dimension < 0); }

/// A whole number as a value of any type that holds numbers.
bool put_whole(const ArrowType& type, Wide number, Buffer* out) {
  const auto fits = [number](auto least, auto most) { return number >= least && number <= most; };
  switch (type.kind) {
    case VALUE_TINYINT:
      if (!fits(INT8_MIN, INT8_MAX)) return false;
      out->put_int8(static_cast<std::int8_t>(number));
      return true;
    case VALUE_SMALLINT:
      if (!fits(INT16_MIN, INT16_MAX)) return false;
      out->put_int16(static_cast<std::int16_t>(number));
      return true;
    case VALUE_INT:
      if (!fits(INT32_MIN, INT32_MAX)) return false;
      out->put_int32(static_cast<std::int32_t>(number));
      return true;
    case VALUE_BIGINT:
    case VALUE_COUNTER:
      if (!fits(INT64_MIN, INT64_MAX)) return false;
      out->put_int64(static_cast<std::int64_t>(number));
      return true;
    case VALUE_VARINT:
      put_varint(number, out);
      return true;
    case VALUE_DECIMAL:
      out->put_int32(0);
      put_varint(number, out);
      return true;
    case VALUE_FLOAT:
      if (static_cast<Wide>(static_cast<float>(number)) != number) return false;
      out->put_float(static_cast<float>(number));
      return true;
    case VALUE_DOUBLE:
      if (static_cast<Wide>(static_cast<double>(number)) != number) return false;
      out->put_double(static_cast<double>(number));
      return true;
    default:
      return false;
  }
}

/// Divides towards minus infinity; false where something is left and it must not be cut.
bool divide(std::int64_t* number, std::int64_t divisor, ArrowReading* reading) {
  std::int64_t quotient = *number / divisor;
  if (*number % divisor != 0) {
    if (!reading->truncate) return false;
    ++reading->truncated;
    if (*number < 0) --quotient;
  }
  *number = quotient;
  return true;
}

// ---- values of one size

template <class Number>
class FixedReader : public ArrowReader {
 public:
  using ArrowReader::ArrowReader;
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, {2, 2, 0});
    if (!error.empty()) return error;
    values_ = static_cast<const std::uint8_t*>(array->buffers[1]);
    return ArrowReader::take(array);
  }

 protected:
  Number at(std::int64_t i) const {
    Number number;  // whatever the alignment
    std::memcpy(&number, values_ + static_cast<std::size_t>(i + offset_) * sizeof number, sizeof number);
    return number;
  }
  const std::uint8_t* values_ = nullptr;
};

template <class Number>
class WholeReader final : public FixedReader<Number> {
 public:
  using FixedReader<Number>::FixedReader;
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    const Number number = this->at(i);
    return put_whole(this->type_, number, out) || this->refuse(reading, text_of(static_cast<Wide>(number)));
  }
  bool bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
            ArrowReading* reading) override {
    if constexpr (std::is_same_v<Number, std::int32_t>) {
      if (this->type_.kind == VALUE_INT) return this->check_bound(driver.cass_statement_bind_int32(statement, index, this->at(i)), reading);
    }
    if constexpr (std::is_same_v<Number, std::int64_t>) {
      if (this->type_.kind == VALUE_BIGINT) return this->check_bound(driver.cass_statement_bind_int64(statement, index, this->at(i)), reading);
    }
    return ArrowReader::bind(statement, index, data_type, i, scratch, reading);
  }
};

/// A half-precision float.
struct Half {
  std::uint16_t bits;
  operator double() const {
    const int exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
    double number = 0;
    if (exponent == 31) {
      number = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    } else {
      number = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
    }
    return (bits & 0x8000) != 0 ? -number : number;
  }
};

template <class Number>
class FloatReader final : public FixedReader<Number> {
 public:
  using FixedReader<Number>::FixedReader;
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    const double number = this->at(i);
    switch (this->type_.kind) {
      case VALUE_DOUBLE:
        out->put_double(number);
        return true;
      case VALUE_FLOAT: {
        const float single = static_cast<float>(number);
        if (std::isinf(single) && !std::isinf(number)) return this->refuse(reading, text_of(number));
        out->put_float(single);
        return true;
      }
      default:  // pandas makes floats of integers among which one is missing
        if (!(std::fabs(number) < 0x1p126) || number != std::floor(number)) return this->refuse(reading, text_of(number));
        return put_whole(this->type_, static_cast<Wide>(number), out) || this->refuse(reading, text_of(number));
    }
  }
  bool bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
            ArrowReading* reading) override {
    if constexpr (std::is_same_v<Number, double>) {
      if (this->type_.kind == VALUE_DOUBLE) return this->check_bound(driver.cass_statement_bind_double(statement, index, this->at(i)), reading);
    }
    return ArrowReader::bind(statement, index, data_type, i, scratch, reading);
  }
};

class BooleanReader final : public FixedReader<std::uint8_t> {
 public:
  using FixedReader::FixedReader;
  bool encode(std::int64_t i, Buffer* out, ArrowReading*) override {
    const std::int64_t bit = i + offset_;
    out->put_int8(static_cast<std::int8_t>(values_[bit / 8] >> (bit % 8) & 1));
    return true;
  }
};

/// A column of nulls, without any buffer.
class NullReader final : public ArrowReader {
 public:
  using ArrowReader::ArrowReader;
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, {0, 0, 0, true});
    return error.empty() ? ArrowReader::take(array) : error;
  }
  bool is_null(std::int64_t) const override { return true; }
  bool encode(std::int64_t, Buffer*, ArrowReading*) override { return false; }
};

// ---- time

/// Dates, times and timestamps: a count of units, of which `per_unit` nanoseconds each; days where that is 0.
template <class Number>
class TimeReader final : public FixedReader<Number> {
 public:
  TimeReader(const ArrowType& type, std::int64_t per_unit) : FixedReader<Number>(type), per_unit_(per_unit) {}
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    std::int64_t number = this->at(i);
    const auto refuse = [&](const char* why) { return this->refuse(reading, std::to_string(this->at(i)) + unit() + why); };
    switch (this->type_.kind) {
      case VALUE_DATE: {
        if (per_unit_ != 0 && !divide(&number, nanoseconds_per_day / per_unit_, reading)) return refuse(", no whole day (cut it with truncate),");
        const std::int64_t shifted = number + (std::int64_t{1} << 31);
        if (shifted < 0 || shifted > UINT32_MAX) return refuse("");
        out->put_int32(static_cast<std::int32_t>(static_cast<std::uint32_t>(shifted)));
        return true;
      }
      case VALUE_TIMESTAMP: {
        constexpr std::int64_t millisecond = 1'000'000;
        if (per_unit_ != 0 && per_unit_ < millisecond) {
          if (!divide(&number, millisecond / per_unit_, reading)) return refuse(", with parts of a millisecond (cut them with truncate),");
        } else if (__builtin_mul_overflow(number, per_unit_ == 0 ? 86'400'000 : per_unit_ / millisecond, &number)) {
          return refuse("");
        }
        out->put_int64(number);
        return true;
      }
      case VALUE_TIME: {
        std::int64_t nanoseconds = 0;
        if (__builtin_mul_overflow(number, per_unit_, &nanoseconds) || nanoseconds < 0 || nanoseconds >= nanoseconds_per_day) return refuse("");
        out->put_int64(nanoseconds);
        return true;
      }
      default: {  // a duration
        std::int64_t nanoseconds = 0;
        if (__builtin_mul_overflow(number, per_unit_, &nanoseconds)) return refuse("");
        out->put_vint(0);
        out->put_vint(0);
        out->put_vint(nanoseconds);
        return true;
      }
    }
  }

 private:
  const char* unit() const {
    return per_unit_ == 0 ? " days" : per_unit_ == 1 ? " ns" : per_unit_ == 1000 ? " µs" : per_unit_ == 1'000'000 ? " ms" : " s";
  }

  const std::int64_t per_unit_;
};

struct Interval {
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::int64_t nanoseconds = 0;
};

/// Arrow's three intervals, by their width: months; days and milliseconds; months, days and nanoseconds.
template <std::size_t width>
class IntervalReader final : public FixedReader<std::array<std::uint8_t, width>> {
 public:
  using FixedReader<std::array<std::uint8_t, width>>::FixedReader;
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    const auto bytes = this->at(i);
    Interval interval;
    if constexpr (width == 4) std::memcpy(&interval.months, bytes.data(), 4);
    if constexpr (width == 8) {
      std::int32_t milliseconds = 0;
      std::memcpy(&interval.days, bytes.data(), 4);
      std::memcpy(&milliseconds, bytes.data() + 4, 4);
      interval.nanoseconds = std::int64_t{1'000'000} * milliseconds;
    }
    if constexpr (width == 16) std::memcpy(&interval, bytes.data(), 16);
    const bool has_positive = interval.months > 0 || interval.days > 0 || interval.nanoseconds > 0;
    const bool has_negative = interval.months < 0 || interval.days < 0 || interval.nanoseconds < 0;
    if (has_positive && has_negative) {
      return this->refuse(reading, std::to_string(interval.months) + " months, " + std::to_string(interval.days) + " days and " +
                                       std::to_string(interval.nanoseconds) + " ns, whose signs differ,");
    }
    out->put_vint(interval.months);
    out->put_vint(interval.days);
    out->put_vint(interval.nanoseconds);
    return true;
  }
};

// ---- decimals

template <std::size_t width>
class DecimalReader final : public FixedReader<std::array<std::uint8_t, width>> {
 public:
  DecimalReader(const ArrowType& type, std::int32_t scale) : FixedReader<std::array<std::uint8_t, width>>(type), scale_(scale) {}
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    const auto little = this->at(i);
    if (this->type_.kind == VALUE_DECIMAL) {
      out->put_int32(scale_);
      put_varint_bytes(little.data(), width, out);
      return true;
    }
    if (scale_ == 0) {
      put_varint_bytes(little.data(), width, out);
      return true;
    }
    std::uint8_t big[width];
    for (std::size_t k = 0; k < width; ++k) big[k] = little[width - 1 - k];
    BigInteger number(big, width);
    std::uint8_t whole[40] = {};
    if (!number.scale_by(-std::int64_t{scale_})) {
      ArrowBytes text;
      std::uint8_t value[4 + width];
      store(value, scale_);
      std::memcpy(value + 4, big, width);
      put_decimal_text(value, sizeof value, &text);
      return this->refuse(reading, std::string(reinterpret_cast<const char*>(text.data()), text.size()));
    }
    number.store_little(whole, sizeof whole);
    put_varint_bytes(whole, sizeof whole, out);
    return true;
  }

 private:
  const std::int32_t scale_;
};

// ---- text and bytes

/// A decimal or whole number written in digits, with or without sign, point and exponent: the digits and the scale. False for
/// anything else.
bool parse_decimal(const char* text, std::size_t size, bool* is_negative, std::string* digits, std::int64_t* scale) {
  const char* const end = text + size;
  *is_negative = text != end && *text == '-';
  if (text != end && (*text == '-' || *text == '+')) ++text;
  bool has_point = false;
  *scale = 0;
  for (; text != end && ((*text >= '0' && *text <= '9') || (*text == '.' && !has_point)); ++text) {
    if (*text == '.') {
      has_point = true;
    } else {
      digits->push_back(*text);
      *scale += has_point;
    }
  }
  if (digits->empty()) return false;
  if (text != end && (*text == 'e' || *text == 'E')) {
    ++text;
    const bool is_small = text != end && *text == '-';
    if (text != end && (*text == '-' || *text == '+')) ++text;
    if (text == end || end - text > 12) return false;
    std::int64_t exponent = 0;
    for (; text != end && *text >= '0' && *text <= '9'; ++text) exponent = exponent * 10 + (*text - '0');
    *scale += is_small ? exponent : -exponent;
  }
  return text == end;
}

/// The two's complement, least significant byte first, of digits.
std::vector<std::uint8_t> complement_of(const std::string& digits, bool is_negative) {
  std::vector<std::uint32_t> limbs(1);
  for (std::size_t start = 0; start < digits.size();) {
    const std::size_t count = std::min<std::size_t>(9, digits.size() - start);
    std::uint64_t carry = 0, power = 1;
    for (std::size_t i = 0; i < count; ++i, power *= 10) carry = carry * 10 + static_cast<std::uint64_t>(digits[start + i] - '0');
    for (std::uint32_t& limb : limbs) {
      const std::uint64_t product = limb * power + carry;
      limb = static_cast<std::uint32_t>(product);
      carry = product >> 32;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
    start += count;
  }
  limbs.push_back(0);  // room for the sign
  std::vector<std::uint8_t> little(limbs.size() * 4);
  std::uint64_t carry = 1;
  for (std::size_t i = 0; i < limbs.size(); ++i) {
    std::uint32_t limb = limbs[i];
    if (is_negative) {
      carry += static_cast<std::uint32_t>(~limb);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    for (std::size_t k = 0; k < 4; ++k) little[i * 4 + k] = static_cast<std::uint8_t>(limb >> (8 * k));
  }
  return little;
}

bool put_number_text(const ArrowType& type, const char* text, std::size_t size, Buffer* out) {
  bool is_negative = false;
  std::string digits;
  std::int64_t scale = 0;
  if (!parse_decimal(text, size, &is_negative, &digits, &scale)) return false;
  if (type.kind == VALUE_VARINT) {
    if (scale != 0) return false;
  } else {
    if (scale < INT32_MIN || scale > INT32_MAX) return false;
    out->put_int32(static_cast<std::int32_t>(scale));
  }
  const std::vector<std::uint8_t> little = complement_of(digits, is_negative);
  put_varint_bytes(little.data(), little.size(), out);
  return true;
}

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/// 32 hexadecimal digits, with hyphens where they belong or without any.
bool put_uuid_text(const char* text, std::size_t size, Buffer* out) {
  if (size != 36 && size != 32) return false;
  std::uint8_t bytes[16];
  std::size_t at = 0;
  for (int i = 0; i < 16; ++i) {
    if (size == 36 && (i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') return false;
    const int high = hex_digit(text[at]), low = hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  out->put_bytes(bytes, sizeof bytes);
  return true;
}

bool parse_ipv4(const char* text, const char* end, std::uint8_t* bytes) {
  for (int i = 0; i < 4; ++i) {
    if (i != 0 && (text == end || *text++ != '.')) return false;
    const char* const start = text;
    int number = 0;
    for (; text != end && *text >= '0' && *text <= '9' && text - start < 3; ++text) number = number * 10 + (*text - '0');
    if (text == start || number > 255 || (*start == '0' && text - start > 1)) return false;
    bytes[i] = static_cast<std::uint8_t>(number);
  }
  return text == end;
}

bool parse_ipv6(const char* text, const char* end, std::uint8_t* bytes) {
  std::uint8_t parts[16] = {};
  int count = 0, gap = -1;  // bytes so far, and how many of them before "::"
  if (end - text >= 2 && text[0] == ':' && text[1] == ':') {
    gap = 0;
    text += 2;
  }
  while (text != end) {
    if (count > 14) return false;
    const char* const start = text;
    int number = 0;
    for (; text != end && hex_digit(*text) >= 0 && text - start < 4; ++text) number = number << 4 | hex_digit(*text);
    if (text == start) return false;
    if (text != end && *text == '.') {
      if (count > 12 || !parse_ipv4(start, end, parts + count)) return false;
      count += 4;
      text = end;
      break;
    }
    parts[count++] = static_cast<std::uint8_t>(number >> 8);
    parts[count++] = static_cast<std::uint8_t>(number);
    if (text == end) break;
    if (*text++ != ':' || text == end) return false;
    if (*text == ':') {
      if (gap >= 0) return false;
      gap = count;
      ++text;
    }
  }
  if (gap < 0 ? count != 16 : count > 14) return false;
  if (gap < 0) gap = 16;
  std::memset(bytes, 0, 16);
  std::memcpy(bytes, parts, static_cast<std::size_t>(std::min(gap, count)));
  if (count > gap) std::memcpy(bytes + 16 - (count - gap), parts + gap, static_cast<std::size_t>(count - gap));
  return true;
}

bool put_inet_of_text(const char* text, std::size_t size, Buffer* out) {
  std::uint8_t bytes[16];
  if (parse_ipv4(text, text + size, bytes)) {
    out->put_bytes(bytes, 4);
    return true;
  }
  if (!parse_ipv6(text, text + size, bytes)) return false;
  out->put_bytes(bytes, 16);
  return true;
}

struct Bytes {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

/// Text and binary values, wherever they lie: `Place::find(i, out)` finds one, or returns false where the array is malformed.
template <class Place>
class BytesReader final : public ArrowReader {
 public:
  BytesReader(const ArrowType& type, Place place, bool is_text) : ArrowReader(type), place_(place), is_text_(is_text) {}
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, Place::layout);
    if (error.empty()) error = place_.take(array);
    return error.empty() ? ArrowReader::take(array) : error;
  }
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    Bytes value;
    if (!get(i, &value, reading)) return false;
    const char* const text = reinterpret_cast<const char*>(value.data);
    bool is_parsed = true;
    if (is_text_ && (type_.kind == VALUE_DECIMAL || type_.kind == VALUE_VARINT)) {
      is_parsed = put_number_text(type_, text, value.size, out);
    } else if (is_text_ && is_uuid_type(type_.kind)) {
      is_parsed = put_uuid_text(text, value.size, out);
    } else if (is_text_ && type_.kind == VALUE_INET) {
      is_parsed = put_inet_of_text(text, value.size, out);
    } else {
      out->put_bytes(value.data, value.size);
    }
    if (!is_parsed) return refuse(reading, shown(text, value.size));
    if (type_.kind == VALUE_TIMEUUID) {
      const int version = out->data()[out->size() - 10] >> 4;
      if (version != 1) return refuse(reading, "a UUID of version " + std::to_string(version));
    }
    return true;
  }
  bool bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
            ArrowReading* reading) override {
    const bool is_plain = is_text_type(type_.kind) || type_.kind == VALUE_BLOB;
    if (!is_plain) return ArrowReader::bind(statement, index, data_type, i, scratch, reading);
    Bytes value;
    if (!get(i, &value, reading)) return false;
    return check_bound(type_.kind == VALUE_BLOB
                           ? driver.cass_statement_bind_bytes(statement, index, value.data, value.size)
                           : driver.cass_statement_bind_string_n(statement, index, reinterpret_cast<const char*>(value.data), value.size),
                       reading);
  }

 private:
  /// The bytes of a value, if they may be taken as they are, as far as that is to be looked at.
  bool get(std::int64_t i, Bytes* value, ArrowReading* reading) const {
    if (!place_.find(i + offset_, value)) return malformed(reading, "the bytes of value " + std::to_string(i) + " are not among those it has");
    if (value->size == 0) value->data = reinterpret_cast<const std::uint8_t*>("");  // which may have been null
    if (value->size > 0x7FFFFFFF) return refuse(reading, "a value of " + std::to_string(value->size) + " bytes");
    if (type_.kind == VALUE_ASCII) {
      if (invalid_ascii(value->data, value->size) < 0) return true;
      return refuse(reading, "text with more than ASCII, " + shown(reinterpret_cast<const char*>(value->data), value->size) + ",");
    }
    if (is_text_type(type_.kind) && invalid_utf8(value->data, value->size) >= 0) return refuse(reading, "text that is not valid UTF-8");
    if (!is_text_ && is_uuid_type(type_.kind) && value->size != 16) return refuse(reading, std::to_string(value->size) + " bytes");
    if (!is_text_ && type_.kind == VALUE_INET && value->size != 4 && value->size != 16) {
      return refuse(reading, std::to_string(value->size) + " bytes");
    }
    return true;
  }

  Place place_;
  const bool is_text_;
};

template <class Offset>
struct ByOffset {
  static constexpr ArrowReader::Layout layout{3, 2, 0};
  const std::uint8_t* offsets = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::int64_t size = 0;  // of `bytes`: where the last value ends, for that is all that tells
  std::string take(const ArrowArray* array) {
    offsets = static_cast<const std::uint8_t*>(array->buffers[1]);
    bytes = static_cast<const std::uint8_t*>(array->buffers[2]);
    size = 0;
    if (array->length == 0) return {};
    Offset end;
    std::memcpy(&end, offsets + static_cast<std::size_t>(array->offset + array->length) * sizeof end, sizeof end);
    size = end;
    if (size > 0 && bytes == nullptr) return "an array without its buffer 2";
    return {};
  }
  bool find(std::int64_t i, Bytes* out) const {
    Offset ends[2];
    std::memcpy(ends, offsets + static_cast<std::size_t>(i) * sizeof(Offset), sizeof ends);
    if (ends[0] < 0 || ends[1] < ends[0] || ends[1] > size) return false;
    *out = {bytes + ends[0], static_cast<std::size_t>(ends[1] - ends[0])};
    return true;
  }
};

/// Sixteen bytes for each value: a length, then the value itself or where it is.
struct ByView {
  static constexpr ArrowReader::Layout layout{3, 2, 0, true};  // and any number of others, whose lengths are the last one
  const std::uint8_t* views = nullptr;
  const void* const* buffers = nullptr;
  std::int64_t count = 0;  // of `buffers`
  std::string take(const ArrowArray* array) {
    views = static_cast<const std::uint8_t*>(array->buffers[1]);
    buffers = array->buffers + 2;
    count = array->n_buffers - 3;
    return count != 0 && buffers[count] == nullptr ? "an array without the lengths of its buffers" : "";
  }
  bool find(std::int64_t i, Bytes* out) const {
    const std::uint8_t* const view = views + static_cast<std::size_t>(i) * 16;
    std::int32_t parts[4];  // the length; then, if it is above 12, a prefix, which buffer, and where in it
    std::memcpy(parts, view, sizeof parts);
    if (parts[0] < 0) return false;
    *out = {view + 4, static_cast<std::size_t>(parts[0])};
    if (parts[0] <= 12) return true;
    if (parts[2] < 0 || parts[2] >= count || parts[3] < 0 || buffers[parts[2]] == nullptr) return false;
    std::int64_t size;
    std::memcpy(&size, static_cast<const std::uint8_t*>(buffers[count]) + static_cast<std::size_t>(parts[2]) * sizeof size, sizeof size);
    out->data = static_cast<const std::uint8_t*>(buffers[parts[2]]) + parts[3];
    return std::int64_t{parts[3]} + parts[0] <= size;
  }
};

struct ByWidth {
  static constexpr ArrowReader::Layout layout{2, 2, 0};
  std::size_t width = 0;
  const std::uint8_t* bytes = nullptr;
  std::string take(const ArrowArray* array) {
    bytes = static_cast<const std::uint8_t*>(array->buffers[1]);
    return {};
  }
  bool find(std::int64_t i, Bytes* out) const {
    *out = {bytes + static_cast<std::size_t>(i) * width, width};
    return true;
  }
};

// ---- values of values

/// Values that are written as the number of another one.
template <class Index>
class DictionaryReader final : public FixedReader<Index> {
 public:
  DictionaryReader(const ArrowType& type, std::unique_ptr<ArrowReader> values) : FixedReader<Index>(type), dictionary_(std::move(values)) {}
  std::string take(const ArrowArray* array) override {
    if (array->dictionary == nullptr) return "an array without its dictionary";
    std::string error = dictionary_->take(array->dictionary);
    return error.empty() ? FixedReader<Index>::take(array) : error;
  }
  /// A number beyond the dictionary is no null: encode() refuses it.
  bool is_null(std::int64_t i) const override { return ArrowReader::is_null(i) || (has(i) && dictionary_->is_null(number(i))); }
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    return check_number(i, reading) && dictionary_->encode(number(i), out, reading);
  }
  bool bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
            ArrowReading* reading) override {
    return check_number(i, reading) && dictionary_->bind(statement, index, data_type, number(i), scratch, reading);
  }

 private:
  std::int64_t number(std::int64_t i) const { return static_cast<std::int64_t>(this->at(i)); }
  bool has(std::int64_t i) const { return number(i) >= 0 && number(i) < dictionary_->length(); }
  bool check_number(std::int64_t i, ArrowReading* reading) const {
    if (has(i)) return true;
    return this->malformed(reading, "value " + text_of(static_cast<Wide>(this->at(i))) + " of a dictionary of " +
                                        std::to_string(dictionary_->length()));
  }

  std::unique_ptr<ArrowReader> dictionary_;
};

/// Values that are written once for a run of them, and where each run ends.
template <class End>
class RunReader final : public ArrowReader {
 public:
  RunReader(const ArrowType& type, std::unique_ptr<ArrowReader> values) : ArrowReader(type), values_(std::move(values)) {}
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, {0, 0, 2});
    if (!error.empty()) return error;
    const ArrowArray* const ends = array->children[0];
    error = check_layout(ends, {2, 2, 0});
    if (error.empty()) error = values_->take(array->children[1]);
    if (!error.empty()) return error;
    run_ = 0;
    runs_ = std::min(ends->length, values_->length());
    ends_ = runs_ == 0 ? nullptr : static_cast<const std::uint8_t*>(ends->buffers[1]) + static_cast<std::size_t>(ends->offset) * sizeof(End);
    if (array->length != 0 && (runs_ == 0 || end(runs_ - 1) < array->offset + array->length)) return "an array whose runs end before it does";
    return ArrowReader::take(array);
  }
  bool is_null(std::int64_t i) const override { return values_->is_null(run(i)); }
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override { return values_->encode(run(i), out, reading); }
  bool bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
            ArrowReading* reading) override {
    return values_->bind(statement, index, data_type, run(i), scratch, reading);
  }

 private:
  std::int64_t end(std::int64_t run) const {
    End number;
    std::memcpy(&number, ends_ + static_cast<std::size_t>(run) * sizeof number, sizeof number);
    return number;
  }
  /// The run that has value `i`: nearly always that of the value before it. One of the runs, in whatever order they end.
  std::int64_t run(std::int64_t i) const {
    const std::int64_t position = i + offset_;
    if (position >= end(run_) || (run_ != 0 && position < end(run_ - 1))) {
      std::int64_t low = 0, high = runs_ - 1;
      while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (position < end(middle)) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      run_ = low;
    }
    return run_;
  }

  std::unique_ptr<ArrowReader> values_;
  const std::uint8_t* ends_ = nullptr;
  std::int64_t runs_ = 0;
  mutable std::int64_t run_ = 0;
};

struct Span {
  std::int64_t start;
  std::int64_t count;
  bool is_within(std::int64_t length) const { return start >= 0 && count >= 0 && start <= length - count; }
};

template <class Offset>
struct SpanByOffset {
  static constexpr ArrowReader::Layout layout{2, 2, 1};
  const std::uint8_t* offsets = nullptr;
  void take(const ArrowArray* array) { offsets = static_cast<const std::uint8_t*>(array->buffers[1]); }
  Span at(std::int64_t i) const {
    Offset ends[2];
    std::memcpy(ends, offsets + static_cast<std::size_t>(i) * sizeof(Offset), sizeof ends);
    if (ends[0] < 0 || ends[1] < ends[0]) return {0, -1};
    return {ends[0], ends[1] - ends[0]};
  }
};

template <class Offset>
struct SpanByView {
  static constexpr ArrowReader::Layout layout{3, 3, 1};
  const std::uint8_t* offsets = nullptr;
  const std::uint8_t* sizes = nullptr;
  void take(const ArrowArray* array) {
    offsets = static_cast<const std::uint8_t*>(array->buffers[1]);
    sizes = static_cast<const std::uint8_t*>(array->buffers[2]);
  }
  Span at(std::int64_t i) const {
    Offset start, count;
    std::memcpy(&start, offsets + static_cast<std::size_t>(i) * sizeof start, sizeof start);
    std::memcpy(&count, sizes + static_cast<std::size_t>(i) * sizeof count, sizeof count);
    return {start, count};
  }
};

struct SpanByWidth {
  static constexpr ArrowReader::Layout layout{1, 1, 1};
  std::int64_t width = 0;
  void take(const ArrowArray*) {}
  Span at(std::int64_t i) const {
    std::int64_t start = 0;
    return __builtin_mul_overflow(i, width, &start) ? Span{0, -1} : Span{start, width};
  }
};

/// Appends a value after its length word.
bool put_item(const ArrowType& type, ArrowReader* reader, std::int64_t i, Buffer* out, ArrowReading* reading) {
  const std::size_t position = out->size();
  out->put_int32(0);
  if (!reader->encode(i, out, reading)) return false;
  if (out->patch_length(position)) return true;
  reading->error = "an item is too long for a value of type " + type.name;
  return false;
}

/// Lists of any kind as a list, set or vector.
template <class Place>
class ListReader final : public ArrowReader {
 public:
  ListReader(const ArrowType& type, Place place, std::unique_ptr<ArrowReader> items)
      : ArrowReader(type), place_(place), items_(std::move(items)) {}
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, Place::layout);
    if (error.empty()) error = items_->take(array->children[0]);
    if (!error.empty()) return error;
    place_.take(array);
    return ArrowReader::take(array);
  }
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    const Span span = place_.at(i + offset_);
    if (!span.is_within(items_->length())) return malformed(reading, "the items of value " + std::to_string(i) + " are not among those it has");
    if (span.count > INT32_MAX) return refuse(reading, "a list of " + std::to_string(span.count) + " items");
    const bool is_vector = type_.kind == VALUE_CUSTOM;
    if (is_vector && span.count != type_.dimension) return refuse(reading, "a list of " + std::to_string(span.count) + " items");
    if (!is_vector) out->put_int32(static_cast<std::int32_t>(span.count));
    for (std::int64_t k = span.start; k < span.start + span.count; ++k) {
      if (items_->is_null(k)) return refuse(reading, "a list with null as item " + std::to_string(k - span.start));
      if (!is_vector) {
        if (!put_item(type_, items_.get(), k, out, reading)) return false;
        continue;
      }
      const std::size_t position = out->size();
      if (!items_->encode(k, out, reading)) return false;
      if (type_.children[0].vector_width == 0) out->insert_unsigned_vint(position);
    }
    return true;
  }

 private:
  Place place_;
  std::unique_ptr<ArrowReader> items_;
};

/// Keys and values side by side in a struct.
class EntriesReader final : public ArrowReader {
 public:
  EntriesReader(const ArrowType& type, std::unique_ptr<ArrowReader> keys, std::unique_ptr<ArrowReader> values)
      : ArrowReader(type), keys_(std::move(keys)), values_(std::move(values)) {}
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, {1, 1, 2});
    if (error.empty()) error = keys_->take(array->children[0]);
    if (error.empty()) error = values_->take(array->children[1]);
    if (!error.empty()) return error;
    if (std::min(keys_->length(), values_->length()) < array->offset + array->length) return "a map with fewer keys or values than entries";
    return ArrowReader::take(array);
  }
  /// A key and a value, each after its length word.
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    if (is_null(i)) return refuse(reading, "a map with a null entry");
    if (keys_->is_null(i + offset_)) return refuse(reading, "a map with a null key");
    if (values_->is_null(i + offset_)) return refuse(reading, "a map with a null value");
    return put_item(type_, keys_.get(), i + offset_, out, reading) && put_item(type_, values_.get(), i + offset_, out, reading);
  }

 private:
  std::unique_ptr<ArrowReader> keys_;
  std::unique_ptr<ArrowReader> values_;
};

/// Maps, and lists of structs of two fields, which is what polars makes of maps.
template <class Place>
class MapReader final : public ArrowReader {
 public:
  MapReader(const ArrowType& type, std::unique_ptr<EntriesReader> entries) : ArrowReader(type), entries_(std::move(entries)) {}
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, Place::layout);
    if (error.empty()) error = entries_->take(array->children[0]);
    if (!error.empty()) return error;
    place_.take(array);
    return ArrowReader::take(array);
  }
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    const Span span = place_.at(i + offset_);
    if (!span.is_within(entries_->length())) return malformed(reading, "the entries of value " + std::to_string(i) + " are not among those it has");
    if (span.count > INT32_MAX) return refuse(reading, "a map of " + std::to_string(span.count) + " entries");
    out->put_int32(static_cast<std::int32_t>(span.count));
    for (std::int64_t k = span.start; k < span.start + span.count; ++k) {
      if (!entries_->encode(k, out, reading)) return false;
    }
    return true;
  }

 private:
  Place place_{};
  std::unique_ptr<EntriesReader> entries_;
};

/// A struct as a tuple or user type; fields that it lacks are null.
class StructReader final : public ArrowReader {
 public:
  /// `fields[i]` reads field i of the CQL type from the child `children[i]`; null for a field that the struct lacks.
  StructReader(const ArrowType& type, std::vector<std::unique_ptr<ArrowReader>> fields, std::vector<std::int64_t> children, std::int64_t count)
      : ArrowReader(type), fields_(std::move(fields)), children_(std::move(children)), count_(count) {}
  std::string take(const ArrowArray* array) override {
    std::string error = check_layout(array, {1, 1, count_});
    for (std::size_t i = 0; i < fields_.size() && error.empty(); ++i) {
      if (fields_[i] == nullptr) continue;
      error = fields_[i]->take(array->children[children_[i]]);
      if (error.empty() && fields_[i]->length() < array->offset + array->length) error = "a struct with fewer values of a field than of its own";
    }
    return error.empty() ? ArrowReader::take(array) : error;
  }
  bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) override {
    for (const auto& field : fields_) {
      if (field == nullptr || field->is_null(i + offset_)) {
        out->put_int32(-1);
      } else if (!put_item(type_, field.get(), i + offset_, out, reading)) {
        return false;
      }
    }
    return true;
  }

 private:
  std::vector<std::unique_ptr<ArrowReader>> fields_;
  std::vector<std::int64_t> children_;
  const std::int64_t count_;
};

// ---- choosing

using Reader = std::unique_ptr<ArrowReader>;

Reader choose(const ArrowSchema& schema, const ArrowType& type, std::string* error);

/// The whole number that `text` is, up to the character `end`, and what follows; false for anything else.
bool take_number(const char** text, char end, std::int64_t* number) {
  const char* const last = *text + std::strlen(*text);
  const auto taken = std::from_chars(*text, last, *number);
  if (taken.ec != std::errc() || *taken.ptr != end) return false;
  *text = end == '\0' ? taken.ptr : taken.ptr + 1;
  return true;
}

/// Whether a type has so many children, all of them there.
bool has_children(const ArrowSchema& schema, std::int64_t count) {
  if (count < 0 || schema.n_children != count || (count != 0 && schema.children == nullptr)) return false;
  return std::all_of(schema.children, schema.children + count, [](const ArrowSchema* child) { return child != nullptr; });
}

template <class Number>
Reader make_whole(const ArrowType& type) {
  const bool fits = is_whole_type(type.kind) || type.kind == VALUE_DECIMAL || type.kind == VALUE_FLOAT || type.kind == VALUE_DOUBLE;
  return fits ? std::make_unique<WholeReader<Number>>(type) : nullptr;
}

template <class Number>
Reader make_float(const ArrowType& type) {
  const bool fits = type.kind == VALUE_FLOAT || type.kind == VALUE_DOUBLE || is_whole_type(type.kind);
  return fits ? std::make_unique<FloatReader<Number>>(type) : nullptr;
}

template <class Place>
Reader make_text(const ArrowType& type, Place place = {}) {
  const int kind = type.kind;
  const bool fits = is_text_type(kind) || kind == VALUE_DECIMAL || kind == VALUE_VARINT || is_uuid_type(kind) || kind == VALUE_INET;
  return fits ? std::make_unique<BytesReader<Place>>(type, place, true) : nullptr;
}

template <class Place>
Reader make_binary(const ArrowType& type, Place place = {}) {
  const bool fits = is_blob_type(type) || is_uuid_type(type.kind) || type.kind == VALUE_INET;
  return fits ? std::make_unique<BytesReader<Place>>(type, place, false) : nullptr;
}

Reader make_fixed_binary(const char* text, const ArrowType& type) {
  std::int64_t width = 0;
  if (!take_number(&text, '\0', &width) || width < 0) return nullptr;
  const bool fits = is_uuid_type(type.kind) ? width == 16 : type.kind != VALUE_INET || width == 4 || width == 16;
  return fits && width <= INT32_MAX ? make_binary<ByWidth>(type, ByWidth{static_cast<std::size_t>(width)}) : nullptr;
}

Reader make_decimal(const char* text, const ArrowType& type) {
  if (type.kind != VALUE_DECIMAL && type.kind != VALUE_VARINT) return nullptr;
  std::int64_t precision = 0, scale = 0, bits = 128;
  if (!take_number(&text, ',', &precision)) return nullptr;
  if (!take_number(&text, '\0', &scale) && !(take_number(&text, ',', &scale) && take_number(&text, '\0', &bits))) return nullptr;
  if (scale < INT32_MIN || scale > INT32_MAX) return nullptr;
  const auto digits = static_cast<std::int32_t>(scale);
  switch (bits) {
    case 32:
      return std::make_unique<DecimalReader<4>>(type, digits);
    case 64:
      return std::make_unique<DecimalReader<8>>(type, digits);
    case 128:
      return std::make_unique<DecimalReader<16>>(type, digits);
    case 256:
      return std::make_unique<DecimalReader<32>>(type, digits);
    default:
      return nullptr;
  }
}

/// 0 for what is no unit of Arrow's.
std::int64_t nanoseconds_of(char unit) {
  switch (unit) {
    case 's':
      return 1'000'000'000;
    case 'm':
      return 1'000'000;
    case 'u':
      return 1'000;
    case 'n':
      return 1;
    default:
      return 0;
  }
}

Reader make_time(const std::string& format, const ArrowType& type) {
  const int kind = type.kind;
  if (format == "tdD") return kind == VALUE_DATE || kind == VALUE_TIMESTAMP ? std::make_unique<TimeReader<std::int32_t>>(type, 0) : nullptr;
  if (format == "tdm") {
    return kind == VALUE_DATE || kind == VALUE_TIMESTAMP ? std::make_unique<TimeReader<std::int64_t>>(type, 1'000'000) : nullptr;
  }
  if (format == "tiM") return kind == VALUE_DURATION ? std::make_unique<IntervalReader<4>>(type) : nullptr;
  if (format == "tiD") return kind == VALUE_DURATION ? std::make_unique<IntervalReader<8>>(type) : nullptr;
  if (format == "tin") return kind == VALUE_DURATION ? std::make_unique<IntervalReader<16>>(type) : nullptr;
  if (format.size() < 3) return nullptr;
  const std::int64_t per_unit = nanoseconds_of(format[2]);
  if (per_unit == 0) return nullptr;
  switch (format[1]) {
    case 't':
      if (kind != VALUE_TIME) return nullptr;
      if (format[2] == 's' || format[2] == 'm') return std::make_unique<TimeReader<std::int32_t>>(type, per_unit);
      return std::make_unique<TimeReader<std::int64_t>>(type, per_unit);
    case 's':
      return kind == VALUE_TIMESTAMP ? std::make_unique<TimeReader<std::int64_t>>(type, per_unit) : nullptr;
    case 'D':
      return kind == VALUE_DURATION ? std::make_unique<TimeReader<std::int64_t>>(type, per_unit) : nullptr;
    default:
      return nullptr;
  }
}

/// What is behind "+w:", of a list whose values all have so many items; -1 where that is no number.
std::int64_t fixed_size(const std::string& format) {
  const char* text = format.c_str() + 3;
  std::int64_t width = 0;
  return take_number(&text, '\0', &width) && width >= 0 && width <= INT32_MAX ? width : -1;
}

Reader make_list(const std::string& format, const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  const bool is_vector = type.kind == VALUE_CUSTOM && type.dimension >= 0;
  if (!has_children(schema, 1) || (type.kind != VALUE_LIST && type.kind != VALUE_SET && !is_vector)) return nullptr;
  Reader items = choose(*schema.children[0], type.children[0], error);
  if (items == nullptr) return nullptr;
  if (format == "+l") return std::make_unique<ListReader<SpanByOffset<std::int32_t>>>(type, SpanByOffset<std::int32_t>{}, std::move(items));
  if (format == "+L") return std::make_unique<ListReader<SpanByOffset<std::int64_t>>>(type, SpanByOffset<std::int64_t>{}, std::move(items));
  if (format == "+vl") return std::make_unique<ListReader<SpanByView<std::int32_t>>>(type, SpanByView<std::int32_t>{}, std::move(items));
  if (format == "+vL") return std::make_unique<ListReader<SpanByView<std::int64_t>>>(type, SpanByView<std::int64_t>{}, std::move(items));
  const std::int64_t width = fixed_size(format);
  if (width < 0) return nullptr;
  if (is_vector && width != type.dimension) {
    *error = "lists of " + std::to_string(width) + " items are no values of type " + type.name;
    return nullptr;
  }
  return std::make_unique<ListReader<SpanByWidth>>(type, SpanByWidth{width}, std::move(items));
}

Reader make_map(const std::string& format, const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  if (type.kind != VALUE_MAP || !has_children(schema, 1)) return nullptr;
  const ArrowSchema& pair = *schema.children[0];
  if (pair.format == nullptr || std::strcmp(pair.format, "+s") != 0 || pair.dictionary != nullptr || !has_children(pair, 2)) return nullptr;
  Reader keys = choose(*pair.children[0], type.children[0], error);
  Reader values = keys == nullptr ? nullptr : choose(*pair.children[1], type.children[1], error);
  if (values == nullptr) return nullptr;
  auto entries = std::make_unique<EntriesReader>(type, std::move(keys), std::move(values));
  if (format == "+L") return std::make_unique<MapReader<SpanByOffset<std::int64_t>>>(type, std::move(entries));
  return std::make_unique<MapReader<SpanByOffset<std::int32_t>>>(type, std::move(entries));
}

Reader make_struct(const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  if ((type.kind != VALUE_TUPLE && type.kind != VALUE_UDT) || !has_children(schema, schema.n_children)) return nullptr;
  std::vector<Reader> fields(type.children.size());
  std::vector<std::int64_t> children(type.children.size());
  for (std::int64_t child = 0; child < schema.n_children; ++child) {
    const ArrowSchema& field = *schema.children[child];
    const std::string name = field.name == nullptr ? "" : field.name;
    std::size_t i = static_cast<std::size_t>(child);
    if (type.kind == VALUE_UDT) {
      for (i = 0; i < fields.size() && type.field_names[i] != name; ++i) {
      }
    }
    if (i >= fields.size() || fields[i] != nullptr) {
      *error = "type " + type.name + " has no " + (i < fields.size() ? "second " : "") + "field for '" + name + "'";
      return nullptr;
    }
    fields[i] = choose(field, type.children[i], error);
    if (fields[i] == nullptr) return nullptr;
    children[i] = child;
  }
  return std::make_unique<StructReader>(type, std::move(fields), std::move(children), schema.n_children);
}

Reader make_runs(const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  if (!has_children(schema, 2) || schema.children[0]->format == nullptr) return nullptr;
  const std::string ends = schema.children[0]->format;
  Reader values = choose(*schema.children[1], type, error);
  if (values == nullptr) return nullptr;
  if (ends == "s") return std::make_unique<RunReader<std::int16_t>>(type, std::move(values));
  if (ends == "i") return std::make_unique<RunReader<std::int32_t>>(type, std::move(values));
  if (ends == "l") return std::make_unique<RunReader<std::int64_t>>(type, std::move(values));
  return nullptr;
}

Reader make_dictionary(const std::string& format, const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  Reader values = choose(*schema.dictionary, type, error);
  if (values == nullptr || format.size() != 1) return nullptr;
  switch (format[0]) {
    case 'c':
      return std::make_unique<DictionaryReader<std::int8_t>>(type, std::move(values));
    case 'C':
      return std::make_unique<DictionaryReader<std::uint8_t>>(type, std::move(values));
    case 's':
      return std::make_unique<DictionaryReader<std::int16_t>>(type, std::move(values));
    case 'S':
      return std::make_unique<DictionaryReader<std::uint16_t>>(type, std::move(values));
    case 'i':
      return std::make_unique<DictionaryReader<std::int32_t>>(type, std::move(values));
    case 'I':
      return std::make_unique<DictionaryReader<std::uint32_t>>(type, std::move(values));
    case 'l':
      return std::make_unique<DictionaryReader<std::int64_t>>(type, std::move(values));
    case 'L':
      return std::make_unique<DictionaryReader<std::uint64_t>>(type, std::move(values));
    default:
      return nullptr;
  }
}

/// By the Arrow format, whose letters the C data interface defines.
Reader choose_by(const std::string& format, const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  if (schema.dictionary != nullptr) return make_dictionary(format, schema, type, error);
  if (format.empty() || (format.size() > 1 && std::strchr("vwdt+", format[0]) == nullptr)) return nullptr;
  switch (format[0]) {
    case 'n':
      return std::make_unique<NullReader>(type);
    case 'b':
      return type.kind == VALUE_BOOLEAN ? std::make_unique<BooleanReader>(type) : nullptr;
    case 'c':
      return make_whole<std::int8_t>(type);
    case 'C':
      return make_whole<std::uint8_t>(type);
    case 's':
      return make_whole<std::int16_t>(type);
    case 'S':
      return make_whole<std::uint16_t>(type);
    case 'i':
      return make_whole<std::int32_t>(type);
    case 'I':
      return make_whole<std::uint32_t>(type);
    case 'l':
      return make_whole<std::int64_t>(type);
    case 'L':
      return make_whole<std::uint64_t>(type);
    case 'e':
      return make_float<Half>(type);
    case 'f':
      return make_float<float>(type);
    case 'g':
      return make_float<double>(type);
    case 'u':
      return make_text<ByOffset<std::int32_t>>(type);
    case 'U':
      return make_text<ByOffset<std::int64_t>>(type);
    case 'z':
      return make_binary<ByOffset<std::int32_t>>(type);
    case 'Z':
      return make_binary<ByOffset<std::int64_t>>(type);
    case 'v':
      return format == "vu" ? make_text<ByView>(type) : format == "vz" ? make_binary<ByView>(type) : nullptr;
    case 'w':
      return format.compare(0, 2, "w:") == 0 ? make_fixed_binary(format.c_str() + 2, type) : nullptr;
    case 'd':
      return format.compare(0, 2, "d:") == 0 ? make_decimal(format.c_str() + 2, type) : nullptr;
    case 't':
      return make_time(format, type);
    case '+':
      if (format == "+s") return make_struct(schema, type, error);
      if (format == "+r") return make_runs(schema, type, error);
      if (format == "+m" || (type.kind == VALUE_MAP && (format == "+l" || format == "+L"))) return make_map(format, schema, type, error);
      if (format == "+l" || format == "+L" || format == "+vl" || format == "+vL" || format.compare(0, 3, "+w:") == 0) {
        return make_list(format, schema, type, error);
      }
      return nullptr;
    default:
      return nullptr;
  }
}

Reader choose(const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  Reader reader = choose_by(schema.format == nullptr ? "" : schema.format, schema, type, error);
  if (reader == nullptr && error->empty()) {
    *error = "Arrow values of type " + arrow_type_name(schema) + " cannot become values of type " + type.name;
  }
  return reader;
}

}  // namespace

// ---- names

namespace {

std::string name_of_unit(char unit) {
  switch (unit) {
    case 'm':
      return "ms";
    case 'u':
      return "us";
    case 'n':
      return "ns";
    default:
      return "s";
  }
}

std::string name_of_time(const std::string& format) {
  if (format == "tdD") return "date32";
  if (format == "tdm") return "date64";
  if (format == "tiM") return "month_interval";
  if (format == "tiD") return "day_time_interval";
  if (format == "tin") return "month_day_nano_interval";
  if (format.size() < 3 || nanoseconds_of(format[2]) == 0) return {};
  const std::string unit = name_of_unit(format[2]);
  switch (format[1]) {
    case 't':
      return (format[2] == 's' || format[2] == 'm' ? "time32[" : "time64[") + unit + "]";
    case 'D':
      return "duration[" + unit + "]";
    case 's':
      return "timestamp[" + unit + (format.size() > 4 ? ", tz=" + format.substr(4) : "") + "]";
    default:
      return {};
  }
}

std::string name_of_decimal(const char* text) {
  std::int64_t precision = 0, scale = 0, bits = 128;
  if (!take_number(&text, ',', &precision)) return {};
  if (!take_number(&text, '\0', &scale) && !(take_number(&text, ',', &scale) && take_number(&text, '\0', &bits))) return {};
  return "decimal" + std::to_string(bits) + "(" + std::to_string(precision) + ", " + std::to_string(scale) + ")";
}

std::string name_of_children(const ArrowSchema& schema, bool has_names) {
  std::string text = "<";
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const ArrowSchema& child = *schema.children[i];
    if (i != 0) text += ", ";
    if (has_names) text += std::string(child.name == nullptr ? "" : child.name) + ": ";
    text += arrow_type_name(child);
  }
  return text + ">";
}

std::string name_of_nested(const std::string& format, const ArrowSchema& schema) {
  if (!has_children(schema, schema.n_children)) return {};
  if (format == "+s") return "struct" + name_of_children(schema, true);
  if (format == "+l") return "list" + name_of_children(schema, false);
  if (format == "+L") return "large_list" + name_of_children(schema, false);
  if (format == "+vl") return "list_view" + name_of_children(schema, false);
  if (format == "+vL") return "large_list_view" + name_of_children(schema, false);
  if (format == "+r") return "run_end_encoded" + name_of_children(schema, false);
  if (format == "+m") return "map" + name_of_children(schema.n_children == 1 && has_children(*schema.children[0], 2) ? *schema.children[0] : schema, false);
  if (format.compare(0, 3, "+w:") == 0) return "fixed_size_list" + name_of_children(schema, false) + "[" + format.substr(3) + "]";
  if (format.compare(0, 3, "+us") == 0) return "sparse_union" + name_of_children(schema, true);
  if (format.compare(0, 3, "+ud") == 0) return "dense_union" + name_of_children(schema, true);
  return {};
}

std::string name_of_format(const std::string& format, const ArrowSchema& schema) {
  static constexpr const char* plain[][2] = {
      {"n", "null"},    {"b", "bool"},    {"c", "int8"},    {"C", "uint8"},  {"s", "int16"},        {"S", "uint16"},
      {"i", "int32"},   {"I", "uint32"},  {"l", "int64"},   {"L", "uint64"}, {"e", "float16"},      {"f", "float32"},
      {"g", "float64"}, {"u", "string"},  {"U", "large_string"}, {"vu", "string_view"}, {"z", "binary"}, {"Z", "large_binary"},
      {"vz", "binary_view"}};
  for (const auto& [letters, name] : plain) {
    if (format == letters) return name;
  }
  switch (format.empty() ? '?' : format[0]) {
    case 'w':
      return format.size() > 2 ? "fixed_size_binary[" + format.substr(2) + "]" : "";
    case 'd':
      return format.size() > 2 ? name_of_decimal(format.c_str() + 2) : "";
    case 't':
      return name_of_time(format);
    case '+':
      return name_of_nested(format, schema);
    default:
      return {};
  }
}

}  // namespace

std::string arrow_type_name(const ArrowSchema& schema) {
  const std::string format = schema.format == nullptr ? "" : schema.format;
  const std::string name = name_of_format(format, schema);
  const std::string known = name.empty() ? "unknown to the reader ('" + format + "')" : name;
  return schema.dictionary == nullptr ? known : "dictionary<" + known + ", " + arrow_type_name(*schema.dictionary) + ">";
}

std::unique_ptr<ArrowReader> make_reader(const ArrowSchema& schema, const ArrowType& type, std::string* error) {
  error->clear();
  Reader reader = choose(schema, type, error);
  const bool is_whole = schema.n_children == 0 && schema.dictionary == nullptr;
  if (reader == nullptr && !is_whole) {
    // What cannot be read may be deep within.
    const std::string outer = arrow_type_name(schema) + " cannot become values of type " + type.name;
    if (error->find(outer) == std::string::npos) *error = "Arrow values of type " + outer + ": " + *error;
  }
  return reader;
}

}  // namespace acsylla_like
