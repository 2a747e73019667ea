"""What made a loss diverge on several replicas, and the way back; see `diverging.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isozoo.cluster.local import environments

ROOT = Path(__file__).parents[3]


def start(strategy: str, folder: Path, number: int = 0, **variables: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.training.distribute.diverging", strategy]
    return subprocess.Popen(
        [*command, folder / f"{strategy}-{number}.json", folder],
        cwd=ROOT,
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> dict[str, Any]:
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(Path(str(process.args[4])).read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, list[dict[str, Any]]]:
    """What each process found, by strategy."""
    folder = tmp_path_factory.mktemp("diverging")
    alone = [start(name, folder) for name in ("one", "mirrored")]
    workers = [
        start("multiworker", folder, number, **variables)
        for number, variables in enumerate(environments(2))
    ]
    one, mirrored, *multiworker = [finish(process) for process in [*alone, *workers]]
    return {"one": [one], "mirrored": [mirrored], "multiworker": multiworker}


pytestmark = pytest.mark.slow
STRATEGIES = ["one", "mirrored", "multiworker"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_step_that_is_looked_at_is_the_one_that_diverged(found, name):
    for process in found[name]:
        misread = process["misread"]
        assert misread["search"] == misread["run"]
        assert "step 2; it did not happen again" in misread["end"]["text"]


@pytest.mark.parametrize("what", ["stop", "stop without dropout"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_all_tell_of_the_same_step_and_layer(found, name, what):
    first = found["one"][0][what]
    for process in found[name]:
        stopped = process[what]
        assert (stopped["epoch"], stopped["step"]) == (first["epoch"], first["step"])
        assert stopped["layer"] == first["layer"]
        assert "first in " in stopped["text"]
        assert "elsewhere" not in stopped["text"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_who_goes_back_trains_on_as_who_began_with_the_lower_rate(found, name):
    for process in found[name]:
        (told,) = process["rollback"]["rollbacks"]
        assert told.endswith("; back to the beginning with 0.001 times the learning rate")
        assert "elsewhere" not in told
        assert process["rollback"]["weights"] == process["tame"]["weights"]
    assert len({process["rollback"]["weights"] for process in found[name]}) == 1
