#include "routing.hpp"

#include <cstring>
#include <limits>

namespace acsylla_like {

namespace {

constexpr std::uint64_t FIRST = 0x87c37b91114253d5;
constexpr std::uint64_t SECOND = 0x4cf5ad432745937f;

std::uint64_t rotated(std::uint64_t bits, unsigned by) noexcept { return bits << by | bits >> (64 - by); }

std::uint64_t first_half(std::uint64_t block) noexcept { return rotated(block * FIRST, 31) * SECOND; }

std::uint64_t second_half(std::uint64_t block) noexcept { return rotated(block * SECOND, 33) * FIRST; }

std::uint64_t avalanche(std::uint64_t bits) noexcept {
  bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccd;
  bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53;
  return bits ^ bits >> 33;
}

/// Eight bytes, least significant first.
std::uint64_t whole_block(const std::uint8_t* data) noexcept {
  std::uint64_t block;
  std::memcpy(&block, data, sizeof block);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  block = __builtin_bswap64(block);
#endif
  return block;
}

/// Up to eight bytes, each widened with its sign, so that one above 0x7F inverts all that lie above it.
std::uint64_t signed_block(const std::uint8_t* data, std::size_t size) noexcept {
  std::uint64_t block = 0;
  for (std::size_t i = 0; i < size; ++i) {
    block ^= static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int8_t>(data[i]))) << (8 * i);
  }
  return block;
}

}  // namespace

std::int64_t murmur3_token(const std::uint8_t* key, std::size_t size) noexcept {
  if (size == 0) return std::numeric_limits<std::int64_t>::min();
  std::uint64_t one = 0;
  std::uint64_t two = 0;
  const std::uint8_t* end = key + size / 16 * 16;
  for (; key != end; key += 16) {
    one = (rotated(one ^ first_half(whole_block(key)), 27) + two) * 5 + 0x52dce729;
    two = (rotated(two ^ second_half(whole_block(key + 8)), 31) + one) * 5 + 0x38495ab5;
  }
  const std::size_t left = size % 16;
  if (left > 8) two ^= second_half(signed_block(key + 8, left - 8));
  one ^= first_half(signed_block(key, left < 8 ? left : 8));
  one ^= size;
  two ^= size;
  one += two;
  two += one;
  one = avalanche(one);
  two = avalanche(two);
  const auto token = static_cast<std::int64_t>(one + two);
  return token == std::numeric_limits<std::int64_t>::min() ? std::numeric_limits<std::int64_t>::max() : token;
}

std::uint32_t shard_of_token(std::int64_t token, std::uint32_t shards, unsigned ignored_bits) noexcept {
  const std::uint64_t biased = static_cast<std::uint64_t>(token) + (std::uint64_t{1} << 63);
  const auto product = static_cast<unsigned __int128>(biased << ignored_bits) * shards;
  return static_cast<std::uint32_t>(product >> 64);
}

}  // namespace acsylla_like
