"""What a benchmark notes of where it was run: processor, cores, versions, memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Packages whose versions are noted where a contender loaded them: module, distribution.
PACKAGES = {
    "ai_edge_litert": "ai-edge-litert",
    "jax": "jax",
    "keras": "keras",
    "nncf": "nncf",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tensorflow": "tensorflow",
    "torch": "torch",
}

#: Variables that decide how many threads a library takes.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def machine() -> dict[str, Any]:
    """Return processor, cores, what limits the threads, system, Python, and how busy it is.

    Example:
        >>> machine()["python"] == platform.python_version()
        True
    """
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return {
        "processor": found[1] if found else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        # Of the minute before: contenders of a quiet machine start below 1.
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Return the versions of those `PACKAGES` that this process has loaded."""
    return {
        module: importlib.metadata.version(distribution)
        for module, distribution in PACKAGES.items()
        if module in sys.modules
    }


#: How a library that computes on a GPU, by its module, is asked how many it has.
GPUS: dict[str, Callable[[Any], int]] = {
    "jax": lambda jax: sum(device.platform != "cpu" for device in jax.devices()),
    "tensorflow": lambda tensorflow: len(tensorflow.config.list_physical_devices("GPU")),
    "torch": lambda torch: torch.cuda.device_count(),
}


def device() -> str:
    """Return what the libraries that this process has loaded compute on: `"cpu"` or `"gpu"`."""
    loaded = [(count, sys.modules[name]) for name, count in GPUS.items() if name in sys.modules]
    return "gpu" if any(count(module) for count, module in loaded) else "cpu"


def peak_memory() -> int:
    """Return the most memory in bytes that this process has held so far.

    Example:
        >>> peak_memory() > 1_000_000
        True
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return 1024 * int(found[1])
    import resource  # not on Windows, where nothing else says it either

    return peak_of(resource.getrusage(resource.RUSAGE_SELF))


def peak_of(usage: Any) -> int:
    """Return the most memory in bytes of a process, from what the system says of its usage."""
    # Kilobytes, but for macOS, which counts bytes.
    return (1 if sys.platform == "darwin" else 1024) * usage.ru_maxrss
