# Many rows of one prepared statement: bound and sent in bursts by the loop's thread, answered without a future per row.

cimport cython

# How long (seconds) one call of `pump` may hold the loop.
cdef double _PUMP_BUDGET = 0.002
# Answers that are taken between two looks at the clock.
cdef size_t _ANSWERS = 512
# So many rows are looked at for others of their partitions.
cdef Py_ssize_t _MOST_GROUPED = 8192

# What `pump` has left to do.
_NOT_YET = object()


@cython.final
cdef class BulkGroup:
    """Rows of one partition that are sent together: (row, values) in their order."""


@cython.final
cdef class BulkWriter(TicketHolder):
    """Sends rows with a prepared statement, `concurrency` at a time. Its user calls `pump` until `is_done`, awaits
    `answers` in between, deals with what `take_failures` gives, and calls `close` at the end.

    `convert`, when given, makes the values of what the iterator gives. With `batch_bytes`, rows whose values of `partition_key`
    (indexes of parameters) are the same are sent as unlogged batches of at most so many bytes of values.
    """

    # What an iterator gives that has no row at the moment.
    NOT_YET = _NOT_YET

    def __init__(self, Session session not None, PreparedStatement prepared not None, Options options not None, *,
                 Py_ssize_t concurrency, unsigned retries, convert=None, int64_t skip=0, Py_ssize_t batch_bytes=0,
                 tuple partition_key=()):
        cdef BulkOptions chosen
        if self.write.get() != NULL:
            raise TypeError("__init__ was called before")
        version_of(prepared)
        session.require_open()
        self.options = options
        self.is_idempotent = options.idempotent == 1
        chosen.concurrency = concurrency
        chosen.retries = retries
        chosen.may_repeat = self.is_idempotent
        # "The request cannot be processed" (native_protocol_v4.spec, section 9): unless the caller says that it is not idempotent.
        chosen.repeats_overloaded = options.idempotent != 0
        chosen.gives_back = True
        self.timeout = session.effective_timeout(options)
        self.timeout_ms = driver_milliseconds(self.timeout)
        self.session = session
        self.prepared = prepared
        self.convert = convert
        self.skip = skip
        self.batch_bytes = batch_bytes
        self.partition_key = partition_key
        self.groups = {}
        self.ready = []
        self.kept = [None] * concurrency
        self.again = []
        self.failures = []
        self.fork_generation = fork_generation()
        self.write.reset(new BulkWrite(session.owner.current(), chosen))

    def __dealloc__(self):
        if self.fork_generation != fork_generation():
            self.write.release()  # its rows are the parent's

    cdef BulkWrite* made(self) except NULL:
        if self.write.get() == NULL:
            raise TypeError("this BulkWriter was made by __new__")
        return self.write.get()

    # ---- sending ----

    def pump(self, rows, Py_ssize_t most, Py_ssize_t most_failures):
        """Takes answers and sends rows of an iterator, until the window is full, it has none, `most` of them were taken, so many have
        failed, or the loop should have a turn. Returns what it waits for: "failures" to be taken, "turn", "room",
        "rows" or "end".

        Raises what the iterator raises, and SessionClosed.
        """
        cdef double end = monotonic() + _PUMP_BUDGET
        self.session.require_open()
        self.take_answers(end)
        state = self.send_rows(rows, most, most_failures, end)
        if self.failures:
            return "failures"
        return "turn" if self.failed != NULL or self.made().has_left_answers() else state

    cdef str send_rows(self, object rows, Py_ssize_t most, Py_ssize_t most_failures, double end):
        cdef BulkWrite* write = self.made()
        cdef PreparedVersion version = version_of(self.prepared)
        cdef int64_t row
        cdef size_t sent
        write.send_due()
        while len(self.failures) < most_failures:
            if write.last_sent() > end:  # sending has looked at the clock
                return "turn"
            if not write.has_room():
                return "room"
            if self.ready:
                self.send_group(self.ready.pop())
                continue
            if self.again:
                row, values, tries, _ = self.again.pop()
                self.send_row(version, row, values, tries)
                continue
            sent = write.in_flight()
            if most <= 0:
                return "turn"
            given = next(rows, self)
            if given is self or given is _NOT_YET:
                if self.grouped != 0:
                    self.end_groups()
                    continue
                return "end" if given is self else "rows"
            most -= 1
            row = self.taken
            self.taken += 1
            if row >= self.skip:
                self.send_row(version, row, given, 0)
            if write.in_flight() == sent and monotonic() > end:
                return "turn"
        return "failures"

    cdef int send_row(self, PreparedVersion version, int64_t row, object given, unsigned tries) except -1:
        """Binds and sends a row, or adds it to its group; one whose values do not fit is a failure. There is room."""
        cdef StatementHandle statement
        cdef object values = given
        statement.reset(new_statement(version))
        try:
            if tries == 0 and self.convert is not None:
                values = self.convert(given)
            bound = positional(values, version)
            values = bind_values(statement.get(), version, bound)
            if self.session.shard_counter is not None and tries == 0:
                self.session.shard_counter.note(((version, bound),))
            if self.batch_bytes != 0 and tries == 0:
                return self.add_to_group(version, statement.get(), row, values)
            if self.options is not _NO_OPTIONS:
                self.options.apply_to_statement(statement.get())
        except BaseException as error:
            self.failures.append((row, given, tries, error))
            if not isinstance(error, Exception):
                raise
            return 0
        driver.cass_statement_set_request_timeout(statement.get(), self.timeout_ms)
        cdef BulkSlot* slot = self.take_slot(row, tries, values)
        slot.statement.reset(statement.release())
        self.write.get().submit(slot)
        return 0

    cdef BulkSlot* take_slot(self, int64_t row, unsigned tries, object kept) except NULL:
        cdef BulkWrite* write = self.write.get()
        cdef BulkSlot* slot
        self.session.require_open()  # the iterator and the values may have code of their own
        slot = write.take_slot()
        if slot == NULL:  # cannot be: nothing else takes them
            raise RuntimeError("no slot for a row")
        slot.row = row
        slot.tries = tries
        self.kept[write.index_of(slot)] = kept
        return slot

    # ---- rows of a partition together ----

    cdef int add_to_group(self, PreparedVersion version, CassStatement* statement, int64_t row, tuple values) except -1:
        cdef Buffer buffer
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t i
        cdef CqlType cql_type
        cdef BulkGroup group
        key = []
        for i in range(len(values)):
            value = values[i]
            if value is None or value is _UNSET:
                continue
            cql_type = <CqlType>version.parameter_types[i]
            if type(value) is EncodedValue:
                data = _bytes_for(<EncodedValue>value, cql_type)
            else:
                buffer.clear()
                cql_type.encode_function(cql_type, value, buffer)
                data = (<const char*>buffer.data())[:buffer.size()]
            size += 4 + len(<bytes>data)
            if i in self.partition_key:
                key.append(data)
        place = tuple(key)
        found = self.groups.get(place)
        if found is not None and ((<BulkGroup>found).size + size > self.batch_bytes or len((<BulkGroup>found).rows) == 0xFFFF):
            self.ready.append(found)
            found = None
        if found is None:
            group = BulkGroup.__new__(BulkGroup)
            group.rows = []
            group.batch.reset(driver.cass_batch_new(_BATCH_TYPES["unlogged"]))
            self.groups[place] = group
        else:
            group = <BulkGroup>found
        check(driver.cass_batch_add_statement(group.batch.get(), statement), "cass_batch_add_statement")
        group.rows.append((row, values))
        group.size += size
        self.grouped += 1
        if self.grouped >= _MOST_GROUPED:
            self.end_groups()
        return 0

    cdef int end_groups(self) except -1:
        """No row is added to the groups that are there."""
        self.ready.extend(self.groups.values())
        self.groups = {}
        self.grouped = 0
        return 0

    cdef int send_group(self, BulkGroup group) except -1:
        cdef BulkSlot* slot
        if self.options is not _NO_OPTIONS:
            self.options.apply_to_batch(group.batch.get())
        driver.cass_batch_set_request_timeout(group.batch.get(), self.timeout_ms)
        slot = self.take_slot(group.rows[0][0], 0, group)
        slot.batch.reset(group.batch.release())
        for row, _ in group.rows[1:]:
            slot.other_rows.push_back(row)
        self.write.get().submit(slot)
        return 0

    def send_again(self, int64_t row, values, unsigned tries, error):
        """Has a row of `take_failures` sent before any other."""
        self.again.append((row, values, tries, error))
        self.sent_again += 1

    def give_up(self):
        """Has no further row sent, and none again."""
        self.take_answers(INFINITY)
        self.failed = self.made().give_up()
        self.take_answers(INFINITY)
        self.failures.extend(self.again)
        self.again = []

    # ---- answers ----

    cdef int take_answers(self, double end) except -1:
        """Counts what was answered, and makes errors of what has failed until `end` (monotonic seconds); the next call goes on."""
        cdef BulkWrite* write = self.made()
        cdef BulkSlot* slot
        while True:
            if self.failed == NULL:
                self.failed = write.take_answers(_ANSWERS)
            if self.failed == NULL and not write.has_left_answers() or monotonic() > end:
                return 0
            if self.failed == NULL:
                continue
            slot = self.failed
            self.failed = slot.next
            error = error_of_future(slot.future.get(), slot.code, self.prepared, self.is_idempotent)
            error = lost_unless_late(error, slot.future.get(), seconds_in_flight(slot[0]), self.timeout)
            kept = self.kept[write.index_of(slot)]
            for row, values in ((<BulkGroup>kept).rows if type(kept) is BulkGroup else ((slot.row, kept),)):
                self.failures.append((row, values, slot.tries, error))
            write.release(slot)

    def take_failures(self):
        """The rows that have failed since the last call: (row, values, tries, error); tries is 0 for one that was never sent."""
        failures = self.failures
        self.failures = []
        return failures

    def answers(self, Py_ssize_t least):
        """A future that is done when so many answers are here (or all that are due), or `wake` was called; with 0 only then."""
        cdef BulkWrite* write = self.made()
        loop = current_loop()
        if self.waiter is None or self.waiter.done():
            self.waiter = loop.create_future()
        if self.is_armed:  # of a wait that was cancelled
            write.notify_when(least, NULL)
            return self.waiter
        self.reactor = reactor_of(loop)
        self.ticket.mailbox = &self.reactor.mailbox
        self.ticket.owner = <void*>self
        Py_INCREF(self)  # until the reactor has taken the ticket
        self.is_armed = True
        self.reactor.in_flight += 1
        write.notify_when(least, &self.ticket)
        return self.waiter

    cdef int on_set(self) except -1:
        self.is_armed = False
        if self.waiter is not None and not self.waiter.done() and not self.waiter.get_loop().is_closed():
            self.waiter.set_result(None)
        return 0

    def wake(self):
        """Ends the wait for `answers`, or the next one."""
        self.made().interrupt()

    def close(self):
        """Nobody waits any more. Rows in flight stay on their way."""
        if self.is_armed:
            self.made().interrupt()

    # ---- what was done ----

    @property
    def in_flight(self):
        """Rows that are sent and not answered."""
        return self.made().in_flight()

    @property
    def unfinished(self):
        """Rows that were taken and have neither been written nor failed."""
        return self.made().unfinished() + len(self.again) + len(self.ready) + self.grouped + (self.failed != NULL)

    def seconds_to_next_try(self):
        """When a row is to be sent again; infinity when none is."""
        return self.made().seconds_to_next_due()

    def counters(self):
        """(rows written, retries, rows in flight, the first row that is not settled, seconds within which 50, 95, 99 and 100 % of the
        rows were answered)."""
        cdef BulkWrite* write = self.made()
        settled = write.first_unsettled(self.taken)
        for entry in self.again:
            settled = min(settled, entry[0])
        for entry in self.failures:
            settled = min(settled, entry[0])
        for group in (*self.groups.values(), *self.ready):
            settled = min(settled, (<BulkGroup>group).rows[0][0])
        return (write.written(), write.retried() + self.sent_again, write.unfinished(), settled,
                tuple(write.latencies().summary()))


def may_be_written(code, bint is_idempotent):
    """Whether a row that failed with this code (`Error.code`) may have been written all the same."""
    return code is not None and may_be_applied(code, is_idempotent)
