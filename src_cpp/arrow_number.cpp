#include "arrow_number.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "buffer.hpp"

namespace acsylla_like {

namespace {

constexpr std::uint64_t ten_to_19 = 10'000'000'000'000'000'000u;
constexpr int digits_of_limb = 19;  // that ten_to_19 takes at a time
constexpr int max_digits = 76;      // of Arrow's widest decimal

__extension__ typedef unsigned __int128 Wide;

std::uint64_t power_of_ten(int exponent) noexcept {
  std::uint64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

void put_text(const char* text, std::size_t size, ArrowBytes* out) {
  if (size != 0) std::memcpy(out->extend(size), text, size);
}

void put_char(char sign, ArrowBytes* out) { *out->extend(1) = static_cast<std::uint8_t>(sign); }

/// A number that fits 64 bits, which nearly all do.
std::int64_t small_varint(const std::uint8_t* data, std::size_t size) noexcept {
  auto number = static_cast<std::int64_t>(static_cast<std::int8_t>(data[0]));
  for (std::size_t i = 1; i < size; ++i) number = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) << 8 | data[i]);
  return number;
}

}  // namespace

BigInteger::BigInteger(const std::uint8_t* data, std::size_t size) : is_negative_((data[0] & 0x80) != 0) {
  limbs_.resize((size + 7) / 8);
  const std::uint8_t padding = is_negative_ ? 0xFF : 0;
  for (std::size_t i = 0; i < limbs_.size() * 8; ++i) {
    const std::uint64_t byte = i < size ? data[size - 1 - i] : padding;
    limbs_[i / 8] |= byte << (i % 8 * 8);
  }
  if (is_negative_) {
    std::uint64_t carry = 1;
    for (std::uint64_t& limb : limbs_) {
      limb = ~limb + carry;
      carry = carry != 0 && limb == 0;
    }
    // The most negative number of its width has a magnitude that just fits.
  }
  trim();
}

void BigInteger::trim() noexcept {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
}

void BigInteger::multiply(std::uint64_t factor) {
  std::uint64_t carry = 0;
  for (std::uint64_t& limb : limbs_) {
    const Wide product = static_cast<Wide>(limb) * factor + carry;
    limb = static_cast<std::uint64_t>(product);
    carry = static_cast<std::uint64_t>(product >> 64);
  }
  if (carry != 0) limbs_.push_back(carry);
}

std::uint64_t BigInteger::divide(std::uint64_t divisor) noexcept {
  std::uint64_t rest = 0;
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    const Wide number = static_cast<Wide>(rest) << 64 | limbs_[i];
    limbs_[i] = static_cast<std::uint64_t>(number / divisor);
    rest = static_cast<std::uint64_t>(number % divisor);
  }
  trim();
  return rest;
}

