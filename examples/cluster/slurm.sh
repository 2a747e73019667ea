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

# JAX would give the one task of a node one GPU; it is to have all of them.
if ((${SLURM_GPUS_ON_NODE:-0} > 0)); then
    export JAX_LOCAL_DEVICE_IDS=$(seq -s , 0 $((SLURM_GPUS_ON_NODE - 1)))
fi

# srun returns the highest code, which is that of workers that lost another or were ended, so each
# worker's own is kept in a file. The shell waits for a worker that got SIGTERM with it.
export codes=$out/.slurm-$SLURM_JOB_ID
rm -rf "$codes"
mkdir -p "$codes"
worker='trap : TERM; code=0; "$@" || code=$?; echo "$code" > "$codes/$SLURM_PROCID"; exit "$code"'

code=0
# When one worker ends badly, Slurm ends the others, which would wait for it.
srun --kill-on-bad-exit=1 bash -c "$worker" worker \
    isozoo train "$recipe" --data "$data" --out "$out" \
    --strategy "${STRATEGY:-multiworker}" --resume || code=$?
if grep -qsx 2 "$codes"/*; then
    code=2
fi
rm -rf "$codes"

# 0 is done, 2 a mistake that would come again. Everything else goes on from the newest checkpoint.
if ((code == 0 || code == 2)); then
    exit "$code"
fi
if ((${SLURM_RESTART_COUNT:-0} >= most_restarts)); then
    echo "started $most_restarts times anew, the last time ended with code $code" >&2
    exit "$code"
fi
scontrol requeue "$SLURM_JOB_ID"
