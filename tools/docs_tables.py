"""Fill what is generated of the README, the site and the model cards: no number is typed by hand.

    python tools/docs_tables.py            # write it
    python tools/docs_tables.py --check    # fail if something is stale

A region of a document stands between ``<!-- generated: NAME -->`` and ``<!-- /generated -->``; NAME
is a key of `REGIONS`. ``docs/results.csv`` and the README.md of each folder in ``weights/`` are
generated whole. The numbers come from the catalog, the table of sizes, the manifests and logs in
``weights/``, from what the benchmarks wrote (`performance_tables.py`) and the experiments
(`experiment_tables.py`, `scaling_tables.py`), and from ``examples/golf-ball.json``, what ``isozoo
predict examples/golf-ball.png --json`` printed.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import experiment_tables
import filter_tables
import laboratory_tables
import part_tables
import performance_tables
import propagation_tables
import scaling_tables
import smoothness_tables
from tables import table

import isozoo
from isozoo import benchmark
from isozoo.files import atomic_write
from isozoo.models.card import card
from isozoo.models.manifest import CARD, CURVE, LOG, MANIFEST, RECIPE, read_manifest
from isozoo.models.provenance import read_log
from isozoo.zoo.catalog import Record

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "weights"
RESULTS = ROOT / "docs" / "results.csv"
_REGION = re.compile(
    r"(?P<open><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<close><!-- /generated -->)", re.DOTALL
)


def weights_table() -> str:
    """Return one row for each set of weights."""
    records = [isozoo.info(name) for name in isozoo.list_models(pretrained=True)]
    records = [record for record in records if record.metrics]
    return table(
        "weights|parameters:|GFLOPs (at px):|top-1 (at px):|top-5:|licence",
        (
            (
                f"`{record.name}`",
                f"{record.parameters:,}",
                f"{row.gflops:.3f} ({row.gflops_image_size})",
                f"{_percent(row.top1_measured)} ({row.image_size})",
                f"{100 * record.metrics['top5']:.2f} %",
                record.licence or "not stated",
            )
            for record, row in ((record, _result(record, {})) for record in records)
        ),
    )


@dataclasses.dataclass(frozen=True)
class Result:
    """One row of `results.csv`; what was never measured is None.

    Args:
        name: Weights, or a network without any.
        family: Family of the network.
        depth: Its depth, as the papers count it.
        parameters: Number of learned values.
        gflops: Thousand million multiply-adds for one image of `gflops_image_size`.
        gflops_image_size: Side of that image in pixels.
        top1_measured: Top-1 accuracy in [0, 1], measured with isozoo.
        top1_reported: Top-1 accuracy in [0, 1] that the weights' authors state.
        image_size: Side in pixels of the images the network is used with, here and for its speed.
        images_per_second: Speed on the machine that `performance.json` describes.
        bytes: Size of all files of the weights folder.
        recipe: Path of the recipe in the repository.
        licence: SPDX identifier of the weights' licence.
    """

    name: str
    family: str
    depth: int
    parameters: int
    gflops: float
    gflops_image_size: int
    top1_measured: float | None
    top1_reported: float | None
    image_size: int
    images_per_second: float | None
    bytes: int | None
    recipe: str | None
    licence: str | None


def speeds() -> dict[str, benchmark.Result]:
    """Return what the suite measured of the networks in the tables, by name."""
    row = performance_tables.comparisons().get(performance_tables.MODELS)
    return {result.label: result for result in row.results if result.median} if row else {}


def results() -> list[Result]:
    """Return a row for each set of weights, and for each network without any that was timed."""
    measured = speeds()
    records = [isozoo.info(name) for name in isozoo.list_models(pretrained=True)]
    covered = {name for record in records for name in (record.name, record.architecture)}
    records += [isozoo.info(name) for name in measured if name not in covered]
    return [_result(record, measured) for record in records]


def _result(record: Record, measured: Mapping[str, benchmark.Result]) -> Result:
    network = isozoo.architecture(record.architecture)
    folder = WEIGHTS / record.name
    size = network.image_size
    if record.files and (folder / MANIFEST).is_file():
        size = read_manifest(folder).preprocessing.size
    # The values of the weights do not change the speed, the size of the images does.
    timed = measured.get(record.name) or measured.get(record.architecture)
    fits = timed is not None and timed.image_size == size
    return Result(
        name=record.name,
        family=network.family,
        depth=network.depth,
        parameters=record.parameters,
        gflops=record.gflops,
        gflops_image_size=network.image_size,
        top1_measured=record.metrics.get("top1"),
        top1_reported=record.reported.get("top1"),
        image_size=size,
        images_per_second=round(timed.median, 1) if timed and timed.median and fits else None,
        bytes=sum(file.size for file in record.files.values()) or None,
        recipe=record.recipe,
        licence=record.licence,
    )


def results_csv() -> str:
    """Return the text of `results.csv`."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(Result)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in results())
    return text.getvalue()