std::vector<char> BigInteger::digits() const {
  if (is_zero()) return {'0'};
  BigInteger rest = *this;
  std::vector<char> reversed;
  reversed.reserve(limbs_.size() * 20);
  while (!rest.is_zero()) {
    std::uint64_t part = rest.divide(ten_to_19);
    for (int i = 0; i < digits_of_limb && (part != 0 || !rest.is_zero()); ++i, part /= 10) {
      reversed.push_back(static_cast<char>('0' + part % 10));
    }
  }
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

bool BigInteger::scale_by(std::int64_t power) {
  if (is_zero()) return true;
  // Whatever the number, one of more digits than these cannot become or stay what fits.
  if (power > max_digits || power < -static_cast<std::int64_t>(limbs_.size()) * 20) return false;
  for (std::int64_t left = power; left > 0; left -= digits_of_limb) {
    multiply(power_of_ten(static_cast<int>(std::min<std::int64_t>(left, digits_of_limb))));
  }
  for (std::int64_t left = -power; left > 0; left -= digits_of_limb) {
    if (divide(power_of_ten(static_cast<int>(std::min<std::int64_t>(left, digits_of_limb)))) != 0) return false;
  }
  return fits(max_digits);
}

bool BigInteger::fits(int digits) const {
  if (limbs_.size() > 4) return false;  // 76 digits are less than 253 bits
  BigInteger rest = *this;
  for (; digits > 0 && !rest.is_zero(); digits -= digits_of_limb) rest.divide(power_of_ten(std::min(digits, digits_of_limb)));
  return rest.is_zero();
}

void BigInteger::store_little(std::uint8_t* out, std::size_t width) const noexcept {
  std::uint64_t carry = 1;
  for (std::size_t i = 0; i < width / 8; ++i) {
    std::uint64_t limb = i < limbs_.size() ? limbs_[i] : 0;
    if (is_negative_) {
      limb = ~limb + carry;
      carry = carry != 0 && limb == 0;
    }
    std::memcpy(out + i * 8, &limb, sizeof limb);
  }
}

void put_varint_text(const std::uint8_t* data, std::size_t size, ArrowBytes* out) {
  if (size <= 8) {
    char text[24];
    put_text(text, static_cast<std::size_t>(std::to_chars(text, text + sizeof text, small_varint(data, size)).ptr - text), out);
    return;
  }
  const BigInteger number(data, size);
  const std::vector<char> digits = number.digits();
  if (number.is_negative() && !number.is_zero()) put_char('-', out);
  put_text(digits.data(), digits.size(), out);
}

void put_decimal_text(const std::uint8_t* data, std::size_t size, ArrowBytes* out) {
  const std::int64_t exponent = -static_cast<std::int64_t>(load<std::int32_t>(data));
  data += sizeof(std::int32_t);
  size -= sizeof(std::int32_t);
  char few[24];
  std::vector<char> many;
  const char* digits = few;
  std::int64_t count = 0;
  if (size <= 8) {
    const char* const end = std::to_chars(few, few + sizeof few, small_varint(data, size)).ptr;
    if (*digits == '-') put_char(*digits++, out);
    count = end - digits;
  } else {
    const BigInteger number(data, size);
    many = number.digits();
    if (number.is_negative() && !number.is_zero()) put_char('-', out);
    digits = many.data();
    count = static_cast<std::int64_t>(many.size());
  }
  // General Decimal Arithmetic's to-scientific-string: no exponent as long as the point is near the digits.
  const std::int64_t adjusted = exponent + count;  // digits before the point, were there no exponent
  const std::int64_t point = exponent <= 0 && adjusted > -6 ? adjusted : 1;
  if (point <= 0) {
    put_text("0.", 2, out);
    out->fill(static_cast<std::size_t>(-point), '0');
    put_text(digits, static_cast<std::size_t>(count), out);
  } else {
    put_text(digits, static_cast<std::size_t>(std::min(point, count)), out);
    if (point < count) {
      put_char('.', out);
      put_text(digits + point, static_cast<std::size_t>(count - point), out);
    }
  }
  if (adjusted != point) {
    char text[24] = {'E', '+'};
    char* const number = text + (adjusted < point ? 1 : 2);
    put_text(text, static_cast<std::size_t>(std::to_chars(number, text + sizeof text, adjusted - point).ptr - text), out);
  }
}

void put_inet_text(const std::uint8_t* data, std::size_t size, ArrowBytes* out) {
  char text[48];
  if (size == 4) {
    const int length = std::snprintf(text, sizeof text, "%u.%u.%u.%u", data[0], data[1], data[2], data[3]);
    put_text(text, static_cast<std::size_t>(length), out);
    return;
  }
  static constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::memcmp(data, mapped, sizeof mapped) == 0) {
    put_text("::ffff:", 7, out);
    put_inet_text(data + sizeof mapped, 4, out);
    return;
  }
  std::uint16_t groups[8];
  for (int i = 0; i < 8; ++i) groups[i] = load<std::uint16_t>(data + 2 * i);
  int first = 0, zeros = 1;  // the longest run of zeros, of more than one: it is left out
  int start = -1, longest = 0;
  for (int i = 0; i < 8; ++i) {
    if (groups[i] != 0) continue;
    for (first = i, zeros = 0; i < 8 && groups[i] == 0; ++i) ++zeros;
    if (zeros > longest && zeros > 1) {
      start = first;
      longest = zeros;
    }
  }
  int length = 0;
  for (int i = 0; i < 8; ++i) {
    if (i == start) {
      text[length++] = ':';
      text[length++] = ':';
      i += longest - 1;
      continue;
    }
    if (i != 0 && i != start + longest) text[length++] = ':';
    length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), "%x", groups[i]);
  }
  put_text(text, static_cast<std::size_t>(length), out);
}

std::ptrdiff_t invalid_ascii(const std::uint8_t* data, std::size_t size) noexcept {
  std::size_t i = 0;
  for (std::uint64_t eight; i + sizeof eight <= size; i += sizeof eight) {
    std::memcpy(&eight, data + i, sizeof eight);
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  for (; i < size; ++i) {
    if (data[i] >= 0x80) return static_cast<std::ptrdiff_t>(i);
  }
  return -1;
}

std::ptrdiff_t invalid_utf8(const std::uint8_t* data, std::size_t size) noexcept {
  std::size_t i = 0;
  while (true) {
    const std::ptrdiff_t first = invalid_ascii(data + i, size - i);
    if (first < 0) return -1;
    i += static_cast<std::size_t>(first);
    // A sequence: how many bytes follow, and what the second may be so that nothing is longer than it need be, no half of a
    // surrogate pair and not beyond U+10FFFF.
    while (i < size && data[i] >= 0x80) {
      const std::uint8_t lead = data[i];
      std::size_t more = 0;
      std::uint8_t lowest = 0x80, highest = 0xBF;
      if (lead >= 0xC2 && lead <= 0xDF) more = 1;
      if (lead >= 0xE0 && lead <= 0xEF) more = 2;
      if (lead >= 0xF0 && lead <= 0xF4) more = 3;
      if (lead == 0xE0) lowest = 0xA0;
      if (lead == 0xED) highest = 0x9F;
      if (lead == 0xF0) lowest = 0x90;
      if (lead == 0xF4) highest = 0x8F;
      if (more == 0 || size - i <= more || data[i + 1] < lowest || data[i + 1] > highest) return static_cast<std::ptrdiff_t>(i);
      for (std::size_t k = 2; k <= more; ++k) {
        if ((data[i + k] & 0xC0) != 0x80) return static_cast<std::ptrdiff_t>(i);
      }
      i += more + 1;
    }
  }
}

}  // namespace acsylla_like
