"""Compiles canister modules, once for each content.

Owns: the wasmtime configuration, checks of a module against the IC's rules, the cache. Does not own: instances.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import wasmtime

from canister_factory.replica.runtime.compiled import Compiled
from canister_factory.replica.runtime.copy_on_write import best_memory
from canister_factory.replica.runtime.execution import CanisterError, Entry, RejectCode, Steps
from canister_factory.replica.runtime.host_interface import HostFunction
from canister_factory.replica.runtime.instrument import (
    START_EXPORT,
    InstrumentedModule,
    MalformedModuleError,
    canister_metadata,
    instrument,
)
from canister_factory.replica.runtime.memory import MemoryTransaction
from canister_factory.replica.runtime.pieces import IN_PIECES, copying_module
from canister_factory.replica.runtime.slices import Slices
from canister_factory.replica.runtime.system_api import HOST_FUNCTIONS
from canister_factory.replica.runtime.wasmtime_ffi import set_async_stack_size
from canister_factory.replica.runtime.workers import Workers

logger = logging.getLogger(__name__)

# The IC's limits ("Resource limits"; for exports and custom sections, the replica's validation of modules).
MAX_WASM_BYTES: Final = 100 * 1024 * 1024
MAX_METHODS: Final = 1000
MAX_METHOD_NAMES_BYTES: Final = 20_000
MAX_CUSTOM_SECTIONS: Final = 16
MAX_CUSTOM_SECTIONS_BYTES: Final = 1024 * 1024
MAX_FUNCTIONS: Final = 50_000
MAX_GLOBALS: Final = 1_000
_MAX_STACK_BYTES: Final = 4 * 1024 * 1024
_THREAD_STACK_BYTES: Final = 2 * 1024 * 1024  # what a thread gets from glibc where the stack is "unlimited"
# Address space for each memory, which then never moves. The IC's largest Wasm memory is 6 GiB.
_MEMORY_RESERVATION: Final = 8 << 30

_METHOD_PREFIXES: Final = {
    Entry.UPDATE: "canister_update ",
    Entry.QUERY: "canister_query ",
    Entry.COMPOSITE_QUERY: "canister_composite_query ",
}
_SYSTEM_ENTRIES: Final = frozenset(
    {
        Entry.INIT,
        Entry.PRE_UPGRADE,
        Entry.POST_UPGRADE,
        Entry.INSPECT_MESSAGE,
        Entry.HEARTBEAT,
        Entry.GLOBAL_TIMER,
        Entry.ON_LOW_WASM_MEMORY,
    }
)
_CALLBACKS: Final = frozenset({Entry.REPLY_CALLBACK, Entry.REJECT_CALLBACK, Entry.CLEANUP})
COMPILED_SUFFIX: Final = ".cwasm"
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_WASM_MAGIC: Final = b"\0asm"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False, repr=False)
class Module:
    """A compiled canister module. Immutable; shared by its instances."""

    hash: bytes
    """SHA-256 of the bytes as given, compressed or not: the IC's `module_hash`."""
    wasm: bytes
    """The bytes as given."""
    queries: frozenset[str]
    updates: frozenset[str]
    composite_queries: frozenset[str]
    custom_sections: dict[str, tuple[str, bytes]]
    """By name without prefix: ("public" or "private", content) of `icp:public <name>` and `icp:private <name>`."""
    custom_sections_bytes: int
    """Their names and contents."""
    native: wasmtime.Module
    instrumented: InstrumentedModule
    imports: tuple[tuple[wasmtime.FuncType, HostFunction], ...]
    _exports: frozenset[str] = field(default=frozenset())

    def __repr__(self) -> str:
        return f"<Module {self.hash.hex()[:12]} size_bytes={len(self.wasm)}>"

    @property
    def memory64(self) -> bool:
        """Whether its memory is a 64-bit one."""
        return self.instrumented.memory64

    @property
    def enhanced_orthogonal_persistence(self) -> bool:
        """Whether main memory is to be kept in upgrades (Motoko's default)."""
        visibility, _ = self.custom_sections.get("enhanced-orthogonal-persistence", ("", b""))
        return visibility == "private"

    def export_name(self, entry: Entry, method: str = "") -> str | None:
        """Name of the function that an entry point runs; None where there is none, as for callbacks.

        `method` counts for updates, queries and composite queries only.
        """
        prefix = _METHOD_PREFIXES.get(entry)
        if prefix is not None:
            name = prefix + method
        elif entry is Entry.START:
            return START_EXPORT if self.instrumented.has_start else None
        elif entry in _CALLBACKS:
            return None  # also where the module happens to export such a name
        else:
            name = entry.value
        return name if name in self._exports else None

    def has(self, entry: Entry, method: str = "") -> bool:
        """Whether the module has this entry point; callbacks are addressed by table and always count as there."""
        return entry in _CALLBACKS or self.export_name(entry, method) is not None


