#include "arrow_builder.hpp"

#include <cstring>
#include <new>

#include "arrow_number.hpp"
#include "bind_value.hpp"
#include "buffer.hpp"

namespace acsylla_like {

std::size_t arrow_max_offset = 0x7FFFFFFF;

bool ArrowBuilder::append_items(std::int64_t, const std::uint8_t*, std::size_t size, std::string* error) {
  *error = std::to_string(size) + " bytes of items for type " + type_.name;
  return false;
}

void ArrowBuilder::put_bit(ArrowBytes* bits, std::int64_t position, bool bit) {
  if (position % 8 == 0) bits->fill(1, 0);
  bits->data()[position / 8] |= static_cast<std::uint8_t>(bit << (position % 8));
}

void ArrowBuilder::count_null() {
  if (null_count_ == 0) {
    validity_.fill(static_cast<std::size_t>(length_ / 8), 0xFF);
    if (length_ % 8 != 0) validity_.fill(1, static_cast<std::uint8_t>((1 << (length_ % 8)) - 1));
  }
  put_bit(&validity_, length_, false);
  ++length_;
  ++null_count_;
}

bool ArrowBuilder::append_unfit(std::size_t size, std::string* error) {
  if (size == 0) {
    append_null();
    return true;
  }
  *error = std::to_string(size) + " bytes are no value of type " + type_.name;
  return false;
}

std::shared_ptr<ArrayData> ArrowBuilder::finish_validity() {
  auto made = std::make_shared<ArrayData>();
  made->length = length_;
  made->null_count = null_count_;
  made->buffers.push_back(std::move(validity_));
  validity_ = ArrowBytes();
  length_ = null_count_ = 0;
  return made;
}

namespace {

// ---- values of one size

/// `Decode::decode(data, Number* out)` makes the number; false where the bytes are none of the type's values.
template <class Number, class Decode>
class FixedBuilder final : public ArrowBuilder {
 public:
  using ArrowBuilder::ArrowBuilder;

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (size != Decode::size) return append_unfit(size, error);
    Number number;
    if (!Decode::decode(data, &number)) {
      *error = std::to_string(load<std::int64_t>(data)) + " nanoseconds are no value of type " + type_.name;
      return false;
    }
    count_value();
    values_.put(number);
    return true;
  }
  void append_null() override {
    count_null();
    values_.fill(sizeof(Number), 0);
  }
  void reserve(std::int64_t length) override { values_.reserve(static_cast<std::size_t>(length) * sizeof(Number)); }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->buffers.push_back(std::move(values_));
    values_ = ArrowBytes();
    return made;
  }

 private:
  ArrowBytes values_;
};

template <class Number>
struct AsItIs {
  static constexpr std::size_t size = sizeof(Number);
  static bool decode(const std::uint8_t* data, Number* out) noexcept {
    *out = load<Number>(data);
    return true;
  }
};

/// Days since 1970, which CQL shifts by 2^31: every value fits.
struct Date {
  static constexpr std::size_t size = 4;
  static bool decode(const std::uint8_t* data, std::int32_t* out) noexcept {
    *out = static_cast<std::int32_t>(load<std::uint32_t>(data) ^ 0x80000000u);
    return true;
  }
};

struct TimeOfDay {
  static constexpr std::size_t size = 8;
  static bool decode(const std::uint8_t* data, std::int64_t* out) noexcept {
    *out = load<std::int64_t>(data);
    return *out >= 0 && *out < 86'400'000'000'000;
  }
};

struct UuidBytes {
  std::uint8_t bytes[16];
};

struct Uuid {
  static constexpr std::size_t size = 16;
  static bool decode(const std::uint8_t* data, UuidBytes* out) noexcept {
    std::memcpy(out->bytes, data, 16);
    return true;
  }
};

class BooleanBuilder final : public ArrowBuilder {
 public:
  using ArrowBuilder::ArrowBuilder;

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (size != 1) return append_unfit(size, error);
    put_bit(&bits_, length(), data[0] != 0);
    count_value();
    return true;
  }
  void append_null() override {
    put_bit(&bits_, length(), false);
    count_null();
  }
  void reserve(std::int64_t length) override { bits_.reserve(static_cast<std::size_t>(length / 8 + 1)); }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->buffers.push_back(std::move(bits_));
    bits_ = ArrowBytes();
    return made;
  }

 private:
  ArrowBytes bits_;
};

