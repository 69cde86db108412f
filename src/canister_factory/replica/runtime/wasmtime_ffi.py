"""The only module that touches wasmtime's raw C interface, for what its Python classes are too slow for.

Owns: one instantiated Wasm instance: calls in slices of fuel, traps, globals, host callbacks. Does not own: what host
functions mean, or transactions.

Each call runs on a stack of its own (a fiber), so that it can stop when a slice of fuel is used up and go on later. It
stops in Wasm code only, never within a host function. A fiber costs a call some two microseconds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import wasmtime
import wasmtime._ffi

from canister_factory.replica.runtime.instrument import MEMORY_EXPORT, TABLE_EXPORT
from canister_factory.replica.runtime.pieces import EXPORT as PIECES_EXPORT
from canister_factory.replica.runtime.pieces import IN_PIECES
from canister_factory.replica.runtime.pieces import MODULE_NAME as PIECES_NAME
from canister_factory.replica.runtime.slices import SLICE_INSTRUCTIONS

# Untyped by its authors; every use of it is in this file.
_ffi: Any = wasmtime._ffi

_M32 = 0xFFFF_FFFF
_M64 = 0xFFFF_FFFF_FFFF_FFFF
_VALUE_SLOTS = 2  # a raw value takes 16 bytes: two slots of 8
assert ctypes.sizeof(_ffi.wasmtime_val_raw) == 8 * _VALUE_SLOTS
_FUEL_FOR_SEGMENTS = 1 << 40  # initial segments are copied by generated code, which also burns fuel
_RawCallback = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_size_t
)
_TrapPointer = ctypes.POINTER(_ffi.wasm_trap_t)
_ErrorPointer = ctypes.POINTER(_ffi.wasmtime_error_t)
_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_keeping_python = ctypes.PyDLL(_ffi.dll._name)


def _short(name: str) -> Any:
    """A C function that returns at once. It keeps Python, which another thread would have for much longer."""
    function, known = getattr(_keeping_python, name), getattr(_ffi.dll, name)
    function.argtypes, function.restype = known.argtypes, known.restype
    return function


_memory_data = _short("wasmtime_memory_data")
_memory_data_size = _short("wasmtime_memory_data_size")
_global_get = _short("wasmtime_global_get")
_global_set = _short("wasmtime_global_set")
_set_fuel = _short("wasmtime_context_set_fuel")
_get_fuel = _short("wasmtime_context_get_fuel")
_yield_interval = _short("wasmtime_context_fuel_async_yield_interval")

_TRAP_REASONS = {
    wasmtime.TrapCode.STACK_OVERFLOW: "stack overflow",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "heap out of bounds",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "table out of bounds",
    wasmtime.TrapCode.INDIRECT_CALL_TO_NULL: "indirect call to null table entry",
    wasmtime.TrapCode.BAD_SIGNATURE: "indirect call with a wrong signature",
    wasmtime.TrapCode.INTEGER_OVERFLOW: "integer overflow",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by zero",
    wasmtime.TrapCode.BAD_CONVERSION_TO_INTEGER: "bad conversion to integer",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
}


class WasmTrapError(Exception):
    """Wasm code trapped by itself.

    Args:
        reason: such as "unreachable".
        out_of_fuel: whether it was stopped because its fuel was used up.
        backtrace: one function of the canister a line, innermost first.
    """

    def __init__(self, reason: str, *, out_of_fuel: bool = False, backtrace: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.out_of_fuel = out_of_fuel
        self.backtrace = backtrace


class HostFunctionError(Exception):
    """A host function raised `__cause__` and so ended the execution; `backtrace` says where the canister was."""

    def __init__(self, backtrace: tuple[str, ...]) -> None:
        super().__init__("a host function raised")
        self.backtrace = backtrace


@dataclass(slots=True)
class HostCallbacks:
    """C callbacks for a module's imports, in their order; may serve several instances, one after the other."""

    raw: list[Any] = field(default_factory=list)
    raised: list[BaseException] = field(default_factory=list)

    def add(self, function: Callable[..., int | None], parameters: Sequence[str], has_result: bool) -> None:
        """Adds `function`, which gets unsigned integers; `parameters` are "i32" or "i64"."""
        masks = tuple(_M32 if parameter == "i32" else _M64 for parameter in parameters)
        self.raw.append(_RawCallback(_callback_body(function, masks, has_result, self.raised)))


