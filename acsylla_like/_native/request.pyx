# One request: an awaitable of our own, from its submission to its outcome.
#
# It is a coroutine to whoever asks (`asyncio.iscoroutine`) and a future to asyncio's tasks, which wait for it by the future
# protocol: no asyncio.Future and no Python coroutine is made for it.

import asyncio as _asyncio
import sys as _sys
import warnings as _warnings

from cpython.ref cimport Py_INCREF

cdef enum RequestKind:
    EXECUTE
    BATCH
    PREPARE
    CONNECT
    CLOSE

cdef enum RequestState:
    NEW         # nothing was sent; nobody has shown interest
    PENDING
    DONE
    CANCELLED

from acsylla_like.retry import IGNORE as _IGNORE
from acsylla_like.retry import RETHROW as _RETHROW

_CancelledError = _asyncio.CancelledError
_InvalidStateError = _asyncio.InvalidStateError


@cython.final  # and no freelist: an object taken from one counts as finalized, so its __del__ would not run
cdef class Request(TicketHolder):
    """What `Session.execute` returns: awaitable like a coroutine, and sent when someone first shows interest in it."""

    # ---- for callers: await, tasks, gather ----

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):  # replaced in awaiting.pyx
        raise NotImplementedError

    def __getattribute__(self, name):
        return attribute_of_request(self, name)

    def __setattr__(self, name, value):
        if name is _FUTURE_BLOCKING:
            self.blocking = value
        else:
            PyObject_GenericSetAttr(self, name, value)

    def send(self, value):
        """As of a coroutine."""
        if self.state == NEW:
            self.start()
        if self.state == PENDING:
            self.blocking = True
            return self
        self.take_outcome()
        stop = StopIteration()
        stop.value = self.outcome
        raise stop

    def throw(self, kind, value=None, traceback=None):
        """As of a coroutine: ends the request, unless it has ended, and raises the exception."""
        self.cancel()
        raise exception_to_throw(kind, value, traceback)

    def close(self):
        """As of a coroutine: a request that nobody wants is forgotten without a warning."""
        self.cancel()

    # ---- the future protocol (asyncio.isfuture, asyncio.tasks) ----

    @property
    def _asyncio_future_blocking(self):
        # None while no loop could take it: `loop.run_until_complete(request)` then makes a task of it, as of a coroutine.
        # Otherwise it is ensure_future that asks, for itself or for gather: it keeps a future as it is and would never send
        # one that waits for a sign of interest.
        if self.state == NEW:
            if _current_loop() is None:
                return None
            self.start()
        return self.blocking

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, bint value):
        self.blocking = value

    def get_loop(self):
        """The event loop that the request belongs to."""
        if self.loop is None:
            self.loop = _get_running_loop()
        return self.loop

    def done(self):
        """Whether there is an outcome."""
        return self.state >= DONE

    def cancelled(self):
        """Whether it was cancelled."""
        return self.state == CANCELLED

    def result(self):
        """The outcome; raises the error, CancelledError, or InvalidStateError before there is one."""
        if self.state < DONE:
            raise _InvalidStateError("the request has no outcome yet")
        self.take_outcome()
        return self.outcome

    def exception(self):
        """The error or None; raises CancelledError, or InvalidStateError before there is an outcome."""
        if self.state < DONE:
            raise _InvalidStateError("the request has no outcome yet")
        if self.state == CANCELLED:
            raise self._make_cancelled_error()
        self.exception_unseen = False
        return self.exception_value

    def add_done_callback(self, callback, *, context=None):
        """Has `callback(request)` called by the loop when there is an outcome; sends the request."""
        self.add_callback(callback, context)

    cdef int add_callback(self, object callback, object context) except -1:
        if self.state == NEW:
            self.start()
        if context is None:
            context = _copy_context()
        if self.state >= DONE:
            self.get_loop().call_soon(callback, self, context=context)
        elif self.callback is None:
            self.callback = callback
            self.callback_context = context
        else:
            if self.more_callbacks is None:
                self.more_callbacks = []
            self.more_callbacks.append((callback, context))
        return 0

    def remove_done_callback(self, callback):
        """Takes every use of `callback` back; returns how many there were."""
        removed = 0
        kept = []
        if self.callback is not None:
            kept.append((self.callback, self.callback_context))
        if self.more_callbacks is not None:
            kept.extend(self.more_callbacks)
        count = len(kept)
        kept = [entry for entry in kept if entry[0] != callback]
        removed = count - len(kept)
        self.callback, self.callback_context = kept[0] if kept else (None, None)
        self.more_callbacks = kept[1:] or None
        return removed

    def cancel(self, msg=None):
        """Gives the outcome up; False when there is one. What it holds is freed when the server answers, and the server may
        still apply a write."""
        if self.state >= DONE:
            return False
        cdef bint was_sent = self.state == PENDING
        self.cancel_message = msg
        self.state = CANCELLED
        self.has_ended()
        if self.session is not None and not self.is_own:
            self.session.requests_cancelled += 1
        if self.delegate is not None:
            self.delegate.cancel(msg) if msg is not None else self.delegate.cancel()
            self.delegate = None
        if was_sent and not self.loop.is_closed():
            self.schedule_callbacks()
        return True

    def _make_cancelled_error(self):
        if self.cancel_message is None:
            return _CancelledError()
        return _CancelledError(self.cancel_message)

    @property
    def _has_recovered(self):
        return self.has_recovered

    @_has_recovered.setter
    def _has_recovered(self, bint value):
        self.has_recovered = value

    @property
    def _cancel_message(self):  # gather asks for it
        return self.cancel_message

    @property
    def _loop(self):
        return self.loop

    def __repr__(self):
        state = ("new", "pending", "done", "cancelled")[self.state]
        return f"<Request {state} {_errors.shorten(str(_text_of_query(self.query)), 60)!r}>"

    def __del__(self):
        if self.state == NEW:
            _warnings.warn(f"{self!r} was never awaited", RuntimeWarning, source=self)
        elif self.exception_unseen and self.loop is not None and not self.loop.is_closed():
            self.loop.call_exception_handler({
                "message": "an error of a request was never retrieved",
                "exception": self.exception_value,
                "future": self,
            })

    # ---- its way ----

    cdef int start(self) except -1:
        """Sends it. An error becomes the outcome."""
        self.state = PENDING
        try:
            self.loop = current_loop()
            self.reactor = reactor_of(self.loop)
            if self.session is not None:
                if self.is_own:
                    self.session.questions_asked += 1
                else:
                    self.session.requests_started += 1
            self.started = monotonic()
            if self.exception_value is not None:
                self.fail(self.exception_value)
            elif self.cold is not None:
                self.session.require_open(self.is_step)
                self.delegate_to(self.cold())
            else:
                self.submit()
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            self.fail(error)
        return 0

    cdef int submit(self) except -1:
        if self.session is None:
            raise TypeError("this Request was made by __new__")
        cdef CassSession* session = self.session.owner.get()
        if self.kind == CLOSE and session == NULL:
            raise _errors.SessionClosed("the session is not open")
        if self.kind != CLOSE and self.kind != CONNECT:
            self.session.require_open(self.is_step or self.pages is not None)
        if self.kind == EXECUTE:
            return self.watch(driver.cass_session_execute(session, self.statement.get()))
        if self.kind == BATCH:
            return self.watch(driver.cass_session_execute_batch(session, self.batch.get()))
        if self.kind == PREPARE:
            return self.watch(driver.cass_session_prepare_from_existing(session, self.statement.get()))
        if self.kind == CLOSE:
            return self.watch(self.session.close_driver())
        return self.watch(self.session.connect())

    cdef int watch(self, CassFuture* future) except -1:
        """Waits for a future of the driver's, which it owns from here on."""
        self.future.reset(future)
        self.ticket.mailbox = &self.reactor.mailbox
        self.ticket.owner = <void*>self
        Py_INCREF(self)  # until the reactor has taken the ticket
        self.reactor.in_flight += 1
        self.session.in_flight += self.kind != CLOSE and self.kind != CONNECT
        check(notify_when_set(future, &self.ticket), "cass_future_set_callback")
        return 0

    cdef int delegate_to(self, object coroutine) except -1:
        """Lets a coroutine do the work; its outcome is the request's."""
        if self.state != PENDING:
            coroutine.close()
            return 0
        self.has_more_steps()
        self.delegate = self.loop.create_task(coroutine)
        self.delegate.add_done_callback(self._take_over)
        return 0

    def _take_over(self, task):
        self.delegate = None
        if self.state != PENDING:
            if not task.cancelled():
                task.exception()  # seen: the request was cancelled meanwhile
            return
        if task.cancelled():
            self.cancel()
            return
        error = task.exception()
        if error is not None:
            self.fail_or_retry(error)
        elif type(task.result()) is Options:  # of a pause
            self.send_again(task.result())
        else:
            self.finish(task.result())

    cdef int on_set(self) except -1:
        """The driver has answered; called by the reactor."""
        self.session.in_flight -= self.kind != CLOSE and self.kind != CONNECT
        if self.state != PENDING:
            return self.release()
        try:
            self._read_answer()
        except BaseException as error:
            # A signal handler's exception, too, or whoever waits would wait for ever.
            if self.state == PENDING:
                self.fail(error)
            if not isinstance(error, Exception):
                raise
        return 0

    cdef int _read_answer(self) except -1:
        if self.reactor.is_closed or (self.kind >= CONNECT and self.session.owner.get() == NULL):
            # Nobody can be told; or the session was given back, and the future of its connect or close with it.
            self.state = CANCELLED
            return self.release()
        cdef CassError code = driver.cass_future_error_code(self.future.get())
        if code != CASS_OK:
            return self.on_error(code)
        if self.kind == EXECUTE or self.kind == BATCH:
            return self.on_page()
        if self.kind == PREPARE:
            self.session.prepares += 1
            return self.finish(prepared_version(driver.cass_future_get_prepared(self.future.get()), self.query, self.session))
        if self.kind == CONNECT:
            self.session.is_open = True
            return self.finish(self.session)
        return self.finish(None)

    cdef int on_page(self) except -1:
        cdef Page page = new_page(self.future.get(), self.version, self.session)
        cdef double remaining
        if not self.gathers_pages or not driver.cass_result_has_more_pages(page.result.get()):
            return self.finish(new_result(self, page))
        if self.pages is None:
            self.pages = []
        self.pages.append(page)
        self.has_more_steps()
        if self.retries is not None:  # the next page has tries of its own
            self.retries.succeeded()
            self.retries = None
        check(driver.cass_statement_set_paging_state(self.statement.get(), page.result.get()), "the paging state")
        if not isinf(self.timeout):
            remaining = self.started + self.timeout - monotonic()
            if remaining <= 0:
                raise self.timeout_error()
            driver.cass_statement_set_request_timeout(
                self.statement.get(), driver_milliseconds(min(remaining, self.options.try_timeout)))
        return self.submit()

    cdef int on_error(self, CassError code) except -1:
        # Without an answer: a PREPARE has applied nothing.
        error = error_of_future(self.future.get(), code, self.query,
                                self.idempotent or (self.kind == PREPARE and code == LIB_REQUEST_TIMED_OUT))
        if self.version is not None:
            self.version.columns = None  # see columns_of
        if self.kind != CLOSE:
            error = lost_unless_late(error, self.future.get(), monotonic() - self.started, self.timeout)
        if self._can_recover(code):
            self.has_recovered = True
            return self.delegate_to(self.session._recover(
                self.query, self.parameters, self.options.with_changes(timeout=self.remaining()), error))
        return self.fail_or_retry(error)

    cdef int fail_or_retry(self, object error) except -1:
        """The end, unless a policy has it sent again. What it has decided of a step holds for the request, too."""
        if (self.options.retry_policy is None or (self.kind != EXECUTE and self.kind != BATCH)
                or not isinstance(error, _errors.Error) or "attempts" in error.__dict__):
            return self.fail(error)
        try:
            if self.retries is None:
                self.retries = self.session._retries_of(
                    self.options.retry_policy, self.query, self.options, self.started, self.timeout)
            decision = self.retries.after(error)
        except Exception as mistake:  # of the policy's
            decision, error = _RETHROW, mistake
        if decision is not _IGNORE and decision is not _RETHROW:
            self.is_step = True  # closing the session waits for it
            return self.delegate_to(decision)
        self.retries = None
        return self.fail(error) if decision is _RETHROW else self.finish(Result.__new__(Result))

    cdef int send_again(self, Options options) except -1:
        """Sends what was frozen when the request was made, as a statement of the driver's that is made anew."""
        cdef object cold
        self.has_recovered = False
        try:
            if self.cold is not None:
                return self.delegate_to(self.cold.func(*self.cold.args[:-1], options))
            self.session.build_again(self, options)
            if self.cold is not None:
                cold = self.cold
                return self.delegate_to(cold())
            return self.submit()
        except Exception as error:
            return self.fail(error)

    cdef bint _can_recover(self, CassError code) noexcept:
        """A prepared statement that a node no longer knows is prepared anew by the driver itself; where that fails it says
        only that no host is available (2.16.2, PrepareHostHandler)."""
        if self.has_recovered or (code != LIB_NO_HOSTS_AVAILABLE and code != SERVER_UNPREPARED and
                                  (code != LIB_UNEXPECTED_RESPONSE or not self.has_moved)):
            return False
        return self.version is not None or self.kind == BATCH

    def remaining(self):
        """Seconds that are left of the timeout."""
        return self.timeout if isinf(self.timeout) else max(0.001, self.started + self.timeout - monotonic())

    cdef object timeout_error(self):
        error = _errors.RequestTimeout(f"no complete answer within {self.timeout:g} s")
        error.query = _text_of_query(self.query)
        error.retryable = self.idempotent
        return error

    cdef int finish(self, object outcome) except -1:
        self.outcome = outcome if self.answers is None else self.answers.result_of(outcome)
        self.state = DONE
        self.release()
        return self.schedule_callbacks()

    cdef int fail(self, object error) except -1:
        if self.answers is not None:
            error = self.answers.error_of(error)
        self.exception_value = error
        self.exception_traceback = error.__traceback__
        self.exception_unseen = True
        self.state = DONE
        if self.session is not None and not self.is_own:
            self.session.requests_failed += 1
        self.release()
        return self.schedule_callbacks()

    cdef int has_more_steps(self) except -1:
        """More is to be sent before there is an outcome: closing the session waits for it."""
        if not self.is_unfinished:
            self.is_unfinished = True
            self.session.unfinished.add(self)
        return 0

    cdef int has_ended(self) except -1:
        if self.is_unfinished:
            self.is_unfinished = False
            self.session.unfinished.discard(self)
            if self.retries is not None:
                if self.state == DONE and self.exception_value is None:
                    self.retries.succeeded()
                self.retries = None
        return 0

    cdef int release(self) except -1:
        """Lets go of all that only the way needed."""
        self.has_ended()
        if self.kind == CONNECT or self.kind == CLOSE:
            self.future.release()  # the SessionOwner's
        else:
            self.future.reset(NULL)
        self.statement.reset(NULL)
        self.batch.reset(NULL)
        self.parameters = self.version = self.pages = self.cold = None
        return 0

    cdef int schedule_callbacks(self) except -1:
        cdef object callback = self.callback
        cdef object context = self.callback_context
        cdef list more = self.more_callbacks
        if callback is None:
            return 0
        self.callback = self.callback_context = self.more_callbacks = None
        if more is None and can_resume(self.reactor, callback):
            return self.reactor.resume(callback, self, context)
        self.loop.call_soon(callback, self, context=context)
        if more is not None:
            for callback, context in more:
                self.loop.call_soon(callback, self, context=context)
        return 0

    cdef int take_outcome(self) except -1:
        """Raises what there is to raise."""
        if self.state == CANCELLED:
            raise self._make_cancelled_error()
        self.exception_unseen = False
        if self.exception_value is not None:
            raise self.exception_value.with_traceback(self.exception_traceback)
        return 0


from asyncio import _get_running_loop as _current_loop
from contextvars import copy_context as _copy_context


cdef Request new_request(Session session, int kind, object query, Options options):
    cdef Request request = Request.__new__(Request)
    request.session = session
    request.kind = kind
    request.query = query
    request.options = options
    request.timeout = session.effective_timeout(options)
    request.idempotent = options.idempotent == 1
    return request