/// Months, days and nanoseconds, as Arrow's interval of that name has them.
class DurationBuilder final : public ArrowBuilder {
 public:
  using ArrowBuilder::ArrowBuilder;

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (size == 0) return append_unfit(size, error);
    const std::uint8_t* const end = data + size;
    std::int64_t parts[3];
    for (std::int64_t& part : parts) {
      if (data != nullptr) data = read_vint(data, end, &part);
    }
    if (data != end) return append_unfit(size, error);
    bool has_positive = false, has_negative = false;
    for (const std::int64_t part : parts) {
      has_positive |= part > 0;
      has_negative |= part < 0;
    }
    const auto months = static_cast<std::int32_t>(parts[0]), days = static_cast<std::int32_t>(parts[1]);
    if (months != parts[0] || days != parts[1] || (has_positive && has_negative)) return append_unfit(size, error);
    count_value();
    values_.put(months);
    values_.put(days);
    values_.put(parts[2]);
    return true;
  }
  void append_null() override {
    count_null();
    values_.fill(16, 0);
  }
  void reserve(std::int64_t length) override { values_.reserve(static_cast<std::size_t>(length) * 16); }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->buffers.push_back(std::move(values_));
    values_ = ArrowBytes();
    return made;
  }

 private:
  ArrowBytes values_;
};

/// Decimals and varints as Arrow decimals, exactly or not at all.
class DecimalBuilder final : public ArrowBuilder {
 public:
  explicit DecimalBuilder(const ArrowType& type) : ArrowBuilder(type), width_(type.precision <= 38 ? 16 : 32) {}

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    const std::size_t before = type_.kind == VALUE_DECIMAL ? sizeof(std::int32_t) : 0;
    if (size <= before) return append_unfit(size, error);
    const std::int64_t scale = before == 0 ? 0 : load<std::int32_t>(data);
    BigInteger number(data + before, size - before);
    if (!number.scale_by(type_.scale - scale) || !number.fits(type_.precision)) {
      ArrowBytes text;
      if (before == 0) {
        put_varint_text(data, size, &text);
      } else {
        put_decimal_text(data, size, &text);
      }
      const std::size_t shown = text.size() < 100 ? text.size() : 100;
      *error = std::string(reinterpret_cast<const char*>(text.data()), shown) + (shown < text.size() ? "…" : "") +
               " does not fit decimal(" + std::to_string(type_.precision) + ", " + std::to_string(type_.scale) + ") exactly";
      return false;
    }
    count_value();
    number.store_little(values_.extend(width_), width_);
    return true;
  }
  void append_null() override {
    count_null();
    values_.fill(width_, 0);
  }
  void reserve(std::int64_t length) override { values_.reserve(static_cast<std::size_t>(length) * width_); }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->buffers.push_back(std::move(values_));
    values_ = ArrowBytes();
    return made;
  }

 private:
  const std::size_t width_;
  ArrowBytes values_;
};

// ---- values of any size

/// The positions where the values of an array begin, and the last ends.
class Offsets {
 public:
  /// Notes where the value ends that was appended last. False when an array cannot have so much.
  bool put(std::size_t end, const ArrowType& type, std::string* error) {
    if (end > arrow_max_offset) {
      *error = "a column of type " + type.name + " is too large for one Arrow array: fewer rows per page would help";
      return false;
    }
    if (positions_.size() == 0) positions_.put(std::int32_t{0});
    positions_.put(static_cast<std::int32_t>(end));
    return true;
  }
  void repeat() {
    std::int32_t last = 0;
    if (positions_.size() == 0) positions_.put(last);
    std::memcpy(&last, positions_.data() + positions_.size() - sizeof last, sizeof last);
    positions_.put(last);
  }
  void reserve(std::int64_t length) { positions_.reserve((static_cast<std::size_t>(length) + 1) * sizeof(std::int32_t)); }
  ArrowBytes finish() {
    if (positions_.size() == 0) positions_.put(std::int32_t{0});
    ArrowBytes made = std::move(positions_);
    positions_ = ArrowBytes();
    return made;
  }

 private:
  ArrowBytes positions_;
};

/// `put(type, data, size, out, error)` appends the text or bytes of a value; null is its business where the bytes are empty.
using PutBytes = bool (*)(const ArrowType& type, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string* error);

bool put_same(const ArrowType&, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string*) {
  if (size != 0) std::memcpy(out->extend(size), data, size);
  return true;
}

