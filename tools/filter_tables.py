"""What the documents say of convolutions' spectra and of filters; `docs_tables.py` puts it there.

The numbers are from what ``benchmarks/spectra.py`` and ``benchmarks/pruning.py`` wrote to
``benchmarks/results/diagnostics``.
"""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from statistics import mean
from typing import Any

from tables import table

from isozoo.diagnostics.filter_report import FilterReport
from isozoo.diagnostics.pruning import PruningReport
from isozoo.diagnostics.result import png
from isozoo.diagnostics.singular_spectra import LEVELS, LayerSpectrum, NetworkSpectra, Spectra

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "diagnostics"
NOT_MEASURED = "Not measured yet.\n"
#: Networks in the order of the table, by the name of their row in `spectra.json`.
ROWS = {
    "isonet": "SReLU, Delta and penalty (ISONet-34)",
    "srelu-delta": "SReLU and Delta, no penalty",
    "delta-penalty": "Delta and penalty, ReLU",
    "srelu-penalty": "SReLU and penalty, He's start",
    "srelu": "SReLU, He's start, no penalty",
    "vanilla": "ReLU, He's start, no penalty (vanilla)",
    "resnet": "ResNet-34",
    "r-isonet-18-w32.imagenette": "`r-isonet-18-w32.imagenette`",
    "resnet-18-w32.imagenette": "`resnet-18-w32.imagenette`",
}
_HEAD = (
    "network|penalty:|runs:|pixels:|before:|after:|with strides, before:|after:|smallest:|largest:|"
    "top-1:"
)
#: The two whose only difference is the penalty, and the weights that were trained for longest.
WITH, WITHOUT, LONG = "isonet", "srelu-delta", "r-isonet-18-w32.imagenette"


def _measured(tables: Container[str]) -> list[dict[str, Any]]:
    path = RESULTS / "spectra.json"
    runs = json.loads(path.read_text("utf-8"))["runs"] if path.is_file() else ()
    return [run for run in runs if run["table"] in tables]


