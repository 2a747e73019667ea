"""The model card: the README of a weights folder, every number from its manifest and log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from huggingface_hub import EvalResult, ModelCardData

from isozoo.models.manifest import GOLDEN, LOG, MANIFEST, RECIPE, Manifest


class DataSet(NamedTuple):
    """How a tag's data set is called in prose and on the Hub, and which part is measured on."""

    title: str
    hub: str
    split: str


class Metric(NamedTuple):
    """How a metric is called, and how the Hub calls its kind."""

    title: str
    kind: str


DATA_SETS = {
    "imagenet": DataSet("ImageNet-1k", "ILSVRC/imagenet-1k", "validation"),
    "imagenette": DataSet("Imagenette", "frgfm/imagenette", "validation"),
    "cifar10": DataSet("CIFAR-10", "uoft-cs/cifar10", "test"),
}
METRICS = {
    "top1": Metric("top-1 accuracy", "accuracy"),
    "top5": Metric("top-5 accuracy", "accuracy"),
}
#: Columns of the training table: key of the log, heading, format.
COLUMNS = (
    ("epoch", "epoch", "d"),
    ("size", "image side", "d"),
    ("learning_rate", "learning rate", ".3g"),
    ("loss", "loss", ".3f"),
    ("penalty", "orthogonality penalty", ".3g"),
    ("accuracy", "training accuracy", ".1%"),
    ("val_accuracy", "validation accuracy", ".1%"),
)
ROWS = 10


def card(manifest: Manifest, log: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the text of a model card with the Hub's front matter.

    Args:
        manifest: The manifest of the weights folder.
        log: One record per epoch, as in `log.jsonl`; none if the training is not known.

    Returns:
        Markdown.

    Example:
        >>> import tempfile, isozoo
        >>> from isozoo.models.folder import write_folder
        >>> with tempfile.TemporaryDirectory() as place:
        ...     manifest = write_folder(isozoo.create("isonet-8", classes=2), f"{place}/pets")
        >>> card(manifest).splitlines()[:2]
        ['---', 'library_name: keras']
    """
    parts = (
        f"---\n{_front_matter(manifest).to_yaml()}\n---",
        f"# {manifest.full_name}",
        _summary(manifest),
        _numbers(manifest),
        _usage(manifest),
        _training(manifest, log),
        _limits(manifest),
        _files(),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(manifest: Manifest) -> ModelCardData:
    data = DATA_SETS.get(manifest.tag or "")
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=data.hub,
            dataset_name=data.title,
            dataset_split=data.split,
            metric_type=metric.kind,
            metric_name=metric.title,
            metric_value=manifest.metrics[key],
        )
        for key, metric in METRICS.items()
        if data is not None and key in manifest.metrics
    ]
    return ModelCardData(
        library_name="keras",
        license=manifest.licence.lower() if manifest.licence else None,
        pipeline_tag="image-classification",
        tags=["isozoo", "image-classification", manifest.architecture.family],
        datasets=[data.hub] if data else None,
        metrics=sorted({METRICS[key].kind for key in METRICS if key in manifest.metrics}) or None,
        # The Hub wants a name exactly where there are results.
        model_name=manifest.full_name if results else None,
        eval_results=results or None,
    )


def _summary(manifest: Manifest) -> str:
    labels = ", ".join(manifest.labels[:10]) + (", ..." if len(manifest.labels) > 10 else "")
    trained = f" It was trained on {_data_title(manifest)}." if manifest.tag else ""
    return (
        "An image classifier of isozoo, the Keras 3 zoo of isometric networks "
        f"(`pip install isozoo`): architecture `{manifest.name}`, {manifest.parameters:,} "
        f"parameters, {len(manifest.labels)} classes ({labels}).{trained}"
    )


def _numbers(manifest: Manifest) -> str:
    lines = [
        f"| {METRICS[key].title} | {value:.2%} |"
        if key in METRICS
        else f"| {key.replace('_', ' ')} | {value:g} |"
        for key, value in manifest.metrics.items()
    ]
    if not lines:
        return ""
    where = _data_title(manifest)
    if manifest.tag in DATA_SETS:
        where = f"the {DATA_SETS[manifest.tag].split} images of {where}"
    heading = f"## Results\n\nMeasured on {where}, with the preprocessing below."
    return "\n".join([f"{heading}\n\n| measure | value |\n| --- | --- |", *lines])


def _usage(manifest: Manifest) -> str:
    settings = "\n".join(
        f"| {key} | {value} |" for key, value in manifest.preprocessing.to_dict().items()
    )
    return f"""## Use

```python
import isozoo

model = isozoo.load("path/to/{manifest.full_name}")  # this folder
for prediction in model.classify("picture.jpg")[0]:
    print(prediction.label, prediction.probability)
```

`isozoo.load_backbone` returns the encoder with its feature pyramid, and
`isozoo.load(..., classes=37)` the encoder under a new head. After `import isozoo`,
`keras.saving.load_model` reads the encoder from the same folder.

Pictures are prepared by `model.preprocessing`, which `classify` applies:

| preprocessing | |
| --- | --- |
{settings}"""


def _training(manifest: Manifest, log: Sequence[Mapping[str, Any]]) -> str:
    if not log:
        return ""
    columns = [column for column in COLUMNS if column[0] in log[-1]]
    # The first epoch, the last, and the validated ones between, thinned to a readable number.
    shown = [row for row in log[1:-1] if "val_accuracy" in row or "val_accuracy" not in log[-1]]
    step = max(1, -(-len(shown) // (ROWS - 2)))
    rows = [log[0], *shown[step - 1 :: step], *log[-1:]] if len(log) > 1 else list(log)
    lines = [
        "| " + " | ".join(f"{row[key]:{form}}" if key in row else "" for key, _, form in columns)
        for row in rows
    ]
    seconds = sum(row.get("seconds", 0.0) for row in log)
    spent = f" and {seconds / 3600:.1f} hours of training steps" if seconds else ""
    sentence = (
        f"{len(log)} epochs{spent}. `{RECIPE}` is exactly what was run, "
        f"`{LOG}` has every epoch; some of them:"
    )
    header = "| " + " | ".join(title for _, title, _ in columns) + " |"
    rule = "| " + " | ".join("---" for _ in columns) + " |"
    table = "\n".join([header, rule, *(f"{line} |" for line in lines)])
    return f"## Training\n\n{sentence}\n\n{table}"


def _limits(manifest: Manifest) -> str:
    known = f" of {_data_title(manifest)}" if manifest.tag else ""
    return f"""## Limits

* It names one of its {len(manifest.labels)} classes{known} for every picture, also for one that
  shows none of them.
* Its probabilities are those of the softmax and were not calibrated.
* It has learned what the pictures of its classes have in common in one data set, including what
  is accidental there. Measure it on your own pictures before relying on it."""


def _files() -> str:
    return (
        f"`{MANIFEST}` states size and SHA-256 of every file here and the shape of every variable; "
        f"isozoo refuses the folder if anything differs. `{GOLDEN}` holds an input and the "
        "network's answer to it, to compare with on another machine."
    )


def _data_title(manifest: Manifest) -> str:
    tag = manifest.tag or ""
    return DATA_SETS[tag].title if tag in DATA_SETS else f"`{tag}`"
