"""Debian packages without root: fetched with apt, unpacked into a folder, their programs run from there.

Nothing is installed and nothing outside the folder is written. apt checks the hash of every package that it fetches.
"""

import logging
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from tqdm import tqdm

from antideepfake.errors import InputError
from antideepfake.files import atomic_path

logger = logging.getLogger(__name__)

GROUP = 6  # packages that apt fetches in one run
PICTURES = (".png", ".svg", ".mpg")


class MissingPackageError(RuntimeError):
    """A package that apt does not know or could not fetch."""


def fetch(packages: list[str], root: Path, dependencies: bool = False, quiet: bool = False) -> None:
    """Fetch Debian packages and unpack them below one folder.

    A package that was unpacked there before is not fetched again. The archives are removed once unpacked. apt takes
    longer to start than to fetch a small package, so it fetches several at a time.

    Arguments
    ---------
    packages : list of str
        Names of Debian packages.
    root : Path
        Folder that gets their files (``root/usr/bin``, ...).
    dependencies : bool
        Whether to fetch what they depend on too, where this machine does not have it installed. Data packages need
        nothing, so the default is not to ask.
    quiet : bool
        Whether to leave out the progress bar.

    Raises
    ------
    InputError
        This machine has no apt.
    MissingPackageError
        A package is unknown to apt, or could not be fetched.
    """
    stamps = root / ".unpacked"
    if all((stamps / package).exists() for package in packages):
        return
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise InputError(f"{program} is not on this machine; MiniCorpus is made from Debian packages, so run it on"
                             " Debian 12 or later, or in a container of it")  # fmt: skip
    wanted = [*packages, *(_missing_dependencies(packages, root) if dependencies else [])]
    wanted = [package for package in dict.fromkeys(wanted) if not (stamps / package).exists()]
    with tqdm(total=len(wanted), desc="fetching Debian packages", unit="package", disable=quiet) as progress:
        for start in range(0, len(wanted), GROUP):
            group = wanted[start : start + GROUP]
            _fetch_group(group, root)
            for package in group:
                with atomic_path(stamps / package) as stamp:
                    stamp.touch()
            progress.update(len(group))


def fetch_npm(package: str, root: Path) -> None:
    """Fetch a package of npm, and unpack it below ``root/npm``. Nothing in it is run; npm checks its hash.

    Arguments
    ---------
    package : str
        Name and version, as ``name@1.2.3``.
    root : Path
        As given to :func:`fetch`.

    Raises
    ------
    MissingPackageError
        This machine has no npm, or npm could not fetch the package.
    """
    folder = root / "npm" / package.split("@")[0]
    if folder.exists():
        return
    if not shutil.which("npm"):
        raise MissingPackageError(f"{package}: npm is not on this machine")
    downloads = root / ".downloads" / package
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=downloads, capture_output=True, text=True)
    if done.returncode != 0:
        raise MissingPackageError(f"npm could not fetch {package}: {done.stderr.strip()[-200:]}")
    with tarfile.open(next(downloads.glob("*.tgz"))) as archive:
        archive.extractall(downloads, filter="data")
    folder.parent.mkdir(exist_ok=True)
    (downloads / "package").replace(folder)
    shutil.rmtree(downloads)


def program_environment(root: Path) -> dict[str, str]:
    """Environment in which programs unpacked below ``root`` find their libraries and data.

    Arguments
    ---------
    root : Path
        Folder given to :func:`fetch`.

    Returns
    -------
    dict
        A copy of this process's environment with ``PATH``, ``LD_LIBRARY_PATH`` and ``ESPEAK_DATA_PATH`` led by
        ``root``.
    """
    libraries = sorted((root / "usr/lib").glob("*-linux-gnu*"))
    # libpulse keeps a private library in a folder of its own, which its package names by an absolute path.
    folders = [*libraries, *(folder / "pulseaudio" for folder in libraries)]
    environment = dict(os.environ, PATH=f"{root / 'usr/bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, folders))
    if libraries:
        environment["ESPEAK_DATA_PATH"] = str(libraries[0])
    return environment


def _missing_dependencies(packages: list[str], root: Path) -> list[str]:
    """Packages that apt would install for ``packages``: itself the one who knows what this machine lacks."""
    simulation = _apt(root, "--simulate", "--no-install-recommends", "install", *packages)
    return [line.split()[1] for line in simulation.stdout.splitlines() if line.startswith("Inst ")]


def _fetch_group(packages: list[str], root: Path) -> None:
    downloads = root / ".downloads/debian"
    shutil.rmtree(downloads, ignore_errors=True)  # what an interrupted run left
    downloads.mkdir(parents=True)
    _apt(root, "download", *packages, folder=downloads)
    for archive in downloads.glob("*.deb"):
        # A process killed here unpacks the same files again next time: the stamps are written only afterwards.
        _unpack(archive, root)
        archive.unlink()
    shutil.rmtree(downloads)


def _unpack(archive: Path, root: Path) -> None:
    """Unpack a package without its pictures: those of the games take a hundred megabytes."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as package:
        without = [f"--exclude=*{suffix}" for suffix in PICTURES]
        subprocess.run(["tar", "-x", "-C", root, *without], stdin=package.stdout, check=True, capture_output=True)
    if package.returncode:
        raise subprocess.CalledProcessError(package.returncode, package.args)


def _apt(root: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess:
    """Run apt-get. Where it fails, fetch package lists of our own, which needs no root, and try once more with these.

    The lists of the machine may be missing (as in most containers) or old, and apt's fetchers die now and then.
    """
    lists = root / ".apt"
    # As root apt would fetch as the user _apt, who may not write to our folder.
    common = ["apt-get", "-q", *(["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else [])]
    settings = {
        "Dir::State": lists / "state",
        "Dir::State::lists": lists / "state/lists",
        "Dir::State::status": "/var/lib/dpkg/status",  # what is installed is still the machine's to say
        "Dir::Cache": lists / "cache",
        "Debug::NoLocking": "1",
    }
    ours = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def run(*command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))

    done = run(*common, *(ours if lists.exists() else []), *arguments)
    if done.returncode != 0:
        logger.info("apt-get failed; fetching package lists into %s and trying again", lists)
        (lists / "state/lists/partial").mkdir(parents=True, exist_ok=True)
        (lists / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        run(*common, *ours, "update")
        done = run(*common, *ours, *arguments)
    if done.returncode != 0:
        errors = [line[3:] for line in done.stderr.splitlines() if line.startswith("E: ")]
        raise MissingPackageError(errors[-1] if errors else "apt-get failed")
    return done
