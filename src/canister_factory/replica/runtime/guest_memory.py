"""A canister's memory as host functions reach it: bounds-checked, charged one instruction for a byte.

Owns: bounds, the view of the linear memory, instructions charged by the host. Does not own: transactions.
"""

from __future__ import annotations

from typing import Final

from canister_factory.replica.runtime.host_interface import HostTrapError
from canister_factory.replica.runtime.linux_pages import expect_writes
from canister_factory.replica.runtime.memory import memory_view
from canister_factory.replica.runtime.wasmtime_ffi import WasmInstance

# Charges gather up to this many instructions before they are taken from the fuel, which costs two microseconds.
_GATHERED: Final = 50_000
_MANY_PAGES_BYTES: Final = 1 << 17


class InstructionLimitReachedError(Exception):
    """The instructions charged by host functions don't fit into the execution's limit any more."""


class GuestMemory:
    """Access to the linear memory of the instance that it is attached to, and that instance's instruction counter."""

    def __init__(self) -> None:
        self._instance: WasmInstance | None = None
        self._view = memoryview(bytearray())
        self._length = 0
        self._limit = 0
        self._owed = 0
        self._slice = 0  # the present slice's instructions
        self._slice_end = 0  # the fuel that is left when the present slice ends

    def attach(self, instance: WasmInstance | None) -> None:
        """Uses another instance from now on; None before the present one is closed."""
        self._instance = instance
        self._view = memoryview(bytearray())
        self._length = 0

    def begin(self, instruction_limit: int, slice_instructions: int) -> None:
        """Starts counting an execution's instructions, at most `instruction_limit`; its first slice begins."""
        assert self._instance is not None
        self._limit = instruction_limit
        self._owed = 0
        self._slice_end = instruction_limit - slice_instructions
        self._slice = slice_instructions
        self._instance.slice_after(slice_instructions)
        self._instance.set_fuel(instruction_limit)

    def next_slice(self, instructions: int) -> None:
        """The next slice begins: to be called between two."""
        assert self._instance is not None
        self._slice_end -= instructions  # a little later in fact: a slice ends between two blocks of code
        self._slice = instructions
        self._instance.slice_after(instructions)

    def instructions_used(self) -> int:
        """Executed and charged since `begin`; never more than the limit."""
        assert self._instance is not None
        return min(self._limit, self._limit - self._instance.fuel() + self._owed)

    def settle(self) -> None:
        """Takes gathered charges from the fuel.

        Raises:
            InstructionLimitReachedError: it doesn't suffice.
        """
        assert self._instance is not None
        left = self._instance.fuel() - self._owed
        if left < 0:
            raise InstructionLimitReachedError
        # What the host did counts for the slice too: setting the fuel alone would begin a new one each time.
        rest = max(1, min(left - self._slice_end, self._slice))
        self._slice_end = left - rest
        self._instance.slice_after(rest)
        self._instance.set_fuel(left)
        self._owed = 0

    def charge(self, instructions: int) -> None:
        """Counts what the host does as so many instructions.

        Raises:
            InstructionLimitReachedError: it is too much.
        """
        self._owed += instructions
        if self._owed > _GATHERED:
            self.settle()

    def require_paid(self) -> None:
        """To be called at the end of an execution.

        Raises:
            InstructionLimitReachedError: what was charged is more than what was left.
        """
        assert self._instance is not None
        if self._owed > self._instance.fuel():
            raise InstructionLimitReachedError

    def view(self, start: int, size: int) -> memoryview:
        """A writable view of `size` bytes of the memory, which are charged; not to be kept.

        Raises:
            HostTrapError: not all of it lies within the memory.
            InstructionLimitReachedError: the charge is too much.
        """
        self.require(start, size)
        self._owed += size
        if self._owed > _GATHERED:
            self.settle()
        return self._view[start : start + size]

    def target(self, start: int, size: int) -> memoryview:
        """The same as `view`, of what is to be overwritten whole.

        Raises:
            HostTrapError, InstructionLimitReachedError: as `view`.
        """
        view = self.view(start, size)
        if size >= _MANY_PAGES_BYTES:
            assert self._instance is not None
            expect_writes(self._instance.memory_base() + start, size)
        return view

    def require(self, start: int, size: int) -> None:
        """Refuses what doesn't lie within the memory.

        Raises:
            HostTrapError: not all of it does.
        """
        end = start + size
        if end > self._length:
            self._refresh()
            if end > self._length:
                raise HostTrapError("IC0502", "trapped: heap out of bounds")

    def peek(self, start: int, size: int) -> bytes:
        """A copy of `size` bytes that the caller charges.

        Raises:
            HostTrapError: not all of it lies within the memory.
        """
        self.require(start, size)
        return bytes(self._view[start : start + size])

    def read(self, start: int, size: int) -> bytes:
        """A copy of `size` bytes, which are charged.

        Raises:
            HostTrapError, InstructionLimitReachedError: as `view`.
        """
        return bytes(self.view(start, size))

    def write(self, start: int, data: bytes) -> None:
        """Overwrites the memory from `start`, which is charged.

        Raises:
            HostTrapError, InstructionLimitReachedError: as `view`.
        """
        self.target(start, len(data))[:] = data

    def _refresh(self) -> None:
        assert self._instance is not None
        length = self._instance.memory_bytes()
        if length != self._length:
            self._length = length
            self._view = memory_view(self._instance.memory_base(), length)
