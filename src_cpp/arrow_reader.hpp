/// From Arrow's buffers, whoever made them, to the protocol's bytes: one reader for each column, made for the two types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "arrow_array.hpp"
#include "buffer.hpp"
#include "driver_types.hpp"

namespace acsylla_like {

/// What reading values may do, and what came of it. One thread.
struct ArrowReading {
  bool truncate = false;       ///< cut what is finer than the CQL type holds, towards minus infinity, instead of refusing it
  std::int64_t truncated = 0;  ///< values that were cut
  std::string error{};         ///< why the last value that was refused was refused
};

/// Reads the values of one column, batch by batch. One thread. Reading may throw std::bad_alloc.
class ArrowReader {
 public:
  /// What the arrays of a type are made of.
  struct Layout {
    std::int64_t buffers;
    std::int64_t needed;  ///< of `buffers`, those that are there if there are values; the first, the validity, need not be
    std::int64_t children;
    bool or_more_buffers = false;
  };

  /// `type` outlives the reader.
  explicit ArrowReader(const ArrowType& type) : type_(type) {}
  virtual ~ArrowReader() = default;
  ArrowReader(const ArrowReader&) = delete;
  ArrowReader& operator=(const ArrowReader&) = delete;

  /// Reads from `array` from now on, which stays as it is until the next call. Returns why it cannot be an array of the
  /// reader's type, or an empty string.
  virtual std::string take(const ArrowArray* array);

  /// Values are counted from the array's offset on.
  virtual bool is_null(std::int64_t i) const {
    const std::int64_t bit = i + offset_;
    return validity_ != nullptr && (validity_[bit / 8] >> (bit % 8) & 1) == 0;
  }
  std::int64_t length() const noexcept { return length_; }

  /// Appends the bytes of a value that is not null, without a length word. False, with `reading->error`, for a value that the
  /// type does not hold; `out` then ends with rubbish.
  virtual bool encode(std::int64_t i, Buffer* out, ArrowReading* reading) = 0;

  /// Binds a value that is not null to the parameter `index`, of type `data_type`; `scratch` is for whoever needs it. False, with
  /// `reading->error`, like encode(), or when the driver refuses.
  virtual bool bind(CassStatement* statement, std::size_t index, const CassDataType* data_type, std::int64_t i, Buffer* scratch,
                    ArrowReading* reading);

 protected:
  /// Why an array does not have the layout, as far as it tells: it has no word on the sizes of its buffers. Otherwise empty.
  static std::string check_layout(const ArrowArray* array, const Layout& layout);
  bool check_bound(CassError code, ArrowReading* reading) const;
  /// Returns false; `what` is no value of the CQL type.
  bool refuse(ArrowReading* reading, const std::string& what) const;
  /// Returns false; the array contradicts itself.
  bool malformed(ArrowReading* reading, const std::string& what) const;

  const ArrowType& type_;
  const std::uint8_t* validity_ = nullptr;
  std::int64_t offset_ = 0;
  std::int64_t length_ = 0;
};

/// The reader of values of the Arrow type `schema` as the CQL type `type`, or null with why there is none in `error`.
/// `type` outlives the reader, `schema` need not. May throw std::bad_alloc.
std::unique_ptr<ArrowReader> make_reader(const ArrowSchema& schema, const ArrowType& type, std::string* error);

/// The name of an Arrow type in words, such as "list<int64>", for errors. May throw std::bad_alloc.
std::string arrow_type_name(const ArrowSchema& schema);

}  // namespace acsylla_like
