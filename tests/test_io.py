"""Files: written whole or not at all; a damaged or hostile one is refused by name (F20, F21)."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

import rot180
from rot180.io import (
    LARGEST_HEADER,
    atomic_write,
    load_weights,
    open_tensors,
    read_metadata,
    save_weights,
    write_tensors,
)


def small_model(fill=None, dtype=np.float32):
    model = rot180.Sequential(
        [
            rot180.Conv2d(1, 2, 3, dtype=dtype),
            rot180.Flatten(),
            rot180.Linear(8, 3, dtype=dtype),
        ]
    )
    if fill is not None:
        for parameter in model.parameters():
            parameter.value[...] = fill
    return model


def values(model):
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters()])


@pytest.fixture
def saved(tmp_path):
    """A weights file and the model that it was saved from."""
    model = small_model()
    path = tmp_path / "weights.safetensors"
    save_weights(path, model, {"model": "small", "zoo": "é", "a": '"\\\n'})
    return path, model


def write_file(path, header, data=b""):
    """A safetensors file with any header, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def file_parts(path):
    """The header of a safetensors file as a dict, and its tensors' bytes."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def assert_refused(path, *words):
    """Loading says which file and what is wrong, in one line, and changes nothing."""
    model = small_model(7)
    with pytest.raises(ValueError) as caught:
        load_weights(path, model)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in words:
        assert word in message
    assert (values(model) == 7).all()


class TestAtomicWrite:
    def test_writes_bytes_and_text(self, tmp_path):
        with atomic_write(tmp_path / "a") as file:
            file.write(b"\x00\n")
        with atomic_write(str(tmp_path / "b"), "w") as file:
            file.write("é\n")
        assert (tmp_path / "a").read_bytes() == b"\x00\n"
        assert (tmp_path / "b").read_bytes() == "é\n".encode()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]

    def test_nothing_under_the_name_before_the_end(self, tmp_path):
        path = tmp_path / "a"
        path.write_text("old")
        with atomic_write(path, "w") as file:
            file.write("new")
            file.flush()
            assert path.read_text() == "old"
        assert path.read_text() == "new"

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, MemoryError])
    @pytest.mark.parametrize("existing", [False, True])
    def test_an_exception_leaves_all_as_it_was(self, tmp_path, error, existing):
        path = tmp_path / "a"
        if existing:
            path.write_text("old")

        def write():
            with atomic_write(path) as file:
                file.write(b"half")
                raise error

        with pytest.raises(error):
            write()
        assert [p.read_text() for p in tmp_path.iterdir()] == ["old"] * existing

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_a_full_disk_leaves_all_as_it_was(self, tmp_path, monkeypatch, call):
        path = tmp_path / "a"
        path.write_text("old")

        def fail(*arguments):
            raise OSError(errno.ENOSPC, "No space left on device")

        if call == "fsync":
            monkeypatch.setattr(os, "fsync", fail)
        else:
            monkeypatch.setattr("pathlib.Path.replace", fail)
        with pytest.raises(OSError, match="No space left"), atomic_write(path) as file:
            file.write(b"new")
        assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]

    def test_permissions_follow_the_umask_or_the_file_before(self, tmp_path):
        before = os.umask(0o027)
        try:
            with atomic_write(tmp_path / "new"):
                pass
        finally:
            os.umask(before)
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o600)
        with atomic_write(tmp_path / "old"):
            pass
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
        assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600

    def test_a_link_stays_a_link(self, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "real").write_text("old")
        (tmp_path / "link").symlink_to("folder/real")
        with atomic_write(tmp_path / "link", "w") as file:
            file.write("new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "real").read_text() == "new"

    def test_a_missing_folder_is_named(self, tmp_path):
        with (
            pytest.raises(FileNotFoundError, match="nowhere"),
            atomic_write(tmp_path / "nowhere" / "a"),
        ):
            pass

    def test_a_folder_or_a_device_is_never_replaced(self, tmp_path):
        with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
            pass
        with pytest.raises(OSError, match="not a regular file"), atomic_write(os.devnull):
            pass
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="not a regular file"), atomic_write(tmp_path / "pipe"):
            pass
        assert stat.S_ISCHR(os.stat(os.devnull).st_mode)  # noqa: PTH116

    def test_other_modes_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="mode"), atomic_write(tmp_path / "a", "a"):
            pass


class TestSaveAndLoad:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_comes_back_bit_for_bit(self, tmp_path, dtype):
        model, other = small_model(dtype=dtype), small_model(dtype=dtype)
        model[0].bias.value[...] = [np.nan, -0.0]
        save_weights(tmp_path / "w", model)
        load_weights(tmp_path / "w", other)
        assert values(other).tobytes() == values(model).tobytes()

    def test_parameters_keep_their_identity(self, saved):
        model = small_model(7)
        before = [parameter.value for parameter in model.parameters()]
        load_weights(saved[0], model)
        assert all(a is p.value for a, p in zip(before, model.parameters(), strict=True))

    def test_metadata(self, saved):
        assert read_metadata(saved[0]) == {
            "format": "rot180 weights, version 1",
            "rot180_version": rot180.__version__,
            "model": "small",
            "zoo": "é",
            "a": '"\\\n',
        }

    def test_a_file_from_elsewhere_has_no_metadata(self, tmp_path):
        safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "w")
        assert read_metadata(tmp_path / "w") == {}

    def test_other_programs_read_the_file(self, saved):
        path, model = saved
        tensors = safetensors.numpy.load_file(path)
        assert set(tensors) == {"0.weight", "0.bias", "2.weight", "2.bias"}
        for name, parameter in model.named_parameters().items():
            np.testing.assert_array_equal(tensors[name], parameter.value)

    def test_the_same_bytes_in_every_process(self, tmp_path):
        script = (
            "import sys, rot180; rot180.io.save_weights(sys.argv[1], "
            "rot180.Sequential([rot180.Linear(2, 2, initializer=rot180.init.he_normal, "
            "rng=__import__('numpy').random.default_rng(0))]), {c: c for c in 'abcdefgh'})"
        )
        for name in ("a", "b"):
            subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=True)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    @pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": None}])
    def test_metadata_must_be_strings(self, tmp_path, metadata):
        with pytest.raises(TypeError, match="metadata"):
            save_weights(tmp_path / "w", small_model(), metadata)
        assert list(tmp_path.iterdir()) == []

    def test_buffers_are_kept_with_the_weights(self, tmp_path):
        models = [
            rot180.Sequential([rot180.Conv2d(1, 2, 1), rot180.BatchNorm2d(2)]) for _ in range(2)
        ]
        models[0].forward(np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype("f"), True)
        save_weights(tmp_path / "w", models[0])
        buffers = models[1].named_buffers()
        load_weights(tmp_path / "w", models[1])
        assert list(buffers) == ["1.running_mean", "1.running_var"]
        for name, array in models[0].named_buffers().items():
            assert array.any()
            assert array.tobytes() == models[1].named_buffers()[name].tobytes()
            assert buffers[name] is models[1].named_buffers()[name]

    def test_arrays_of_every_kind(self, tmp_path):
        kinds = "?BHIQbhilefd"
        arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds} | {
            "reversed": np.arange(6.0)[::-2],
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "big-endian": np.arange(3).astype(">f4"),
            "none": np.zeros((0, 3)),
            "one": np.array(7),
        }
        write_tensors(tmp_path / "w", arrays, {})
        theirs = safetensors.numpy.load_file(tmp_path / "w")
        with open_tensors(tmp_path / "w") as file:
            assert file.entries.keys() == theirs.keys() == arrays.keys()
            for name, array in arrays.items():
                for back in (file.read(name), theirs[name]):
                    assert np.array_equal(back, array)
                    assert (back.shape, back.dtype) == (array.shape, array.dtype.newbyteorder("="))

    def test_missing_safetensors_says_what_to_install(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
        monkeypatch.delattr(safetensors, "numpy")
        with pytest.raises(ImportError, match=r'pip install "rot180\[train\]"'):
            save_weights(tmp_path / "w", small_model())


class TestBadFiles:
    def test_a_missing_file_is_named(self, tmp_path):
        for read in (read_metadata, lambda path: load_weights(path, small_model())):
            with pytest.raises(FileNotFoundError, match="nowhere"):
                read(tmp_path / "nowhere")

    def test_what_is_not_a_file(self, tmp_path):
        assert_refused(tmp_path, "is a folder")
        os.mkfifo(tmp_path / "pipe")
        assert_refused(tmp_path / "pipe", "not a regular file")

    @pytest.mark.parametrize("data", [b"", b"abc", b"PK\x03\x04" * 100, b"text\n" * 99, bytes(99)])
    def test_other_files(self, tmp_path, data):
        path = tmp_path / "w"
        path.write_bytes(data)
        assert_refused(path, "safetensors")

    def test_truncated_anywhere(self, saved, tmp_path):
        data = saved[0].read_bytes()
        path = tmp_path / "cut"
        for length in range(0, len(data), 5):
            path.write_bytes(data[:length])
            assert_refused(path)

    def test_bytes_after_the_end(self, saved):
        path = saved[0]
        path.write_bytes(path.read_bytes() + b"\x00")
        assert_refused(path, "damaged")

    @pytest.mark.parametrize("length", [2**20 + 1, 100_000_000, 2**40, 2**63, 2**64 - 1])
    def test_a_huge_header_is_neither_read_nor_allocated(self, tmp_path, length):
        path = tmp_path / "w"
        path.write_bytes(length.to_bytes(8, "little") + b'{"a":')
        assert_refused(path, str(length))
        if length <= 100_000_000:
            with path.open("r+b") as file:  # as long as it says, with a hole in it
                file.truncate(8 + length)
            assert_refused(path, str(length), str(LARGEST_HEADER))

    def test_flipped_bits_in_the_header(self, saved, tmp_path):
        data = saved[0].read_bytes()
        header_end = 8 + int.from_bytes(data[:8], "little")
        expected = values(saved[1])
        rng = np.random.default_rng(0)
        path = tmp_path / "flipped"
        refused = 0
        for position in range(header_end):
            damaged = bytearray(data)
            damaged[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            model = small_model()
            try:
                load_weights(path, model)
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
                refused += 1
            else:  # only the metadata or the white space differ
                np.testing.assert_array_equal(values(model), expected)
        assert refused > header_end / 3

    @pytest.mark.parametrize(
        "header",
        [
            b"[]",
            b"null",
            b"{",
            b"\xff\xfe{}",
            b"[" * 100_000,
            {"a": 1},
            {"a": {"dtype": "F32"}},
            {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**64]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2**63, 2**63 + 4]}},
            {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [2**31, 0], "data_offsets": [0, 0]}},
            {"a": {"dtype": "F32", "shape": [1] * 33, "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "run": "this"}},
            {"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}},
            {"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}},
            {"a": {"dtype": "pickle", "shape": [1], "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [2**62, 2**62, 0], "data_offsets": [0, 0]}},
            {"a": {"dtype": "F32", "shape": [2**70], "data_offsets": [0, 2**72]}},
            {"a": {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": {"0": 0, "1": 4}}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [False, 4]}},
            b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, ' + b"4" * 5000 + b"]}}",
            {"__metadata__": [], "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
            {"__metadata__": {"a": 1}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
        ],
    )
    def test_hostile_headers(self, tmp_path, header):
        assert_refused(write_file(tmp_path / "w", header, bytes(4)))

    def test_a_name_that_stands_twice(self, saved):
        header, data = file_parts(saved[0])
        text = json.dumps(header)
        twice = text[:-1] + ', "2.bias": ' + json.dumps(header["2.bias"]) + "}"
        assert_refused(write_file(saved[0], twice.encode(), data), "a name stands twice")

    def test_a_gap_between_arrays(self, saved):
        header, data = file_parts(saved[0])
        arrays = [fields for name, fields in header.items() if name != "__metadata__"]
        last = max(arrays, key=lambda fields: fields["data_offsets"])
        last["data_offsets"] = [offset + 4 for offset in last["data_offsets"]]
        assert_refused(write_file(saved[0], header, data + bytes(4)), "begin where others end")

    def test_overlapping_offsets(self, saved):
        header, data = file_parts(saved[0])
        header["2.bias"]["data_offsets"] = header["0.bias"]["data_offsets"]
        assert_refused(write_file(saved[0], header, data), "damaged")

    def test_wrong_dtype(self, saved, tmp_path):
        model = small_model(dtype=np.float64)
        save_weights(tmp_path / "w", model)
        assert_refused(tmp_path / "w", "0.weight", "float64", "float32")
        header, data = file_parts(saved[0])
        header["2.bias"]["dtype"] = "I32"
        assert_refused(write_file(saved[0], header, data), "2.bias", "int32", "float32")

    def test_wrong_shape_is_found_before_anything_changes(self, saved):
        header, data = file_parts(saved[0])
        header["2.weight"]["shape"] = [3, 8]
        assert_refused(write_file(saved[0], header, data), "2.weight", "(3, 8)", "(8, 3)")

    def test_wrong_names(self, saved):
        header, data = file_parts(saved[0])
        header["9.bias"] = header.pop("2.bias")
        assert_refused(write_file(saved[0], header, data), "misses '2.bias'", "has '9.bias'")

    def test_a_gigabyte_of_something_else_is_not_read(self, tmp_path):
        path, size = tmp_path / "w", 2**30
        write_file(path, {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + size)  # a hole: it takes no room on the disk
        script = (
            "import resource, sys, rot180\n"
            "model = rot180.Sequential([rot180.Linear(2, 2)])\n"
            "rot180.io.save_weights(sys.argv[2], model)\n"  # imports what it needs
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "try: rot180.io.load_weights(sys.argv[1], model)\n"
            "except ValueError as error: assert 'misses' in str(error)\n"
            "else: sys.exit('was loaded')\n"
            "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "assert after - before < 0.05 * before, (before, after)\n"
        )
        subprocess.run([sys.executable, "-c", script, str(path), str(tmp_path / "own")], check=True)

    @pytest.mark.parametrize("left", [0, 8, 20_000, -1])
    def test_cut_off_by_another_program_while_it_is_read(self, tmp_path, monkeypatch, left):
        """A mapped file would end the process with SIGBUS; and the model is left as it was."""
        path = tmp_path / "w"
        model = rot180.Sequential([rot180.Linear(100, 100), rot180.Linear(100, 200)])
        save_weights(path, model)
        for parameter in model.parameters():
            parameter.value[...] = 7

        def check_and_cut(*arguments):
            check_tensors(*arguments)
            os.truncate(path, left if left >= 0 else path.stat().st_size + left)

        check_tensors = rot180.io.weights.check_tensors
        monkeypatch.setattr(rot180.io.weights, "check_tensors", check_and_cut)
        with pytest.raises(ValueError, match="was cut off while it was read") as caught:
            load_weights(path, model)
        assert str(path) in str(caught.value)
        assert (values(model) == 7).all()

    def test_a_process_survives_a_large_file_that_is_cut_off(self, tmp_path):
        path, size = tmp_path / "w", 2**26
        write_file(path, {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + size)
        with open_tensors(path) as file:
            os.truncate(path, 4096)
            with pytest.raises(ValueError, match="was cut off"):
                file.read("a")

    def test_reading_takes_no_more_memory_than_the_file_is_long(self, tmp_path):
        model = rot180.Sequential([rot180.Linear(1000, 3000), rot180.Linear(3000, 1000)])
        save_weights(tmp_path / "w", model)
        size = (tmp_path / "w").stat().st_size
        tracemalloc.start()
        load_weights(tmp_path / "w", model)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0.9 * size < peak < 1.05 * size

    def test_many_wrong_names_stay_one_short_line(self, tmp_path):
        tensors = {f"{'x' * 500}{i}": np.zeros(1) for i in range(500)}
        safetensors.numpy.save_file(tensors, tmp_path / "w")
        assert_refused(tmp_path / "w", "and 496 more")
        with pytest.raises(ValueError) as caught:
            load_weights(tmp_path / "w", small_model())
        assert len(str(caught.value)) < 1000


def test_killed_while_saving_the_file_before_still_loads(tmp_path):
    path = tmp_path / "weights.safetensors"
    script = (
        "import sys, itertools, rot180\n"
        "model = rot180.Sequential([rot180.Linear(300, 300)])\n"
        "for number in itertools.count(1):\n"
        "    for parameter in model.parameters():\n"
        "        parameter.value[...] = number\n"
        "    rot180.io.save_weights(sys.argv[1], model)\n"
        "    print(number, flush=True)\n"
    )
    for delay in (0.0, 0.003, 0.01):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE
        ) as process:
            for _ in range(3):
                process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        model = rot180.Sequential([rot180.Linear(300, 300)])
        load_weights(path, model)
        assert len(set(values(model).tolist())) == 1
