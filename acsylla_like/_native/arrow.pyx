# Results as Arrow data: record batches that are decoded without the GIL and handed over in capsules.

from errno import EIO as _errno_io

from cpython.exc cimport PyErr_Fetch, PyErr_Restore
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from cython.operator cimport dereference
from libc.stdlib cimport free, malloc

cdef int _EIO = _errno_io


# ---- capsules -----------------------------------------------------------------------------------------------------------
#
# Whoever takes a structure out of its capsule moves it, which leaves a null `release` behind.

cdef void _arrow_release_schema(object capsule) noexcept:
    cdef CArrowSchema* schema = <CArrowSchema*>PyCapsule_GetPointer(capsule, "arrow_schema")
    release_if_held(schema)
    free(schema)


cdef void _arrow_release_array(object capsule) noexcept:
    cdef CArrowArray* array = <CArrowArray*>PyCapsule_GetPointer(capsule, "arrow_array")
    release_if_held(array)
    free(array)


cdef void _arrow_release_stream(object capsule) noexcept:
    cdef CArrowArrayStream* stream = <CArrowArrayStream*>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    release_if_held(stream)
    free(stream)


cdef object _arrow_schema_capsule(ArrowSchema schema):
    cdef CArrowSchema* out = <CArrowSchema*>malloc(sizeof(CArrowSchema))
    if out == NULL:
        raise MemoryError()
    out.release = NULL
    capsule = PyCapsule_New(out, "arrow_schema", _arrow_release_schema)  # which owns it from here on
    export_schema(dereference(_arrow_fields(schema)), out)
    return capsule


cdef object _arrow_array_capsule(ArrowBatch batch):
    cdef CArrowArray* out = <CArrowArray*>malloc(sizeof(CArrowArray))
    if out == NULL:
        raise MemoryError()
    out.release = NULL
    capsule = PyCapsule_New(out, "arrow_array", _arrow_release_array)
    export_array(batch.data, out)
    return capsule


cdef object _arrow_stream_capsule(CArrowArrayStream** out):
    """A capsule for a stream, which the caller fills."""
    out[0] = <CArrowArrayStream*>malloc(sizeof(CArrowArrayStream))
    if out[0] == NULL:
        raise MemoryError()
    out[0].release = NULL
    return PyCapsule_New(out[0], "arrow_array_stream", _arrow_release_stream)


cdef int _arrow_check_requested(object requested_schema) except -1:
    """A wish for other types may be left to the consumer to fulfil; it must be one, though."""
    if requested_schema is not None and not PyCapsule_IsValid(requested_schema, "arrow_schema"):
        raise TypeError(f"requested_schema must be an arrow_schema capsule, not {type(requested_schema).__name__}")
    return 0


# ---- types --------------------------------------------------------------------------------------------------------------

@cython.final
cdef class ArrowSchema:
    """The columns of Arrow data: `.names`, and the CQL `.types` that their Arrow types follow from."""

    def __init__(self, names, types, decimals=None):
        if self.names is not None:
            raise TypeError("__init__ was called before")
        names, types = tuple(names), tuple(types)
        if len(names) != len(types):
            raise ValueError(f"{len(names)} names for {len(types)} types")
        for name, cql_type in zip(names, types):
            if not isinstance(name, str) or not isinstance(cql_type, CqlType):
                raise TypeError(f"names must be str and types CqlType, not {name!r} and {cql_type!r}")
        self.decimals = _arrow_decimals(names, types, decimals)
        self.types = types
        self.names = names
        self.fields.reset(self.prepare())

    cdef ArrowFields* prepare(self) except NULL:
        cdef ArrowFields* fields = new ArrowFields()
        cdef ArrowField field
        try:
            for name, cql_type in zip(self.names, self.types):
                field.name = (<str>name).encode("utf-8", "replace")
                field.type = _arrow_type(cql_type)
                if name in self.decimals:
                    field.type.precision, field.type.scale = self.decimals[name]
                fields.push_back(field)
        except BaseException:
            del fields
            raise
        return fields

    def __arrow_c_schema__(self):
        """A capsule with the schema, of a struct type whose fields are the columns."""
        return _arrow_schema_capsule(self)

    def __len__(self):
        _arrow_fields(self)
        return len(self.names)

    def __eq__(self, other):
        if not isinstance(other, ArrowSchema):
            return NotImplemented
        cdef ArrowSchema that = other
        return self.names == that.names and self.types == that.types and self.decimals == that.decimals

    def __hash__(self):
        return hash((self.names, self.types))

    def __reduce__(self):
        _arrow_fields(self)
        return (ArrowSchema, (self.names, self.types, self.decimals))

    def __repr__(self):
        columns = ", ".join([f"{name}: {cql_type}" for name, cql_type in zip(self.names or (), self.types or ())])
        return f"ArrowSchema({columns})"


