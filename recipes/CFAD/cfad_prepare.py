#!/usr/bin/env python
"""CFAD: Mandarin speech and twelve generation methods; clean, with noise and passed through codecs.

Ma, Yi, Wang, Yan, Tao, Wang, Wang, Fu: CFAD: A Chinese dataset for fake audio detection. Speech Communication
164, 2024.

source      https://zenodo.org/records/8122764
license     CC BY 4.0
languages   Mandarin
hours       171.3 real, 224.6 fake

CFAD/CFAD/{clean,codec,noisy}_version/
  {train_clean,dev_clean,test_seen_clean,test_unseen_clean, ...}/
    fake_clean/<method>/SSB09660003_lpcnet.wav ...
    real_clean/<source>/BAC009S0724W0121.wav ...

IDs do not distinguish seen from unseen, nor one method from another: of two files with one ID, the second gets a
suffix.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "CFAD/{version}/{subset:(train|dev|test)[^/]*}/{label:fake|real}{condition:[^/]*}/{method}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(version: str, subset: str, label: str, condition: str, method: str, name: str) -> dict[str, str]:
    """Describe a file. The folder of real speech is not an attack but its source."""
    split = translate(subset.partition("_")[0], SPLITS)
    return {
        "ID": f"CFAD-{version}-{split}-{label}-{name}",
        "Label": label,
        "Attack": method if label == "fake" else "-",
        "Speaker": name.partition("_")[0],
        "Proportion": split,
        "Language": "ZH",
    }


prepare_cfad = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="CFAD")
main = partial(run_preparation, prepare_cfad, __doc__)

if __name__ == "__main__":
    run_program(main)
