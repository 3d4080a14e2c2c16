# Results, pages and rows: a row is decoded when it is first asked for.

from collections.abc import Sequence as _Sequence

cimport cython
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_New, PyTuple_SET_ITEM

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(void* tracked)


@cython.final
cdef class Columns:
    """The names and types of a result's columns, shared by its rows."""

    def __init__(self, names, types):
        self.names = tuple(names)
        self.types = tuple(types)
        self.holds_no_containers = all([type(cql_type) is CqlType and not (<CqlType>cql_type).types for cql_type in types])
        self._index()

    cdef int _index(self) except -1:
        cdef Py_ssize_t i
        self.index_of = {}
        for i in range(len(self.names) - 1, -1, -1):  # backwards, so that the first of duplicates stays
            self.index_of[self.names[i]] = i
        return 0

    def __reduce__(self):
        return (Columns, (self.names, tuple([str(column_type) for column_type in self.types])))


cdef Columns _NO_COLUMNS = Columns((), ())


class Column:
    """A column of a result: `.name` and `.type` (a CqlType; its str is the CQL type)."""

    __slots__ = ("name", "type")

    def __init__(self, name, type):
        self.name = name
        self.type = type

    def __repr__(self):
        return f"Column({self.name!r}, {str(self.type)!r})"

    def __eq__(self, other):
        return isinstance(other, Column) and (self.name, str(self.type)) == (other.name, str(other.type))

    def __hash__(self):
        return hash((self.name, str(self.type)))


cdef Columns columns_of(const CassResult* result, PreparedVersion version, Session session):
    """The columns of a result; those of a prepared statement's last result where the metadata is the same object.

    The driver's object for the first column stands for the metadata. It lives as long as the driver's entry for the
    statement, which is replaced only when the statement is prepared again: by us, which `prepares` counts, or by the driver
    on the way of an execution, which then brings the new object or fails (and clears `version.columns`).
    """
    cdef size_t count = driver.cass_result_column_count(result)
    cdef const CassDataType* identity = driver.cass_result_column_data_type(result, 0) if count != 0 else NULL
    cdef const char* name = NULL
    cdef size_t length = 0
    cdef size_t i
    cdef Columns columns
    if version is not None and version.columns is not None and identity != NULL and \
            version.columns.identity == identity and version.columns.prepares == session.prepares and \
            version.session_number == session.number and <size_t>len(version.columns.names) == count:
        return version.columns
    if count == 0:
        return _NO_COLUMNS
    names = []
    types = []
    for i in range(count):
        check(driver.cass_result_column_name(result, i, &name, &length), "the name of a column")
        names.append(_sys.intern(name[:length].decode("utf-8", "replace")))
        types.append(cql_type_from_driver(driver.cass_result_column_data_type(result, i), session.user_types))
    columns = Columns(names, types)
    # Another session's answers bring metadata of their own, whose address says nothing.
    if version is not None and not version.runs_unprepared and version.session_number == session.number:
        columns.identity = identity
        columns.prepares = session.prepares
        version.columns = columns
    return columns


@cython.final
@cython.freelist(64)
cdef class Page:
    """One answer of the server."""


