# Batches: several writes in one request.

cimport cython

_BATCH_TYPES = {"logged": 0, "unlogged": 1, "counter": 2}


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
        then). Raises TypeError, ValueError, OverflowError or BindError.
        """
        cdef Statement statement
        if isinstance(query, PreparedStatement):
            self.entries.append(bound(<PreparedStatement>query, parameters))
            return self
        if isinstance(query, Statement):
            if parameters is not None:
                raise TypeError("a Statement has its values already: give them to create_statement or bind")
            statement = <Statement>query
            return self.add(statement.query, statement.parameters)
        if not isinstance(query, str):
            raise TypeError(
                f"a batch takes a str, a PreparedStatement or a Statement, not {type(query).__name__}")
        refuse_percent_markers(query, parameters)
        self.entries.append((query, frozen_parameters(query, parameters)))
        return self

    def add_many(self, query, rows):
        """Adds a text or a PreparedStatement once for each of `rows`, any iterable of sequences or mappings; returns the batch.

        A mistake in a row raises as `add` does, naming the row's index, and leaves the batch as it was.
        """
        cdef Py_ssize_t row = 0
        if not isinstance(query, (PreparedStatement, str)):
            raise TypeError(f"add_many takes a str or a PreparedStatement, not {type(query).__name__}")
        added = []
        for parameters in rows:
            try:
                if isinstance(query, PreparedStatement):
                    added.append(bound(<PreparedStatement>query, parameters))
                else:
                    refuse_percent_markers(query, parameters)
                    added.append((query, frozen_parameters(query, parameters)))
            except (TypeError, ValueError, OverflowError, KeyError) as error:
                raise _same_error(error, f"row {row}: {error}") from error
            row += 1
        self.entries.extend(added)
        return self

    def __len__(self):
        return len(self.entries)

    def __repr__(self):
        return f"<Batch {self.kind}, {len(self.entries)} statements>"


@cython.final
@cython.freelist(256)
cdef class BoundValues:
    """A prepared statement within a batch: `.prepared`, its values, and the driver's statement that they were bound to. That
    one is not changed any more, so any number of batches may hold it."""

    @staticmethod
    def _of(PreparedStatement prepared not None, parameters, Py_ssize_t index):
        """What a text with values has become, entry `index` of its batch."""
        try:
            return bound(prepared, parameters)
        except (TypeError, ValueError, OverflowError, KeyError) as error:
            raise _same_error(error, f"statement {index} of the batch: {error}") from error


cdef BoundValues bound(PreparedStatement prepared, object parameters):
    cdef BoundValues made = BoundValues.__new__(BoundValues)
    made.prepared = prepared
    made.version = version_of(prepared)
    made.statement.reset(new_statement(made.version))
    made.parameters = bind_values(made.statement.get(), made.version, positional(parameters, made.version))
    return made


cdef object _same_error(object error, str text):
    return _errors.BindError(text) if isinstance(error, KeyError) else _same_class(error, text)


cdef CassBatch* new_batch(Batch batch, list entries, Options options) except NULL:
    """The driver's batch of entries of which no text has values any more."""
    cdef BatchHandle handle
    cdef StatementHandle text
    cdef BoundValues values
    cdef CassError code
    cdef Py_ssize_t index = 0
    handle.reset(driver.cass_batch_new(batch.type_code))
    try:
        for entry in entries:
            if isinstance(entry, BoundValues):
                values = <BoundValues>entry
                if values.version is not values.prepared.version:  # prepared anew since
                    values = bound(values.prepared, values.parameters)
                code = driver.cass_batch_add_statement(handle.get(), values.statement.get())
            else:
                text.reset(new_text_statement(entry[0]))
                code = driver.cass_batch_add_statement(handle.get(), text.get())
            if code != CASS_OK:
                check(code, f"statement {index} of the batch")
            index += 1
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise _same_error(error, f"statement {index} of the batch: {error}") from error
    options.apply_to_batch(handle.get())
    return handle.release()
