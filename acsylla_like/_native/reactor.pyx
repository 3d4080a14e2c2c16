# One reactor per event loop: its mailbox takes the completions of every session that the loop uses.

import os as _os
import weakref as _weakref
from asyncio import current_task as _current_task
from asyncio import get_running_loop as _get_running_loop

cimport cython
from cpython.ref cimport Py_DECREF, PyObject

cdef extern from *:
    """
    #include <chrono>
    static double acsylla_like_monotonic() {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
    """
    double monotonic "acsylla_like_monotonic"() nogil

cdef extern from *:
    """
    /* The reactor whose drain runs on this thread and may resume tasks, borrowed; NULL outside of one. */
    static thread_local PyObject* acsylla_like_draining = NULL;
    /* Whether a task that it resumed runs at this moment. */
    static thread_local bool acsylla_like_resuming = false;
    """
    PyObject* draining "acsylla_like_draining"
    bint resuming "acsylla_like_resuming"
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    bint PyCFunction_CheckExact(object function)

# A drain that has lasted this long (seconds) leaves the rest for the loop's next turn, so that a burst cannot hold it.
cdef double _DRAIN_BUDGET = 0.002

cdef dict _reactors = {}      # id(loop) -> Reactor
cdef set _abandoned = set()   # closed, with requests still in flight: kept until the driver has answered all of them
cdef Reactor _last_reactor = None
cdef Reactor _log_reactor = None


cdef class TicketHolder:
    cdef int on_set(self) except -1:
        raise NotImplementedError


@cython.final
cdef class Reactor:
    """Where one event loop meets the driver's threads. Made by the first request on that loop."""

    def __cinit__(self):
        self.is_closed = True

    def __dealloc__(self):
        self.mailbox.set_wakeup(NULL)
        self.wakeup.close()

    def get_loop(self):
        """The loop that it belongs to."""
        return self.loop if self.loop is not None else self.loop_reference()

    def drain(self):
        """The loop's reader callback: resolves what the driver's threads have put into the mailbox."""
        cdef PyObject* outer = draining
        cdef object outer_loop = self.loop
        cdef bint was_resuming = resuming
        global draining, resuming
        self.wakeup.clear()
        self.drains += 1
        self.loop = self.loop_reference()
        # A loop that runs inside a task (by somebody's patch) must not enter another one; in debug mode asyncio watches its
        # own handles.
        if _current_task(self.loop) is None and not self.loop.get_debug():
            draining = <PyObject*>self
            resuming = False
        else:
            draining = NULL
        try:
            self.take_tickets()
        finally:
            draining = outer
            resuming = was_resuming
            self.loop = outer_loop
        if _log_reactor is self:
            deliver_log_lines()

    cdef int resume(self, object callback, Request request, object context) except -1:
        """Lets the task that waits for `request` go on, now: as its handle would, through the callback and in the context
        that it gave to add_done_callback."""
        global resuming
        try:
            PyContext_Enter(context)
        except RuntimeError:  # entered already, by whoever runs this loop inside a task
            self.loop.call_soon(callback, request, context=context)
            return 0
        resuming = True
        try:
            callback(request)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.loop.call_exception_handler({"message": f"exception in callback {callback!r}", "exception": error})
        finally:
            resuming = False
            PyContext_Exit(context)
        return 0

    cdef int take_tickets(self) except -1:
        cdef Ticket* ticket = self.mailbox.take_all()
        cdef TicketHolder holder
        cdef double end = monotonic() + _DRAIN_BUDGET
        try:
            while ticket != NULL:
                holder = <TicketHolder>ticket.owner
                # Advanced before anything can raise: a signal handler's exception leaves the rest to the finally.
                ticket = ticket.next
                self.in_flight -= 1
                self.drained += 1
                Py_DECREF(holder)
                holder.on_set()
                if monotonic() > end and not self.is_closed:
                    break
        finally:
            self.mailbox.give_back(ticket)
        return 0

    cdef int close(self) except -1:
        """Stops the wake-ups. The loop is closed or gone, so nothing can be resolved on it any more."""
        global _last_reactor, _log_reactor
        if self.is_closed:
            return 0
        self.is_closed = True
        self.loop_getter = None
        self.loop_pointer = NULL
        self.mailbox.set_wakeup(NULL)
        if _last_reactor is self:
            _last_reactor = None
        if _log_reactor is self:
            _log_reactor = None
            log_lines().set_wakeup(NULL)
            for other in _reactors.values():
                if not (<Reactor>other).is_closed:
                    _deliver_logs_on(<Reactor>other)
                    break
        self.wakeup.close()
        if self.in_flight != 0:
            _abandoned.add(self)
        return 0


