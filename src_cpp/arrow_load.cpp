#include "arrow_load.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

namespace acsylla_like {

namespace {

constexpr std::size_t batches_ahead = 2;
constexpr std::size_t max_failures = 10'000;  // that wait to be taken
constexpr std::int64_t rows_between_counts = 256;  // rows that are sent before the counters are brought up to date

constexpr CassBatchType unlogged = 1;
constexpr std::size_t most_rows_grouped = 8192;
constexpr std::size_t most_rows_of_batch = 65'535;  // a [short] counts them (native_protocol_v4.spec, section 4.1.7)

BulkOptions bulk_options(const LoadOptions& options) {
  BulkOptions bulk;
  bulk.concurrency = options.concurrency;
  bulk.retries = options.retries;
  bulk.may_repeat = true;  // an INSERT
  return bulk;
}

}  // namespace

ArrowLoad::ArrowLoad(ArrowArrayStream* stream, std::shared_ptr<CurrentSession> session, const CassPrepared* prepared, LoadOptions options)
    : prepared_(prepared), options_(std::move(options)), write_(new BulkWrite(std::move(session), bulk_options(options_))), stream_(*stream) {
  stream->release = nullptr;  // moved
  reading_.truncate = options_.truncate;
}

ArrowLoad::~ArrowLoad() {
  release_if_held(&stream_);
  for (ArrowArray& batch : batches_) release_if_held(&batch);
}

std::string ArrowLoad::prepare(const ArrowSchema& schema, std::vector<LoadColumn> columns) {
  columns_ = std::move(columns);
  for (const LoadColumn& column : columns_) {
    std::string error;
    if (column.child >= static_cast<std::size_t>(schema.n_children)) return "column '" + column.name + "' is missing from the stream";
    readers_.push_back(make_reader(*schema.children[column.child], column.type, &error));
    if (readers_.back() == nullptr) return "column '" + column.name + "': " + error;
  }
  return {};
}

// ---- reading

void ArrowLoad::read() noexcept {
  while (true) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return is_stopped_ || batches_.size() < batches_ahead; });
      if (is_stopped_) break;
    }
    ArrowArray batch{};
    const int code = stream_.get_next(&stream_, &batch);
    if (code != 0) {
      const char* const text = stream_.get_last_error == nullptr ? nullptr : stream_.get_last_error(&stream_);
      std::lock_guard<std::mutex> lock(mutex_);
      // What came before is written.
      if (stop_reason_.empty()) stop_reason_ = "the stream failed: " + (text == nullptr ? "error " + std::to_string(code) : std::string(text));
      break;
    }
    if (batch.release == nullptr) break;
    std::lock_guard<std::mutex> lock(mutex_);
    batches_.push_back(batch);
    changed_.notify_all();
  }
  release_if_held(&stream_);
  std::lock_guard<std::mutex> lock(mutex_);
  is_at_end_ = true;
  changed_.notify_all();
}

// ---- sending

void ArrowLoad::send() noexcept {
  started_ = Clock::now();
  try {
    send_all();
  } catch (const std::bad_alloc&) {
    stop("out of memory");
  } catch (const std::exception& error) {
    stop(error.what());
  }
  // Whatever came, no callback may outlive this call. What waits for another try is given up.
  fail_all(write_->give_up());
  while (write_->in_flight() != 0) {
    write_->wait(write_->in_flight(), Clock::time_point::max());
    fail_all(write_->take_answers());
  }
  note_settled();
}

void ArrowLoad::send_all() {
  ArrowArray batch{};
  while (next_batch(&batch)) {
    try {
      send_batch(batch);
    } catch (...) {
      release_if_held(&batch);
      throw;
    }
    release_if_held(&batch);
  }
  while (!is_stopped() && write_->unfinished() != 0) {
    write_->wait(write_->in_flight(), write_->next_due());
    collect();
  }
}

/// Waits for the reader; answers are taken meanwhile.
bool ArrowLoad::next_batch(ArrowArray* batch) {
  while (true) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      const auto has_news = [this] { return is_stopped_ || is_at_end_ || !batches_.empty(); };
      // Not for ever while rows are under way: whoever asks for the counters shall see them.
      if (write_->unfinished() == 0) {
        changed_.wait(lock, has_news);
      } else {
        changed_.wait_for(lock, std::chrono::milliseconds(20), has_news);
      }
      if (is_stopped_) return false;
      if (!batches_.empty()) {
        *batch = batches_.front();
        batches_.pop_front();
        changed_.notify_all();
        return true;
      }
      if (is_at_end_) return false;
    }
    collect();
    note_settled();
  }
}

