"""antideepfake serve: a server in a process of its own, used by programs and by headless Chromium."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from antideepfake.exports.onnx_file import write_onnx
from antideepfake.inference import load_detector
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.validation_scores import describe_scores

pytest.importorskip("gradio")

import httpx
from gradio_client import Client, handle_file

CHROMIUM = shutil.which("chromium")
# starts the command, and writes down to whom its process connects
SERVE = """
import sys
def watch(event, values):
    if event == "socket.connect":
        print("connects to", values[1], file=open(sys.argv[1], "a"))
sys.addaudithook(watch)
from antideepfake.cli.main import main
main(["serve", *sys.argv[2:]])
"""
# the lowest contrast of a text of the page with what is behind it
CONTRAST = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    const color = parse(getComputedStyle(element).backgroundColor);
    return color[3] === 0 && element.parentElement ? behind(element.parentElement) : color;
  };
  const texts = [...document.querySelectorAll(".adf *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return Math.min(...texts.map((element) => {
    const [low, high] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
}"""
LIMITS = ("--max_megabytes", "4", "--max_minutes", "1", "--max_files", "3")


class Server:
    """A running page."""

    def __init__(self, folder, model, *options, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.connections = folder / "connections.txt"
        self.connections.touch()
        command = [sys.executable, "-c", SERVE, str(self.connections), str(model), "--port", str(port), *options]
        environment = os.environ | {"TMPDIR": str(folder), "HF_HUB_OFFLINE": "0"} | environment
        self.log = folder / "log.txt"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.folder = folder
        for _ in range(600):
            if self.address in self.log.read_text() or self.process.poll() is not None:
                break
            time.sleep(0.2)
        assert self.address in self.log.read_text(), self.log.read_text()

    def uploads(self):
        return [path for path in self.folder.glob("antideepfake-*/*/*") if path.is_file()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def model(tmp_path_factory, model_folder):
    """A model folder with validation scores, a card and a report beside it."""
    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(model_folder, folder)
    rng = np.random.default_rng(1)
    metadata = ModelMetadata(0.25, "a test", ["MiniCorpus"], ["tone"])
    metadata.validation_scores = describe_scores(rng.normal(1, 1, 90), rng.normal(-1, 1, 80))
    metadata.save(folder / "metadata.json")
    (folder.parent / "report").mkdir()
    (folder.parent / "report" / "report.html").write_text("<p>how good it is</p>")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, model):
    server = Server(tmp_path_factory.mktemp("server"), model, *LIMITS)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def sounds(tmp_path_factory, write_audio):
    """Recordings by name, good and bad."""
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(1)
    bursts = (np.arange(16000 * 20) // 4000 % 2) * rng.standard_normal(16000 * 20)
    write_audio(folder / "call.wav", 0.1 * bursts)
    write_audio(folder / "short.flac")
    write_audio(folder / "two.ogg", 0.1 * bursts[:48_000])
    write_audio(folder / "two minutes.flac", 0.001 * rng.standard_normal(16000 * 120))
    write_audio(folder / "large.wav", 0.1 * rng.standard_normal(16000 * 140))
    (folder / "text.wav").write_text("no audio " * 50)
    shutil.copy(folder / "call.wav", folder / "{{7}}${7}<img src=x onerror=document.title=1>.wav")
    return folder


def call(server, path, client=httpx):
    """Judge a file with plain HTTP, as the documentation's curl calls do."""
    (uploaded,) = client.post(f"{server.address}/gradio_api/upload", files={"files": path.open("rb")}).json()
    return call_score(server, uploaded, client)


def call_score(server, uploaded, client=httpx):
    body = {"data": [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}]}
    event = client.post(f"{server.address}/gradio_api/call/score", json=body).json()["event_id"]
    answer = client.get(f"{server.address}/gradio_api/call/score/{event}", timeout=120).text
    kind, data = re.findall(r"event: (\w+)\ndata: (.*)", answer)[-1]
    return kind, json.loads(data)


def test_plain_http_gets_the_score_of_the_detector(server, model, sounds):
    kind, (answer,) = call(server, sounds / "call.wav")
    (expected,) = load_detector(model).score_files([sounds / "call.wav"])
    assert kind == "complete" and answer["file"] == "call.wav" and answer["error"] is None
    assert answer["score"] == pytest.approx(expected.score, abs=1e-4) and answer["threshold"] == 0.25
    assert answer["decision"] == expected.decision and answer["probability"] is None
    assert answer["duration"] == 20.0 and answer["segments"][-1]["end"] == 20.0
    assert "not calibrated" in answer["verdict"] or "unsure" in answer["verdict"]


def test_gradio_client_gets_the_same(server, sounds):
    client = Client(server.address, verbose=False)
    _, (expected,) = call(server, sounds / "short.flac")
    assert client.predict(handle_file(str(sounds / "short.flac")), api_name="/score") == expected


@pytest.mark.parametrize(
    ("name", "message"), [("text.wav", "cannot be read"), ("two minutes.flac", "longer than the 1 minutes")]
)
def test_a_bad_file_has_an_error_and_no_score(server, sounds, name, message):
    kind, (answer,) = call(server, sounds / name)
    assert kind == "complete" and message in answer["error"] and answer.keys() == {"file", "error"}
    assert str(server.folder) not in json.dumps(answer)


def test_a_large_file_is_refused_while_it_arrives(server, sounds):
    with (sounds / "large.wav").open("rb") as file:
        answer = httpx.post(f"{server.address}/gradio_api/upload", files={"files": file})
    assert answer.status_code == 413 and "4000000 bytes" in answer.text


@pytest.mark.parametrize("place", ["/etc/passwd", "http://127.0.0.1:1/a.wav", "http://198.51.100.1/a.wav", "{model}"])
def test_only_uploads_are_read(server, model, place):
    kind, _ = call_score(server, place.format(model=model / "model.safetensors"))
    assert kind == "error"


def test_files_of_the_computer_are_not_given_out(server, model):
    def status(path):
        return httpx.get(f"{server.address}/gradio_api/file={path}").status_code

    assert status(model / "README.md") == 200
    for path in ("/etc/passwd", model / "model.safetensors", model / ".." / "report" / ".." / "model" / "config.json"):
        assert status(path) in (403, 404)


def read_examples(language):
    text = (Path(__file__).parents[2] / "docs" / "journeys" / "a_page.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_documented_python_call_works(server, sounds, monkeypatch, capsys):
    (example,) = read_examples("py")
    monkeypatch.chdir(sounds)
    code = example.replace("http://127.0.0.1:7860", server.address).replace("interview.wav", "call.wav")
    exec(compile(code, "example", "exec"), {})
    assert "'start': 0.0" in capsys.readouterr().out


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_documented_curl_calls_work(server, sounds):
    (example,) = read_examples("sh")
    script = example.replace("http://127.0.0.1:7860", server.address).replace("interview.wav", "call.wav")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=sounds, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("event: complete")
    assert json.loads(done.stdout.partition("data: ")[2])[0]["file"] == "call.wav"


def test_eight_requests_at_once_are_all_answered(server, sounds):
    client = Client(server.address, verbose=False)
    names = ["short.flac", "two.ogg"] * 4
    jobs = [client.submit(handle_file(str(sounds / name)), api_name="/score") for name in names]
    answers = [job.result(timeout=120) for job in jobs]
    assert [answer["file"] for answer in answers] == names
    assert len({answer["score"] for answer in answers}) == 2


def test_the_server_connects_to_nobody_but_itself(server, sounds):
    call(server, sounds / "short.flac")
    for line in server.connections.read_text().splitlines():
        assert re.search(r"'(127\.0\.0\.1|localhost|::1)'|/dev/log|\.sock", line), line


@pytest.fixture(scope="module")
def closed(tmp_path_factory, model):
    """A server that asks for a password, which takes one request at a time and one that waits."""
    options = ("--max_waiting", "1", "--quiet")
    server = Server(tmp_path_factory.mktemp("closed"), model, *options, ANTIDEEPFAKE_AUTH="me:secret")
    yield server
    server.stop()


def test_nothing_works_without_the_password(closed, sounds):
    assert httpx.get(f"{closed.address}/config").status_code == 401
    answer = httpx.post(f"{closed.address}/gradio_api/upload", files={"files": b"x"})
    assert answer.status_code == 401 and not closed.uploads()
    assert httpx.post(f"{closed.address}/login", data={"username": "me", "password": "no"}).status_code == 400


def test_programs_log_in(closed, sounds):
    with httpx.Client() as client:
        assert client.post(f"{closed.address}/login", data={"username": "me", "password": "secret"}).is_success
        assert call(closed, sounds / "short.flac", client)[0] == "complete"
    client = Client(closed.address, auth=("me", "secret"), verbose=False)
    assert client.predict(handle_file(str(sounds / "short.flac")), api_name="/score")["score"]


def test_requests_beyond_those_that_may_wait_are_refused(closed, sounds):
    with httpx.Client(base_url=f"{closed.address}/gradio_api/", timeout=120) as client:
        client.post(f"{closed.address}/login", data={"username": "me", "password": "secret"})
        (uploaded,) = client.post("upload", files={"files": (sounds / "two minutes.flac").open("rb")}).json()
        body = {"data": [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}]}
        answers = [client.post("call/score", json=body) for _ in range(6)]
        accepted = [answer.json()["event_id"] for answer in answers if answer.is_success]
        assert 1 <= len(accepted) <= 3
        assert all("full" in answer.text for answer in answers if not answer.is_success)
        for event in accepted:
            assert "event: complete" in client.get(f"call/score/{event}").text


def test_a_taken_port_is_one_sentence(server, model, command):
    port = server.address.rpartition(":")[2]
    status, _, err = command("serve", model, "--port", port, "--device", "cpu")
    assert status == 2 and err.startswith(f"error: port {port} of 127.0.0.1 cannot be used")


def test_an_onnx_file_is_served_and_uploads_are_deleted_at_the_end(tmp_path, model, sounds):
    write_onnx(tmp_path / "model.onnx", load_detector(model))
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served", tmp_path / "model.onnx")
    kind, (answer,) = call(server, sounds / "two.ogg")
    (expected,) = load_detector(model).score_files([sounds / "two.ogg"])
    assert kind == "complete" and answer["score"] == pytest.approx(expected.score, abs=1e-3)
    assert server.uploads()
    assert server.stop() == 0
    # no other file: ONNX Runtime leaves one here when it sends statistics
    assert sorted(path.name for path in server.folder.iterdir()) == ["connections.txt", "log.txt"]


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, server):
    """Open the page in a window of its own; fails if it asks another host for anything, or has an error."""
    pages, wrong = [], []

    def open_page(width=1280, **options):
        page = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
        pages.append(page)

        def check(request):
            if not request.url.startswith((server.address, "data:", "blob:")):
                wrong.append(request.url)

        page.on("request", check)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(server.address)
        page.wait_for_selector("input[type=file]", state="attached")
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert not wrong


