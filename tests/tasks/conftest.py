"""Small data of each kind, with something to learn in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture
def images(workspace: Path) -> Path:
    """A folder of class folders: bright at the top, or at the bottom; sizes differ."""
    rng = np.random.default_rng(0)
    for name in ("top", "bottom"):
        (workspace / "shapes" / name).mkdir(parents=True)
        for number in range(24):
            height, width = rng.integers(8, 13, 2)
            image = rng.integers(0, 80, (height, width), np.uint8)
            rows = slice(0, height // 2) if name == "top" else slice(height // 2, None)
            image[rows] += 150
            Image.fromarray(image).save(workspace / "shapes" / name / f"{number}.png")
    return workspace / "shapes"


@pytest.fixture
def sequences(workspace: Path) -> Path:
    """Rising and falling sequences of 3 to 9 steps, end to end."""
    rng = np.random.default_rng(0)
    kinds = np.arange(80) % 2
    sequences_ = [rng.normal(0, 0.3, (rng.integers(3, 10), 2)).astype(np.float32) for _ in kinds]
    for sequence, kind in zip(sequences_, kinds, strict=True):
        sequence[:, 0] += np.arange(len(sequence)) * (1 if kind else -1)
    path = workspace / "slopes.npz"
    np.savez(path, x=np.concatenate(sequences_), len=[len(sequence) for sequence in sequences_], y=kinds)
    return path


@pytest.fixture
def long_table(workspace: Path) -> Path:
    """The same kind of sequences as a table with a row a step, in no order."""
    rng = np.random.default_rng(1)
    rows = []
    for series in range(60):
        up = series % 2
        for time in range(rng.integers(3, 8)):
            rows.append((f"s{series}", f"2024-01-{time + 1:02}", time * (1 if up else -1) + rng.normal(0, 0.2), up))
    frame = pd.DataFrame(rows, columns=["sensor", "day", "level", "kind"])
    frame["kind"] = frame["kind"].map({0: "down", 1: "up"})
    path = workspace / "levels.csv"
    frame.sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


@pytest.fixture
def texts(workspace: Path) -> Path:
    """Messages that speak of money or of lunch."""
    rng = np.random.default_rng(0)
    words = {"spam": ["win", "money", "prize", "cash"], "ham": ["lunch", "home", "later", "soon"]}
    both = ["you", "me", "now", "the", "and", "très", "été"]
    rows = []
    for number in range(120):
        label = ("ham", "spam")[number % 2]
        chosen = [*rng.choice(words[label], 2), *rng.choice(both, rng.integers(1, 12))]
        rows.append((" ".join(rng.permutation(chosen)), label, number))
    path = workspace / "messages.csv"
    pd.DataFrame(rows, columns=["message", "label", "number"]).to_csv(path, index=False)
    return path


@pytest.fixture
def groups(workspace: Path) -> Path:
    """Three clouds of points with a category that goes with them, and their names."""
    rng = np.random.default_rng(0)
    kinds = np.arange(150) % 3
    centres = np.array([[0, 0], [6, 0], [0, 6]])
    points = centres[kinds] + rng.normal(0, 0.6, (150, 2))
    path = workspace / "clouds.csv"
    names = np.array(["ann", "bob", "cid"])[kinds]
    pd.DataFrame({"a": points[:, 0], "b": points[:, 1], "colour": np.array(["red", "red", "blue"])[kinds],
                  "name": names}).to_csv(path, index=False)  # fmt: skip
    return path


@pytest.fixture
def sales(workspace: Path) -> Path:
    """A long table: monthly sales of four shops, with a season of twelve months."""
    months = pd.date_range("2019-01-01", periods=48, freq="MS").strftime("%Y-%m-%d")
    season = 10 + 4 * np.sin(np.arange(48) * 2 * np.pi / 12)
    rng = np.random.default_rng(0)
    tables = [
        pd.DataFrame({"shop": f"shop {shop}", "month": months, "sales": season * shop + rng.normal(0, 0.5, 48)})
        for shop in range(1, 5)
    ]
    pd.concat(tables).to_csv(workspace / "sales.csv", index=False)
    return workspace / "sales.csv"
