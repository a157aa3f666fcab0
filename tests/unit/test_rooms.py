"""The order of the library's rooms: no lower one knows a higher one."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[2] / "antideepfake"
ORDER = [
    "deprecated",
    "errors",
    "resources",
    "files",
    "seeds",
    "distributed",
    "parallel",
    "audio",
    "metrics",
    "protocol",
    "corpora",
    "audit",
    "dataio",
    "augment",
    "lobes",
    "model_folder",
    "checkpoints",
    "inference",
    "scoring",
    "evaluation",
    "training",
    "exports",
    "page",
    "cli",
]


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("antideepfake."):
            yield node.module.split(".")[1]


def test_every_room_is_in_the_order():
    rooms = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_no_room_imports_a_higher_one(room):
    files = [LIBRARY / f"{room}.py"] if (LIBRARY / f"{room}.py").exists() else list((LIBRARY / room).rglob("*.py"))
    higher = ORDER[ORDER.index(room) + 1 :]
    wrong = [(file.name, other) for file in files for other in imported_rooms(file) if other in higher]
    assert not wrong


def test_evaluation_and_model_folders_start_without_torch():
    rooms = [
        "audio",
        "metrics",
        "protocol",
        "corpora.build",
        "corpora.shards",
        "corpora.union",
        "audit",
        "model_folder",
        "inference",
        "scoring",
        "evaluation",
    ]
    code = (
        "import sys\n"
        + "\n".join(f"import antideepfake.{room}" for room in rooms)
        + "\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_metrics_need_numpy_and_scipy_alone():
    code = "import sys, antideepfake.metrics\nassert not {'pandas', 'torch', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
