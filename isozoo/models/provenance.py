"""What is said of weights beside their values, and for how long it may be said."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import MissingExtraError, WeightsError
from isozoo.models.curves import panels_of, plot_runs
from isozoo.models.manifest import CURVE, LOG, RECIPE, Log, Manifest

if TYPE_CHECKING:
    from isozoo.models.architecture import Architecture
    from isozoo.models.classifier import Classifier

_AGAIN = "fetch the file again, or remove it: the weights do not need it"


class Subject(NamedTuple):
    """What must not change for the numbers and the history of weights to remain true."""

    fingerprint: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    dtype: str

    @classmethod
    def stated(cls, manifest: Manifest) -> Subject:
        """Return what a weights folder holds, by its own statement."""
        return cls(manifest.fingerprint, manifest.labels, manifest.preprocessing, manifest.dtype)

    @classmethod
    def of(cls, model: Classifier) -> Subject:
        """Return what a model is now."""
        # Here, so that logs are read without Keras.
        from isozoo.models.variables import fingerprint, named_values

        values = fingerprint(model.architecture, named_values(model))
        return cls(values, model.labels, model.preprocessing, model.dtype_policy.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a network's weights come from.

    Args:
        tag: What the weights were trained on, such as `"imagenette"`.
        metrics: Measured numbers by name; `top1` and `top5` are shares in [0, 1].
        licence: SPDX identifier of the weights' licence, such as `"MIT"`.
        source: Whose weights these are and where they were taken from, if they were not made here.
        recipe: Text of the recipe that trained the weights.
        log: One record per epoch.
        storage: Dtype that the weights' files hold the numbers in, if not that of the variables.
        subject: What all this was said of, as `Subject` tells it; None if of nothing in particular.

    Example:
        >>> known = Provenance(tag="cats", licence="MIT")
        >>> Provenance(metrics={"top1": 0.5}).completed_by(known).tag
        'cats'
    """

    tag: str | None = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    licence: str | None = None
    source: str | None = None
    recipe: str | None = None
    log: Log = ()
    storage: str | None = None
    subject: Subject | None = None

    @classmethod
    def read(cls, directory: str | os.PathLike[str], manifest: Manifest) -> Provenance:
        """Return what a weights folder says; of its files, those that the manifest lists.

        Args:
            directory: The folder, its files verified.
            manifest: Its manifest.

        Raises:
            WeightsError: The recipe is not text, or the log does not hold one record per line.
        """
        there = [
            name for name in (RECIPE, LOG)
            if name in manifest.files and (Path(directory) / name).is_file()
        ]  # fmt: skip
        return cls(
            tag=manifest.tag,
            metrics=manifest.metrics,
            licence=manifest.licence,
            source=manifest.source,
            recipe=_read_text(Path(directory) / RECIPE) if RECIPE in there else None,
            log=read_log(Path(directory) / LOG) if LOG in there else (),
            storage=manifest.storage,
            subject=Subject.stated(manifest),
        )

    def write(self, directory: Path, name: str) -> None:
        """Write recipe and log, and the learning curve if Matplotlib is installed.

        Args:
            directory: The folder.
            name: What the curve's legend calls the run.

        Raises:
            ValueError: A number in the log is not finite.
        """
        for file, text in ((RECIPE, self.recipe), (LOG, log_text(self.log))):
            if text:
                (directory / file).write_bytes(text.encode("utf-8"))
        # Matplotlib is optional, and so is the picture.
        with contextlib.suppress(MissingExtraError):
            if panels_of([self.log]):
                plot_runs({name: self.log}, directory / CURVE)

    def full_name(self, architecture: Architecture) -> str:
        """Return `name.tag` of weights of an architecture, or its name alone without a tag."""
        return f"{architecture.name}.{self.tag}" if self.tag else architecture.name

    def completed_by(self, other: Provenance) -> Provenance:
        """Return a copy that says what `other` says where this one says nothing.

        Under another tag, only `licence` and `source` are taken: numbers and history are those of
        the tag that they were said under.
        """
        names = [field.name for field in dataclasses.fields(self)]
        kept = names if self.tag in (None, other.tag) else ("licence", "source")
        said = {name: getattr(self, name) for name in names}
        return Provenance(**said | {name: said[name] or getattr(other, name) for name in kept})


def provenance_of(model: Classifier, *, any_dtype: bool = False) -> Provenance:
    """Return what may still be said of a model: nothing once it is not what that was said of.

    Args:
        model: The classifier, perhaps made over or trained since its `provenance` was given.
        any_dtype: Whether what was said of another dtype policy is true of this one as well.

    Returns:
        The model's `provenance`, or an empty one if the weights, the labels or the preprocessing
        are others.

    Example:
        >>> from isozoo.models import architecture
        >>> from isozoo.models.classifier import Classifier
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> model.provenance = Provenance(tag="cats", subject=Subject.of(model))
        >>> provenance_of(model).tag
        'cats'
        >>> model.head.set_weights([value + 1 for value in model.head.get_weights()])
        >>> provenance_of(model).tag is None
        True
    """
    known: Provenance | None = model.provenance
    if known is None or known.subject is None:
        return Provenance()
    found = Subject.of(model)
    if any_dtype:
        found = found._replace(dtype=known.subject.dtype)
    return known if found == known.subject else Provenance()


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a `log.jsonl`, one per epoch.

    Args:
        path: The file.

    Raises:
        WeightsError: A line is not a JSON object.
    """
    records = []
    for number, line in enumerate(_read_text(Path(path)).splitlines(), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            record = None
        if not isinstance(record, dict):
            raise WeightsError(
                f"{path}, line {number}: expected a JSON object for an epoch, found {line[:60]!r}; "
                f"{_AGAIN}"
            )
        records.append(record)
    return records


def log_text(log: Log) -> str:
    """Return the text of a `log.jsonl`.

    Raises:
        ValueError: A number is not finite, which JSON cannot say.
    """
    return "".join(json.dumps(dict(record), allow_nan=False) + "\n" for record in log)


def _read_text(path: Path) -> str:
    try:
        # Not read_text, which changes line ends: what is written again must be the same bytes.
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} is not text ({error}); {_AGAIN}") from error
