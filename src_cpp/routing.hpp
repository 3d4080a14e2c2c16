/// Which token a partition key has, and which shard of a ScyllaDB node owns a token.
#pragma once

#include <cstddef>
#include <cstdint>

namespace acsylla_like {

/// The token of a partition key's bytes as Cassandra's and ScyllaDB's Murmur3Partitioner compute it: the first half of
/// MurmurHash3_x64_128, in which Java took the bytes after the last whole block for signed. The lowest number is no key's
/// token and becomes the highest; the empty key, which no row has, is at the lowest. Any thread.
std::int64_t murmur3_token(const std::uint8_t* key, std::size_t size) noexcept;

/// The longest part of a partition key of several columns: its length has 16 bits.
constexpr std::size_t LONGEST_KEY_PART = 0xFFFF;

/// The shard that owns a token on a node with `shards` of them, which ignores the token's first `ignored_bits` (below 64)
/// bits: ScyllaDB's algorithm "biased-token-round-robin". `shards` is at least 1.
std::uint32_t shard_of_token(std::int64_t token, std::uint32_t shards, unsigned ignored_bits) noexcept;

}  // namespace acsylla_like