void ArrowLoad::send_batch(const ArrowArray& batch) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::string error;
    if (static_cast<std::size_t>(batch.n_children) <= columns_[i].child) error = "it is missing";
    const ArrowArray* const child = error.empty() ? batch.children[columns_[i].child] : nullptr;
    if (error.empty()) error = readers_[i]->take(child);
    if (error.empty() && readers_[i]->length() < batch.offset + batch.length) error = "it is shorter than its batch";
    if (!error.empty()) return stop("the stream gave a batch that is not of its schema: column '" + columns_[i].name + "': " + error);
  }
  const auto* const validity = batch.null_count != 0 && batch.n_buffers > 0 ? static_cast<const std::uint8_t*>(batch.buffers[0]) : nullptr;
  for (std::int64_t i = 0; i < batch.length; ++i, ++next_row_) {
    if (next_row_ < options_.skip) continue;
    if (const std::int64_t bit = i + batch.offset; validity != nullptr && (validity[bit / 8] >> (bit % 8) & 1) == 0) {
      fail({next_row_, -1, CASS_OK, false, "null instead of a row"});
      if (is_stopped()) return;
      continue;
    }
    if (next_row_ % rows_between_counts == 0) {
      note_settled();
      if (options_.max_rate > 0) keep_pace();
    }
    StatementHandle statement(driver.cass_prepared_bind(prepared_));
    if (options_.batch_bytes != 0) {
      if (is_stopped()) return;
      if (!bind_row(statement.get(), i + batch.offset)) continue;
      if (!add_to_group(i + batch.offset, std::move(statement))) return;
      continue;
    }
    Slot* const slot = free_slot();
    if (slot == nullptr) return;
    if (bind_row(statement.get(), i + batch.offset)) {
      set_options(statement.get());
      slot->statement = std::move(statement);
      slot->row = next_row_;
      write_->submit(slot);
    } else {
      write_->release(slot);
    }
  }
  send_groups();
}

/// Waits while more rows were sent than there should be by now.
void ArrowLoad::keep_pace() {
  const std::chrono::duration<double> due(static_cast<double>(next_row_ - options_.skip) / options_.max_rate);
  const Clock::time_point end = started_ + std::chrono::duration_cast<Clock::duration>(due);
  while (!is_stopped() && Clock::now() < end) {
    write_->wait(write_->in_flight(), std::min(end, write_->next_due()));
    collect();
    note_settled();
  }
}

/// A slot for the next row; waits while the window is full. Null when no further row is to be sent.
ArrowLoad::Slot* ArrowLoad::free_slot() {
  while (!is_stopped()) {
    Slot* const slot = write_->take_slot();
    if (slot != nullptr) return slot;
    // Half a window at a time: a thread that is woken for each answer does little else.
    write_->wait(std::max<std::size_t>(1, write_->in_flight() / 2), write_->next_due());
    collect();
  }
  return nullptr;
}

bool ArrowLoad::bind_row(CassStatement* statement, std::int64_t i) {
  const std::int64_t truncated = reading_.truncated;
  for (std::size_t column = 0; column < readers_.size(); ++column) {
    ArrowReader* const reader = readers_[column].get();
    const bool is_null = reader->is_null(i);
    if (!is_null && reader->bind(statement, column, columns_[column].data_type, i, &scratch_, &reading_)) continue;
    if (!is_null || columns_[column].is_key) {
      reading_.truncated = truncated;  // of rows that are sent
      fail({next_row_, static_cast<std::int64_t>(column), CASS_OK, false, is_null ? "null in a column of the primary key" : reading_.error});
      return false;
    }
    if (options_.writes_nulls) driver.cass_statement_bind_null(statement, column);
  }
  return true;
}

void ArrowLoad::set_options(CassStatement* statement) const {
  driver.cass_statement_set_request_timeout(statement, options_.timeout);
  driver.cass_statement_set_is_idempotent(statement, 1);
  if (options_.consistency >= 0) driver.cass_statement_set_consistency(statement, static_cast<CassConsistency>(options_.consistency));
  if (!options_.execution_profile.empty()) {
    driver.cass_statement_set_execution_profile_n(statement, options_.execution_profile.data(), options_.execution_profile.size());
  }
}

// ---- rows of a partition together

