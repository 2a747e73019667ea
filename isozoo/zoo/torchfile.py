"""Reads a PyTorch checkpoint that somebody else wrote: numbers, and nothing that runs.

Both formats of `torch.save` are read: the zip archive, and the row of pickles that PyTorch wrote
until 2020. What a file claims to hold is compared with its size before PyTorch sees it.
"""

from __future__ import annotations

import importlib
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isozoo.errors import MissingExtraError, WeightsError

#: Bytes. The largest checkpoint of the paper, with its optimiser, has less than a quarter of it.
LARGEST = 2**31

_ZIP = b"PK\x03\x04"
# A protocol 2 pickle of PyTorch's magic number, which opens every file of the older format.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_WEB_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body|\?xml)", re.I | re.S)
_ENCRYPTED = 0x1


def read_checkpoint(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return the state_dict of a PyTorch checkpoint, without running anything that is in it.

    Args:
        path: File written by `torch.save`: a state_dict, bare or under `"net"`.

    Returns:
        CPU tensors by key, with at least one number each, all together no larger than the file.

    Raises:
        WeightsError: There is no such file; it is a web page, truncated, damaged, compressed,
            larger than 2 GiB or no checkpoint at all; it holds anything but plain tensors; or it
            asks for code to be run.
        MissingExtraError: PyTorch is not installed.
    """
    path = Path(os.path.expanduser(path))
    check_container(path)
    torch = import_extra("torch")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile file makes PyTorch raise is open
        raise _refusal(path, error) from error
    values = state_dict_of(checkpoint)
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        raise WeightsError(
            f"{path} holds a {type(values).__name__}, not a state_dict; give a checkpoint that "
            "maps names to tensors, bare or under 'net'"
        )
    _check_tensors(values, path, torch)
    return values


def state_dict_of(checkpoint: Any) -> Any:
    """Return what a checkpoint holds under `"net"`, or the checkpoint itself.

    Example:
        >>> state_dict_of({"net": {"head.fc.bias": 0}, "epoch": 100})
        {'head.fc.bias': 0}
    """
    if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("net"), Mapping):
        return checkpoint["net"]
    return checkpoint


def check_container(path: Path) -> None:
    """Refuse, without PyTorch, a file that is no checkpoint or claims to hold more than it does.

    Raises:
        WeightsError: As for `read_checkpoint`.
    """
    if not path.is_file():
        found = "that is a folder" if path.is_dir() else "there is no such file"
        raise WeightsError(f"no checkpoint at {path}: {found}; give the path of a .pt file")
    size = path.stat().st_size
    if size > LARGEST:
        raise WeightsError(
            f"{path} has {size:,} bytes, more than any checkpoint isozoo reads ({LARGEST:,}); "
            "check that it is the right file"
        )
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(_ZIP):
        _check_archive(path, size)
    elif not start.startswith(_LEGACY):
        raise WeightsError(_not_a_checkpoint(path, start))


def import_extra(module: str, purpose: str = "reading a PyTorch checkpoint") -> Any:
    """Return a module of the extra `convert`.

    Args:
        module: Its name.
        purpose: What it is needed for, as the subject of the message if it is missing.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingExtraError(
            f"{purpose} needs {module}, which is not installed; pip install 'isozoo[convert]'"
        ) from error


def _not_a_checkpoint(path: Path, start: bytes) -> str:
    if not start:
        return f"{path} is empty; fetch it again"
    if _WEB_PAGE.match(start):
        return (
            f"{path} is a web page, not a checkpoint: Google Drive and proxies answer so instead "
            "of sending the file. Open the file's address in a browser, save the checkpoint and "
            "convert that"
        )
    return (
        f"{path} is not a PyTorch checkpoint: it begins with {start[:8]!r}, which is neither of "
        "torch.save's formats; give the file that the authors released"
    )


def _check_archive(path: Path, size: int) -> None:
    """Refuse an archive that would take more room in memory than on disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(
            f"{path} is truncated or damaged: its table of contents cannot be read ({error}); "
            "fetch it again"
        ) from error
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "data.pkl" not in names or "constants.pkl" in names:
        raise WeightsError(
            f"{path} is an archive, but not a checkpoint (it holds "
            f"{', '.join(sorted(names)[:4]) or 'nothing'}); give what torch.save wrote of a "
            "state_dict"
        )
    # torch.save never compresses, so anything that unpacks to more than itself is not its own.
    packed = [
        e for e in entries if e.compress_type != zipfile.ZIP_STORED or e.flag_bits & _ENCRYPTED
    ]
    claimed = sum(entry.file_size for entry in entries)
    if packed or claimed > size:
        what = f"'{packed[0].filename}' is compressed" if packed else "its entries overlap"
        raise WeightsError(
            f"{path} has {size:,} bytes and claims to hold {claimed:,} ({what}), which torch.save "
            "never writes; do not use this file"
        )


def _refusal(path: Path, error: Exception) -> WeightsError:
    """Say what PyTorch refused; its own advice would be to let the file run its code."""
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if wanted:
        return WeightsError(
            f"{path} was refused, and nothing in it was run: it asks for the Python object "
            f"{wanted[1]}, where a checkpoint holds numbers only; do not use this file"
        )
    told = [part for part in str(error).split("\n\n") if "weights_only" not in part]
    reason = " ".join(" ".join(told).split()) or type(error).__name__
    return WeightsError(
        f"{path} is truncated or damaged: PyTorch cannot read it ({reason[:200]}); fetch it again"
    )


def _check_tensors(values: Mapping[str, Any], path: Path, torch: Any) -> None:
    """Refuse whatever `torch.save` does not write of a network, or takes more room than it had."""
    for key, value in values.items():
        if not isinstance(value, torch.Tensor):
            raise WeightsError(
                f"{path} holds '{key}' as a {type(value).__name__}, not as a tensor; give a "
                "checkpoint that maps names to tensors, bare or under 'net'"
            )
        plain = value.layout is torch.strided and value.device.type == "cpu"
        if not plain or value.is_quantized or value.is_complex():
            raise WeightsError(
                f"{path} holds '{key}' as a tensor on {value.device} of type {value.dtype} and "
                f"layout {value.layout}; only plain tensors of real numbers can be converted"
            )
        if value.numel() == 0:
            raise WeightsError(
                f"{path} holds '{key}' with the shape {tuple(value.shape)}, which has room for no "
                "number; do not use this file"
            )
    # A view that repeats one number a million times takes no room in the file.
    claimed = sum(value.numel() * value.element_size() for value in values.values())
    size = path.stat().st_size
    if claimed > size:
        raise WeightsError(
            f"{path} has {size:,} bytes and its tensors claim {claimed:,}; do not use this file"
        )
