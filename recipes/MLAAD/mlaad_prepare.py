#!/usr/bin/env python
"""MLAAD, version 5: texts of M-AILABS, synthesized by text-to-speech models in 38 languages.

Müller, Kawa, Choong et al.: MLAAD: The Multi-Language Audio Anti-Spoofing Dataset. IJCNN 2024.

source      https://deepfake-total.com/mlaad
license     CC BY-NC 4.0
languages   38
hours       378.0 fake

MLAAD_v5/fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav ...

For another version, pass --corpus_folder. With --tracing_folder, the protocol is that of source tracing:

mlaad4sourcetracing/{train,dev,eval}.csv    ./fake/en/tts_models_en_vctk_vits/a.wav,tts_models/en/vctk/vits

Müller: Using MLAAD for Source Tracing of Audio Deepfakes, 2024. https://deepfake-total.com/sourcetracing
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import make_parser, print_report
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout
from antideepfake.errors import InputError

LAYOUT = "fake/{folder}/{model}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "eval": "test"}


def describe(folder: str, model: str, name: str) -> dict[str, str]:
    """Describe a file. Its folder is a language; zh-cn is ZH."""
    folder = "ZH" if "zh-cn" in folder else folder
    return {"ID": f"MLAAD-{folder}-{model}-{name}", "Label": "fake", "Attack": model, "Language": folder.upper()}


def describe_line(split: str, path: str, model: str) -> dict[str, str]:
    """Describe a line of a list for source tracing, which names the model; its folder may depend on the language."""
    path = path.removeprefix("./")
    fake, _, rest = path.partition("/")
    names = rest.removesuffix(".wav").split("/")
    if fake != "fake" or len(names) != 3:
        raise InputError(f"'{path}' is not named as {LAYOUT}")
    return {**describe(*names), "Path": path, "Attack": model, "Proportion": SPLITS[split]}


def list_traced(folder: Path) -> Iterator[Mapping[str, str]]:
    """List the utterances of the three lists for source tracing once each; eval.csv repeats some of its lines."""
    listed: dict[str, Mapping[str, str]] = {}
    for split in SPLITS:
        lines = read_csv(
            folder / f"{split}.csv", {"path": "path", "model": "model_name"}, partial(describe_line, split)
        )
        for row in lines:
            if listed.get(row["Path"]) != row:
                listed[row["Path"]] = row
                yield row


def list_utterances(corpus: Path, tracing_folder: str | None = None) -> Iterator[Mapping[str, str]]:
    """List all files, or those of the lists for source tracing."""
    return list_traced(Path(tracing_folder)) if tracing_folder else walk_layout(corpus, LAYOUT, describe)


prepare_mlaad = partial(prepare_corpus, list_utterances, corpus_folder="MLAAD_v5")


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Prepare the corpus or its protocol of source tracing from the command line."""
    parser = make_parser(__doc__, prog)
    parser.add_argument("--tracing_folder", help="the lists for source tracing: train.csv, dev.csv and eval.csv")
    args = vars(parser.parse_args(argv))
    form = args.pop("format")
    return print_report(prepare_mlaad(**args), args["output"], form=form)


if __name__ == "__main__":
    run_program(main)
