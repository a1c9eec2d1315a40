"""A seeded generator of damaged files, and the process that reads them within limits; it imports no TensorFlow.

Run: ``python tests/data/sources/damaged_files.py FOLDER FIRST LAST`` prints one line of JSON for each file.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import random
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

SECONDS, MOST_BYTES = 20, 2 << 30
Random = random.Random


def table(rng: Random) -> pd.DataFrame:
    rows = rng.randint(1, 60)
    texts = [rng.choice(["x", "Zoë", 'a "b"', "1,5", "", "line\nbreak", "a;b", None]) for _ in range(rows)]
    numbers = [rng.choice([1, 2.5, -3e9, None]) for _ in range(rows)]
    return pd.DataFrame({"a": numbers, "b": texts, "c": range(rows)})


def csv_text(rng: Random) -> bytes:
    return table(rng).to_csv(index=False, sep=rng.choice(",;\t|")).encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))


def json_text(rng: Random) -> bytes:
    records = json.loads(table(rng).to_json(orient="records"))
    return ("\n".join(map(json.dumps, records)) if rng.random() < 0.7 else json.dumps(records)).encode()


def npz_bytes(rng: Random, **arrays: Any) -> bytes:
    file = io.BytesIO()
    rows = rng.randint(1, 20)
    arrays = arrays or {"x": np.arange(rows * 3.0).reshape(rows, 3), "y": np.arange(rows) % 2}
    rng.choice([np.savez, np.savez_compressed])(file, **arrays)
    return file.getvalue()


def parquet_bytes(rng: Random) -> bytes:
    file = io.BytesIO()
    table(rng).to_parquet(file, compression=rng.choice(["snappy", "gzip", "zstd", "none"]))
    return file.getvalue()


def image_bytes(rng: Random, ending: str) -> bytes:
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())
    shape = (rng.randint(1, 40), rng.randint(1, 40), 3)
    Image.fromarray(np.frombuffer(rng.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)).save(file, kind)
    return file.getvalue()


def spoiled(rng: Random, content: bytes) -> bytes:
    """Content cut short, or with bytes changed, put in, taken out or repeated."""
    damaged_bytes = bytearray(content)
    how = rng.randrange(6)
    if how == 0:
        return bytes(damaged_bytes[: rng.randrange(len(damaged_bytes) + 1)])
    for _ in range(rng.choice([1, 1, 3, 20])):
        place = rng.randrange(len(damaged_bytes) + 1)
        if how == 1 and damaged_bytes:
            damaged_bytes[place % len(damaged_bytes)] = rng.randrange(256)
        elif how == 2:
            damaged_bytes[place:place] = rng.randbytes(rng.randint(1, 9))
        elif how == 3:
            del damaged_bytes[place : place + rng.randint(1, 40)]
        elif how == 4:
            damaged_bytes[place:place] = damaged_bytes[max(0, place - 50) : place]
        else:
            damaged_bytes[place:place] = rng.choice(
                [b"\0", b"\xff\xff\xff\xff", b"\x80", b"\n", b'"', b",", b"{", b"]", b"\r"]
            )
    return bytes(damaged_bytes)


Put = Callable[[Path, Random], Path]


def damaged(ending: str, content: Callable[[Random], bytes], pack: Callable[[bytes], bytes] = bytes) -> Put:
    """A sound file of a kind, spoiled; what is packed is spoiled before or after."""

    def put(folder: Path, rng: Random) -> Path:
        sound = content(rng)
        content_ = spoiled(rng, pack(sound)) if rng.random() < 0.5 else pack(spoiled(rng, sound))
        path = folder / f"a{ending}"
        path.write_bytes(content_)
        return path

    return put


def huge(ending: str, content: Callable[[Random], bytes]) -> Put:
    """A file as it is made: large by what it says, or another kind than its ending."""

    def put(folder: Path, rng: Random) -> Path:
        path = folder / f"a{ending}"
        path.write_bytes(content(rng))
        return path

    return put


def npy_header(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    words = repr({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words.encode()


def zipped(name: str, content: bytes, declared: int | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    content_ = file.getvalue()
    if declared is not None:  # in the local header and in the directory
        size = struct.pack("<I", len(content))
        content_ = content_.replace(size, struct.pack("<I", declared))
    return content_


def zeros_npz(rng: Random) -> bytes:
    """An archive whose member really unpacks to 8 GB, out of a few MB; it is made of one block, repeated."""
    rows = 1_000_000_000
    packer, file = zlib.compressobj(9, zlib.DEFLATED, -15), io.BytesIO()
    header = npy_header((rows,))
    start = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    count = rows * 8 // (1 << 24)
    packed = start + block * count + packer.flush()
    size = len(header) + count * (1 << 24)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, 20)
    wide = struct.pack("<2H2Q", 1, 16, size, len(packed))
    file.write(local + b"x.npy" + wide + packed)
    directory = file.tell()
    central = struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, 20, 0, 0, 0, 0, 0)
    file.write(central + b"x.npy" + wide)
    ends = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, file.tell() - directory, directory, 0)
    file.write(ends)
    return file.getvalue()


def gzip_bomb(rng: Random) -> bytes:
    """Gzip of 4 GB of one line, out of 4 MB."""
    return gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n" * (1 << 22), 9) * 256


def large_png(rng: Random) -> bytes:
    sides = rng.choice([60_000, 13_000, 2**31 - 1])
    content = bytearray(image_bytes(Random(1), "png"))
    content[16:24] = struct.pack(">II", sides, sides)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def blank_png(rng: Random) -> bytes:
    """An image of 13,000 x 13,000 that really unpacks, to 500 MB, out of half a MB."""
    chunks = [struct.pack(">IIBBBBB", 13_000, 13_000, 8, 2, 0, 0, 0), zlib.compress(bytes(13_000 * 39_001), 9), b""]
    content = b"\x89PNG\r\n\x1a\n"
    for name, chunk in zip((b"IHDR", b"IDAT", b"IEND"), chunks, strict=True):
        content += struct.pack(">I", len(chunk)) + name + chunk + struct.pack(">I", zlib.crc32(name + chunk))
    return content


def rows_parquet(rng: Random) -> bytes:
    """A few KB that hold 400 million rows of one number."""
    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    block = pa.table({"a": pa.array(np.zeros(10_000_000, np.int64))})
    with parquet.ParquetWriter(file, block.schema, compression="zstd") as writer:
        for _ in range(40):
            writer.write_table(block, row_group_size=10_000_000)
    return file.getvalue()


def pickled(rng: Random) -> bytes:
    return npz_bytes(rng, x=np.array([{"a": 1}, "b", None], dtype=object), y=np.arange(3))


def linked_images(folder: Path, rng: Random) -> Path:
    for kind in ("cat", "dog"):
        (folder / "photos" / kind).mkdir(parents=True)
        (folder / "photos" / kind / "1.png").write_bytes(image_bytes(rng, "png"))
    (folder / "outside").mkdir()
    (folder / "outside" / "2.png").write_bytes(image_bytes(rng, "png"))
    link, target = rng.choice(
        [("cat/2.png", folder / "outside" / "2.png"), ("cow", folder / "outside"), ("cat/3.png", Path("/dev/zero")),
         ("cat/4.png", Path("4.png")), ("cat/5.png", Path("/etc/passwd"))]
    )  # fmt: skip
    (folder / "photos" / link).symlink_to(target)
    return folder / "photos"


def linked_parts(folder: Path, rng: Random) -> Path:
    (folder / "parts").mkdir()
    (folder / "parts" / "1.parquet").write_bytes(parquet_bytes(rng))
    (folder / "2.parquet").write_bytes(parquet_bytes(rng))
    target = rng.choice([folder / "2.parquet", Path("/dev/zero"), Path("2.parquet"), Path("/etc/passwd")])
    (folder / "parts" / "2.parquet").symlink_to(target)
    return folder / "parts"


def wide_csv(rng: Random) -> bytes:
    width = 1_000_000
    header = ",".join(f"c{index}" for index in range(width)) if rng.random() < 0.5 else "a,b"
    return (header + "\n" + ",".join(["1"] * width) + "\n").encode()


def long_values(rng: Random) -> bytes:
    long = rng.choice(["9" * 100_000, "1e400", "-" + "8" * 40, "1" * 25 + ".5", "0x" + "f" * 500, "1e-400", '"' * 9999])
    return f"a,b\n1,{long}\n{long},2\n".encode()


def long_json(rng: Random) -> bytes:
    value = rng.choice(
        ["9" * 100_000, "1e400", "NaN", "-Infinity", "[" * 50_000, '{"a":' * 50_000, '"' + "x" * 1_000_000]
    )
    return f'{{"a": 1}}\n{{"a": {value}}}\n'.encode()


def wide_json(rng: Random) -> bytes:
    return json.dumps(dict.fromkeys(map(str, range(300_000)), 1)).encode()


def other_content(rng: Random) -> bytes:
    makers = [csv_text, json_text, npz_bytes, parquet_bytes, lambda rng: image_bytes(rng, "png"), gzip_bomb_head]
    return rng.choice(makers)(rng)


def gzip_bomb_head(rng: Random) -> bytes:
    return gzip.compress(b"a,b\n1,2\n")


IMAGES = ("png", "jpg", "bmp", "gif", "webp", "tif")
COMMON: list[Put] = [
    *[damaged(".csv", csv_text)] * 4,
    damaged(".csv.gz", csv_text, gzip.compress),
    damaged(".csv.bz2", csv_text, bz2.compress),
    *[damaged(".jsonl", json_text)] * 3,
    damaged(".json.gz", json_text, gzip.compress),
    *[damaged(".npz", npz_bytes)] * 4,
    *[damaged(".parquet", parquet_bytes)] * 4,
    *[damaged(f".{kind}", lambda rng, kind=kind: image_bytes(rng, kind)) for kind in IMAGES],
    damaged(".txt", csv_text),
    *[huge(ending, other_content) for ending in (".csv", ".json", ".npz", ".parquet", ".png", ".csv.gz", ".txt")],
]
RARE: list[Put] = [
    huge(".csv", wide_csv),
    huge(".csv", long_values),
    huge(".jsonl", long_json),
    huge(".jsonl", wide_json),
    huge(".csv.gz", gzip_bomb),
    huge(".csv.bz2", lambda rng: bz2.compress(b"a,b\n" + b"1,2\n" * (1 << 23))),
    huge(".npz", lambda rng: zipped("x.npy", npy_header((10**10, 5)) + b"few")),
    huge(".npz", lambda rng: zipped("x.npy", npy_header((10**9,)) + bytes(64), 0xFFFFFFFE)),
    huge(".npz", zeros_npz),
    huge(".npz", pickled),
    huge(".npz", lambda rng: zipped("x.npy", npy_header((3,), "|O") + b"cos\nsystem\n")),
    huge(".npz", lambda rng: npz_bytes(rng, x=np.zeros((2, 300_000)))),
    huge(".npz", lambda rng: zipped("x.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535)),
    huge(".png", large_png),
    huge(".png", blank_png),
    huge(".parquet", rows_parquet),
    linked_images,
    linked_parts,
]
RARE_EVERY = 12  # each of the rare ones costs up to a second


def put_file(folder: Path, number: int) -> tuple[Path, str]:
    """Write the damaged file of a number; return its path, and which maker made it."""
    rng = Random(number)
    rare = number % RARE_EVERY == 0
    index = number // RARE_EVERY % len(RARE) if rare else rng.randrange(len(COMMON))
    return (RARE if rare else COMMON)[index](folder, rng), f"{'rare' if rare else 'common'} {index}"


def read_one(path: Path) -> dict[str, Any]:
    """Read a file, and say how that ended."""
    from zoo.data.sources.image_files import IMAGE_FILES
    from zoo.data.sources.read import read_table
    from zoo.errors import DataError

    start = time.monotonic()
    images = path.name == "photos" or path.suffix in IMAGE_FILES
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            report: dict[str, Any] = {"rows": len(read_table(path, cells="image" if images else None).frame)}
    except DataError as error:
        report = {"error": str(error), "where": error.where}
    except BaseException:
        report = {"traceback": traceback.format_exc()}
    return report | {"seconds": round(time.monotonic() - start, 2)}


def out_of_time(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def main(root: Path, first: int, last: int) -> None:
    """Read the damaged files of these numbers, each within the limits of memory and time."""
    signal.signal(signal.SIGALRM, out_of_time)
    for number in range(first, last):
        folder = root / str(number)
        folder.mkdir(parents=True)
        path, maker = put_file(folder, number)
        # Files are made without the limit, and read within it.
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, resource.RLIM_INFINITY))
        signal.alarm(SECONDS)
        report = read_one(path)
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(json.dumps({"number": number, "maker": maker, "path": str(path)} | report), flush=True)
        shutil.rmtree(folder)
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
