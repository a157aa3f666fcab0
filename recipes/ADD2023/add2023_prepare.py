#!/usr/bin/env python
"""ADD 2023, track 1.2, second round: bona fide speech, and speech spoofed to fool detectors. A test set.

Yi, Tao, Fu et al.: ADD 2023: the Second Audio Deepfake Detection Challenge. IJCAI 2023 Workshop on Deepfake Audio
Detection and Analysis.

source      http://addchallenge.cn/downloadADD2023
license     see its page
languages   unknown
hours       unknown

ADD2023/Track1.2/testR2/
  label.txt
  wav/ADD2023_T1.2R2_E_00000003.wav ...

IDs end in .wav, as in the published protocols.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {"test": {"all": 118477}}


def describe(file: str, label: str) -> dict[str, str]:
    """Describe a line of label.txt."""
    return {
        "ID": f"ADD2023-{file}",
        "Label": translate(label, {"genuine": "real", "fake": "fake"}),
        "Path": f"Track1.2/testR2/wav/{file}",
        "Proportion": "test",
    }


prepare_add2023 = partial(
    prepare_corpus,
    lambda corpus: read_list(corpus / "Track1.2/testR2/label.txt", "file label", describe),
    corpus_folder="ADD2023",
)
main = partial(run_preparation, prepare_add2023, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
