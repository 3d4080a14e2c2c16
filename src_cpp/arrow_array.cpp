#include "arrow_array.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "bind_value.hpp"

namespace acsylla_like {

namespace {

constexpr std::size_t alignment = 64;

// Stands for every buffer without bytes: some consumers take a null pointer for an error even where nothing is read.
alignas(alignment) constexpr std::uint8_t nothing[alignment] = {};

std::atomic<std::int64_t> exported{0};

}  // namespace

// ---- bytes

ArrowBytes::ArrowBytes(ArrowBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), capacity_(std::exchange(other.capacity_, 0)) {}

ArrowBytes& ArrowBytes::operator=(ArrowBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

ArrowBytes::~ArrowBytes() { std::free(data_); }

void ArrowBytes::grow(std::size_t size) {
  if (size > PTRDIFF_MAX / 2 - size_) throw std::bad_alloc();
  std::size_t capacity = size_ + size;
  if (capacity < 2 * capacity_) capacity = 2 * capacity_;
  capacity = (capacity + alignment - 1) / alignment * alignment;
  auto* data = static_cast<std::uint8_t*>(std::aligned_alloc(alignment, capacity));
  if (data == nullptr) throw std::bad_alloc();
  if (size_ != 0) std::memcpy(data, data_, size_);
  std::free(data_);
  data_ = data;
  capacity_ = capacity;
}

// ---- types

namespace {

/// What an exported schema owns.
struct SchemaOwner {
  std::string format;
  std::string name;
  std::string metadata;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;
};

void release_schema(ArrowSchema* schema) {
  auto* const owner = static_cast<SchemaOwner*>(schema->private_data);
  for (ArrowSchema& child : owner->children) release_if_held(&child);
  delete owner;
  schema->release = nullptr;
  exported.fetch_sub(1, std::memory_order_relaxed);
}

/// Key and value as `ArrowSchema::metadata` has them; numbers in the machine's order.
std::string one_entry(const std::string& key, const std::string& value, const std::string& second_key, const std::string& second) {
  std::string text;
  const auto put_length = [&text](std::size_t size) {
    const auto length = static_cast<std::int32_t>(size);
    text.append(reinterpret_cast<const char*>(&length), sizeof length);
  };
  put_length(2);
  for (const std::string* part : {&key, &value, &second_key, &second}) {
    put_length(part->size());
    text.append(*part);
  }
  return text;
}

/// An ArrowSchema in the making: what has been made is given back when the rest cannot be.
void make_schema(std::string format, const std::string& name, std::int64_t flags, std::size_t children, ArrowSchema* out) {
  auto owner = std::make_unique<SchemaOwner>();
  owner->format = std::move(format);
  owner->name = name;
  owner->children.resize(children);
  owner->pointers.resize(children);
  for (std::size_t i = 0; i < children; ++i) owner->pointers[i] = &owner->children[i];
  *out = ArrowSchema{};
  out->format = owner->format.c_str();
  out->name = owner->name.c_str();
  out->flags = flags;
  out->n_children = static_cast<std::int64_t>(children);
  out->children = children == 0 ? nullptr : owner->pointers.data();
  out->private_data = owner.release();
  out->release = release_schema;
  exported.fetch_add(1, std::memory_order_relaxed);
}

std::string format_of(const ArrowType& type) {
  switch (type.kind) {
    case VALUE_BOOLEAN:
      return "b";
    case VALUE_TINYINT:
      return "c";
    case VALUE_SMALLINT:
      return "s";
    case VALUE_INT:
      return "i";
    case VALUE_BIGINT:
    case VALUE_COUNTER:
      return "l";
    case VALUE_FLOAT:
      return "f";
    case VALUE_DOUBLE:
      return "g";
    case VALUE_DECIMAL:
    case VALUE_VARINT: {
      if (type.precision == 0) return "u";
      const std::string digits = "d:" + std::to_string(type.precision) + "," + std::to_string(type.scale);
      return type.precision <= 38 ? digits : digits + ",256";
    }
    case VALUE_ASCII:
    case VALUE_TEXT:
    case VALUE_VARCHAR:
    case VALUE_INET:
      return "u";
    case VALUE_UUID:
    case VALUE_TIMEUUID:
      return "w:16";
    case VALUE_TIMESTAMP:
      return "tsm:UTC";
    case VALUE_DATE:
      return "tdD";
    case VALUE_TIME:
      return "ttn";
    case VALUE_DURATION:
      return "tin";
    case VALUE_LIST:
    case VALUE_SET:
      return "+l";
    case VALUE_MAP:
      return "+m";
    case VALUE_UDT:
    case VALUE_TUPLE:
      return "+s";
    default:  // blob, custom
      return type.dimension >= 0 ? "+w:" + std::to_string(type.dimension) : "z";
  }
}

void export_type(const ArrowType& type, const std::string& name, std::int64_t flags, ArrowSchema* out) {
  make_schema(format_of(type), name, flags, type.kind == VALUE_MAP ? 1 : type.children.size(), out);
  auto* const owner = static_cast<SchemaOwner*>(out->private_data);
  if (type.kind == VALUE_UUID || type.kind == VALUE_TIMEUUID) {
    owner->metadata = one_entry("ARROW:extension:name", "arrow.uuid", "ARROW:extension:metadata", "");
    out->metadata = owner->metadata.data();
  }
  if (type.kind == VALUE_MAP) {
    ArrowSchema* const entries = &owner->children[0];
    make_schema("+s", "entries", 0, 2, entries);
    export_type(type.children[0], "key", 0, entries->children[0]);
    export_type(type.children[1], "value", ARROW_NULLABLE, entries->children[1]);
    return;
  }
  for (std::size_t i = 0; i < type.children.size(); ++i) {
    const bool is_struct = type.kind == VALUE_TUPLE || type.kind == VALUE_UDT;
    const std::string field = !is_struct ? "item" : type.kind == VALUE_UDT ? type.field_names[i] : std::to_string(i);
    export_type(type.children[i], field, ARROW_NULLABLE, out->children[i]);
  }
}

// ---- arrays

/// What an exported array owns.
struct ArrayOwner {
  std::shared_ptr<const ArrayData> data;
  std::vector<const void*> buffers;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
};

void release_array(ArrowArray* array) {
  auto* const owner = static_cast<ArrayOwner*>(array->private_data);
  for (ArrowArray& child : owner->children) release_if_held(&child);
  delete owner;
  array->release = nullptr;
  exported.fetch_sub(1, std::memory_order_relaxed);
}

void export_data(const std::shared_ptr<const ArrayData>& data, ArrowArray* out) {
  auto owner = std::make_unique<ArrayOwner>();
  owner->data = data;
  for (std::size_t i = 0; i < data->buffers.size(); ++i) {
    const ArrowBytes& bytes = data->buffers[i];
    owner->buffers.push_back(bytes.size() != 0 ? bytes.data() : i == 0 ? nullptr : nothing);
  }
  const std::size_t children = data->children.size();
  owner->children.resize(children);
  owner->pointers.resize(children);
  for (std::size_t i = 0; i < children; ++i) owner->pointers[i] = &owner->children[i];
  *out = ArrowArray{};
  out->length = data->length;
  out->null_count = data->null_count;
  out->n_buffers = static_cast<std::int64_t>(owner->buffers.size());
  out->buffers = owner->buffers.data();
  out->n_children = static_cast<std::int64_t>(children);
  out->children = children == 0 ? nullptr : owner->pointers.data();
  out->private_data = owner.release();
  out->release = release_array;
  exported.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < children; ++i) export_data(data->children[i], out->children[i]);
}

// ---- streams

/// What an exported stream owns.
struct StreamOwner {
  std::shared_ptr<const ArrowFields> fields;
  std::vector<ArrowBatch> batches;
  std::size_t next = 0;
};

StreamOwner* owner_of(ArrowArrayStream* stream) { return static_cast<StreamOwner*>(stream->private_data); }

int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  try {
    export_schema(*owner_of(stream)->fields, out);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  return 0;
}

int stream_next(ArrowArrayStream* stream, ArrowArray* out) {
  StreamOwner* const owner = owner_of(stream);
  *out = ArrowArray{};
  if (owner->next == owner->batches.size()) return 0;
  try {
    export_array(owner->batches[owner->next], out);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  owner->batches[owner->next++].reset();  // the consumer's from here on
  return 0;
}

const char* stream_error(ArrowArrayStream*) { return "out of memory"; }

void release_stream(ArrowArrayStream* stream) {
  delete owner_of(stream);
  stream->release = nullptr;
  exported.fetch_sub(1, std::memory_order_relaxed);
}

/// What the stream of one array owns, which somebody else made.
struct OneArray {
  ArrowSchema schema;
  ArrowArray array;
};

OneArray* one_of(ArrowArrayStream* stream) { return static_cast<OneArray*>(stream->private_data); }

int one_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  ArrowSchema* const schema = &one_of(stream)->schema;
  if (schema->release == nullptr) return EINVAL;
  *out = *schema;
  schema->release = nullptr;
  return 0;
}

int one_next(ArrowArrayStream* stream, ArrowArray* out) {
  *out = one_of(stream)->array;  // released, the second time
  one_of(stream)->array.release = nullptr;
  return 0;
}

const char* one_error(ArrowArrayStream*) { return "the schema was taken before"; }

void release_one(ArrowArrayStream* stream) {
  release_if_held(&one_of(stream)->schema);
  release_if_held(&one_of(stream)->array);
  delete one_of(stream);
  stream->release = nullptr;
}

/// Calls `write(out)`, and gives back what that has written when it throws.
template <class Structure, class Write>
void write_or_release(Structure* out, Write write) {
  out->release = nullptr;
  try {
    write(out);
  } catch (...) {
    release_if_held(out);
    throw;
  }
}

template <class Structure>
void release_held(Structure* structure) noexcept {
  if (structure->release != nullptr) structure->release(structure);
}

}  // namespace

void export_schema(const ArrowFields& fields, ArrowSchema* out) {
  write_or_release(out, [&fields](ArrowSchema* schema) {
    make_schema("+s", "", 0, fields.size(), schema);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      export_type(fields[i].type, fields[i].name, ARROW_NULLABLE, schema->children[i]);
    }
  });
}

void export_array(const ArrowBatch& batch, ArrowArray* out) {
  write_or_release(out, [&batch](ArrowArray* array) { export_data(batch, array); });
}

void export_stream(std::shared_ptr<const ArrowFields> fields, std::vector<ArrowBatch> batches, ArrowArrayStream* out) {
  auto owner = std::make_unique<StreamOwner>();
  owner->fields = std::move(fields);
  owner->batches = std::move(batches);
  *out = ArrowArrayStream{stream_schema, stream_next, stream_error, release_stream, owner.release()};
  exported.fetch_add(1, std::memory_order_relaxed);
}

void stream_of_array(ArrowSchema* schema, ArrowArray* array, ArrowArrayStream* out) {
  *out = ArrowArrayStream{one_schema, one_next, one_error, release_one, new OneArray{*schema, *array}};
  schema->release = nullptr;
  array->release = nullptr;
}

void release_if_held(ArrowSchema* schema) noexcept { release_held(schema); }
void release_if_held(ArrowArray* array) noexcept { release_held(array); }
void release_if_held(ArrowArrayStream* stream) noexcept { release_held(stream); }

std::int64_t exported_structures() noexcept { return exported.load(std::memory_order_relaxed); }

}  // namespace acsylla_like
