#!/bin/bash
# Train on all GPUs of several nodes; from the folder of the recipe:
#   sbatch slurm/train.sh hparams/post_training.yaml --data_folder DATA --precision bf16 --num_workers 8
# Submitted again after an interruption, it continues from the last checkpoint.

#SBATCH --job-name=train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1 # torchrun, which starts a process for each GPU
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120 # two minutes before the end, save a checkpoint
#SBATCH --requeue # after the failure of a node, start again

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 10000)) # jobs may share a node
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun itself does not take it from sbatch

srun torchrun --nnodes="$SLURM_NNODES" --nproc_per_node="${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d --rdzv_endpoint="$head:$port" \
    train.py "$@"
