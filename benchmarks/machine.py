"""What benchmarks share: the record of the machine, and how a result is written."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path

import keras

from isozoo.files import atomic_write


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


def report(result: dict, out: Path | None) -> None:
    """Print a result as JSON, and write it to a file if one is named."""
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(out, text)
