"""The Gradio page. Importing this module imports gradio."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from antideepfake.page.judge import Judge, describe_judgment
from antideepfake.page.show import show_detector, show_judgments

FOLDER = Path(__file__).parent
KEPT_SECONDS = 900  # how long gradio keeps an upload: more than the wait for a turn
KEPT_RESULTS = 8  # gradio keeps what each of so many visitors saw last in memory; nothing reads it
SYSTEM_FONTS = ["system-ui", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
WELCOME = """<header class="adf"><h1>Does a person speak, or a machine?</h1>
<p class="soft">Drop a recording or make one. The detector estimates whether the speech was generated, and where.
Up to {minutes:g} minutes and {megabytes:g} MB each; up to {files} at once.</p></header>"""
EMPTY = '<section class="adf"><p class="soft">The verdict appears here.</p></section>'


def refuse_addresses(component: Any) -> None:
    """Let an input take uploads only; by itself, gradio fetches an address that an API client names as its file."""
    fetch = component.async_move_resource_to_block_cache

    async def take_upload(path: str | Path | None) -> str | None:
        if "://" in str(path):
            raise gr.Error("give an uploaded file, not an address", print_exception=False)
        return await fetch(path)

    # no subclass, since gradio writes a .pyi beside the source of each
    component.async_move_resource_to_block_cache = take_upload


def build_page(judge: Judge, documents: Mapping[str, Path], max_waiting: int) -> gr.Blocks:
    """Build the page; :func:`launch_page` opens it.

    Arguments
    ---------
    judge : Judge
        Judges recordings, one at a time.
    documents : mapping of str to Path
        Title -> file that the page links to, such as the card of the model.
    max_waiting : int
        Requests that may wait for their turn; more are refused.

    Returns
    -------
    gradio.Blocks
        With an endpoint for programs, ``/score``, which takes a file and returns
        :func:`antideepfake.page.judge.describe_judgment`.
    """
    metadata = judge.detector.metadata
    limits = judge.limits

    def judge_files(paths: Sequence[str] | None, progress: gr.Progress = gr.Progress()) -> tuple[str, None]:  # noqa: B008
        if not paths:
            return EMPTY, None
        if len(paths) > limits.files:
            raise gr.Error(f"{len(paths)} files; drop up to {limits.files} at once", print_exception=False)
        judgments = []
        for index, path in enumerate(paths):
            progress((index, len(paths)), unit="recordings")
            judgments.append(judge.judge(path))
        return show_judgments(judgments, metadata), None

    def judge_recording(path: str | None) -> str:
        return show_judgments([judge.judge(path)], metadata) if path else EMPTY

    def score(file: str) -> dict[str, Any]:
        """Judge a recording."""
        return describe_judgment(judge.judge(file))

    # one model: all events share a queue of one place
    turn: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
    with gr.Blocks(title="Deepfake speech detection", analytics_enabled=False, delete_cache=(60, KEPT_SECONDS)) as page:
        gr.HTML(WELCOME.format(**vars(limits)), apply_default_css=False)
        with gr.Row(equal_height=True):
            files = gr.File(
                file_count="multiple", label="Recordings: drop files, or choose them", height=180, min_width=300
            )
            microphone = gr.Audio(
                sources=["microphone"],
                type="filepath",
                label="Or record one",
                editable=False,
                min_width=300,
                buttons=[],  # by default one of them sends the recording to the Hub
            )
        result = gr.HTML(EMPTY, apply_default_css=False, elem_id="result", min_height=120)
        gr.HTML(show_detector(metadata, judge.detector.ood_detector is not None, documents), apply_default_css=False)
        private: dict[str, Any] = {"api_visibility": "private", "show_progress_on": result} | turn
        files.upload(judge_files, files, [result, files], **private)
        microphone.input(judge_recording, microphone, result, **private)
        with gr.Row(visible=False):
            upload, answer = gr.File(label="file"), gr.JSON(label="result")
            gr.Button().click(score, upload, answer, api_name="score", **turn)
    for component in (files, microphone, upload):
        refuse_addresses(component)
    return page.queue(max_size=max_waiting)


def launch_page(
    page: gr.Blocks,
    host: str,
    port: int,
    auth: tuple[str, str] | None,
    max_megabytes: float,
    documents: Mapping[str, Path],
) -> str:
    """Serve the page from threads of this process.

    Arguments
    ---------
    page : gradio.Blocks
        As :func:`build_page` returns it; its ``close`` ends the server and deletes all uploads.
    host : str
        Address to listen on.
    port : int
        TCP port.
    auth : pair of str, optional
        Name and password that the page asks for.
    max_megabytes : float
        Size at which an upload is refused while it arrives.
    documents : mapping of str to Path
        Files that may be downloaded.

    Returns
    -------
    str
        The address for a browser.

    Raises
    ------
    OSError
        When the port is taken.
    """
    theme = gr.themes.Base(font=SYSTEM_FONTS, font_mono=["ui-monospace", "monospace"])  # none from a server
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        auth=auth,
        max_file_size=round(max_megabytes * 1e6),
        allowed_paths=[str(path) for path in documents.values()],
        theme=theme,
        css_paths=[FOLDER / "page.css"],
        js=(FOLDER / "page.js").read_text(encoding="utf-8"),
        state_session_capacity=KEPT_RESULTS,
        footer_links=[],
        share=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    return address
