"""The model card: the README of a weights folder, every number from its manifest and log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from isozoo.models.citations import papers
from isozoo.models.manifest import CURVE, GOLDEN, LOG, MANIFEST, RECIPE, Log, Manifest

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData


class DataSet(NamedTuple):
    """How a tag's data set is called in prose and on the Hub, and which part is measured on."""

    title: str
    hub: str
    split: str


class Metric(NamedTuple):
    """How a metric is called, and how the Hub calls its kind."""

    title: str
    kind: str


_IMAGENET = DataSet("ImageNet-1k", "ILSVRC/imagenet-1k", "validation")
#: By the whole tag: part of a data set, or more than it, is another one.
DATA_SETS = {
    "imagenet": _IMAGENET,
    "imagenet-nodropout": _IMAGENET,
    "imagenette": DataSet("Imagenette", "frgfm/imagenette", "validation"),
    "cifar10": DataSet("CIFAR-10", "uoft-cs/cifar10", "test"),
}
METRICS = {
    "top1": Metric("top-1 accuracy", "accuracy"),
    "top5": Metric("top-5 accuracy", "accuracy"),
}
#: Licences that the Hub calls as SPDX does, but for the case; any other it only takes by its name.
HUB_LICENCES = frozenset(
    {
        *("afl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0"),
        *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nd-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "ecl-2.0"),
        *("epl-2.0", "eupl-1.1", "isc", "mit", "mpl-2.0", "ms-pl", "ncsa", "ofl-1.1", "osl-3.0"),
        *("postgresql", "unlicense", "wtfpl", "zlib"),
    }
)
#: Columns of the training table: key of the log, heading, format.
COLUMNS = (
    ("epoch", "epoch", ".0f"),
    ("size", "image side", ".0f"),
    ("learning_rate", "learning rate", ".3g"),
    ("loss", "loss", ".3f"),
    ("penalty", "orthogonality penalty", ".3g"),
    ("accuracy", "training accuracy", ".1%"),
    ("val_accuracy", "validation accuracy", ".1%"),
)
ROWS = 10


def card(
    manifest: Manifest,
    log: Log = (),
    *,
    repository: str | None = None,
    catalogued: bool = False,
) -> str:
    """Return the text of a model card with the Hub's front matter.

    Args:
        manifest: The manifest of the weights folder.
        log: One record per epoch, as in `log.jsonl`; none if the training is not known.
        repository: Hub repository of the folder, `owner/name`; None if it is not known yet.
        catalogued: Whether isozoo finds the weights by their name alone.

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
        _source(manifest),
        _numbers(manifest),
        _usage(manifest, repository or f"owner/{manifest.full_name}", catalogued),
        _training(manifest, log),
        _limits(manifest),
        _citation(manifest),
        _files(),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(manifest: Manifest) -> ModelCardData:
    # Loading weights needs no card; huggingface_hub would make it wait a second.
    from huggingface_hub import EvalResult, ModelCardData

    data = _data_set(manifest)
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
    licence = manifest.licence.lower() if manifest.licence else None
    if licence is not None and licence not in HUB_LICENCES:
        licence = "other"
    return ModelCardData(
        library_name="keras",
        license=licence,
        license_name=manifest.licence if licence == "other" else None,
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
    licence = f" Licence: {manifest.licence}." if manifest.licence else ""
    stored = ""
    if manifest.storage:
        stored = f" Its files hold {manifest.storage} numbers, it computes in {manifest.dtype}."
    return (
        "An image classifier of isozoo, the Keras 3 zoo of isometric networks: architecture "
        f"`{manifest.name}`, {manifest.parameters:,} "
        f"parameters, {len(manifest.labels)} classes ({labels}).{trained}{stored}{licence}"
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
    where = f" on {_data_title(manifest)}" if manifest.tag else ""
    if data := _data_set(manifest):
        where = f" on the {data.split} images of {data.title}"
    unknown = "" if manifest.tag else " It is not stated on which images."
    heading = f"## Results\n\nMeasured{where}, with the preprocessing below.{unknown}"
    return "\n".join([f"{heading}\n\n| measure | value |\n| --- | --- |", *lines])


def _usage(manifest: Manifest, repository: str, catalogued: bool) -> str:
    settings = "\n".join(
        f"| {key} | {value} |" for key, value in manifest.preprocessing.to_dict().items()
    )
    name = manifest.full_name if catalogued else repository
    owner = " `owner` is the account at the Hub." if repository.startswith("owner/") else ""
    places = {f"path/to/{manifest.full_name}": "from a copy of this folder"}
    if catalogued:
        places = {repository: "from the Hugging Face Hub", **places}
    elsewhere = "".join(f'model = isozoo.load("{key}")  # {what}\n' for key, what in places.items())
    return f"""## Use

isozoo is installed from a checkout of its repository: `pip install -c constraints.txt -e .`

```python
import isozoo

model = isozoo.load("{name}")
for prediction in model.classify("picture.jpg")[0]:
    print(prediction.label, prediction.probability)
```

The same weights from elsewhere, and what else can be made of them.{owner}

```python
{elsewhere}model = isozoo.load("{name}", classes=["cat", "dog"])  # a new head, to fine-tune
encoder = isozoo.load_backbone("{name}")  # feature maps: encoder.pyramid_outputs
```

After `import isozoo`, `keras.saving.load_model` reads the encoder from a copy of this folder.

Pictures are prepared by `model.preprocessing`, which `classify` applies:

| preprocessing | |
| --- | --- |
{settings}"""


def _source(manifest: Manifest) -> str:
    return f"## Source\n\n{manifest.source}" if manifest.source else ""


def _training(manifest: Manifest, log: Log) -> str:
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
    recipe = f"`{RECIPE}` is exactly what was run, " if RECIPE in manifest.files else ""
    sentence = f"{len(log)} epochs{spent}. {recipe}`{LOG}` has every epoch; some of them:"
    header = "| " + " | ".join(title for _, title, _ in columns) + " |"
    rule = "| " + " | ".join("---" for _ in columns) + " |"
    table = "\n".join([header, rule, *(f"{line} |" for line in lines)])
    return "\n\n".join(["## Training", sentence, table, *_curve(manifest)])


def _curve(manifest: Manifest) -> list[str]:
    return [f"![learning curve]({CURVE})"] if CURVE in manifest.files else []


def _limits(manifest: Manifest) -> str:
    known = f" of {_data_title(manifest)}" if manifest.tag else ""
    return f"""## Limits

* It names one of its {len(manifest.labels)} classes{known} for every picture, also for one that
  shows none of them.
* Its probabilities are those of the softmax and were not calibrated.
* It has learned what the pictures of its classes have in common in one data set, including what
  is accidental there. Measure it on your own pictures before relying on it."""


def _citation(manifest: Manifest) -> str:
    cited = papers(manifest.architecture.family)
    links = ", ".join(f"[{paper.title}]({paper.url})" for paper in cited)
    entries = "\n\n".join(paper.bibtex() for paper in cited)
    return f"## Citation\n\nThe network is from {links}.\n\n```bibtex\n{entries}\n```"


def _files() -> str:
    return (
        f"`{MANIFEST}` states size and SHA-256 of every file here but this page, and the shape of "
        f"every variable; isozoo refuses a folder in which one differs. `{GOLDEN}` holds an input "
        "and the network's answer to it, to compare with on another machine."
    )


def _data_set(manifest: Manifest) -> DataSet | None:
    return DATA_SETS.get(manifest.tag or "")


def _data_title(manifest: Manifest) -> str:
    data = _data_set(manifest)
    return data.title if data else f"`{manifest.tag}`"
