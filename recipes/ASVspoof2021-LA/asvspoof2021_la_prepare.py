#!/usr/bin/env python
"""ASVspoof 2021, logical access: the attacks of ASVspoof 2019, passed through telephone codecs. A test set.

Liu, Wang, Sahidullah et al.: ASVspoof 2021: Towards Spoofed and Deepfake Speech Detection in the Wild. IEEE/ACM
Transactions on Audio, Speech and Language Processing 31, 2023.

source      https://zenodo.org/records/4837263; keys: https://www.asvspoof.org/asvspoof2021/LA-keys-full.tar.gz
license     ODC-By 1.0
languages   English
hours       16.4 real, 116.1 fake

ASVspoof2021-LA/
  keys/LA/CM/trial_metadata.txt         or ASVspoof2021-LA.txt, or the value of --protocol_file
  ASVspoof2021_LA_eval/flac/LA_E_9332881.flac ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import first_file, read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {"test": {"real": 18452, "fake": 163114}}
PROTOCOL_FILE = "the keys, trial_metadata.txt, if they are not in the corpus's folder"


def describe(track: str, speaker: str, key: str, attack: str, label: str) -> dict[str, str]:
    """Describe a line of the keys of a track, LA or DF."""
    return {
        "ID": f"ASV21{track}-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"ASVspoof2021_{track}_eval/flac/{key}.flac",
        "Attack": "-" if label == "bonafide" else attack,
        "Speaker": speaker,
        "Proportion": "test",
        "Language": "EN",
    }


def list_track(track: str, corpus: Path, protocol_file: str | None = None) -> Iterator[Mapping[str, str]]:
    """List all trials of a track in the order of the keys: of the phases progress, eval and hidden, trimmed or not."""
    names = (f"keys/{track}/CM/trial_metadata.txt", "keys/CM/trial_metadata.txt", f"ASVspoof2021-{track}.txt")
    path = Path(protocol_file or first_file([corpus / name for name in names]))
    return read_list(path, "speaker key - - attack label", partial(describe, track))


prepare_asvspoof2021_la = partial(prepare_corpus, partial(list_track, "LA"), corpus_folder="ASVspoof2021-LA")
main = partial(
    run_preparation,
    prepare_asvspoof2021_la,
    __doc__,
    published=PUBLISHED,
    protocol_file=PROTOCOL_FILE,
)

if __name__ == "__main__":
    run_program(main)
