#!/usr/bin/env bash
# Trains from a recipe on several nodes of a Slurm cluster, one process on each node:
#
#     sbatch examples/cluster/slurm.sh RECIPE DATA OUT
#
# All three are paths that every node sees. Set nodes, GPUs, cores and time to what your cluster has.
# On JAX: KERAS_BACKEND=jax STRATEGY=data-parallel sbatch examples/cluster/slurm.sh ...
#SBATCH --job-name=isozoo
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Before the time is up, the workers (not this script) get SIGTERM: they save and end with 75.
#SBATCH --signal=TERM@300
set -euo pipefail

recipe=$1 data=$2 out=$3
most_restarts=20

code=0
# When one worker ends badly, Slurm ends the others, which would wait for it.
srun --kill-on-bad-exit=1 isozoo train "$recipe" --data "$data" --out "$out" \
    --strategy "${STRATEGY:-multiworker}" --resume || code=$?

# 0 is done, 2 a mistake that would come again. Everything else goes on from the newest checkpoint.
if ((code == 0 || code == 2)); then
    exit "$code"
fi
if ((${SLURM_RESTART_COUNT:-0} >= most_restarts)); then
    echo "started $most_restarts times anew, the last time ended with code $code" >&2
    exit "$code"
fi
scontrol requeue "$SLURM_JOB_ID"
