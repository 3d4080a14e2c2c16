/// What happens to the hosts of sessions, and how far the local ports of those that choose them reach.
#pragma once

#include <cstdint>

#include "handles.hpp"

namespace acsylla_like {

enum class SessionEventKind {
  host_up = 0,  // the first four are CassHostListenerEvent's values
  host_down = 1,
  host_added = 2,
  host_removed = 3,
  ports_low = 4,   ///< soon used up: a fresh session of the driver's should take over
  ports_gone = 5,  ///< all but used up: the driver's session was told to close
};

struct SessionEvent {
  std::uint64_t session = 0;  ///< its number
  SessionEventKind kind = SessionEventKind::host_up;
  CassInet address{};
};

/// Has the events of the next session that connects with `cluster` noted under the number `session`
/// (cass_cluster_set_host_listener_callback).
CassError note_host_events(CassCluster* cluster, std::uint64_t session) noexcept;

/// Waits for the next event, at most `milliseconds`; returns false when there is none, or after an interrupt.
bool wait_for_session_event(SessionEvent* event, std::int64_t milliseconds) noexcept;
/// Ends that wait, or the next one.
void interrupt_session_events() noexcept;

/// How many local ports a session has, which its shard-aware connections choose (cass_cluster_set_local_port_range). The driver never takes
/// one a second time, not even after a failed attempt, and throws in its event loop, which ends the process, when a shard has none left.
struct PortSupply {
  std::uint64_t connections = 0;  ///< how many the session has when none is missing
  unsigned tries = 0;             ///< how often each of them can be attempted
  unsigned base_delay = 0;        ///< milliseconds before the first attempt to reconnect, doubled each time ...
  unsigned max_delay = 0;         ///< ... up to this
};

/// Looks after the ports of a session from now on, in a thread of its own that needs no GIL: tells in time by ports_low, and closes the
/// session (cass_session_close) when nobody has replaced it by then.
void watch_ports(std::uint64_t number, CassSession* session, const PortSupply& supply);
/// Ends that, before the session is closed or freed. Returns the future of its close when it was told to close already.
FutureHandle unwatch_ports(CassSession* session) noexcept;

/// How many attempts to reconnect a connection can have seen `milliseconds` after it was lost.
unsigned reconnect_attempts(const PortSupply& supply, std::int64_t milliseconds) noexcept;

}  // namespace acsylla_like