def drop(page, *paths):
    page.set_input_files("input[type=file]", [str(path) for path in paths])


def wait_for(page, text, timeout=60_000):
    page.locator("#result", has_text=text).wait_for(timeout=timeout)


def test_upload_and_read_the_verdict(open_page, sounds):
    page = open_page()
    drop(page, sounds / "call.wav")
    wait_for(page, "call.wav")
    assert page.inner_text("#result .verdict").startswith(("Real", "Fake", "Unsure"))
    assert "validation set (90 and 80)" in page.inner_text("#result figcaption >> nth=0")
    assert "Trained on MiniCorpus." in page.inner_text("[aria-label='About this detector']")
    with page.expect_download() as download:
        page.click("text=Report of the evaluation")
    assert Path(download.value.path()).read_text() == "<p>how good it is</p>"


def test_click_and_keys_play_from_there(open_page, sounds):
    page = open_page()
    drop(page, sounds / "call.wav")
    wait_for(page, "call.wav")
    track, audio = page.locator(".track"), page.locator("#result audio")
    track.click(position={"x": 0.75 * track.bounding_box()["width"], "y": 20})
    page.wait_for_function("document.querySelector('#result audio').currentTime >= 14.5")
    assert audio.evaluate("audio => !audio.paused && Math.abs(audio.duration - 20) < 0.2")
    track.press("Enter")
    track.press("Home")
    assert audio.evaluate("audio => audio.paused && audio.currentTime") == 0
    track.press("ArrowRight")
    assert track.get_attribute("aria-valuetext") == "0:01.0"
    page.click("summary")
    page.locator("details button").last.press("Enter")
    page.wait_for_function("!document.querySelector('#result audio').paused")


