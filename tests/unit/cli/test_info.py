"""antideepfake info: what it reads of a model folder."""

import shutil

from antideepfake.cli.info import describe_folder


def test_a_folder_with_code_names_its_yaml(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "m")
    assert describe_folder(folder)["architecture"][0].startswith("front_end: LogFilterBank (n_filters 40")
    (folder / "config.json").unlink()
    facts = describe_folder(folder)
    assert facts["architecture"] == ["see hyperparams.yaml"]
    assert facts["calibrated"] == facts["out-of-distribution detector"] == "no"
    assert facts["threshold"] == 0.25 and facts["training attacks"] == ["world"]


def test_unknown_facts_are_named_so(model_folder, command):
    _, out, _ = command("info", model_folder)
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line.startswith("license"))
    assert lines == {"license": "unknown"}


def test_another_folder_is_refused(tmp_path, command):
    status, out, err = command("info", tmp_path)
    assert status == 2 and out == "" and "not a model folder; it has no metadata.json" in err
