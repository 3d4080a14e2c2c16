#include "driver.hpp"

#include <fstream>

#include "check.hpp"

using namespace acsylla_like;

// The runner compiles the fake libraries of tests/native/fake_driver.cpp and says where they are.
static std::string path(const char* name) { return std::string(std::getenv("FAKE_DRIVERS")) + "/" + name; }

CASE(a_library_that_cannot_be_used_leaves_the_table_alone) {
  const DriverTable before = driver;
  CHECK(load_driver(path("missing.so")).find("missing.so") != std::string::npos);
  std::ofstream(path("text.so")) << "no library\n";
  CHECK(!load_driver(path("text.so")).empty());
  const std::string lacking = load_driver(path("lacking.so"));
  CHECK(lacking.find("cass_session_execute") != std::string::npos);
  CHECK(lacking.find("cass_future_free") != std::string::npos);
  CHECK(lacking.find("cass_session_new") == std::string::npos);
  CHECK(driver.cass_session_new == before.cass_session_new);
  CHECK(driver_path().empty());
  CHECK(driver_symbol_text("OpenSSL_version").empty());
}

CASE(the_table_is_filled_and_says_what_is_optional) {
  const DriverTable before = driver;
  CHECK(load_driver(path("whole.so")).empty());
  CHECK(driver.cass_session_new != nullptr && driver.cass_session_new() == nullptr);
  CHECK(driver_path() == path("whole.so"));
  CHECK(!driver_features().empty());
  for (const auto& [name, present] : driver_features()) {
    CHECK(present == (name != "cass_session_get_schema_meta" && name != "node_sockaddr"));
  }
  CHECK(driver_symbol_text("OpenSSL_version") == "FakeSSL 1");
  CHECK(driver_symbol_text("no_such_function").empty());
  driver = before;
}
