/// The structures through which Arrow data changes hands within a process: Arrow's C data and C stream interfaces.
///
/// Their layout is the interface, so that producer and consumer need no common header and no common library. Whoever holds
/// a structure calls its `release` once; a null `release` says that it was released, or moved into another structure.
#pragma once

#include <cstdint>

namespace acsylla_like {

/// A type, with its name as a field of another.
struct ArrowSchema {
  const char* format;    ///< such as "l" for int64, "+s" for a struct
  const char* name;      ///< may be null
  const char* metadata;  ///< int32 count, then key and value of each entry, both after an int32 length; may be null
  std::int64_t flags;    ///< ArrowFlag
  std::int64_t n_children;
  ArrowSchema** children;
  ArrowSchema* dictionary;  ///< the type of the values, when this one is of their indexes; else null
  void (*release)(ArrowSchema*);
  void* private_data;  ///< the producer's
};

enum ArrowFlag : std::int64_t { ARROW_DICTIONARY_ORDERED = 1, ARROW_NULLABLE = 2, ARROW_MAP_KEYS_SORTED = 4 };

/// Values of a type that is known from elsewhere.
struct ArrowArray {
  std::int64_t length;
  std::int64_t null_count;  ///< -1: not counted
  std::int64_t offset;      ///< of the first value, in every buffer and, for structs and fixed-size lists, in the children
  std::int64_t n_buffers;
  std::int64_t n_children;
  const void** buffers;  ///< validity first, null where nothing is null; little-endian, aligned to 8 bytes at least
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};

/// Arrays of one type, one after another. The calls may block and return errno's numbers; one thread at a time.
struct ArrowArrayStream {
  int (*get_schema)(ArrowArrayStream*, ArrowSchema* out);
  int (*get_next)(ArrowArrayStream*, ArrowArray* out);  ///< at the end, `out` is a released array
  const char* (*get_last_error)(ArrowArrayStream*);     ///< after a call that failed; good until the next one; may be null
  void (*release)(ArrowArrayStream*);
  void* private_data;
};

}  // namespace acsylla_like
