# cython: language_level=3
# distutils: language=c++
"""The binding, in the order in which a request passes through it. One extension: the driver table and the mailbox must
exist once, and the classes know each other."""

include "_native/loader.pyx"
include "_native/errors.pyx"
include "_native/logging.pyx"
include "_native/types.pyx"
include "_native/type_names.pyx"
include "_native/encode.pyx"
include "_native/encode_nested.pyx"
include "_native/decode.pyx"
include "_native/decode_nested.pyx"
include "_native/statement.pyx"
include "_native/prepared.pyx"
include "_native/batch.pyx"
include "_native/reactor.pyx"
include "_native/request.pyx"
include "_native/awaiting.pyx"
include "_native/result.pyx"
include "_native/row_stream.pyx"
include "_native/cluster.pyx"
include "_native/session.pyx"
