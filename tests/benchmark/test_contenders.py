"""Texts that name contenders, and what they mean."""

import dataclasses
import re

import pytest

from isozoo.benchmark.contenders import VARIANTS, Contender, Preparation
from isozoo.benchmark.measures import MEASURES, Settings, Task
from isozoo.errors import BenchmarkError, UnknownNameError
from isozoo.export.formats import FORMATS
from isozoo.methods import EXACT, NAMES


@pytest.mark.parametrize(
    ("text", "source", "name", "changed"),
    [
        ("r-isonet-50", "isozoo", "r-isonet-50", {}),
        ("r-isonet-18-w32.imagenette", "isozoo", "r-isonet-18-w32.imagenette", {}),
        ("r-isonet-50@mixed_bfloat16", "isozoo", "r-isonet-50", {"dtype": "mixed_bfloat16"}),
        (
            "r-isonet-50@openvino-int8",
            "isozoo",
            "r-isonet-50",
            {"runtime": "openvino", "dtype": "int8"},
        ),
        (
            "isonet-8@convolution+xla",
            "isozoo",
            "isonet-8",
            {"method": "convolution", "jit_compile": True},
        ),
        ("keras:ResNet50", "keras", "ResNet50", {}),
        ("import:keras", "import", "keras", {}),
    ],
)
def test_a_text_is_read(text, source, name, changed):
    contender = Contender.parse(text)
    assert (contender.text, contender.source, contender.name) == (text, source, name)
    assert contender.preparation == Preparation(**changed)


def test_a_file_reads_its_own_names(rival):
    contender = Contender.parse(rival("a:b@c"))
    assert (contender.source, contender.name, contender.variants) == ("file", "a:b@c", ())
    assert rival("").rstrip(":") == contender.file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r-isonet-5", "'r-isonet-50'"),
        ("r-isonet-50@swift", "unknown variant 'swift'; "),
        (
            "r-isonet-50@fused+openvino-int9",
            "variant 'openvino-int9'; did you mean 'openvino-int8'",
        ),
        ("r-isonet-50@", "unknown variant ''"),
        ("karas:ResNet50", "unknown source of a contender 'karas'; did you mean 'keras'"),
    ],
)
def test_an_unknown_part_is_named_with_what_is_known(text, message):
    with pytest.raises(UnknownNameError, match=message):
        Contender.parse(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no rival's file.*absent\.py"):
        Contender.parse(f"{tmp_path / 'absent.py'}:x")


def test_the_methods_are_those_of_the_penalty():
    from isozoo.regularizers import METHODS, PROBE
    from isozoo.training.recipe import CHOICES

    assert tuple(row["method"] for row in VARIANTS.values() if "method" in row) == NAMES
    assert {name: function.__name__ for name, function in METHODS.items()} == dict(
        zip(EXACT, EXACT, strict=True)
    )
    assert (CHOICES["penalty.method"], (*METHODS, PROBE)) == (NAMES, NAMES)


def test_the_command_lines_page_names_every_variant(root):
    page = (root / "docs/cli.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^Variants are .*?\n\n", page, re.DOTALL | re.MULTILINE)
    assert set(NAMES) | {"fused", "xla", "no-penalty"} <= set(re.findall(r"`([\w-]+)`", sentence))


def test_every_variant_changes_what_there_is_and_some_measure_reads_it():
    fields = {field.name for field in dataclasses.fields(Preparation)}
    read = {field for row in MEASURES.values() for field in row.reads}
    assert {field for row in VARIANTS.values() for field in row} <= read == fields


def test_the_runtimes_have_a_variant_for_each_precision():
    assert {"openvino", "openvino-bfloat16", "litert-int8"} <= VARIANTS.keys()
    assert len(VARIANTS) > sum(len(form.dtypes) for form in FORMATS.values())


@pytest.mark.parametrize(
    ("measure", "text", "settings", "message"),
    [
        ("speed", "isonet-8", {}, "unknown measure 'speed'"),
        ("penalty", "keras:ResNet50", {}, "penalty of keras:ResNet50 .* sources that have: isozoo"),
        ("penalty", "isonet-8@openvino", {}, "@openvino of .* reads method, jit_compile; leave"),
        ("input", "isonet-8", {}, "'input' needs the setting 'data'; give --data"),
        ("input", "isonet-8@fused", {"data": "d"}, "reads no variants"),
    ],
)
def test_what_no_worker_could_do_is_refused(measure, text, settings, message):
    with pytest.raises((BenchmarkError, UnknownNameError), match=message):
        Task("x", measure, Contender.parse(text), Settings(**settings))


@pytest.mark.parametrize("setting", ["batch_size", "image_size"])
def test_sizes_that_are_none_are_refused(setting):
    with pytest.raises(BenchmarkError, match=f"{setting} must be at least 1, got 0"):
        Settings(**{setting: 0})


def test_a_worker_gets_what_was_asked():
    task = Task("isonet-8@xla", "training", Contender.parse("isonet-8@xla"), Settings(batch_size=3))
    assert Task.from_json(task.to_json()) == task
