/// Arrow types and arrays of ours, and how they are handed to others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow_abi.hpp"

namespace acsylla_like {

/// A CQL type with all that its Arrow type follows from: plain data, made by the binding.
struct ArrowType {
  int kind = 0;                   ///< a ValueType; VALUE_CUSTOM for vectors, too
  std::int64_t dimension = -1;    ///< of a vector
  std::int64_t vector_width = 0;  ///< bytes of a value within a vector; 0: each has a length before it
  int precision = 0;              ///< digits, for a decimal or varint that becomes an Arrow decimal; 0: it becomes text
  int scale = 0;                  ///< digits after the point of that
  std::string name;               ///< in CQL
  std::vector<std::string> field_names{};
  std::vector<ArrowType> children{};
};

/// A column: its name and its type.
struct ArrowField {
  std::string name;
  ArrowType type;
};

/// The columns of a table or a record batch.
using ArrowFields = std::vector<ArrowField>;

/// Bytes that grow, aligned as Arrow recommends (64). One thread. Growing may throw std::bad_alloc.
class ArrowBytes {
 public:
  ArrowBytes() noexcept = default;
  ArrowBytes(ArrowBytes&& other) noexcept;
  ArrowBytes& operator=(ArrowBytes&& other) noexcept;
  ~ArrowBytes();

  std::uint8_t* data() noexcept { return data_; }
  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

  /// Makes room for `size` more bytes.
  void reserve(std::size_t size) {
    if (size > capacity_ - size_) grow(size);
  }
  /// Makes `size` more bytes part of it and returns the first, for the caller to fill.
  std::uint8_t* extend(std::size_t size) {
    reserve(size);
    std::uint8_t* const first = data_ + size_;
    size_ += size;
    return first;
  }
  template <class Number>
  void put(Number number) {
    __builtin_memcpy(extend(sizeof number), &number, sizeof number);
  }
  /// `size` more bytes, all of them `byte`.
  void fill(std::size_t size, std::uint8_t byte) {
    if (size != 0) __builtin_memset(extend(size), byte, size);
  }

 private:
  void grow(std::size_t size);

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// The values of one array. Immutable once made, so that any number of threads and exported arrays share it.
struct ArrayData {
  std::int64_t length = 0;
  std::int64_t null_count = 0;
  std::vector<ArrowBytes> buffers{};  ///< as the type's layout has them; an empty validity where nothing is null
  std::vector<std::shared_ptr<const ArrayData>> children{};
};

/// A record batch: a struct array of the columns.
using ArrowBatch = std::shared_ptr<const ArrayData>;

/// Writes the type of a record batch of these columns. Any thread; may throw std::bad_alloc, and then leaves nothing behind.
void export_schema(const ArrowFields& fields, ArrowSchema* out);

/// Writes an array that shares the data of `batch` and keeps it as long as the array is not released. Likewise.
void export_array(const ArrowBatch& batch, ArrowArray* out);

/// Writes a stream of batches that are there already. Its calls take no lock. Likewise.
void export_stream(std::shared_ptr<const ArrowFields> fields, std::vector<ArrowBatch> batches, ArrowArrayStream* out);

/// Moves a type and an array of it into a stream that gives the array once. Its type can be asked for once, too.
void stream_of_array(ArrowSchema* schema, ArrowArray* array, ArrowArrayStream* out);

/// Gives back what a structure holds, unless that was done or it was moved away.
void release_if_held(ArrowSchema* schema) noexcept;
void release_if_held(ArrowArray* array) noexcept;
void release_if_held(ArrowArrayStream* stream) noexcept;

/// How many structures this process has exported and their holders have not released: zero when nothing leaks.
std::int64_t exported_structures() noexcept;

}  // namespace acsylla_like
