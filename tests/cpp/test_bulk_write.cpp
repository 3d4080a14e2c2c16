#include "bulk_write.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace acsylla_like;
using std::chrono::milliseconds;

namespace {

constexpr CassError overloaded = 2u << 24 | 0x1001, queue_full = 1u << 24 | 7, no_hosts = 1u << 24 | 10, invalid = 2u << 24 | 0x2200,
                    write_timeout = 2u << 24 | 0x1100;

/// A request to the server below, as the driver's future.
struct FakeFuture {
  std::mutex mutex;
  CassFutureCallback callback = nullptr;
  void* data = nullptr;
  CassError code = CASS_OK;
  bool is_set = false;
  int references = 2;  // the client's and the server's

  CassFuture* as_driver() { return reinterpret_cast<CassFuture*>(this); }
  static FakeFuture* of(CassFuture* future) { return reinterpret_cast<FakeFuture*>(future); }

  void set(CassError outcome) {
    CassFutureCallback function = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex);
      code = outcome;
      is_set = true;
      function = callback;
    }
    if (function != nullptr) function(as_driver(), data);
    release();
  }
  void release() {
    bool is_last = false;
    {
      std::lock_guard<std::mutex> lock(mutex);
      is_last = --references == 0;
    }
    if (is_last) delete this;
  }
};

/// Answers what it is sent, on threads of its own or when it is told to.
class Server {
 public:
  explicit Server(unsigned threads = 0, std::function<CassError()> outcome = [] { return CASS_OK; }) : outcome_(std::move(outcome)) {
    current = this;
    driver.cass_session_execute = [](CassSession*, const CassStatement*) -> CassFuture* { return current->take(); };
    driver.cass_future_set_callback = [](CassFuture* future, CassFutureCallback callback, void* data) -> CassError {
      FakeFuture* const fake = FakeFuture::of(future);
      bool is_set = false;
      {
        std::lock_guard<std::mutex> lock(fake->mutex);
        fake->callback = callback;
        fake->data = data;
        is_set = fake->is_set;
      }
      if (is_set) callback(future, data);
      return CASS_OK;
    };
    driver.cass_future_error_code = [](CassFuture* future) -> CassError { return FakeFuture::of(future)->code; };
    driver.cass_future_free = [](CassFuture* future) { FakeFuture::of(future)->release(); };
    driver.cass_statement_free = [](CassStatement*) {};
    driver.cass_batch_free = [](CassBatch*) {};
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }

  ~Server() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  /// Answers the oldest request; false when there is none.
  bool answer(CassError code = CASS_OK) {
    FakeFuture* future = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (waiting_.empty()) return false;
      future = waiting_.front();
      waiting_.pop_front();
    }
    future->set(code);
    return true;
  }

 private:
  CassFuture* take() {
    auto* const future = new FakeFuture;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      waiting_.push_back(future);
    }
    changed_.notify_one();
    return future->as_driver();
  }

  void work() {
    while (true) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
      }
      answer(outcome_());
    }
  }

  static Server* current;
  const std::function<CassError()> outcome_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<FakeFuture*> waiting_;
  bool ends_ = false;
  std::vector<std::thread> threads_;
};
Server* Server::current = nullptr;

BulkWriteHandle make(std::size_t concurrency, unsigned retries = 0, bool gives_back = false, bool may_repeat = false) {
  BulkOptions options;
  options.concurrency = concurrency;
  options.retries = retries;
  options.gives_back = gives_back;
  options.may_repeat = may_repeat;
  return BulkWriteHandle(new BulkWrite(std::make_shared<CurrentSession>(), options));
}

void send(BulkWrite& write, std::int64_t row) {
  BulkWrite::Slot* const slot = write.take_slot();
  CHECK(slot != nullptr);
  slot->row = row;
  write.submit(slot);
}

std::size_t release_all(BulkWrite& write, BulkWrite::Slot* slot) {
  std::size_t count = 0;
  for (; slot != nullptr; ++count) {
    BulkWrite::Slot* const next = slot->next;
    write.release(slot);
    slot = next;
  }
  return count;
}

constexpr auto never = BulkWrite::Clock::time_point::max();

}  // namespace