bool refuse_text(const ArrowType& type, std::size_t size, const char* what, std::ptrdiff_t position, std::string* error) {
  *error = std::to_string(size) + " bytes of type " + type.name + " are not " + what + " at byte " + std::to_string(position);
  return false;
}

bool put_utf8(const ArrowType& type, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string* error) {
  const std::ptrdiff_t invalid = invalid_utf8(data, size);
  return invalid < 0 ? put_same(type, data, size, out, error) : refuse_text(type, size, "valid UTF-8", invalid, error);
}

bool put_ascii(const ArrowType& type, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string* error) {
  const std::ptrdiff_t invalid = invalid_ascii(data, size);
  return invalid < 0 ? put_same(type, data, size, out, error) : refuse_text(type, size, "ASCII", invalid, error);
}

bool refuse_size(const ArrowType& type, std::size_t size, std::string* error) {
  *error = std::to_string(size) + " bytes are no value of type " + type.name;
  return false;
}

bool put_varint(const ArrowType&, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string*) {
  put_varint_text(data, size, out);
  return true;
}

bool put_decimal(const ArrowType& type, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string* error) {
  if (size < 5) return refuse_size(type, size, error);
  put_decimal_text(data, size, out);
  return true;
}

bool put_inet(const ArrowType& type, const std::uint8_t* data, std::size_t size, ArrowBytes* out, std::string* error) {
  if (size != 4 && size != 16) return refuse_size(type, size, error);
  put_inet_text(data, size, out);
  return true;
}

template <PutBytes put, bool empty_is_null>
class BytesBuilder final : public ArrowBuilder {
 public:
  using ArrowBuilder::ArrowBuilder;

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (empty_is_null && size == 0) {
      append_null();
      return true;
    }
    if (!put(type_, data, size, &bytes_, error) || !offsets_.put(bytes_.size(), type_, error)) return false;
    count_value();
    return true;
  }
  void append_null() override {
    count_null();
    offsets_.repeat();
  }
  void reserve(std::int64_t length) override { offsets_.reserve(length); }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->buffers.push_back(offsets_.finish());
    made->buffers.push_back(std::move(bytes_));
    bytes_ = ArrowBytes();
    return made;
  }

 private:
  Offsets offsets_;
  ArrowBytes bytes_;
};

// ---- values made of values

/// The item whose length word is at `*data`, which moves behind the item.
bool append_item(const ArrowType& type, ArrowBuilder* builder, const std::uint8_t** data, const std::uint8_t* end,
                 std::string* error) {
  if (end - *data < 4) {
    *error = "the bytes of type " + type.name + " end within an item's length";
    return false;
  }
  const std::int32_t length = load<std::int32_t>(*data);
  *data += sizeof length;
  if (length < 0) {
    builder->append_null();
    return true;
  }
  if (length > end - *data) {
    *error = "an item of " + std::to_string(length) + " bytes within type " + type.name + ", of which " +
             std::to_string(end - *data) + " bytes remain";
    return false;
  }
  const std::uint8_t* const item = *data;
  *data += length;
  return builder->append(item, static_cast<std::size_t>(length), error);
}

/// Each item has at least its length word, so that no count asks for more memory than its bytes deserve.
bool check_count(const ArrowType& type, std::int64_t count, std::size_t size, std::size_t words, std::string* error) {
  if (count >= 0 && static_cast<std::uint64_t>(count) <= size / (4 * words)) return true;
  *error = std::to_string(count) + " items in " + std::to_string(size) + " bytes of type " + type.name;
  return false;
}

bool check_end(const ArrowType& type, const std::uint8_t* data, const std::uint8_t* end, std::string* error) {
  if (data == end) return true;
  *error = std::to_string(end - data) + " bytes too many in a value of type " + type.name;
  return false;
}

