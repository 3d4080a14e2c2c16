/// Bytes on their way to and from the protocol: a growable buffer with inline storage, and big-endian loads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace acsylla_like {

template <std::size_t size>
using BitsOfSize = std::conditional_t<
    size == 8, std::uint64_t,
    std::conditional_t<size == 4, std::uint32_t, std::conditional_t<size == 2, std::uint16_t, std::uint8_t>>>;

/// The number whose bytes, most significant first, are at `data`; and back. No alignment is asked for.
template <class Number>
inline Number load(const std::uint8_t* data) noexcept {
  BitsOfSize<sizeof(Number)> bits;
  std::memcpy(&bits, data, sizeof bits);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if constexpr (sizeof bits == 8) bits = __builtin_bswap64(bits);
  if constexpr (sizeof bits == 4) bits = __builtin_bswap32(bits);
  if constexpr (sizeof bits == 2) bits = __builtin_bswap16(bits);
#endif
  Number number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

template <class Number>
inline void store(std::uint8_t* data, Number number) noexcept {
  std::uint8_t bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  // Swapping is its own inverse.
  number = load<Number>(bytes);
  std::memcpy(data, &number, sizeof number);
}

/// Whether every byte is below 0x80.
inline bool all_ascii(const std::uint8_t* data, std::size_t size) noexcept {
  std::uint64_t seen = 0;
  for (; size >= sizeof seen; data += sizeof seen, size -= sizeof seen) {
    std::uint64_t eight;
    std::memcpy(&eight, data, sizeof eight);
    seen |= eight;
  }
  for (; size != 0; ++data, --size) seen |= *data;
  return (seen & 0x8080808080808080) == 0;
}

/// `n` numbers of `width` bytes between the protocol's order and ours, in either direction.
inline void swap_array(void* to, const void* from, std::size_t n, std::size_t width) noexcept {
  auto* target = static_cast<std::uint8_t*>(to);
  auto* source = static_cast<const std::uint8_t*>(from);
  const auto swap = [=](auto number) {
    for (std::size_t i = 0; i < n; ++i) {
      number = load<decltype(number)>(source + i * sizeof number);
      std::memcpy(target + i * sizeof number, &number, sizeof number);
    }
  };
  if (width == 8) swap(std::uint64_t{});
  if (width == 4) swap(std::uint32_t{});
  if (width == 2) swap(std::uint16_t{});
  if (width == 1) swap(std::uint8_t{});
}

/// Growable bytes. An ordinary row of values fits the inline storage, so that binding it allocates nothing. One thread.
/// Every put may throw std::bad_alloc.
class Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  void clear() noexcept { size_ = 0; }

  /// Makes `size` more bytes part of the buffer and returns the first, for the caller to fill; valid until the next put.
  std::uint8_t* extend(std::size_t size) {
    if (size > capacity_ - size_) grow(size);
    std::uint8_t* first = data_ + size_;
    size_ += size;
    return first;
  }

  void put_bytes(const void* bytes, std::size_t size) {
    if (size != 0) std::memcpy(extend(size), bytes, size);
  }
  void put_int8(std::int8_t value) { *extend(1) = static_cast<std::uint8_t>(value); }
  void put_int16(std::int16_t value) { store(extend(2), value); }
  void put_int32(std::int32_t value) { store(extend(4), value); }
  void put_int64(std::int64_t value) { store(extend(8), value); }
  void put_float(float value) { store(extend(4), value); }
  void put_double(double value) { store(extend(8), value); }

  /// The protocol's unsigned variable-length integer: as many leading ones as bytes follow the first.
  void put_unsigned_vint(std::uint64_t value) {
    int extra = 0;
    while (extra < 8 && value >> (7 * (extra + 1)) != 0) ++extra;
    std::uint8_t* bytes = extend(static_cast<std::size_t>(extra) + 1);
    for (int i = extra; i > 0; --i, value >>= 8) bytes[i] = static_cast<std::uint8_t>(value);
    bytes[0] = static_cast<std::uint8_t>(0xFFu << (8 - extra) | value);
  }
  void put_vint(std::int64_t value) {
    put_unsigned_vint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }

  /// Overwrites the four bytes at `position`, written before.
  void patch_int32(std::size_t position, std::int32_t value) noexcept { store(data_ + position, value); }

  /// Writes at `position` the length of what follows those four bytes; false when it does not fit a length word.
  bool patch_length(std::size_t position) noexcept {
    const std::size_t length = size_ - position - 4;
    if (length > 0x7FFFFFFF) return false;
    patch_int32(position, static_cast<std::int32_t>(length));
    return true;
  }

  /// Writes at `position`, before bytes that are there already, their count as an unsigned vint.
  void insert_unsigned_vint(std::size_t position) {
    const std::size_t length = size_ - position;
    put_unsigned_vint(length);
    const std::size_t width = size_ - position - length;
    std::uint8_t vint[9];
    std::memcpy(vint, data_ + size_ - width, width);
    std::memmove(data_ + position + width, data_ + position, length);
    std::memcpy(data_ + position, vint, width);
  }

 private:
  void grow(std::size_t size) {
    if (size > PTRDIFF_MAX - size_) throw std::bad_alloc();
    std::size_t capacity = size_ + size;
    if (capacity < 2 * capacity_) capacity = 2 * capacity_;
    std::unique_ptr<std::uint8_t[]> bytes(new std::uint8_t[capacity]);
    std::memcpy(bytes.get(), data_, size_);
    heap_ = std::move(bytes);
    data_ = heap_.get();
    capacity_ = capacity;
  }

  static constexpr std::size_t inline_capacity = 512;
  std::uint8_t* data_ = inline_;
  std::size_t size_ = 0;
  std::size_t capacity_ = inline_capacity;
  std::unique_ptr<std::uint8_t[]> heap_;
  std::uint8_t inline_[inline_capacity];
};

/// Reads an unsigned vint between `data` and `end`; returns what follows it, or null when the bytes do not suffice.
inline const std::uint8_t* read_unsigned_vint(const std::uint8_t* data, const std::uint8_t* end,
                                              std::uint64_t* value) noexcept {
  if (data == end) return nullptr;
  const std::uint8_t first = *data++;
  int extra = 0;
  while (extra < 8 && (first & (0x80 >> extra)) != 0) ++extra;
  if (end - data < extra) return nullptr;
  std::uint64_t result = first & (0xFFu >> (extra + 1));
  for (int i = 0; i < extra; ++i) result = result << 8 | *data++;
  *value = result;
  return data;
}

inline const std::uint8_t* read_vint(const std::uint8_t* data, const std::uint8_t* end, std::int64_t* value) noexcept {
  std::uint64_t bits = 0;
  data = read_unsigned_vint(data, end, &bits);
  *value = static_cast<std::int64_t>((bits >> 1) ^ (~(bits & 1) + 1));
  return data;
}

}  // namespace acsylla_like
