#include "callbacks.hpp"

#include <atomic>
#include <new>

namespace acsylla_like {

namespace {

std::atomic<std::uint64_t> dropped_log_lines{0};

void on_set(CassFuture*, void* data) noexcept {
  Ticket* ticket = static_cast<Ticket*>(data);
  ticket->mailbox->push(ticket);
}

void on_log(const CassLogMessage* message, void*) noexcept {
  LogLine* line = log_lines().size() < max_log_lines ? new (std::nothrow) LogLine{nullptr, *message} : nullptr;
  if (line == nullptr) {
    dropped_log_lines.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  log_lines().push(line);
}

}  // namespace

CassError notify_when_set(CassFuture* future, Ticket* ticket) noexcept {
  return driver.cass_future_set_callback(future, on_set, ticket);
}

Mailbox<LogLine>& log_lines() noexcept {
  static Mailbox<LogLine>* const lines = new Mailbox<LogLine>;
  return *lines;
}

void start_logging(CassLogLevel level) noexcept {
  driver.cass_log_set_callback(on_log, nullptr);
  driver.cass_log_set_level(level);
}

void forget_inherited_log_lines() noexcept { new (&log_lines()) Mailbox<LogLine>; }

std::uint64_t take_dropped_log_lines() noexcept { return dropped_log_lines.exchange(0, std::memory_order_relaxed); }

}  // namespace acsylla_like