cdef const ArrowFields* _arrow_fields(ArrowSchema schema) except NULL:
    if schema is None or schema.fields.get() == NULL:
        raise TypeError("this ArrowSchema was made by __new__")
    return schema.fields.get()


cdef ArrowType _arrow_type(CqlType cql_type) except *:
    cdef ArrowType made
    made.kind = cql_type.kind
    made.dimension = cql_type.dimension
    made.vector_width = cql_type.vector_width
    made.name = cql_type.name.encode("utf-8", "replace")
    for name in cql_type.field_names:
        made.field_names.push_back((<str>name).encode("utf-8", "replace"))
    for inner in cql_type.types:
        made.children.push_back(_arrow_type(inner))
    return made


cdef dict _arrow_decimals(tuple names, tuple types, object decimals):
    checked = {}
    for name, wanted in ({} if decimals is None else dict(decimals)).items():
        if name not in names:
            raise KeyError(f"decimals: no column {name!r} among {', '.join(names)}")
        cql_type = types[names.index(name)]
        if (<CqlType?>cql_type).kind not in (VALUE_DECIMAL, VALUE_VARINT):
            raise TypeError(f"decimals: column {name!r} is of type {cql_type}, neither decimal nor varint")
        try:
            precision, scale = wanted
        except (TypeError, ValueError):
            raise TypeError(f"decimals: (precision, scale) was expected for column {name!r}, not {wanted!r}") from None
        if type(precision) is not int or type(scale) is not int:
            raise TypeError(f"decimals: (precision, scale) of column {name!r} must be ints, not {wanted!r}")
        if not 1 <= precision <= 76 or not -76 <= scale <= 76:
            raise ValueError(f"decimals: column {name!r}: precision is 1 to 76 digits, scale -76 to 76, not {wanted!r}")
        checked[name] = (precision, scale)
    return checked


# ---- data ---------------------------------------------------------------------------------------------------------------

@cython.final
cdef class ArrowBatch:
    """A record batch: `.schema`, `.num_rows`; pyarrow, polars, pandas and others take it by its `__arrow_c_array__`."""

    def __arrow_c_array__(self, requested_schema=None):
        """Capsules with the schema and the data, which are shared and not copied; any number of times."""
        _arrow_check_requested(requested_schema)
        self._require()
        return _arrow_schema_capsule(self.schema), _arrow_array_capsule(self)

    def __arrow_c_schema__(self):
        """A capsule with the schema."""
        return _arrow_schema_capsule(self.schema)

    def _require(self):
        if self.data.get() == NULL:
            raise TypeError("this ArrowBatch was made by __new__")

    @property
    def num_rows(self):
        """How many rows it has."""
        self._require()
        return self.data.get().length

    def __len__(self):
        return self.num_rows

    def __repr__(self):
        return f"<ArrowBatch {self.num_rows if self.data.get() != NULL else 0} rows {self.schema!r}>"


