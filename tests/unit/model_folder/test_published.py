"""The list of published detectors."""

from antideepfake.model_folder.published import read_published_detectors
from antideepfake.resources import find_resource


def test_every_detector_has_a_front_end_and_a_twin_without_rawboost():
    detectors = read_published_detectors()
    assert len(detectors) == 14
    for name, detector in detectors.items():
        assert detector.id == f"nii-yamagishilab/{name}" and detector.parameters > 0 and len(detector.corpora) == 29
        assert find_resource(f"hparams/front_ends/{detector.front_end}.yaml").is_file()
        twin = name.removesuffix("-nda") if name.endswith("-nda") else f"{name}-nda"
        assert detectors[twin].front_end == detector.front_end
