#!/usr/bin/env python
"""FakeOrReal (FoR): recordings from several corpora and the web, and text-to-speech systems of 2019.

Reimao, Tzerpos: FoR: A Dataset for Synthetic Speech Detection. SpeD 2019.

source      https://bil.eecs.yorku.ca/datasets
license     see its page
languages   English
hours       unknown

FakeOrReal/for-{original,norm}/{training,validation,testing}/{fake,real}/file16643.wav or .mp3 ...

--version original is the speech as collected; norm is normalized in sampling rate, volume and channels, and balanced
in class and gender. The folders for-2seconds and for-rerecorded are not used.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import make_parser, print_report
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {
    "original": {},
    "norm": {"train": {"all": 53868}, "valid": {"all": 10798}, "test": {"all": 4634}},
}
PREFIXES = {"original": "FoR", "norm": "FoRnorm"}
SPLITS = {"training": "train", "validation": "valid", "testing": "test"}


def describe(prefix: str, subset: str, label: str, name: str, suffix: str) -> dict[str, str]:
    """Describe a file by its folders. With a file1.mp3 next to it, the ID of file1.wav gets the suffix -wav."""
    return {"ID": f"{prefix}-{subset}-{label}-{name}", "Label": label, "Proportion": SPLITS[subset], "Language": "EN"}


def list_utterances(corpus: Path, version: str = "original") -> Iterator[Mapping[str, str]]:
    """List the files of one version."""
    layout = f"for-{version}/{{subset:training|validation|testing}}/{{label:fake|real}}/{{name}}.{{suffix:wav|mp3}}"
    return walk_layout(corpus, layout, partial(describe, PREFIXES[version]))


prepare_fakeorreal = partial(prepare_corpus, list_utterances, corpus_folder="FakeOrReal")


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Prepare one version from the command line."""
    parser = make_parser(__doc__, prog)
    parser.add_argument(
        "--version", choices=PREFIXES, default="original", help="version of the corpus (default: original)"
    )
    args = vars(parser.parse_args(argv))
    form = args.pop("format")
    return print_report(prepare_fakeorreal(**args), args["output"], PUBLISHED[args["version"]], form)


if __name__ == "__main__":
    run_program(main)
