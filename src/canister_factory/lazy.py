"""Names that are imported when they are first used (PEP 562), so that importing the package costs nothing.

Owns that, for our packages and for one of others. Does not own any name: the modules that offer them have a table, and
the same imports for type checkers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

_PACKAGE = "canister_factory"


def lazy_names(
    module: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a module.

    Args:
        module: its `__name__`.
        homes: for each module of this package, relative to it, the names that come from there, with spaces between;
            "" offers the module itself, under the last part of its name.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split() or [home.rpartition(".")[2]]}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module])
        from importlib import import_module  # only now: the command line takes the signals over before it imports much

        home = import_module(f"{_PACKAGE}.{home_of[name]}")
        value = getattr(home, name) if homes[home_of[name]] else home
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        """What the module offers; not what it needs itself, nor submodules that happen to be loaded."""
        return sorted({name for name in vars(sys.modules[module]) if name.startswith("__")} | home_of.keys())

    return get, names, sorted(home_of)


def without_its_imports(package: str) -> None:
    """Lets modules of a package be imported without what its `__init__` imports, until a name is asked of the package.

    ic-py's takes a parser, an HTTP client and more into every process that needs its class of principals. Nothing
    happens where the package was imported before.
    """
    from importlib.util import find_spec, module_from_spec

    if package in sys.modules or (spec := find_spec(package)) is None or (loader := spec.loader) is None:
        return
    module = module_from_spec(spec)

    def first_name(name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        vars(module).pop("__getattr__", None)
        loader.exec_module(module)
        return getattr(module, name)

    vars(module)["__getattr__"] = first_name
    sys.modules[package] = module
