#include "bulk_write.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace acsylla_like {

namespace {

constexpr std::size_t least_window = 16;
constexpr std::chrono::milliseconds crowded_pause{5}, failed_pause{50};
constexpr unsigned most_doublings = 6;  // of a pause
constexpr unsigned timed_one_in = 8;    // rows

constexpr CassError queue_full = error_code::LIB_REQUEST_QUEUE_FULL, no_hosts = error_code::LIB_NO_HOSTS_AVAILABLE,
                    overloaded = error_code::SERVER_OVERLOADED;

}  // namespace

// ---- latencies

void Latencies::add(std::chrono::steady_clock::duration time) noexcept {
  const auto microseconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(time).count()));
  unsigned power = 0;
  while (power + 1 < powers && microseconds >> power >= 2 * steps) ++power;
  // The first power has the numbers below 32 as they are, each further one 16 steps of twice the width.
  const std::uint64_t step = std::min<std::uint64_t>(microseconds >> power, 2 * steps - 1);
  ++counts_[std::min<std::size_t>(power * steps + step, counts_.size() - 1)];
  ++total_;
}

double Latencies::quantile(double share) const noexcept {
  if (total_ == 0) return 0.0;
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total_))));
  std::uint64_t seen = 0;
  std::size_t i = 0;
  while ((seen += counts_[i]) < wanted) ++i;
  const std::size_t power = i < 2 * steps ? 0 : i / steps - 1;
  const double upper = std::ldexp(static_cast<double>(i - power * steps + 1), static_cast<int>(power));
  return upper * 1e-6;
}

// ---- the sender's

BulkWrite::BulkWrite(std::shared_ptr<CurrentSession> session, const BulkOptions& options)
    : session_(std::move(session)), options_(options), slots_(options.concurrency), window_(options.concurrency) {
  free_.reserve(slots_.size());
  later_.reserve(slots_.size());
  for (Slot& slot : slots_) {
    slot.write = this;
    free_.push_back(&slot);
  }
}

BulkWrite::Slot* BulkWrite::take_slot() {
  if (!has_room()) return nullptr;
  Slot* const slot = free_.back();
  free_.pop_back();
  slot->tries = 0;
  slot->first_sent = {};
  return slot;
}

void BulkWrite::submit(Slot* slot) {
  ++in_flight_;
  slot->is_timed = rows_until_timed_ == 0;
  if (slot->is_timed) {
    rows_until_timed_ = timed_one_in;
    last_sent_ = Clock::now();
  }
  --rows_until_timed_;
  slot->sent = last_sent_;
  if (slot->first_sent == Clock::time_point{}) slot->first_sent = last_sent_;
  {
    std::lock_guard<std::mutex> lock(session_->mutex);
    CassSession* const session = session_->session;
    slot->future.reset(slot->batch != nullptr ? driver.cass_session_execute_batch(session, slot->batch.get())
                                              : driver.cass_session_execute(session, slot->statement.get()));
  }
  driver.cass_future_set_callback(slot->future.get(), on_set, slot);
}

void BulkWrite::release(Slot* slot) {
  slot->row = -1;
  slot->future.reset();
  slot->statement.reset();
  slot->batch.reset();
  slot->other_rows.clear();
  free_.push_back(slot);
}

/// On the driver's thread, or at once on the sender's.
void BulkWrite::on_set(CassFuture*, void* data) noexcept {
  auto* const slot = static_cast<Slot*>(data);
  BulkWrite* const write = slot->write;
  if (slot->is_timed) slot->answered = Clock::now();
  bool is_last_orphan = false;
  {
    // Whoever waits is told under the lock: afterwards nothing here is touched, so that the sender may end.
    std::lock_guard<std::mutex> lock(write->mutex_);
    slot->next = write->completed_;
    write->completed_ = slot;
    ++write->completed_count_;
    if (write->orphans_ != 0) {
      is_last_orphan = --write->orphans_ == 0;
    } else if (write->wake_at_ != 0 && write->completed_count_ >= write->wake_at_) {
      write->wake_at_ = 0;
      if (write->ticket_ != nullptr) {
        write->push_ticket();
      } else {
        write->changed_.notify_all();
      }
    }
  }
  if (is_last_orphan) delete write;
}

BulkWrite::Slot* BulkWrite::take_answers(std::size_t most) {
  rows_until_timed_ = 0;  // there may have been a wait since the clock was looked at
  if (left_ == nullptr) {
    std::lock_guard<std::mutex> lock(mutex_);
    left_ = std::exchange(completed_, nullptr);
    left_count_ = std::exchange(completed_count_, 0);
  }
  Slot* failed = nullptr;
  for (; left_ != nullptr && most != 0; --most) {
    Slot* const slot = left_;
    left_ = slot->next;
    --left_count_;
    const CassError code = driver.cass_future_error_code(slot->future.get());
    --in_flight_;
    note_pace(code);
    if (code == CASS_OK) {
      if (slot->is_timed) latencies_.add(slot->answered - slot->first_sent);
      written_ += static_cast<std::int64_t>(1 + slot->other_rows.size());
      release(slot);
    } else {
      slot->code = code;
      if (!slot->is_timed) slot->answered = Clock::now();
      ++slot->tries;
      if (is_to_be_repeated(*slot)) {
        const bool is_crowded = code == overloaded || code == queue_full;
        slot->due = Clock::now() + (is_crowded ? crowded_pause : failed_pause) * (1 << std::min(slot->tries - 1, most_doublings));
        if (code == queue_full) --slot->tries;  // no fault of the row: it was not even sent
        later_.push_back(slot);
        ++retried_;
      } else {
        slot->next = failed;
        failed = slot;
      }
    }
  }
  return failed;
}