@pytest.mark.parametrize("width", [420, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_off_screen_and_text_has_contrast(open_page, sounds, width, scheme):
    page = open_page(width, color_scheme=scheme)
    drop(page, sounds / "call.wav")
    wait_for(page, "call.wav")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5  # WCAG 2.2, level AA


def test_a_bad_file_is_said_in_words(open_page, sounds):
    page = open_page()
    drop(page, sounds / "text.wav")
    wait_for(page, "Could not be judged")
    assert "Cannot be read" in page.inner_text("#result [role=alert]")


def test_a_large_file_is_refused(open_page, sounds):
    page = open_page()
    drop(page, sounds / "large.wav")
    page.locator(".toast-body", has_text="maximum allowed size").wait_for(timeout=30_000)


def test_too_many_files_are_refused(open_page, sounds):
    page = open_page()
    drop(page, *[sounds / "short.flac"] * 2, sounds / "two.ogg", sounds / "text.wav")
    page.locator(".toast-body", has_text="4 files; drop up to 3 at once").wait_for(timeout=30_000)


def test_several_files_are_a_table_to_download(open_page, sounds):
    page = open_page(420)
    drop(page, sounds / "call.wav", sounds / "text.wav")
    wait_for(page, "2 recordings")
    with page.expect_download() as download:
        page.click("text=Download the table")
    with open(download.value.path()) as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["call.wav", "text.wav"]
    assert rows[0]["decision"] in ("real", "fake", "unsure") and "cannot be read" in rows[1]["error"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_two_users_at_once_get_their_own_verdict(open_page, sounds):
    one, other = open_page(), open_page()
    drop(one, sounds / "call.wav")
    drop(other, sounds / "two.ogg")
    wait_for(other, "two.ogg")
    wait_for(one, "call.wav")
    assert "0:20.0" in one.inner_text("#result") and "0:03.0" in other.inner_text("#result")


def test_two_users_with_the_same_file_both_get_a_verdict(open_page, sounds):
    pages = [open_page(), open_page()]
    for page in pages:
        drop(page, sounds / "call.wav")
    for page in pages:
        wait_for(page, "call.wav")
        assert page.locator("#result .verdict.failed").count() == 0


def test_a_name_is_never_code(open_page, sounds):
    page = open_page()
    drop(page, sounds / "{{7}}${7}<img src=x onerror=document.title=1>.wav")
    wait_for(page, "onerror")
    assert page.title() == "Deepfake speech detection" and page.locator("#result img[onerror]").count() == 0


def test_a_recording_from_the_microphone_is_judged(open_page):
    page = open_page()
    page.click("button:has-text('Record')")
    page.wait_for_timeout(1500)
    page.click("button:has-text('Stop')")
    wait_for(page, "audio")
    assert page.locator("#result .verdict").count() == 1


@pytest.mark.slow
def test_a_recording_of_half_an_hour_is_judged(browser, tmp_path, model, encode_audio):
    server = Server(tmp_path, model)
    bursts = (np.arange(16000 * 60) // 8000 % 2) * np.random.default_rng(1).standard_normal(16000 * 60)
    encode_audio(tmp_path / "long.m4a", np.tile(0.1 * bursts, 30), 16000, "aac", "ipod")
    page = browser.new_page()
    page.goto(server.address)
    page.wait_for_selector("input[type=file]", state="attached")
    drop(page, tmp_path / "long.m4a")
    wait_for(page, "long.m4a", 300_000)
    text = page.inner_text("#result")
    assert "30:00.0" in text and "899 windows" in text
    track = page.locator(".track")
    track.click(position={"x": 0.5 * track.bounding_box()["width"], "y": 20})
    page.wait_for_function("document.querySelector('#result audio').currentTime >= 890")
    page.close()
    assert server.stop() == 0
