"""Makes `import isozoo` enough for `keras.saving.load_model`, and still imports no Keras.

Keras finds a class of another package only once the module that registers it was imported, but
importing isozoo must not import Keras. So the modules are imported as soon as Keras is: at once if
it is there already, else by watching for its import.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Importing this registers every class that a saved network can contain.
REGISTERS = "isozoo.models.classifier"
#: The modules under it that import Keras.
NEEDED_BY_IT = (
    "isozoo.layers",
    "isozoo.initializers",
    "isozoo.regularizers",
    "isozoo.models.blocks",
    "isozoo.models.backbone",
)


def register_with_keras() -> None:
    """Register isozoo's classes with Keras, now or when Keras is imported."""
    if "keras" in sys.modules:
        importlib.import_module(REGISTERS)
    else:
        sys.meta_path.insert(0, _KerasWatcher())


class _KerasWatcher(importlib.abc.MetaPathFinder):
    """Lets Keras be found as usual, and calls back once it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is not None and spec.loader is not None:
            loader, run = spec.loader, spec.loader.exec_module

            def run_and_register(module: ModuleType) -> None:
                run(module)
                # One of these is only there already if it is what imports Keras: then it is
                # half imported itself, and registers its own classes when it is done.
                if not any(name in sys.modules for name in NEEDED_BY_IT):
                    importlib.import_module(REGISTERS)

            loader.exec_module = run_and_register
        return spec
