"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]


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
