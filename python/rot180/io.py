"""Files: weights as safetensors, every file written whole or not at all. Loading runs no code."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from rot180.layers import Sequential

PathLike: TypeAlias = str | os.PathLike[str]

FORMAT = "rot180 weights, version 1"

# Ten thousand tensors fit. The library would parse 100 MB, into several times as much memory.
LARGEST_HEADER = 2**20


def save_weights(
    path: PathLike, model: Sequential, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a model's parameters to a safetensors file, whole or not at all.

    The same parameters and metadata give the same bytes: the file holds no date and no path.

    Parameters
    ----------
    path
        The file, replaced if it exists.
    model
        A `Sequential`: tensors are named as in ``model.named_parameters()``.
    metadata
        Strings to keep beside the tensors. ``"format"`` and ``"rot180_version"`` are added.

    Raises
    ------
    TypeError
        If a key or a value of `metadata` is not a string.
    OSError
        If the file cannot be written; a file that was there before is untouched.

    Examples
    --------
    >>> import pathlib, tempfile, rot180
    >>> model = rot180.Sequential([rot180.Linear(3, 2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "weights.safetensors"
    ...     rot180.io.save_weights(path, model, {"model": "tiny"})
    ...     rot180.io.load_weights(path, model)
    ...     rot180.io.read_metadata(path)["model"]
    'tiny'
    """
    library = _safetensors_numpy()
    import rot180

    strings = {"format": FORMAT, "rot180_version": rot180.__version__, **(metadata or {})}
    for key, value in strings.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must map str to str, got {key!r}: {value!r}")
    tensors = {name: parameter.value for name, parameter in model.named_parameters().items()}
    data: bytes = library.save(tensors, metadata=strings)
    with atomic_write(path) as file:
        file.write(_header_in_fixed_order(data))
        file.write(memoryview(data)[8 + _header_length(data[:8]) :])


def load_weights(path: PathLike, model: Sequential) -> None:
    """Read the parameters of `model` from a safetensors file, in place.

    Everything is checked before the first parameter changes: the file must hold exactly the
    model's tensors, by name, shape and dtype.

    Parameters
    ----------
    path
        A file that `save_weights` wrote, or any safetensors file with the same tensors.
    model
        A `Sequential` built as the saved one was.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or belongs to another model: names the path and what is wrong.
    """
    parameters = model.named_parameters()
    with _open_safetensors(path) as file:
        _check_names(path, set(file.keys()), set(parameters))
        for name, parameter in parameters.items():
            entry = file.get_slice(name)
            shape, dtype = tuple(entry.get_shape()), entry.get_dtype()
            if shape != parameter.value.shape:
                raise ValueError(
                    f"{path}: {name} has shape {shape}, the model's has "
                    f"{parameter.value.shape}: the file was saved from another model"
                )
            if dtype != f"F{8 * parameter.value.itemsize}":
                raise ValueError(
                    f"{path}: {name} has dtype {dtype}, the model's is {parameter.value.dtype}: "
                    "build the model with the dtype that was saved"
                )
        for name, parameter in parameters.items():
            parameter.value[...] = file.get_tensor(name)


def read_metadata(path: PathLike) -> dict[str, str]:
    """Read the strings that `save_weights` kept beside the tensors; {} where there are none.

    Parameters
    ----------
    path
        A safetensors file. Its tensors are not read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a whole safetensors file.
    """
    with _open_safetensors(path) as file:
        return dict(file.metadata() or {})


@contextlib.contextmanager
def atomic_write(path: PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file so that it appears under its name whole, or not at all.

    The data goes to a temporary file in the same folder, which takes the name `path` once it is on
    the disk. After any exception (Ctrl-C and a full disk included) the temporary file is removed
    and a file that was at `path` before is as it was.

    Parameters
    ----------
    path
        The file, replaced if it exists. Its folder must exist.
    mode
        ``"wb"``, or ``"w"`` for UTF-8 text with line ends written as given.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        If `path` is a folder or a device, or cannot be written.
    ValueError
        If `mode` is another one.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from rot180.io import atomic_write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "notes.txt"
    ...     with atomic_write(path, "w") as file:
    ...         _ = file.write("whole")
    ...     path.read_text()
    'whole'
    """
    if mode not in ("wb", "w"):
        raise ValueError(f'mode must be "wb" or "w", got {mode!r}')
    target = Path(os.path.realpath(path))  # through a link, so that the link stays one
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder does not exist", str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, expected a file name", str(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    temporary = target.parent / f".rot180-{os.urandom(8).hex()}.tmp"
    text = {"encoding": "utf-8", "newline": ""} if mode == "w" else {}
    try:
        with temporary.open(mode.replace("w", "x"), **text) as file:  # type: ignore[call-overload]
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync_folder(target.parent)


def _fsync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, on the file systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _open_safetensors(path: PathLike) -> Iterator[Any]:
    """Open a file with the library, after the checks that the library leaves out."""
    _safetensors_numpy()
    import safetensors

    _check_header_length(path)
    try:
        file = safetensors.safe_open(os.fspath(path), framework="np")
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or not a safetensors file: {_one_line(error)}"
        ) from None
    with file as opened:
        yield opened


def _check_header_length(path: PathLike) -> None:
    status = Path(path).stat()  # a missing file: FileNotFoundError, which names it
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ValueError(f"{path} is {what}: expected a safetensors file")
    with Path(path).open("rb") as file:
        start = file.read(8)
    if len(start) < 8:
        raise ValueError(f"{path} has {len(start)} bytes: not a safetensors file, or cut off")
    length = _header_length(start)
    if length > status.st_size - 8:
        raise ValueError(
            f"{path} announces a header of {length} bytes but has only {status.st_size}: "
            "not a safetensors file, or cut off"
        )
    if length > LARGEST_HEADER:
        raise ValueError(
            f"{path} has a header of {length} bytes, more than the {LARGEST_HEADER} allowed"
        )


def _header_length(start: bytes) -> int:
    return int.from_bytes(start, "little")


def _header_in_fixed_order(data: bytes) -> bytes:
    """Take the header of a serialised file with its metadata sorted.

    The library writes the metadata in the order of a hash table, another one in each process.
    """
    length = _header_length(data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    return len(text).to_bytes(8, "little") + text


def _check_names(path: PathLike, found: set[str], expected: set[str]) -> None:
    if found == expected:
        return
    missing, unknown = sorted(expected - found), sorted(found - expected)
    parts = [f"misses {_some(missing)}"] * bool(missing)
    parts += [f"has {_some(unknown)}, which the model has not"] * bool(unknown)
    raise ValueError(f"{path} {' and '.join(parts)}: the file was saved from another model")


def _some(names: list[str], limit: int = 4) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _safetensors_numpy() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            'weights are kept with safetensors: pip install "rot180[train]"'
        ) from error
    return safetensors.numpy
