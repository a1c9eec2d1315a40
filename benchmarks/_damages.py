"""Damaged files, jobs and model folders, each drawn from a seeded generator."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

Random = random.Random
LINES = 60
JOBS: dict[str, dict[str, Any]] = {
    "train": {"model": "classification/linear", "source": "rows.csv", "target": "label"},
    "tune": {"model": "regression/linear", "source": "rows.csv", "target": "age", "trials": 1},
    "data": {"source": "rows.csv", "target": "label"},
    "predict": {"run": "@", "input": "rows.csv"},
    "compare": {"source": "rows.csv", "target": "label", "models": ["classification/linear"]},
}
FIT = {"epochs": 1, "baselines": "none", "figures": False}
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2.5, 10**30, float("nan"), float("inf"), -1e300, "", " ", "no such thing", "\u0000",
    "é" * 300, "../..", "/dev/zero", "a=b", "file=/dev/zero", "time=born", "nan", [], [[]], ["age", "age"], [None], [1],
    {}, {"a": 1}, {"age": None}, {None: "x"}, {1: [2]}, {"a": {"b": []}}, "x" * 9000, "%s{}$HOME", "1/2", "age", "@",
]  # fmt: skip


def draw_table(rng: Random, rows: int = LINES) -> pd.DataFrame:
    """Return a table with a number, categories, dates, booleans and a target of two classes."""
    age = [rng.randint(18, 80) for _ in range(rows)]
    return pd.DataFrame(
        {
            "age": age,
            "job": [rng.choice(["nurse", "cook", "clerk"]) for _ in range(rows)],
            "born": [str(d.date()) for d in pd.date_range("1950", periods=rows, freq="90D")],
            "ok": [rng.random() < 0.5 for _ in range(rows)],
            "label": ["yes" if a + rng.randint(-9, 9) > 50 else "no" for a in age],
        }
    )


def _csv(rng: Random) -> bytes:
    return damage_table(rng).to_csv(index=False, sep=rng.choice(",,,;\t|")).encode(errors="replace")


def _encoded(rng: Random) -> bytes:
    text = draw_table(rng).replace("cook", "Köchin").to_csv(index=False)
    return text.encode(rng.choice(["utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252", "utf-16-le", "cp037"]))


def _json_lines(rng: Random) -> bytes:
    frame = damage_table(rng)
    frame.columns = [f"{name}{i}" if list(frame.columns).count(name) > 1 else name for i, name in enumerate(frame)]
    records = json.loads(frame.to_json(orient="records", default_handler=str))
    for _ in range(rng.choice([0, 0, 1, 3])):
        odd = rng.choice([v for v in ODD if v is None or isinstance(v, (bool, int, float, str, list))])
        records[rng.randrange(len(records))] = odd if rng.random() < 0.3 else {"age": odd, "label": [odd]}
    return "\n".join(map(json.dumps, records)).encode() if rng.random() < 0.7 else json.dumps(records).encode()


def _binary(kind: str) -> Callable[[Random], bytes]:
    def make(rng: Random) -> bytes:
        file, frame = io.BytesIO(), damage_table(rng).astype(str)
        frame.columns = [f"{name}{i}" if i and name == "age" else str(name) for i, name in enumerate(frame.columns)]
        frame = frame.loc[:, ~frame.columns.duplicated()]
        getattr(frame, f"to_{kind}")(file)
        return file.getvalue()

    return make


def _npz(rng: Random) -> bytes:
    rows = rng.randint(1, 50)
    x: Any = np.random.default_rng(rng.randrange(99)).normal(size=(rows, rng.choice([0, 1, 3])))
    kind = rng.choice(["f4", ">f8", "f2", "i1", "u8", "?", "c16", "U5", "S3", "M8[D]", "V4", "O", "longdouble"])
    y = np.arange(rows) % rng.choice([1, 2, 5])
    odd = {"x": x.astype(kind) if kind not in ("M8[D]", "V4") else np.zeros(x.shape, kind), "y": y}
    arrays = rng.choice(
        [odd, {"x": x, "y": y[:-1]}, {"x": x[:, :, None, None, None], "y": y}, {"y": y}, {"x": np.array(1.0), "y": y},
         {"x_train": x, "y_train": y, "x_test": x[:, :1], "y_test": y}, {"x": x * np.nan, "y": y},
         {"x": x, "y": y[:, None]},
         {"x": x, "y": y, "len": y}, {"x": x, "y": y, "names": np.array(["a"])}]
    )  # fmt: skip
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _npy(rng: Random) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((5, 2)))
    return file.getvalue()


def _sqlite(rng: Random) -> bytes:
    connection = sqlite3.connect(":memory:")
    draw_table(rng).to_sql("t", connection, index=False)
    return connection.serialize()


def _zip(rng: Random) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(rng.choice(["a/1.png", "../../1.csv", "inner.zip", "rows.csv"]), _image(rng))
    return file.getvalue()


def _image(rng: Random) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(rng.randrange(99)).integers(0, 256, (rng.randint(1, 20), 9, 3), np.uint8)
    Image.fromarray(pixels).save(file, rng.choice(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"]))
    return file.getvalue()


def _text(rng: Random) -> bytes:
    lines = [rng.choice(["", "milk, bread", "Zoë", "\u202e", "x" * 50_000, "a\tb", '"']) for _ in range(20)]
    return "\n".join(lines).encode()


def _noise(rng: Random) -> bytes:
    return rng.choice([b"", b"\n", b"\0" * 100, rng.randbytes(2000), b",,,\n,,,\n", b"{}", b"[]", b"null", b"a\n"])


MAKERS: dict[str, Callable[[Random], bytes]] = {
    "csv": _csv, "encoding": _encoded, "json": _json_lines, "parquet": _binary("parquet"),
    "feather": _binary("feather"), "npz": _npz, "npy": _npy, "sqlite": _sqlite, "zip": _zip, "image": _image,
    "text": _text, "noise": _noise,
}  # fmt: skip
_ENDINGS = {
    "csv": [".csv", ".tsv", ".csv.gz"], "encoding": [".csv"], "json": [".jsonl", ".json", ".json.bz2"],
    "parquet": [".parquet"], "feather": [".feather"], "npz": [".npz"], "npy": [".npy", ".npz"], "sqlite": [".db"],
    "zip": [".zip", ".npz"], "image": [".png", ".jpg"], "text": [".txt"], "noise": [".csv"],
}  # fmt: skip
_EVERY = sorted({ending for endings in _ENDINGS.values() for ending in endings} | {".xlsx", ".yaml", ""})


def damage_table(rng: Random) -> pd.DataFrame:
    """Return a table with a fault that a file of any format can hold: odd cells, swapped or repeated columns."""
    frame = draw_table(rng, rng.choice([1, 2, 5, LINES, LINES, LINES])).astype(object)
    for _ in range(rng.choice([0, 1, 1, 3])):
        column = rng.randrange(frame.shape[1])
        how = rng.randrange(7)
        if how == 0:
            frame.iloc[rng.randrange(len(frame)), column] = rng.choice(
                ["x" * 200_000, "\0", '"', "a\nb", "1e400", "-", "9" * 400, 1e300, -1e308, None, "=1+1", "١٢"]
            )
        elif how == 1:
            frame.iloc[:, column] = rng.choice([None, "same", 0, 1e300, "", True, "2024-13-45", "١", "nan", "-inf"])
        elif how == 2:
            frame.columns = rng.sample(list(frame.columns), frame.shape[1])
        elif how == 3:
            names = list(frame.columns)
            names[column] = rng.choice(
                ["", " ", "age", "label", "a\nb", "é" * 300, "x/y", "0", "__class__", "prediction"]
            )
            frame.columns = names
        elif how == 4:
            frame = frame.drop(columns=frame.columns[column]) if frame.shape[1] > 1 else frame
        elif how == 5:
            frame = pd.concat([frame] * rng.choice([1, 2, 20]), ignore_index=True)
        else:
            frame.iloc[:, column] = [rng.choice([1, "a", None, 2.5, True, "2024-01-01"]) for _ in range(len(frame))]
    return frame


def spoil(rng: Random, content: bytes) -> bytes:
    """Return bytes cut short, changed, put in, taken out or repeated; sometimes as they were."""
    data, how = bytearray(content), rng.randrange(7)
    if how == 0:
        return bytes(data[: rng.randrange(len(data) + 1)])
    if how >= 5:
        return content
    for _ in range(rng.choice([1, 1, 3, 20])):
        place = rng.randrange(len(data) + 1)
        if how == 1 and data:
            data[place % len(data)] = rng.randrange(256)
        elif how == 2:
            data[place:place] = rng.choice([b"\0", b"\xff\xff\xff\xff", b"\x80", b"\n", b'"', b",", b"{", b"]", b"\r"])
        elif how == 3:
            del data[place : place + rng.randint(1, 40)]
        else:
            data[place:place] = data[max(0, place - 50) : place]
    return bytes(data)


def write_damaged(rng: Random, folder: Path) -> str:
    """Write a damaged file, or a folder of images, and return its name as a source."""
    kind = rng.choice([*MAKERS, "csv", "csv", "json", "folder"])
    if kind == "folder":
        for number in range(rng.choice([1, 8, 24])):
            place = folder / "images" / rng.choice(["cat", "dog", "train", "", "a/b"])
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.{rng.choice(['png', 'jpg', 'txt'])}").write_bytes(spoil(rng, _image(rng)))
        return "images"
    content = MAKERS[kind](rng)
    ending = rng.choice(_ENDINGS[kind]) if rng.random() < 0.85 else rng.choice(_EVERY)
    pack = gzip.compress if ending.endswith(".gz") else bz2.compress if ending.endswith(".bz2") else bytes
    content = spoil(rng, pack(content)) if rng.random() < 0.5 else pack(spoil(rng, content))
    if rng.random() < 0.05:
        content = pack(content)  # an archive in an archive
    (folder / f"damaged{ending}").write_bytes(content)
    if kind == "sqlite" and rng.random() < 0.8:
        return f"sqlite:///damaged{ending}?table={rng.choice(['t', 't', 'none', ''])}"
    return f"damaged{ending}"


def write_job(rng: Random, folder: Path, fields: dict[str, list[str]], run_id: str) -> str:
    """Write a valid job in which one or two keys have odd values, or whose text is damaged; return the file's name."""
    command = rng.choice([*JOBS, "train", "train", "train"])
    job = {"command": command, **JOBS[command], **{key: FIT[key] for key in FIT if key in fields[command]}}
    if command == "compare":
        del job["baselines"]  # a comparison always has them
    for _ in range(rng.choice([1, 1, 1, 2])):
        job[rng.choice(fields[command])] = rng.choice(ODD)
    job = {key: run_id if value == "@" else value for key, value in job.items()}
    text = yaml.safe_dump(job, allow_unicode=True).encode(errors="surrogatepass")
    if rng.random() < 0.15:
        text = spoil(rng, text)
    (folder / "job.yaml").write_bytes(text)
    return "job.yaml"


