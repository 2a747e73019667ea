"""The table of measures: every row runs, is costed, saved and read again."""

import importlib

import numpy as np
import pytest

from isozoo import architecture
from isozoo.diagnostics import Cost
from isozoo.diagnostics.measures import MEASURES, chosen, compare, read_result
from isozoo.diagnostics.subject import Subject, untrained
from isozoo.errors import DiagnosticsError, UnknownNameError


@pytest.fixture(scope="module")
def subject():
    model = untrained(architecture("isonet-8", classes=2, width=4), ["a", "b"])
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    return Subject("the net", model, images, np.arange(4) % 2, fresh=True)


@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if row.usual])
def test_a_usual_measure_runs_and_is_read_again(subject, name, tmp_path):
    assert isinstance(MEASURES[name].estimate(subject), Cost)
    found = MEASURES[name].run(subject)
    assert (found.measure, found.model) == (name, "the net")
    assert found.table().row_count > 0
    (numbers, *_) = found.save(tmp_path)
    assert read_result(numbers).to_json() == found.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if not row.usual])
def test_another_measure_runs_and_is_read_again(subject, name, tmp_path):
    test_a_usual_measure_runs_and_is_read_again(subject, name, tmp_path)


@pytest.mark.parametrize("name", MEASURES)
def test_a_row_names_what_there_is(name):
    row = MEASURES[name]
    for attribute in (row.result, row.function, row.cost):
        module, _, attribute = attribute.rpartition(":")
        home = importlib.import_module(f"isozoo.diagnostics.{module or row.home}")
        assert hasattr(home, attribute)
    assert (
        getattr(importlib.import_module(f"isozoo.diagnostics.{row.home}"), row.result).measure
        == name
    )


def test_measures_are_chosen_by_name():
    assert chosen(None) == [name for name, row in MEASURES.items() if row.usual]
    assert chosen(["all"]) == list(MEASURES)
    assert chosen(["jacobian", "jacobian"]) == ["jacobian"]
    with pytest.raises(UnknownNameError, match=r"unknown measure 'isometri'.*'isometry'"):
        chosen(["isometri"])


def test_only_results_of_one_measure_stand_side_by_side(subject):
    spectra, filters = (MEASURES[name].run(subject) for name in ("spectra", "filters"))
    assert len(compare(spectra, spectra).networks) == 2
    with pytest.raises(DiagnosticsError, match="filters, spectra; give two of"):
        compare(spectra, filters)