class ListBuilder final : public ArrowBuilder {
 public:
  explicit ListBuilder(const ArrowType& type) : ArrowBuilder(type), items_(make_builder(type.children[0])) {}

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (size < 4) return append_unfit(size, error);
    return append_items(load<std::int32_t>(data), data + 4, size - 4, error);
  }
  bool append_items(std::int64_t count, const std::uint8_t* data, std::size_t size, std::string* error) override {
    const std::uint8_t* const end = data + size;
    if (!check_count(type_, count, size, 1, error)) return false;
    for (std::int64_t i = 0; i < count; ++i) {
      if (!append_item(type_, items_.get(), &data, end, error)) return false;
    }
    if (!check_end(type_, data, end, error)) return false;
    if (!offsets_.put(static_cast<std::size_t>(items_->length()), type_, error)) return false;
    count_value();
    return true;
  }
  void append_null() override {
    count_null();
    offsets_.repeat();
  }
  void reserve(std::int64_t length) override { offsets_.reserve(length); }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->buffers.push_back(offsets_.finish());
    made->children.push_back(items_->finish());
    return made;
  }

 private:
  Offsets offsets_;
  std::unique_ptr<ArrowBuilder> items_;
};

class MapBuilder final : public ArrowBuilder {
 public:
  explicit MapBuilder(const ArrowType& type)
      : ArrowBuilder(type), keys_(make_builder(type.children[0])), values_(make_builder(type.children[1])) {}

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (size < 4) return append_unfit(size, error);
    return append_items(load<std::int32_t>(data), data + 4, size - 4, error);
  }
  bool append_items(std::int64_t count, const std::uint8_t* data, std::size_t size, std::string* error) override {
    const std::uint8_t* const end = data + size;
    if (!check_count(type_, count, size, 2, error)) return false;
    for (std::int64_t i = 0; i < count; ++i) {
      if (!append_item(type_, keys_.get(), &data, end, error)) return false;
      if (keys_->null_count() != 0) {
        *error = "a key of type " + type_.name + " is null or empty, which a key of an Arrow map cannot be";
        return false;
      }
      if (!append_item(type_, values_.get(), &data, end, error)) return false;
    }
    if (!check_end(type_, data, end, error)) return false;
    if (!offsets_.put(static_cast<std::size_t>(keys_->length()), type_, error)) return false;
    count_value();
    return true;
  }
  void append_null() override {
    count_null();
    offsets_.repeat();
  }
  void reserve(std::int64_t length) override { offsets_.reserve(length); }
  std::shared_ptr<const ArrayData> finish() override {
    auto entries = std::make_shared<ArrayData>();
    entries->length = keys_->length();
    entries->buffers.emplace_back();
    entries->children.push_back(keys_->finish());
    entries->children.push_back(values_->finish());
    auto made = finish_validity();
    made->buffers.push_back(offsets_.finish());
    made->children.push_back(std::move(entries));
    return made;
  }

 private:
  Offsets offsets_;
  std::unique_ptr<ArrowBuilder> keys_;
  std::unique_ptr<ArrowBuilder> values_;
};

/// Tuples and user types. Fields that the bytes lack are null; a user type's bytes may have fields behind those we know,
/// added to the type since, which are left out.
class StructBuilder final : public ArrowBuilder {
 public:
  explicit StructBuilder(const ArrowType& type) : ArrowBuilder(type) {
    for (const ArrowType& field : type.children) fields_.push_back(make_builder(field));
  }

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    if (size == 0) return append_unfit(size, error);
    const std::uint8_t* const end = data + size;
    for (const auto& field : fields_) {
      if (data == end) {
        field->append_null();
      } else if (!append_item(type_, field.get(), &data, end, error)) {
        return false;
      }
    }
    if (type_.kind == VALUE_UDT) {
      Ignored ignored(type_);
      while (data != end) {
        if (!append_item(type_, &ignored, &data, end, error)) return false;
      }
    }
    if (!check_end(type_, data, end, error)) return false;
    count_value();
    return true;
  }
  void append_null() override {
    count_null();
    for (const auto& field : fields_) field->append_null();
  }
  void reserve(std::int64_t length) override {
    for (const auto& field : fields_) field->reserve(length);
  }
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    for (const auto& field : fields_) made->children.push_back(field->finish());
    return made;
  }

 private:
  /// Takes whatever it is given, and keeps nothing.
  class Ignored final : public ArrowBuilder {
   public:
    using ArrowBuilder::ArrowBuilder;
    bool append(const std::uint8_t*, std::size_t, std::string*) override { return true; }
    void append_null() override {}
    void reserve(std::int64_t) override {}
    std::shared_ptr<const ArrayData> finish() override { return nullptr; }
  };

  std::vector<std::unique_ptr<ArrowBuilder>> fields_;
};

class VectorBuilder final : public ArrowBuilder {
 public:
  explicit VectorBuilder(const ArrowType& type) : ArrowBuilder(type), items_(make_builder(type.children[0])) {}

