"""The page on why a run failed: what became of it, what is wrong, and what would change it."""

import dataclasses
import json
import random

import numpy as np
import pytest

from isozoo.diagnostics import components, explanation
from isozoo.diagnostics.checks import Checked, Fault, check, faults
from isozoo.diagnostics.explanation import Explanation
from isozoo.diagnostics.isometry.flow import Flow, NetworkFlow
from isozoo.diagnostics.outcomes import Left, left_by, outcome_of
from isozoo.diagnostics.sentences import of_network
from isozoo.diagnostics.subject import Subject, untrained
from isozoo.errors import DiagnosticsError
from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.folder import write_folder
from isozoo.training.recipe import Recipe
from tests.diagnostics.pictures import write_data, write_run

PLAN = Recipe.from_dict(
    {"tag": "t", "model": {"name": "r-isonet-8"}, "phases": [{"epochs": 3, "size": 16}]}
)


@pytest.mark.parametrize(
    ("log", "finished", "told", "state", "said"),
    [
        ([], False, [], "unfinished", "stopped, failed for another reason, or still goes on"),
        ([{"accuracy": 0.1, "loss": 2.3}], False, [], "unfinished", "after 1 of 3 epochs"),
        ([{"accuracy": 0.5, "loss": float("nan")}], False, [], "diverged", "no number in epoch 1"),
        ([{"accuracy": 0.5, "loss": 1.0}], False, ["one", "two"], "diverged", "epochs, and two"),
        ([], False, ["the loss became nan"], "diverged", "0 of 3 epochs, and the loss became nan"),
        ([{"accuracy": 0.14, "loss": 2.3}] * 3, True, [], "stalled", "14.0 %, where guessing has"),
        ([{"accuracy": 0.4, "loss": 2.3}] * 3, True, ["one"], "learned", "40.0 %"),
        ([{"accuracy": 0.1, "loss": 2.3}, {"accuracy": 0.4, "loss": 2}], False, [], "learned", ""),
        ([{"loss": 2.3}], True, [], "unknown", "tells no accuracy"),
    ],
)
def test_what_became_of_a_run_is_read_from_what_it_left(log, finished, told, state, said):
    found = outcome_of(Left(PLAN, log, finished, told), 10)
    assert found.state == state
    assert said in found.text


def test_divergences_are_told_by_log_rollbacks_and_notes(tmp_path):
    row = {"loss": 1.0, "rollbacks": ["the loss became inf; back to epoch 1"]}
    run = write_run(tmp_path, log=[row])
    assert left_by(run).diverged == row["rollbacks"]
    told = [*row["rollbacks"], "the loss exploded"]
    (run / "rollbacks.json").write_text(json.dumps({"told": told}))
    assert left_by(run).diverged == told
    note = {"outcome": "diverged", "reason": "the loss became nan in epoch 1"}
    (run / "outcome.json").write_text(json.dumps(note))
    assert left_by(run).diverged[-1] == note["reason"]
    (run / "outcome.json").write_text("{")
    with pytest.raises(DiagnosticsError, match=r"outcome\.json is no JSON"):
        left_by(run)


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
    assert (first.healthy, first.faults) == (True, ())
    assert explained.distance is None
    state, network, _, penalty = explained.sentences
    assert state.startswith("The run is unfinished: it left no weights and no word")
    assert "its best accuracy on training images was 50.0 %" in state
    assert "nothing is wrong" in network
    assert "from 2 to 0.5" in penalty
    numbers, picture, page = explained.save(tmp_path / "out")
    assert page.read_text().startswith("# r-isonet-8.colours\n\nThe run is unf")
    assert "| as it is |" in page.read_text()
    assert picture.exists()
    assert Explanation.read(numbers).to_json() == explained.to_json()


