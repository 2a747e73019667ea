"""The errors: their family, and the hint towards the right name."""

import pytest

from isozoo import errors
from isozoo.errors import IsozooError, UnknownNameError, unknown

NAMES = ["isonet-18", "isonet-34", "r-isonet-18", "resnet-18"]


def test_every_error_can_be_caught_as_one():
    classes = (value for value in vars(errors).values() if isinstance(value, type))
    own = [value for value in classes if value.__module__ == errors.__name__]
    assert len(own) > 1
    assert all(issubclass(error, IsozooError) for error in own)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UnknownNameError, ValueError),
        (errors.ImageError, ValueError),
        (errors.DataError, ValueError),
        (errors.RecipeError, ValueError),
        (errors.BenchmarkError, ValueError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_errors_can_be_caught_as_what_python_would_raise(error, builtin):
    assert issubclass(error, builtin)


def test_the_nearest_names_are_given():
    error = unknown("model", "isonet_18", NAMES)
    assert isinstance(error, UnknownNameError)
    message = str(error)
    assert message.startswith("unknown model 'isonet_18'; did you mean 'isonet-18' or ")
    assert message.endswith("?")


def test_at_most_three_names_are_given():
    assert str(unknown("model", "isonet-1", [f"isonet-1{i}" for i in range(9)])).count(" or ") == 2


def test_where_nothing_is_near_the_known_names_are_listed():
    message = str(unknown("stem", "xyz", ["imagenet", "cifar"], "See the documentation."))
    assert message == "unknown stem 'xyz'; known: imagenet, cifar See the documentation."


def test_a_long_list_is_cut():
    message = str(unknown("number", "x", map(str, range(100))))
    assert message.endswith("10, 11, ...")