@cython.final
@cython.freelist(8)
cdef class RowReader:
    """Decodes the rows of a result, from the first on; each reader walks its pages by itself."""

    cdef Row read(self):
        """The next row, or None after the last. Raises DecodeError, and goes on raising it."""
        cdef Columns columns
        cdef tuple values
        cdef Py_ssize_t column = 0
        if self.failure is not None:
            raise self.failure
        try:
            while self.page is None or self.next_row == self.page.row_count:
                if not self.turn_page():
                    return None
            columns = self.page.columns
            values = PyTuple_New(len(columns.types))
            if self.cell != NULL:
                self.walk_cells(columns, values, &column)
            else:
                self.take_cells(columns, values, &column)
        except _errors.DecodeError as error:
            self.failure = self.named(error, column)
            raise self.failure from None
        self.next_row += 1
        return new_row(columns, values)

    cdef bint turn_page(self) except -1:
        """Opens the next page; False after the last."""
        cdef Page page = self.only_page
        cdef RowsFound found = ROWS_UNKNOWN
        if self.pages is not None:
            page = <Page>self.pages[self.next_page] if self.next_page < len(self.pages) else None
            self.next_page += 1
        self.only_page = None
        if page is None:
            return False
        self.page = page
        self.next_row = 0
        self.cell = NULL
        if page.row_count > 1:  # the driver has decoded the first row, which needs no iterator
            self.iterator.reset(driver.cass_iterator_from_result(page.result.get()))
            if page.columns.types:
                found = find_rows(page.result.get(), self.iterator.get(), len(page.columns.types), &self.cell, &self.end)
            if found == ROWS_TRUNCATED:
                raise _errors.DecodeError("the answer was truncated on its way")
            if found == ROWS_UNKNOWN:
                self.cell = NULL
        return True

    cdef int walk_cells(self, Columns columns, tuple values, Py_ssize_t* column) except -1:
        """A row straight from the answer's bytes; every length is compared with the bytes that remain."""
        cdef tuple types = columns.types
        cdef Py_ssize_t count = len(types)
        cdef const uint8_t* cell = self.cell
        cdef const uint8_t* end = self.end
        cdef int32_t length
        cdef object decoded
        column[0] = 0
        while column[0] < count:
            if end - cell < 4:
                raise _errors.DecodeError("the answer was truncated on its way")
            length = load[int32_t](cell)
            cell += 4
            if length < 0:
                decoded = None
            elif length > end - cell:
                raise _errors.DecodeError("the answer was truncated on its way")
            else:
                decoded = decode_cell(<CqlType>PyTuple_GET_ITEM(types, column[0]), cell, length)
                cell += length
            Py_INCREF(decoded)
            PyTuple_SET_ITEM(values, column[0], decoded)
            column[0] += 1
        self.cell = cell
        return 0

    cdef int take_cells(self, Columns columns, tuple values, Py_ssize_t* column) except -1:
        """A row by way of the driver: the only one of an answer, or any with a library whose answers we cannot walk."""
        cdef tuple types = columns.types
        cdef Py_ssize_t count = len(types)
        cdef const CassRow* row
        cdef const CassValue* value
        cdef object decoded
        if self.page.row_count == 1:
            row = driver.cass_result_first_row(self.page.result.get())
        else:
            row = driver.cass_iterator_get_row(self.iterator.get()) if driver.cass_iterator_next(self.iterator.get()) else NULL
        if row == NULL:
            raise _errors.DecodeError("the answer was truncated on its way")
        column[0] = 0
        while column[0] < count:
            value = driver.cass_row_get_column(row, column[0])
            if value == NULL:
                raise _errors.DecodeError("it is missing")
            decoded = decode_column(<CqlType>PyTuple_GET_ITEM(types, column[0]), value)
            Py_INCREF(decoded)
            PyTuple_SET_ITEM(values, column[0], decoded)
            column[0] += 1
        return 0

    cdef object named(self, object error, Py_ssize_t column):
        """The error with its place."""
        cdef tuple names = self.page.columns.names
        name = f", column {names[column]!r}" if column < len(names) else ""
        return _errors.DecodeError(f"row {self.next_row} of {self.page.row_count}{name}: {error}")


cdef RowReader new_reader(Result result):
    cdef RowReader reader = RowReader.__new__(RowReader)
    reader.only_page = result.only_page
    reader.pages = result.pages
    return reader


cdef Page new_page(CassFuture* future, PreparedVersion version, Session session):
    cdef Page page = Page.__new__(Page)
    page.result.reset(driver.cass_future_get_result(future))
    if page.result.get() == NULL:
        raise _errors.ProtocolError("the server's answer is no result")
    page.columns = columns_of(page.result.get(), version, session)
    page.row_count = <Py_ssize_t>driver.cass_result_row_count(page.result.get())
    if not 0 <= page.row_count <= 0x7FFFFFFF:  # the protocol's count is a signed word, the driver's is not
        raise _errors.DecodeError(f"the answer says that it has {<int32_t>page.row_count} rows")
    return page


# ---- rows -------------------------------------------------------------------------------------------------------------

