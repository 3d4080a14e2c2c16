#include "row_walk.hpp"

#include <atomic>
#include <cstring>

#if defined(__linux__) && defined(__x86_64__)
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

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

#if defined(__linux__) && defined(__x86_64__)

/// What the driver's Decoder holds (2.16.2): it is also the middle of IteratorLayout.
struct DecoderLayout {
  std::uintptr_t protocol_version;
  const std::uint8_t* input;
  std::uintptr_t length;
  std::size_t remaining;
};

/// Stands for the driver's Value: returned through a hidden pointer, as every class with a copy constructor, and never
/// copied here.
struct DriverValue {
  DriverValue(const DriverValue&) {}
  ~DriverValue() {}
};

using DecodeValue = DriverValue (*)(DecoderLayout* decoder, const void* data_type);
using UpdateValue = bool (*)(DecoderLayout* decoder, void* value);
DecodeValue decode_value = nullptr;
UpdateValue update_value = nullptr;

/// Leaves nothing of an answer that ends within its next cell: the driver then reports it as one it cannot decode.
void check_next_cell(DecoderLayout* decoder) noexcept {
  if (decoder->remaining < sizeof(std::int32_t)) return;
  const std::int32_t length = load<std::int32_t>(decoder->input);
  if (length > 0 && static_cast<std::size_t>(length) > decoder->remaining - sizeof(std::int32_t)) decoder->remaining = 0;
}

DriverValue decode_value_within(DecoderLayout* decoder, const void* data_type) {
  check_next_cell(decoder);
  return decode_value(decoder, data_type);
}

bool update_value_within(DecoderLayout* decoder, void* value) {
  check_next_cell(decoder);
  return update_value(decoder, value);
}

/// Replaces what the linkage slot of `symbol` holds, which is the function itself; returns it, or null when nothing was done.
void* replace_in_slot(const link_map* library, void* handle, const char* symbol, void* replacement) noexcept {
  const auto absolute = [library](ElfW(Addr) address) {  // glibc has relocated these, musl has not
    return address < library->l_addr ? address + library->l_addr : address;
  };
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  const ElfW(Rela)* relocations = nullptr;
  std::size_t size = 0;
  for (const ElfW(Dyn)* entry = library->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(absolute(entry->d_un.d_ptr));
    if (entry->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(absolute(entry->d_un.d_ptr));
    if (entry->d_tag == DT_JMPREL) relocations = reinterpret_cast<const ElfW(Rela)*>(absolute(entry->d_un.d_ptr));
    if (entry->d_tag == DT_PLTRELSZ) size = entry->d_un.d_val;
  }
  void* const function = dlsym(handle, symbol);
  if (symbols == nullptr || names == nullptr || relocations == nullptr || function == nullptr) return nullptr;
  for (std::size_t i = 0; i < size / sizeof *relocations; ++i) {
    if (ELF64_R_TYPE(relocations[i].r_info) != R_X86_64_JUMP_SLOT) continue;
    if (std::strcmp(names + symbols[ELF64_R_SYM(relocations[i].r_info)].st_name, symbol) != 0) continue;
    void** const slot = reinterpret_cast<void**>(library->l_addr + relocations[i].r_offset);
    if (*slot != function) return nullptr;
    const std::uintptr_t page_size = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    void* const page = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(slot) & ~(page_size - 1));
    if (mprotect(page, page_size, PROT_READ | PROT_WRITE) != 0) return nullptr;
    *slot = replacement;
    return function;
  }
  return nullptr;
}

#endif

bool is_collection(CassValueType type) noexcept { return type >= 0x20 && type <= 0x22; }

}  // namespace

void allow_row_walk(bool is_allowed) noexcept { allowed.store(is_allowed, std::memory_order_relaxed); }

bool row_walk_allowed() noexcept { return allowed.load(std::memory_order_relaxed) && sizeof(void*) == 8; }

bool guard_driver_decoder(void* handle) noexcept {
#if defined(__linux__) && defined(__x86_64__)
  static bool is_done = false;
  if (is_done) return true;
  link_map* library = nullptr;
  if (handle == nullptr || dlinfo(handle, RTLD_DI_LINKMAP, &library) != 0) return false;
  const char* const decode_symbol = "_ZN8datastax8internal4core7Decoder12decode_valueERKNS0_12SharedRefPtrIKNS1_8DataTypeEEE";
  const char* const update_symbol = "_ZN8datastax8internal4core7Decoder12update_valueERNS1_5ValueE";
  // Known before the slot leads to us: an I/O thread of another user of the library may be decoding.
  decode_value = reinterpret_cast<DecodeValue>(dlsym(handle, decode_symbol));
  update_value = reinterpret_cast<UpdateValue>(dlsym(handle, update_symbol));
  const bool decodes = replace_in_slot(library, handle, decode_symbol, reinterpret_cast<void*>(decode_value_within)) != nullptr;
  const bool updates = replace_in_slot(library, handle, update_symbol, reinterpret_cast<void*>(update_value_within)) != nullptr;
  is_done = decodes && updates;
  return is_done;
#else
  (void)handle;
  return false;
#endif
}

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
