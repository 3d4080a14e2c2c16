# Batches: several writes in one request.

cimport cython

_BATCH_TYPES = {"logged": 0, "unlogged": 1, "counter": 2}

# The protocol counts them in 16 bits, and the driver cuts the count without a word (2.16.2, BatchRequest::encode).
cdef Py_ssize_t _MOST_STATEMENTS = 0xFFFF


@cython.final
cdef class Batch:
    """Writes that travel together; made by `create_batch_logged`, `create_batch_unlogged` and `create_batch_counter`."""

    def __cinit__(self):
        self.kind = "unlogged"
        self.type_code = _BATCH_TYPES[self.kind]
        self.entries = []
        self.options = _NO_OPTIONS

    def __init__(self, str kind not None, Options options=None):
        if kind not in _BATCH_TYPES:
            raise ValueError(f"a batch is logged, unlogged or counter, not {kind!r}")
        self.kind = kind
        self.type_code = _BATCH_TYPES[kind]
        if options is not None:
            self.options = options

    def add(self, query, parameters=None):
        """Adds a text, a PreparedStatement or a Statement, with its values; returns the batch.

        The values of a prepared statement are checked here, those of a text when the batch is executed (it is prepared
        then). Raises TypeError, ValueError, OverflowError or BindError; ValueError for the 65,536th statement.
        """
        cdef Statement statement
        cdef BoundRows rows
        cdef bint is_new
        if isinstance(query, PreparedStatement):
            self.make_room(1)
            rows = self.open_rows
            is_new = rows is None or rows.is_binding or rows.prepared is not query or \
                rows.version is not (<PreparedStatement>query).version
            if is_new:
                rows = new_rows(<PreparedStatement>query)
            rows.add(parameters)
            if is_new:
                self.open_rows = rows
                self.entries.append(rows)
            self.count += 1
            return self
        if isinstance(query, Statement):
            if parameters is not None:
                raise TypeError("a Statement has its values already: give them to create_statement or bind")
            statement = <Statement>query
            return self.add(statement.query, statement.parameters)
        if not isinstance(query, str):
            raise TypeError(
                f"a batch takes a str, a PreparedStatement or a Statement, not {type(query).__name__}")
        self.make_room(1)
        self.entries.append(_text_with_values(query, parameters))
        self.open_rows = None
        self.count += 1
        return self

    def add_many(self, query, rows):
        """Adds a text or a PreparedStatement once for each of `rows`, any iterable of sequences or mappings; returns the batch.

        A mistake in a row raises as `add` does, naming the row's index, and leaves the batch as it was.
        """
        cdef BoundRows bound = None
        cdef list entries = []
        cdef Py_ssize_t row = 0
        cdef bint is_ours = False
        if isinstance(query, PreparedStatement):
            bound = new_rows(<PreparedStatement>query)
            entries.append(bound)
        elif not isinstance(query, str):
            raise TypeError(f"add_many takes a str or a PreparedStatement, not {type(query).__name__}")
        try:  # around the loop: entering it costs as much as encoding two ints
            for parameters in rows:
                is_ours = True
                self.make_room(row + 1)
                if bound is not None:
                    bound.add(parameters)
                else:
                    entries.append(_text_with_values(query, parameters))
                is_ours = False
                row += 1
        except (TypeError, ValueError, OverflowError, KeyError) as error:
            if is_ours:
                raise _same_error(error, f"row {row}: {error}") from error
            raise  # by whatever makes the rows
        if row != 0:
            self.make_room(row)  # the rows' own code may have added to this batch
            self.entries.extend(entries)
            self.open_rows = None
            self.count += row
        return self

    cdef int make_room(self, Py_ssize_t more) except -1:
        if self.count + more > _MOST_STATEMENTS:
            raise ValueError(f"a batch takes at most {_MOST_STATEMENTS:,} statements")
        return 0

    @property
    def _entries(self):
        return list(self.entries)

    def __len__(self):
        return self.count

    def __repr__(self):
        return f"<Batch {self.kind}, {self.count} statements>"


