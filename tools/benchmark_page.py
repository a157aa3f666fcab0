#!/usr/bin/env python
"""Measure the memory of the page of `antideepfake serve` while many clients use it.

The program starts a server with MODEL, and clients that upload recordings of 3 to 60 s and wait for the result, one
after the other without a pause: half of them as a browser does, half through the API. It prints the resident memory of
the server, the size of its uploads and the number of requests, minute by minute. Linux only.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import soundfile

from antideepfake.cli.program import run_program
from antideepfake.errors import InputError

LENGTHS = (3, 8, 20, 60)  # seconds of the recordings
SAMPLES = 6  # measurements a minute


def make_recordings(folder: Path, count: int) -> list[Path]:
    """Write recordings of different lengths and kinds: bursts of noise."""
    rng = np.random.default_rng(1234)
    paths = []
    for number in range(count):
        size = 16000 * LENGTHS[number % len(LENGTHS)]
        noise = 0.1 * rng.standard_normal(size) * (np.arange(size) // 4000 % 2)
        paths.append(folder / f"{number}.{('wav', 'flac', 'mp3', 'ogg')[number // len(LENGTHS) % 4]}")
        soundfile.write(paths[-1], noise, 16000)
    return paths


def start_server(model: str, folder: str, clients: int) -> tuple[subprocess.Popen, str]:
    """Start a server; gives its process and address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "antideepfake", "serve", model, "--port", port, "--device", "cpu"]
    command += ["--max_waiting", str(clients)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": folder})
    assert process.stdout
    if not process.stdout.readline():
        raise InputError(f"the server did not start with {model}")
    return process, f"http://127.0.0.1:{port}"


def read_memory(process: int) -> float:
    """Read the resident memory of a process in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise InputError(f"/proc/{process}/status: has no VmRSS")


def measure_folder(folder: str) -> float:
    """Measure the size of the files below a folder in MB."""
    total = 0
    for path in Path(folder).rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # deleted meanwhile
            continue
    return total / 1e6


def use_api(client: httpx.Client, file: dict[str, Any]) -> str:
    """Judge an upload through the API; gives the answer of the server."""
    event = client.post("call/score", json={"data": [file]}).json()["event_id"]
    return client.get(f"call/score/{event}").text


def use_page(client: httpx.Client, file: dict[str, Any], function: int) -> str:
    """Judge an upload as the page in a browser does; gives the answer of the server."""
    session = secrets.token_hex(6)
    body = {"data": [[file]], "fn_index": function, "session_hash": session}
    client.post("queue/join", json=body).raise_for_status()
    with client.stream("GET", "queue/data", params={"session_hash": session}) as answer:
        for line in answer.iter_lines():
            if '"process_completed"' in line:
                return line
    return ""


def run_client(address: str, number: int, paths: list[Path], stop: threading.Event, counts: Counter[str]) -> None:
    """Judge recordings until told to stop."""
    dependencies = httpx.get(f"{address}/config").json()["dependencies"]
    function = next(row["id"] for row in dependencies if any(event == "upload" for _, event in row["targets"]))
    with httpx.Client(base_url=f"{address}/gradio_api/", timeout=600) as client:
        turn = number
        while not stop.is_set():
            path = paths[turn % len(paths)]
            turn += 1
            try:
                with path.open("rb") as content:
                    (uploaded,) = client.post("upload", files={"files": content}).json()
                file = {"path": uploaded, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}
                answer = use_page(client, file, function) if number % 2 else use_api(client, file)
                expected = '"success":true' if number % 2 else '"verdict"'
                counts["judged" if expected in answer.replace('": ', '":') else "failed"] += 1
            except (httpx.HTTPError, json.JSONDecodeError):
                if not stop.is_set():
                    counts["failed"] += 1


def main() -> int:
    """Run the clients and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder")
    parser.add_argument("--clients", type=int, default=8, help="clients at the same time (default: 8)")
    parser.add_argument("--minutes", type=int, default=10, help="duration (default: 10)")
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    stop = threading.Event()
    with TemporaryDirectory() as folder, TemporaryDirectory() as uploads:
        paths = make_recordings(Path(folder), 16)
        process, address = start_server(args.model, uploads, args.clients)
        try:
            print(f"before the first request: {read_memory(process.pid):.0f} MB")
            print(f"{'minute':>6}{'judged':>8}{'failed':>8}{'memory, MB':>12}{'uploads, MB':>13}", flush=True)
            clients = [
                threading.Thread(target=run_client, args=(address, number, paths, stop, counts), daemon=True)
                for number in range(args.clients)
            ]
            for client in clients:
                client.start()
            minutes = []
            for minute in range(1, args.minutes + 1):
                samples = []
                for _ in range(SAMPLES):
                    time.sleep(60 / SAMPLES)
                    samples.append(read_memory(process.pid))
                minutes.append(median(samples))
                print(
                    f"{minute:>6}{counts['judged']:>8}{counts['failed']:>8}{minutes[-1]:>12.0f}"
                    f"{measure_folder(uploads):>13.1f}",
                    flush=True,
                )
            stop.set()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    if len(minutes) >= 4:
        early, late = median(minutes[1:3]), median(minutes[-2:])
        print(f"minutes 2 and 3: {early:.0f} MB; last two: {late:.0f} MB ({late - early:+.0f} MB)")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    run_program(main)
