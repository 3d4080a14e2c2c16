# Arrow data into a table: what came in a capsule, and the load that reads and sends it without the GIL.


@cython.final
cdef class ArrowInput:
    """A stream of record batches out of somebody's `__arrow_c_stream__` or `__arrow_c_array__`: `.names` of its columns.

    Raises TypeError for data without these, and for a stream of anything but structs.
    """

    def __cinit__(self):
        self.schema.release = NULL
        self.stream.release = NULL

    def __init__(self, data):
        cdef CArrowArrayStream* stream
        cdef int code = 0
        cdef const char* text = NULL
        if self.names is not None:
            raise TypeError("__init__ was called before")
        if hasattr(data, "__arrow_c_stream__"):
            capsule = data.__arrow_c_stream__()
            stream = <CArrowArrayStream*>PyCapsule_GetPointer(capsule, "arrow_array_stream")
            if stream.release == NULL:
                raise ValueError("the stream was consumed before")
            self.stream = stream[0]
            stream.release = NULL
        elif hasattr(data, "__arrow_c_array__"):
            schema, array = data.__arrow_c_array__()
            stream_of_array(<CArrowSchema*>PyCapsule_GetPointer(schema, "arrow_schema"),
                            <CArrowArray*>PyCapsule_GetPointer(array, "arrow_array"), &self.stream)
        else:
            raise TypeError(f"Arrow data has __arrow_c_stream__ or __arrow_c_array__, {type(data).__name__} has neither")
        with nogil:
            code = self.stream.get_schema(&self.stream, &self.schema)
        if code != 0:
            self.schema.release = NULL
            if self.stream.get_last_error != NULL:
                text = self.stream.get_last_error(&self.stream)
            raise ValueError(f"the stream has no schema: {(<bytes>text).decode('utf-8', 'replace') if text != NULL else code}")
        if self.schema.format == NULL or <bytes>self.schema.format != b"+s":
            raise TypeError(f"Arrow data of columns was expected, got values of format {(<bytes>self.schema.format).decode()!r}")
        names = []
        formats = []
        for i in range(self.schema.n_children):
            if self.schema.children == NULL or self.schema.children[i] == NULL or self.schema.children[i].format == NULL:
                raise ValueError(f"the schema of the stream lacks its column {i}")
            text = self.schema.children[i].name
            names.append("" if text == NULL else (<bytes>text).decode("utf-8", "replace"))
            formats.append((<bytes>self.schema.children[i].format).decode("utf-8", "replace"))
        self.formats = tuple(formats)
        self.names = tuple(names)

    def __dealloc__(self):
        release_if_held(&self.schema)
        release_if_held(&self.stream)


@cython.final
cdef class ArrowLoad:
    """Sends the rows of an ArrowInput with a prepared statement: `read()` and `send()` each in a thread of its own.

    The session must stay open until `send()` has returned. `children` are the columns of the input that become the statement's
    parameters, in their order; `keys` says of each whether it is of the primary key, `partition_keys` of the partition key.
    """

    def __init__(self, Session session not None, PreparedStatement prepared not None, ArrowInput data not None, children, keys,
                 partition_keys, *, Py_ssize_t concurrency, unsigned retries, bint stops, bint writes_nulls, bint truncate,
                 int64_t skip, Py_ssize_t batch_bytes, double max_rate, Options options not None):
        cdef LoadOptions chosen
        cdef LoadColumn column
        cdef vector[LoadColumn] columns
        cdef string problem
        if self.load.get() != NULL or data.stream.release == NULL:
            raise TypeError("this ArrowLoad, or its input, was used before")
        self.version = version_of(prepared)
        self.session = session
        self.names = self.version.parameter_names
        session.require_open()
        chosen.concurrency = concurrency
        chosen.retries = retries
        chosen.stops = stops
        chosen.writes_nulls = writes_nulls
        chosen.truncate = truncate
        chosen.skip = skip
        chosen.batch_bytes = batch_bytes
        chosen.max_rate = max_rate
        chosen.timeout = driver_milliseconds(session.effective_timeout(options))
        chosen.consistency = options.consistency
        if options.execution_profile is not None:
            chosen.execution_profile = options.execution_profile
        for index, (child, is_key, is_partition_key) in enumerate(zip(children, keys, partition_keys)):
            column.child = child
            column.name = (<str>self.names[index]).encode("utf-8", "replace")
            column.type = _arrow_type(self.version.parameter_types[index])
            column.is_key = is_key
            column.is_partition_key = is_partition_key
            column.data_type = self.version.data_types[<size_t>index]
            columns.push_back(column)
        self.load.reset(new CArrowLoad(&data.stream, session.owner.current(), self.version.handle.get(), chosen))
        problem = self.load.get().prepare(data.schema, columns)
        if not problem.empty():
            raise TypeError(problem.decode("utf-8", "replace"))

    cdef CArrowLoad* _made(self) except NULL:
        if self.load.get() == NULL:
            raise TypeError("this ArrowLoad was made by __new__")
        return self.load.get()

    def read(self):
        """Takes batches from the input until its end."""
        cdef CArrowLoad* load = self._made()
        with nogil:
            load.read()

    def send(self):
        """Sends the rows, and returns when all of them are answered."""
        cdef CArrowLoad* load = self._made()
        with nogil:
            load.send()

    def stop(self, str reason not None):
        """Has no further row sent, for this reason. Any thread."""
        self._made().stop(reason.encode())

    def counters(self):
        """(rows written, retries, requests in flight, the first row that is not settled, seconds within which 50, 95, 99 and 100 % of
        the rows were answered, rows failed, values cut). Any thread."""
        cdef LoadCounters counters = self._made().counters()
        return (counters.rows, counters.retries, counters.in_flight, counters.settled, tuple(counters.latencies),
                counters.failed, counters.truncated)

    def take_failures(self):
        """The failures since the last call, as (row, column or None, code or None, message, whether it may be written)."""
        cdef vector[LoadFailure] failures = self._made().take_failures()
        cdef size_t i
        found = []
        for i in range(failures.size()):
            column = self.names[failures[i].column] if failures[i].column >= 0 else None
            found.append((failures[i].row, column, failures[i].code if failures[i].code != CASS_OK else None,
                          failures[i].message.decode("utf-8", "replace"), bool(failures[i].may_be_written)))
        return found

    def stopped(self):
        """Why it ended before the last row, or an empty str."""
        return self._made().stopped().decode("utf-8", "replace")