def results_table() -> str:
    """Return the rows of `results.csv` for a reader of the site."""
    return table(
        "weights|parameters:|GFLOPs (at px):|top-1 measured:|top-1 reported:|"
        "image px:|images/s:|size:|recipe|licence",
        (
            (
                f"`{row.name}`",
                f"{row.parameters:,}",
                f"{row.gflops:.3f} ({row.gflops_image_size})",
                _percent(row.top1_measured),
                _percent(row.top1_reported),
                str(row.image_size),
                _known(row.images_per_second, "{:.1f}"),
                _known(row.bytes and row.bytes / 1e6, "{:.1f} MB"),
                _known(row.recipe and row.name, f"[recipe](assets/{{}}/{RECIPE})"),
                row.licence or "",
            )
            for row in results()
        ),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _known(value: object, form: str) -> str:
    return "" if value is None else form.format(value)


def machine() -> str:
    """Return one sentence that says how the images per second were measured."""
    found = performance_tables.comparisons().get(performance_tables.MODELS)
    if found is None:
        return "Images per second were not measured yet.\n"
    about, versions = found.machine, found.results[0].versions
    return (
        "Images per second are of the compiled network in float32, without preprocessing, "
        f"{found.settings['batch_size']} images at once, median of {found.rounds} rounds after "
        f"{found.warm_up} to warm up, on {about['cores']} cores of {about['processor']} "
        f"({about['system']}, Python {about['python']}, Keras {versions.get('keras')} on "
        f"TensorFlow {versions.get('tensorflow')}); see [performance](performance.md).\n"
    )


def curves() -> str:
    """Return the learning curve of each set of weights that has one."""
    names = isozoo.list_models(pretrained=True)
    drawn = [name for name in names if CURVE in isozoo.info(name).files]
    pictures = [f"![learning curve of {name}](assets/{name}/{CURVE})\n" for name in drawn]
    return "\n".join(pictures)


def cards() -> dict[Path, str]:
    """Return the card of each folder in `weights/`, by its path."""
    texts = {}
    for manifest in sorted(WEIGHTS.glob(f"*/{MANIFEST}")):
        folder = manifest.parent
        log = read_log(folder / LOG) if (folder / LOG).is_file() else ()
        repository = isozoo.info(folder.name).repository
        texts[folder / CARD] = card(
            read_manifest(folder), log, repository=repository, catalogued=True
        )
    return texts


def runs_table() -> str:
    """Return one row for each set of weights: what its training log says."""
    rows = []
    for name in isozoo.list_models(pretrained=True):
        if not isozoo.info(name).recipe:
            continue
        epochs = read_log(WEIGHTS / name / LOG)
        sizes = sorted({epoch["size"] for epoch in epochs})
        hours = sum(epoch["seconds"] for epoch in epochs) / 3600
        rows.append(
            (
                f"`{name}`",
                f"{len(epochs)}",
                ", ".join(map(str, sizes)),
                f"{hours:.1f}",
                f"{100 * epochs[-1]['accuracy']:.1f} %",
                f"{epochs[-1]['penalty']:.3g}",
            )
        )
    return table("weights|epochs:|image sizes|hours:|last training accuracy:|last penalty:", rows)


def networks_table() -> str:
    """Return one row for each network, with its size for the 1000 classes of ImageNet."""
    records = [(name, isozoo.info(name)) for name in isozoo.list_models()]
    return table(
        "network|parameters:|GFLOPs:|weights",
        (
            (f"`{name}`", f"{record.parameters:,}", f"{record.gflops:.3f}", record.tag or "")
            for name, record in records
        ),
    )


def prediction() -> str:
    """Return what the README's first command prints."""
    report = json.loads((ROOT / "examples/golf-ball.json").read_text(encoding="utf-8"))
    (image,) = report["images"]
    lines = [f"{100 * p['probability']:7.2f} %  {p['label']}\n" for p in image["predictions"]]
    return f"```text\n{image['image']}\n{''.join(lines)}```\n"


REGIONS = {
    "weights": weights_table,
    "results": results_table,
    "machine": machine,
    "curves": curves,
    "runs": runs_table,
    "networks": networks_table,
    "prediction": prediction,
    **part_tables.REGIONS,
    **performance_tables.REGIONS,
    **experiment_tables.REGIONS,
    **scaling_tables.REGIONS,
    **smoothness_tables.REGIONS,
    **laboratory_tables.REGIONS,
    **filter_tables.REGIONS,
    **propagation_tables.REGIONS,
}


def documents() -> list[Path]:
    """Return the documents that may have generated regions."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """Return a document's text with its regions renewed.

    Raises:
        KeyError: A region has a name that nothing generates.
    """
    return _REGION.sub(lambda m: m["open"] + REGIONS[m["name"]]() + m["close"], text)


def expected() -> dict[Path, str]:
    """Return the text that each generated file, or file with generated regions, should have."""
    texts = {path: filled(path.read_text(encoding="utf-8")) for path in documents()}
    return {**texts, RESULTS: results_csv(), **cards()}


def stale() -> dict[Path, str]:
    """Return those of `expected` that differ from what is on disk, or are not there."""
    return {
        path: text
        for path, text in expected().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def main() -> int:
    """Write what is stale, or name it, and what was measured otherwise; return the exit status."""
    parser = argparse.ArgumentParser(description="Fill what is generated of the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if one is stale")
    check = parser.parse_args().check
    found = stale()
    for path, text in found.items():
        if not check:
            atomic_write(path, text)
        print(f"{path.relative_to(ROOT)} {'is stale' if check else 'renewed'}")
    if check and found:
        print("run: python tools/docs_tables.py")
    changed = performance_tables.disagreements()
    for sentence in changed:
        print(f"benchmarks: {sentence} since it was measured; run the suite's row again")
    return int(bool(changed) or (check and bool(found)))


if __name__ == "__main__":
    sys.exit(main())
