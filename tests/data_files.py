"""Small data sets that can be learnt, and files of each format that hold them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile

import numpy as np
from PIL import Image

IDX_TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def images(count, shape, classes=10, seed=0):
    """Bytes (count, *shape) with a bright bar where the label says, and the labels, all in turn."""
    height, width, channels = shape
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    x = rng.integers(0, 60, (count, height, width, channels))
    for image, label in zip(x, labels, strict=True):
        row, column = divmod(int(label), 4)
        top, left = height * row // 3, width * column // 4
        image[top : top + max(2, height // 4), left : left + max(1, width // 5)] += 180
    return x.astype(np.uint8), labels.astype(np.int64)


def idx_bytes(array):
    array = np.asarray(array)
    start = bytes([0, 0, IDX_TYPES[array.dtype.str[1:]], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return start + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder, train=200, test=60, zipped=False, separator="-"):
    folder.mkdir(exist_ok=True)
    for part, count, seed in (("train", train, 0), ("t10k", test, 1)):
        x, y = images(count, (28, 28, 1), seed=seed)
        for name, array in (
            (f"{part}-images{separator}idx3-ubyte", x[..., 0]),
            (f"{part}-labels{separator}idx1-ubyte", y.astype(np.uint8)),
        ):
            content = idx_bytes(array)
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return folder


def cifar_bytes(x, y, coarse=False):
    labels = np.stack([y // 5, y], axis=1) if coarse else y[:, np.newaxis]
    planes = np.moveaxis(x, -1, 1).reshape(len(x), -1)
    return np.concatenate([labels, planes], axis=1).astype(np.uint8).tobytes()


def cifar10_files(train=120, test=40):
    """Names and contents; the images to train on are in three files."""
    x, y = images(train, (32, 32, 3))
    thirds = zip(np.array_split(x, 3), np.array_split(y, 3), strict=True)
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    return {
        "batches.meta.txt": ("\n".join(names) + "\n\n").encode(),
        **{f"data_batch_{i}.bin": cifar_bytes(*part) for i, part in enumerate(thirds, start=1)},
        "readme.html": b"<p>",
        "test_batch.bin": cifar_bytes(*images(test, (32, 32, 3), seed=1)),
    }


def cifar100_files(train=300, test=100):
    names = "\n".join(f"class_{i}" for i in range(100))
    return {
        "coarse_label_names.txt": "\n".join(f"kind_{i}" for i in range(20)).encode(),
        "fine_label_names.txt": names.encode(),
        "test.bin": cifar_bytes(*images(test, (32, 32, 3), 100, seed=1), coarse=True),
        "train.bin": cifar_bytes(*images(train, (32, 32, 3), 100), coarse=True),
    }


def write_files(folder, files):
    folder.mkdir(exist_ok=True, parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(path, files, folder="inner", mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_npz(path, shape=(12, 10, 2), train=90, test=30, classes=3, **others):
    x_train, y_train = images(train, shape, classes)
    x_test, y_test = images(test, shape, classes, seed=1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(path, **arrays | others)
    return path


def write_image_folder(folder, names=("cat", "dog"), each=12, size=(20, 16), grey=False, seed=0):
    x, y = images(each * len(names), (*size, 1 if grey else 3), len(names), seed=seed)
    for index, (image, label) in enumerate(zip(x, y, strict=True)):
        inner = folder / names[label]
        inner.mkdir(exist_ok=True, parents=True)
        Image.fromarray(image[..., 0] if grey else image).save(inner / f"{index:03d}.png")
    return folder
