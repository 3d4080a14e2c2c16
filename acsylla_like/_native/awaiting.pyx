# How the interpreter and asyncio's tasks wait for a Request, without what that costs by the ordinary way: each is a
# shortcut to a method of Request that does the same. RowStream is awaited in the same way.

from cpython.ref cimport Py_INCREF

cdef extern from *:
    """
    /* What a coroutine's end is to the interpreter: StopIteration with the value, without making a traceback. */
    static void acsylla_like_stop_iteration(PyObject* value) {
      if (!PyTuple_Check(value) && !PyExceptionInstance_Check(value)) {
        PyErr_SetObject(PyExc_StopIteration, value);
        return;
      }
      PyObject* wrapped = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);
      if (wrapped == NULL) return;
      PyErr_SetObject(PyExc_StopIteration, wrapped);
      Py_DECREF(wrapped);
    }
    /* What `await` uses from CPython 3.12 on, by way of what it used before. */
    static PyObject* acsylla_like_next_by_send(PyObject* self) {
      PyObject* result = NULL;
      if (Py_TYPE(self)->tp_as_async->am_send(self, Py_None, &result) != PYGEN_RETURN) return result;
      acsylla_like_stop_iteration(result);
      Py_DECREF(result);
      return NULL;
    }
    static void acsylla_like_set_send(PyTypeObject* type, sendfunc send) {
      type->tp_as_async->am_send = send;
      type->tp_iternext = acsylla_like_next_by_send;
      PyType_Modified(type);
    }
    /* Has the instances of a type called by the vectorcallfunc that each holds at `offset`. */
    static void acsylla_like_set_vectorcall(PyTypeObject* type, Py_ssize_t offset) {
      type->tp_vectorcall_offset = offset;
      type->tp_call = PyVectorcall_Call;
      type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
      PyType_Modified(type);
    }
    """
    ctypedef struct PyTypeObject:
        pass
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject*, PyObject*, PyObject**) noexcept
    ctypedef PyObject* (*vectorcallfunc)(PyObject*, PyObject* const*, size_t, PyObject*)
    void _set_send "acsylla_like_set_send"(PyTypeObject* type, sendfunc send)
    void _set_vectorcall "acsylla_like_set_vectorcall"(PyTypeObject* type, Py_ssize_t offset)
    Py_ssize_t PyVectorcall_NARGS(size_t flags)
    object PyObject_Vectorcall(object function, PyObject* const* arguments, size_t count, PyObject* names)
    object PyObject_GenericGetAttr(object instance, object name)
    int PyObject_GenericSetAttr(object instance, object name, object value) except -1
    bint PyUnicode_CHECK_INTERNED(object name)
    int PyUnicode_CompareWithASCIIString(object name, const char* text)
    void PyErr_SetObject(object type, object value)


cdef object exception_to_throw(object kind, object value, object traceback):
    """The exception that the arguments of a coroutine's `throw` stand for."""
    if value is None:
        value = kind if isinstance(kind, BaseException) else kind()
    elif not isinstance(value, BaseException):
        value = kind(value)
    return value if traceback is None else value.with_traceback(traceback)


# ---- await ------------------------------------------------------------------------------------------------------------

cdef PySendResult _request_send(PyObject* pointer, PyObject* value, PyObject** result) noexcept:
    """As Request.send; `value` has no meaning."""
    cdef Request self = <Request>pointer
    if self.state == NEW:
        try:
            self.start()
        except BaseException as error:
            PyErr_SetObject(type(error), error)
            return PYGEN_ERROR
    if self.state == PENDING:
        self.blocking = True
        Py_INCREF(self)
        result[0] = pointer
        return PYGEN_NEXT
    if self.state == CANCELLED:
        error = self._make_cancelled_error()
        PyErr_SetObject(type(error), error)
        return PYGEN_ERROR
    if self.exception_value is not None:
        self.exception_unseen = False
        error = self.exception_value.with_traceback(self.exception_traceback)
        PyErr_SetObject(type(error), error)
        return PYGEN_ERROR
    Py_INCREF(self.outcome)
    result[0] = <PyObject*>self.outcome
    return PYGEN_RETURN


_set_send(<PyTypeObject*>Request, _request_send)

# ---- the attributes that a task asks for, each time it waits ------------------------------------------------------------

cdef object _FUTURE_BLOCKING = "_asyncio_future_blocking"
cdef object _ADD_DONE_CALLBACK = "add_done_callback"
cdef object _GET_LOOP = "get_loop"
cdef object _RESULT = "result"


cdef object attribute_of_request(Request request, object name):
    if name is _FUTURE_BLOCKING:
        if request.state != NEW:
            return request.blocking
    elif name is _ADD_DONE_CALLBACK:
        return bound_call(request, <vectorcallfunc>_call_add_done_callback)
    elif name is _GET_LOOP:
        if request.reactor is not None and request.reactor.loop_getter is not None:
            return request.reactor.loop_getter
    # CPython 3.10 and 3.11 make a new string of it each time, whose hash is not known and which no cache of types knows.
    elif name is _RESULT or not PyUnicode_CHECK_INTERNED(name) and PyUnicode_CompareWithASCIIString(name, "result") == 0:
        return bound_call(request, <vectorcallfunc>_call_result)
    return PyObject_GenericGetAttr(request, name)


@cython.final
@cython.freelist(16)
cdef class BoundCall:
    """A bound method of a Request that costs no more than the call."""

    cdef vectorcallfunc call
    cdef Request request


cdef BoundCall bound_call(Request request, vectorcallfunc call):
    cdef BoundCall bound = BoundCall.__new__(BoundCall)
    bound.call = call
    bound.request = request
    return bound


cdef object _call_add_done_callback(PyObject* self, PyObject* const* arguments, size_t flags, PyObject* names):
    cdef Request request = (<BoundCall>self).request
    if PyVectorcall_NARGS(flags) == 1 and names != NULL and _is_context(<tuple>names):
        request.add_callback(<object>arguments[0], <object>arguments[1])
        return None
    return PyObject_Vectorcall(PyObject_GenericGetAttr(request, _ADD_DONE_CALLBACK), arguments, PyVectorcall_NARGS(flags), names)


cdef object _call_result(PyObject* self, PyObject* const* arguments, size_t flags, PyObject* names):
    cdef Request request = (<BoundCall>self).request
    if request.state == DONE and request.exception_value is None and PyVectorcall_NARGS(flags) == 0 and names == NULL:
        return request.outcome
    return PyObject_Vectorcall(PyObject_GenericGetAttr(request, _RESULT), arguments, PyVectorcall_NARGS(flags), names)


# asyncio's own tuple of keywords, which it makes once.
cdef tuple _context_keyword = ()


cdef bint _is_context(tuple names):
    global _context_keyword
    if names is _context_keyword:
        return True
    if names != ("context",):
        return False
    _context_keyword = names
    return True


cdef int _make_bound_calls_callable() except -1:
    cdef BoundCall some = BoundCall.__new__(BoundCall)
    _set_vectorcall(<PyTypeObject*>BoundCall, <char*>&some.call - <char*><void*>some)
    return 0


_make_bound_calls_callable()
