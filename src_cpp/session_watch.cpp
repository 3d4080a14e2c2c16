#include "session_watch.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace acsylla_like {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Between two looks at a session's connections. A lost one is not attempted again before the policy's base delay.
constexpr milliseconds look_every{100};
/// How much earlier than the last port a session is closed.
constexpr std::int64_t safety = 300;

struct Watched {
  std::uint64_t number;
  CassSession* session;
  PortSupply supply;
  unsigned used = 1;                      // attempts of each connection, when all of them are there
  std::vector<Clock::time_point> lost{};  // since then, when some were missing
  std::uint64_t connections = 0;          // at the last look
  bool was_told = false;
  FutureHandle closing{};

  unsigned attempts(Clock::time_point until) const noexcept {
    unsigned sum = used;
    for (const Clock::time_point& since : lost) {
      sum += reconnect_attempts(supply, std::chrono::duration_cast<milliseconds>(until - since).count());
    }
    return sum;
  }
};

struct Watch {
  std::mutex mutex;  // guards what follows
  std::condition_variable happened;
  std::deque<SessionEvent> events{};
  bool was_interrupted = false;
  std::vector<Watched> watched{};
  bool has_thread = false;
};

/// Never destroyed: the driver's threads may tell of hosts while the process exits.
Watch& watch() noexcept {
  static Watch* const instance = new Watch;
  return *instance;
}

void after_fork_in_child() {
  // The parent's lock may have been held and its threads are gone; its sessions are not this process's.
  new (&watch()) Watch;
}

Watch& watch_of_this_process() noexcept {
  static const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
  (void)registered;
  return watch();
}

/// Under the lock.
void push(Watch& all, const SessionEvent& event) noexcept {
  try {
    all.events.push_back(event);
  } catch (const std::bad_alloc&) {  // the next event of the host, or the next look, tells again
  }
  all.happened.notify_all();
}

extern "C" void on_host_event(std::uint32_t event, CassInet address, void* data) {
  Watch& all = watch();
  std::lock_guard<std::mutex> lock(all.mutex);
  push(all, {reinterpret_cast<std::uint64_t>(data), static_cast<SessionEventKind>(event), address});
}

/// Under the lock.
void look(Watch& all, Watched& one, Clock::time_point now) noexcept {
  CassMetrics metrics;
  driver.cass_session_get_metrics(one.session, &metrics);
  const std::uint64_t connections = metrics.stats.total_connections;
  if (connections < one.connections) {
    try {
      one.lost.push_back(now - look_every);
    } catch (const std::bad_alloc&) {
      ++one.used;
    }
  }
  one.connections = connections;
  if (connections >= one.supply.connections) {
    one.used = one.attempts(now);
    one.lost.clear();
  }
  if (!one.was_told && one.attempts(now + milliseconds(one.supply.base_delay)) >= one.supply.tries) {
    one.was_told = true;
    push(all, {one.number, SessionEventKind::ports_low, {}});
  }
  if (one.closing == nullptr && one.attempts(now + milliseconds(safety)) > one.supply.tries) {
    one.closing.reset(driver.cass_session_close(one.session));
    push(all, {one.number, SessionEventKind::ports_gone, {}});
  }
}

void look_after_ports() {
  Watch& all = watch();
  std::unique_lock<std::mutex> lock(all.mutex);
  while (!all.watched.empty()) {
    const Clock::time_point now = Clock::now();
    for (Watched& one : all.watched) look(all, one, now);
    lock.unlock();
    std::this_thread::sleep_for(look_every);
    lock.lock();
  }
  all.has_thread = false;
}

}  // namespace

CassError note_host_events(CassCluster* cluster, std::uint64_t session) noexcept {
  watch_of_this_process();
  return driver.cass_cluster_set_host_listener_callback(cluster, on_host_event, reinterpret_cast<void*>(session));
}

bool wait_for_session_event(SessionEvent* event, std::int64_t wait) noexcept {
  Watch& all = watch_of_this_process();
  std::unique_lock<std::mutex> lock(all.mutex);
  const auto is_over = [&all] { return !all.events.empty() || all.was_interrupted; };
  if (wait < 0) {
    all.happened.wait(lock, is_over);
  } else {
    all.happened.wait_for(lock, milliseconds(wait), is_over);
  }
  all.was_interrupted = false;
  if (all.events.empty()) return false;
  *event = all.events.front();
  all.events.pop_front();
  return true;
}

void interrupt_session_events() noexcept {
  Watch& all = watch_of_this_process();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.was_interrupted = true;
  all.happened.notify_all();
}

void watch_ports(std::uint64_t number, CassSession* session, const PortSupply& supply) {
  Watch& all = watch_of_this_process();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.watched.push_back(Watched{number, session, supply});
  Watched& one = all.watched.back();
  one.lost.push_back(Clock::now());  // until all connections were there
  if (!all.has_thread) {
    try {
      std::thread(look_after_ports).detach();
      all.has_thread = true;
    } catch (const std::system_error&) {
      all.watched.pop_back();
      throw;
    }
  }
}

FutureHandle unwatch_ports(CassSession* session) noexcept {
  Watch& all = watch_of_this_process();
  std::lock_guard<std::mutex> lock(all.mutex);
  for (auto one = all.watched.begin(); one != all.watched.end(); ++one) {
    if (one->session != session) continue;
    FutureHandle closing = std::move(one->closing);
    all.watched.erase(one);
    return closing;
  }
  return nullptr;
}

unsigned reconnect_attempts(const PortSupply& supply, std::int64_t elapsed) noexcept {
  unsigned attempts = 0;
  for (std::int64_t delay = std::max(1u, supply.base_delay); elapsed >= delay && attempts < supply.tries + 1; ++attempts) {
    elapsed -= delay;
    delay = std::min<std::int64_t>(2 * delay, std::max(supply.base_delay, supply.max_delay));
  }
  return attempts;
}

}  // namespace acsylla_like