@cython.final
cdef class ArrowTable:
    """Rows as Arrow data in memory: `.schema`, `.batches` (a tuple of ArrowBatch), `.num_rows`.

    pyarrow.table, polars.from_arrow, pandas and DuckDB take it by its `__arrow_c_stream__`, without copying and any number
    of times. It needs neither the session nor its event loop.
    """

    def __init__(self, ArrowSchema schema not None, batches=()):
        cdef ArrowBatch batch
        _arrow_fields(schema)
        batches = tuple(batches)
        for item in batches:
            batch = item
            batch._require()
            if batch.schema is not schema and batch.schema != schema:
                raise ValueError(f"a batch has other columns: {batch.schema!r}, not {schema!r}")
        self.schema = schema
        self.batches = batches
        self.num_rows = sum([len(item) for item in batches])

    def __arrow_c_stream__(self, requested_schema=None):
        """A capsule with a stream of the batches."""
        cdef CArrowArrayStream* out
        cdef vector[ArrowData] batches
        _arrow_check_requested(requested_schema)
        _arrow_fields(self.schema)
        for batch in self.batches:
            batches.push_back((<ArrowBatch>batch).data)
        capsule = _arrow_stream_capsule(&out)
        export_stream(self.schema.fields, batches, out)
        return capsule

    def __arrow_c_schema__(self):
        """A capsule with the schema."""
        return _arrow_schema_capsule(self.schema)

    def __len__(self):
        return self.num_rows

    def __repr__(self):
        return f"<ArrowTable {self.num_rows} rows in {len(self.batches or ())} batches {self.schema!r}>"


# ---- streams whose batches are still to come --------------------------------------------------------------------------------

cdef extern from "Python.h":
    bint Py_IsInitialized() nogil
    void PyErr_WriteUnraisable(object place)


@cython.final
cdef class _ArrowFeed:
    """What a stream of batches that are made when asked for holds: where they come from, and its last error."""
    cdef ArrowSchema schema
    cdef object source
    cdef bytes error


cdef int _arrow_feed_failed(_ArrowFeed feed, object error) noexcept:
    try:
        feed.error = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    except BaseException:  # whose text cannot be had
        feed.error = type(error).__name__.encode("utf-8", "replace")
    return _EIO


cdef int _arrow_feed_schema(CArrowArrayStream* stream, CArrowSchema* out) noexcept with gil:
    cdef _ArrowFeed feed = <_ArrowFeed>stream.private_data
    try:
        export_schema(dereference(_arrow_fields(feed.schema)), out)
    except BaseException as error:
        return _arrow_feed_failed(feed, error)
    return 0


cdef int _arrow_feed_next(CArrowArrayStream* stream, CArrowArray* out) noexcept with gil:
    # Whether or not the caller holds the GIL: waiting for a batch gives it away.
    cdef _ArrowFeed feed = <_ArrowFeed>stream.private_data
    cdef ArrowBatch batch
    out.release = NULL
    try:
        batch = feed.source.next_batch()
        if batch is None:
            feed.source.close()
        else:
            export_array(batch.data, out)
    except BaseException as error:
        return _arrow_feed_failed(feed, error)
    return 0


cdef const char* _arrow_feed_error(CArrowArrayStream* stream) noexcept with gil:
    cdef _ArrowFeed feed = <_ArrowFeed>stream.private_data
    if feed.error is None:
        return NULL
    return <const char*>feed.error


cdef void _arrow_feed_let_go(CArrowArrayStream* stream) noexcept with gil:
    # A capsule that nobody took goes wherever its last reference goes, in the middle of an exception's way, too.
    cdef PyObject* kind = NULL
    cdef PyObject* value = NULL
    cdef PyObject* traceback = NULL
    PyErr_Fetch(&kind, &value, &traceback)
    _arrow_feed_close(<_ArrowFeed>stream.private_data)
    PyErr_Restore(kind, value, traceback)


cdef void _arrow_feed_close(_ArrowFeed feed) noexcept:
    try:
        feed.source.close()
    except BaseException as error:
        PyErr_SetObject(type(error), error)
        PyErr_WriteUnraisable(feed.source)
    Py_DECREF(feed)


