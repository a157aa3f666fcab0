#!/usr/bin/env bash
# Sets up everything, makes a small corpus of real and generated speech, trains a detector on it and tests it.
# Run again, it skips finished steps.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
echo "quickstart: 3 steps, about 25 minutes on two cores"
echo "== step 1 of 3: the environment (about 3 minutes, depending on your connection)"
environment demo

data=${DATA_FOLDER:-$PWD/data}
cd recipes/MiniCorpus
if [ -f "$data/MiniCorpus.csv" ]; then # written last: if it exists, the corpus is complete
    echo "== step 2 of 3: the corpus exists: $data/MiniCorpus.csv"
else
    echo "== step 2 of 3: making the corpus below $data (about 17 minutes)"
    status=0
    antideepfake prepare MiniCorpus --data_folder "$data" --output "$data/MiniCorpus.csv" --num_workers 2 || status=$?
    [ "$status" -le 1 ] || exit "$status" # 1: done, but an engine was skipped
    rm -r "$data/MiniCorpus/cache"        # unpacked packages and decoded recordings
fi
echo "== step 3 of 3: training and testing a detector (about 5 minutes)"
python train.py hparams/train.yaml --data_folder "$data"
echo "quickstart: done; the report is recipes/MiniCorpus/results/small/report/report.html"
