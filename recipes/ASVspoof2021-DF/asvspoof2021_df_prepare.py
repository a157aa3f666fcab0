#!/usr/bin/env python
"""ASVspoof 2021, deepfake: spoofed speech of two evaluation campaigns, passed through media codecs. A test set.

Liu, Wang, Sahidullah et al.: ASVspoof 2021: Towards Spoofed and Deepfake Speech Detection in the Wild. IEEE/ACM
Transactions on Audio, Speech and Language Processing 31, 2023.

source      https://zenodo.org/records/4835108; keys: https://www.asvspoof.org/asvspoof2021/DF-keys-full.tar.gz
license     ODC-By 1.0
languages   English
hours       20.7 real, 487.0 fake

ASVspoof2021-DF/
  keys/DF/CM/trial_metadata.txt         or ASVspoof2021-DF.txt, or the value of --protocol_file
  ASVspoof2021_DF_eval/flac/DF_E_2000011.flac ...
"""

import sys
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus

sys.path.append(str(Path(__file__).parents[1] / "ASVspoof2021-LA"))  # both tracks have keys of one form
from asvspoof2021_la_prepare import PROTOCOL_FILE, list_track

PUBLISHED = {"test": {"real": 22617, "fake": 589212}}

prepare_asvspoof2021_df = partial(prepare_corpus, partial(list_track, "DF"), corpus_folder="ASVspoof2021-DF")
main = partial(run_preparation, prepare_asvspoof2021_df, __doc__, published=PUBLISHED, protocol_file=PROTOCOL_FILE)

if __name__ == "__main__":
    run_program(main)
