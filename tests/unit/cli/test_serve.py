"""antideepfake serve: who may open the page, and what it refuses before it starts."""

import builtins
import os

import pytest

from antideepfake.cli.serve import AUTH, check_host, find_documents, read_auth, remove_empty
from antideepfake.errors import InputError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "localhost"])
def test_this_computer_needs_no_password(host):
    check_host(host, False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_computers_need_a_password(host, command, model_folder, monkeypatch):
    monkeypatch.delenv(AUTH, raising=False)
    status, out, err = command("serve", model_folder, "--host", host)
    assert status == 2 and out == "" and "set a password with --auth" in err
    check_host(host, True)


@pytest.mark.parametrize("text", ["", "me", "me:", ":secret"])
def test_a_password_is_complete_and_never_repeated(text):
    with pytest.raises(InputError, match="must be USER:PASSWORD") as error:
        read_auth(text)
    assert "secret" not in str(error.value)


def test_the_password_may_come_from_the_environment(command, model_folder, monkeypatch):
    monkeypatch.setenv(AUTH, "nobody")
    status, _, err = command("serve", model_folder)
    assert status == 2 and f"${AUTH}" in err


def test_a_missing_gradio_is_one_sentence(command, model_folder, monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "gradio" or name == "antideepfake.page.app":
            raise ModuleNotFoundError("No module named 'gradio'", name="gradio")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    status, _, err = command("serve", model_folder)
    assert status == 2 and 'pip install "speechbrain-antideepfake[web]"' in err and err.count("\n") == 1


def test_card_and_report_are_found_in_or_beside_the_folder(tmp_path):
    model = tmp_path / "small" / "model"
    (model.parent / "report").mkdir(parents=True)
    model.mkdir()
    (model / "README.md").touch()
    (model.parent / "report" / "report.html").touch()
    found = find_documents(model)
    assert [path.name for path in found.values()] == ["README.md", "report.html"]


def test_only_empty_leftovers_are_removed(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload" / "a.wav").write_bytes(b"sound")
    remove_empty(tmp_path, 60)
    assert len(list(tmp_path.iterdir())) == 3
    remove_empty(tmp_path, -1)
    assert [path.name for path in tmp_path.iterdir()] == ["upload"]