bool BulkWrite::is_to_be_repeated(const Slot& slot) const noexcept {
  if (retries_are_off_) return false;
  if (slot.code == queue_full) return true;
  if (slot.tries > options_.retries) return false;
  if (slot.code == no_hosts) return !options_.gives_back;
  if (slot.code == overloaded) return options_.repeats_overloaded;
  return is_transient(slot.code) && (was_refused(slot.code) || options_.may_repeat);
}

/// Additive increase, multiplicative decrease: once for all that was in flight when it was decreased.
void BulkWrite::note_pace(CassError code) noexcept {
  const bool is_of_the_old_window = sent_before_decrease_ != 0;
  if (is_of_the_old_window) --sent_before_decrease_;
  if (code == overloaded || code == queue_full) {
    if (is_of_the_old_window) return;
    window_ = std::max(std::min(least_window, options_.concurrency), window_ / 2);
    sent_before_decrease_ = in_flight_;
    answers_since_change_ = 0;
  } else if (code == CASS_OK && window_ < options_.concurrency && ++answers_since_change_ > window_ / 8) {
    ++window_;
    answers_since_change_ = 0;
  }
}

void BulkWrite::send_due() {
  if (later_.empty()) return;
  const Clock::time_point now = Clock::now();
  for (std::size_t i = 0; i < later_.size() && in_flight_ < window_;) {
    if (later_[i]->due > now) {
      ++i;
      continue;
    }
    Slot* const slot = later_[i];
    later_[i] = later_.back();
    later_.pop_back();
    submit(slot);
  }
}

BulkWrite::Clock::time_point BulkWrite::next_due() const noexcept {
  Clock::time_point due = Clock::time_point::max();
  for (const Slot* slot : later_) due = std::min(due, slot->due);
  return due;
}

double BulkWrite::seconds_to_next_due() const noexcept {
  if (later_.empty()) return std::numeric_limits<double>::infinity();
  return std::max(0.0, std::chrono::duration<double>(next_due() - Clock::now()).count());
}

BulkWrite::Slot* BulkWrite::give_up() {
  retries_are_off_ = true;
  Slot* failed = nullptr;
  for (Slot* slot : later_) {
    slot->next = failed;
    failed = slot;
  }
  later_.clear();
  return failed;
}

void BulkWrite::wait(std::size_t answers, Clock::time_point end) {
  std::unique_lock<std::mutex> lock(mutex_);
  const std::size_t wanted = wake_at_ = std::min(answers, in_flight_);
  const auto is_over = [this, wanted] { return was_interrupted_ || (wanted != 0 && completed_count_ >= wanted); };
  if (end != Clock::time_point::max()) {
    changed_.wait_until(lock, end, is_over);
  } else if (wanted != 0) {
    changed_.wait(lock, is_over);
  }
  wake_at_ = 0;
  was_interrupted_ = false;
}

void BulkWrite::notify_when(std::size_t answers, Ticket* ticket) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ticket_ == nullptr) ticket_ = ticket;
  if (ticket_ == nullptr) return;  // it is on its way already
  wake_at_ = std::min(answers, in_flight_);
  if (was_interrupted_ || (answers != 0 && completed_count_ >= wake_at_)) {
    was_interrupted_ = false;
    push_ticket();
  }
}

/// Under the lock.
void BulkWrite::push_ticket() noexcept {
  wake_at_ = 0;
  Ticket* const ticket = std::exchange(ticket_, nullptr);
  ticket->mailbox->push(ticket);
}

void BulkWrite::interrupt() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ticket_ != nullptr) return push_ticket();
  was_interrupted_ = true;
  changed_.notify_all();
}

std::int64_t BulkWrite::first_unsettled(std::int64_t next) const noexcept {
  for (const Slot& slot : slots_) {
    if (slot.row >= 0) next = std::min(next, slot.row);
  }
  return next;
}

void release_bulk_write(BulkWrite* write) noexcept {
  if (write == nullptr) return;
  {
    std::lock_guard<std::mutex> lock(write->mutex_);
    if (write->ticket_ != nullptr) write->push_ticket();
    write->orphans_ = write->in_flight_ - write->left_count_ - write->completed_count_;
    if (write->orphans_ != 0) return;
  }
  delete write;
}

}  // namespace acsylla_like
