"""Build hook: a wheel carries the weights that the README classifies a picture with.

An editable install finds them in ``weights/`` and gets no copy that could grow stale.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLED = "r-isonet-18-w32.imagenette"


class BundledWeights(BuildHookInterface):
    """Puts one folder of ``weights/`` into the wheel as ``isozoo/bundled/``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder, unless the build is an editable one."""
        if version == "standard":
            build_data["force_include"][f"weights/{BUNDLED}"] = f"isozoo/bundled/{BUNDLED}"
