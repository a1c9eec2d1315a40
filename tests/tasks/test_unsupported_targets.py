"""Targets that no task predicts: the error says so, and what is predicted instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import Answer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.data.label_cells import find_label_separator
from zoo.errors import UsageError

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": RNG.normal(size=60), "b": RNG.normal(size=60), "k": list("xy") * 30, "l": list("uuv") * 20})
IMAGES, MASKS = RNG.integers(0, 255, (40, 8, 8, 3)).astype(np.uint8), RNG.integers(0, 2, (40, 8, 8))
LABELS, SEGMENTATION = (
    "several labels are predicted if each has a column of yes and no",
    "tasks that predict masks: segmentation",
)
LONG = pd.DataFrame({"shop": np.repeat(list("abcdefgh"), 9), "day": list(range(9)) * 8, "sales": RNG.normal(size=72)})
LONG["price"] = RNG.normal(size=72)


@pytest.mark.parametrize(
    ("task", "source", "options", "message"),
    [
        ("sequence", LONG, {"target": "sales", "series": "shop", "time": "day"}, "does not forecast its next values"),
        ("sequence", LONG[LONG["shop"] == "a"], {"target": "sales", "series": "shop", "time": "day"}, "not forecast"),
        ("classification", FRAME.assign(t=[["p", "q"]] * 60), {"target": "t"}, "list 0 labels that some rows have"),
        ("classification", FRAME.assign(t=[[1, 2]] * 60), {"target": "t"}, LABELS),
        ("classification", FRAME.assign(t=[np.array([0, 1])] * 60), {"target": "t"}, LABELS),
        ("classification", (FRAME[["a", "b"]], RNG.integers(0, 2, (60, 3))), {}, LABELS),
        ("regression", FRAME.assign(t=[[1.0, 2.0]] * 60), {"target": "t"}, "give each a column of its own"),
        ("image", (IMAGES, MASKS), {}, SEGMENTATION),
        ("image", (IMAGES, MASKS[..., None]), {}, SEGMENTATION),
        ("image", pd.DataFrame({"image": list(IMAGES), "mask": list(MASKS)}), {"target": "mask"}, SEGMENTATION),
        ("image", pd.DataFrame({"image": list(IMAGES), "box": [[1, 2]] * 40}), {"target": "box"}, LABELS),
        ("image", (IMAGES, RNG.integers(0, 2, (40, 3))), {}, LABELS),
    ],
)  # fmt: skip
def test_it_is_refused(task: str, source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        zoo.spec_of(source, task=task, **options)
    assert message in str(caught.value)


def test_masks_in_files(workspace: Path, command: Callable[..., Answer]) -> None:
    for folder, arrays in (("images", IMAGES), ("masks", MASKS.astype(np.uint8) * 255)):
        (workspace / "scans" / folder).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(arrays[number]).save(workspace / "scans" / folder / f"{number}.png")
    files = {name: [f"scans/{name}/{number}.png" for number in range(6)] for name in ("images", "masks")}
    pd.DataFrame(files).to_csv("pairs.csv", index=False)
    np.savez("scans.npz", x_train=IMAGES, y_train=MASKS, x_test=IMAGES, y_test=MASKS)
    for words in (["scans"], ["pairs.csv", "--target", "masks"], ["scans.npz"]):
        answer = command("train", "image/cnn", *words)
        assert answer.status == 2
        assert SEGMENTATION in answer.err, words


def test_labels_in_texts(workspace: Path) -> None:
    tags = ["|".join(sorted(RNG.choice(list("pqrst"), RNG.integers(1, 4), replace=False))) for _ in range(200)]
    frame = pd.DataFrame({"a": RNG.normal(size=200), "tags": tags})
    with pytest.raises(UsageError, match=LABELS):
        zoo.spec_of(frame.iloc[:20], target="tags")
    twice = pd.concat([frame, frame], ignore_index=True)
    report = zoo.data_report(twice, target="tags", task="classification", quiet=True)
    assert any(
        "each combination is a class; --column 'tags=labels:|' predicts each label" in note for note in report.notes
    )


def test_models_of_tasks_that_do_not_exist(workspace: Path, command: Callable[..., Answer]) -> None:
    answer = command("train", "detection/yolo", "wine")
    assert answer.status == 2
    assert "no task here does object detection" in answer.err


def test_several_numbers_are_predicted_by_regression() -> None:
    assert zoo.spec_of(FRAME, task="regression", target=["a", "b"]).target_names == "a, b"


@settings(deadline=None)
@given(st.sampled_from("|;,"), st.integers(4, 7))
def test_a_separator_is_found(separator: str, count: int) -> None:
    labels = [f"label {number}" for number in range(count)]
    pairs = [f"{first}{separator} {second}" for first in labels for second in labels if first < second]
    assert find_label_separator(pd.Series(pairs * 2)) == separator


@pytest.mark.parametrize(
    "values",
    [
        ["yes", "no"] * 9,
        ["a|b", "a"] * 9,
        ["Doe, John", "Roe, Jane", "Poe, Edgar", "Low, Ann", "May, Tim"],
        [f"a long text, of words {number}" for number in range(9)],
        [1, 2, 3, 4, 5],
    ],
)
def test_classes_are_not_labels(values: list[Any]) -> None:
    assert find_label_separator(pd.Series(values)) is None
