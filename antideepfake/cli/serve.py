"""Open a page for people with a recording, and an API for programs.

The page takes recordings from a browser, judges them with MODEL and shows the verdict, the score among those of the
validation set, and where the recording is suspicious. Nothing leaves this computer, and uploads are deleted.

Only this computer can open the page. With another --host, others can too, and --auth is required; name and password are
best given in the environment variable ANTIDEEPFAKE_AUTH, as other users of this computer can read command lines. The
connection is not encrypted: put a reverse proxy with HTTPS in front of it in an untrusted network.
"""

import argparse
import os
import signal
import threading
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from antideepfake.cli import options
from antideepfake.errors import InputError

AUTH = "ANTIDEEPFAKE_AUTH"
EXAMPLE = "serve recipes/MiniCorpus/results/small/model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder, Hub id, or ONNX file of convert")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this computer)")
    parser.add_argument("--port", type=options.whole_number, default=7860, help="TCP port (default: 7860)")
    parser.add_argument(
        "--auth", metavar="USER:PASSWORD", help=f"name and password to ask for (default: ${AUTH}, if it is set)"
    )
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max_megabytes", type=options.positive_number, default=200, help="size of a file (default: 200)"
    )
    group.add_argument(
        "--max_minutes", type=options.positive_number, default=60, help="length of a recording (default: 60)"
    )
    group.add_argument(
        "--max_files", type=options.positive_number, default=20, help="recordings dropped together (default: 20)"
    )
    group.add_argument(
        "--max_waiting",
        type=options.positive_number,
        default=16,
        help="requests that wait for their turn; more are refused (default: 16)",
    )
    options.add_scoring(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM."""
    auth = read_auth(args.auth if args.auth is not None else os.environ.get(AUTH))
    check_host(args.host, auth is not None)
    stop = threading.Event()
    with TemporaryDirectory(prefix="antideepfake-") as uploads:
        # gradio reads both when it is imported
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": uploads}
        try:
            from antideepfake.page.app import KEPT_SECONDS, build_page, launch_page
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "gradio":
                raise
            raise InputError('the page needs gradio: pip install "speechbrain-antideepfake[web]"') from None
        from antideepfake.page.judge import Judge, Limits

        detector = options.load_model(args)
        limits = Limits(args.max_megabytes, args.max_minutes, args.max_files)
        documents = {} if args.detector else find_documents(Path(args.model))
        page = build_page(Judge(detector, limits, args.batch_seconds), documents, args.max_waiting)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            address = launch_page(page, args.host, args.port, auth, limits.megabytes, documents)
        except OSError:
            raise InputError(f"port {args.port} of {args.host} cannot be used; choose another --port") from None
        print(f"the page is at {address} (Ctrl-C ends it)", flush=True)
        while not stop.wait(60):
            remove_empty(Path(uploads), KEPT_SECONDS)
        page.close(verbose=False)
    return 0


def read_auth(text: str | None) -> tuple[str, str] | None:
    """Read name and password.

    Raises
    ------
    InputError
        When one of them is missing; the message does not repeat them.

    Example
    -------
    >>> read_auth("me:a:b"), read_auth(None)
    (('me', 'a:b'), None)
    """
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise InputError(f"--auth, or ${AUTH}, must be USER:PASSWORD")
    return user, password


def check_host(host: str, has_auth: bool) -> None:
    """Refuse to open the page to other computers without a password.

    Raises
    ------
    InputError
        When the address is not one of this computer alone.

    Example
    -------
    >>> check_host("127.0.0.1", False), check_host("0.0.0.0", True)
    (None, None)
    """
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not is_local and not has_auth:
        raise InputError(f"--host {host} opens the page to other computers; set a password with --auth or ${AUTH}")


def remove_empty(folder: Path, seconds: float) -> None:
    """Remove what gradio leaves of old uploads: an empty file for each, and its folder.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "upload").mkdir()
    >>> remove_empty(folder, -1)
    >>> list(folder.iterdir())
    []
    """
    for path in folder.iterdir():
        with suppress(OSError):  # in use, or removed by another thread
            if time.time() - path.stat().st_mtime > seconds:
                if path.is_dir():
                    path.rmdir()  # fails unless it is empty
                elif not path.stat().st_size:
                    path.unlink()


def find_documents(model: Path) -> dict[str, Path]:
    """Find the card and the report of a model folder, which training writes in or beside it.

    Example
    -------
    >>> find_documents(getfixture("tmp_path"))
    {}
    """
    places = {
        "Model card": [model / "README.md"],
        "Report of the evaluation": [model / "report" / "report.html", model.parent / "report" / "report.html"],
    }
    found = {title: next((path for path in paths if path.is_file()), None) for title, paths in places.items()}
    return {title: path.resolve() for title, path in found.items() if path}
