# What acsylla_like.compat does for every value and every row, where Python would take longer than the request.

from cpython.object cimport PyTypeObject


cdef inline object _made_of(type cls):
    """As `cls.__new__(cls)`, which would look that up each time."""
    if cls is None:
        raise TypeError("what makes these was made by __new__")
    return (<PyTypeObject*>cls).tp_new(cls, <PyObject*>_NO_ARGUMENTS, NULL)


cdef tuple _NO_ARGUMENTS = ()


def fitting_values(tuple types not None, values, convert):
    """The values as the package binds them, as a list: those of the commonest types as they are, for the others what
    `convert(cql_type, value)` makes of them, which raises where they do not fit. No more values than types."""
    cdef list fitting = list(values)
    cdef CqlType cql_type
    cdef Py_ssize_t i
    if len(fitting) > len(types):
        raise ValueError(f"{len(fitting)} values for {len(types)} types")
    for i in range(len(fitting)):
        cql_type = <CqlType?>types[i]
        if not _fits(cql_type.kind, fitting[i]):
            fitting[i] = convert(cql_type, fitting[i])
    return fitting


cdef inline bint _fits(int kind, object value) except -1:
    cdef int overflow = 0
    cdef int64_t number
    if value is None or value is _UNSET:
        return True
    if kind == VALUE_INT:
        if type(value) is not int:
            return False
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        return not overflow and INT32_MIN <= number <= INT32_MAX
    if kind == VALUE_BIGINT or kind == VALUE_COUNTER:
        if type(value) is not int:
            return False
        PyLong_AsLongLongAndOverflow(value, &overflow)
        return not overflow
    if kind == VALUE_TEXT:
        return type(value) is str
    if kind == VALUE_DOUBLE:
        return type(value) is float
    if kind == VALUE_BLOB:
        return type(value) is bytes
    return kind == VALUE_BOOLEAN and PyBool_Check(value)


cdef class StatementParts:
    """What a statement of compat's is made of; see there."""

    def bind_list(self, values, value_types=None):
        """Binds values from left to right."""
        if self._version is None or value_types is not None or self._values is None or len(values) > len(self._values):
            return self._bind_each(values, value_types)
        cdef list fitting = fitting_values(self._version.parameter_types, values, self._convert)
        self._values = fitting if len(fitting) == len(self._values) else fitting + self._values[len(fitting):]


cdef StatementParts statement_like(StatementParts template, bint native_types):
    """A statement of the template's class and of its prepared statement, with no values yet."""
    cdef StatementParts made = _made_of(type(template))
    if not isinstance(template._query, PreparedStatement):
        raise TypeError("this statement is not of a prepared one")
    cdef PreparedVersion version = version_of(<PreparedStatement>template._query)
    made.session = template.session
    made._query = template._query
    made._version = version
    made._options = template._options
    made._made_options = template._made_options
    made._values = [_UNSET] * len(version.parameter_types)
    made.native_types = native_types or template.native_types
    return made


cdef class PreparedParts:
    """What a prepared statement of compat's is made of; see there."""

    def bind(self, parameters=None, page_size=None, page_state=None, timeout=None, consistency=None, serial_consistency=None,
             execution_profile=None, native_types=None):
        """A Statement with these values, a list or tuple, or a dict by name; those that are missing leave their columns alone."""
        if self._template is None:
            raise TypeError("this prepared statement was made by __new__")
        cdef StatementParts statement = statement_like(self._template, bool(native_types))
        if (page_size is not None or page_state is not None or timeout is not None or consistency is not None
                or serial_consistency is not None or execution_profile is not None):
            statement._configure(
                page_size, page_state, timeout or None, consistency, serial_consistency, execution_profile or None)
        if type(parameters) is list or type(parameters) is tuple:
            statement.bind_list(parameters)
        elif parameters is not None:
            statement._bind_all(parameters, None)
        return statement


cdef class BatchParts:
    """What a batch of compat's is made of; see there."""

    def add_statement(self, statement):
        """Adds a statement as it is now; what is bound to it later is not of this batch."""
        cdef StatementParts parts
        if not isinstance(statement, StatementParts) or self._statements is None:
            raise TypeError(f"a Statement can be added, not {type(statement).__name__}")
        parts = <StatementParts>statement
        if parts._version is not None:
            self._statements.append((parts._query, tuple(parts._values)))
        elif parts._values or parts._named:
            self._statements.append(parts._snapshot())  # its values have no types yet
        else:
            self._statements.append((parts._query, None))

    def _gathered(self, entries, Options options):
        """The package's batch of (text or prepared statement, values); None where something else is among them."""
        cdef Batch batch = Batch(self._kind, options)
        for entry in entries:
            if type(entry) is not tuple:
                return None
            query, values = <tuple>entry
            batch.add(query, values)
        return batch


def request_of(Session session not None, statement, native_types, Answers plain, Answers native):
    """The request that executes a statement of compat's, or None where there is more to it: mistakes, traces, options that were
    not looked at yet, values whose types are not known."""
    cdef StatementParts parts
    cdef object values = None
    if not session.is_open or not isinstance(statement, StatementParts):
        return None
    parts = <StatementParts>statement
    if parts.tracing_enabled or parts._made_options is None and parts._options:
        return None
    if parts._version is not None:
        values = parts._values
    elif parts._values or parts._named:
        return None
    if parts.native_types if native_types is None else native_types:
        plain = native
    return session._request(parts._query, values, parts._made_options, plain)


