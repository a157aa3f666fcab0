"""The published detectors: their names, front ends, training corpora and license."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from antideepfake.resources import find_resource

LIST = Path(__file__).with_name("published_detectors.yaml")


@dataclass(frozen=True)
class PublishedDetector:
    """A published detector.

    Arguments
    ---------
    name : str
        Name without the owner.
    owner : str
        Owner on the Hugging Face Hub; empty for a detector that its authors publish elsewhere.
    front_end : str
        File of ``hparams/front_ends``, without suffix.
    parameters : float
        Number of parameters, in millions.
    corpora : tuple of str
        Training corpora.
    paper : str
        Reference of the paper; for a detector that is not on the Hub, also its repository.
    license : str
        License of the weights.
    """

    name: str
    owner: str
    front_end: str
    parameters: float
    corpora: tuple[str, ...]
    paper: str
    license: str

    @property
    def id(self) -> str:
        """The id on the Hugging Face Hub, ``owner/name``, or the name alone."""
        return f"{self.owner}/{self.name}" if self.owner else self.name


def read_published_detectors() -> dict[str, PublishedDetector]:
    """Read the list of published detectors.

    Returns
    -------
    dict
        Name of each detector -> detector.

    Example
    -------
    >>> read_published_detectors()["mms-300m-anti-deepfake"].front_end
    'mms_300m'
    """
    values = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    union = tuple(yaml.safe_load(find_resource("hparams/union.yaml").read_text(encoding="utf-8")))
    detectors = {
        name: PublishedDetector(
            name=name, owner=values["owner"], corpora=union, paper=values["paper"], license=values["license"], **facts
        )
        for name, facts in values["names"].items()
    }
    for name, facts in values["others"].items():
        detectors[name] = PublishedDetector(name=name, owner="", **facts | {"corpora": tuple(facts["corpora"])})
    return detectors