cdef tuple _text_with_values(str query, object parameters):
    refuse_percent_markers(query, parameters)
    return query, frozen_parameters(query, parameters)


@cython.final
cdef class BoundRows:
    """A prepared statement within a batch, with its rows: the driver's statements that their values were bound to, which do not
    change any more, so that any number of batches may hold them, and the values, in case it has to be prepared anew."""

    @staticmethod
    def _of(PreparedStatement prepared not None, parameters, Py_ssize_t index):
        """What a text with values has become, entry `index` of its batch."""
        cdef BoundRows made = new_rows(prepared)
        made.add_entry(parameters, index)
        return made

    @property
    def _first_row(self):
        return tuple([(<EncodedValue>value).decoded() if type(value) is EncodedValue else value
                      for value in self.values[:len(self.version.parameter_names)]])

    cdef int add(self, object parameters) except -1:
        """One row more. Raises, and has none more then."""
        cdef StatementHandle statement
        cdef tuple names = self.version.parameter_names
        cdef Py_ssize_t first = len(self.values)
        if type(parameters) is not list:
            self.values.extend(positional(parameters, self.version))
        elif len(<list>parameters) == len(names):
            self.values.extend(<list>parameters)
        else:
            raise ValueError(_count_message(len(<list>parameters), names))
        self.is_binding = True
        try:
            statement.reset(new_statement(self.version))
            bind_items(statement.get(), self.version, items_of_list(self.values) + first, self.values, first)
            self.statements.emplace_back(statement.release())
        except BaseException:
            del self.values[first:]
            self.is_binding = False
            raise
        self.is_binding = False
        return 0

    cdef BoundRows bound_anew(self, Py_ssize_t index):
        """The same rows for what the statement has become since; the first is entry `index` of the batch."""
        cdef BoundRows made = new_rows(self.prepared)
        cdef Py_ssize_t width = len(self.version.parameter_names)
        cdef size_t row
        for row in range(self.statements.size()):
            made.add_entry(self.values[row * width:(row + 1) * width], index + row)
        return made

    cdef int add_entry(self, object parameters, Py_ssize_t index) except -1:
        try:
            return self.add(parameters)
        except (TypeError, ValueError, OverflowError, KeyError) as error:
            raise _same_error(error, f"statement {index} of the batch: {error}") from error


cdef BoundRows new_rows(PreparedStatement prepared):
    cdef BoundRows made = BoundRows.__new__(BoundRows)
    made.prepared = prepared
    made.version = version_of(prepared)
    made.values = []
    return made


cdef object _same_error(object error, str text):
    return _errors.BindError(text) if isinstance(error, KeyError) else _same_class(error, text)


cdef CassBatch* new_batch(Batch batch, list entries, Options options) except NULL:
    """The driver's batch of entries of which no text has values any more."""
    cdef BatchHandle handle
    cdef StatementHandle text
    cdef BoundRows rows
    cdef CassError code = CASS_OK
    cdef Py_ssize_t index = 0
    cdef size_t row
    handle.reset(driver.cass_batch_new(batch.type_code))
    for entry in entries:
        if isinstance(entry, BoundRows):
            rows = <BoundRows>entry
            if rows.version is not rows.prepared.version:  # prepared anew since
                rows = rows.bound_anew(index)
            for row in range(rows.statements.size()):
                code = driver.cass_batch_add_statement(handle.get(), rows.statements[row].get())
                if code != CASS_OK:
                    break
                index += 1
        else:
            text.reset(new_text_statement(entry[0]))
            code = driver.cass_batch_add_statement(handle.get(), text.get())
            index += 1
        if code != CASS_OK:
            check(code, f"statement {index} of the batch")
    options.apply_to_batch(handle.get())
    return handle.release()
