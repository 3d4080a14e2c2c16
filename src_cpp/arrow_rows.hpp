/// An answer of the server as record batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "arrow_array.hpp"
#include "driver_types.hpp"

namespace acsylla_like {

/// What came of decoding an answer.
struct DecodedPage {
  std::vector<ArrowBatch> batches{};  ///< of at least one row each; none when `error` is not empty
  std::string error{};                ///< why the answer cannot be decoded; empty when it can
  std::int64_t row = 0;               ///< of the answer, from 0 on, where that was found
  std::int64_t column = -1;           ///< likewise; -1: in no particular one
};

/// Decodes the rows of `result`, whose columns are `fields`. A batch that has grown beyond `batch_bytes` of the server's
/// bytes is followed by another: far enough below what Arrow's offsets reach, it keeps them from overflowing, for no value
/// is three times as long as its bytes and no answer longer than 256 MiB (native_protocol_v4.spec, 2.5).
///
/// Reads nothing outside the answer. Any thread, several at once; may throw std::bad_alloc.
DecodedPage decode_page(const CassResult* result, const ArrowFields& fields, std::size_t batch_bytes);

constexpr std::size_t arrow_batch_bytes = std::size_t{256} << 20;

}  // namespace acsylla_like
