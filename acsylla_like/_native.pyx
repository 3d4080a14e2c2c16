# cython: language_level=3, embedsignature=False, freethreading_compatible=False
# distutils: language=c++
"""The binding, in the order in which a request passes through it. One extension: the driver table and the mailbox must
exist once, and the classes know each other."""

include "_native/loader.pyx"
include "_native/types.pyx"
include "_native/encode.pyx"
include "_native/decode.pyx"