cdef void _arrow_feed_release(CArrowArrayStream* stream) noexcept nogil:
    if Py_IsInitialized():  # whoever comes after the interpreter has nothing to give back to
        _arrow_feed_let_go(stream)
    stream.release = NULL


def arrow_stream(ArrowSchema schema not None, source, requested_schema=None):
    """A capsule with a stream of the ArrowBatches that `source.next_batch()` returns, None after the last, in whatever thread
    the consumer runs. `source.close()` is called once at least: after the last, and when the stream is released."""
    cdef CArrowArrayStream* out
    cdef _ArrowFeed feed
    _arrow_check_requested(requested_schema)
    _arrow_fields(schema)
    feed = _ArrowFeed.__new__(_ArrowFeed)
    feed.schema = schema
    feed.source = source
    capsule = _arrow_stream_capsule(&out)
    out.get_schema = _arrow_feed_schema
    out.get_next = _arrow_feed_next
    out.get_last_error = _arrow_feed_error
    out.private_data = <void*>feed
    Py_INCREF(feed)
    out.release = _arrow_feed_release
    return capsule


# ---- decoding -----------------------------------------------------------------------------------------------------------

cdef ArrowSchema _arrow_schema_of(Result result, object decimals):
    if result.result_columns is None:
        raise ValueError("the result has no columns: only the answer to a SELECT or the like becomes Arrow data")
    return ArrowSchema(result.result_columns.names, result.result_columns.types, decimals)


cdef int _arrow_check_columns(Page page, ArrowSchema schema) except -1:
    if page.columns.types is not schema.types and (
            page.columns.types != schema.types or page.columns.names != schema.names):
        raise _errors.DecodeError("the columns changed from one page to the next: the schema was changed meanwhile")
    return 0


cdef list _arrow_decode(Result result, ArrowSchema schema, int64_t first_row, size_t batch_bytes):
    """The rows of a result as record batches; any thread, and without the GIL for nearly all of the time."""
    cdef const ArrowFields* fields = _arrow_fields(schema)
    cdef DecodedPage decoded
    cdef ArrowBatch batch
    cdef Page page
    cdef size_t i
    cdef list batches = []
    for page in pages_of(result):
        _arrow_check_columns(page, schema)
        with nogil:
            decoded = decode_page(page.result.get(), dereference(fields), batch_bytes)
        if not decoded.error.empty():
            column = f", column {schema.names[decoded.column]!r}" if decoded.column >= 0 else ""
            raise _errors.DecodeError(
                f"row {first_row + decoded.row}{column}: {decoded.error.decode('utf-8', 'replace')}")
        for i in range(decoded.batches.size()):
            batch = ArrowBatch.__new__(ArrowBatch)
            batch.schema = schema
            batch.data = decoded.batches[i]
            batches.append(batch)
        first_row += page.row_count
    return batches


cdef ArrowTable arrow_table(Result result, object decimals):
    cdef ArrowSchema schema = _arrow_schema_of(result, decimals)
    return ArrowTable(schema, _arrow_decode(result, schema, 0, arrow_batch_bytes))


def arrow_schema_of(Result result not None, decimals=None):
    """The schema that the rows of `result` have as Arrow data. Raises as `Result.to_arrow`."""
    return _arrow_schema_of(result, decimals)


def decode_arrow(Result result not None, ArrowSchema schema not None, int64_t first_row=0, size_t batch_bytes=0):
    """The rows of `result`, of which the first counts as `first_row`, as a list of ArrowBatch. Any thread.

    A batch is followed by another when it has grown beyond `batch_bytes` of the server's bytes. Raises DecodeError.
    """
    return _arrow_decode(result, schema, first_row, batch_bytes or arrow_batch_bytes)


def arrow_structures():
    """How many Arrow structures this process has handed out that nobody has released."""
    return exported_structures()