def _callback_body(
    function: Callable[..., int | None], masks: tuple[int, ...], has_result: bool, raised: list[BaseException]
) -> Callable[..., int]:
    # Written out for the usual shapes: a host function is called some ten times in each execution.
    def fail(error: BaseException) -> int:
        raised.append(error)
        return ctypes.cast(_ffi.wasmtime_trap_new_code(wasmtime.TrapCode.UNREACHABLE.value), ctypes.c_void_p).value or 0

    if has_result:

        def call_for_result(_env: Any, _caller: Any, values: Any, _count: int) -> int:
            try:
                values[0] = function(*[values[_VALUE_SLOTS * i] & mask for i, mask in enumerate(masks)])
            except BaseException as error:
                return fail(error)
            return 0

        return call_for_result

    if len(masks) == 3:
        first, second, third = masks

        def call_with_three(_env: Any, _caller: Any, values: Any, _count: int) -> int:
            try:
                function(values[0] & first, values[2] & second, values[4] & third)
            except BaseException as error:
                return fail(error)
            return 0

        return call_with_three

    def call(_env: Any, _caller: Any, values: Any, _count: int) -> int:
        try:
            function(*[values[_VALUE_SLOTS * i] & mask for i, mask in enumerate(masks)])
        except BaseException as error:
            return fail(error)
        return 0

    return call