CASE(rows_answered_by_several_threads_are_all_counted) {
  Server server(4);
  const BulkWriteHandle write = make(256);
  std::int64_t next = 0;
  while (next < 100'000) {
    while (next < 100'000 && write->has_room()) send(*write, next++);
    write->wait(write->in_flight() / 2 + 1, never);
    CHECK(write->take_answers() == nullptr);
    CHECK(write->first_unsettled(next) <= next);
  }
  while (write->in_flight() != 0) {
    write->wait(write->in_flight(), never);
    write->take_answers();
  }
  CHECK(write->written() == 100'000);
  CHECK(write->first_unsettled(next) == next);
}

CASE(a_ticket_comes_once_for_each_time_it_is_asked_for) {
  Server server(4);
  const BulkWriteHandle write = make(64);
  Mailbox<Ticket> mailbox;
  Wakeup wakeup;
  CHECK(wakeup.open(false));
  Ticket ticket;
  ticket.mailbox = &mailbox;
  std::int64_t next = 0;
  std::size_t asked = 0;
  while (next < 50'000 || write->in_flight() != 0) {
    while (next < 50'000 && write->has_room()) send(*write, next++);
    write->notify_when(next % 3 == 0 ? 1 : write->in_flight() / 2 + 1, &ticket);
    ++asked;
    while (mailbox.size() == 0) std::this_thread::yield();
    CHECK(mailbox.take_all() == &ticket);
    CHECK(ticket.next == nullptr);
    write->take_answers();
  }
  CHECK(write->written() == 50'000);
  CHECK(asked > 100);
}

CASE(a_ticket_that_nobody_waits_for_any_more_comes_when_it_is_interrupted) {
  Server server;
  const BulkWriteHandle write = make(4);
  Mailbox<Ticket> mailbox;
  Ticket ticket;
  ticket.mailbox = &mailbox;
  send(*write, 0);
  write->notify_when(1, &ticket);
  write->notify_when(0, nullptr);  // answers do not matter any more
  CHECK(server.answer());
  CHECK(mailbox.take_all() == nullptr);
  write->notify_when(1, nullptr);  // they do: there is one
  CHECK(mailbox.take_all() == &ticket);
  write->notify_when(1, nullptr);  // it has come: nothing to change
  write->notify_when(0, &ticket);
  write->interrupt();
  CHECK(mailbox.take_all() == &ticket);
  write->interrupt();  // before the wait
  write->notify_when(0, &ticket);
  CHECK(mailbox.take_all() == &ticket);
  CHECK(write->take_answers() == nullptr);
}

CASE(answers_are_taken_in_portions) {
  Server server;
  BulkWriteHandle write = make(10);
  for (std::int64_t row = 0; row < 10; ++row) send(*write, row);
  for (int i = 0; i < 7; ++i) CHECK(server.answer());
  CHECK(write->take_answers(3) == nullptr);
  CHECK(write->written() == 3);
  CHECK(write->has_left_answers());
  CHECK(write->take_answers() == nullptr);
  CHECK(write->written() == 7);
  CHECK(!write->has_left_answers());
  CHECK(server.answer());
  CHECK(server.answer());
  CHECK(write->take_answers(1) == nullptr);
  CHECK(write->in_flight() == 2);
  write.reset();  // one was left, one is in flight
  CHECK(server.answer());
}

CASE(an_interrupt_ends_a_wait_and_the_next_one_only) {
  Server server;
  const BulkWriteHandle write = make(4);
  send(*write, 0);
  std::thread other([&write] {
    std::this_thread::sleep_for(milliseconds(20));
    write->interrupt();
  });
  write->wait(1, never);
  other.join();
  const auto start = BulkWrite::Clock::now();
  write->wait(1, start + milliseconds(20));
  CHECK(BulkWrite::Clock::now() - start >= milliseconds(20));
  CHECK(server.answer());
  write->wait(1, never);
  CHECK(write->take_answers() == nullptr);
  CHECK(write->written() == 1);
}

CASE(rows_in_flight_outlive_their_owner) {
  for (int round = 0; round < 300; ++round) {
    Server server(3);
    BulkWriteHandle write = make(128);
    Mailbox<Ticket> mailbox;
    Ticket ticket;
    ticket.mailbox = &mailbox;
    for (std::int64_t row = 0; row < 100; ++row) send(*write, row);
    write->notify_when(100, &ticket);
    if (round % 2 == 0) write->take_answers();
    write.reset();
    CHECK(mailbox.take_all() == &ticket);
  }
}

CASE(rows_that_fail_are_given_back_and_their_slots_are_used_again) {
  Server server;
  const BulkWriteHandle write = make(2);
  for (std::int64_t row = 0; row < 10; ++row) {
    send(*write, row);
    CHECK(server.answer(row % 2 == 0 ? invalid : CASS_OK));
    BulkWrite::Slot* const failed = write->take_answers();
    CHECK((failed != nullptr) == (row % 2 == 0));
    if (failed == nullptr) continue;
    CHECK(failed->row == row);
    CHECK(failed->code == invalid);
    CHECK(write->first_unsettled(row + 1) == row);
    write->release(failed);
  }
  CHECK(write->written() == 5);
}

CASE(a_row_that_failed_in_passing_is_sent_again_after_a_pause) {
  Server server;
  const BulkWriteHandle write = make(2, 2);
  send(*write, 7);
  for (int tries = 0; tries < 3; ++tries) {
    CHECK(server.answer(overloaded));
    BulkWrite::Slot* const failed = write->take_answers();
    CHECK((failed != nullptr) == (tries == 2));
    if (failed != nullptr) {
      CHECK(failed->tries == 3);
      write->release(failed);
      break;
    }
    CHECK(write->in_flight() == 0);
    CHECK(write->unfinished() == 1);
    CHECK(write->next_due() > BulkWrite::Clock::now());
    CHECK(write->seconds_to_next_due() > 0);
    write->send_due();
    CHECK(write->in_flight() == 0);  // not yet
    write->wait(1, write->next_due());
    write->send_due();
    CHECK(write->in_flight() == 1);
  }
  CHECK(write->retried() == 2);
  CHECK(write->next_due() == never);
}

CASE(what_may_be_written_is_repeated_only_when_it_may_be) {
  Server server;
  for (const bool may_repeat : {false, true}) {
    const BulkWriteHandle write = make(2, 5, false, may_repeat);
    send(*write, 0);
    CHECK(server.answer(write_timeout));
    CHECK(release_all(*write, write->take_answers()) == (may_repeat ? 0u : 1u));
    CHECK(release_all(*write, write->give_up()) == (may_repeat ? 1u : 0u));
  }
  CHECK(!was_refused(write_timeout));
  CHECK(was_refused(invalid));
}

CASE(a_row_without_a_host_is_its_owners_business_where_that_is_wanted) {
  Server server;
  for (const bool gives_back : {false, true}) {
    const BulkWriteHandle write = make(2, 5, gives_back);
    send(*write, 0);
    CHECK(server.answer(no_hosts));
    CHECK(release_all(*write, write->take_answers()) == (gives_back ? 1u : 0u));
    release_all(*write, write->give_up());
  }
}

CASE(a_full_queue_is_no_try) {
  Server server;
  const BulkWriteHandle write = make(2, 0);
  send(*write, 0);
  for (int i = 0; i < 5; ++i) {
    CHECK(server.answer(queue_full));
    CHECK(write->take_answers() == nullptr);
    write->wait(1, write->next_due());
    write->send_due();
  }
  CHECK(server.answer());
  write->take_answers();
  CHECK(write->written() == 1);
}

CASE(the_window_halves_when_the_server_is_overloaded_and_grows_again_by_steps) {
  Server server;
  const BulkWriteHandle write = make(512, 100);
  std::int64_t next = 0;
  while (write->has_room()) send(*write, next++);
  CHECK(write->in_flight() == 512);
  while (server.answer(overloaded)) {
  }
  CHECK(write->take_answers() == nullptr);
  CHECK(write->window() == 256);  // once, for all that was in flight at a time
  release_all(*write, write->give_up());
  std::size_t before = write->window();
  for (int i = 0; i < 100'000 && write->window() < 512; ++i) {
    send(*write, next++);
    CHECK(server.answer());
    write->take_answers();
    CHECK(write->window() - before <= 1);
    before = write->window();
  }
  CHECK(write->window() == 512);
}

CASE(latencies_are_found_within_a_sixteenth) {
  Latencies latencies;
  CHECK(latencies.quantile(0.5) == 0.0);
  for (int i = 1; i <= 100'000; ++i) latencies.add(std::chrono::microseconds(i));
  for (const double share : {0.01, 0.5, 0.95, 0.99, 1.0}) {
    const double exact = share * 0.1;
    CHECK(latencies.quantile(share) >= exact);
    CHECK(latencies.quantile(share) <= exact * 1.07);
  }
  Latencies edges;
  edges.add(std::chrono::microseconds(-5));
  CHECK(edges.quantile(1.0) == 1e-6);
  edges.add(std::chrono::hours(100'000));
  CHECK(edges.quantile(1.0) > 3600.0);
  CHECK(edges.summary().size() == 4);
}