@cython.final
@cython.freelist(1024)
cdef class Row:
    """A row: a sequence of values that also knows them by name.

    `row[0]`, `row["name"]` and `row.name`; it iterates over values, and equals and hashes like the tuple of them. Of columns
    of the same name, the name reaches the first; the methods win over columns of their name.
    """

    def __init__(self, names, values):
        self.row_values = tuple(values)
        self.row_columns = Columns(names, [None] * len(self.row_values))
        if len(self.row_columns.names) != len(self.row_values):
            raise ValueError(f"{len(self.row_columns.names)} names for {len(self.row_values)} values")

    def as_dict(self):
        """The values by name, as a new dict."""
        columns = _columns_of_row(self)
        return {name: self.row_values[columns.index_of[name]] for name in columns.names}

    def as_tuple(self):
        """The values as a tuple."""
        return _values_of_row(self)

    def __len__(self):
        return len(_values_of_row(self))

    def __iter__(self):
        return iter(_values_of_row(self))

    def __contains__(self, value):
        return value in _values_of_row(self)

    def __getitem__(self, key):
        if isinstance(key, str):
            index = _columns_of_row(self).index_of.get(key)
            if index is None:
                raise KeyError(f"no column {key!r} among {', '.join(self.row_columns.names)}")
            return self.row_values[index]
        return _values_of_row(self)[key]

    def __getattr__(self, str name):
        index = _columns_of_row(self).index_of.get(name)
        if index is None:
            raise AttributeError(f"no column {name!r} among {', '.join(self.row_columns.names)}")
        return self.row_values[index]

    def __dir__(self):
        return [*object.__dir__(self), *_columns_of_row(self).names]

    def __eq__(self, other):
        if isinstance(other, Row):
            return _values_of_row(self) == (<Row>other).row_values
        if isinstance(other, tuple):
            return _values_of_row(self) == other
        return NotImplemented

    def __lt__(self, other):
        return _values_of_row(self) < _comparable(other)

    def __le__(self, other):
        return _values_of_row(self) <= _comparable(other)

    def __gt__(self, other):
        return _values_of_row(self) > _comparable(other)

    def __ge__(self, other):
        return _values_of_row(self) >= _comparable(other)

    def __hash__(self):
        return hash(_values_of_row(self))

    def __repr__(self):
        if self.row_columns is None or self.row_values is None:
            return "Row()"  # made by __new__
        return f"Row({', '.join(f'{name}={value!r}' for name, value in zip(_columns_of_row(self).names, self.row_values))})"

    def __reduce__(self):
        return (Row, (_columns_of_row(self).names, self.row_values))

    def __copy__(self):
        return self


cdef inline Row new_row(Columns columns, tuple values):
    cdef Row row = Row.__new__(Row)
    row.row_columns = columns
    row.row_values = values
    if columns.holds_no_containers:
        # No cycle can go through it: thousands of rows need not be walked by the garbage collector again and again.
        PyObject_GC_UnTrack(<void*>values)
        PyObject_GC_UnTrack(<void*>row)
    return row


cdef inline tuple _values_of_row(Row row):
    if row.row_values is None:
        raise TypeError("this Row was made by __new__ and has no values")
    return row.row_values


cdef inline Columns _columns_of_row(Row row):
    if row.row_columns is None:
        raise AttributeError("this Row was made by __new__ and has no columns")
    return row.row_columns


cdef object _comparable(object other):
    return (<Row>other).row_values if isinstance(other, Row) else other


# ---- results ----------------------------------------------------------------------------------------------------------

