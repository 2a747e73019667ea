"""Which workers there are, as TF_CONFIG, Slurm and Kubernetes say it."""

import json
import sys
import types

import pytest
import tensorflow as tf

from isozoo.errors import MissingExtraError
from isozoo.training.distribute import StrategyError, cluster
from isozoo.training.distribute.cluster import ENVIRONMENTS, find_cluster


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    for row in ENVIRONMENTS:
        for variable in row.variables:
            monkeypatch.delenv(variable, raising=False)


def told_by(monkeypatch, **variables: str):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    resolver = find_cluster()
    return resolver.cluster_spec().as_dict(), resolver.task_type, resolver.task_id


def tf_config(cluster, kind="worker", index=0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def test_tf_config(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert told_by(monkeypatch, TF_CONFIG=tf_config(cluster, index=1)) == (cluster, "worker", 1)


def test_nothing_is_told():
    with pytest.raises(StrategyError, match=r"does not know its workers: .*TF_CONFIG.*Slurm: SLU"):
        find_cluster()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (tf_config({"worker": ["a:1"], "ps": ["b:1"]}), r"'chief' and 'worker' alone, .*'ps'"),
        (tf_config({}), "and TF_CONFIG has none"),
        (json.dumps({"cluster": {"worker": ["a:1"]}}), "not which of its tasks this process is"),
        ("{", "cannot read the cluster of TF_CONFIG"),
    ],
)
def test_a_cluster_that_cannot_train(monkeypatch, config, message):
    with pytest.raises(StrategyError, match=message):
        told_by(monkeypatch, TF_CONFIG=config)


def test_slurm_without_gpus_and_with_several_tasks_on_a_node(monkeypatch):
    found = told_by(
        monkeypatch,
        SLURM_PROCID="2",
        SLURM_STEP_NUM_TASKS="4",
        SLURM_STEP_NODELIST="node[1-2]",
        SLURM_STEP_TASKS_PER_NODE="2(x2)",
    )
    addresses = ["node1:8888", "node1:8889", "node2:8888", "node2:8889"]
    assert found == ({"worker": addresses}, "worker", 2)


def pod(name: str, phase: str = "Running") -> types.SimpleNamespace:
    return types.SimpleNamespace(
        metadata=types.SimpleNamespace(name=name),
        status=types.SimpleNamespace(phase=phase, host_ip=f"10.0.0.{name[-1]}"),
    )


class ConfigException(Exception):
    """As the client of Kubernetes has it."""


class ApiException(Exception):
    """As the client of Kubernetes has it."""

    status, reason = 403, "Forbidden"


def kubernetes(monkeypatch, *lists, config_fails=False) -> None:
    """Stand in for the client of Kubernetes, which lists other pods each time it is asked."""
    answers = iter(lists)

    def listed(label_selector):
        assert label_selector == "job-name=train"
        pods = next(answers)
        if isinstance(pods, Exception):
            raise pods
        return types.SimpleNamespace(items=pods)

    def load_incluster_config():
        if config_fails:
            raise ConfigException("Service host/port is not set.")

    api = types.SimpleNamespace(list_pod_for_all_namespaces=listed)
    package = types.SimpleNamespace(
        client=types.SimpleNamespace(CoreV1Api=lambda: api, ApiException=ApiException),
        config=types.SimpleNamespace(
            load_incluster_config=load_incluster_config, ConfigException=ConfigException
        ),
    )
    monkeypatch.setitem(sys.modules, "kubernetes", package)
    monkeypatch.setattr(cluster.time, "sleep", lambda seconds: None)


POD = {"ISOZOO_POD_SELECTOR": "job-name=train", "POD_NAME": "train-1"}


def test_kubernetes(monkeypatch):
    kubernetes(monkeypatch, [pod("train-1"), pod("train-0")])
    addresses = ["10.0.0.0:8470", "10.0.0.1:8470"]
    assert told_by(monkeypatch, **POD) == ({"worker": addresses}, "worker", 1)


def test_kubernetes_waits_until_all_pods_run(monkeypatch):
    both = [pod("train-0"), pod("train-1")]
    kubernetes(monkeypatch, [pod("train-0", "Pending"), pod("train-1")], both)
    assert told_by(monkeypatch, **POD)[2] == 1


def test_kubernetes_waits_for_a_time(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", -1.0)
    kubernetes(monkeypatch, [pod("train-0", "Pending"), pod("train-1")])
    with pytest.raises(StrategyError, match=r"not all of the 2 pods .* run \(train-0: Pending\)"):
        told_by(monkeypatch, **POD)


@pytest.mark.parametrize(
    ("answer", "fails", "message"),
    [
        ([pod("train-0", "Failed"), pod("train-1")], False, r"run \(train-0: Failed\); start"),
        ([pod("train-0")], False, r"POD_NAME train-1 is not among .* \(train-0\); give this pod"),
        (ApiException(), False, r"cannot be listed \(403 Forbidden\); let the pods' service acc"),
        ([], True, r"this is no pod \(Service host/port is not set.\); unset them, or set TF_CON"),
    ],
)
def test_a_kubernetes_that_cannot_train(monkeypatch, answer, fails, message):
    kubernetes(monkeypatch, answer, config_fails=fails)
    with pytest.raises(StrategyError, match=message):
        told_by(monkeypatch, **POD)


def test_kubernetes_without_its_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(MissingExtraError, match="pip install kubernetes"):
        told_by(monkeypatch, **POD)


def test_resolvers_are_those_of_tensorflow(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1"]}))
    assert isinstance(find_cluster(), tf.distribute.cluster_resolver.ClusterResolver)
