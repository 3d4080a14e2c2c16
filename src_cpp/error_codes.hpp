/// The codes of error_codes.def, and what each says of the request that fails with it.
#pragma once

#include "driver.hpp"

namespace acsylla_like {

namespace error_code {

constexpr CassError LIB = 1u << 24, SERVER = 2u << 24, SSL = 3u << 24;

#define CODE(source, name, number, error_class, applied, lasts) constexpr CassError source##_##name = source | number;
#define CLASS(name, bases, fields, meaning)
#include "error_codes.def"
#undef CODE
#undef CLASS

}  // namespace error_code

/// Whether a request that fails so has certainly applied nothing; of a code that is not in the list, nobody can say.
constexpr bool was_refused(CassError code) noexcept {
  constexpr bool NOTHING = true, MAYBE = false;
  switch (code) {
#define CODE(source, name, number, error_class, applied, lasts) \
  case error_code::source##_##name:                             \
    return applied;
#define CLASS(name, bases, fields, meaning)
#include "error_codes.def"
#undef CODE
#undef CLASS
    default:
      return false;
  }
}

/// Whether a request that failed so may have been applied. An idempotent one is sent to the next node by the driver itself when a
/// connection breaks (2.16.2, RequestCallback::on_close), so that no node is left at the end of which one may have taken it.
constexpr bool may_be_applied(CassError code, bool is_idempotent) noexcept {
  return !was_refused(code) || (is_idempotent && code == error_code::LIB_NO_HOSTS_AVAILABLE);
}

/// Whether another try may succeed.
constexpr bool is_transient(CassError code) noexcept {
  constexpr bool PASSES = true, STAYS = false;
  switch (code) {
#define CODE(source, name, number, error_class, applied, lasts) \
  case error_code::source##_##name:                             \
    return lasts;
#define CLASS(name, bases, fields, meaning)
#include "error_codes.def"
#undef CODE
#undef CLASS
    default:
      return false;
  }
}

/// Whether the library can tell a lost connection from a timeout, which it reports with the same code.
inline bool tells_lost_connections() noexcept { return driver.cass_future_coordinator != nullptr && driver.node_sockaddr != nullptr; }

/// Whether a future that is set to `code` says so because its connection broke: it names the node then, and not where time has run
/// out (2.16.2, RequestCallback::on_close, RequestHandler::on_timeout). Of a library that names none, false.
inline bool has_lost_connection(CassFuture* future, CassError code) noexcept {
  return code == error_code::LIB_REQUEST_TIMED_OUT && tells_lost_connections() && driver.cass_future_coordinator(future) != nullptr;
}

}  // namespace acsylla_like