def tamper(rng: Random, folder: Path, sign: Callable[[Path, dict[str, Any]], dict[str, Any]]) -> str:
    """Damage a model's folder, and return what was done.

    Args:
        rng: The generator.
        folder: MLflow's folder of the model.
        sign: Returns the facts of a folder with fresh digests, as one would who tampers with intent.
    """
    file = rng.choice([path for path in sorted(folder.rglob("*")) if path.is_file()])
    facts_file = next(folder.rglob("zoo.json"))
    how = rng.randrange(7)
    if how == 0:
        file.unlink()
    elif how == 1:
        file.write_bytes(rng.choice([b"", b"{}", b"[]", b"null", rng.randbytes(999), b"\0" * 99, b"a: &a [*a]"]))
    elif how == 2:
        file.write_bytes(spoil(rng, file.read_bytes()))
    elif how == 3:
        file.unlink()
        file.mkdir()
    else:
        facts = json.loads(facts_file.read_text())
        _change_value(rng, facts)
        if how == 4 and rng.random() < 0.5:
            _rewrite_config(rng, facts_file.parent / "model.keras")
        facts_file.write_text(json.dumps(sign(facts_file.parent, facts) if how < 6 else facts))
        return f"facts{' signed' if how < 6 else ''}"
    return f"{('removed', 'replaced', 'spoiled', 'a folder')[how]} {file.name}"


def _change_value(rng: Random, values: Any) -> None:
    """Change one value in nested lists and dictionaries to an odd one, or remove it."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        key = rng.choice(keys)
        inner = values[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
            values = inner
            continue
        if rng.random() < 0.2:
            del values[key]
        else:
            values[key] = rng.choice([v for v in ODD if not isinstance(v, dict) or all(isinstance(k, str) for k in v)])
        return


def _rewrite_config(rng: Random, file: Path) -> None:
    """Change a value in the configuration inside a Keras file."""
    copy = file.with_name("copy")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                _change_value(rng, config)
                content = json.dumps(config).encode()
            new.writestr(name, content)
    shutil.move(copy, file)
