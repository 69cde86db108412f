"""What Linux tells of a process's pages, and does with them: `PAGEMAP_SCAN`, mappings at given addresses.

Owns the declarations (Documentation/admin-guide/mm/pagemap.rst, include/uapi/linux/fs.h). Does not own what is mapped
(`copy_on_write`).
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import sys

PAGEMAP_SCAN = 0xC0606610
PAGE_IS_FILE, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_ZERO = 4, 8, 16, 32
MADV_POPULATE_WRITE = 23
_MAP_FIXED, _MAP_NORESERVE = 0x10, 0x4000
_PROT_NONE = 0


class PageRegion(ctypes.Structure):
    """`struct page_region`."""

    _fields_ = (("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("categories", ctypes.c_uint64))


class ScanArguments(ctypes.Structure):
    """`struct pm_scan_arg`."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages"),
            *("category_inverted", "category_mask", "category_anyof_mask", "return_mask"),
        )
    )


def files_allowed() -> int:
    """How many files this process may have open."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library, for addresses that Python's own modules don't take."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_longlong)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.pwrite.restype = ctypes.c_ssize_t
    library.pwrite.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_longlong)
    return library


def map_privately(address: int, size: int, file: int, offset: int) -> None:
    """Puts a part of a file at an address, in the place of what is there."""
    _map(address, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, file, offset)


def map_nothing(address: int, size: int) -> None:
    """Keeps addresses, without anything there."""
    _map(address, size, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def expect_writes(address: int, size: int) -> None:
    """Makes pages writable that are all to be overwritten, at once: a fault for each of them takes half as long again.

    Only a hint: what can't be done, such as by an older kernel, happens page by page later.
    """
    if sys.platform == "linux":
        start = address & -mmap.PAGESIZE
        libc().madvise(start, address + size - start, MADV_POPULATE_WRITE)


def _map(address: int, size: int, access: int, flags: int, file: int, offset: int) -> None:
    if size:
        flags |= _MAP_FIXED | _MAP_NORESERVE
        checked(libc().mmap(address, size, access, flags, file, offset) == address)


@functools.cache
def pagemap(process: int) -> int:
    """This process's page map; a forked child must not read its parent's."""
    return os.open(f"/proc/{process}/pagemap", os.O_RDONLY | os.O_CLOEXEC)


def checked(succeeded: bool) -> None:
    """Raises what the C library's last call failed with."""
    if not succeeded:
        code = ctypes.get_errno()
        raise OSError(code, f"mapping a canister's memory failed: {os.strerror(code)}")
