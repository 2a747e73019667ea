"""The files for Slurm and Kubernetes, with stand-ins for the programs that they call."""

import json
import os
import re
import subprocess
import tomllib

import pytest
import yaml

CALLED = '#!/bin/bash\necho "$(basename "$0") $*" >> "$CALLS"\n'


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


TRAIN = "isozoo train r.toml --data d --out {} --strategy {} --resume"
# Starts one task after another, the number of which is the number of codes; returns the highest.
SRUN = """shift
worst=0 number=0
for code in $CODES; do
    SLURM_PROCID=$number CODE=$code "$@" || { ended=$?; ((ended <= worst)) || worst=$ended; }
    number=$((number + 1))
done
exit $worst
"""


@pytest.fixture
def sbatch(folder, shell, tmp_path):
    """Run the script for Slurm; returns exit code and calls of isozoo and of scontrol."""

    def run(codes, worker="exit $CODE", **environment) -> tuple[int, list[str]]:
        programs = {"srun": SRUN, "scontrol": "", "isozoo": worker}
        variables = {"SLURM_JOB_ID": "17", "CODES": codes, **environment}
        out = tmp_path / "runs"
        code, (srun, *calls) = shell(
            str(folder / "slurm.sh"), "r.toml", "d", str(out), programs=programs, **variables
        )
        assert srun.startswith("srun --kill-on-bad-exit=1 bash -c ")
        assert list(out.iterdir()) == []
        return code, [call.replace(str(out), "o") for call in calls]

    return run


@pytest.mark.parametrize(
    ("codes", "restarts", "code", "again"),
    [
        ("0", 0, 0, False),
        ("0 0", 0, 0, False),
        ("2 2", 0, 2, False),
        ("75 75", 0, 0, True),
        ("137 69", 19, 0, True),
        ("137 69", 20, 137, False),
        # A mistake of one worker, and those that lost it or were ended.
        ("69 2", 0, 2, False),
        ("2 137 69", 0, 2, False),
    ],
)
def test_slurm_goes_on_what_can_go_on(sbatch, codes, restarts, code, again):
    trained = [TRAIN.format("o", "multiworker")] * len(codes.split())
    found = sbatch(codes, SLURM_RESTART_COUNT=str(restarts))
    assert found == (code, [*trained, *["scontrol requeue 17"] * again])


def test_slurm_waits_for_workers_that_save_on_sigterm(sbatch):
    # Slurm signals all processes of a task: the shell, and the worker within it.
    saves = """trap 'sleep 0.2; echo saved >> "$CALLS"; exit 75' TERM
kill -TERM $PPID
kill -TERM $$
"""
    train = TRAIN.format("o", "multiworker")
    assert sbatch("0", saves) == (0, [train, "saved", "scontrol requeue 17"])


def test_slurm_takes_another_strategy(sbatch):
    _, calls = sbatch("0", STRATEGY="data-parallel")
    assert calls == [TRAIN.format("o", "data-parallel")]


@pytest.mark.parametrize(("gpus", "told"), [("8", "0,1,2,3,4,5,6,7"), ("1", "0"), ("", "none")])
def test_jax_gets_all_gpus_of_a_node(sbatch, gpus, told):
    tell = 'echo "${JAX_LOCAL_DEVICE_IDS-none}" >> "$CALLS"'
    _, calls = sbatch("0", tell, SLURM_GPUS_ON_NODE=gpus, STRATEGY="data-parallel")
    assert calls[1:] == [told]


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


def test_the_image_has_what_the_page_needs(folder, root):
    image = (folder / "Dockerfile").read_text()
    extras = re.search(r"/isozoo\[([\w,]+)\]", image)[1].split(",")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needs = "".join(needs for extra in extras for needs in project["optional-dependencies"][extra])
    assert "tensorflow-datasets" in needs
    assert "ray[" in needs
