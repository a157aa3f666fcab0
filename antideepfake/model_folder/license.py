"""The license of a model: the strictest that its training data and the model it started from ask for."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from antideepfake.errors import InputError
from antideepfake.files import read_json

# SPDX identifiers, and what each asks for: attribution (BY), the same license (SA), no commercial use (NC), no
# derivatives (ND). The less strict come first.
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
}
# Published models that training starts from, by their cards on the Hugging Face hub.
PUBLISHED = {
    r"facebook/mms-(300m|1b)": "CC-BY-NC-4.0",
    r"facebook/(wav2vec2|hubert)-.+": "Apache-2.0",  # XLS-R too
    r"(.*/)?(wav2vec-(small|large)|mms-(300m|1b)|xls-r-(1b|2b)|hubert-xlarge)-anti-deepfake(-nda)?": "CC-BY-NC-SA-4.0",
}
OR_STRICTER = " or stricter"


def find_spdx(text: str) -> str:
    """Give the SPDX identifier of a license in any usual spelling; empty where it is not known.

    Example
    -------
    >>> find_spdx("CC BY-NC-SA 4.0"), find_spdx("apache-2.0"), find_spdx("as its page says")
    ('CC-BY-NC-SA-4.0', 'Apache-2.0', '')
    """
    plain = re.sub(r"[\s-]+", "-", text.strip()).lower()
    return next((name for name in LICENSES if name.lower() == plain), "")


def combine_licenses(licenses: Mapping[str, str]) -> str:
    """Give the license of what is made of several works: the least strict that asks for all that theirs ask for.

    Arguments
    ---------
    licenses : mapping
        Name of a work to its license, in any usual spelling, or to what this function gave.

    Returns
    -------
    str
        An SPDX identifier; two joined by ``AND`` where no license covers both; ``... or stricter`` with the names of
        the works whose license is unknown; empty where all are.

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
        found = [find_spdx(part) for part in text.split(" AND ")]
        known.update(filter(None, found))
        if stricter or not all(found):
            unknown.append(work)
    if not known:
        return ""
    asked = frozenset().union(*(LICENSES[name] for name in known))
    order = list(LICENSES)
    covering = [name for name in order if LICENSES[name] >= asked]
    if covering:
        result = min(covering, key=lambda name: (len(LICENSES[name]), name not in known, -order.index(name)))
    else:  # no license has both ND and SA
        result = " AND ".join(
            name for name in order if name in known and not any(LICENSES[name] < LICENSES[other] for other in known)
        )
    return result + (f"{OR_STRICTER} (unknown license: {', '.join(unknown)})" if unknown else "")


def find_license(source: str | os.PathLike) -> str:
    """Find the license of a model to start from.

    Arguments
    ---------
    source : str or Path
        A model folder, any folder whose README.md names the license as on the Hugging Face hub, the hub id of a
        published model, or a checkpoint under the name of a published detector.

    Returns
    -------
    str
        As its source says it; empty where it is unknown.

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
