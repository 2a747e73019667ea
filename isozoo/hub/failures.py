"""Every failure of the network, the Hub and the disk, as one kind of error that says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from isozoo.errors import WeightsError

#: The base error of httpx, under whichever name huggingface_hub brings that library.
HTTPError = cast(type[Exception], HfHubHTTPError.__bases__[0])
#: Everything that goes wrong between here and a file on disk. A header that is no number is a
#: ValueError; huggingface_hub wraps the failures of large files into RuntimeErrors.
_FAILURES = (HTTPError, OSError, RuntimeError, ValueError)

_ADVICE = {
    401: "there is no such repository, or it is private: check the name, or log in with "
    "`hf auth login` or token=",
    403: "access is refused: accept the repository's terms on its page, or use a token that has "
    "the right to this",
    404: "there is no such repository, revision or file: check the names",
    429: "too many requests: wait some minutes, or log in with `hf auth login`",
}
_BUSY = "the server is in trouble: try again later"


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
        status = error.response.status_code
        return f"{constants.ENDPOINT} answered {status}, {_ADVICE.get(status, _BUSY)}"
    if isinstance(error, OfflineModeIsEnabled):
        return (
            "HF_HUB_OFFLINE or local_files_only forbids to ask the Hub for what is not in the "
            "cache; fetch it once without"
        )
    if isinstance(error, HTTPError):
        return (
            f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}: {error}); check the "
            "connection, the proxy and HF_ENDPOINT"
        )
    if isinstance(error, OSError) and error.errno is not None:
        place = f" ({error.filename})" if error.filename else ""
        return (
            f"{error.strerror}{place}; make room in the cache, or choose another with cache_dir= "
            "or HF_HOME"
        )
    # huggingface_hub adds lines of advice on its own arguments.
    return f"{str(error).partition(chr(10))[0] or type(error).__name__}; try again"
