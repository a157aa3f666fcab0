"""The Gradio page: what can be checked without a server."""

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

gradio = pytest.importorskip("gradio")

import httpx  # noqa: E402

from antideepfake.inference import load_detector  # noqa: E402
from antideepfake.page.app import FOLDER, KEPT_RESULTS, build_page, launch_page, refuse_addresses  # noqa: E402
from antideepfake.page.judge import Judge, Limits  # noqa: E402


@pytest.fixture(scope="module")
def page(model_folder):
    return build_page(Judge(load_detector(model_folder), Limits(files=3)), {}, 4)


def test_programs_see_one_endpoint(page):
    assert list(page.get_api_info()["named_endpoints"]) == ["/score"]


def test_one_recording_is_judged_at_a_time(page):
    judging = [function for function in page.fns.values() if function.queue]
    assert len(judging) == 3
    assert {(function.concurrency_id, function.concurrency_limit) for function in judging} == {("model", 1)}


def test_no_button_of_a_component_sends_a_recording_away(page):
    (microphone,) = (block for block in page.blocks.values() if isinstance(block, gradio.Audio))
    assert microphone.buttons == []


def test_analytics_are_off(page):
    assert page.analytics_enabled is False


def test_building_the_page_writes_nothing_beside_the_code(page):
    """Guards against a .pyi file, which gradio writes for a subclass of a component."""
    assert not list(FOLDER.glob("*.pyi"))


def test_what_visitors_saw_does_not_pile_up(page, tmp_path, write_audio, monkeypatch):
    """Guards against memory that grows with every visitor: gradio keeps the last result of each, with its sound."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    content = write_audio(tmp_path / "a.wav").read_bytes()
    address = launch_page(page, "127.0.0.1", port, None, 1, {})
    try:
        with httpx.Client(base_url=f"{address}gradio_api/") as client:
            for _ in range(KEPT_RESULTS + 3):
                (path,) = client.post("upload", files={"files": ("a.wav", content)}).json()
                body = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
                event = client.post("call/score", json=body).json()["event_id"]
                assert "event: complete" in client.get(f"call/score/{event}").text
        assert len(page.state_holder.session_data) <= KEPT_RESULTS
    finally:
        page.close(verbose=False)
    assert not list(Path(path).parent.iterdir())


@pytest.mark.parametrize("address", ["http://example.org/a.wav", "https://example.org/a.wav", "ftp://a/b"])
def test_an_address_is_refused(address):
    async def fetch(path):
        return path

    component = SimpleNamespace(async_move_resource_to_block_cache=fetch)
    refuse_addresses(component)
    with pytest.raises(gradio.Error, match="not an address"):
        asyncio.run(component.async_move_resource_to_block_cache(address))
    assert asyncio.run(component.async_move_resource_to_block_cache("/uploads/a.wav")) == "/uploads/a.wav"
