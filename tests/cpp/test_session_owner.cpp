#include "session_owner.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <system_error>

#include "check.hpp"

using namespace acsylla_like;

// What ThreadSanitizer and AddressSanitizer say of a child of a process with threads is of no interest here.
#if defined(__SANITIZE_THREAD__)
constexpr bool can_fork = false;
#else
constexpr bool can_fork = true;
#endif

namespace {

/// A driver whose sessions free at once, but never return while their connect is undecided: as the real one.
struct FakeDriver {
  std::mutex mutex;
  std::condition_variable changed;
  int made = 0;
  int freed = 0;
  int futures_freed = 0;
  bool freed_while_connecting = false;
  std::thread::id freeing_thread;
};

FakeDriver* fake = nullptr;

struct FakeConnecting {
  bool decided = false;
};

struct FakeSession {
  FakeConnecting* connecting = nullptr;
};

CassFuture* as_driver(FakeConnecting* connecting) { return reinterpret_cast<CassFuture*>(connecting); }

std::unique_ptr<FakeDriver> use_fake_driver() {
  auto made = std::make_unique<FakeDriver>();
  fake = made.get();
  driver.cass_session_new = []() -> CassSession* {
    std::lock_guard<std::mutex> lock(fake->mutex);
    ++fake->made;
    return reinterpret_cast<CassSession*>(new FakeSession);
  };
  driver.cass_session_free = [](CassSession* session) {
    FakeSession* const own = reinterpret_cast<FakeSession*>(session);
    std::lock_guard<std::mutex> lock(fake->mutex);
    if (own->connecting != nullptr && !own->connecting->decided) fake->freed_while_connecting = true;
    delete own->connecting;
    delete own;
    ++fake->freed;
    fake->freeing_thread = std::this_thread::get_id();
  };
  driver.cass_future_free = [](CassFuture*) {
    std::lock_guard<std::mutex> lock(fake->mutex);
    ++fake->futures_freed;
  };
  driver.cass_future_wait_timed = [](CassFuture* future, std::uint64_t microseconds) -> CassBool {
    FakeConnecting* const connecting = reinterpret_cast<FakeConnecting*>(future);
    std::unique_lock<std::mutex> lock(fake->mutex);
    return fake->changed.wait_for(lock, std::chrono::microseconds(microseconds), [&] { return connecting->decided; });
  };
  return made;
}

/// Those that exist still, ending ones included; 0 where the system does not say.
std::ptrdiff_t threads_of_this_process() {
  std::error_code none;
  const std::filesystem::directory_iterator threads("/proc/self/task", none);
  return std::distance(begin(threads), end(threads));
}

FakeConnecting* start_connecting(SessionOwner& owner) {
  FakeConnecting* const connecting = new FakeConnecting;
  reinterpret_cast<FakeSession*>(owner.get())->connecting = connecting;
  owner.set_connecting(as_driver(connecting));
  return connecting;
}

void decide(FakeConnecting* connecting) {
  std::lock_guard<std::mutex> lock(fake->mutex);
  connecting->decided = true;
  fake->changed.notify_all();
}

int freed() {
  std::lock_guard<std::mutex> lock(fake->mutex);
  return fake->freed;
}

}  // namespace

CASE(a_dropped_session_is_freed_by_another_thread) {
  auto driver_of_test = use_fake_driver();
  {
    SessionOwner owner;
    CHECK(owner.get() == nullptr);
    CHECK(owner.create());
    CHECK(owner.get() != nullptr && owner.is_of_this_process());
  }
  CHECK(wait_until_freed(10000));
  CHECK(fake->made == 1 && freed() == 1);
  CHECK(fake->freeing_thread != std::this_thread::get_id());
  CHECK(sessions_being_freed() == 0);
}

CASE(a_session_is_made_and_given_back_once) {
  auto driver_of_test = use_fake_driver();
  SessionOwner owner;
  owner.reset();  // of nothing
  CHECK(owner.create());
  CHECK(!owner.create());
  owner.reset();
  owner.reset();
  CHECK(wait_until_freed(10000));
  CHECK(fake->made == 1 && freed() == 1);
}

CASE(a_driver_that_makes_no_session_is_reported) {
  auto driver_of_test = use_fake_driver();
  driver.cass_session_new = []() -> CassSession* { return nullptr; };
  SessionOwner owner;
  CHECK(!owner.create());
  CHECK(owner.get() == nullptr);
}

CASE(a_session_that_connects_is_freed_after_its_connect_was_decided) {
  auto driver_of_test = use_fake_driver();
  FakeConnecting* connecting;
  {
    SessionOwner owner;
    CHECK(owner.create());
    CHECK(!owner.was_connected());
    connecting = start_connecting(owner);
    CHECK(owner.was_connected());
  }  // does not wait
  CHECK(!wait_until_freed(50));
  CHECK(freed() == 0 && sessions_being_freed() == 1);
  decide(connecting);
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 1 && fake->futures_freed == 1 && !fake->freed_while_connecting);
}

