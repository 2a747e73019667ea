"""Every failure of the network, the Hub and the disk, as one kind of error that says what to do."""

from __future__ import annotations

import contextlib
import errno
import json
import sys
from collections.abc import Iterator
from typing import cast

from huggingface_hub import constants
from huggingface_hub.errors import (
    FileMetadataError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from isozoo.errors import WeightsError

#: The base error of httpx, under whichever name huggingface_hub brings that library.
HTTPError = cast(type[Exception], HfHubHTTPError.__bases__[0])
#: That of an address that is none, which httpx does not count among the former.
_InvalidURL = cast(type[Exception], sys.modules[HTTPError.__module__].InvalidURL)
#: What huggingface_hub meets where an answer is not the Hub's.
_FOREIGN = (FileMetadataError, json.JSONDecodeError, UnicodeDecodeError, KeyError)
#: Everything that goes wrong between here and a file on disk. A header that is no number is a
#: ValueError; huggingface_hub wraps the failures of large files into RuntimeErrors.
_FAILURES = (HTTPError, _InvalidURL, OSError, RuntimeError, ValueError, KeyError)

_BUSY = "the server is in trouble: try again later"
_ADVICE = {
    401: "there is no such repository, or it is private: check the name, or log in with "
    "`hf auth login` or token=",
    403: "access is refused: accept the repository's terms on its page, or use a token that has "
    "the right to this",
    404: "there is no such repository, revision or file: check the names",
    408: _BUSY,
    429: "too many requests: wait some minutes, or log in with `hf auth login`",
}


@contextlib.contextmanager
def one_error(what: str) -> Iterator[None]:
    """Turn what fails inside into a `WeightsError` that says what was attempted, why, what to do.

    Args:
        what: What is attempted, such as "cannot fetch isozoo.json of me/my-net".
    """
    try:
        yield
    except _FAILURES as error:
        raise WeightsError(f"{what}: {reason(error)}") from error


def is_refusal(error: BaseException) -> bool:
    """Return whether the Hub was reached and said no."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404)


def reason(error: BaseException) -> str:
    """Return what went wrong and what to do."""
    wrapped = isinstance(error, LocalEntryNotFoundError | RuntimeError)
    if wrapped and error.__cause__ is not None:
        return reason(error.__cause__)
    if isinstance(error, HfHubHTTPError):
        return f"{constants.ENDPOINT} answered {_status(error)}"
    if isinstance(error, OfflineModeIsEnabled):
        return (
            "HF_HUB_OFFLINE or local_files_only forbids to ask the Hub for what is not in the "
            "cache; fetch it once without"
        )
    if isinstance(error, _FOREIGN):
        return (
            f"{constants.ENDPOINT} answers, but not as the Hub does; look whether this network "
            "wants you to log in first, and whether HF_ENDPOINT is right, then try again"
        )
    if isinstance(error, _InvalidURL):
        return (
            f"{constants.ENDPOINT} or the proxy's address is none ({error}); check HF_ENDPOINT "
            "and HTTPS_PROXY"
        )
    if isinstance(error, HTTPError):
        return (
            f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}: {error}); check the "
            "connection, the proxy and HF_ENDPOINT"
        )
    if isinstance(error, OSError) and error.errno is not None:
        return _disk(error)
    # huggingface_hub adds lines of advice on its own arguments.
    told = str(error).partition("\n")[0] or type(error).__name__
    return f"{told}; {'check the name' if isinstance(error, HFValidationError) else 'try again'}"


def _status(error: HfHubHTTPError) -> str:
    """Return a refusing server's status, and what it means or what the server says of it."""
    status = error.response.status_code
    if status in _ADVICE or status >= 500:
        return f"{status}, {_ADVICE.get(status, _BUSY)}"
    said = " ".join((error.server_message or error.response.reason_phrase).split())
    said = "".join(letter for letter in said[:200] if letter.isprintable())
    return f"{status}, '{said}': change what it objects to, trying again will not help"


def _disk(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    advice = (
        "give a shorter name"
        if error.errno == errno.ENAMETOOLONG
        else "make room in the cache, or choose another with cache_dir= or HF_HOME"
    )
    return f"{error.strerror}{place}; {advice}"
