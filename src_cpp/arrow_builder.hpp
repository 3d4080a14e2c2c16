/// From the protocol's bytes straight to Arrow's buffers: one builder for each column, made for its type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow_array.hpp"

namespace acsylla_like {

/// Collects the values of one array. One thread at a time. Any function but the destructor may throw std::bad_alloc, after
/// which the builder is only good for being destroyed.
class ArrowBuilder {
 public:
  /// `type` outlives the builder.
  explicit ArrowBuilder(const ArrowType& type) : type_(type) {}
  virtual ~ArrowBuilder() = default;
  ArrowBuilder(const ArrowBuilder&) = delete;
  ArrowBuilder& operator=(const ArrowBuilder&) = delete;

  /// Appends the value whose bytes (without a length word) these are; no byte outside is read. Returns whether they are a
  /// value of the type; if not, `error` says why, and the builder is only good for being destroyed. The empty value that old
  /// servers allow for any type is null.
  virtual bool append(const std::uint8_t* data, std::size_t size, std::string* error) = 0;
  /// The same of a list, set or map, whose count of elements has been taken from the bytes.
  virtual bool append_items(std::int64_t count, const std::uint8_t* data, std::size_t size, std::string* error);
  virtual void append_null() = 0;
  /// Makes room for `length` values, where their size is known.
  virtual void reserve(std::int64_t length) = 0;

  std::int64_t length() const noexcept { return length_; }
  std::int64_t null_count() const noexcept { return null_count_; }

  /// The values so far as an array; the builder is empty afterwards.
  virtual std::shared_ptr<const ArrayData> finish() = 0;

 protected:
  void count_value() {
    if (null_count_ != 0) put_bit(&validity_, length_, true);
    ++length_;
  }
  void count_null();
  /// Null for no bytes, otherwise an error.
  bool append_unfit(std::size_t size, std::string* error);
  static void put_bit(ArrowBytes* bits, std::int64_t position, bool bit);
  /// A new ArrayData with length, null count and validity; the rest is the caller's.
  std::shared_ptr<ArrayData> finish_validity();

  const ArrowType& type_;

 private:
  std::int64_t length_ = 0;
  std::int64_t null_count_ = 0;
  ArrowBytes validity_;  // made with the first null
};

/// The builder for a type. May throw std::bad_alloc.
std::unique_ptr<ArrowBuilder> make_builder(const ArrowType& type);

/// How many bytes of text or elements of lists an array may have: their positions are signed words. Tests lower it.
extern std::size_t arrow_max_offset;

}  // namespace acsylla_like