  bool append(const std::uint8_t* data, std::size_t size, std::string* error) override {
    const std::uint64_t width = static_cast<std::uint64_t>(type_.children[0].vector_width);
    const std::uint8_t* const end = data + size;
    // Each item has a byte at least, so that no dimension asks for more memory than its bytes deserve.
    if (size == 0 || static_cast<std::uint64_t>(type_.dimension) > size) return append_unfit(size, error);
    for (std::int64_t i = 0; i < type_.dimension; ++i) {
      std::uint64_t length = width;
      if (width == 0) data = read_unsigned_vint(data, end, &length);
      if (data == nullptr || length > static_cast<std::uint64_t>(end - data)) {
        *error = "the bytes of type " + type_.name + " end within an item";
        return false;
      }
      if (!items_->append(data, static_cast<std::size_t>(length), error)) return false;
      data += length;
    }
    if (!check_end(type_, data, end, error)) return false;
    count_value();
    return true;
  }
  void append_null() override {
    // It has no bytes, but as many items as any other value: here the server's word alone asks for memory.
    if (static_cast<std::size_t>(items_->length() + type_.dimension) > arrow_max_offset) throw std::bad_alloc();
    count_null();
    for (std::int64_t i = 0; i < type_.dimension; ++i) items_->append_null();
  }
  void reserve(std::int64_t) override {}
  std::shared_ptr<const ArrayData> finish() override {
    auto made = finish_validity();
    made->children.push_back(items_->finish());
    return made;
  }

 private:
  std::unique_ptr<ArrowBuilder> items_;
};

}  // namespace

std::unique_ptr<ArrowBuilder> make_builder(const ArrowType& type) {
  switch (type.kind) {
    case VALUE_BOOLEAN:
      return std::make_unique<BooleanBuilder>(type);
    case VALUE_TINYINT:
      return std::make_unique<FixedBuilder<std::int8_t, AsItIs<std::int8_t>>>(type);
    case VALUE_SMALLINT:
      return std::make_unique<FixedBuilder<std::int16_t, AsItIs<std::int16_t>>>(type);
    case VALUE_INT:
      return std::make_unique<FixedBuilder<std::int32_t, AsItIs<std::int32_t>>>(type);
    case VALUE_BIGINT:
    case VALUE_COUNTER:
    case VALUE_TIMESTAMP:
      return std::make_unique<FixedBuilder<std::int64_t, AsItIs<std::int64_t>>>(type);
    case VALUE_FLOAT:
      return std::make_unique<FixedBuilder<float, AsItIs<float>>>(type);
    case VALUE_DOUBLE:
      return std::make_unique<FixedBuilder<double, AsItIs<double>>>(type);
    case VALUE_DATE:
      return std::make_unique<FixedBuilder<std::int32_t, Date>>(type);
    case VALUE_TIME:
      return std::make_unique<FixedBuilder<std::int64_t, TimeOfDay>>(type);
    case VALUE_UUID:
    case VALUE_TIMEUUID:
      return std::make_unique<FixedBuilder<UuidBytes, Uuid>>(type);
    case VALUE_DURATION:
      return std::make_unique<DurationBuilder>(type);
    case VALUE_DECIMAL:
      if (type.precision != 0) return std::make_unique<DecimalBuilder>(type);
      return std::make_unique<BytesBuilder<put_decimal, true>>(type);
    case VALUE_VARINT:
      if (type.precision != 0) return std::make_unique<DecimalBuilder>(type);
      return std::make_unique<BytesBuilder<put_varint, true>>(type);
    case VALUE_INET:
      return std::make_unique<BytesBuilder<put_inet, true>>(type);
    case VALUE_ASCII:
      return std::make_unique<BytesBuilder<put_ascii, false>>(type);
    case VALUE_TEXT:
    case VALUE_VARCHAR:
      return std::make_unique<BytesBuilder<put_utf8, false>>(type);
    case VALUE_LIST:
    case VALUE_SET:
      return std::make_unique<ListBuilder>(type);
    case VALUE_MAP:
      return std::make_unique<MapBuilder>(type);
    case VALUE_TUPLE:
    case VALUE_UDT:
      return std::make_unique<StructBuilder>(type);
    default:
      if (type.dimension >= 0) return std::make_unique<VectorBuilder>(type);
      return std::make_unique<BytesBuilder<put_same, false>>(type);
  }
}

}  // namespace acsylla_like
