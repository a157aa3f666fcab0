#!/usr/bin/env bash
# Sets up everything, makes a small corpus of real and generated speech, trains a detector on it and tests it.
# Run again, it skips what is done.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
environment demo

data=${DATA_FOLDER:-$PWD/data}
cd recipes/MiniCorpus
if [ -f "$data/MiniCorpus.csv" ]; then # written last: where it is, the corpus is whole
    echo "== the corpus is there: $data/MiniCorpus.csv"
else
    echo "== making the corpus below $data"
    status=0
    python minicorpus_prepare.py --data_folder "$data" --output "$data/MiniCorpus.csv" || status=$?
    [ "$status" -le 1 ] || exit "$status" # 1: done, though an engine was left out
fi
echo "== training and testing a small detector"
python train.py hparams/train.yaml --data_folder "$data"
echo "quickstart: done; the report is recipes/MiniCorpus/results/small/report/report.html"
