/// What the driver's threads call: each callback pushes into a mailbox and returns. None of them knows Python.
#pragma once

#include <cstdint>

#include "driver.hpp"
#include "mailbox.hpp"

namespace acsylla_like {

/// One request in flight. Embedded in its owner, which must stay where it is until the ticket was taken from the mailbox.
struct Ticket {
  Ticket* next = nullptr;
  Mailbox<Ticket>* mailbox = nullptr;
  void* owner = nullptr;
};

/// Has `ticket` pushed into its mailbox exactly once, when `future` is set: by an I/O thread, or at once by the caller when
/// it is set already (cass_future_set_callback).
CassError notify_when_set(CassFuture* future, Ticket* ticket) noexcept;

/// One line of the driver's log.
struct LogLine {
  LogLine* next = nullptr;
  CassLogMessage message;
};

/// Every line of every cluster, in order, until someone takes them: the driver's log callback is process-wide.
/// Never destroyed, since I/O threads may log while the process exits.
Mailbox<LogLine>& log_lines() noexcept;

/// Starts collecting lines of `level` and more severe ones. Call before the first session: the driver reads the callback
/// without a lock.
void start_logging(CassLogLevel level) noexcept;

/// In a forked child: forgets the parent's lines, lock and wakeup.
void forget_inherited_log_lines() noexcept;

/// Lines that were dropped because nobody took the last `max_log_lines`; the count starts again from zero.
std::uint64_t take_dropped_log_lines() noexcept;
constexpr std::size_t max_log_lines = 10000;

}  // namespace acsylla_like
