/// Many rows on their way at once: a bounded window of requests, of which the driver's threads only count the answers.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "callbacks.hpp"
#include "error_codes.hpp"
#include "handles.hpp"
#include "session_owner.hpp"

namespace acsylla_like {

struct BulkOptions {
  std::size_t concurrency = 1024;  ///< rows in flight
  unsigned retries = 0;            ///< of a row that failed in passing
  bool may_repeat = false;         ///< a row may be sent again although it may have been written: it is idempotent
  bool repeats_overloaded = true;  ///< the same, of one that an overloaded node has refused
  bool gives_back = false;         ///< a row that found no host, or an unprepared statement, has failed at once: the owner looks into it
};

/// How long rows took, by a histogram of whole microseconds with 16 steps per power of two: at most 7 % too high.
class Latencies {
 public:
  void add(std::chrono::steady_clock::duration time) noexcept;
  /// Seconds within which this share (0 to 1) of the rows was answered; 0 without rows.
  double quantile(double share) const noexcept;
  /// The quantiles of 50, 95, 99 and 100 %.
  std::vector<double> summary() const { return {quantile(0.5), quantile(0.95), quantile(0.99), quantile(1.0)}; }

 private:
  static constexpr unsigned steps = 16, powers = 40;
  std::array<std::uint64_t, steps * powers> counts_{};
  std::uint64_t total_ = 0;
};

/// One thread, the sender, binds rows and sends them; it alone calls what is not said to be for any thread. Made by new, and
/// ended by release_bulk_write(): rows may be in flight then.
class BulkWrite {
 public:
  using Clock = std::chrono::steady_clock;

  /// A row in flight, or between two tries; or a batch of rows, which share their fate.
  struct Slot {
    Slot* next = nullptr;
    BulkWrite* write = nullptr;
    StatementHandle statement{};  ///< kept for another try; null where a batch is sent
    BatchHandle batch{};          ///< of several rows, sent instead
    FutureHandle future{};        ///< until the row is sent again or released
    std::int64_t row = -1;        ///< its number, from 0 on, the first of a batch; -1: the slot is free
    std::vector<std::int64_t> other_rows{};  ///< of a batch
    unsigned tries = 0;           ///< that have failed
    CassError code = 0;           ///< of the last try
    bool is_timed = false;        ///< its latency is noted: that of some is enough, for the clock costs a twentieth of a row
    Clock::time_point first_sent{};
    Clock::time_point sent{};      ///< for the last time, to within a few rows
    Clock::time_point answered{};  ///< where it is timed, or has failed
    Clock::time_point due{};      ///< when to try again
  };

  /// The session in `session` is borrowed while rows are sent.
  BulkWrite(std::shared_ptr<CurrentSession> session, const BulkOptions& options);
  BulkWrite(const BulkWrite&) = delete;
  BulkWrite& operator=(const BulkWrite&) = delete;

  bool has_room() const noexcept { return unfinished() < window_ && !free_.empty(); }
  /// A slot for one more row; null while the window is full.
  Slot* take_slot();
  /// Sends the row of a slot, whose statement and row are set.
  void submit(Slot* slot);
  /// Has the slot free again: its row was written, has failed, or was never sent.
  void release(Slot* slot);
  /// The index of a slot: less than the concurrency.
  std::size_t index_of(const Slot* slot) const noexcept { return static_cast<std::size_t>(slot - slots_.data()); }

  /// Takes the answers that have come, so many at most. Returns the rows that have failed for good, linked by `next`: each is to
  /// be released.
  Slot* take_answers(std::size_t most = std::numeric_limits<std::size_t>::max());
  /// Whether it left some of them.
  bool has_left_answers() const noexcept { return left_ != nullptr; }
  /// Sends those rows again whose time has come.
  void send_due();
  /// When the next row is to be sent again; Clock::time_point::max() when none is.
  Clock::time_point next_due() const noexcept;
  /// The same from now on; infinity when none is.
  double seconds_to_next_due() const noexcept;
  /// Lets no row be sent again: those between two tries have failed. As take_answers().
  Slot* give_up();

  /// Blocks until so many answers have come (as many as are in flight, where those are less), until `end`, or an interrupt.
  void wait(std::size_t answers, Clock::time_point end);
  /// The same without blocking: `ticket` is pushed into its mailbox then, at once where it is so already. With 0 only an
  /// interrupt does it. Null changes how many answers the ticket that is there already waits for.
  void notify_when(std::size_t answers, Ticket* ticket);
  /// Ends a wait, or the next one when there is none. Any thread.
  void interrupt();

  std::size_t in_flight() const noexcept { return in_flight_; }
  /// When a row was last sent, in seconds of the monotonic clock; to within a few rows.
  double last_sent() const noexcept { return std::chrono::duration<double>(last_sent_.time_since_epoch()).count(); }
  /// Rows in flight or between two tries.
  std::size_t unfinished() const noexcept { return in_flight_ + later_.size(); }
  /// How many may be: the concurrency, less while the server is overloaded.
  std::size_t window() const noexcept { return window_; }
  std::int64_t written() const noexcept { return written_; }
  std::int64_t retried() const noexcept { return retried_; }
  const Latencies& latencies() const noexcept { return latencies_; }
  /// The first row that is not settled, where `next` is the next to be taken.
  std::int64_t first_unsettled(std::int64_t next) const noexcept;

 private:
  friend void release_bulk_write(BulkWrite* write) noexcept;
  ~BulkWrite() = default;

  static void on_set(CassFuture* future, void* data) noexcept;
  bool is_to_be_repeated(const Slot& slot) const noexcept;
  void note_pace(CassError code) noexcept;
  void push_ticket() noexcept;

  const std::shared_ptr<CurrentSession> session_;
  const BulkOptions options_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_{};
  std::vector<Slot*> later_{};  // to be tried again
  Slot* left_ = nullptr;        // answers that were not taken the last time
  std::size_t left_count_ = 0;
  std::size_t window_;
  std::size_t in_flight_ = 0;
  Clock::time_point last_sent_{};
  unsigned rows_until_timed_ = 0;
  std::size_t answers_since_change_ = 0;   // of window_
  std::size_t sent_before_decrease_ = 0;  // of window_, and not answered
  std::int64_t written_ = 0;
  std::int64_t retried_ = 0;
  bool retries_are_off_ = false;
  Latencies latencies_{};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Slot* completed_ = nullptr;
  std::size_t completed_count_ = 0;
  std::size_t wake_at_ = 0;  // so many completed rows end the wait; 0: they do not
  Ticket* ticket_ = nullptr;
  bool was_interrupted_ = false;
  std::size_t orphans_ = 0;  // rows whose answers are waited for only to delete this; 0: it has an owner
};

/// Deletes it, now or, while rows are in flight, on the driver's thread that answers the last of them. The session must go on
/// until then, or be closed in the driver's way. Nothing is pushed or signalled any more. Does nothing with null.
void release_bulk_write(BulkWrite* write) noexcept;

struct ReleaseBulkWrite {
  void operator()(BulkWrite* write) const noexcept { release_bulk_write(write); }
};
using BulkWriteHandle = std::unique_ptr<BulkWrite, ReleaseBulkWrite>;

/// How long the last try took.
inline double seconds_in_flight(const BulkWrite::Slot& slot) noexcept {
  return std::chrono::duration<double>(slot.answered - slot.sent).count();
}

}  // namespace acsylla_like
