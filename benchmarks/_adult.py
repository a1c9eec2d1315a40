"""A table of the shape of adult (US census 1994): the real one where it is at hand, else one drawn at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 32_561
TARGET = "income"
_NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
# Levels of each category, and whether values are missing: with one indicator for these, 108 prepared columns.
_CATEGORIES = {
    "workclass": (8, True),
    "education": (16, False),
    "marital_status": (7, False),
    "occupation": (14, True),
    "relationship": (6, False),
    "race": (5, False),
    "sex": (2, False),
    "native_country": (41, True),
}


def adult_frame(data: Path | None, rows: int = ROWS) -> pd.DataFrame:
    """Return the training part of adult, or a table of its shape.

    Args:
        data: Folder with ``adult/data.csv.gz``; None for a table drawn with a fixed seed.
        rows: The first so many rows.
    """
    if data is not None:
        frame = pd.read_csv(data / "adult" / "data.csv.gz")
        train = frame[frame["split"] == "train"].drop(columns="split")
        return train.reset_index(drop=True).iloc[:rows]
    random = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {name: random.gamma(2.0, 10.0, ROWS).round() for name in _NUMBERS}
    for name, (size, missing) in _CATEGORIES.items():
        levels = np.array([f"{name}_{index}" for index in range(size)], dtype=object)
        chosen = np.minimum(random.geometric(2.5 / (size + 2), ROWS) - 1, size - 1)
        chosen[:size] = np.arange(size)  # each level occurs, in a short table too
        values = levels[chosen]
        if missing:
            values[random.random(ROWS) < 0.05] = None
            values[size] = None
        columns[name] = values
    logit = columns["age"] / 10 + (columns["education"] == "education_3") * 2.0 - 4.0 + random.normal(0, 1, ROWS)
    columns[TARGET] = np.where(logit > 0, ">50K", "<=50K").astype(object)
    return pd.DataFrame(columns).iloc[:rows]


def prepared_columns(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised numbers and one indicator a level, missing ones included (N, 108), and the target (N, 1)."""
    features = frame.drop(columns=TARGET)
    numbers = features.select_dtypes("number")
    numbers = (numbers - numbers.mean()) / numbers.std()
    texts = features.select_dtypes(exclude="number").fillna("missing")
    x = pd.concat([numbers, pd.get_dummies(texts)], axis=1).to_numpy(np.float32)
    y = (frame[TARGET] == ">50K").to_numpy(np.float32)[:, None]
    return np.ascontiguousarray(x), y
