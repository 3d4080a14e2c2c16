#include "driver.hpp"

#include <dlfcn.h>

namespace acsylla_like {

DriverTable driver;

namespace {

void* library = nullptr;
std::string path_of_library;

template <class Function>
bool look_up(void* handle, const char* symbol, Function& slot) {
  slot = reinterpret_cast<Function>(dlsym(handle, symbol));
  return slot != nullptr;
}

}  // namespace

std::string load_driver(const std::string& path) {
  // RTLD_LOCAL keeps the library's own OpenSSL and jemalloc from meeting another copy in the process.
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return reason != nullptr ? reason : "dlopen failed without a reason";
  }
  DriverTable table;
  std::string missing;
#define REQUIRED(result, name, parameters) \
  if (!look_up(handle, #name, table.name)) missing += missing.empty() ? #name : ", " #name;
#define OPTIONAL(result, name, parameters) look_up(handle, #name, table.name);
#define SYMBOL(result, name, parameters, symbol) look_up(handle, symbol, table.name);
#include "driver_functions.def"
#undef REQUIRED
#undef OPTIONAL
#undef SYMBOL
  if (!missing.empty()) {
    dlclose(handle);  // nothing of it was called, so nothing of it runs
    return "it lacks required functions of the driver's C API: " + missing;
  }
  driver = table;
  library = handle;
  Dl_info found;
  path_of_library =
      dladdr(reinterpret_cast<void*>(table.cass_session_new), &found) != 0 && found.dli_fname != nullptr ? found.dli_fname
                                                                                                        : path;
  return {};
}

const std::string& driver_path() { return path_of_library; }

void* driver_library() noexcept { return library; }

std::vector<std::pair<std::string, bool>> driver_features() {
  std::vector<std::pair<std::string, bool>> features;
#define REQUIRED(result, name, parameters)
#define OPTIONAL(result, name, parameters) features.emplace_back(#name, driver.name != nullptr);
#define SYMBOL(result, name, parameters, symbol) features.emplace_back(#name, driver.name != nullptr);
#include "driver_functions.def"
#undef REQUIRED
#undef OPTIONAL
#undef SYMBOL
  return features;
}

std::string driver_symbol_text(const std::string& symbol) {
  if (library == nullptr) return {};
  const char* (*function)(int) = nullptr;
  if (!look_up(library, symbol.c_str(), function)) return {};
  const char* text = function(0);
  return text != nullptr ? text : "";
}

}  // namespace acsylla_like
