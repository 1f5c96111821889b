"""Remembering: the result of a pure function is looked up by what the function was called with.

A key is the digest of the function's name, of the generator's own code, and of every argument, so there
is nothing to invalidate: another input is another key. What is stored is data with a checksum, and a
value that cannot be read back, for whatever reason, was never there.

`Plain` calls functions, `Memo` looks their results up first; a pipeline is given one of them and cannot
tell which.
"""

from __future__ import annotations

from generator.memo.callers import Caller, Memo, Plain
from generator.memo.code import LIBRARIES, code_version
from generator.memo.encoding import Codec, codec, decode, encode, flatten
from generator.memo.keys import canonical, digest
from generator.memo.stores import BatchStore, FileStore, SqliteStore, Store
from generator.memo.team import WorkerCrash, available_jobs, compute, undisturbed

__all__ = [
    "LIBRARIES",
    "BatchStore",
    "Caller",
    "Codec",
    "FileStore",
    "Memo",
    "Plain",
    "SqliteStore",
    "Store",
    "WorkerCrash",
    "available_jobs",
    "canonical",
    "code_version",
    "codec",
    "compute",
    "decode",
    "digest",
    "encode",
    "flatten",
    "undisturbed",
]
