# Makes or reuses the virtual environment .venv of this checkout. Source it, then call: environment EXTRAS
environment() {
    local extras=$1
    local here
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    local stamp="$here/.venv/installed-$extras"
    if [ ! -x "$here/.venv/bin/python" ]; then
        echo "== making the virtual environment .venv"
        if ! "${PYTHON:-python3}" -m venv "$here/.venv"; then
            rm -rf "$here/.venv"
            echo "error: ${PYTHON:-python3} cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
            exit 2
        fi
    fi
    if [ ! -f "$stamp" ] || [ "$here/pyproject.toml" -nt "$stamp" ]; then
        echo "== installing antideepfake[$extras] (about 7 GB with PyTorch; a few minutes)"
        # pip's progress bar on a terminal, nothing in a log
        local quiet=--quiet
        if [ -t 1 ]; then quiet=--progress-bar=on; fi
        # --no-compile: pip compiles all modules, which takes a minute and a half; Python compiles those that it imports
        "$here/.venv/bin/python" -m pip install $quiet --disable-pip-version-check --no-compile --editable "$here[$extras]"
        touch "$stamp"
    else
        echo "== the virtual environment .venv is ready"
    fi
    export PATH="$here/.venv/bin:$PATH"
    unset PYTHONDONTWRITEBYTECODE  # what pip did not compile, every process would compile again
}
