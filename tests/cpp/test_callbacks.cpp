#include "callbacks.hpp"

#include <cstring>
#include <memory>

#include "check.hpp"

using namespace acsylla_like;

namespace {

/// The driver's future, as far as a callback sees one.
struct FakeFuture {
  CassFutureCallback callback = nullptr;
  void* data = nullptr;
  bool is_set = false;

  void set() {
    is_set = true;
    if (callback != nullptr) callback(as_driver(), data);
  }
  CassFuture* as_driver() { return reinterpret_cast<CassFuture*>(this); }
};

void use_fake_futures() {
  driver.cass_future_set_callback = [](CassFuture* future, CassFutureCallback callback, void* data) -> CassError {
    FakeFuture* fake = reinterpret_cast<FakeFuture*>(future);
    if (fake->callback != nullptr) return 1;  // the driver takes one
    fake->callback = callback;
    fake->data = data;
    if (fake->is_set) callback(future, data);
    return CASS_OK;
  };
}

CassLogCallback log_callback = nullptr;
CassLogLevel log_level = 0;

void use_fake_log() {
  driver.cass_log_set_callback = [](CassLogCallback callback, void*) { log_callback = callback; };
  driver.cass_log_set_level = [](CassLogLevel level) { log_level = level; };
}

void say(const char* text) {
  CassLogMessage message{};
  message.severity = 4;
  message.file = message.function = "";
  std::strncpy(message.message, text, sizeof message.message - 1);
  log_callback(&message, nullptr);
}

std::size_t take_lines() {
  std::size_t count = 0;
  for (LogLine* line = log_lines().take_all(); line != nullptr; ++count) {
    LogLine* const following = line->next;
    delete line;
    line = following;
  }
  return count;
}

}  // namespace

CASE(a_ticket_is_pushed_when_its_future_is_set) {
  use_fake_futures();
  Mailbox<Ticket> mailbox;
  Ticket ticket;
  ticket.mailbox = &mailbox;
  FakeFuture future;
  CHECK(notify_when_set(future.as_driver(), &ticket) == CASS_OK);
  CHECK(mailbox.take_all() == nullptr);
  future.set();
  CHECK(mailbox.take_all() == &ticket);
}

CASE(a_future_that_is_set_already_pushes_at_once) {
  use_fake_futures();
  Mailbox<Ticket> mailbox;
  Ticket ticket;
  ticket.mailbox = &mailbox;
  FakeFuture future;
  future.set();
  CHECK(notify_when_set(future.as_driver(), &ticket) == CASS_OK);
  CHECK(mailbox.take_all() == &ticket);
}

CASE(the_drivers_refusal_is_returned) {
  use_fake_futures();
  Mailbox<Ticket> mailbox;
  Ticket ticket;
  ticket.mailbox = &mailbox;
  FakeFuture future;
  CHECK(notify_when_set(future.as_driver(), &ticket) == CASS_OK);
  CHECK(notify_when_set(future.as_driver(), &ticket) != CASS_OK);
}

CASE(a_request_may_be_freed_as_soon_as_its_ticket_was_taken) {
  use_fake_futures();
  for (int round = 0; round < 2000; ++round) {
    auto wakeup = std::make_unique<Wakeup>();
    CHECK(wakeup->open(false));
    auto mailbox = std::make_unique<Mailbox<Ticket>>();
    mailbox->set_wakeup(wakeup.get());
    struct Request {
      Ticket ticket;
    };
    auto request = std::make_unique<Request>();
    request->ticket.mailbox = mailbox.get();
    request->ticket.owner = request.get();
    FakeFuture future;
    CHECK(notify_when_set(future.as_driver(), &request->ticket) == CASS_OK);
    std::thread io([&] { future.set(); });
    Ticket* taken = nullptr;
    while (taken == nullptr) taken = mailbox->take_all();
    CHECK(taken->owner == request.get());
    request.reset();
    mailbox.reset();
    wakeup.reset();
    io.join();
  }
}

CASE(log_lines_wait_in_order_for_whoever_takes_them) {
  use_fake_log();
  start_logging(4);
  CHECK(log_level == 4);
  Wakeup wakeup;
  CHECK(wakeup.open(false));
  say("one");
  log_lines().set_wakeup(&wakeup);
  say("two");
  LogLine* line = log_lines().take_all();
  CHECK(std::strcmp(line->message.message, "one") == 0);
  CHECK(std::strcmp(line->next->message.message, "two") == 0);
  delete line->next;
  delete line;
  log_lines().set_wakeup(nullptr);
}

CASE(log_lines_that_nobody_takes_are_bounded_and_counted) {
  use_fake_log();
  start_logging(4);
  take_lines();
  take_dropped_log_lines();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 4000; ++n) say("line");
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::size_t kept = take_lines();
  // The bound is looked at before the push, so each thread may add one.
  CHECK(kept >= max_log_lines && kept < max_log_lines + threads.size());
  CHECK(take_dropped_log_lines() == 16000 - kept);
  CHECK(take_dropped_log_lines() == 0);
}

CASE(a_forked_child_forgets_the_parents_lines_and_lock) {
  use_fake_log();
  start_logging(4);
  take_lines();
  say("the parent's");
  LogLine* const parents = log_lines().take_all();
  log_lines().give_back(parents);
  forget_inherited_log_lines();
  CHECK(log_lines().take_all() == nullptr);
  say("the child's");
  CHECK(take_lines() == 1);
  delete parents;
}
