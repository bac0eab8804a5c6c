#!/usr/bin/env bash
# A whole recipe on a SLURM cluster. Copy, edit, and run it on the login node (in tmux; not with sbatch):
#   bash slurm.sh transferability/table3
# Stopped or cut off, it goes on where it was when it is started again: what is recorded is not trained anew.
set -euo pipefail

RECIPE=${1:-demo}
OUTPUT=${OUTPUT:-results}     # the records; like HF_HOME, a folder that every node sees
PARTITION=${PARTITION:-}      # empty: the cluster's default
ACCOUNT=${ACCOUNT:-}          # empty: your default
GPUS=${GPUS-1}                # GPUs of a job; empty: none
MAX_JOBS=${MAX_JOBS:-16}      # jobs at most, each with a share of the runs
TIME=${TIME:-4:00:00}         # a job's walltime; a job that reaches it saves and is queued again
# export HF_HOME=/scratch/$USER/huggingface
# export PEFTCLI_DATA_DIR=/scratch/$USER/data

# The login node has the network: fetch model and data. From here on nothing asks for them again.
peftcli prefetch "$RECIPE"
export HF_HUB_OFFLINE=1
peftcli doctor "$RECIPE" --output "$OUTPUT"

# Waits for the jobs; with Ctrl-C the jobs go on. 1: some runs did not complete, and each is named.
code=0
peftcli sweep "$RECIPE" --output "$OUTPUT" --launcher slurm --time "$TIME" --max-jobs "$MAX_JOBS" \
  ${PARTITION:+--partition "$PARTITION"} ${ACCOUNT:+--account "$ACCOUNT"} ${GPUS:+--gpus "$GPUS"} || code=$?
[ "$code" -le 1 ] || exit "$code"

peftcli report "$RECIPE" --output "$OUTPUT"
exit "$code"
