"""A process of its own that prepares raw rows with saved models: what a server does, and no more."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import zoo.networks  # noqa: F401  registers the layers that the files name
from zoo.data.columns.encode import extract_inputs
from zoo.spec import Spec
from zoo.training.preprocessed_arrays import convert_to_tensor


def prepare_rows(folder: Path) -> None:
    """Prepare the rows of a folder one at a time and a thousand at a time."""
    spec = Spec.from_json((folder / "spec.json").read_text())
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    raw = extract_inputs(pd.read_parquet(folder / "rows.parquet"), spec)
    rows = len(next(iter(raw.values())))
    for name, chosen in (("one", [[row] for row in range(rows)]), ("many", [np.arange(1000) % rows])):
        tensors = [model({key: convert_to_tensor(values[part]) for key, values in raw.items()}) for part in chosen]
        joined = {key: np.concatenate([np.asarray(one[key]) for one in tensors])[:rows] for key in tensors[0]}
        np.savez(folder / f"{name}.npz", **joined)


for line in sys.stdin:
    prepare_rows(Path(json.loads(line)))
    print("done", flush=True)
