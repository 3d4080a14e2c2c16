# The driver's session behind a Session, replaced by a fresh one while requests go on.


@cython.final
cdef class Replacement:
    """A further driver session for a session: `connect`, `wait`, `take_over`; one that was closed before refuses each request, as without
    hosts. To be dropped in any case: it owns the driver's session that is not in use, and gives it back when its requests have been
    answered. It does not keep the session alive.
    """

    def __init__(self, Session session not None):
        if self.session_number:
            raise TypeError("__init__ was called before")
        self.session_number = session.number
        self.keyspace = session.keyspace
        session.incarnations += 1
        self.incarnation = session.incarnations
        if not self.owner.create():
            raise MemoryError("the driver could not make a session")

    cdef int require_made(self) except -1:
        if not self.session_number:
            raise TypeError("this Replacement was made by __new__")
        return 0

    cdef int require_of(self, Session session) except -1:
        self.require_made()
        if session.number != self.session_number:
            raise TypeError("this Replacement was made for another session")
        return 0

    def connect(self, Session session not None, Cluster cluster not None, tuple local_ports=None):
        """Begins to connect; with `local_ports` (first, end) from these, by the shard-aware port of each host that has one."""
        self.require_of(session)
        if cluster.handle.get() == NULL or self.owner.was_connected():
            raise TypeError("a replacement connects once")
        if local_ports is not None:
            require(<void*>driver.cass_cluster_set_local_port_range, "cass_cluster_set_local_port_range")
            check(driver.cass_cluster_set_local_port_range(cluster.handle.get(), local_ports[0], local_ports[1]),
                  f"local ports {local_ports}")
        self.keyspace = session.keyspace
        session.connect_owner(&self.owner, cluster, self.incarnation)

    def wait(self, double seconds):
        """Waits until it is connected, or closed; returns whether it is. Raises what connecting raises."""
        cdef CassFuture* future = self.owner.transition()
        cdef uint64_t microseconds = <uint64_t>(seconds * 1e6)
        cdef bint is_set
        if future == NULL:
            raise TypeError("a replacement that does not connect")
        with nogil:
            is_set = self.owner.wait_for_transition(microseconds)
        if not is_set:
            return False
        cdef CassError code = driver.cass_future_error_code(future)
        if code != CASS_OK:
            raise error_of_future(future, code, None, False)
        return True

    def close(self):
        """Begins to close its connections."""
        self.require_made()
        if self.is_closed or not self.owner.was_connected():
            raise TypeError("a replacement is closed once, after it has connected")
        self.is_closed = True
        self.owner.close()

    def connections(self):
        """How many connections it has to the hosts' shards."""
        cdef CassMetrics metrics
        self.require_made()
        driver.cass_session_get_metrics(self.owner.get(), &metrics)
        return metrics.stats.total_connections

    def watch_ports(self, *, uint64_t connections, unsigned tries, double base_delay, double max_delay):
        """Looks after its local ports from now on: see PortSupply. Delays are in seconds."""
        cdef PortSupply supply
        self.require_made()
        supply.connections = connections
        supply.tries = tries
        supply.base_delay = <unsigned>(base_delay * 1000)
        supply.max_delay = <unsigned>(max_delay * 1000)
        watch_ports(self.session_number << 16 | self.incarnation, self.owner.get(), supply)

    def take_over(self, Session session not None):
        """From now on it serves the session's requests; those in flight are answered by the one before. False when the session was closed,
        or uses another keyspace than when this began to connect (and was not closed itself).
        """
        self.require_of(session)
        if not session.is_open or session.owner.get() == NULL or (session.keyspace != self.keyspace and not self.is_closed):
            return False
        session.owner.exchange(self.owner)
        session.serving = self.incarnation
        session.schema_changes += 1 << 32  # the snapshots of a fresh driver session are counted from the beginning
        return True


def next_session_event(double seconds):
    """Waits for what happens to the hosts of sessions; without end for infinity.

    Returns (number of the session, which of its driver sessions, one of "host_up", "host_down", "host_added", "host_removed",
    "ports_low", "ports_gone", address), or None when nothing did by then.
    """
    cdef SessionEvent event
    cdef int64_t milliseconds = -1 if isinf(seconds) else <int64_t>ceil(seconds * 1000)
    cdef bint has_event
    with nogil:
        has_event = wait_for_session_event(&event, milliseconds)
    if not has_event:
        return None
    address = None
    if event.address.address_length:
        address = str(ipaddress.ip_address(event.address.address[:event.address.address_length]))
    return event.session >> 16, event.session & 0xFFFF, _SESSION_EVENTS[<int>event.kind], address


_SESSION_EVENTS = ("host_up", "host_down", "host_added", "host_removed", "ports_low", "ports_gone")


def interrupt_session_event():
    """Ends `next_session_event`, or the next one. Any thread."""
    interrupt_session_events()
