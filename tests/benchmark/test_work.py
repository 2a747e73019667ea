"""What the workers do, in this process, on tiny networks; and one worker as it is."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from isozoo.benchmark import machine, worker
from isozoo.benchmark.comparison import compare
from isozoo.benchmark.contenders import Contender
from isozoo.benchmark.measures import Settings, Task
from isozoo.benchmark.work import first, networks, training
from isozoo.errors import BenchmarkError, UnknownNameError

TINY = Settings(batch_size=2, image_size=32)


def task(measure, text, **settings):
    settings = Settings(**{"batch_size": 2, "image_size": 32, **settings})
    return Task(text, measure, Contender.parse(text), settings)


def test_a_network_without_weights_gets_values_that_hide_no_work():
    model = networks.classifier(task("inference", "r-isonet-8"))
    for variable in model.trainable_variables:
        values = keras.ops.convert_to_numpy(variable)
        assert np.count_nonzero(values) == values.size, variable.path
    logits = model.predict_on_batch(np.ones((1, 32, 32, 3), "float32"))
    assert np.isfinite(logits).all()


def test_published_weights_are_loaded_at_the_size_of_their_preprocessing():
    asked = task("inference", "r-isonet-18-w32.imagenette", image_size=None)
    model = networks.classifier(asked)
    assert model.input_shape == (None, 128, 128, 3)
    assert model.labels[0] == "tench"


def test_an_image_size_is_the_users_the_weights_or_the_networks():
    sizes = [
        networks.image_size(task("inference", name, image_size=size))
        for name, size in (("r-isonet-50", 96), ("r-isonet-50", None), ("isonet-8", None))
    ]
    assert sizes == [96, 224, 32]


@pytest.mark.parametrize("text", ["isonet-8", "isonet-8@mixed_bfloat16", "isonet-8@fused"])
def test_inference_gives_logits(text):
    work = worker.prepare(task("inference", text))
    assert (work.repeat().shape, work.items, work.image_size) == ((2, 1000), 2, 32)


def test_a_step_trains_with_the_penalty_or_without_it(monkeypatch):
    losses = {}
    monkeypatch.setattr(
        training, "_steps", lambda task, model: losses.update({task.label: len(model.losses)})
    )
    for text in ("r-isonet-8", "r-isonet-8@no-penalty", "r-isonet-8@convolution"):
        worker.prepare(task("training", text))
    assert losses == {"r-isonet-8": 8, "r-isonet-8@no-penalty": 0, "r-isonet-8@convolution": 8}


def test_a_step_changes_the_network():
    work = worker.prepare(task("training", "isonet-8"))
    assert work.repeat() != work.repeat()


def test_the_penalty_is_the_same_by_each_method_and_positive():
    values = [
        worker.prepare(task("penalty", text)).repeat()
        for text in ("isonet-8", "isonet-8@convolution")
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert values[0] > 0


def test_pictures_are_counted(tmp_path):
    from PIL import Image

    for name in ("cat", "dog"):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (40, 40)).save(folder / f"{number}.png")
    work = worker.prepare(task("input", "isonet-8", data=str(tmp_path)))
    assert work.repeat() == work.items == 16


def test_an_unknown_application_is_named():
    with pytest.raises(UnknownNameError, match="applications 'ResNet51'; did you mean 'ResNet"):
        worker.prepare(task("inference", "keras:ResNet51"))


def test_a_process_that_fails_says_why():
    work = worker.prepare(task("first", "import:no_such_module"))
    with pytest.raises(BenchmarkError, match="No module named 'no_such_module'"):
        work.repeat()


def test_a_process_is_started_and_its_memory_is_known():
    work = worker.prepare(task("first", "import:json"))
    work.repeat()
    assert work.peak() > 1e6


def test_a_first_prediction_has_no_other_dtype_in_keras():
    asked = task("first", "r-isonet-18-w32.imagenette@mixed_bfloat16")
    with pytest.raises(BenchmarkError, match="predicts in the weights' own dtype"):
        worker.prepare(asked)


def test_what_a_user_of_applications_would_write_is_python():
    compile(first.APPLICATION.format(name="ResNet50"), "first", "exec")


def test_the_device_is_what_the_loaded_libraries_compute_on(monkeypatch):
    for name in machine.GPUS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert machine.device() == "cpu"
    for count, expected in ((0, "cpu"), (1, "gpu")):
        cuda = SimpleNamespace(device_count=lambda count=count: count)
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
        assert machine.device() == expected


@pytest.fixture
def abacus(tmp_path):
    file = tmp_path / "abacus.py"
    file.write_text(
        "def inference(name, batch_size, image_size):\n"
        "    print('a library that prints')\n"
        "    return lambda: sum(range(1000 * int(name)))\n"
    )
    return file


def test_a_rivals_file_prepares_what_it_likes(abacus, capsys):
    work = worker.prepare(task("inference", f"{abacus}:3"))
    assert (work.repeat(), work.items) == (sum(range(3000)), 2)


def test_a_rivals_file_without_the_measure_is_named(abacus):
    with pytest.raises(BenchmarkError, match=r"abacus\.py has no function training\(name, \.\.\."):
        worker.prepare(task("training", f"{abacus}:3"))


def test_a_worker_answers_line_by_line(abacus, tmp_path, capsys):
    asked = task("inference", f"{abacus}:3").to_json()
    requests = [{"do": "prepare", "task": asked}, {"do": "repeat"}, {"do": "report"}]
    with (tmp_path / "answers").open("w") as answers:
        worker.serve(map(json.dumps, requests), answers)
    lines = [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]
    prepared, repeated, reported = lines
    assert prepared == {"items": 2, "image_size": 32}
    assert repeated["seconds"] > 0
    assert reported["peak"] > 1e6
    assert reported["device"] in ("cpu", "gpu")


def test_nothing_is_repeated_before_it_is_prepared(tmp_path):
    with pytest.raises(BenchmarkError, match="asked to repeat before"):
        worker.serve(['{"do": "repeat"}'], None)


def test_workers_are_processes_of_their_own(abacus):
    good, bad = f"{abacus}:1", f"{abacus}:one"
    found = compare("inference", [good, bad], settings=TINY, rounds=2, warm_up=0)
    assert len(found.result(good).seconds) == 2
    assert found.result(good).peak > 1e6
    assert "ValueError: invalid literal for int() with base 10: 'one'" in found.result(bad).error


def test_a_worker_brings_keras_along_where_it_must():
    found = compare("inference", ["isonet-8"], settings=TINY, rounds=1, warm_up=0)
    (result,) = found.results
    assert result.error is None
    assert {"keras", "numpy"} <= result.versions.keys()


@pytest.mark.slow
def test_an_exported_network_runs_in_its_own_runtime():
    text = "isonet-8@saved_model"
    found = compare("inference", [text], settings=TINY, rounds=1, warm_up=0)
    (result,) = found.results
    assert result.error is None
    assert (result.items, result.image_size) == (2, 32)
    assert "tensorflow" in result.versions


@pytest.mark.multibackend
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(
    ("measure", "text"),
    [
        ("penalty", "isonet-8"),
        ("penalty", "isonet-8@probe"),
        ("training", "isonet-8"),
        ("inference", "isonet-8"),
    ],
)
def test_other_backends_are_timed_as_well(backend, measure, text):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    settings = Settings(batch_size=2, image_size=32, backend=backend)
    found = compare(measure, [text], settings=settings, rounds=1, warm_up=0)
    (result,) = found.results
    assert result.error is None
    assert backend in result.versions
