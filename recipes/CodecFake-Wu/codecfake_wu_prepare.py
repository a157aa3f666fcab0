#!/usr/bin/env python
"""CodecFake of Wu et al.: VCTK through neural codecs.

Wu, Tseng, Lee: CodecFake: Enhancing Anti-Spoofing Models Against Deepfake Audios from Codec-Based Speech Synthesis
Systems. Interspeech 2024.

source      https://codecfake.github.io
licence     as its page says
languages   English
hours       660.9 fake

CodecFake/processed/encodec_24khz+p272_103.wav ...

Not to be confused with Codecfake-Xie; on a disk that does not tell upper from lower case, one of the two wants another
folder and --corpus_folder.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.errors import run_program
from antideepfake.protocol import prepare_corpus, prepare_parser, tell_report, walk_layout

LAYOUT = "processed/{codec:[^/+]+}+{name}.wav"


def describe(codec: str, name: str) -> dict[str, str]:
    """Describe a file, whose name begins with that of the codec, then that of the speaker."""
    return {
        "ID": f"CodecF-{codec}+{name}",
        "Label": "fake",
        "Attack": codec,
        "Speaker": name.partition("_")[0],
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their names."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_codecfake_wu = partial(prepare_corpus, list_utterances, corpus_folder="CodecFake")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_codecfake_wu(**vars(args)), args.output)


if __name__ == "__main__":
    run_program(main)
