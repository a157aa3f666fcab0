"""Run commands in turn, each in a process of its own, and measure their time and memory."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tqdm import tqdm

from antideepfake.errors import InputError

CLOCK = "ANTIDEEPFAKE_BENCHMARK_CLOCK"  # environment variable: file in which start_clock writes
CALL = "import importlib, sys; getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(*sys.argv[3:])"
PATH = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]  # of this package and of the library
MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss

Command = tuple[str, ...]


class Measurement(NamedTuple):
    """A task that two commands do: the plain way, and with this package.

    ``compare`` is called at the end and returns the largest difference between the results of the two.
    """

    name: str
    work: float
    unit: str
    plain: Command
    own: Command
    compare: Callable[[], float] | None = None


class Run(NamedTuple):
    """A run of a command: wall and processor time in seconds, peak memory in bytes, load average."""

    wall: float
    processor: float
    memory: float
    load: float


class Result(NamedTuple):
    """Medians of both commands of a measurement."""

    subject: str
    name: str
    work: float
    unit: str
    cores: int
    plain: Run
    own: Run
    difference: float | None

    @property
    def ratio(self) -> float:
        """Wall time relative to the plain command."""
        return self.own.wall / self.plain.wall

    @property
    def processor_ratio(self) -> float:
        """Processor time relative to the plain command."""
        return self.own.processor / self.plain.processor


def call(function: Callable[..., Any], *arguments: object) -> Command:
    """Return the command that calls a function of a module in a new process, with its arguments as text."""
    return (sys.executable, "-c", CALL, function.__module__, function.__name__, *map(str, arguments))


def antideepfake(*arguments: object) -> Command:
    """Return a command ``antideepfake VERB ...``."""
    return (sys.executable, "-m", "antideepfake", *map(str, arguments))


def processor_seconds() -> float:
    """Return the user and system time of this process and of those that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def start_clock() -> None:
    """Exclude from the measurement what this process did before: imports, loading a model, a first step."""
    if path := os.environ.get(CLOCK):
        Path(path).write_text(f"{time.monotonic()} {processor_seconds()}")  # monotonic: one clock for all processes


def run(command: Command, folder: Path, cores: int = 1) -> Run:
    """Run a command that must succeed.

    The memory that the system reports for a new process is at least that of the process that started it. Therefore this
    one never imports torch or reads data; what prepares a measurement is run in processes of its own, too.

    Arguments
    ---------
    command : tuple of str
        Command and arguments.
    folder : Path
        For the log of the command.
    cores : int
        Number of threads for numerical libraries.

    Raises
    ------
    InputError
        If the command fails; the message contains the end of its log.
    """
    clock, log = folder / "clock", folder / "log"
    clock.unlink(missing_ok=True)
    path = os.pathsep.join([*PATH, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {CLOCK: str(clock), "OMP_NUM_THREADS": str(cores), "PYTHONPATH": path}
    with open(log, "w") as file:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:  # interrupted
                process.kill()
                process.wait()
        wall = time.monotonic() - start
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-20:]
        raise InputError(f"status {process.returncode} of {' '.join(command)}: {' | '.join(last)}")
    processor = usage.ru_utime + usage.ru_stime
    if clock.exists():
        started, used = map(float, clock.read_text().split())
        wall, processor = start + wall - started, processor - used
    return Run(wall, processor, usage.ru_maxrss * MAXRSS, os.getloadavg()[0])


def measure(
    subject: str, measurements: Sequence[Measurement], folder: Path, cores: int, rounds: int, quiet: bool
) -> Iterable[Result]:
    """Run the commands of all measurements in turn, once a round, and return the medians.

    A command that several measurements have in common runs once a round. Every other round is in reverse order, so that
    no command always profits from the one before.
    """
    runs: dict[Command, list[Run]] = {command: [] for item in measurements for command in (item.plain, item.own)}
    with tqdm(total=rounds * len(runs), desc=subject, unit="run", disable=quiet) as bar:
        for number in range(rounds):
            for command in list(runs)[:: -1 if number % 2 else 1]:
                runs[command].append(run(command, folder, cores))
                bar.update()
    medians = {command: Run(*map(median, zip(*found, strict=True))) for command, found in runs.items()}
    for item in measurements:
        difference = item.compare() if item.compare else None
        plain, own = medians[item.plain], medians[item.own]
        yield Result(subject, item.name, item.work, item.unit, cores, plain, own, difference)
