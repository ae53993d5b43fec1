"""A process that may compute, and nothing else: a filter of system calls, for code that a model wrote.

Once `confine` has returned, this process can use the files that it has open and the memory that it may have. All other
system calls fail with `EPERM`: no socket, no process or thread, no signal to others, no file opened. With `reading`,
files may be opened to be read, and folders listed, so that a library can load what it needs.

It is a seccomp filter, for Linux on x86-64 and AArch64, which needs no rights and can't be taken off again.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_COMPUTING = {
    "x86_64": "0 1 3 5 8 9 10 11 12 13 14 15 25 28 39 60 96 131 186 202 228 230 231 318",
    "aarch64": "63 64 57 80 62 222 226 215 214 134 135 139 216 233 172 93 169 132 178 98 113 115 94 278",
}
"""The numbers of read, write, close, fstat, lseek, mmap, mprotect, munmap, brk, rt_sigaction, rt_sigprocmask,
rt_sigreturn, mremap, madvise, getpid, exit, gettimeofday, sigaltstack, gettid, futex, clock_gettime, clock_nanosleep,
exit_group and getrandom."""
_READING = {"x86_64": "4 6 16 17 21 72 79 89 217 262 267 332", "aarch64": "79 29 67 48 25 17 78 61 291"}
"""stat, lstat, ioctl, pread64, access, fcntl, getcwd, readlink, getdents64, newfstatat, readlinkat and statx, as far as
the processor has them."""
_OPENAT = {"x86_64": 257, "aarch64": 56}
_KERNEL = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_PASS, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1 is EPERM
_NUMBER, _ARCHITECTURE, _FLAGS_OF_OPENAT = 0, 4, 32  # offsets in what the kernel shows to a filter
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2

Step = tuple[int, int, int, int]
"""An instruction of the filter: what it does, steps to jump if so and if not, its operand."""


def can_confine() -> bool:
    """Whether there is such a filter for this platform."""
    return sys.platform == "linux" and platform.machine() in _KERNEL


def confine(*, reading: bool = False) -> None:
    """Refuse this process, from now on and for good, what the module's docstring says.

    Raises `RuntimeError` where that can't be had, so that nothing is run without it.
    """
    if not can_confine():
        raise RuntimeError("code of a model can't be confined on this platform")
    steps = _steps(platform.machine(), reading)
    packed = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(packed, len(packed))
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(held)))
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or prctl(_SECCOMP, _FILTER, ctypes.addressof(program), 0, 0):
        raise RuntimeError("code of a model can't be confined by this kernel")


def _steps(machine: str, reading: bool) -> list[Step]:
    """The filter: an unknown processor ends the process, a call of the lists passes, any other is refused.

    A jump's figure is how many steps it leaves out. The last two steps pass and refuse.
    """
    calls = [int(number) for number in (_COMPUTING[machine] + " " + _READING[machine] * reading).split()]
    first: list[Step] = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _KERNEL[machine]), (_RETURN, 0, 0, _KILL)]
    opening: list[Step] = [
        (_EQUAL, 0, 3, _OPENAT[machine]),  # no opening: refuse
        (_LOAD, 0, 0, _FLAGS_OF_OPENAT),
        (_ANY_BIT, 1, 0, _CHANGING),  # opened to be changed: refuse
    ]
    between = opening if reading else [(_EQUAL, 1, 1, 0)]  # whatever it is: refuse
    listed: list[Step] = [(_EQUAL, len(calls) - place - 1 + len(between), 0, call) for place, call in enumerate(calls)]
    ends: list[Step] = [(_RETURN, 0, 0, _PASS), (_RETURN, 0, 0, _REFUSE)]
    return [*first, (_LOAD, 0, 0, _NUMBER), *listed, *between, *ends]
