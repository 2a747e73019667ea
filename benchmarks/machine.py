"""What measured times depend on beside what is measured."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import keras


def machine() -> dict[str, str | int | None]:
    """Return processor, number of cores, system, and the versions of Python and Keras."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return {
        "processor": found[1] if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
