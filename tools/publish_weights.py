"""Put the weights folder of a finished run into `weights/`, with a licence and its learning curve.

    python tools/publish_weights.py runs/NAME.TAG/NAME.TAG --licence MIT
    python tools/publish_weights.py runs/NAME.TAG/NAME.TAG --licence MIT \
        --storage float16 --data imagenette2-160.tar

The folder is read with every check, and written again beside the others; then the catalog is
renewed. Numbers stored as float16 are rounded, so the rounded network is measured anew on `--data`.
Otherwise run `isozoo evaluate` on the folder before. After either, run `tools/docs_tables.py`,
which gives the folder the card of weights that isozoo knows by name.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from isozoo.data import open_split
from isozoo.errors import MissingExtraError, WeightsError
from isozoo.models.adapting import STORAGE, rounded
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import LOG, RECIPE, read_manifest
from isozoo.training.evaluation import measure
from isozoo.zoo import catalog

ROOT = Path(__file__).resolve().parents[1]


def publish(
    run: Path,
    licence: str,
    weights: Path = ROOT / "weights",
    *,
    storage: str | None = None,
    data: str | None = None,
) -> Path:
    """Write a run's weights folder among the published ones and return where it is.

    Args:
        run: The run's weights folder.
        licence: SPDX identifier of the weights' licence.
        weights: Where published weights are.
        storage: Dtype of the numbers in the files; as they are if None.
        data: Images, split `val`, to measure the network on that is published; what the run
            measured is published if None.

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
    model = rounded(model, storage)
    metrics = measure(model, open_split(data, "val")) if data else said.metrics
    write_folder(
        model,
        target,
        licence=licence,
        storage=storage,
        tag=said.tag,
        metrics=metrics,
        recipe=said.recipe,
        log=said.log,
    )
    return target


def main() -> None:
    """Publish the folder named on the command line and renew the catalog."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="weights folder that `isozoo train` left")
    parser.add_argument("--licence", required=True, help="SPDX identifier, such as MIT")
    parser.add_argument("--storage", choices=STORAGE, help="dtype of the numbers in the files")
    parser.add_argument("--data", help="images to measure what is published on; needs --storage")
    args = parser.parse_args()
    if bool(args.storage) != bool(args.data):
        parser.error("rounded weights have to be measured: give both --storage and --data")
    print(publish(args.run, args.licence, storage=args.storage, data=args.data))
    catalog.main(["--write"])


if __name__ == "__main__":
    main()
