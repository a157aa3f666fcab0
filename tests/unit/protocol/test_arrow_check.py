"""The program that checks an Arrow file before another process maps it."""

import subprocess
import sys

import pyarrow as pa

from antideepfake.protocol import arrow_check


def _write(path, columns, metadata=arrow_check.MARK):
    table = pa.table(columns).replace_schema_metadata(metadata)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return str(path)


def _check(path):
    command = [sys.executable, arrow_check.__file__, path, "real,fake", "Duration"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout.strip()


def test_a_right_file_passes_and_a_wrong_one_is_named(tmp_path):
    label, duration = pa.array(["real"], pa.large_string()), pa.array([1.5])
    assert _check(_write(tmp_path / "a.arrow", {"Label": label, "Duration": duration})) == (0, "")
    status, said = _check(_write(tmp_path / "b.arrow", {"Label": label, "Duration": pa.array([None], pa.float64())}))
    assert status == 1 and said.startswith(", row 1: the Duration 'None' is invalid")


def test_types_that_no_protocol_has_are_refused(tmp_path):
    for values in (pa.array(["real"]).dictionary_encode(), pa.array([["real"]]), pa.array(["real"])):
        fault = arrow_check.find_fault(_write(tmp_path / "a.arrow", {"Label": values}), ["real"], [])
        assert "Label must contain text" in fault
