"""The page on why a run failed: what became of it, what is wrong, and what would change it."""

import dataclasses

import pytest

from isozoo.diagnostics import components, explanation
from isozoo.diagnostics.explanation import Checked, Explanation, outcome_of
from isozoo.errors import DiagnosticsError
from isozoo.training.recipe import Recipe
from tests.diagnostics.pictures import write_data, write_run

PLAN = Recipe.from_dict(
    {"tag": "t", "model": {"name": "r-isonet-8"}, "phases": [{"epochs": 3, "size": 16}]}
)


@pytest.mark.parametrize(
    ("log", "finished", "state", "said"),
    [
        ([], False, "diverged", "after 0 of 3 epochs, and it left no weights"),
        ([{"accuracy": 0.5, "loss": float("nan")}], False, "diverged", "after 1 of 3"),
        ([{"accuracy": 0.5, "loss": 1.0, "rollbacks": ["went back"]}], False, "diverged", "went"),
        ([{"accuracy": 0.14, "loss": 2.3}] * 3, True, "stalled", "14.0 %, where guessing has 10.0"),
        (
            [{"accuracy": 0.1, "loss": 2.3}, {"accuracy": 0.4, "loss": 2}],
            False,
            "learned",
            "40.0 %",
        ),
        ([{"loss": 2.3}], True, "unknown", "tells no accuracy"),
    ],
)
def test_what_became_of_a_run_is_read_from_its_log(log, finished, state, said):
    found = outcome_of(PLAN, log, 10, finished)
    assert found.state == state
    assert said in found.text


@pytest.fixture
def one_component(monkeypatch):
    rows = [row for row in components.COMPONENTS if row.name == "residual scale 0"]
    monkeypatch.setattr(components, "COMPONENTS", rows)


@pytest.fixture
def explained(one_component, tmp_path):
    log = [{"accuracy": 0.5, "loss": 0.7, "penalty": 2.0}, {"loss": 0.7, "penalty": 0.5}]
    run = write_run(tmp_path, log=log)
    return explanation.explain(run, write_data(tmp_path / "data"), images=2)


def test_a_page_says_what_was_measured(explained, tmp_path):
    assert [row.name for row in explained.checked] == ["as it is", "without residual scale 0"]
    assert [flow.label for flow in explained.flows.networks] == [r.name for r in explained.checked]
    assert explained.penalty == (2.0, 0.5)
    first = explained.checked[0]
    assert (first.healthy, first.place) == (True, "")
    stalled, network, _, penalty = explained.sentences
    assert stalled.startswith("The run stalled: its best accuracy on training images was 50.0 %")
    assert "nothing is wrong" in network
    assert "from 2 to 0.5" in penalty
    numbers, picture, page = explained.save(tmp_path / "out")
    assert page.read_text().startswith("# r-isonet-8.colours\n\nThe run stalled")
    assert "| as it is |" in page.read_text()
    assert picture.exists()
    assert Explanation.read(numbers).to_json() == explained.to_json()


def checked(**changes):
    fine = Checked("as it is", 2.3, 1.0, 1.0, 40.0, "well-behaved", "", True)
    return dataclasses.replace(fine, **changes)


def test_where_a_signal_explodes_and_what_would_help_is_said(explained):
    sick = checked(signal=5e3, angle=1.7, verdict="exploding signal", place="s3", healthy=False)
    page = dataclasses.replace(
        explained,
        checked=(sick, checked(name="with Delta"), checked(name="with shortcut", healthy=False)),
    )
    assert page.sentences[1] == (
        "At initialisation: The signal explodes, from s3 on; the verdict is exploding signal. Two "
        "images are 1.7 degrees apart at its end."
    )
    assert page.sentences[2] == "Well-behaved at initialisation is the network with Delta."
    assert [row.name for row in page.helpful] == ["with Delta"]


def test_where_a_gradient_dies_is_found(one_component, tmp_path, monkeypatch):
    # With so narrow a view of health, what any network does is too much.
    monkeypatch.setattr(explanation, "HEALTHY_GAIN", 1.0 + 1e-9)
    run = write_run(tmp_path, model="vanilla-8", log=[])
    page = explanation.explain(run, write_data(tmp_path / "data"), images=2)
    assert page.checked[0].place == "backbone/stem_conv"
    assert not page.checked[0].healthy
    assert page.sentences[2].startswith("None of the changes")


def test_a_folder_without_a_recipe_is_refused(tmp_path):
    with pytest.raises(DiagnosticsError, match=r"has no recipe\.toml"):
        explanation.explain(tmp_path, tmp_path)
