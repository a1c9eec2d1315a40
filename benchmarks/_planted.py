"""Tables in which something is planted that a data report must tell, and the clean tables that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROWS, SMALL_ROWS = 600, 150
TEST_ROWS = 120
SPLIT = "part"
FEW_VALUES = "two classes, columns of few values"


class Planted(NamedTuple):
    """Something planted, and how the report tells it.

    Args:
        name: What is planted.
        target: Kind of the target: ``two classes``, ``three classes`` or ``number``.
        topic: Topic of the finding.
        words: Words in its text or advice.
        plant: Function of a clean table and a random generator to the table with the fault.
        level: The least level that counts as an alarm.
    """

    name: str
    target: str
    topic: str
    words: str
    plant: Callable[[Any, Any], Any]
    level: str = "warning"


def draw_clean(target: str, seed: int, rows: int = ROWS) -> Any:
    """Return a table of correlated numbers and categories with a target ``y`` that they predict in part.

    The last rows are the test split, drawn alike.
    """
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6)) @ (np.eye(6) + 0.3 * rng.normal(size=(6, 6)))
    x[:, 4], x[:, 5] = np.exp(x[:, 4]), np.round(10 * x[:, 5])
    frame = pd.DataFrame(x, columns=list("abcdef"))
    frame["city"] = rng.choice(["Lyon", "Lille", "Nice", "Paris", "Rennes"], rows, p=[0.4, 0.25, 0.15, 0.1, 0.1])
    frame["shift"] = rng.choice(["day", "night"], rows)
    signal = frame["a"] + frame["b"] - frame["c"] + 0.5 * (frame["shift"] == "day")
    if target == FEW_VALUES:  # so that rows are equal by chance
        frame = frame.assign(**{name: np.round(2 * frame[name]) for name in "ade"}).drop(columns=["b", "c", "f"])
    noisy = signal / signal.std() + rng.normal(0, 0.7, rows)
    if target == "number":
        frame["y"] = noisy
    else:
        names = ["low", "middle", "upper"] if target == "three classes" else ["no", "yes"]
        frame["y"] = pd.qcut(noisy, len(names), labels=names).astype(str)
    frame[SPLIT] = np.where(np.arange(rows) < rows - rows // 5, "train", "test")
    return frame


def load_real(name: str, folder: Path | None, seed: int) -> tuple[Any, str]:
    """Return a random part of a real table, in random order, and its target."""
    from zoo.data.sources.read import read_table

    file, target = REAL[name]
    frame = read_table(str((folder or Path()) / file) if "/" in file else name).frame
    frame = frame.drop(columns=["split"], errors="ignore")
    return frame.sample(min(ROWS, round(0.8 * len(frame))), random_state=seed).reset_index(drop=True), target


REAL = {
    "wine": ("wine", "class"),
    "breast_cancer": ("breast_cancer", "class"),
    "diabetes": ("diabetes", "progression"),
    "adult": ("adult/data.csv.gz", "income"),
    "boston": ("boston/data.csv.gz", "medv"),
    "california_housing": ("california_housing/data.csv.gz", "median_house_value"),
}
BUNDLED = ("wine", "breast_cancer", "diabetes")


def _leak_of_classes(frame: Any, rng: Any) -> Any:
    """Return the table with numbers that lie 3.55 standard deviations apart between classes: an AUC of 0.994."""
    return frame.assign(paid=3.55 * (frame["y"] == "yes") + rng.normal(size=len(frame)))


def _leak_of_three(frame: Any, rng: Any) -> Any:
    place = frame["y"].map({"low": 0, "middle": 1, "upper": 2})
    return frame.assign(paid=4.0 * place + rng.normal(size=len(frame)))


def _leak_of_number(frame: Any, rng: Any) -> Any:
    """Return the table with the target and noise of a seventh of its standard deviation: R squared 0.98."""
    return frame.assign(paid=100 + 20 * (frame["y"] + rng.normal(0, frame["y"].std() / 7, len(frame))))


def _category_leak(frame: Any, rng: Any) -> Any:
    state = frame["y"].map({"yes": "closed", "no": "open"})
    return frame.assign(state=state.where(rng.random(len(frame)) > 0.01, rng.choice(["closed", "open"], len(frame))))


def _category_leak_of_number(frame: Any, rng: Any) -> Any:
    import pandas as pd

    return frame.assign(
        band=pd.qcut(frame["y"], 12, labels=[f"band {letter}" for letter in "kfbdahjceglm"]).astype(str)
    )


def _missing_leak(frame: Any, rng: Any) -> Any:
    return frame.assign(closed=frame["a"].where(frame["y"] == "yes"))


def _copies_across(frame: Any, rng: Any) -> Any:
    rows = rng.choice(len(frame) - TEST_ROWS, 3, replace=False)
    frame.iloc[-3:, : frame.columns.get_loc(SPLIT)] = frame.iloc[rows, : frame.columns.get_loc(SPLIT)].to_numpy()
    return frame


def _near_copies_across(frame: Any, rng: Any) -> Any:
    frame = _copies_across(frame, rng)
    frame.loc[len(frame) - 3 :, list("abcd")] += rng.normal(0, 1e-5, (3, 4))
    return frame


def _copies_across_few(frame: Any, rng: Any) -> Any:
    """Return copies in a table of one number and categories, where other rows are equal but for the number."""
    return _copies_across(frame[["a", "city", "shift", "y", SPLIT]].copy(), rng)


def _conflicts(frame: Any, rng: Any) -> Any:
    import pandas as pd

    other = frame[:60].assign(y=frame["y"][:60].map({"yes": "no", "no": "yes"}))
    return pd.concat([frame, other], ignore_index=True)


def _drift_of_number(frame: Any, rng: Any) -> Any:
    frame.loc[frame[SPLIT] == "test", "d"] += frame["d"].std()
    return frame


def _drift_of_category(frame: Any, rng: Any) -> Any:
    changed = (frame[SPLIT] == "test") & (rng.random(len(frame)) < 0.4)
    return frame.assign(city=frame["city"].where(~changed, "Paris"))


def _drift_of_missing(frame: Any, rng: Any) -> Any:
    chance = (frame[SPLIT] == "test").map({True: 0.4, False: 0.1})
    return frame.assign(a=frame["a"].where(rng.random(len(frame)) > chance))


def _groups(frame: Any, rng: Any) -> Any:
    return frame.assign(patient_id=rng.integers(1000, 1150, len(frame)))


def _groups_by_value(frame: Any, rng: Any) -> Any:
    return frame.assign(origin=[f"P-{number:04d}" for number in rng.integers(0, 150, len(frame))])


def _ids(frame: Any, rng: Any) -> Any:
    """Return the table with texts of which one in ten repeats."""
    names = [f"{word} {number}" for number, word in enumerate(rng.choice(["Alder", "Birch"], len(frame)))]
    return frame.assign(title=rng.choice(names, len(frame), replace=False)).assign(
        title=lambda table: table["title"].where(table.index % 10 > 0, table["title"].shift(1, fill_value="Oak"))
    )


def _imbalance(frame: Any, rng: Any) -> Any:
    return frame.assign(y=["yes" if row % 60 == 0 else "no" for row in range(len(frame))])


def _nearly_constant(frame: Any, rng: Any) -> Any:
    frame = frame[:: ROWS // SMALL_ROWS].reset_index(drop=True)
    return frame.assign(flag=(frame.index == rng.integers(0, len(frame))).astype(int))


def _infinite(frame: Any, rng: Any) -> Any:
    import numpy as np

    frame.loc[rng.integers(0, len(frame)), "a"] = np.inf
    return frame


def _codes(frame: Any, rng: Any) -> Any:
    return frame.assign(e=frame["e"].where(rng.random(len(frame)) > 0.03, -999))


def _units(frame: Any, rng: Any) -> Any:
    height = rng.normal(1.7, 0.1, len(frame))
    return frame.assign(height=height * [100 if row % 5 == 0 else 1 for row in range(len(frame))])


def _spellings(frame: Any, rng: Any) -> Any:
    return frame.assign(city=frame["city"].where(rng.random(len(frame)) > 0.05, "lyon "))


def _outlier(frame: Any, rng: Any) -> Any:
    frame.loc[rng.integers(0, len(frame)), "d"] = 500.0
    return frame


PLANTED = (
    Planted("leak: a number with an AUC of 0.994", "two classes", "leakage", "column paid", _leak_of_classes),
    Planted("leak: a number, three classes", "three classes", "leakage", "column paid", _leak_of_three),
    Planted("leak: a number with R² 0.98, regression", "number", "leakage", "column paid", _leak_of_number),
    Planted("leak: a category, right in 99.5 %", "two classes", "leakage", "column state", _category_leak),
    Planted(
        "leak: twelve bands of the target, regression", "number", "leakage", "column band", _category_leak_of_number
    ),
    Planted("leak: missing in one class", "two classes", "missing values", "closed", _missing_leak),
    Planted("duplicates: three test rows", "two classes", "duplicates", "test rows", _copies_across),
    Planted("duplicates: three, regression", "number", "duplicates", "test rows", _copies_across),
    Planted(
        "duplicates: three, one number and two categories", "two classes", "duplicates", "test", _copies_across_few
    ),
    Planted("near-duplicates: three test rows", "two classes", "near-duplicates", "test rows", _near_copies_across),
    Planted("duplicates: 60 rows with another class", "two classes", "conflicting labels", "another class", _conflicts),
    Planted("drift: a number by 1 SD", "two classes", "drift", "in d", _drift_of_number),
    Planted("drift: a number by 1 SD, regression", "number", "drift", "in d", _drift_of_number),
    Planted("drift: 40 % of a category change", "two classes", "drift", "in city", _drift_of_category),
    Planted("drift: missing 10 % and 40 %", "two classes", "drift", "in a", _drift_of_missing),
    Planted("groups: repeated patient_id", "two classes", "groups", "group=patient_id", _groups),
    Planted("groups: repeated texts like P-0012", "two classes", "groups", "group=origin", _groups_by_value, "note"),
    Planted("ids: texts, nine in ten distinct", "two classes", "columns", "title", _ids, "note"),
    Planted("imbalance: 1 in 60", "two classes", "class balance", "class yes", _imbalance),
    Planted("nearly constant: 149 of 150", "two classes", "constant columns", "flag", _nearly_constant, "note"),
    Planted("an infinite value", "two classes", "missing values", "infinite", _infinite),
    Planted("codes: -999 in 3 %", "two classes", "heterogeneity", "-999", _codes),
    Planted("two units", "two classes", "heterogeneity", "height", _units),
    Planted("two spellings", "two classes", "heterogeneity", "Lyon", _spellings),
    Planted("an outlier", "two classes", "outliers", "in d", _outlier, "note"),
)
