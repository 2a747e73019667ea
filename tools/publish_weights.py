"""Put the weights folder of a finished run into `weights/`, with a licence and a fresh card.

    python tools/publish_weights.py runs/NAME.TAG/NAME.TAG --licence MIT

The folder is read with every check, and written again beside the others; then the catalog is
renewed. Run `isozoo evaluate` on it before and `tools/docs_tables.py` after.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import LOG, RECIPE, read_manifest
from isozoo.zoo import catalog
from isozoo.zoo.cards import card

ROOT = Path(__file__).resolve().parents[1]


def publish(run: Path, licence: str) -> Path:
    """Write a run's weights folder into `weights/` and return where it is."""
    manifest = read_manifest(run)
    target = ROOT / "weights" / manifest.full_name
    write_folder(
        load_folder(run),
        target,
        tag=manifest.tag,
        metrics=manifest.metrics,
        licence=licence,
        recipe=(run / RECIPE).read_text("utf-8"),
        log=[json.loads(line) for line in (run / LOG).read_text("utf-8").splitlines()],
        card=card,
    )
    return target


def main() -> None:
    """Publish the folder named on the command line and renew the catalog."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="weights folder that `isozoo train` left")
    parser.add_argument("--licence", required=True, help="SPDX identifier, such as MIT")
    args = parser.parse_args()
    print(publish(args.run, args.licence))
    catalog.main(["--write"])


if __name__ == "__main__":
    main()