cdef class NamedResult:
    """A result whose rows are NamedRows; compat's Result derives from it."""

    def __init__(self, Result result not None, bint native_types, bint is_traced):
        self._result = result
        self.native_types = native_types
        if is_traced:
            tracing_id = result.tracing_id
            self.tracing_id = None if tracing_id is None else str(tracing_id)

    def __len__(self):
        return 0 if self._result is None else self._result.row_count

    def __iter__(self):
        return named_rows(self._result, self.native_types, self._rows_of_columns).of(self._result)

    def all(self):
        """The rows."""
        return named_rows(self._result, self.native_types, self._rows_of_columns).of(self._result)

    def first(self):
        """The first row, or None."""
        cdef NamedRows rows
        if self._result is None or self._result.row_count == 0:
            return None
        rows = named_rows(self._result, self.native_types, self._rows_of_columns)
        try:
            return rows._make(self._result[0])
        except _errors.Error as error:
            raise rows.translate(error) from error


@cython.final
cdef class Answers:
    """What those get who await a request of compat's: a result of that class, or what `translate` makes of an error."""

    def __init__(self, type result_class not None, bint native_types, bint is_traced, translate):
        if not issubclass(result_class, NamedResult):
            raise TypeError(f"results must be a NamedResult, not a {result_class.__name__}")
        self.result_class = result_class
        self.native_types = native_types
        self.is_traced = is_traced
        self.translate = translate

    cdef object result_of(self, object result):
        cdef NamedResult made
        if self.is_traced:
            return self.result_class(result, self.native_types, True)
        made = _made_of(self.result_class)
        made._result = result
        made.native_types = self.native_types
        return made

    cdef object error_of(self, object error):
        # A column's ValueError: what the server would have refused, as a key that is missing.
        is_known = isinstance(error, _errors.Error) or isinstance(error, ValueError) and hasattr(error, "column")
        return self.translate(error) if is_known else error


cdef class NamedRow:
    """A row's names and values; compat's Row derives from it."""

    def __init__(self, names, values):
        self._names = tuple(names)
        self._values = tuple(values)

    def __len__(self):
        return 0 if self._values is None else len(self._values)

    def __getattr__(self, str name):
        if self._names is not None and name in self._names:
            return self._values[self._names.index(name)]
        raise AttributeError(f"this row has no column {name!r}, but {', '.join(self._names or ())}")

    def as_list(self):
        """The values."""
        return list(self._values)

    def as_tuple(self):
        """The values."""
        return self._values


@cython.final
cdef class NamedRows:
    """Makes rows of a class, which derives from NamedRow, of those of results with the same columns; `reads` has for each column a
    function for its value, or None."""

    def __init__(self, type row_class not None, tuple names not None, reads, translate):
        if not issubclass(row_class, NamedRow):
            raise TypeError(f"rows must be a NamedRow, not a {row_class.__name__}")
        self.row_class = row_class
        self.names = names
        self.reads = [(index, read) for index, read in enumerate(reads) if read is not None]
        self.translate = translate

    def make(self, Row row not None):
        """The row of that class for one of a result's."""
        return self._make(row)

    cdef object _make(self, Row row):
        cdef NamedRow made = _made_of(self.row_class)
        cdef list values
        made._names = self.names
        made._values = _values_of_row(row)
        if self.reads:
            values = list(made._values)
            for index, read in self.reads:
                value = values[<Py_ssize_t>index]
                if value is not None:
                    values[<Py_ssize_t>index] = read(value)
            made._values = tuple(values)
        if self.holds_no_containers:  # as new_row does
            PyObject_GC_UnTrack(<void*>made._values)
            PyObject_GC_UnTrack(<void*>made)
        return made

    def of(self, Result result not None):
        """Iterates over the rows of a result; an Error on the way is raised as what `translate` makes of it."""
        cdef NamedRowIterator iterator = NamedRowIterator.__new__(NamedRowIterator)
        iterator.rows = self
        iterator.source = iter(result)
        return iterator


cpdef NamedRows named_rows(Result result, bint native_types, make):
    """The NamedRows of a result's columns: `make(names, types, native_types)`, called once for results of the same metadata."""
    if result is None:
        raise TypeError("this result was made by __new__")
    cdef Columns columns = _NO_COLUMNS if result.result_columns is None else result.result_columns
    cdef NamedRows rows = columns.native_rows if native_types else columns.plain_rows
    if rows is None:
        rows = <NamedRows?>make(columns.names, columns.types, native_types)
        if rows is None:
            raise TypeError("NamedRows are expected, not None")
        rows.holds_no_containers = columns.holds_no_containers
        if native_types:
            columns.native_rows = rows
        else:
            columns.plain_rows = rows
    return rows


@cython.final
cdef class NamedRowIterator:
    def __iter__(self):
        return self

    def __next__(self):
        cdef Row row = None
        if self.source is not None:
            try:
                row = None if self.source.reader is None else self.source.reader.read()
            except _errors.Error as error:
                raise self.rows.translate(error) from error
        if row is None:
            self.source = None
            raise StopIteration
        return self.rows._make(row)

    def close(self):
        """As of a generator."""
        self.source = None