@cython.final
@cython.freelist(64)
cdef class Result:
    """The answer to a request: a sequence of its rows.

    `len`, index, slice and iteration are over the rows that are here: all of them, or those of one page when a page_size
    was given. `async for` goes on through later pages.
    """

    cdef int decode_until(self, Py_ssize_t count) except -1:
        """Decodes so that the first `count` rows can be taken by index."""
        if self.reader is None:
            self.reader = new_reader(self)
            self.decoded_rows = []
        while len(self.decoded_rows) < count:
            self.decoded_rows.append(self.reader.read())
        return 0

    def __len__(self):
        return self.row_count

    def __getitem__(self, key):
        cdef Py_ssize_t index
        if isinstance(key, slice):
            return self.all()[key]
        try:
            index = key
        except OverflowError:
            raise IndexError(f"row {key} of {self.row_count}") from None
        if index < 0:
            index += self.row_count
        if not 0 <= index < self.row_count:
            raise IndexError(f"row {key} of {self.row_count}")
        self.decode_until(index + 1)
        return self.decoded_rows[index]

    def __iter__(self):
        cdef ResultIterator iterator = ResultIterator.__new__(ResultIterator)
        if self.row_count != 0:
            iterator.reader = new_reader(self)
            iterator.left = self.row_count
        return iterator

    def __aiter__(self):
        from acsylla_like.paging import rows_of_all_pages
        return rows_of_all_pages(self)

    def index(self, value, start=0, stop=None):
        """The index of the first row that equals `value`. Raises ValueError when there is none."""
        return self.all().index(value, start, self.row_count if stop is None else stop)

    def count(self, value):
        """How many rows equal `value`."""
        return self.all().count(value)

    def next_page(self):
        """Awaits to the Result of the page after this one.

        Raises LookupError when this is the last page (`.has_more_pages`).
        """
        if not self.has_more_pages:
            raise LookupError("this is the last page")
        session, query, parameters, options = self.origin
        return session._execute_with(query, parameters, (<Options>options).with_changes(paging_state=self.paging_state))

    def all(self):
        """The rows as a list."""
        return list(self)

    def first(self):
        """The first row, or None."""
        return self[0] if self.row_count else None

    def one(self):
        """The first row, or None (as in the official drivers)."""
        return self.first()

    def single(self):
        """The only row. Raises NotSingleRow when there is none, or more than one."""
        if self.row_count != 1 or self.has_more_pages:
            count = f"{self.row_count} or more" if self.has_more_pages else self.row_count
            raise _errors.NotSingleRow(f"exactly one row was expected, the result has {count}")
        return self[0]

    def into(self, cls):
        """The rows as objects of `cls`, a dataclass, NamedTuple or other callable that takes the columns as keywords.

        Raises TypeError when the columns do not fit.
        """
        from acsylla_like.rows import into
        return into(self, cls)

    def to_arrow(self, *, decimals=None):
        """The rows that are here as an `ArrowTable`, decoded anew from the server's bytes on this thread, without the GIL.

        `decimals` maps names of decimal and varint columns to (precision, scale): those become Arrow decimals, with values
        that fit exactly or a DecodeError; without it they are text, since each value carries a scale of its own.

        Raises DecodeError with row (from 0 on) and column; ValueError for an answer without columns; KeyError, TypeError or
        ValueError for decimals that do not fit the columns.
        """
        return arrow_table(self, decimals)

    @property
    def columns(self):
        """The columns as a tuple of `Column`; empty when the answer has no rows to it."""
        if self.result_columns is None:
            return ()
        return tuple([Column(name, cql_type) for name, cql_type in
                      zip(self.result_columns.names, self.result_columns.types)])

    @property
    def _shape(self):
        """(names, types) of the columns, the same tuples for results of the same metadata."""
        return ((), ()) if self.result_columns is None else (self.result_columns.names, self.result_columns.types)

    @property
    def applied(self):
        """Whether a conditional statement was applied; None for one without a condition."""
        if self.result_columns is None or not self.row_count or "[applied]" not in self.result_columns.index_of:
            return None
        return self[0]["[applied]"]

    @property
    def coordinator(self):
        """The node that answered (of the last page), or None where the driver library cannot tell."""
        if self.coordinator_value is None and self.future.get() != NULL:
            self.coordinator_value = coordinator_of(self.future.get())
        return self.coordinator_value

    @property
    def tracing_id(self):
        """The UUID of the trace when tracing was asked for, else None."""
        cdef CassUuid tracing_id
        if self.future.get() == NULL or driver.cass_future_tracing_id(self.future.get(), &tracing_id) != CASS_OK:
            return None
        return uuid_of(tracing_id)

    @property
    def custom_payload(self):
        """What the server sent beside the result, as a dict of bytes by name."""
        cdef const char* name = NULL
        cdef size_t length = 0
        cdef const uint8_t* value = NULL
        cdef size_t size = 0
        cdef size_t i
        payload = {}
        if self.future.get() != NULL:
            for i in range(driver.cass_future_custom_payload_item_count(self.future.get())):
                check(driver.cass_future_custom_payload_item(self.future.get(), i, &name, &length, &value, &size),
                      "an item of the custom payload")
                payload[name[:length].decode("utf-8", "replace")] = (<const char*>value)[:size]
        return payload

    def __repr__(self):
        names = ", ".join(self.result_columns.names) if self.result_columns is not None else ""
        return f"<Result {self.row_count} rows ({names}){', more pages' if self.has_more_pages else ''}>"


_Sequence.register(Result)


@cython.final
@cython.freelist(8)
cdef class ResultIterator:
    """Walks the rows of a Result; several may walk it at once."""

    def __iter__(self):
        return self

    def __next__(self):
        cdef Row row = None if self.reader is None else self.reader.read()
        if row is None:
            self.reader = None
            raise StopIteration
        self.left -= 1
        return row

    def __length_hint__(self):
        return self.left


cdef Result new_result(Request request, Page last):
    """The result of a request whose last page is `last`; takes its future."""
    cdef Result result = Result.__new__(Result)
    cdef const char* token = NULL
    cdef size_t size = 0
    cdef Page page
    result.row_count = last.row_count
    if request.pages is not None:
        for page in request.pages:
            result.row_count += page.row_count
        request.pages.append(last)
        result.pages = request.pages
    elif last.row_count != 0:
        result.only_page = last
    result.result_columns = last.columns if last.columns.names else None
    result.future.reset(request.future.release())
    if driver.cass_result_has_more_pages(last.result.get()):
        check(driver.cass_result_paging_state_token(last.result.get(), &token, &size), "the paging state")
        result.has_more_pages = True
        result.paging_state = token[:size]
        result.origin = (request.session, request.query, request.parameters, request.options)
    return result


cdef list pages_of(Result result):
    """The pages that have rows, and perhaps empty ones."""
    if result.pages is not None:
        return result.pages
    return [] if result.only_page is None else [result.only_page]
