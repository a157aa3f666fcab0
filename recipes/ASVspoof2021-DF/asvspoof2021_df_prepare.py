#!/usr/bin/env python
"""ASVspoof 2021, deepfake: generated speech of two evaluation campaigns through media codecs. A test set.

Liu, Wang, Sahidullah et al.: ASVspoof 2021: Towards Spoofed and Deepfake Speech Detection in the Wild. IEEE/ACM
Transactions on Audio, Speech and Language Processing 31, 2023.

source      https://zenodo.org/records/4835108; keys: https://www.asvspoof.org/asvspoof2021/DF-keys-full.tar.gz
license     ODC-By 1.0
languages   English
hours       20.7 real, 487.0 fake

ASVspoof2021-DF/
  keys/DF/CM/trial_metadata.txt         or ASVspoof2021-DF.txt, or any file that --protocol_file names
  ASVspoof2021_DF_eval/flac/DF_E_2000011.flac ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import first_file, read_list, translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report

PUBLISHED = {"test": {"real": 22617, "fake": 589212}}
LISTS = ("keys/DF/CM/trial_metadata.txt", "keys/CM/trial_metadata.txt", "ASVspoof2021-DF.txt")


def describe(speaker: str, key: str, attack: str, label: str) -> dict[str, str]:
    """Describe a line of the keys."""
    return {
        "ID": f"ASV21DF-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"ASVspoof2021_DF_eval/flac/{key}.flac",
        "Attack": "-" if label == "bonafide" else attack,
        "Speaker": speaker,
        "Proportion": "test",
        "Language": "EN",
    }


def list_utterances(corpus: Path, protocol_file: str | None = None) -> Iterator[Mapping[str, str]]:
    """List all trials in the order of the keys: of the phases progress, eval and hidden, trimmed or not."""
    path = Path(protocol_file or first_file([corpus / name for name in LISTS]))
    return read_list(path, "speaker key - - attack label", describe)


prepare_asvspoof2021_df = partial(prepare_corpus, list_utterances, corpus_folder="ASVspoof2021-DF")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    parser = prepare_parser(__doc__)
    parser.add_argument(
        "--protocol_file", help="the keys, trial_metadata.txt, where they are not in the corpus's folder"
    )
    args = parser.parse_args()
    return tell_report(prepare_asvspoof2021_df(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
