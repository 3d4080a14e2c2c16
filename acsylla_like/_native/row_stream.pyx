# `async for row in ...`: rows from page after page, without a coroutine for each row.

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from "Python.h":
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR

# Rows that are here are given without a turn of the loop for this long (seconds); then other tasks have theirs.
cdef double _TURN = 0.002


@cython.final
cdef class RowStream:
    """An asynchronous iterator over the rows of `pages`, an asynchronous generator of results. It is its own awaitable: a row
    that is here costs no suspension. One task reads it at a time."""

    def __init__(self, pages):
        self.pages = pages

    def __aiter__(self):
        return self

    def __anext__(self):
        if self.step is not None or self.is_yielding:
            raise RuntimeError("the stream is being read already")
        return self

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):  # replaced below
        raise NotImplementedError

    def send(self, value):
        """As of a coroutine."""
        cdef PyObject* result = NULL
        cdef int kind = self.advance(&result)
        value = <object>result
        Py_DECREF(value)
        if kind == PYGEN_NEXT:
            return value
        stop = StopIteration()
        stop.value = value
        raise stop

    def throw(self, kind, value=None, traceback=None):
        """As of a coroutine."""
        error = exception_to_throw(kind, value, traceback)
        self.is_yielding = False
        if self.step is None:
            raise error
        try:
            return self.step.throw(error)
        except StopIteration as stop:
            self.open_page(stop.value)
            return self.send(None)
        except BaseException as end:
            self.has_failed(end)
            raise

    def close(self):
        """As of a coroutine."""
        self.is_yielding = False
        step, self.step = self.step, None
        if step is not None:
            step.close()

    def aclose(self):
        """Awaits until no page is on its way; the stream has no more rows then."""
        self.reader = None
        return self.pages.aclose()

    cdef int advance(self, PyObject** result) except -1:
        """A PySendResult: the next row, or what the task is to wait for."""
        cdef Row row
        cdef PySendResult kind
        while True:
            if self.is_yielding:
                self.is_yielding = False
                self.turn_ends = monotonic() + _TURN
            elif self.reader is not None and self.taken & 7 == 0 and monotonic() > self.turn_ends:
                self.is_yielding = True
                Py_INCREF(None)
                result[0] = <PyObject*>None
                return PYGEN_NEXT
            if self.reader is not None:
                self.taken += 1
                row = self.reader.read()
                if row is not None:
                    Py_INCREF(row)
                    result[0] = <PyObject*>row
                    return PYGEN_RETURN
                self.reader = None
            if self.step is None:
                self.step = self.pages.__anext__().__await__()
            try:
                kind = PyIter_Send(self.step, None, result)
            except BaseException as error:
                self.has_failed(error)
                raise
            if kind == PYGEN_NEXT:
                self.turn_ends = 0
                return PYGEN_NEXT
            page = <object>result[0]
            Py_DECREF(page)
            self.open_page(page)

    cdef int has_failed(self, object error) except -1:
        """The step has ended with an error. A generator that was left by one says later that it has no more: not so a stream."""
        self.step = None
        if not isinstance(error, StopAsyncIteration):
            self.failure = error
        elif isinstance(self.failure, Exception):
            raise self.failure
        elif self.failure is not None:
            raise RuntimeError(f"the stream was left by a {type(self.failure).__name__} before its end: read it anew")
        return 0

    cdef int open_page(self, Result page) except -1:
        self.step = None
        self.reader = new_reader(page) if page.row_count != 0 else None
        if self.turn_ends == 0:  # the loop has had its turn while the page came
            self.turn_ends = monotonic() + _TURN
        return 0


cdef PySendResult _row_stream_send(PyObject* pointer, PyObject* value, PyObject** result) noexcept:
    try:
        return <PySendResult>(<RowStream>pointer).advance(result)
    except BaseException as error:
        PyErr_SetObject(type(error), error)
        return PYGEN_ERROR


_set_send(<PyTypeObject*>RowStream, _row_stream_send)
