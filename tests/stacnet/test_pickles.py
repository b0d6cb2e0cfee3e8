"""Pickled batches are read without executing them, whatever protocol wrote them."""

import os

import numpy as np
import pytest
from official_data import dump, nested

from stacnet.data.pickles import read_pickle


# 2000 rows are left on disk; protocol 2 writes so many bytes as text, which no official file does.
@pytest.mark.parametrize(
    ("protocol", "num"), [(2, 3), (3, 3), (4, 3), (5, 3), (3, 2000), (4, 2000), (5, 2000)]
)
def test_every_pickle_protocol_gives_the_same_arrays(tmp_path, protocol, num):
    data = np.random.default_rng(0).integers(0, 256, (num, 768), dtype=np.uint8)
    dump(tmp_path / "batch", {"data": data}, protocol=protocol)
    stored = read_pickle(tmp_path / "batch")["data"].array
    np.testing.assert_array_equal(stored.rows(1, 3), data[1:3])


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'touch {}'\ntR.",
        b'cbuiltins\neval\n(S\'open("{}", "w")\'\ntR.',
        b"cnumpy\nload\n(S'{}'\ntR.",
        b"(S'touch {}'\nios\nsystem\n.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x07touch {}\x85R.",
    ],
)
def test_hand_written_exploits_execute_nothing(tmp_path, code):
    (tmp_path / "batch").write_bytes(code.replace(b"{}", b"owned"))
    with pytest.raises(ValueError, match="refused"):
        read_pickle(tmp_path / "batch")
    assert os.listdir(tmp_path) == ["batch"]


def test_arrays_of_objects_are_refused(tmp_path):
    dump(tmp_path / "batch", {"data": np.array([{}, {}], dtype=object)})
    with pytest.raises(ValueError, match="refused: an array of type O8"):
        read_pickle(tmp_path / "batch")


def test_a_truncated_large_batch_is_named(tmp_path):
    dump(tmp_path / "batch", {"data": np.zeros((2000, 768), np.uint8)})
    (tmp_path / "batch").write_bytes((tmp_path / "batch").read_bytes()[: 1 << 20])
    with pytest.raises(ValueError, match="batch: truncated"):
        read_pickle(tmp_path / "batch")


ARRAY = b"cnumpy\nndarray\n)\x81"


@pytest.mark.parametrize(
    "code",
    [
        b"}" + nested() + b"K\x01s.",  # a key
        b"}(" + nested() + b"K\x01u.",
        b"(" + nested() + b"K\x01d.",
        b"\x8f(" + nested() + b"\x90.",  # a member of a set
        b"(" + nested() + b"\x91.",
        b"cnumpy\ndtype\n(" + nested() + b"tR.",  # the name of a type
        ARRAY + b"(K\x01" + nested() + b"cnumpy\ndtype\n(S'u1'\ntR\x89C\x00tb.",  # a shape
        ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\n(S'u1'\ntR\x89" + nested() + b"tb.",  # bytes
        b"c_codecs\nencode\n(" + nested() + b"S'latin1'\ntR.",
    ],
)
def test_a_pickle_that_would_take_for_ever_is_refused_at_once(tmp_path, code):
    (tmp_path / "batch").write_bytes(b"\x80\x04" + code)
    with pytest.raises(ValueError, match=r"batch: .{1,300}$"):
        read_pickle(tmp_path / "batch")


def test_a_text_that_is_decoded_again_and_again_is_refused(tmp_path):
    again = b"c_codecs\nencode\n(h\x00S'latin1'\ntR0"
    code = b"X" + (100_000).to_bytes(4, "little") + b"x" * 100_000 + b"q\x00" + again * 1000 + b"."
    (tmp_path / "batch").write_bytes(b"\x80\x02" + code)
    with pytest.raises(ValueError, match="refused: a text is decoded again and again"):
        read_pickle(tmp_path / "batch")
