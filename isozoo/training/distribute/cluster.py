"""Which processes train together, as the environment that started them says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from isozoo.errors import MissingExtraError
from isozoo.training.distribute import StrategyError

resolvers = tf.distribute.cluster_resolver
Resolver: TypeAlias = "tf.distribute.cluster_resolver.ClusterResolver"

#: Jobs that train, in the order in which their tasks are numbered.
JOBS = ("chief", "worker")

#: Seconds that pods of a cluster of Kubernetes may take until all of them run.
PATIENCE = 300.0

# Between two looks at them.
_EVERY = 2.0
# More tasks than a node has.
_MANY = 1024


class Environment(NamedTuple):
    """A row of `ENVIRONMENTS`.

    Args:
        name: What it is called.
        variables: Environment variables that tell of it, all of which it sets.
        resolver: Makes TensorFlow's resolver for it.
    """

    name: str
    variables: tuple[str, ...]
    resolver: Callable[[Mapping[str, str]], Resolver]


def _slurm(environment: Mapping[str, str]) -> Resolver:
    """Tasks of a job step; which GPUs each has is Slurm's to say, by what the process can see.

    TensorFlow would ask nvidia-smi and deal the GPUs out anew, which fails without any and where
    `--gpus-per-task` has dealt them out already; so it is told of one for each.
    """
    found = resolvers.SlurmClusterResolver(gpus_per_node=_MANY, gpus_per_task=1, auto_set_gpu=False)
    cluster = found.cluster_spec()
    return _resolver(cluster, found.task_type, found.task_id)


def _kubernetes(environment: Mapping[str, str]) -> Resolver:
    """Pods with a label, on their nodes' network; this one is known by its name.

    TensorFlow's own resolver lists them again each time it is asked, and does not wait for them.
    """
    try:
        from kubernetes import client, config  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise MissingExtraError(
            "the cluster of Kubernetes needs its client: python -m pip install kubernetes"
        ) from None
    selector, own = environment["ISOZOO_POD_SELECTOR"], environment["POD_NAME"]
    port = int(environment.get("ISOZOO_PORT", "8470"))
    try:
        config.load_incluster_config()
        pods = _running(client.CoreV1Api(), selector)
    except config.ConfigException as error:
        raise StrategyError(
            f"ISOZOO_POD_SELECTOR and POD_NAME are set, and this is no pod ({error}); unset "
            "them, or set TF_CONFIG"
        ) from error
    except client.ApiException as error:
        raise StrategyError(
            f"the pods '{selector}' cannot be listed ({error.status} {error.reason}); let the "
            "pods' service account list the pods of all namespaces, or set TF_CONFIG"
        ) from error
    names = [pod.metadata.name for pod in pods]
    if own not in names:
        raise StrategyError(
            f"POD_NAME {own} is not among the pods '{selector}' ({', '.join(names) or 'none'}); "
            "give this pod the label too"
        )
    addresses = [f"{pod.status.host_ip}:{port}" for pod in pods]
    return _resolver(tf.train.ClusterSpec({"worker": addresses}), "worker", names.index(own))


def _running(pods: Any, selector: str) -> list[Any]:
    """Return the pods with a label in the order of their names, once all of them run."""
    end = time.monotonic() + PATIENCE
    while True:
        listed = pods.list_pod_for_all_namespaces(label_selector=selector).items
        others = [pod for pod in listed if pod.status.phase != "Running"]
        if not others:
            return sorted(listed, key=lambda pod: pod.metadata.name)
        phases = {pod.status.phase for pod in others}
        if phases - {"Pending"} or time.monotonic() > end:
            told = ", ".join(sorted(f"{pod.metadata.name}: {pod.status.phase}" for pod in others))
            raise StrategyError(
                f"not all of the {len(listed)} pods '{selector}' run ({told}); start them "
                "together, and delete those of earlier runs"
            )
        time.sleep(_EVERY)


def _resolver(cluster: tf.train.ClusterSpec, job: str, number: int) -> Resolver:
    gpus = len(tf.config.list_physical_devices("GPU"))
    return resolvers.SimpleClusterResolver(
        cluster, task_type=job, task_id=number, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )


#: Where a cluster may be told of; the first whose variables are set is taken.
ENVIRONMENTS: tuple[Environment, ...] = (
    Environment(
        "TF_CONFIG",
        ("TF_CONFIG",),
        lambda environment: resolvers.TFConfigClusterResolver(),
    ),
    Environment(
        "Slurm",
        ("SLURM_PROCID", "SLURM_STEP_NODELIST"),
        _slurm,
    ),
    Environment("Kubernetes", ("ISOZOO_POD_SELECTOR", "POD_NAME"), _kubernetes),
)


def find_cluster(environment: Mapping[str, str] = os.environ) -> Resolver:
    """Return TensorFlow's resolver of the cluster that the environment tells of.

    Raises:
        StrategyError: It tells of none, or of one without workers or without this process.
    """
    told = [row for row in ENVIRONMENTS if all(environment.get(name) for name in row.variables)]
    if not told:
        known = "; ".join(f"{name}: {' and '.join(names)}" for name, names, _ in ENVIRONMENTS)
        raise StrategyError(
            f"'multiworker' does not know its workers: set the variables of one of {known}"
        )
    name = told[0].name
    try:
        resolver = told[0].resolver(environment)
        jobs = set(resolver.cluster_spec().as_dict())
    except (ValueError, RuntimeError, KeyError) as error:
        raise StrategyError(f"'multiworker' cannot read the cluster of {name}: {error}") from error
    if not jobs or jobs - set(JOBS):
        raise StrategyError(
            f"'multiworker' needs a cluster of jobs 'chief' and 'worker' alone, and {name} has "
            f"{sorted(jobs) or 'none'}"
        )
    if resolver.task_type not in jobs or resolver.task_id is None:
        raise StrategyError(f"{name} tells of a cluster and not which of its tasks this process is")
    return resolver
