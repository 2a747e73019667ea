"""A run whose process is killed twenty times, at random moments, and the run that was not."""

import json
import random
import signal
import statistics

import numpy as np
import pytest
from PIL import Image

from isozoo.files import sha256_file

KILLS = 20
RECIPE = """
tag = "killed"
batch_size = 4
validate_every = 2

[model]
name = "r-isonet-8"
dropout = 0.3

[optimizer]
learning_rate = 0.01

[schedule]
name = "cosine"
warmup_epochs = 1

[preprocessing]
resize = 18
size = 16

[[phases]]
epochs = 3
size = 12

[[phases]]
epochs = 3
size = 16
"""


def whole_checkpoints(folder) -> int:
    """Check that every checkpoint has the hashes it was written with; return how many there are."""
    found = sorted(folder.glob("epoch-*"))
    for checkpoint in found:
        manifest = json.loads((checkpoint / "checkpoint.json").read_text())
        for name, expected in manifest["files"].items():
            assert sha256_file(checkpoint / name) == expected, f"{checkpoint / name} is unreadable"
    return len(found)


def what_came_of(run) -> tuple[str, list[dict]]:
    """Return the hash of all weights, and the log without the time it took."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
    return json.loads((run / run.name / "isozoo.json").read_text())["fingerprint"], timeless


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path, record_property, capsys):
    from tests.training.killed import Attempt

    rng = np.random.default_rng(0)
    for split, count in (("train", 80), ("val", 4)):
        for channel, name in enumerate(("red", "green")):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 90, (18, 20, 3), np.uint8)
                pixels[4:12, 4:12, channel] += 150
                Image.fromarray(pixels).save(tmp_path / "data" / split / name / f"{number}.png")
    (tmp_path / "recipe.toml").write_text(RECIPE)

    def attempt(out: str) -> Attempt:
        return Attempt(tmp_path / "recipe.toml", tmp_path / "data", tmp_path / out)

    attempt("warm").kill_after(0)  # the server that the others are forked from has started
    whole = attempt("whole")
    starting, _ = whole.next_step()
    whole.finish()
    moments, run = random.Random(0), tmp_path / "killed" / "r-isonet-8.killed"
    recoveries, positions = [], [(0, 0)]
    for kill in range(KILLS):
        process = attempt("killed")
        if kill % 4 == 0:
            # While it starts: reads the checkpoint, builds the network, compiles the step.
            process.kill_after(moments.uniform(0, starting / 2))
        else:
            seconds, position = process.next_step()
            recoveries.append(seconds)
            positions.append(position)
            # While it trains, saves, validates. Counted in steps, so that some are left at the end.
            for _ in range(moments.randrange(15)):
                process.next_step()
            process.kill_after(moments.uniform(0, 0.1))
        assert process.process.exitcode == -signal.SIGKILL
        whole_checkpoints(run / "checkpoints")
    last = attempt("killed")
    _, position = last.next_step()
    last.finish()
    assert whole_checkpoints(run / "checkpoints") == 2
    assert what_came_of(run) == what_came_of(tmp_path / "whole" / run.name)
    # Each process went on from where another had saved, never from further back.
    assert positions == sorted(positions)
    assert position > (1, 0)
    record_property("recovery_seconds", statistics.median(recoveries))
    with capsys.disabled():
        print(
            f"\nfrom a process's start to its first step: {statistics.median(recoveries):.2f} s in "
            f"the median of {len(recoveries)}, {max(recoveries):.2f} s at most, imports apart; the "
            f"last of {KILLS} kills left {position} of 6 epochs of 40 steps"
        )