/// False when no further row is to be sent.
bool ArrowLoad::add_to_group(std::int64_t i, StatementHandle statement) {
  std::string key;
  std::size_t bytes = 0;
  for (std::size_t column = 0; column < readers_.size(); ++column) {
    if (readers_[column]->is_null(i)) continue;
    scratch_.clear();
    const std::int64_t truncated = reading_.truncated;
    readers_[column]->encode(i, &scratch_, &reading_);  // it was bound, so it can be
    reading_.truncated = truncated;                     // counted when it was bound
    bytes += scratch_.size() + 4;
    if (!columns_[column].is_partition_key) continue;
    const auto size = static_cast<std::uint32_t>(scratch_.size());
    key.append(reinterpret_cast<const char*>(&size), sizeof size);
    key.append(reinterpret_cast<const char*>(scratch_.data()), scratch_.size());
  }
  Group& group = groups_[key];
  if (!group.rows.empty() && (group.bytes + bytes > options_.batch_bytes || group.rows.size() == most_rows_of_batch) && !send_group(&group)) return false;
  if (group.batch == nullptr) group.batch.reset(driver.cass_batch_new(unlogged));
  driver.cass_batch_add_statement(group.batch.get(), statement.get());
  group.rows.push_back(next_row_);
  group.bytes += bytes;
  if (grouped_++ == 0) first_grouped_ = next_row_;
  return grouped_ < most_rows_grouped || send_groups();
}

bool ArrowLoad::send_group(Group* group) {
  if (group->rows.empty()) return true;
  Slot* const slot = free_slot();
  if (slot == nullptr) return false;
  CassBatch* const batch = group->batch.get();
  driver.cass_batch_set_request_timeout(batch, options_.timeout);
  driver.cass_batch_set_is_idempotent(batch, 1);
  if (options_.consistency >= 0) driver.cass_batch_set_consistency(batch, static_cast<CassConsistency>(options_.consistency));
  if (!options_.execution_profile.empty()) {
    driver.cass_batch_set_execution_profile_n(batch, options_.execution_profile.data(), options_.execution_profile.size());
  }
  slot->batch = std::move(group->batch);
  slot->row = group->rows.front();
  slot->other_rows.assign(group->rows.begin() + 1, group->rows.end());
  grouped_ -= group->rows.size();
  group->rows.clear();
  group->bytes = 0;
  write_->submit(slot);
  return true;
}

bool ArrowLoad::send_groups() {
  for (auto& entry : groups_) {
    if (!send_group(&entry.second)) return false;
  }
  groups_.clear();
  return true;
}

// ---- answers

void ArrowLoad::collect() {
  fail_all(write_->take_answers());
  write_->send_due();
}

void ArrowLoad::fail_all(Slot* failed) {
  while (failed != nullptr) {
    Slot* const next = failed->next;
    const char* text = nullptr;
    std::size_t size = 0;
    driver.cass_future_error_message(failed->future.get(), &text, &size);
    const std::string message(text == nullptr ? "" : text, size);
    fail({failed->row, -1, failed->code, may_be_applied(failed->code, true), message});
    for (const std::int64_t row : failed->other_rows) fail({row, -1, failed->code, may_be_applied(failed->code, true), message});
    write_->release(failed);
    failed = next;
  }
}

void ArrowLoad::fail(LoadFailure failure) {
  std::unique_lock<std::mutex> lock(mutex_);
  ++counters_.failed;
  failures_.push_back(std::move(failure));
  if (options_.stops && !is_stopped_) {
    is_stopped_ = true;
    changed_.notify_all();
  }
  // In flight is bounded, so is what is added after a stop.
  changed_.wait(lock, [this] { return is_stopped_ || failures_.size() < max_failures; });
}

/// Brings the counters up to date.
void ArrowLoad::note_settled() {
  const std::int64_t settled = write_->first_unsettled(grouped_ != 0 ? first_grouped_ : next_row_);
  std::lock_guard<std::mutex> lock(mutex_);
  counters_.settled = settled;
  counters_.in_flight = static_cast<std::int64_t>(write_->unfinished());
  counters_.truncated = reading_.truncated;
  counters_.rows = write_->written();
  counters_.retries = write_->retried();
  const Clock::time_point now = Clock::now();
  if (now < latencies_due_ && write_->unfinished() != 0) return;
  latencies_due_ = now + std::chrono::milliseconds(100);
  counters_.latencies = write_->latencies().summary();
}

// ---- any thread

void ArrowLoad::stop(const std::string& reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (is_stopped_) return;
    is_stopped_ = true;
    if (stop_reason_.empty()) stop_reason_ = reason;
    changed_.notify_all();
  }
  write_->interrupt();
}

LoadCounters ArrowLoad::counters() const {
  std::lock_guard<std::mutex> lock(mutex_);
  LoadCounters counters = counters_;
  // A row whose failure nobody has taken is not settled for them.
  for (const LoadFailure& failure : failures_) counters.settled = std::min(counters.settled, failure.row);
  return counters;
}

std::vector<LoadFailure> ArrowLoad::take_failures() {
  std::lock_guard<std::mutex> lock(mutex_);
  changed_.notify_all();
  return std::exchange(failures_, {});
}

std::string ArrowLoad::stopped() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stop_reason_;
}

}  // namespace acsylla_like