def test_what_training_did_to_isometry_is_said(one_component, tmp_path):
    run = write_run(tmp_path, log=[{"accuracy": 0.5, "loss": 0.7, "penalty": 2.0}] * 3)
    model = Classifier(architecture("r-isonet-8", classes=2), ["blue", "red"])
    kernel = model.backbone.get_layer("s1_b1_f_a").kernel
    kernel.assign(2 * kernel)
    write_folder(model, run / run.name, tag="colours")
    state = random.getstate(), np.random.get_state()[1].tolist()
    found = explanation.explain(run, write_data(tmp_path / "data"), images=2)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state
    assert found.outcome.state == "stalled"
    assert found.distance.start < 1e-6 < 0.1 < found.distance.end
    assert found.sentences[3].endswith(
        f"isometries, which have 0, was {found.distance.start:.3g} at initialisation and is "
        f"{found.distance.end:.3g} in the weights that the run left."
    )


def checked(**changes):
    fine = Checked("as it is", 2.3, 1.0, 1.0, 40.0, "well-behaved", ())
    return dataclasses.replace(fine, **changes)


def test_where_a_signal_explodes_and_what_would_help_is_said(explained):
    fault = Fault("signal", "explodes", "s3")
    sick = checked(signal=5e3, angle=1.7, verdict="exploding signal", faults=(fault,))
    page = dataclasses.replace(
        explained,
        checked=(sick, checked(name="with Delta"), checked(name="with shortcut", faults=(fault,))),
    )
    assert page.sentences[1] == (
        "At initialisation the signal explodes, first at s3; the verdict of propagation is "
        "exploding signal. Two images are 1.7 degrees apart at its end."
    )
    assert page.sentences[2] == "Well-behaved at initialisation is the network with Delta."
    assert [row.name for row in page.helpful] == ["with Delta"]
    none = dataclasses.replace(page, checked=(sick, sick))
    assert none.sentences[2].startswith("None of the changes")


def flow(signals, gradients):
    """A network of three cuts and a head, whose gradients are those of the way back."""
    cuts = ("input", "s1", "s2", "s3", "head/pool")
    norms = [np.array([*values, 1.0]) for values in (signals, gradients)]
    made = [Flow(values, *4 * [np.ones(4)]) for values in norms]
    return NetworkFlow("a network", True, cuts, *made)


@pytest.mark.parametrize(
    ("signals", "gradients", "said"),
    [
        ((1, 1, 1, 1), (1, 1, 1, 1), ""),
        # What the attacker sees at the images is no weight's gradient.
        ((1, 1, 1, 1), (1e9, 1, 1, 1), ""),
        (
            (1, 1, 1e-4, 1e-5),
            (1, 1e5, 1e4, 1),
            "the signal dies, first at s2; the gradient explodes, on its way back first at s2",
        ),
        # Off in the middle only.
        ((1, 1, 1, 1), (1, 1, 1e-4, 1), "the gradient dies, on its way back first at s2"),
        ((1, 1e4, 1, 1), (1, 1, 1, 1), "the signal explodes, first at s1"),
        ((1, 1, np.nan, np.nan), (1, 1, 1, 1), "the signal is not a number, first at s2"),
        ((1, 1, np.inf, np.inf), (1, 1, 1, 1), "the signal explodes, first at s2"),
        ((1, 1, 1, 1), (1, 1, 0, 1), "the gradient dies, on its way back first at s2"),
    ],
)
def test_each_way_has_a_clause_of_its_own(signals, gradients, said):
    found = checked(faults=faults(flow(signals, gradients)), angle=np.nan)
    assert found.healthy == (not said)
    if said:
        assert of_network(found) == f"At initialisation {said}."


def test_where_a_gradient_dies_is_found():
    model = untrained(architecture("vanilla-8", classes=2), ["a", "b"])
    layer = model.backbone.get_layer("s2_b1_f_a")
    # All comes of the bias, and next to nothing goes back through the kernel.
    layer.kernel.assign(1e-6 * layer.kernel)
    layer.bias.assign(layer.bias + 1.0)
    batch = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    found, flows = check(Subject("dead", model, batch, np.array([0, 1]), fresh=True))
    (fault,) = found.faults
    assert fault[:2] == ("gradient", "dies")
    cuts = flows.networks[0].cuts
    assert cuts[cuts.index(fault.place) + 1] == "backbone/s2_b1_f_a"
    assert not found.healthy


def test_a_folder_without_a_recipe_is_refused(tmp_path):
    with pytest.raises(DiagnosticsError, match=r"has no recipe\.toml"):
        explanation.explain(tmp_path, tmp_path)
