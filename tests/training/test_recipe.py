import dataclasses
import math

import pytest

from isozoo.data.augment import Augment
from isozoo.errors import RecipeError
from isozoo.regularizers import METHODS, PROBE
from isozoo.training import Recipe
from isozoo.training.recipe import CHOICES, POSITIVE, RANGES
from isozoo.training.settings import (
    BOX,
    OPTIMIZERS,
    SCHEDULES,
    OptimizerSettings,
    ScheduleSettings,
)
from isozoo.training.setup import OPTIMIZERS as BUILDERS
from isozoo.training.setup import SCHEDULES as SCHEDULE_BUILDERS

LEAST = {
    "tag": "demo",
    "model": {"name": "r-isonet-8"},
    "phases": [{"epochs": 1, "size": 32}],
}


def test_every_published_recipe_can_be_read(root):
    paths = sorted((root / "recipes").glob("*.toml"))
    assert paths
    for path in paths:
        assert path.stem == Recipe.read(path).name


def test_what_a_recipe_may_name_can_be_built():
    assert set(OPTIMIZERS) == set(BUILDERS)
    assert set(SCHEDULES) == set(SCHEDULE_BUILDERS)
    assert CHOICES["penalty.method"] == (*METHODS, PROBE)


def test_phases_follow_each_other():
    phases = [{"epochs": 2, "size": 16}, {"epochs": 3, "size": 32}]
    recipe = Recipe.from_dict({**LEAST, "phases": phases})
    assert recipe.phase_ranges() == [(range(2), 16), (range(2, 5), 32)]
    assert recipe.epochs == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1.0}, "unknown setting in recipe 'learning_rate'"),
        ({"optimizer": {"learning_rat": 1.0}}, "did you mean 'learning_rate'"),
        ({"optimizer": {"learning_rate": "high"}}, "must be of type float, got 'high'"),
        ({"optimizer": {"name": "sgdd"}}, "unknown optimizer 'sgdd'; did you mean 'sgd'"),
        ({"schedule": {"name": "cosin"}}, "did you mean 'cosine'"),
        ({"model": {"name": "r-isonet-9"}}, "no architecture has depth 9"),
        ({"phases": []}, "at least one"),
        ({"phases": [{"epochs": 0, "size": 32}]}, "phases.epochs must be at least 1, got 0"),
        ({"phases": 3}, "phases must be a list, got 3"),
        ({"batch_size": True}, "batch_size must be of type int, got True"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), got 1.0"),
        ({"tag": "../evil"}, "names a folder"),
        ({"model": 3}, "model must be a table of settings, got 3"),
        (
            {"model": {"name": "r-isonet-8", "dropout": 1.5}},
            r"dropout must be in \[0, 1\), got 1.5",
        ),
        ({"model": {"name": "r-isonet-8", "dtype": "flot32"}}, "did you mean 'float32'"),
        ({"model": {"name": "r-isonet-8", "orthogonality": -1}}, "orthogonality must be"),
        ({"penalty": {"method": "prob"}}, "unknown method 'prob'; did you mean 'probe'"),
        (
            {"penalty": {"probes": 4}},
            "penalty.probes means nothing without penalty.method =",
        ),
        ({"penalty": {"method": "probe", "probes": 0}}, "penalty.probes must be at least 1, got 0"),
        ({"penalty": {"every": 0}}, "penalty.every must be at least 1, got 0"),
        (
            {"model": {"name": "resnet-8"}, "penalty": {"every": 2}},
            "penalty means nothing to resnet-8, whose orthogonality is 0; set model.orthogonality",
        ),
        ({"optimizer": {"momentum": 2}}, r"momentum must be in \[0, 1\), got 2"),
        ({"optimizer": {"weight_decay": -1}}, "weight_decay must be at least 0, got -1"),
        ({"schedule": {"milestones": [0, 2]}}, "schedule.milestones must be at least 1, got 0"),
        ({"schedule": {"milestones": [2, -1]}}, "schedule.milestones must be at least 1, got -1"),
        ({"schedule": {"milestones": [2, 2]}}, r"milestones must ascend, got \[2, 2\]"),
        *(
            ({"optimizer": {"global_clipnorm": norm}}, "global_clipnorm must be positive, got")
            for norm in (-1, 0, math.nan, math.inf)
        ),
        *(
            (
                {"augment": {"crop_padding": 4, name: list(value)}},
                f"augment.{name} means nothing together with augment.crop_padding",
            )
            for name, value in BOX.items()
        ),
        ({"schedule": {"milestones": [5, 2]}}, r"milestones must ascend, got \[5, 2\]"),
        ({"schedule": {"name": "cosine"}}, "leaves nothing of the 1 epochs for the cosine"),
        ({"schedule": {"warmup_epochs": -3}}, "warmup_epochs must be at least 0, got -3"),
        ({"augment": {"scale": [0.25]}}, "scale must be two numbers"),
        ({"augment": {"mixup": -1}}, "augment: mixup must be 0 or a positive number"),
        ({"augment": {"cutmix": -1}}, "augment: cutmix must be 0 or a positive number"),
        ({"augment": {"randaugment": 2, "magnitude": 11}}, r"magnitude must be in \[0, 10\]"),
        ({"augment": {"magnitude": 5}}, "magnitude means nothing without augment.randaugment"),
        ({"augment": {"erasing": 2}}, "augment: erasing must be a probability"),
        ({"max_damaged": -1}, "max_damaged must be at least 0, got -1"),
        ({"preprocessing": {"mean": [0.5]}}, "preprocessing: .*mean"),
        (
            {"schedule": {"name": "cosine", "milestones": [30]}},
            "schedule.milestones means nothing to the schedule 'cosine', only to 'milestones'; rem",
        ),
        (
            {"schedule": {"name": "constant", "warmup_epochs": 0}},
            "schedule.warmup_epochs .* 'constant', only to 'milestones' and 'cosine'",
        ),
        ({"schedule": {"name": "constant", "gamma": 0.1}}, "schedule.gamma means nothing"),
        (
            {"optimizer": {"name": "adamw", "momentum": 0.9}},
            "optimizer.momentum means nothing to the optimizer 'adamw', only to 'sgd'",
        ),
        ({"optimizer": {"name": "adamw", "nesterov": False}}, "optimizer.nesterov means nothing"),
        ({"optimizer": {"learning_rate": math.nan}}, "learning_rate must be at least 0, got nan"),
        ({"optimizer": {"weight_decay": math.inf}}, "weight_decay must be at least 0, got inf"),
        ({"model": {"name": "r-isonet-8", "dtype": "float16"}}, "unknown dtype 'float16'; did you"),
        ({"preprocessing": {"mean": [0.5], "std": [0.2]}}, "for each of red, green and blue, got"),
        ({"optimizer": {"nesterov": 1}}, "nesterov must be of type bool, got 1"),
        ({"schedule": {"milestones": 30}}, "milestones must be a list, got 30"),
        (
            {"recovery": {"on_nan": "rolback"}},
            "unknown recovery .* did you mean 'rollback'",
        ),
        ({"recovery": {"rollbacks": 2}}, "recovery.rollbacks means nothing .* only to 'rollback'"),
        (
            {"recovery": {"on_nan": "rollback", "learning_rate_factor": 1}},
            r"recovery.learning_rate_factor must be in \[0.001, 1\), got 1",
        ),
        ({"recovery": {"explosion": 0.5}}, "recovery.explosion must be at least 1, got 0.5"),
        ({"recovery": {"patience": 3}}, "recovery.patience means nothing without recovery.expl"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"cache": 0}, "cache must be at least 8, got 0"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict({**LEAST, **changes})


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        (OptimizerSettings(), {"momentum": 0.9, "nesterov": False}),
        (OptimizerSettings(nesterov=True), {"momentum": 0.9, "nesterov": True}),
        (OptimizerSettings(name="adamw"), {}),
        (ScheduleSettings(), {"warmup_epochs": 5, "milestones": (30, 60, 90), "gamma": 0.1}),
        (ScheduleSettings(name="cosine", warmup_epochs=3), {"warmup_epochs": 3}),
        (ScheduleSettings(name="constant"), {}),
    ],
)
def test_only_what_is_read_is_set(settings, own):
    assert settings.own == own
    others = {f for table in (OPTIMIZERS, SCHEDULES) for row in table.values() for f in row} - {
        *own
    }
    assert all(getattr(settings, name, None) is None for name in others)


