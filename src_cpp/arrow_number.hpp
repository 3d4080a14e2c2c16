/// Integers of any size as CQL has them, turned into decimal text and into Arrow's decimals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arrow_array.hpp"

namespace acsylla_like {

/// A whole number: the bytes of a varint taken apart. Any function may throw std::bad_alloc.
class BigInteger {
 public:
  /// From a two's complement, most significant byte first; `size` > 0.
  BigInteger(const std::uint8_t* data, std::size_t size);

  bool is_zero() const noexcept { return limbs_.empty(); }
  bool is_negative() const noexcept { return is_negative_; }

  /// Its digits, the most significant first, without a sign; "0" for zero. Takes the square of its length in time.
  std::vector<char> digits() const;

  /// Multiplies by 10 to the power of `power`, or divides where that is negative; false, with the value lost, when the
  /// division leaves a rest or the product has more than 76 digits.
  bool scale_by(std::int64_t power);

  /// Whether it has at most `digits` decimal digits; 0 < digits <= 76.
  bool fits(int digits) const;

  /// Writes it as a two's complement of `width` bytes (16 or 32), least significant first. It must fit.
  void store_little(std::uint8_t* out, std::size_t width) const noexcept;

 private:
  void multiply(std::uint64_t factor);
  std::uint64_t divide(std::uint64_t divisor) noexcept;
  void trim() noexcept;

  std::vector<std::uint64_t> limbs_{};  // of the magnitude, the least significant first, no zeros at the end
  bool is_negative_ = false;
};

/// Appends a varint as Python's str(int) writes it; `size` > 0.
void put_varint_text(const std::uint8_t* data, std::size_t size, ArrowBytes* out);

/// Appends a decimal (`size` >= 5: the scale, then a varint) as Python's str(Decimal) writes it.
void put_decimal_text(const std::uint8_t* data, std::size_t size, ArrowBytes* out);

/// Appends an address of 4 or 16 bytes: dotted, or as RFC 5952 recommends.
void put_inet_text(const std::uint8_t* data, std::size_t size, ArrowBytes* out);

/// The position of the first byte that is no part of valid UTF-8, or -1.
std::ptrdiff_t invalid_utf8(const std::uint8_t* data, std::size_t size) noexcept;

/// The position of the first byte that is no ASCII, or -1.
std::ptrdiff_t invalid_ascii(const std::uint8_t* data, std::size_t size) noexcept;

}  // namespace acsylla_like