class Engine:
    """Compiles modules. One for each process; `compile` may be called by any thread.

    Args:
        cache_dir: where compiled modules are kept across processes. What is in it runs as native code, so it must
            belong to this user alone. Without it, modules are compiled again in each process.
        memory: strategy for linear memories; by default the best that works here.
        background: `compiling` has large modules compiled by another thread.
        slices: how long the slices of executions are.
        query_workers: execute what takes long and leaves nothing behind; None: the thread that asks does.
    """

    def __init__(
        self,
        cache_dir: Path | None = None,
        *,
        memory: Callable[[], MemoryTransaction] | None = None,
        background: bool = False,
        slices: Slices = Slices(),  # noqa: B008 - immutable
        query_workers: Workers | None = None,
    ) -> None:
        self.slices = slices
        self.query_workers = query_workers
        self.native = wasmtime.Engine(_config())
        self.new_memory = memory or best_memory()
        self._cache_dir = cache_dir
        self._modules = Compiled(self._build, background=background)
        self._pieces: dict[str, wasmtime.Module] = {}  # by the type of addresses

    def __repr__(self) -> str:
        return f"<Engine modules={len(self._modules)} cache_dir={self._cache_dir}>"

    def compile(self, wasm: bytes) -> Module:
        """Checks and compiles a module, plain or gzipped.

        Raises:
            CanisterError: CANISTER_ERROR, IC0505: not a module, or one that the IC would refuse; the message says why.
        """
        return self._modules.compile(wasm)

    def pieces(self, function: HostFunction) -> wasmtime.Module | None:
        """The module through which a canister calls a host function that copies, so that it can stop meanwhile."""
        if function.name not in IN_PIECES:
            return None
        value_type = function.parameters[0]
        module = self._pieces.get(value_type)
        if module is None:
            module = self._pieces[value_type] = copying_module(self.native, value_type)
        return module

    def compiling(self, wasm: bytes) -> Steps[Module]:
        """`compile`, while others go on where the engine compiles in the background."""
        return self._modules.compiling(wasm)

    def end(self) -> None:
        """Lets the threads end that compile and execute queries. They begin anew if they are needed again."""
        self._modules.end()
        if self.query_workers is not None:
            self.query_workers.end()

    def _build(self, wasm: bytes, digest: bytes) -> Module:
        plain = _decompressed(wasm)
        if plain[:4] != _WASM_MAGIC:
            _refuse(f"it starts with 0x{plain[:4].hex()}, not with the Wasm magic number 0x{_WASM_MAGIC.hex()}")
        try:
            wasmtime.Module.validate(self.native, plain)
            instrumented = instrument(plain)
            _check_counts(instrumented)
            cached = self._cache_file(instrumented.wasm)
            native = self._load(cached)
            if native is None:
                native = wasmtime.Module(self.native, instrumented.wasm)
                imports = _checked_imports(native, instrumented.memory64)
                self._save(cached, native)
            else:
                imports = _checked_imports(native, instrumented.memory64)
        except (wasmtime.WasmtimeError, MalformedModuleError) as error:
            _refuse(str(error))
        methods = _checked_methods(native, instrumented.exports)
        sections = _checked_custom_sections(instrumented)
        return Module(
            hash=digest,
            wasm=wasm,
            queries=methods[Entry.QUERY],
            updates=methods[Entry.UPDATE],
            composite_queries=methods[Entry.COMPOSITE_QUERY],
            custom_sections=sections,
            custom_sections_bytes=sum(len(name) + len(data) for name, (_, data) in sections.items()),
            native=native,
            instrumented=instrumented,
            imports=imports,
            _exports=frozenset(instrumented.exports),
        )

    # --- disk cache: the SHA-256 of a serialized module, then that module ---

    def _cache_file(self, wasm: bytes) -> Path | None:
        """Where the code compiled from a rewritten module is kept: by what was compiled, since other versions of this
        package may rewrite the same module in another way. Whether the configuration fits is checked by wasmtime.
        """
        if self._cache_dir is None:
            return None
        key = f"{importlib.metadata.version('wasmtime')} {_stack_bytes()}".encode() + hashlib.sha256(wasm).digest()
        return self._cache_dir / f"{hashlib.sha256(key).hexdigest()}{COMPILED_SUFFIX}"

    def _load(self, path: Path | None) -> wasmtime.Module | None:
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        with suppress(OSError):
            os.utime(path)  # what isn't used for long may be deleted
        try:
            return wasmtime.Module.deserialize(self.native, content[32:])
        except wasmtime.WasmtimeError:  # made on another processor
            return None

    def _save(self, path: Path | None, native: wasmtime.Module) -> None:
        """Writes the cache; where that can't be done (a full disk) the module is compiled again next time."""
        if path is None:
            return
        serialized = bytes(native.serialize())
        draft = ""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=COMPILED_SUFFIX, delete=False) as file:
                draft = file.name
                file.write(hashlib.sha256(serialized).digest())
                file.write(serialized)
            os.replace(draft, path)
        except OSError as error:
            logger.info("the compiled module was not kept: %s", error.strerror or error)
            if draft:
                with suppress(OSError):
                    os.unlink(draft)


