/// An Arrow stream into a table: rows are bound and sent without the GIL by a thread that does nothing else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "arrow_array.hpp"
#include "arrow_reader.hpp"
#include "bulk_write.hpp"

namespace acsylla_like {

/// A column of the stream and the parameter of the statement that takes it.
struct LoadColumn {
  std::size_t child = 0;                     ///< of the stream's columns
  std::string name{};                        ///< in the table
  ArrowType type{};                          ///< in the table
  bool is_key = false;                       ///< null is a mistake
  bool is_partition_key = false;             ///< rows that share it may share a batch
  const CassDataType* data_type = nullptr;  ///< borrowed from the prepared statement
};

struct LoadOptions {
  std::size_t concurrency = 1024;        ///< requests in flight
  unsigned retries = 0;                  ///< of a row that failed in passing
  bool stops = true;                     ///< at the first row that cannot be written
  bool writes_nulls = false;             ///< null is written, instead of leaving the column alone
  bool truncate = false;                 ///< see ArrowReading
  std::int64_t skip = 0;                 ///< rows at the beginning that are not written
  std::size_t batch_bytes = 0;           ///< rows of a partition are sent together up to so many bytes of values; 0: one by one
  double max_rate = 0;                   ///< rows per second; 0: as many as there can be
  std::uint64_t timeout = 0;             ///< of a request in milliseconds; 0: none
  std::int64_t consistency = -1;         ///< -1: the driver's
  std::string execution_profile{};       ///< empty: none
};

/// A row that was not written, or of which that is not known.
struct LoadFailure {
  std::int64_t row;          ///< of the stream, from 0 on
  std::int64_t column;       ///< the LoadColumn whose value was refused; -1: the row was sent
  CassError code;            ///< the driver's, of a row that was sent
  bool may_be_written;       ///< the row was sent and no answer tells
  std::string message;
};

/// What has been done so far.
struct LoadCounters {
  std::vector<double> latencies = std::vector<double>(4);  ///< Latencies::summary()
  std::int64_t rows = 0;       ///< known to be written
  std::int64_t failed = 0;     ///< told of by take_failures
  std::int64_t retries = 0;
  std::int64_t truncated = 0;  ///< values that were cut
  std::int64_t in_flight = 0;
  std::int64_t settled = 0;    ///< every row before this one is written, has failed or was skipped
};

/// Has two threads of the caller's at work: one in read(), which alone calls the stream, one in send(), which alone calls the
/// driver. Everything else may be called by any thread. Callbacks of the driver's threads end before send() returns.
class ArrowLoad {
 public:
  /// Takes the stream over, whatever happens later; `session` and `prepared` are borrowed while send() runs.
  ArrowLoad(ArrowArrayStream* stream, std::shared_ptr<CurrentSession> session, const CassPrepared* prepared, LoadOptions options);
  ~ArrowLoad();
  ArrowLoad(const ArrowLoad&) = delete;
  ArrowLoad& operator=(const ArrowLoad&) = delete;

  /// Chooses how each column is read; `schema` is the stream's. Returns why one cannot be, or an empty string. Before read()
  /// and send(). May throw std::bad_alloc.
  std::string prepare(const ArrowSchema& schema, std::vector<LoadColumn> columns);

  /// Takes batches from the stream, a few ahead, until its end. May block in the stream. Releases the stream.
  void read() noexcept;

  /// Sends the rows; returns when all of them are answered. The caller sees to it that the session stays until then.
  void send() noexcept;

  /// Has no further row sent, for this reason; send() then waits for the answers that are due and returns.
  void stop(const std::string& reason);

  LoadCounters counters() const;

  /// The failures since the last call. While very many wait to be taken, no row is sent.
  std::vector<LoadFailure> take_failures();

  /// Why it ended before the last row; empty where it did not. After send() has returned.
  std::string stopped() const;

 private:
  using Clock = BulkWrite::Clock;
  using Slot = BulkWrite::Slot;

  /// Rows of a partition that are to be sent together.
  struct Group {
    BatchHandle batch{};
    std::vector<std::int64_t> rows{};
    std::size_t bytes = 0;
  };

  void send_all();
  bool next_batch(ArrowArray* batch);
  void send_batch(const ArrowArray& batch);
  void keep_pace();
  Slot* free_slot();
  bool bind_row(CassStatement* statement, std::int64_t i);
  void set_options(CassStatement* statement) const;
  bool add_to_group(std::int64_t i, StatementHandle statement);
  bool send_group(Group* group);
  bool send_groups();
  void collect();
  void fail_all(Slot* failed);
  void fail(LoadFailure failure);
  void note_settled();
  bool is_stopped() const noexcept { return is_stopped_.load(std::memory_order_relaxed); }

  // The sender's own.
  const CassPrepared* const prepared_;
  const LoadOptions options_;
  BulkWriteHandle write_;
  std::vector<LoadColumn> columns_{};
  std::vector<std::unique_ptr<ArrowReader>> readers_{};
  ArrowReading reading_{};
  Buffer scratch_{};
  std::size_t row_bytes_ = 0;  // of the values of the row that was bound last
  std::unordered_map<std::string, Group> groups_{};  // by their partition keys
  std::size_t grouped_ = 0;                          // rows in groups_
  std::int64_t first_grouped_ = 0;                   // the first of them, or one before it
  std::int64_t next_row_ = 0;
  Clock::time_point started_{};
  Clock::time_point latencies_due_{};

  // The reader's own.
  ArrowArrayStream stream_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<ArrowArray> batches_{};
  bool is_at_end_ = false;
  std::string stop_reason_{};
  std::atomic<bool> is_stopped_{false};  // read without it, too
  std::vector<LoadFailure> failures_{};
  LoadCounters counters_{};
};

}  // namespace acsylla_like
