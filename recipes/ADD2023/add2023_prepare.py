#!/usr/bin/env python
"""ADD 2023, track 1.2, second round: speech, real and made to fool detectors. A test set.

Yi, Tao, Fu et al.: ADD 2023: the Second Audio Deepfake Detection Challenge. IJCAI 2023 Workshop on Deepfake Audio
Detection and Analysis.

source      http://addchallenge.cn/downloadADD2023
license     as its page says
languages   not told
hours       not told

ADD2023/Track1.2/testR2/
  label.txt
  wav/ADD2023_T1.2R2_E_00000003.wav ...

Identifiers end in .wav, as in the published protocols.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report

PUBLISHED = {"test": {"all": 118477}}


def describe(file: str, label: str) -> dict[str, str]:
    """Describe a line of label.txt."""
    return {
        "ID": f"ADD2023-{file}",
        "Label": translate(label, {"genuine": "real", "fake": "fake"}),
        "Path": f"Track1.2/testR2/wav/{file}",
        "Proportion": "test",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files in the order of label.txt."""
    return read_list(corpus / "Track1.2/testR2/label.txt", "file label", describe)


prepare_add2023 = partial(prepare_corpus, list_utterances, corpus_folder="ADD2023")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_add2023(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
