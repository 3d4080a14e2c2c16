// A library that has the names of driver_functions.def and nothing behind them, to be loaded and looked into, never used.
// The test that compiles it may drop lines of the list, to see what a library without those functions gives.
#define REQUIRED(result, name, parameters) \
  extern "C" __attribute__((visibility("default"))) void* name() { return nullptr; }
#define OPTIONAL(result, name, parameters) REQUIRED(result, name, parameters)
#define SYMBOL(result, name, parameters, symbol)
#include "driver_functions.def"

#ifdef FAKE_OPENSSL
extern "C" __attribute__((visibility("default"))) const char* OpenSSL_version(int) { return FAKE_OPENSSL; }
#endif
