#include "row_walk.hpp"

#include <atomic>
#include <cstring>

#include "buffer.hpp"

namespace acsylla_like {

namespace {

std::atomic<bool> allowed{false};

/// What the driver's ResultIterator holds (2.16.2 on 64-bit platforms), in words.
struct IteratorLayout {
  std::uintptr_t virtual_table;
  std::uintptr_t type;
  const void* result;
  std::uintptr_t protocol_version;
  const std::uint8_t* after_first_row;
  std::uintptr_t length;
  std::size_t remaining;
};

bool is_collection(CassValueType type) noexcept { return type >= 0x20 && type <= 0x22; }

}  // namespace

void allow_row_walk(bool is_allowed) noexcept { allowed.store(is_allowed, std::memory_order_relaxed); }

bool row_walk_allowed() noexcept { return allowed.load(std::memory_order_relaxed) && sizeof(void*) == 8; }

RowsFound find_rows(const CassResult* result, const CassIterator* iterator, std::size_t columns, const std::uint8_t** first,
                    const std::uint8_t** end) noexcept {
  if (!row_walk_allowed()) return ROWS_UNKNOWN;
  IteratorLayout layout;
  std::memcpy(&layout, iterator, sizeof layout);
  const CassRow* row = driver.cass_result_first_row(result);
  if (layout.result != result || row == nullptr) return ROWS_UNKNOWN;

  // Follow the cells of the first row from the first one that is not null; the driver has read all their length words.
  const std::uint8_t* position = nullptr;
  for (std::size_t i = 0; i < columns; ++i) {
    const CassValue* value = driver.cass_row_get_column(row, i);
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    const bool is_null = value == nullptr || driver.cass_value_get_bytes(value, &bytes, &size) != CASS_OK;
    if (!is_null && is_collection(driver.cass_value_type(value))) bytes -= sizeof(std::int32_t);  // the element count
    if (position == nullptr) {
      if (is_null) continue;
      position = bytes - sizeof(std::int32_t);
      *first = position - i * sizeof(std::int32_t);  // the nulls before it are a length word each
    }
    const std::int32_t length = load<std::int32_t>(position);
    position += sizeof(std::int32_t);
    if (!is_null && bytes != position) return ROWS_UNKNOWN;
    if (length > 0) position += length;
  }
  if (position == nullptr) {
    // Nothing but nulls to compare with.
    *first = layout.after_first_row - columns * sizeof(std::int32_t);
    position = layout.after_first_row;
  }
  if (position != layout.after_first_row) return ROWS_UNKNOWN;
  // Subtracting beyond zero leaves a number that no answer has: a frame is at most 256 MiB (native_protocol_v4.spec, 2.5).
  if (layout.remaining > (std::size_t{1} << 31)) return ROWS_TRUNCATED;
  *end = position + layout.remaining;
  return ROWS_FOUND;
}

}  // namespace acsylla_like
