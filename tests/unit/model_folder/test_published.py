"""The list of published detectors."""

from antideepfake.corpora.registry import read_corpora
from antideepfake.model_folder.published import read_published_detectors
from antideepfake.resources import find_resource


def test_every_detector_has_a_front_end_and_a_twin_without_rawboost():
    detectors = {name: detector for name, detector in read_published_detectors().items() if detector.owner}
    assert len(detectors) == 14
    for name, detector in detectors.items():
        assert detector.id == f"nii-yamagishilab/{name}" and detector.parameters > 0 and len(detector.corpora) == 29
        assert find_resource(f"hparams/front_ends/{detector.front_end}.yaml").is_file()
        twin = name.removesuffix("-nda") if name.endswith("-nda") else f"{name}-nda"
        assert detectors[twin].front_end == detector.front_end


def test_detectors_of_other_authors_have_a_front_end_and_known_corpora():
    corpora = read_corpora(find_resource("recipes"))
    for name, detector in read_published_detectors().items():
        if not detector.owner:
            assert detector.id == name and detector.parameters > 0 and "github.com/" in detector.paper
            assert find_resource(f"hparams/front_ends/{detector.front_end}.yaml").is_file()
            assert set(detector.corpora) <= set(corpora)
