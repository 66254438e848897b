"""`python sandbox.py CALLS COMMAND…` runs the command under the seccomp filters that systemd would make of the unit: CALLS is a file with
the system calls that are allowed, one a line; the rest as in systemd.exec(5), MemoryDenyWriteExecute= and RestrictAddressFamilies=.

Stands alone (nothing of the tests is imported), since it runs as nobody. Needs libseccomp, which systemd brings.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

ALLOW = 0x7FFF0000
ERRNO = 0x00050000  # | the number
GREATER, MASKED = 6, 7  # SCMP_CMP_GT, SCMP_CMP_MASKED_EQ
PROT_WRITE, PROT_EXEC = 2, 4
AF_INET6 = 10  # the highest family that the unit allows


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: argument `arg` against `a` (and `b`)."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def main() -> None:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_release.argtypes = library.seccomp_load.argtypes = (ctypes.c_void_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison),
    )  # fmt: skip

    def rule(context: int, action: int, call: str, *comparisons: Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # there are calls that this machine's architecture has not
            array = (Comparison * len(comparisons))(*comparisons)
            _check(library.seccomp_rule_add_array(context, action, number, len(comparisons), array))

    restricted = library.seccomp_init(ALLOW)
    write_and_execute = PROT_WRITE | PROT_EXEC
    rule(restricted, ERRNO | errno.EPERM, "mmap", Comparison(2, MASKED, write_and_execute, write_and_execute))
    for call in ("mprotect", "pkey_mprotect"):
        rule(restricted, ERRNO | errno.EPERM, call, Comparison(2, MASKED, PROT_EXEC, PROT_EXEC))
    rule(restricted, ERRNO | errno.EAFNOSUPPORT, "socket", Comparison(0, GREATER, AF_INET6, 0))

    allowed = library.seccomp_init(ERRNO | errno.EPERM)
    for call in Path(sys.argv[1]).read_text().split():
        rule(allowed, ALLOW, call)
    rule(allowed, ALLOW, "seccomp")
    for context in (allowed, restricted):
        _check(library.seccomp_load(context))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 (no shell is wanted)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(-result, os.strerror(-result))


main()
