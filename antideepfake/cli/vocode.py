"""Re-synthesize real speech with vocoders.

Writes the protocol of the result, all fake. LibriTTS-Vocoded and VoxCeleb2-Vocoded are made this way. A vocoder is
world (WORLD), griffin_lim, or a neural one: speechbrain:SOURCE (HiFi-GAN of SpeechBrain), transformers:SOURCE
(SpeechT5's), where SOURCE is a folder or a Hub id. A file $ROOT/LibriTTS/a/b.flac becomes
<output_folder>/<vocoder>/a/b.wav, of the same length and level. Run again after an interruption, it continues where it
stopped.
"""

import argparse

from antideepfake.cli import options
from antideepfake.errors import InputError

EXAMPLE = (
    "vocode data/MiniCorpus.csv --data_folder data --vocoder griffin_lim "
    "--output_folder data/MiniCorpus-Vocoded --output data/MiniCorpus-Vocoded.csv"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("protocol", help="protocol of the source, whose real speech is taken")
    parser.add_argument("--vocoder", nargs="+", required=True, help="one or several")
    parser.add_argument("--output_folder", required=True, help="folder for the audio; takes a folder for each vocoder")
    options.add_output(parser, "protocol to write")
    options.add_data_folder(parser)
    options.add_seed(parser, "the phases of griffin_lim")
    options.add_device(parser)
    options.add_trust_code(parser)
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Re-synthesize and print what became of the files."""
    if any(name.startswith("speechbrain:") for name in args.vocoder) and not args.trust_code:
        raise InputError("a speechbrain: vocoder's hyperparams.yaml can run code; --trust_code says that you trust it")
    if args.output != args.protocol:
        options.refuse_existing(args.output, args.overwrite)

    from antideepfake.augment.vocode import NEURAL, vocode_protocol
    from antideepfake.cli.preparation import print_report

    is_neural = any(name.startswith(NEURAL) for name in args.vocoder)
    report = vocode_protocol(
        args.protocol,
        args.data_folder,
        args.output_folder,
        args.output,
        args.vocoder,
        options.choose_device(args.device, args.quiet) if is_neural else "cpu",
        args.num_workers,
        args.seed,
        args.overwrite,
        args.quiet,
        args.scheduler,
    )
    return print_report(report, args.output, form=args.format)
