"""The page of ``antideepfake serve`` used by several clients, relative to ``antideepfake score`` on the same files.

Half of the clients use the page as a browser does, half use its API.
"""

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.inputs import Inputs
from benchmarks.measure import Measurement, antideepfake, call
from benchmarks.scoring import CLIPS

if TYPE_CHECKING:
    import subprocess

    import httpx

CLIENTS = 8


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurement: all clips, judged once, with the start of the server."""
    count = inputs.count(CLIPS, 2)
    clips = inputs.clips(count, "2-6")
    output = inputs.folder / "scores_page.csv"
    plain = antideepfake("score", inputs.model, clips, "--output", output, "--overwrite", "--device", "cpu", "--quiet")
    return [Measurement(f"page, {CLIENTS} clients", count, "clips", plain, call(use_server, inputs.model, clips))]


def start_server(model: str) -> "tuple[subprocess.Popen, str]":
    """Start a server; return its process and address."""
    import socket
    import subprocess

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--port", port, "--device", "cpu", "--max_waiting", CLIENTS)
    process = subprocess.Popen(antideepfake("serve", model, *options), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    if not process.stdout.readline():
        raise RuntimeError(f"the server did not start with {model}")
    return process, f"http://127.0.0.1:{port}"


def use_api(client: "httpx.Client", file: dict[str, Any]) -> bool:
    """Judge an upload through the API; return whether it was judged."""
    event = client.post("call/score", json={"data": [file]}).json()["event_id"]
    return '"verdict"' in client.get(f"call/score/{event}").text


def use_page(client: "httpx.Client", file: dict[str, Any], function: int) -> bool:
    """Judge an upload as the page in a browser does; return whether it was judged."""
    import secrets

    session = secrets.token_hex(6)
    body = {"data": [[file]], "fn_index": function, "session_hash": session}
    client.post("queue/join", json=body).raise_for_status()
    with client.stream("GET", "queue/data", params={"session_hash": session}) as answer:
        for line in answer.iter_lines():
            if '"process_completed"' in line:
                return bool(json.loads(line.removeprefix("data:"))["success"])
    return False


def use_server(model: str, clips: str) -> None:
    """Start a server, and let the clients upload all clips of a folder and wait for the results."""
    import httpx

    waiting = sorted(Path(clips).iterdir())
    judged: list[bool] = []

    def run_client(number: int) -> None:
        with httpx.Client(base_url=f"{address}/gradio_api/", timeout=600) as client:
            while True:
                try:
                    path = waiting.pop()
                except IndexError:
                    return
                with path.open("rb") as content:
                    (uploaded,) = client.post("upload", files={"files": content}).json()
                file = {"path": uploaded, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}
                judged.append(use_page(client, file, function) if number % 2 else use_api(client, file))

    count = len(waiting)
    process, address = start_server(model)
    try:
        dependencies = httpx.get(f"{address}/config").json()["dependencies"]
        function = next(row["id"] for row in dependencies if any(event == "upload" for _, event in row["targets"]))
        clients = [threading.Thread(target=run_client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    finally:
        process.terminate()
        process.wait(60)
    if sum(judged) < count:
        raise RuntimeError(f"{count - sum(judged)} of {count} clips were not judged")
