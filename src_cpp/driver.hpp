/// The driver library: opened once with dlopen, called through one table, never unloaded.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "driver_types.hpp"

namespace acsylla_like {

/// One pointer per function of driver_functions.def; an OPTIONAL one may be null.
struct DriverTable {
#define REQUIRED(result, name, parameters) result(*name) parameters = nullptr;
#define OPTIONAL(result, name, parameters) result(*name) parameters = nullptr;
#define SYMBOL(result, name, parameters, symbol) result(*name) parameters = nullptr;
#include "driver_functions.def"
#undef REQUIRED
#undef OPTIONAL
#undef SYMBOL
};

/// Filled by load_driver, read by everyone afterwards. Any thread; written under the GIL before any session exists.
extern DriverTable driver;

/// Opens the library at `path` and fills the table. Returns an empty string, or why it cannot be used (the table is then
/// unchanged). Call it once; the caller holds the GIL, which orders it before every use.
std::string load_driver(const std::string& path);

/// Where the loaded library lies, as the dynamic linker resolved it; empty before load_driver succeeded.
const std::string& driver_path();

/// The loaded library as dlopen gave it; nullptr before.
void* driver_library() noexcept;

/// The OPTIONAL functions and whether the loaded library has them.
std::vector<std::pair<std::string, bool>> driver_features();

/// The text that `const char* symbol(int)` of the loaded library or its dependencies returns for 0 (OpenSSL_version), or
/// an empty string where there is no such function.
std::string driver_symbol_text(const std::string& symbol);

}  // namespace acsylla_like
