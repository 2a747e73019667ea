"""Measure every network and write `isozoo/models/sizes.json`, which the catalog reads.

    python tools/model_sizes.py            # write it
    python tools/model_sizes.py --check    # fail if it is stale

What the numbers count is said by `isozoo.models.sizes.measure`, which makes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import keras

from isozoo.files import atomic_write
from isozoo.models import architecture_names
from isozoo.models.sizes import measure

SIZES = Path(__file__).resolve().parents[1] / "isozoo" / "models" / "sizes.json"


def table() -> str:
    """Return the text of `sizes.json`, one line for each network."""
    rows = []
    for name in architecture_names():
        rows.append(f"  {json.dumps(name)}: {json.dumps(measure(name))}")
        # Keras keeps what it builds; hundreds of networks would fill the memory.
        keras.utils.clear_session()
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main() -> int:
    """Write the file, or check it; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure every network.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is stale")
    check = parser.parse_args().check
    text = table()
    if not check:
        atomic_write(SIZES, text)
    elif SIZES.read_text(encoding="utf-8") != text:
        print("sizes.json is stale; run: python tools/model_sizes.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
