#include "session_owner.hpp"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "session_watch.hpp"

namespace acsylla_like {

namespace {

struct Dropped {
  CassSession* session;
  FutureHandle transition;
};

/// All of it is guarded by `mutex`.
struct Registry {
  std::mutex mutex;
  std::condition_variable all_freed;
  SessionOwner* live = nullptr;
  std::list<Dropped> dropped;
  unsigned being_freed = 0;
};

std::atomic<unsigned> generation{0};

/// Never destroyed: the freeing thread may outlive the static objects.
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

void after_fork_in_child() {
  generation.fetch_add(1, std::memory_order_relaxed);
  // The parent's lock may have been held and its thread is gone; what the list held belongs to the parent.
  new (&registry()) Registry;
}

/// What each thread runs; there is one for each dropped session, so that none waits for another that does not end.
void free_dropped_sessions() {
  Registry& all = registry();
  std::unique_lock<std::mutex> lock(all.mutex);
  while (!all.dropped.empty()) {
    std::list<Dropped> taken;  // moved from list to list, which takes no memory that could be lacking
    taken.splice(taken.begin(), all.dropped, all.dropped.begin());
    Dropped& next = taken.front();
    lock.unlock();
    if (next.transition != nullptr) {
      // Freeing a session while it connects never returns, while it closes it crashes.
      constexpr std::uint64_t one_second = 1000000;  // microseconds
      while (driver.cass_future_wait_timed(next.transition.get(), one_second) == 0) {
      }
      next.transition.reset();
    }
    driver.cass_session_free(next.session);
    lock.lock();
    if (--all.being_freed == 0) all.all_freed.notify_all();
  }
}

}  // namespace

unsigned fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

bool SessionOwner::create() {
  static const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
  (void)registered;
  if (session_ != nullptr) return false;
  session_ = driver.cass_session_new();
  if (session_ == nullptr) return false;
  current_ = std::make_shared<CurrentSession>();
  current_->session = session_;
  fork_generation_ = fork_generation();
  Registry& all = registry();
  std::lock_guard<std::mutex> lock(all.mutex);
  following_ = all.live;
  if (following_ != nullptr) following_->previous_ = this;
  all.live = this;
  return true;
}

bool SessionOwner::wait_for_transition(std::uint64_t microseconds) const noexcept {
  return driver.cass_future_wait_timed(transition_.get(), microseconds) != 0;
}

bool SessionOwner::is_of_this_process() const noexcept { return fork_generation_ == fork_generation(); }

void SessionOwner::exchange(SessionOwner& other) noexcept {
  Registry& all = registry();
  std::lock_guard<std::mutex> lock(all.mutex);
  std::lock_guard<std::mutex> current(current_->mutex);
  std::swap(session_, other.session_);
  std::swap(transition_, other.transition_);
  current_->session = session_;
}

CassFuture* SessionOwner::close() noexcept {
  FutureHandle closing = unwatch_ports(session_);  // which may have begun it
  if (closing == nullptr) closing.reset(driver.cass_session_close(session_));
  transition_ = std::move(closing);
  return transition_.get();
}

void SessionOwner::reset() noexcept {
  if (session_ == nullptr) return;
  CassSession* session = session_;
  session_ = nullptr;
  if (!is_of_this_process()) {
    (void)transition_.release();  // a copy of the parent's: left alone
    return;
  }
  FutureHandle closing = unwatch_ports(session);
  if (closing != nullptr) transition_ = std::move(closing);
  Registry& all = registry();
  std::lock_guard<std::mutex> lock(all.mutex);
  if (previous_ != nullptr) previous_->following_ = following_;
  if (following_ != nullptr) following_->previous_ = previous_;
  if (all.live == this) all.live = following_;
  previous_ = following_ = nullptr;
  try {
    all.dropped.push_back(Dropped{session, std::move(transition_)});
    ++all.being_freed;
    std::thread(free_dropped_sessions).detach();
  } catch (const std::bad_alloc&) {  // leaked: better than blocking the caller
  } catch (const std::system_error&) {  // no thread to be had now: that of the next drop takes it
  }
}

void drop_all_sessions() noexcept {
  Registry& all = registry();
  for (;;) {
    SessionOwner* owner;
    {
      std::lock_guard<std::mutex> lock(all.mutex);
      owner = all.live;
    }
    if (owner == nullptr) return;
    owner->reset();
  }
}

bool wait_until_freed(unsigned milliseconds) noexcept {
  Registry& all = registry();
  std::unique_lock<std::mutex> lock(all.mutex);
  return all.all_freed.wait_for(lock, std::chrono::milliseconds(milliseconds), [&all] { return all.being_freed == 0; });
}

unsigned sessions_being_freed() noexcept {
  Registry& all = registry();
  std::lock_guard<std::mutex> lock(all.mutex);
  return all.being_freed;
}

}  // namespace acsylla_like
