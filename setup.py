"""Packages of the wheel: the library, and inside it what its command reads of ``hparams/`` and ``recipes/``."""

from setuptools import find_packages, setup

setup(
    include_package_data=False,
    packages=[
        *find_packages(include=["antideepfake", "antideepfake.*"]),
        "antideepfake.hparams",
        "antideepfake.recipes",
    ],
    package_dir={"antideepfake.hparams": "hparams", "antideepfake.recipes": "recipes"},
    package_data={
        "antideepfake": ["py.typed"],
        "antideepfake.evaluation": ["report.html"],
        "antideepfake.hparams": ["*.yaml", "*/*.yaml"],
        "antideepfake.model_folder": ["published_detectors.yaml"],
        "antideepfake.page": ["*.html", "page.css", "page.js"],
        # MiniCorpus is made by several modules
        "antideepfake.recipes": ["*/corpus.yaml", "*/*_prepare.py", "MiniCorpus/*.py"],
    },
)