cdef int _deliver_logs_on(Reactor reactor) except -1:
    global _log_reactor
    _log_reactor = reactor
    log_lines().set_wakeup(&reactor.wakeup)
    return 0


cdef Reactor reactor_of(object loop):
    """The reactor of a loop that runs."""
    global _last_reactor
    if _last_reactor is not None and _last_reactor.loop_pointer == <PyObject*>loop:
        return _last_reactor
    reactor = _reactors.get(id(loop))
    if reactor is None:
        reactor = _make_reactor(loop)
    _last_reactor = <Reactor>reactor
    return <Reactor>reactor


cdef inline object current_loop():
    """The running loop; RuntimeError where none runs."""
    # A task that a drain has resumed runs on the drain's loop: asking asyncio costs a getpid each time (3.10, 3.11).
    return (<Reactor>draining).loop if draining != NULL else _get_running_loop()


cdef inline bint can_resume(Reactor reactor, object callback):
    """Whether `callback` may be called at once: a C task's wake-up, from the drain itself and not from within a task."""
    return draining == <PyObject*>reactor and not resuming and (
        PyCFunction_CheckExact(callback) or type(callback) is _task_wakeup_type or _is_task_wakeup(callback))


# CPython 3.10 and 3.11 have a type of its own for the wake-up, 3.12 a builtin method.
cdef object _task_wakeup_type = None


cdef bint _is_task_wakeup(object callback):
    global _task_wakeup_type
    kind = type(callback)
    if _task_wakeup_type is None and kind.__name__ == "TaskWakeupMethWrapper" and kind.__flags__ & (1 << 9) == 0:
        _task_wakeup_type = kind
        return True
    return False


cdef Reactor _make_reactor(object loop):
    forget_closed_loops()
    cdef Reactor reactor = Reactor.__new__(Reactor)
    if not reactor.wakeup.open(_os.environ.get("ACSYLLA_LIKE_WAKEUP") == "pipe"):
        raise OSError("no file descriptor to wake the event loop: the system refused an eventfd or a pipe")
    key = id(loop)

    def forget(reference):
        _forget(key, reference)

    reactor.loop_reference = _weakref.ref(loop, forget)
    reactor.loop_pointer = <PyObject*>loop
    reactor.loop_getter = reactor.get_loop
    loop.add_reader(reactor.wakeup.fd(), reactor.drain)
    reactor.is_closed = False
    reactor.mailbox.set_wakeup(&reactor.wakeup)
    _reactors[key] = reactor
    if _log_reactor is None:
        _deliver_logs_on(reactor)
    return reactor


cdef int _forget(object key, object reference) except -1:
    reactor = _reactors.get(key)
    if reactor is not None and (<Reactor>reactor).loop_reference is reference:
        del _reactors[key]
        (<Reactor>reactor).close()
    return 0


cpdef forget_closed_loops():
    """Lets go of the reactors whose loops are closed, and of what was in flight on them and has been answered since."""
    cdef Reactor reactor
    for key, value in list(_reactors.items()):
        reactor = <Reactor>value
        loop = reactor.loop_reference()
        if loop is None or loop.is_closed():
            _reactors.pop(key, None)
            reactor.close()
    for value in list(_abandoned):
        reactor = <Reactor>value
        reactor.take_tickets()
        if reactor.in_flight == 0:
            _abandoned.discard(reactor)


def requests_in_flight():
    """How many requests the driver has not answered yet, on all loops of the process, closed ones included."""
    forget_closed_loops()
    total = 0
    for value in _reactors.values():
        total += (<Reactor>value).in_flight
    for value in _abandoned:
        total += (<Reactor>value).in_flight
    return total


def loop_counters():
    """(wake-ups, completions) of the running loop's reactor since it was made."""
    cdef Reactor reactor = reactor_of(_get_running_loop())
    return reactor.drains, reactor.drained


def _after_fork_in_child():
    """The parent's descriptors and mailboxes mean nothing here; its sessions refuse by themselves (SessionOwner)."""
    global _reactors, _abandoned, _last_reactor, _log_reactor
    # Kept for ever: their requests are the parent's, and closing here must not happen through their destructors later.
    _inherited.append((_reactors, _abandoned))
    _reactors = {}
    _abandoned = set()
    _last_reactor = None
    _log_reactor = None
    forget_inherited_log_lines()


_inherited = []
_os.register_at_fork(after_in_child=_after_fork_in_child)
