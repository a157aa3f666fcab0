#!/usr/bin/env python
"""VoiceMOS: submissions to the Blizzard Challenges, where the letter A is natural speech.

Huang, Cooper, Tsao, Wang, Toda, Yamagishi: The VoiceMOS Challenge 2022. Interspeech 2022.

source      https://www.cstr.ed.ac.uk/projects/blizzard, the archives of each year
license     see each year's archive
languages   several, not given per file
hours       448.4 fake, without the natural speech

VoiceMOS/main/blizzard/blizzard_wavs_and_scores_2008_release_version_1/A/.../news_2008_0095.wav ...

Published IDs number the files of one particular copy; the IDs here consist of year, letter and file name, and stay the
same when a file is added.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "main/blizzard/blizzard_wavs_and_scores_{year}_release_version_{version}/{submission}/{name:.+}.wav"


def describe(year: str, version: str, submission: str, name: str) -> dict[str, str]:
    """Describe a file, at any depth below the letter of its system."""
    return {
        "ID": f"VoiceMOS-{year}-{submission}-{name.replace('/', '-')}",
        "Label": "real" if submission == "A" else "fake",
    }


prepare_voicemos = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="VoiceMOS"
)
main = partial(run_preparation, prepare_voicemos, __doc__)

if __name__ == "__main__":
    run_program(main)
