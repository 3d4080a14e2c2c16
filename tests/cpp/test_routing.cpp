#include "routing.hpp"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"

using namespace acsylla_like;

namespace {

constexpr std::int64_t LOWEST = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t HIGHEST = std::numeric_limits<std::int64_t>::max();

std::int64_t token_of(const std::string& key) {
  return murmur3_token(reinterpret_cast<const std::uint8_t*>(key.data()), key.size());
}

std::uint64_t inverted(std::uint64_t odd) {
  std::uint64_t inverse = odd;  // right in the lowest three bits; each step doubles them
  for (int i = 0; i < 5; ++i) inverse *= 2 - odd * inverse;
  return inverse;
}

std::uint64_t rotated_back(std::uint64_t bits, unsigned by) { return bits >> by | bits << (64 - by); }

/// What the finalization of the hash makes `mixed` of.
std::uint64_t before_mixing(std::uint64_t mixed) {
  mixed ^= mixed >> 33;  // its own inverse, as 2 * 33 > 64
  mixed *= inverted(0xc4ceb9fe1a85ec53);
  mixed ^= mixed >> 33;
  mixed *= inverted(0xff51afd7ed558ccd);
  return mixed ^ mixed >> 33;
}

/// Sixteen bytes whose hash has the halves `one` and `two`: the hash of one block, step by step backwards.
std::string key_with_hash(std::uint64_t one, std::uint64_t two) {
  two -= one;
  one -= two;
  one = before_mixing(one);
  two = before_mixing(two);
  two -= one;
  one -= two;
  one ^= 16;
  two ^= 16;
  two = rotated_back((two - 0x38495ab5) * inverted(5) - one, 31);
  one = rotated_back((one - 0x52dce729) * inverted(5), 27);
  one = rotated_back(one * inverted(0x4cf5ad432745937f), 31) * inverted(0x87c37b91114253d5);
  two = rotated_back(two * inverted(0x87c37b91114253d5), 33) * inverted(0x4cf5ad432745937f);
  std::string key;
  for (std::uint64_t half : {one, two}) {
    for (int i = 0; i < 8; ++i) key.push_back(static_cast<char>(half >> (8 * i)));
  }
  return key;
}

}  // namespace

CASE(tokens_are_those_of_the_servers) {
  // As Cassandra 5.0's token() gives them for blobs.
  CHECK(token_of("a") == -8839064797231613815);
  CHECK(token_of("0123456789abcdef") == 5467490433528156583);
  CHECK(token_of(std::string(31, 'x')) == -8612186376054916492);
}

CASE(bytes_after_the_last_block_are_signed) {
  CHECK(token_of("\xff") == -4442228696663692417);
  CHECK(token_of(std::string(15, '\xe9')) == -3775569598731701669);
  CHECK(token_of("\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff\x80\x7f\xff"
                 + std::string("\0\x81\x90\xa0\xff\xfe", 6)) == -4271578436250218144);
}

CASE(no_key_has_the_lowest_token_but_the_empty_one) {
  CHECK(token_of("") == LOWEST);
  CHECK(token_of(key_with_hash(12345, 67890)) == 12345);
  CHECK(token_of(key_with_hash(std::uint64_t{1} << 63, 42)) == HIGHEST);
  CHECK(token_of(key_with_hash((std::uint64_t{1} << 63) + 1, 42)) == LOWEST + 1);
}

CASE(a_token_reads_no_byte_behind_its_key) {
  for (std::size_t size = 1; size < 70; ++size) {
    const std::vector<std::uint8_t> exact(size, 0x80);  // which the address sanitizer watches
    std::vector<std::uint8_t> longer(size + 16, 0x80);
    std::memset(longer.data() + size, 0x55, 16);
    CHECK(murmur3_token(exact.data(), size) == murmur3_token(longer.data(), size));
    // Wherever the key lies in memory.
    std::memmove(longer.data() + 1, exact.data(), size);
    CHECK(murmur3_token(exact.data(), size) == murmur3_token(longer.data() + 1, size));
  }
}

CASE(shards_share_the_ring_in_equal_parts) {
  CHECK(shard_of_token(LOWEST, 4, 0) == 0);
  CHECK(shard_of_token(-1, 4, 0) == 1);
  CHECK(shard_of_token(0, 4, 0) == 2);
  CHECK(shard_of_token(HIGHEST, 4, 0) == 3);
  CHECK(shard_of_token(LOWEST, 1, 12) == 0);
  CHECK(shard_of_token(HIGHEST, 1, 12) == 0);
  CHECK(shard_of_token(HIGHEST, 0xFFFFFFFF, 63) == 0x7FFFFFFF);
}

CASE(ignored_bits_make_shards_take_turns_on_the_ring) {
  // Of 2 ** 12 stretches of the ring, each is shared by all shards.
  const std::uint64_t stretch = std::uint64_t{1} << 52;
  for (std::uint64_t i : {0u, 1u, 2047u, 2048u, 4095u}) {
    const auto start = static_cast<std::int64_t>(i * stretch + (std::uint64_t{1} << 63));
    CHECK(shard_of_token(start, 7, 12) == 0);
    CHECK(shard_of_token(static_cast<std::int64_t>(start + stretch / 7 + 1), 7, 12) == 1);
    CHECK(shard_of_token(static_cast<std::int64_t>(start + (stretch - 1)), 7, 12) == 6);
  }
}
