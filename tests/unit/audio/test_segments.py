"""Reading a file as segments of it."""

import io

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.segments import SegmentReader, skip_id3

CONTENT = bytes(range(100))
PIECE = st.one_of(st.binary(max_size=9), st.tuples(st.integers(0, 50), st.integers(50, 100)))


@given(st.lists(PIECE, max_size=5), st.integers(0, 300), st.integers(0, 300))
def test_segments_are_read_as_if_they_were_a_file(segments, start, size):
    whole = b"".join(segment if isinstance(segment, bytes) else CONTENT[slice(*segment)] for segment in segments)
    reader = SegmentReader(io.BytesIO(CONTENT), segments)
    assert reader.seek(0, io.SEEK_END) == len(whole)
    reader.seek(start)
    assert reader.read(size) == whole[start : start + size]
    assert reader.tell() == start + len(whole[start : start + size])


def test_tags_in_a_row_are_skipped():
    tag = b"ID3\4\0\0\0\0\0\5" + bytes(5)
    assert skip_id3(io.BytesIO(2 * tag + b"fLaC")) == 30
    assert skip_id3(io.BytesIO(b"ID")) == 0
