/// Ownership of sessions: closing one blocks, a fork loses its threads, and the process must not exit under it.
#pragma once

#include <memory>
#include <mutex>

#include "handles.hpp"

namespace acsylla_like {

/// The session that requests go to, for those who send without the GIL: it may be replaced by another while they do.
struct CurrentSession {
  std::mutex mutex;  // guards `session`, until the driver has taken a request for it
  CassSession* session = nullptr;
};

/// Owns a session. cass_session_free blocks until the session is closed, for ever while it connects, and for ever in a
/// forked child; while the session closes, it deletes it under its I/O threads (2.16.2: the close of its own fails at once). So a
/// dropped session is freed by a thread of ours, after its connect or close has ended, and only by its process.
class SessionOwner {
 public:
  SessionOwner() = default;
  ~SessionOwner() { reset(); }
  SessionOwner(const SessionOwner&) = delete;
  SessionOwner& operator=(const SessionOwner&) = delete;

  /// Makes the session, once. Returns false when the driver cannot.
  bool create();
  CassSession* get() const noexcept { return session_; }
  const std::shared_ptr<CurrentSession>& current() const noexcept { return current_; }
  /// Takes the connected session of `other` over and leaves its own there. Call under the GIL.
  void exchange(SessionOwner& other) noexcept;
  /// The future of cass_session_connect: kept until the session is freed or closed, and owned here.
  void set_connecting(CassFuture* connecting) noexcept { transition_.reset(connecting); }
  /// Closes the session (cass_session_close); the future, likewise. Once, and with no request in flight: where no connection is left either,
  /// the driver crashes over what is still in its queue (2.16.2, RequestProcessor::on_async).
  CassFuture* close() noexcept;
  /// The one of both that was given last; null before.
  CassFuture* transition() const noexcept { return transition_.get(); }
  /// Waits until that future is set, at most so many microseconds; returns whether it is.
  bool wait_for_transition(std::uint64_t microseconds) const noexcept;
  /// Whether set_connecting() was called: a session connects once.
  bool was_connected() const noexcept { return transition_ != nullptr; }
  /// Whether this process made the session; false in a forked child, where nothing of it works.
  bool is_of_this_process() const noexcept;
  /// Hands the session to the freeing thread. Does not block.
  void reset() noexcept;

 private:
  CassSession* session_ = nullptr;
  FutureHandle transition_;
  std::shared_ptr<CurrentSession> current_;
  unsigned fork_generation_ = 0;
  SessionOwner* previous_ = nullptr;  // the list of live sessions
  SessionOwner* following_ = nullptr;
};

/// How many forks lie between this process and the one that loaded the library.
unsigned fork_generation() noexcept;

/// Hands every live session to the freeing thread. Call under the GIL, which keeps their owners alive.
void drop_all_sessions() noexcept;

/// Waits until the freeing thread has nothing left, at most `milliseconds`; returns whether it has not. I/O threads that
/// outlive the driver's static objects at exit would crash the process.
bool wait_until_freed(unsigned milliseconds) noexcept;

/// Sessions handed over and not freed yet.
unsigned sessions_being_freed() noexcept;

}  // namespace acsylla_like
