"""Makes `import isozoo` enough for `keras.saving.load_model`, and still imports no Keras.

Keras finds a class of another package only once the module that registers it was imported, but
importing isozoo must not import Keras. So the modules are imported as soon as Keras is: at once if
it is there already, else by watching for its import.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Importing this registers every class that a saved network can contain.
REGISTERS = "isozoo.models.classifier"


def register_with_keras() -> None:
    """Register isozoo's classes with Keras, now or when Keras is imported."""
    if "keras" in sys.modules:
        importlib.import_module(REGISTERS)
    else:
        sys.meta_path.insert(0, _KerasWatcher())


class _KerasWatcher(importlib.abc.MetaPathFinder):
    """Lets modules be found as usual, and registers once Keras is imported.

    It watches isozoo's modules too: one of them may be what imports Keras. That module is half
    imported then, and whatever needs it can be imported only once the outermost one is done.

    It stays until Keras was run: TensorFlow, for one, looks for Keras without importing it.
    """

    def __init__(self) -> None:
        self._running = 0
        self._keras_is_there = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras" and not fullname.startswith("isozoo."):
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._watch(spec.loader)
        return spec

    def _watch(self, loader: importlib.abc.Loader) -> None:
        run = loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            self._running += 1
            try:
                run(module)
            finally:
                self._running -= 1
            self._keras_is_there |= module.__name__ == "keras"
            if self._keras_is_there and not self._running and self in sys.meta_path:
                sys.meta_path.remove(self)
                importlib.import_module(REGISTERS)

        loader.exec_module = run_and_register