def _refuse(reason: str) -> NoReturn:
    message = f"Canister's Wasm module is not valid: {reason}"
    raise CanisterError(RejectCode.CANISTER_ERROR, message, "IC0505") from None


def _decompressed(wasm: bytes) -> bytes:
    if wasm[:3] != _GZIP_MAGIC:
        plain = wasm
    else:
        decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            plain = decompressor.decompress(wasm, MAX_WASM_BYTES + 1)
        except zlib.error as error:
            _refuse(f"its gzip compression is damaged: {error}")
        if not decompressor.eof and len(plain) <= MAX_WASM_BYTES:
            _refuse("its gzip compression ends too early")
    if len(plain) > MAX_WASM_BYTES:
        _refuse(f"it has more than {MAX_WASM_BYTES} bytes")
    return plain


def _checked_imports(native: wasmtime.Module, memory64: bool) -> tuple[tuple[wasmtime.FuncType, HostFunction], ...]:
    imports = []
    for imported in native.imports:
        name = f"{imported.module}.{imported.name}"
        function = HOST_FUNCTIONS.get(imported.name or "") if imported.module == "ic0" else None
        if function is None:
            _refuse(f"it imports {name}, which isn't a function of the system API")
        if not isinstance(imported.type, wasmtime.FuncType):
            _refuse(f"it imports {name} as something else than a function")
        if memory64 and function.only_32_bit:
            _refuse(f"it imports {name}, which only modules with 32-bit memory may")
        actual = [str(t) for t in imported.type.params], [str(t) for t in imported.type.results]
        expected = function.wasm_types(memory64)
        if actual != expected:
            _refuse(f"it imports {name} as {_signature(actual)}, the system API has {_signature(expected)}")
        imports.append((imported.type, function))
    return tuple(imports)


def _signature(types: tuple[list[str], list[str]]) -> str:
    return f"({', '.join(types[0])}) -> ({', '.join(types[1])})"


