#include "session_watch.hpp"

#include <arpa/inet.h>

#include <atomic>
#include <cstring>

#include "check.hpp"

using namespace acsylla_like;

namespace {

struct FakeSession {
  std::atomic<std::uint64_t> connections{0};
  std::atomic<int> closes{0};
};

CassHostListenerCallback host_callback = nullptr;
void* host_data = nullptr;

void use_fake_driver() {
  driver.cass_session_get_metrics = [](const CassSession* session, CassMetrics* metrics) {
    std::memset(metrics, 0, sizeof *metrics);
    metrics->stats.total_connections = reinterpret_cast<const FakeSession*>(session)->connections;
  };
  driver.cass_session_close = [](CassSession* session) {
    ++reinterpret_cast<FakeSession*>(session)->closes;
    return reinterpret_cast<CassFuture*>(session);
  };
  driver.cass_future_free = [](CassFuture*) {};
  driver.cass_cluster_set_host_listener_callback = [](CassCluster*, CassHostListenerCallback callback, void* data) -> CassError {
    host_callback = callback;
    host_data = data;
    return CASS_OK;
  };
}

CassSession* as_driver(FakeSession& session) { return reinterpret_cast<CassSession*>(&session); }

/// Four connections that may each be attempted `tries` times, 300 ms after a loss, then 600 ms and so on.
PortSupply supply_of(unsigned tries) {
  PortSupply supply;
  supply.connections = 4;
  supply.tries = tries;
  supply.base_delay = 300;
  supply.max_delay = 100000;
  return supply;
}

bool event_of(SessionEvent* event, SessionEventKind kind, std::int64_t milliseconds) {
  return wait_for_session_event(event, milliseconds) && event->kind == kind;
}

}  // namespace

CASE(what_happens_to_hosts_is_told_under_the_sessions_number) {
  use_fake_driver();
  CHECK(note_host_events(nullptr, 7) == CASS_OK);
  CassInet address{};
  address.address_length = 4;
  CHECK(inet_pton(AF_INET, "10.1.2.3", address.address) == 1);
  host_callback(1, address, host_data);
  SessionEvent event;
  CHECK(event_of(&event, SessionEventKind::host_down, 0));
  CHECK(event.session == 7 && std::memcmp(event.address.address, address.address, 4) == 0);
  CHECK(!wait_for_session_event(&event, 1));
  interrupt_session_events();
  CHECK(!wait_for_session_event(&event, -1));
}

CASE(attempts_are_counted_as_the_policy_makes_them) {
  PortSupply supply = supply_of(100);
  CHECK(reconnect_attempts(supply, 299) == 0);
  CHECK(reconnect_attempts(supply, 300) == 1);
  CHECK(reconnect_attempts(supply, 899) == 1);
  CHECK(reconnect_attempts(supply, 900) == 2);
  CHECK(reconnect_attempts(supply, 2100) == 3);
  supply.max_delay = 300;  // a constant delay
  CHECK(reconnect_attempts(supply, 3000) == 10);
}

CASE(ports_that_are_soon_used_up_are_told_and_a_session_that_nobody_replaces_is_closed) {
  use_fake_driver();
  FakeSession session;
  watch_ports(9, as_driver(session), supply_of(3));
  session.connections = 4;
  SessionEvent event;
  CHECK(!wait_for_session_event(&event, 400));  // full, and it stays so
  session.connections = 0;                      // the second attempt of three
  CHECK(!wait_for_session_event(&event, 150));
  session.connections = 4;
  CHECK(!wait_for_session_event(&event, 250));
  session.connections = 3;
  CHECK(event_of(&event, SessionEventKind::ports_low, 10000));
  CHECK(event.session == 9 && session.closes == 0);
  CHECK(event_of(&event, SessionEventKind::ports_gone, 10000));
  CHECK(session.closes == 1);
  CHECK(unwatch_ports(as_driver(session)) != nullptr);
  CHECK(unwatch_ports(as_driver(session)) == nullptr);
}

CASE(a_session_that_is_replaced_in_time_is_not_closed) {
  use_fake_driver();
  FakeSession session;
  watch_ports(9, as_driver(session), supply_of(3));
  session.connections = 4;
  SessionEvent event;
  CHECK(!wait_for_session_event(&event, 150));
  session.connections = 0;
  CHECK(event_of(&event, SessionEventKind::ports_low, 10000));
  CHECK(unwatch_ports(as_driver(session)) == nullptr);
  CHECK(!wait_for_session_event(&event, 500) && session.closes == 0);
}