CASE(a_session_that_closes_is_freed_after_its_close_has_ended) {
  auto driver_of_test = use_fake_driver();
  FakeConnecting* closing = new FakeConnecting;
  {
    SessionOwner owner;
    CHECK(owner.create());
    FakeConnecting* const connecting = start_connecting(owner);
    decide(connecting);
    reinterpret_cast<FakeSession*>(owner.get())->connecting = closing;
    driver.cass_session_close = [](CassSession* session) {
      return as_driver(reinterpret_cast<FakeSession*>(session)->connecting);
    };
    CHECK(owner.close() == as_driver(closing));
    delete connecting;
  }  // does not wait
  CHECK(!wait_until_freed(50));
  CHECK(freed() == 0 && sessions_being_freed() == 1);
  decide(closing);
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 1 && fake->futures_freed == 2 && !fake->freed_while_connecting);
}

CASE(a_session_that_replaces_another_serves_those_who_send_and_the_other_is_freed) {
  auto driver_of_test = use_fake_driver();
  SessionOwner owner;
  CHECK(owner.create());
  const std::shared_ptr<CurrentSession> sender = owner.current();
  CassSession* const first = owner.get();
  CHECK(sender->session == first);
  {
    SessionOwner fresh;
    CHECK(fresh.create());
    CassSession* const second = fresh.get();
    owner.exchange(fresh);
    CHECK(owner.get() == second && fresh.get() == first && sender->session == second);
  }
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 1);
  owner.reset();
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 2);
}

CASE(a_connect_that_hangs_does_not_hold_the_others_up) {
  auto driver_of_test = use_fake_driver();
  FakeConnecting* connecting;
  {
    SessionOwner hangs;
    CHECK(hangs.create());
    connecting = start_connecting(hangs);
  }
  {
    SessionOwner other, third;
    CHECK(other.create() && third.create());
    decide(start_connecting(third));
  }
  CHECK(check::comes_true([] { return freed() == 2; }));
  CHECK(sessions_being_freed() == 1 && !fake->freed_while_connecting);
  decide(connecting);
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 3);
}

CASE(a_session_that_does_not_end_does_not_hold_the_others_up) {
  auto driver_of_test = use_fake_driver();
  static std::atomic<bool> let_go;
  let_go = false;
  static void (*free_at_once)(CassSession*);
  free_at_once = driver.cass_session_free;
  SessionOwner hangs;
  CHECK(hangs.create());
  static CassSession* held;
  held = hangs.get();
  driver.cass_session_free = [](CassSession* session) {
    if (session == held) check::comes_true([] { return let_go.load(); });
    free_at_once(session);
  };
  hangs.reset();
  {
    SessionOwner other;
    CHECK(other.create());
  }
  CHECK(check::comes_true([] { return freed() == 1; }));
  let_go = true;
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 2);
}

CASE(all_sessions_are_given_back_at_exit) {
  auto driver_of_test = use_fake_driver();
  std::vector<std::unique_ptr<SessionOwner>> owners;
  for (int i = 0; i < 20; ++i) {
    owners.push_back(std::make_unique<SessionOwner>());
    CHECK(owners.back()->create());
  }
  owners.erase(owners.begin() + 5);  // one in the middle, the newest and the oldest go by themselves
  owners.pop_back();
  owners.erase(owners.begin());
  drop_all_sessions();
  for (auto& owner : owners) CHECK(owner->get() == nullptr);
  owners.clear();
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 20);
  drop_all_sessions();
}

CASE(sessions_may_be_dropped_by_many_threads_at_once) {
  auto driver_of_test = use_fake_driver();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 200; ++n) {
        SessionOwner owner;
        CHECK(owner.create());
        decide(start_connecting(owner));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 800 && !fake->freed_while_connecting);
}

CASE(a_forked_child_leaves_the_parents_sessions_alone) {
  if (!can_fork) return;
  // The address sanitizer's allocator does not carry its locks over a fork: a thread that ends meanwhile may hold one.
  CHECK(check::comes_true([] { return threads_of_this_process() <= 1; }));
  auto driver_of_test = use_fake_driver();
  SessionOwner inherited, connects;
  CHECK(inherited.create() && connects.create());
  FakeConnecting* const connecting = start_connecting(connects);
  const unsigned generation = fork_generation();
  const pid_t child = fork();
  if (child == 0) {
    int wrong = 0;
    wrong |= inherited.is_of_this_process() ? 1 : 0;
    wrong |= fork_generation() != generation + 1 ? 2 : 0;
    inherited.reset();
    connects.reset();
    wrong |= inherited.get() != nullptr || sessions_being_freed() != 0 ? 4 : 0;
    SessionOwner own;
    wrong |= own.create() && own.is_of_this_process() ? 0 : 8;
    drop_all_sessions();
    wrong |= wait_until_freed(10000) && fake->freed == 1 && fake->futures_freed == 0 ? 0 : 16;
    _exit(wrong);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(inherited.is_of_this_process() && inherited.get() != nullptr && freed() == 0);
  decide(connecting);
  inherited.reset();
  connects.reset();
  CHECK(wait_until_freed(10000));
  CHECK(freed() == 2);
}