def _checked_methods(native: wasmtime.Module, exports: tuple[str, ...]) -> dict[Entry, frozenset[str]]:
    system_names = {entry.value for entry in _SYSTEM_ENTRIES}
    methods: dict[Entry, set[str]] = {entry: set() for entry in _METHOD_PREFIXES}
    own = set(exports)
    for export in native.exports:
        name = export.name
        if name not in own or not name.startswith("canister_"):
            continue
        entry = next((entry for entry, prefix in _METHOD_PREFIXES.items() if name.startswith(prefix)), None)
        if entry is None and name not in system_names:
            _refuse(f"it exports {name!r}; names that start with canister_ are reserved for entry points")
        if not isinstance(export.type, wasmtime.FuncType) or export.type.params or export.type.results:
            _refuse(f"it exports {name!r}, which must be a function without parameters and results")
        if entry is not None:
            method = name[len(_METHOD_PREFIXES[entry]) :]
            if any(method in known for known in methods.values()):
                _refuse(f"it exports the method {method!r} twice, as two of update, query and composite query")
            methods[entry].add(method)
    all_names = [name for names in methods.values() for name in names]
    if len(all_names) > MAX_METHODS:
        _refuse(f"it exports {len(all_names)} methods, at most {MAX_METHODS} are allowed")
    if (size := sum(len(name.encode()) for name in all_names)) > MAX_METHOD_NAMES_BYTES:
        _refuse(f"the names of its methods have {size} bytes, at most {MAX_METHOD_NAMES_BYTES} are allowed")
    return {entry: frozenset(names) for entry, names in methods.items()}


def _check_counts(module: InstrumentedModule) -> None:
    if module.function_count > MAX_FUNCTIONS:
        _refuse(f"it declares {module.function_count} functions, at most {MAX_FUNCTIONS} are allowed")
    if module.global_count > MAX_GLOBALS:
        _refuse(f"it declares {module.global_count} globals, at most {MAX_GLOBALS} are allowed")


def _checked_custom_sections(module: InstrumentedModule) -> dict[str, tuple[str, bytes]]:
    checked = canister_metadata(module.custom_sections)
    reserved = [name for name in module.custom_section_names if name.startswith("icp:")]
    own_names: set[str] = set()
    for name in reserved:
        prefix, space, own_name = name.partition(" ")
        if not space or prefix not in ("icp:public", "icp:private"):
            _refuse(
                f"it has the custom section {name!r}; names that start with icp: are reserved for "
                "'icp:public <name>' and 'icp:private <name>'"
            )
        if own_name in own_names:
            _refuse(f"it has the custom section {own_name!r} twice")
        own_names.add(own_name)
    if len(reserved) > MAX_CUSTOM_SECTIONS:
        _refuse(f"it exports {len(reserved)} custom sections, at most {MAX_CUSTOM_SECTIONS} are allowed")
    if (size := sum(len(name) + len(content) for name, (_, content) in checked.items())) > MAX_CUSTOM_SECTIONS_BYTES:
        _refuse(f"its icp: custom sections have {size} bytes, at most {MAX_CUSTOM_SECTIONS_BYTES} are allowed")
    return checked


def _config() -> wasmtime.Config:
    config = wasmtime.Config()
    config.consume_fuel = True
    config.cranelift_nan_canonicalization = True
    config.wasm_memory64 = True
    config.wasm_multi_memory = False
    config.wasm_threads = False
    config.wasm_gc = False
    config.wasm_function_references = False
    config.wasm_exceptions = False
    config.wasm_relaxed_simd_deterministic = True
    config.memory_reservation = _MEMORY_RESERVATION
    config.memory_may_move = False
    # wasmtime ends the process when the second is above the first, whether or not anything is asynchronous.
    set_async_stack_size(config, 2 * _stack_bytes())
    config.max_wasm_stack = _stack_bytes()
    return config


def _stack_bytes() -> int:
    """Half of what a thread's stack surely has, so that host functions have the other half; at most 4 MiB."""
    try:
        import resource
    except ImportError:  # not a Unix
        return _THREAD_STACK_BYTES // 4
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return min(_MAX_STACK_BYTES, (_THREAD_STACK_BYTES if soft == resource.RLIM_INFINITY else soft) // 2)
