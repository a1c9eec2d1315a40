"""Predictions of an exported model, with NumPy and the model's runtime only.

This file is in the folder of an export, next to ``model.json`` and the model. What the model's format cannot do
(text, 64-bit numbers, the calendar) is done by ``preprocessing.py`` before the model; afterwards its output is
converted to classes, and to numbers in the original units.

    python predict.py rows.csv > predictions.csv

    from predict import Exported
    Exported(".").predict({"age": [39, 50], "workclass": ["State-gov", None]})

Runtimes: ``tensorflow`` for ``saved_model``, ``onnxruntime`` for ``model.onnx``, ``ai-edge-litert`` for
``model.tflite``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.portable.answers import TRUE_WORDS, is_yes_or_no
from zoo.portable.digests import check_digests, check_nothing_more
from zoo.portable.preprocessing import encode_inputs
from zoo.portable.rows import Rows, read_inputs, read_rows

FACTS_FILE = "model.json"
FORMAT = 1
CHUNK = 1024
ROUNDING = 1e-9
Runtime = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


class Exported:
    """An exported model.

    Args:
        folder: The export.

    Raises:
        ValueError: If a file of the folder was changed.

    Example:
        >>> Exported("adult-onnx").predict({"age": [39], "workclass": ["State-gov"]})  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path) -> None:
        self.facts = read_facts(Path(folder))
        self._call = RUNTIMES[self.facts["kind"]](Path(folder) / self.facts["file"])

    def predict(self, rows: Rows) -> dict[str, np.ndarray]:
        """Return the predictions of N rows as columns, as ``zoo predict`` does.

        Args:
            rows: For each column N cells: numbers, text, dates, images (H, W, C) or sequences (T, F). None, NaN and
                empty text are missing. Other columns are ignored.

        Raises:
            ValueError: If a column is missing or a cell cannot be read; the message names the row, counted from 1.
        """
        return decode_outputs(self.output(rows), self.facts["output"])

    def output(self, rows: Rows) -> dict[str, np.ndarray]:
        """Return the outputs of the model for N rows by name, (N, …) each."""
        return self.output_of(read_inputs(rows, self.facts["inputs"]))

    def output_of(self, raw: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the outputs of the model for raw values by key, N each."""
        count = len(next(iter(raw.values())))
        size = self.facts["batch"] or CHUNK
        outputs = []
        for start in range(0, count, size):
            tensors = {key: values[start : start + size] for key, values in raw.items()}
            outputs.append(self._call(encode_inputs(tensors, self.facts)))
        if not outputs:
            raise ValueError("there are no rows")
        return {name: _join_rows([part[name] for part in outputs]) for name in outputs[0]}


def _join_rows(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the rows of all parts: one array, or if rows differ in size an array (N,) of arrays."""
    if len({part.shape[1:] for part in parts}) == 1:
        return np.concatenate(parts)
    rows = [row for part in parts for row in part]
    joined = np.empty(len(rows), object)
    joined[:] = rows
    return joined


# --- the folder ---


def read_facts(folder: Path) -> dict[str, Any]:
    """Read ``model.json`` and check that no file was changed.

    Raises:
        ValueError: If a file was changed, or a newer zoo wrote the export.
    """
    facts: dict[str, Any] = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    if facts.get("format", 0) > FORMAT:
        raise ValueError(f"{folder}: format {facts['format']}; this predict.py reads formats up to {FORMAT}")
    check_digests(facts, folder / FACTS_FILE)
    check_nothing_more(facts, folder / FACTS_FILE, facts["file"])
    return facts


# --- the runtimes ---


def _onnx(path: Path) -> Runtime:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def call(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(tensors)), strict=True))

    return call


def _litert(path: Path) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return lambda tensors: dict(run(**tensors))