@pytest.mark.parametrize("padding", [None, 4])
def test_the_views_are_those_of_the_settings(padding):
    recipe = Recipe.from_dict({**LEAST, "augment": {"crop_padding": padding, "mixup": 0.2}})
    assert recipe.augmentation(32) == Augment(size=32, crop_padding=padding, mixup=0.2)
    boxed = Recipe.from_dict({**LEAST, "augment": {"scale": [0.5, 1]}})
    assert boxed.augmentation(24) == Augment(size=24, scale=(0.5, 1.0))
    more = {"cutmix": 1, "randaugment": 2, "magnitude": 5, "erasing": 0.25}
    changed = Recipe.from_dict({**LEAST, "augment": more})
    assert changed.augmentation(24) == Augment(size=24, **more)


def test_every_row_of_the_checks_is_of_a_setting():
    model, optimizer = {"name": "isonet-8", "dropout": 0.5}, {"global_clipnorm": 1.0}
    tables = {
        "penalty": {"method": "probe", "probes": 4, "every": 2},
        "recovery": {"on_nan": "rollback", "explosion": 10},
    }
    recipe = Recipe.from_dict(
        {**LEAST, "cache": 8, "model": model, "optimizer": optimizer, **tables}
    )
    for where in [*CHOICES, *POSITIVE, *(row[0] for row in RANGES)]:
        assert recipe._values(where), where
    for settings, table in ((OptimizerSettings, OPTIMIZERS), (ScheduleSettings, SCHEDULES)):
        fields = {field.name for field in dataclasses.fields(settings)}
        assert {name for row in table.values() for name in row} <= fields


def test_missing_settings_are_named():
    with pytest.raises(RecipeError, match=r"recipe lacks tag$"):
        Recipe.from_dict({"model": {"name": "r-isonet-8"}, "phases": LEAST["phases"]})


def test_files_that_are_not_recipes(tmp_path):
    with pytest.raises(RecipeError, match=r"no recipe at .*none\.toml"):
        Recipe.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("tag = ")
    with pytest.raises(RecipeError, match=r"bad\.toml is not valid TOML"):
        Recipe.read(tmp_path / "bad.toml")
