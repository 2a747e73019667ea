"""Results: saved, read again to the bit, and refused where they are something else."""

import dataclasses
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure

from isozoo.diagnostics import Cost, Result
from isozoo.diagnostics.result import read_record
from isozoo.errors import DiagnosticsError


class Fit(NamedTuple):
    rate: float
    shape: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Layer:
    name: str
    norms: np.ndarray
    share: float | None = None


@dataclasses.dataclass(frozen=True)
class Example(Result):
    measure = "example"
    layers: tuple[Layer, ...]
    fits: Mapping[str, Fit]
    steps: np.ndarray
    dead: np.ndarray
    chi: float
    trained: bool

    def plot(self):
        return Figure()


def example(**changes):
    found = Example(
        model="net",
        layers=(
            Layer("a", np.float32([[1, np.inf], [np.nan, 0.1]])),
            Layer("b", np.zeros(0), np.float64(0.5)),
        ),
        fits={"power": Fit(0.5, (3, 4))},
        steps=np.arange(3, dtype="int32"),
        dead=np.array([True, False]),
        chi=float("-inf"),
        trained=True,
    )
    return dataclasses.replace(found, **changes)


def test_what_is_read_is_what_was_saved(tmp_path):
    saved = example()
    numbers, picture = saved.save(tmp_path / "new")
    assert [numbers.name, picture.name] == ["example.json", "example.png"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    read = Example.read(numbers)
    np.testing.assert_equal(dataclasses.asdict(read), dataclasses.asdict(saved))
    assert read.fits["power"] == Fit(0.5, (3, 4))
    for old, new in ((saved.layers[0].norms, read.layers[0].norms), (saved.steps, read.steps)):
        assert old.dtype == new.dtype


def test_numbers_that_json_has_not_are_texts():
    record = example(chi=float("nan")).to_json()
    assert record["chi"] == "NaN"
    assert record["layers"][0]["norms"][0] == [1.0, "Infinity"]
    assert record["measure"] == "example"
    assert record["model"] == "net"
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measure": "other"}, "'example', found one of 'other'"),
        ({"chi": "many"}, "no result of 'example'.*'many'"),
        ({"trained": 1}, "expected a bool, found 1"),
        ({"layers": [{"name": "a"}]}, "'norms'"),
        ({"more": 1}, "unknown field more"),
    ],
)
def test_another_record_is_refused_in_words(change, said):
    with pytest.raises(DiagnosticsError, match=said):
        Example.from_json({**example().to_json(), **change})


def test_a_result_holds_nothing_that_cannot_be_saved():
    with pytest.raises(TypeError, match="cannot hold an array of complex128"):
        example(dead=np.zeros(2, complex))
    with pytest.raises(TypeError, match="cannot hold a set"):
        example(chi={1}).to_json()


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_file_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DiagnosticsError, match=r"a\.json"):
        read_record(path)


def test_a_single_pass_is_not_written_in_the_plural():
    assert str(Cost("norms", 1, 1, 0)) == "norms: 1 pass of 1 image, about 0 B beyond the model"