def _runs() -> dict[str, list[dict[str, Any]]]:
    """Return the runs of the ablation and the weights, by their rows, in the order of seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in sorted(_measured(("ablation-small", "weights")), key=lambda run: run["seed"]):
        found.setdefault(run["row"], []).append(run)
    return found


def _over_seeds(runs: list[dict[str, Any]], when: str, key: str) -> list[float]:
    return [run[when][key] for run in runs if run[when][key] is not None]


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else ""
    return f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def spectra() -> str:
    """Return a row for each network: its distance to isometry before and after training."""
    runs = _runs()
    if not runs:
        return NOT_MEASURED
    return table(_HEAD, (_row(words, runs[row]) for row, words in ROWS.items() if row in runs))


def depths() -> str:
    """Return a row for each isometric network of the depth table."""
    runs = _measured(("depth-small",))
    if not runs:
        return NOT_MEASURED
    runs.sort(key=lambda run: (run["row"], run["after"]["layers"], run["seed"]))
    cells = (_row(f"`{run['model']}`", [run]) for run in runs)
    return table(_HEAD, cells)


def _row(words: str, runs: list[dict[str, Any]]) -> list[str]:
    accuracies = [100 * run["top1"] for run in runs]
    return [
        words,
        f"{runs[0]['orthogonality']:g}",
        str(len(runs)),
        str(runs[0]["size"]),
        f"{mean(_over_seeds(runs, 'before', 'rms')):.3f}",
        _spread(_over_seeds(runs, "after", "rms")),
        f"{mean(_over_seeds(runs, 'before', 'rms_strided')):.3f}",
        f"{mean(_over_seeds(runs, 'after', 'rms_strided')):.3f}",
        f"{min(_over_seeds(runs, 'after', 'smallest')):.3f}",
        f"{max(_over_seeds(runs, 'after', 'largest')):.2f}",
        f"{mean(accuracies):.1f} %",
    ]


def verdict() -> str:
    """Return what the runs say of the claim that the penalty keeps isometry."""
    runs = _runs()
    if not {WITH, WITHOUT, LONG} <= runs.keys():
        return NOT_MEASURED
    kept, lost = (_over_seeds(runs[row], "after", "rms") for row in (WITH, WITHOUT))
    start = mean(_over_seeds(runs[WITH], "before", "rms"))
    nearer = sum(a < b for a, b in zip(kept, lost, strict=True))
    long = runs[LONG][0]
    share = 100 * (1 - mean(kept) / mean(lost))
    return (
        f"With the penalty, the distance goes from {start:.3f} to {mean(kept):.3f} in the mean "
        f"over seeds; without it, to {mean(lost):.3f}, which is {share:.0f} % less far with it. "
        f"Of equal seeds, {nearer} of {len(kept)} end nearer to an isometry with the penalty. "
        f"{ROWS[LONG]}, trained for longer and with a penalty of {long['orthogonality']:g}, went "
        f"from {long['before']['rms']:.3f} to {long['after']['rms']:.3f}, with singular values "
        f"about {long['after']['median']:.2f} in the median.\n"
    )


def stages() -> str:
    """Return between what the singular values of each stage lie, with the penalty and without."""
    both = [_record(f"spectra-{row}") for row in (WITH, WITHOUT)]
    if not all(both):
        return NOT_MEASURED
    before, kept = (_ranges(network) for network in Spectra.from_json(both[0]).networks)
    lost = _ranges(Spectra.from_json(both[1]).networks[1])
    return (
        "Between what nine in ten singular values of every convolution without strides lie, one "
        f"run of each (seed 0): at the start, {_in_stages(before)}; after training with the "
        f"penalty, {_in_stages(kept)}; without it, {_in_stages(lost)}.\n"
    )


def _by_stage(network: NetworkSpectra) -> dict[str, list[LayerSpectrum]]:
    """Return the constrained convolutions without strides by their stage, `"s1"` and so on."""
    found: dict[str, list[LayerSpectrum]] = {}
    for layer in network.constrained:
        if max(layer.strides) == 1:
            found.setdefault(layer.name.rpartition("/")[2].partition("_")[0], []).append(layer)
    return found


def _ranges(network: NetworkSpectra) -> dict[str, tuple[float, float]]:
    low, high = LEVELS.index(0.05), LEVELS.index(0.95)
    return {
        stage: (
            min(float(layer.quantiles[low]) for layer in layers),
            max(float(layer.quantiles[high]) for layer in layers),
        )
        for stage, layers in _by_stage(network).items()
    }


def _in_stages(ranges: dict[str, tuple[float, float]]) -> str:
    if all(max(abs(end - 1) for end in pair) < 1e-6 for pair in ranges.values()):
        return "all are 1"
    words = (f"{low:.2f} to {high:.2f} in stage {s[1:]}" for s, (low, high) in ranges.items())
    return ", ".join(words)


def borders() -> str:
    """Return how many convolutions see maps so small that the distance tells little of them."""
    found = []
    for row in (WITH, LONG):
        record = _record(f"spectra-{row}")
        if record is not None:
            found.append(_small(row, Spectra.from_json(record).networks[-1]))
    return " ".join(found) + "\n" if found else NOT_MEASURED


def _small(row: str, network: NetworkSpectra) -> str:
    layers = [layer for each in _by_stage(network).values() for layer in each]
    small = {s: sum(x.small for x in each) for s, each in _by_stage(network).items()}
    where = " and ".join(f"stage {s[1:]}" for s, count in small.items() if count)
    pixels = _runs()[row][0]["size"]
    return (
        f"Of {ROWS[row]}, on images of {pixels} pixels, these are {sum(small.values())} of the "
        f"{len(layers)} convolutions without strides" + (f", those of {where}." if where else ".")
    )


def filters() -> str:
    """Return what the filters of the measured networks do."""
    found = [FilterReport.read(path) for path in sorted(RESULTS.glob("filters-*.json"))]
    if not found:
        return NOT_MEASURED
    return table(
        "network|images:|filters:|dead:|always on:|positions on:|median entropy in bits:",
        (_filter_row(report) for report in found),
    )


def _filter_row(report: FilterReport) -> list[str]:
    rows = report.layers
    count = sum(row.filters for row in rows)
    entropies = sorted(float(value) for row in rows for value in row.entropy)
    linear = [int(row.always_on.sum()) for row in rows if row.always_on is not None]
    on = [float(value) for row in rows if row.on is not None for value in row.on]
    return [
        f"`{report.model}`",
        f"{report.images:,}",
        f"{count:,}",
        str(sum(int(row.dead.sum()) for row in rows)),
        f"{sum(linear):,}",
        f"{100 * mean(on):.1f} %",
        f"{entropies[len(entropies) // 2]:.2f}",
    ]


def pruning() -> str:
    """Return what removing filters cost."""
    found = [PruningReport.read(path) for path in sorted(RESULTS.glob("pruning-*.json"))]
    if not found:
        return NOT_MEASURED
    return table(
        "network|removed|parameters left:|multiply-adds left:|top-1 before:|after:|fine-tuned:|"
        "epochs:|images:",
        (_pruning_row(report) for report in found),
    )


def pruning_verdict() -> str:
    """Return what removing filters cost, and what is not known of it."""
    found = [PruningReport.read(path) for path in sorted(RESULTS.glob("pruning-*.json"))]
    if not found:
        return NOT_MEASURED
    sentences = [_cost(report) for report in found]
    if not any("random" in report.chosen for report in found):
        sentences.append(
            "Removing as many at random was not measured, so nothing is said of whether entropy "
            "picks filters that matter less than others."
        )
    return " ".join(sentences) + "\n"


def _cost(report: PruningReport) -> str:
    lost = {
        when: f"{100 * (report.accuracies['before'] - top1):.1f}"
        for when, top1 in report.accuracies.items()
    }
    words = f"Without {report.chosen}, {lost['after']} points of accuracy are lost"
    if "fine-tuned" in lost:
        words += f", and {lost['fine-tuned']} after {report.epochs} epochs more"
    return f"{words}."


def _pruning_row(report: PruningReport) -> list[str]:
    accuracies = [
        f"{100 * report.accuracies[key]:.1f} ± {100 * report.error(key):.1f} %"
        if key in report.accuracies
        else ""
        for key in ("before", "after", "fine-tuned")
    ]
    return [
        f"`{report.model}`",
        report.chosen,
        f"{100 * report.parameters[1] / report.parameters[0]:.1f} %",
        f"{100 * report.multiply_adds[1] / report.multiply_adds[0]:.1f} %",
        *accuracies,
        str(report.epochs),
        f"{report.images:,}",
    ]


def pictures() -> dict[str, bytes]:
    """Return the pictures of what was measured, by the names of the site's files."""
    found: dict[str, bytes] = {}
    both = [_record(f"spectra-{row}") for row in (WITH, WITHOUT)]
    if all(both):
        before, *after = (Spectra.from_json(record).networks for record in both if record)
        networks = (before[0], before[1], after[0][1])
        found["spectra"] = png(Spectra("", networks).plot())
    for kind in (Spectra, FilterReport, PruningReport):
        for path in sorted(RESULTS.glob(f"{kind.measure}-*imagenette*.json")):
            found[path.stem] = png(kind.read(path).plot())
    return {f"filters/{name}": picture for name, picture in found.items()}


def _record(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


REGIONS = {
    "spectra": spectra,
    "spectra-depth": depths,
    "spectra-verdict": verdict,
    "spectra-stages": stages,
    "spectra-borders": borders,
    "filters": filters,
    "pruning": pruning,
    "pruning-verdict": pruning_verdict,
}
