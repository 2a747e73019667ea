"""The files for Slurm and Kubernetes, with stand-ins for the programs that they call."""

import json
import os
import subprocess

import pytest
import yaml

CALLED = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'


@pytest.fixture
def folder(root):
    return root / "examples" / "cluster"


@pytest.fixture
def shell(tmp_path):
    """Run bash where programs are stand-ins that note their calls; returns exit code and calls."""

    def run(*arguments, programs, **environment) -> tuple[int, list[str]]:
        calls = tmp_path / "calls"
        for name, ending in programs.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(CALLED + ending)
            program.chmod(0o755)
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        variables = {"PATH": path, "CALLS": str(calls), **environment}
        found = subprocess.run(["bash", *arguments], env=variables, check=False)
        return found.returncode, calls.read_text().splitlines() if calls.exists() else []

    return run


TRAIN = "srun --kill-on-bad-exit=1 isozoo train r.toml --data d --out o --strategy {} --resume"


@pytest.mark.parametrize(
    ("ended", "restarts", "code", "again"),
    [
        (0, 0, 0, False),
        (2, 0, 2, False),
        (75, 0, 0, True),
        (137, 19, 0, True),
        (137, 20, 137, False),
    ],
)
def test_slurm_goes_on_what_can_go_on(folder, shell, ended, restarts, code, again):
    found = shell(
        str(folder / "slurm.sh"), "r.toml", "d", "o",
        programs={"srun": f"exit {ended}", "scontrol": ""},
        SLURM_JOB_ID="17", SLURM_RESTART_COUNT=str(restarts),
    )  # fmt: skip
    assert found == (code, [TRAIN.format("multiworker"), *["scontrol requeue 17"] * again])


def test_slurm_takes_another_strategy(folder, shell):
    arguments = (str(folder / "slurm.sh"), "r.toml", "d", "o")
    _, calls = shell(*arguments, programs={"srun": ""}, STRATEGY="data-parallel")
    assert calls == [TRAIN.format("data-parallel")]


def test_every_pod_is_told_of_all(folder, shell):
    (document,) = yaml.safe_load_all((folder / "jobset.yaml").read_text())
    ((job,), name) = document["spec"]["replicatedJobs"], document["metadata"]["name"]
    spec = job["template"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    variables = {row["name"]: row["value"] for row in container["env"]}
    assert spec["completions"] == spec["parallelism"] == int(variables["WORKERS"])
    program, *options = container["command"]
    assert program == "bash"
    code, calls = shell(
        *options, *container["args"],
        programs={"isozoo": 'echo $TF_CONFIG >> "$CALLS"\n'},
        JOB_COMPLETION_INDEX="2", **variables,
    )  # fmt: skip
    assert code == 0
    assert calls[0] == (
        "isozoo train /shared/recipe.toml --data /shared/data --out /shared/runs "
        "--strategy multiworker --resume"
    )
    told = json.loads(calls[1])
    hosts = [f"{name}-{job['name']}-0-{number}.{name}:8470" for number in range(4)]
    assert told == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 2}}
