"""From the authors' PyTorch checkpoints to weights folders."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TransferSpeedColumn,
)

from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.models.architecture import architecture, split_name
from isozoo.models.classifier import Classifier
from isozoo.models.folder import write_folder
from isozoo.models.manifest import Manifest
from isozoo.zoo import catalog
from isozoo.zoo.official import load_state_dict
from isozoo.zoo.store import downloads_directory, locked, store_directory, stored
from isozoo.zoo.torchfile import check_container, import_extra, read_checkpoint

#: Seconds without a byte after which a download is given up, and how often it is taken up again.
PATIENCE = 60
RETRIES = 3


class Conversion(NamedTuple):
    """What `convert_checkpoint` did.

    Args:
        folder: The weights folder that was written.
        manifest: What it says of itself.
        checkpoint: The file that was read.
        found: Size and SHA-256 of that file. Its authors state neither, so they are what was
            found and not what was checked.
        release: Where the authors released it; None for a checkpoint that is not in the catalog.
    """

    folder: Path
    manifest: Manifest
    checkpoint: Path
    found: FileRecord
    release: catalog.Release | None


def convert_checkpoint(
    source: str | os.PathLike[str],
    model: str | None = None,
    *,
    tag: str | None = None,
    out: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
) -> Conversion:
    """Write a weights folder from a PyTorch checkpoint of `HaozhiQi/ISONet` or `Fixup`.

    Nothing in the checkpoint is run: it is read as numbers, each of which must find its variable.

    Args:
        source: The checkpoint; or, without `model`, the name of weights that their authors
            released (`"r-isonet-50.imagenet"`), which are fetched from Google Drive.
        model: Name of the network (`"r-isonet-50"`), or of released weights where `source` is
            their checkpoint.
        tag: What the weights were trained on, if `model`, or the name to fetch, does not say it.
        out: Folder to write. By default released weights go where `isozoo.load` finds them by
            name (`isozoo.zoo.store`), others to a folder of their name in the current one.
        labels: One name per class; by default ImageNet's for 1000 classes, else numbers.

    Returns:
        What was read and written.

    Raises:
        UnknownNameError: No such network or weights.
        WeightsError: The checkpoint cannot be fetched, is damaged or hostile, or is not of that
            network.
        DataError: There are more or fewer labels than classes.
        MissingExtraError: PyTorch or gdown is not installed; the message says how to get it.
        OSError: The folder cannot be written.

    Example:
        >>> convert_checkpoint("best.pt")
        Traceback (most recent call last):
        isozoo.errors.WeightsError: cannot tell which network 'best.pt' holds; say it, as in ...
    """
    record = _record(source, model, tag)
    _require_extra(record)
    with locked(record.name) if record.release else contextlib.nullcontext():
        if model:
            checkpoint = Path(os.path.expanduser(source))
            network = _network(checkpoint, record, labels)
        else:
            checkpoint = fetch_release(record)
            with _deleted_if_refused(checkpoint, record):
                network = _network(checkpoint, record, labels)
        target = Path(os.path.expanduser(out)) if out else _usual_place(record)
        return _written(network, checkpoint, record, target)


def convert_release(record: catalog.Record) -> Path:
    """Return the folder of weights that their authors released, fetched and converted if needed.

    Args:
        record: The weights' record, with a release.

    Returns:
        The folder in the store. Several processes that ask at once convert once.

    Raises:
        WeightsError: As for `convert_checkpoint`.
        MissingExtraError: As for `convert_checkpoint`.
        OSError: As for `convert_checkpoint`.
    """
    _require_extra(record)
    with locked(record.name):
        return stored(record.name) or convert_checkpoint(record.name).folder


def fetch_release(record: catalog.Record) -> Path:
    """Return the authors' checkpoint of released weights, downloaded unless it is here already.

    A download that was cut off is taken up where it ended; the file gets its name when it is whole
    and is a checkpoint. Nobody states its hash.

    Args:
        record: The weights' record, with a release.

    Returns:
        The file, in `isozoo.zoo.store.downloads_directory()`.

    Raises:
        WeightsError: The file cannot be fetched, or what came is no checkpoint.
        MissingExtraError: gdown is not installed.
        OSError: The file cannot be written.
    """
    release = record.release
    if release is None:
        raise WeightsError(
            f"the authors of {record.name} released no checkpoint; there are those of "
            f"{', '.join(_released())}"
        )
    target = downloads_directory() / f"{record.name}.pt"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        arrived = target.with_suffix(".fetched")
        _download(release, arrived, record.name)
        with _deleted_if_refused(arrived, record):
            check_container(arrived)
        arrived.replace(target)
    return target


def _download(release: catalog.Release, target: Path, name: str) -> None:
    if huggingface_hub.is_offline_mode():
        raise WeightsError(
            f"HF_HUB_OFFLINE forbids to fetch {name} from Google Drive; unset it. "
            f"{_by_hand(release, name)}"
        )
    purpose = f"fetching the authors' checkpoint of {name}"
    gdown, requests = import_extra("gdown", purpose), import_extra("requests", purpose)
    try:
        with _download_bar(name) as progress:
            gdown.download(
                id=release.file_id,
                output=str(target),
                quiet=True,
                resume=True,
                use_cookies=False,
                timeout=PATIENCE,
                retries=RETRIES,
                progress=progress,
            )
    except (gdown.exceptions.DownloadError, requests.exceptions.RequestException) as error:
        raise WeightsError(
            f"cannot fetch {name} from Google Drive ({' '.join(str(error).split())}); what arrived "
            f"is kept in {target.parent}, and the same command goes on from there. "
            f"{_by_hand(release, name)}"
        ) from error


@contextlib.contextmanager
def _deleted_if_refused(fetched: Path, record: catalog.Record) -> Iterator[None]:
    """Delete a fetched file that is refused, which would be found and refused again for ever."""
    try:
        yield
    except WeightsError as error:
        fetched.unlink(missing_ok=True)
        how = f". {_by_hand(record.release, record.name)}" if record.release else ""
        raise WeightsError(f"{error} (now deleted){how}") from error


def _by_hand(release: catalog.Release, name: str) -> str:
    return (
        f"Or open {release.url} in a browser, save the file and run "
        f"`isozoo convert FILE --model {name}`"
    )


@contextlib.contextmanager
def _download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield what gdown tells how far it is."""
    with _progress(BarColumn(), DownloadColumn(), TransferSpeedColumn()) as bars:
        bar = bars.add_task(f"Fetching {name}", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _progress(*columns: ProgressColumn) -> Progress:
    """Return a display that only a person at a terminal sees, and only while it lasts."""
    console = Console(stderr=True)
    return Progress(
        "{task.description}",
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _record(source: str | os.PathLike[str], model: str | None, tag: str | None) -> catalog.Record:
    """Return the catalog's record of what is converted, or one made up for a stranger's."""
    released = _released()
    if model is None:
        text = os.fspath(source)
        # A file may be named like weights: r-isonet-50.pt.
        if catalog.is_known(text) and not os.path.isfile(text):
            return catalog.info(_tagged(text, tag))
        raise WeightsError(
            f"cannot tell which network '{text}' holds; say it, as in `isozoo convert {text} "
            f"--model r-isonet-50`. Without --model these can be fetched: {', '.join(released)}"
        )
    full = _tagged(model, tag)
    base, tag = split_name(full)
    described = architecture(base)  # refuses a name that no network has
    return released.get(full) or catalog.Record(full, described.name, tag, 0, 0.0)


def _tagged(name: str, tag: str | None) -> str:
    """Return a name with its tag, which may be in it or beside it."""
    base, named = split_name(name)
    if tag and named and tag != named:
        raise WeightsError(f"'{name}' has another tag than '{tag}'; give one of them")
    return f"{base}.{tag}" if tag else name


def _released() -> dict[str, catalog.Record]:
    """Return the records of what the networks' authors released, by name."""
    records = [catalog.info(name) for name in catalog.list_models(pretrained=True)]
    return {record.name: record for record in records if record.release}


def _require_extra(record: catalog.Record) -> None:
    """Ask for PyTorch before hundreds of megabytes are fetched in vain."""
    whose = f"the authors' checkpoint of {record.name}" if record.release else "a checkpoint"
    import_extra("torch", f"converting {whose}")


def _usual_place(record: catalog.Record) -> Path:
    return store_directory() / record.name if record.release else Path(record.name)


def _network(checkpoint: Path, record: catalog.Record, labels: Sequence[str] | None) -> Classifier:
    with _progress(SpinnerColumn()) as bars:
        bars.add_task(f"Reading {record.name}", total=None)
        return load_state_dict(
            read_checkpoint(checkpoint),
            record.architecture,
            labels=labels,
            dropout=record.release.dropout if record.release else None,
        )


def _written(
    network: Classifier, checkpoint: Path, record: catalog.Record, target: Path
) -> Conversion:
    with _progress(SpinnerColumn()) as bars:
        bars.add_task(f"Writing {record.name}", total=None)
        found = FileRecord.of(checkpoint)
        manifest = write_folder(
            network,
            target,
            tag=record.tag,
            licence=record.licence,
            source=_source(record, found),
        )
    return Conversion(target, manifest, checkpoint, found, record.release)


def _source(record: catalog.Record, checkpoint: FileRecord) -> str:
    """Return whose weights these are, for their card: a licence may ask for that."""
    whose = (
        f"trained and released by the authors of {record.release.source} ({record.release.url})"
        if record.release
        else "of an origin that was not stated"
    )
    return (
        f"Converted from a PyTorch checkpoint {whose}. The file that was read has "
        f"{checkpoint.size} bytes and the SHA-256 {checkpoint.sha256}; no list states what it "
        "should be."
    )
