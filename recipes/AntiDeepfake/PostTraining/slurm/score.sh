#!/bin/bash
# Score a protocol on all GPUs of several nodes:
#   sbatch slurm/score.sh MODEL DATA/calls.csv --data_folder DATA --output scores.csv --batch_seconds 100 --num_workers 4
# Submitted again after an interruption, it continues where it stopped, with any number of nodes.

#SBATCH --job-name=score
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1 # torchrun, which starts a process for each GPU
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue # after the failure of a node, start again

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 10000)) # jobs may share a node
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun itself does not take it from sbatch

srun torchrun --nnodes="$SLURM_NNODES" --nproc_per_node="${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d --rdzv_endpoint="$head:$port" \
    -m antideepfake score "$@"
