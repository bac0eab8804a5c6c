#!/usr/bin/env bash
# A whole recipe on one machine with several GPUs, a process each. Copy, edit, run (in tmux):
#   bash gpus.sh transferability/table3
# Stopped or cut off, it goes on where it was when it is started again: what is recorded is not trained anew.
set -euo pipefail

RECIPE=${1:-demo}
OUTPUT=${OUTPUT:-results}     # the records
PROCESSES=${PROCESSES:-}      # empty: one a GPU
# export CUDA_VISIBLE_DEVICES=0,1
# export PEFTCLI_DATA_DIR=/data

# Fetch model and data while there is a network. From here on nothing asks for them again.
peftcli prefetch "$RECIPE"
export HF_HUB_OFFLINE=1
peftcli doctor "$RECIPE" --output "$OUTPUT"

# 1: some runs did not complete, and each is named.
code=0
peftcli sweep "$RECIPE" --output "$OUTPUT" --launcher accelerate ${PROCESSES:+--processes "$PROCESSES"} || code=$?
[ "$code" -le 1 ] || exit "$code"

peftcli report "$RECIPE" --output "$OUTPUT"
exit "$code"
