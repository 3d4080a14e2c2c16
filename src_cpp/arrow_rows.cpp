#include "arrow_rows.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "arrow_builder.hpp"
#include "bind_value.hpp"
#include "buffer.hpp"
#include "handles.hpp"
#include "row_walk.hpp"

namespace acsylla_like {

namespace {

constexpr const char* truncated = "the answer was truncated on its way";

class PageDecoder {
 public:
  PageDecoder(const ArrowFields& fields, std::size_t batch_bytes) : batch_bytes_(batch_bytes) {
    columns_.reserve(fields.size());
    for (const ArrowField& field : fields) columns_.push_back(make_builder(field.type));
  }

  DecodedPage decode(const CassResult* result) {
    const std::size_t rows = driver.cass_result_row_count(result);
    if (rows > 0x7FFFFFFF) {
      // The protocol's count is a signed word, the driver's is not.
      page_.error = "the answer says that it has " + std::to_string(static_cast<std::int32_t>(rows)) + " rows";
      return std::move(page_);
    }
    if (rows == 0 || columns_.empty()) return std::move(page_);
    const IteratorHandle iterator(driver.cass_iterator_from_result(result));
    const std::uint8_t *cell = nullptr, *end = nullptr;
    const RowsFound found = find_rows(result, iterator.get(), columns_.size(), &cell, &end);
    const bool is_good = found == ROWS_FOUND ? walk(rows, cell, end) : found == ROWS_UNKNOWN ? iterate(rows, iterator.get()) : fail(truncated);
    if (is_good) {
      finish_batch();
    } else {
      page_.batches.clear();
    }
    return std::move(page_);
  }

 private:
  bool fail(const char* error) {
    page_.error = error;
    return false;
  }

  /// Row by row straight from the answer's bytes; every length is compared with the bytes that remain.
  bool walk(std::size_t rows, const std::uint8_t* cell, const std::uint8_t* end) {
    const std::size_t count = columns_.size();
    reserve(std::min(rows, static_cast<std::size_t>(end - cell) / (sizeof(std::int32_t) * count)));
    const std::uint8_t* batch = cell;
    for (std::size_t row = 0; row < rows; ++row) {
      page_.row = static_cast<std::int64_t>(row);
      if (static_cast<std::size_t>(cell - batch) > batch_bytes_) {
        finish_batch();
        batch = cell;
      }
      for (std::size_t column = 0; column < count; ++column) {
        page_.column = static_cast<std::int64_t>(column);
        if (end - cell < 4) return fail(truncated);
        const std::int32_t length = load<std::int32_t>(cell);
        cell += sizeof length;
        if (length < 0) {
          columns_[column]->append_null();
          continue;
        }
        if (length > end - cell) return fail(truncated);
        if (!columns_[column]->append(cell, static_cast<std::size_t>(length), &page_.error)) return false;
        cell += length;
      }
      ++rows_in_batch_;
    }
    return true;
  }

  /// By way of the driver's iterator, with a library whose answers we cannot walk.
  bool iterate(std::size_t rows, CassIterator* iterator) {
    std::size_t bytes = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      page_.row = static_cast<std::int64_t>(row);
      page_.column = -1;
      if (!driver.cass_iterator_next(iterator)) return fail(truncated);
      const CassRow* const values = driver.cass_iterator_get_row(iterator);
      if (bytes > batch_bytes_) {
        finish_batch();
        bytes = 0;
      }
      for (std::size_t column = 0; column < columns_.size(); ++column) {
        page_.column = static_cast<std::int64_t>(column);
        const CassValue* const value = driver.cass_row_get_column(values, column);
        if (value == nullptr) return fail("it is missing");
        const std::uint8_t* data = nullptr;
        std::size_t size = 0;
        if (driver.cass_value_get_bytes(value, &data, &size) != CASS_OK) {
          columns_[column]->append_null();
          continue;
        }
        bytes += size;
        const CassValueType type = driver.cass_value_type(value);
        // The driver has read the count of a collection: its bytes start after it.
        const bool is_good = type == VALUE_LIST || type == VALUE_SET || type == VALUE_MAP
                                 ? columns_[column]->append_items(static_cast<std::int64_t>(driver.cass_value_item_count(value)), data, size, &page_.error)
                                 : columns_[column]->append(data, size, &page_.error);
        if (!is_good) return false;
      }
      ++rows_in_batch_;
    }
    return true;
  }

  void reserve(std::size_t rows) {
    for (const auto& column : columns_) column->reserve(static_cast<std::int64_t>(rows));
  }

  void finish_batch() {
    auto batch = std::make_shared<ArrayData>();
    batch->length = rows_in_batch_;
    batch->buffers.emplace_back();
    for (const auto& column : columns_) batch->children.push_back(column->finish());
    page_.batches.push_back(std::move(batch));
    rows_in_batch_ = 0;
  }

  const std::size_t batch_bytes_;
  std::vector<std::unique_ptr<ArrowBuilder>> columns_{};
  std::int64_t rows_in_batch_ = 0;
  DecodedPage page_{};
};

}  // namespace

DecodedPage decode_page(const CassResult* result, const ArrowFields& fields, std::size_t batch_bytes) {
  return PageDecoder(fields, batch_bytes).decode(result);
}

}  // namespace acsylla_like
