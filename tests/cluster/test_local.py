"""The launcher of local workers: each is told of all, and none is left when one has failed."""

import json
import signal
import sys
import threading
import time

import pytest

from isozoo.cluster.local import environments, main, run

TELL = """
import json, os, sys
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
open(sys.argv[1] + os.environ["JAX_PROCESS_ID"], "w").write(str(index))
"""
#: The first one fails, the second would go on for long; it says so before.
FAIL = """
import os, pathlib, sys, time
if os.environ["JAX_PROCESS_ID"] == "1":
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(60)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
sys.exit(69)
"""
STOP = """
import pathlib, signal, sys, time, os
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
pathlib.Path(sys.argv[1] + os.environ["JAX_PROCESS_ID"]).touch()
time.sleep(60)
"""


def test_workers_of_one_group_know_the_same_addresses():
    groups = [json.loads(worker["TF_CONFIG"]) for worker in environments(3)]
    (cluster,) = {json.dumps(group["cluster"]) for group in groups}
    assert len(set(json.loads(cluster)["worker"])) == 3
    assert [group["task"]["index"] for group in groups] == [0, 1, 2]


def test_every_worker_runs_the_command(tmp_path):
    assert main(["2", sys.executable, "-c", TELL, f"{tmp_path}/"]) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "0", "1": "1"}


def test_when_one_fails_the_others_are_ended(tmp_path):
    start = time.monotonic()
    assert run(2, [sys.executable, "-c", FAIL, str(tmp_path / "started")]) == 69
    assert time.monotonic() - start < 30


def test_sigterm_reaches_the_workers(tmp_path):
    def stop():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=stop).start()
    assert run(2, [sys.executable, "-c", STOP, f"{tmp_path}/"]) == 75


def test_a_program_that_is_not_there(capsys):
    assert main(["2", "no-such-program"]) == 2
    assert capsys.readouterr().err == (
        "isozoo: there is no program 'no-such-program' to start workers of\n"
    )


@pytest.mark.parametrize("arguments", [["0", "true"], ["2"]])
def test_what_makes_no_group(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "give the number of workers" in capsys.readouterr().err
