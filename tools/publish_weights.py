"""Put the weights folder of a finished run into `weights/`, with a licence and its learning curve.

    python tools/publish_weights.py runs/NAME.TAG/NAME.TAG --licence MIT

The folder is read with every check, and written again beside the others; then the catalog is
renewed. Run `isozoo evaluate` on it before; after, `tools/docs_tables.py`, which gives the folder
the card of weights that isozoo knows by name.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from isozoo.errors import MissingExtraError, WeightsError
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import LOG, RECIPE, read_manifest
from isozoo.zoo import catalog

ROOT = Path(__file__).resolve().parents[1]


def publish(run: Path, licence: str, weights: Path = ROOT / "weights") -> Path:
    """Write a run's weights folder among the published ones and return where it is.

    Raises:
        WeightsError: The folder is damaged, or says too little of its training.
        MissingExtraError: Matplotlib is not installed, so there would be no learning curve.
    """
    model = load_folder(run)
    said = model.provenance
    needed = {"tag": said.tag, "metrics": said.metrics, RECIPE: said.recipe, LOG: said.log}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise WeightsError(
            f"{run} cannot be published: it has no {', '.join(missing)}; publish the folder that "
            "`isozoo train` left, whose recipe has a tag"
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError(
            "the learning curve needs matplotlib: python -m pip install 'isozoo[train]'"
        )
    target = weights / read_manifest(run).full_name
    write_folder(model, target, licence=licence)
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
