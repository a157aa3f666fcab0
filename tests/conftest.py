"""Fixtures that several tests share: signals, audio files, a small detector with weights as if trained."""

import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings
from speechbrain.utils.importutils import LazyModule

from antideepfake.cli.main import main
from antideepfake.lobes.self_supervised import Wav2Vec2
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.training.hparams import load_hparams

os.environ["MPLBACKEND"] = "Agg"
LazyModule.__file__ = None  # hypothesis asks every module for its file, which would import k2 and others not installed
settings.register_profile("house", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("house")

MODULES = ("embedding_model", "classifier")
DETECTOR_YAML = """
front_end: !new:antideepfake.lobes.LogFilterBank
    n_filters: 40
back_end: !new:antideepfake.lobes.ConvolutionalEncoder
    n_features: 40
    channels: [6, 8]
    embedding_size: 16
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
    in_features: 16
    out_features: 2
"""


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test draws the same numbers, on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(1234)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def no_list_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each start of an experiment the list of installed packages, which takes a second."""
    monkeypatch.setattr("speechbrain.utils.logger.get_environment_description", lambda: "")


@pytest.fixture
def rng() -> np.random.Generator:
    """Source of a test's signals."""
    return np.random.default_rng(1234)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for property-based tests, whose examples write over each other's files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def command(capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the command ``antideepfake`` in this process; gives status, output and errors."""

    def run(*arguments) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments)])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let the system refuse files above half a megabyte, as it refuses any on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="session")
def write_audio() -> Callable[..., Path]:
    """Write samples (noise when none are given) to a file whose folders are made."""

    def write(path: Path, samples: np.ndarray | None = None, rate: int = 16000, **options) -> Path:
        if samples is None:
            samples = 0.1 * np.random.default_rng(len(path.name)).standard_normal(rate // 2)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, **options)
        return path

    return write


@pytest.fixture(scope="session")
def encode_audio() -> Callable[..., Path]:
    """Encode samples with PyAV to a file; a video comes before or after the sound, a cover is a single picture."""

    def encode(
        path: Path,
        samples: np.ndarray,
        rate: int,
        codec: str,
        container: str,
        video: str = "",
        video_first: bool = False,
        video_seconds: float = 1,
        cover: bool = False,
        sounds: int = 1,
        bit_rate: int | None = None,
        options: dict[str, str] | None = None,
        codec_options: dict[str, str] | None = None,
    ) -> Path:
        samples = np.atleast_2d(samples.T).astype(np.float32)
        layout = {1: "mono", 2: "stereo"}[len(samples)]
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", format=container, options=options or {}) as output:

            def add_video():
                stream = output.add_stream(video, rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24" if video == "png" else "yuv420p"
                if cover:
                    stream.disposition = av.stream.Disposition.attached_pic
                return stream

            pictures = add_video() if video and video_first else None
            streams = [
                output.add_stream(codec, rate=rate, layout=layout, options=codec_options or {}) for _ in range(sounds)
            ]
            if video and not video_first:
                pictures = add_video()
            for number, stream in enumerate(streams):  # every further stream is quieter by half
                if bit_rate:
                    stream.bit_rate = bit_rate
                if not stream.codec_context.is_open:
                    stream.codec_context.open()
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples / 2**number), "fltp", layout)
                frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
                resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
                fifo = av.AudioFifo()
                for converted in [*resampler.resample(frame), *resampler.resample(None)]:
                    fifo.write(converted)
                while (frame := fifo.read(stream.codec_context.frame_size or 1024)) is not None:
                    output.mux(stream.encode(frame))
                if (frame := fifo.read(0, partial=True)) is not None:
                    output.mux(stream.encode(frame))
                output.mux(stream.encode(None))
            if pictures:
                for index in range(1 if cover else round(25 * video_seconds)):
                    picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 5 * index % 256, np.uint8), "rgb24")
                    picture = picture.reformat(format=pictures.pix_fmt)
                    picture.pts, picture.time_base = index, Fraction(1, 25)
                    output.mux(pictures.encode(picture))
                output.mux(pictures.encode(None))
        return path

    return encode


@pytest.fixture(scope="session")
def make_modules() -> Callable[[int], dict[str, torch.nn.Module]]:
    """Make the modules of a small detector, with weights and batch-norm statistics as if trained."""

    def make(seed: int = 1) -> dict[str, torch.nn.Module]:
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            path = Path(folder, "detector.yaml")
            path.write_text(DETECTOR_YAML)
            hparams = load_hparams(path)
        generator = torch.Generator().manual_seed(seed)

        def draw(tensor: torch.Tensor, low: float, high: float) -> None:
            tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

        with torch.no_grad():
            for module in torch.nn.ModuleList([hparams[name] for name in MODULES]).modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    draw(module.running_mean, -0.5, 0.5)
                    draw(module.running_var, 0.5, 2.0)
                    draw(module.weight, 0.5, 1.5)
                    draw(module.bias, 0.2, 0.8)
                elif isinstance(module, torch.nn.Linear):
                    draw(module.bias, -0.5, 0.5)
        return {name: hparams[name].eval() for name in MODULES}

    return make


@pytest.fixture(scope="session")
def detector_yaml() -> str:
    """The YAML of the modules that ``make_modules`` makes."""
    return DETECTOR_YAML


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, make_modules) -> Path:
    """A model folder; tests that spoil one copy it first."""
    folder = tmp_path_factory.mktemp("model_folder") / "model"
    metadata = ModelMetadata(threshold=0.25, training_corpora=["Mini"], training_attacks=["world"])
    write_model_folder(folder, DETECTOR_YAML, make_modules(), metadata)
    return folder


@pytest.fixture(scope="session")
def make_corpus(write_audio) -> Callable[..., Path]:
    """Write ``real/`` (noise with harmonics) and ``fake/`` (pure tones), by speakers, a split second each."""

    def make(folder: Path, speakers: int = 6, files: int = 2, seconds: float = 0.5) -> Path:
        rng = np.random.default_rng(1234)
        time = np.arange(round(16000 * seconds)) / 16000
        for speaker in range(speakers):
            for number in range(files):
                voice = sum(np.sin(2 * np.pi * (110 + 15 * speaker) * h * time) / h for h in range(1, 8))
                noise = rng.standard_normal(len(time)) * rng.integers(0, 2, len(time) // 80 + 1).repeat(80)[: len(time)]
                write_audio(folder / "real" / f"speaker{speaker}" / f"{number}.wav", 0.05 * (voice + noise))
                tone = 0.3 * np.sin(2 * np.pi * (400 + 40 * speaker + 7 * number) * time)
                write_audio(folder / "fake" / f"speaker{speaker}" / f"{number}.flac", tone)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_front_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML of a tiny wav2vec 2.0 with pre-trained weights, as if of ``hparams/front_ends``."""
    folder = tmp_path_factory.mktemp("tiny")
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    settings |= {"conv_dim": [8, 8], "conv_kernel": [10, 8], "conv_stride": [5, 4]}
    settings |= {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        Wav2Vec2(**settings).model.save_pretrained(folder / "encoder")
    lines = [f"{name}: {value}\n" for name, value in settings.items()]
    path = folder / "tiny.yaml"
    path.write_text(f"!new:antideepfake.lobes.Wav2Vec2\nweights_source: {folder / 'encoder'}\n" + "".join(lines))
    return path