def _saved_model(path: Path) -> Runtime:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def call(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = loaded.serve({name: tf.constant(values) for name, values in tensors.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return call


RUNTIMES = {"onnx": _onnx, "litert": _litert, "savedmodel": _saved_model}


# --- from output to predictions ---


def decode_outputs(output: Mapping[str, np.ndarray], rule: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert a model's outputs by name to columns of predictions, N rows each."""
    if rule["kind"] == "mask":
        return _masks(output[rule["of"]], rule)
    values = np.asarray(output[rule["of"]], np.float64)
    if rule["kind"] == "several":
        return _decode_several(values, rule["parts"])
    if rule["kind"] == "number":
        return {"prediction": values.reshape(len(values)) * rule["std"] + rule["mean"]}
    if rule["kind"] == "numbers":
        values = values.reshape(len(values), -1) * rule["std"] + rule["mean"]
        return {name: values[:, index] for index, name in enumerate(rule["columns"])}
    if rule["kind"] == "quantiles":
        values = np.sort(values, axis=1) * rule["std"] + rule["mean"]
        columns = {f"quantile_{level:g}": values[:, index] for index, level in enumerate(rule["levels"])}
        return {"prediction": values[:, rule["middle"]], **columns}
    if rule["kind"] == "bounded":  # from -1 to 1, to within the bounds of each column
        low, high = np.asarray(rule["bounds"], np.float64).T
        values = low + (np.clip(values, -1.0, 1.0) + 1) / 2 * (high - low)
        return {name: values[:, index] for index, name in enumerate(rule["columns"])}
    if rule["kind"] == "combination":  # several choices at once
        chosen = np.array(rule["combinations"])[values.argmax(axis=1)]
        return {name: chosen[:, index] for index, name in enumerate(rule["columns"])}
    if rule["kind"] == "alarm":  # a score above a threshold, with the parts of the score that matter most
        score = values.reshape(len(values))
        threshold = np.inf if rule["threshold"] is None else rule["threshold"]
        parts = np.asarray(output[rule["parts"]], np.float64)
        reasons = _largest_parts(parts, rule["columns"])
        return {"prediction": (~(score <= threshold)).astype(np.int64), "score": score, "columns": reasons}
    if rule["kind"] == "ranking":  # codes of items by rank, from 1, with their scores
        return _best_ranked(values.astype(np.int64), np.asarray(output[rule["scores"]], np.float64), output, rule)
    if rule["kind"] == "choice":
        named = {rule["column"]: np.array(rule["classes"])[values.argmax(axis=1)]}
        if "score" in rule:  # another output, of one number
            named["score"] = np.asarray(output[rule["score"]], np.float64)[:, 0]
        return {**(_probabilities(values, rule["classes"]) if rule["probabilities"] else {}), **named}
    values = np.concatenate([1 - values, values], axis=-1) if values.shape[-1] == 1 else values
    values = values / values.sum(axis=-1, keepdims=True)
    called = values.argmax(axis=1)
    if rule.get("ordered"):  # the median class
        called = choose_median_class(values)
    if rule["threshold"] is not None:
        place = rule["positive"]
        called = np.where(values[:, place] >= rule["threshold"], place, 1 - place)
    return {"prediction": np.array(rule["classes"])[called], **_probabilities(values, rule["names"])}


def _decode_several(values: np.ndarray, parts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Convert the outputs of several targets, which stand one after another (N, sum of widths)."""
    predictions: dict[str, np.ndarray] = {}
    probabilities: dict[str, np.ndarray] = {}
    start = 0
    for part in parts:
        columns = decode_outputs({"output": values[:, start : start + part["width"]]}, part["rule"])
        start += part["width"]
        predictions[f"prediction_{part['name']}"] = columns.pop("prediction")
        if len(columns) == 2 and is_yes_or_no(part["rule"]["names"]):  # the probability of yes says all
            yes = next(name for name in part["rule"]["names"] if name.strip().lower() in TRUE_WORDS)
            columns = {"": columns[f"probability_{yes}"]}
        for name, column in columns.items():
            rest = name.removeprefix("probability_")
            probabilities[f"probability_{part['name']}" + (f"_{rest}" if rest else "")] = column
    return {**predictions, **probabilities}


def _masks(output: Any, rule: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the mask (H, W) of each image, with its values, and the fraction of each class in it.

    Args:
        output: Probabilities (H, W, K) of N images, or their class indices (H, W).
        rule: Values and names of the K classes.
    """
    values, masks = np.array(rule["values"], np.uint8), np.empty(len(output), object)
    fractions = np.empty((len(output), len(values)))
    for row, pixels in enumerate(output):
        classes = pixels.argmax(axis=-1) if np.ndim(pixels) == 3 else pixels
        masks[row] = values[classes]
        fractions[row] = np.bincount(classes.ravel(), minlength=len(values)) / classes.size
    return {"prediction": masks, **{f"fraction_{name}": fractions[:, i] for i, name in enumerate(rule["classes"])}}


def choose_median_class(probabilities: np.ndarray) -> np.ndarray:
    """Return the median class (N,) for probabilities (N, K): the lowest whose cumulative probability is at least 0.5.

    It has the least expected rank error; the most likely class neglects those in the middle.

    Example:
        >>> choose_median_class(np.array([[0.4, 0.2, 0.4]]))
        array([1])
    """
    below = np.cumsum(probabilities, axis=1)[:, :-1] < 0.5 - ROUNDING
    return np.asarray(below.sum(axis=1))


def _largest_parts(parts: np.ndarray, names: Sequence[str], most: int = 3) -> np.ndarray:
    """Return for each row, as a JSON object, the largest parts of a sum as fractions of it, by name (N,)."""
    fractions = parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-300)
    order = np.argsort(-parts, axis=1, kind="stable")[:, :most]
    texts = [
        json.dumps({names[index]: round(float(row[index]), 4) for index in chosen}, ensure_ascii=False)
        for row, chosen in zip(fractions, order, strict=True)
    ]
    return np.array(texts, dtype=object)


def _best_ranked(
    codes: np.ndarray, scores: np.ndarray, output: Mapping[str, np.ndarray], rule: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the best items of each row and their scores, as JSON lists by rank; code 0 stands for none."""
    names, columns = rule["classes"], {"prediction": [], "score": []}  # type: tuple[Sequence[str], dict[str, list[str]]]
    for row, values in zip(codes[:, : rule["top"]], scores, strict=True):
        chosen = [place for place, code in enumerate(row) if code > 0]
        columns["prediction"].append(json.dumps([names[row[place] - 1] for place in chosen], ensure_ascii=False))
        columns["score"].append(json.dumps([float(f"{values[place]:.6g}") for place in chosen]))
    lists = {name: np.array(texts, dtype=object) for name, texts in columns.items()}
    return {**lists, rule["count"]: np.asarray(output[rule["count"]], np.int64).reshape(len(codes))}


def _probabilities(values: np.ndarray, names: Sequence[Any]) -> dict[str, np.ndarray]:
    return {f"probability_{name}": values[:, index] for index, name in enumerate(names)}


# --- the command line ---


def main() -> None:
    """Print the predictions of a file's rows as CSV."""
    if len(sys.argv) != 2:
        sys.exit("usage: python predict.py ROWS.csv (or .jsonl, or .npz with an array of examples by column)")
    try:
        predictions = Exported(Path(__file__).parent).predict(read_rows(Path(sys.argv[1])))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    write = csv.writer(sys.stdout)
    write.writerow(predictions)
    write.writerows(zip(*(map(_plain, column.tolist()) for column in predictions.values()), strict=True))


def _plain(cell: Any) -> Any:
    return cell.tolist() if isinstance(cell, np.ndarray) else cell


if __name__ == "__main__":
    main()