class WasmInstance:
    """An instantiated module. Close it: an open one holds gigabytes of address space.

    Args:
        imports: the module's import types, in order, as `callbacks` were added.
        pieces: for each import, the module (`pieces`) that calls it; None: the canister does.
        global_exports: names of the globals that `globals` reads and writes.
        memory_limit: bytes beyond which `memory.grow` returns -1.

    Raises:
        WasmTrapError: instantiation failed: a segment lies outside its memory or table, or a limit is too small.
    """

    def __init__(
        self,
        engine: wasmtime.Engine,
        module: wasmtime.Module,
        imports: Sequence[wasmtime.FuncType],
        callbacks: HostCallbacks,
        pieces: Sequence[wasmtime.Module | None],
        *,
        global_exports: Sequence[str],
        memory_limit: int,
        table_limit: int,
    ) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_limits(memory_size=memory_limit, table_elements=table_limit, instances=1 + len(IN_PIECES))
        self._raised = callbacks.raised
        self._context: Any = self._store._context()
        functions = []
        for function_type, callback, piecewise in zip(imports, callbacks.raw, pieces, strict=True):
            function = _ffi.wasmtime_func_t()
            _ffi.wasmtime_func_new_unchecked(
                self._context,
                function_type.ptr(),
                ctypes.cast(callback, _ffi.wasmtime_func_unchecked_callback_t),
                None,
                _NO_FINALIZER,
                ctypes.byref(function),
            )
            functions.append(self._in_pieces(wasmtime.Func._from_raw(function), piecewise))
        self._store.set_fuel(_FUEL_FOR_SEGMENTS)
        try:
            self._instance = wasmtime.Instance(self._store, module, functions)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            self._store.close()
            raise WasmTrapError(f"instantiation failed: {error}") from error
        self._functions: dict[str, Any] = {}
        exports = self._instance.exports(self._store)
        self._find_memories(exports[MEMORY_EXPORT], exports.get(TABLE_EXPORT))
        self._find_globals([exports[name] for name in global_exports])
        self._fuel = ctypes.c_uint64()
        self._fuel_ref = ctypes.byref(self._fuel)
        self._interval = 0
        self._future: Any = None  # the call in progress, with what it writes to
        self._trap: Any = None
        self._error: Any = None
        self._function: Any = None
        self._arguments: Any = None
        self.slice_after(SLICE_INSTRUCTIONS)  # not earlier: from here on the store takes asynchronous calls only

    def _find_memories(self, memory: object, table: object) -> None:
        assert isinstance(memory, wasmtime.Memory)
        self._memory = memory
        self._memory_ref = ctypes.byref(memory._memory)
        self._table = table if isinstance(table, wasmtime.Table) else None

    def _find_globals(self, variables: Sequence[object]) -> None:
        self._global_values = [_ffi.wasmtime_val_t() for _ in variables]
        self._globals = []
        for variable, value in zip(variables, self._global_values, strict=True):
            assert isinstance(variable, wasmtime.Global)
            self._globals.append((ctypes.byref(variable._global), ctypes.byref(value), variable))

    def _in_pieces(self, function: wasmtime.Func, piecewise: wasmtime.Module | None) -> wasmtime.Func:
        if piecewise is None:
            return function
        exported = wasmtime.Instance(self._store, piecewise, [function]).exports(self._store)[PIECES_EXPORT]
        assert isinstance(exported, wasmtime.Func)
        return exported

    def close(self) -> None:
        """Frees the instance; it must not be used any more."""
        self.abandon()
        self._store.close()

    # --- memory ---

    def memory_base(self) -> int:
        """Address of the linear memory's first byte; it doesn't change while the instance lives."""
        return ctypes.cast(_memory_data(self._context, self._memory_ref), ctypes.c_void_p).value or 0

    def memory_bytes(self) -> int:
        """The linear memory's present length in bytes."""
        length: int = _memory_data_size(self._context, self._memory_ref)
        return length

    def grow_memory(self, wasm_pages: int) -> None:
        """Adds pages of 64 KiB, of zeroes.

        Raises:
            WasmTrapError: the limit forbids it.
        """
        try:
            self._memory.grow(self._store, wasm_pages)
        except wasmtime.WasmtimeError as error:
            raise WasmTrapError(f"the memory can't grow by {wasm_pages} pages: {error}") from error

    # --- globals ---

    def read_globals(self) -> None:
        """Notes the present values of the globals, for `write_globals`."""
        context = self._context
        for variable, value, _ in self._globals:
            _global_get(context, variable, value)

    def write_globals(self) -> None:
        """Sets the globals to the values last noted."""
        context = self._context
        for variable, value, _ in self._globals:
            _global_set(context, variable, value)

    @property
    def noted_globals(self) -> tuple[int, ...]:
        """Each noted value as 64 raw bits."""
        return tuple(value.of.i64 & _M64 for value in self._global_values)

    @noted_globals.setter
    def noted_globals(self, bits: Sequence[int]) -> None:
        self.read_globals()  # sets the kinds
        for value, raw in zip(self._global_values, bits, strict=True):
            value.of.i64 = raw

    def constant(self, name: str) -> int:
        """The value of an exported immutable global, as raw bits."""
        variable = self._instance.exports(self._store)[name]
        assert isinstance(variable, wasmtime.Global)
        value = _ffi.wasmtime_val_t()
        _global_get(self._context, ctypes.byref(variable._global), ctypes.byref(value))
        return int.from_bytes(bytes(value.of)[:16], "little")

    # --- fuel ---

    def set_fuel(self, fuel: int) -> None:
        """What a call may use from here on; a new slice begins with it."""
        _set_fuel(self._context, fuel)

    def slice_after(self, instructions: int) -> None:
        """The next slice, and those that follow, end after so many instructions, at least one."""
        if instructions != self._interval:
            self._interval = instructions
            error = _yield_interval(self._context, instructions)
            assert not error, "the engine doesn't count fuel"

    def fuel(self) -> int:
        """What is left; right within host functions too."""
        _get_fuel(self._context, self._fuel_ref)
        return self._fuel.value

    # --- calls ---

    def begin_export(self, name: str) -> None:
        """Makes an exported function without parameters or results the one that `resume` runs."""
        function = self._functions.get(name)
        if function is None:
            exported = self._instance.exports(self._store)[name]
            assert isinstance(exported, wasmtime.Func)
            function = self._functions[name] = exported._func
        self._begin(function, None, 0)

    def begin_table(self, index: int, argument: int, *, is_64: bool) -> None:
        """Makes the function at `index` of the first table the one that `resume` runs, with one pointer-sized argument.

        Raises:
            WasmTrapError: no such entry, or a null entry.
        """
        entry = _ffi.wasmtime_val_t()
        if self._table is None or not _ffi.wasmtime_table_get(
            self._context, ctypes.byref(self._table._table), index, ctypes.byref(entry)
        ):
            raise WasmTrapError(f"table out of bounds: no entry {index} for the callback")
        if entry.kind != _ffi.WASMTIME_FUNCREF.value or not entry.of.funcref.store_id:
            raise WasmTrapError(f"the callback's table entry {index} is null")
        argument_value = (_ffi.wasmtime_val_t * 1)()
        argument_value[0].kind = (_ffi.WASMTIME_I64 if is_64 else _ffi.WASMTIME_I32).value
        if is_64:
            argument_value[0].of.i64 = argument
        else:
            argument_value[0].of.i32 = argument
        self._begin(entry.of.funcref, argument_value, 1)

    def _begin(self, function: Any, arguments: Any, count: int) -> None:
        assert self._future is None, "a call is in progress"
        _calling.add(self)
        self._function, self._arguments = function, arguments  # the call reads both, perhaps in a later slice
        self._trap, self._error = _TrapPointer(), _ErrorPointer()
        # The checked call: it refuses a function of another signature instead of running it.
        self._future = _ffi.wasmtime_func_call_async(
            self._context,
            ctypes.byref(function),
            arguments,
            count,
            None,
            0,
            ctypes.byref(self._trap),
            ctypes.byref(self._error),
        )

    def resume(self) -> bool:
        """Runs the call that was begun for one slice; True when it has ended.

        Raises:
            WasmTrapError: the code trapped, or the function has another signature.
            HostFunctionError: a host function raised.
        """
        if not _ffi.wasmtime_call_future_poll(self._future):
            return False
        self.abandon()
        if self._error:
            message = str(wasmtime.WasmtimeError._from_ptr(self._error))
            self._raise_cause(())
            raise WasmTrapError(f"the function has a wrong signature: {message}")
        if self._trap:
            self._raise_trap(wasmtime.Trap._from_ptr(self._trap))
        return True

    def abandon(self) -> None:
        """Ends the call in progress, if there is one, wherever it is."""
        if self._future is not None:
            _ffi.wasmtime_call_future_delete(self._future)
            self._future = None
            _calling.discard(self)

    def _raise_trap(self, trap: wasmtime.Trap) -> NoReturn:
        frames = [frame for frame in trap.frames if frame.module_name != PIECES_NAME]
        backtrace = tuple(frame.func_name or f"function {frame.func_index}" for frame in frames)
        self._raise_cause(backtrace)
        code = trap.trap_code
        reason = _TRAP_REASONS.get(code, "") if code else ""
        raise WasmTrapError(
            reason or trap.message.splitlines()[0],
            out_of_fuel=code is wasmtime.TrapCode.OUT_OF_FUEL,
            backtrace=backtrace,
        )

    def _raise_cause(self, backtrace: tuple[str, ...]) -> None:
        if self._raised:
            cause = self._raised[0]
            self._raised.clear()
            raise HostFunctionError(backtrace) from cause


# A call in progress needs its store until it is ended, which the garbage collector alone would free in any order.
_calling: set[WasmInstance] = set()


def set_async_stack_size(config: wasmtime.Config, size: int) -> None:
    """wasmtime ends the process where its limit for Wasm stacks is above this one, so both are set."""
    _ffi.wasmtime_config_async_stack_size_set(config.ptr(), size)
