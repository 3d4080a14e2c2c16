/// The rows of an answer as they lie in memory: `[int32 length][bytes]` for each cell, row after row.
///
/// Walking them costs a fraction of cass_iterator_next, which decodes every column once more, and it is the only way to
/// stay within an answer that ends too early: the driver (2.16.2, Decoder::decode_value and update_value) subtracts a
/// cell's length from the bytes that remain without looking whether there are so many. The C API tells where a cell is but
/// not where the answer ends; the driver's iterator knows. Its layout is private, so it is only read of a library that is
/// pinned by its SHA-256, and believed for no answer in which it does not agree with the cells of the first row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "driver.hpp"

namespace acsylla_like {

/// Allows the private layout to be read: for the pinned library only. Off at first; any thread that holds the GIL.
void allow_row_walk(bool allowed) noexcept;
bool row_walk_allowed() noexcept;

/// Has the driver look whether a cell fits what remains of an answer before it steps over it: its own calls of
/// Decoder::decode_value and update_value go through slots of its linkage table, which get a function of ours that checks
/// and then calls the original. Without it a first row that is cut short crashes an I/O thread before anybody else sees it.
/// Returns whether it is done: on Linux x86_64, where it was tried, with the library `handle` (dlopen's) whose slots hold
/// what the linker says. Call it before the first session.
bool guard_driver_decoder(void* handle) noexcept;

enum RowsFound {
  ROWS_UNKNOWN,   ///< take the iterator
  ROWS_FOUND,     ///< between the two pointers
  ROWS_TRUNCATED  ///< the first row is longer than the answer
};

/// Where the rows of `result` begin and the answer ends. `iterator` is a new one of that result, which has rows and
/// `columns` > 0 columns. The pointers are good as long as the result. Any thread.
RowsFound find_rows(const CassResult* result, const CassIterator* iterator, std::size_t columns, const std::uint8_t** first,
                    const std::uint8_t** end) noexcept;

}  // namespace acsylla_like
