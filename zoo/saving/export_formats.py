"""Exports of a model: a folder that predicts without zoo, by TensorFlow's SavedModel, ONNX or LiteRT."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.examples.array_columns import IMAGE
from zoo.errors import JobError, UsageError
from zoo.models.built_model import CALIBRATION, preprocessing_of
from zoo.portable import predict
from zoo.portable.digests import with_digests
from zoo.portable.predict import FACTS_FILE
from zoo.portable.preprocessing import LENGTH, STEPS
from zoo.saving.model import Model
from zoo.task import task_of
from zoo.version import __version__

SAVED_MODEL, ONNX, LITERT = "savedmodel", "onnx", "litert"
FILES = {SAVED_MODEL: "saved_model", ONNX: "model.onnx", LITERT: "model.tflite"}
RUNTIMES = {SAVED_MODEL: "tensorflow", ONNX: "onnxruntime", LITERT: "ai-edge-litert"}
NEEDS = {SAVED_MODEL: (), ONNX: ("tf2onnx", "onnx", "onnxruntime"), LITERT: ("ai_edge_litert",)}
OUTPUT = "output"
OPSET = 18
_PACKAGE = "zoo.portable."


def check_packages(kind: str) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        UsageError: With the extra that brings them.
    """
    absent = [name for name in NEEDS[kind] if importlib.util.find_spec(name) is None]
    if absent:
        told = f'{", ".join(absent)} is not installed; pip install "keras-task-zoo[{kind}]" brings what it needs'
        raise UsageError(told, where="format")


def write_export(folder: Path, model: Model, kind: str, *, run_id: str = "", quantize: bool = False) -> None:
    """Write the folder of an export; nobody has compared its predictions yet.

    Args:
        folder: Made when it is not there.
        model: The model.
        kind: ``savedmodel`` (the whole model, raw rows in), ``onnx`` or ``litert`` (the network; text and 64-bit
            numbers, which these cannot hold, are prepared by NumPy before it).
        run_id: MLflow's id of the model's run.
        quantize: For LiteRT: weights are kept in 8 bits, and computed with as floats.

    Raises:
        JobError: With the reason, where the format cannot hold the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = _whole(model.keras_model) if kind == SAVED_MODEL else _behind_preprocessing(model.keras_model, kind)
    batch = None
    if kind == SAVED_MODEL:
        _write_saved_model(folder / FILES[kind], held, held.signature())
        if any(known.kind == IMAGE for known in model.spec.inputs):
            batch = 1  # images of several sizes make no batch
    elif kind == ONNX:
        _write_onnx(folder / FILES[kind], held)
    else:
        batch = _write_litert(folder / FILES[kind], held, quantize)
    for path in sorted(Path(predict.__file__).parent.glob("[a-z]*.py")):
        text = path.read_text(encoding="utf-8").replace(f"from {_PACKAGE}", "from ")
        (folder / path.name).write_text(text, encoding="utf-8")
    facts = {
        "format": predict.FORMAT,
        "zoo": __version__,
        "model": model.name,
        "run": run_id,
        "kind": kind,
        "file": FILES[kind],
        "quantized": quantize,
        "runtime": RUNTIMES[kind],
        "batch": batch,
        "inputs": [_plain_input(known) for known in model.spec.inputs],
        "steps": held.steps,
        "tensors": {known.name: {"from": held.tensors[known.name], "dtype": known.dtype} for known in held.inputs},
        "output": task_of(model.spec.task).decoding(model.spec),
    }
    told = with_digests(facts, folder, (path for path in folder.rglob("*") if path.is_file()))
    (folder / FACTS_FILE).write_text(json.dumps(told, indent=1), encoding="utf-8")


def _plain_input(known: Any) -> dict[str, Any]:
    """What reading the cells of a column takes; what preparation takes stands in its steps."""
    wanted = ("was_missing", "way", "numeric", "format", "strict", "idf")
    facts = {name: value for name, value in known.statistics.items() if name in wanted}
    if "idf" in facts:
        facts["idf"] = True
    return {"name": known.name, "key": known.key, "kind": known.kind, "shape": known.shape, "statistics": facts}


# --- what stands behind the preparation ---


@dataclass(frozen=True)
class _Held:
    """What the file of an export holds.

    Args:
        call: From tensors by name to outputs.
        layers: What ``call`` is made of.
        inputs: The Keras tensors that it takes.
        steps: What NumPy does before it, in order.
        tensors: By the name of each input, which step's output, or raw input, it is.
    """

    call: Callable[[Mapping[str, Any]], Any]
    layers: Sequence[Any]
    inputs: Sequence[Any]
    steps: Sequence[Mapping[str, Any]]
    tensors: Mapping[str, str]

    def signature(self, rows: int | None = None) -> dict[str, Any]:
        """Return the forms of the inputs, by name."""
        import tensorflow as tf

        return {
            known.name: tf.TensorSpec((rows, *known.shape[1:]), known.dtype, name=known.name) for known in self.inputs
        }

    def outputs(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs by name."""
        made = self.call(tensors)
        return dict(made) if isinstance(made, Mapping) else {OUTPUT: made}


def _whole(model: Any) -> _Held:
    names = {known.name: known.name for known in model.inputs}
    return _Held(lambda tensors: model(dict(tensors), training=False), [model], model.inputs, [], names)


def _behind_preprocessing(model: Any, kind: str) -> _Held:
    """Network and calibration, with the steps of the preparation before them."""
    preprocessing = preprocessing_of(model)
    parts = {
        layer.name: layer
        for layer in model.layers
        if type(layer).__name__ != "InputLayer" and layer is not preprocessing
    }
    calibration = parts.pop(CALIBRATION, None)
    if preprocessing is None or len(parts) != 1:
        texts = [known.name for known in model.inputs if known.dtype == "string"]
        if texts:
            told = f"the network itself takes text ({texts[0]}), and {kind} holds none; savedmodel does"
            raise JobError(told, where="format")
        return _whole(model)
    (network,) = parts.values()  # a model of one's own keeps its name
    layers = [network] if calibration is None else [network, calibration]

    def call(tensors: Mapping[str, Any]) -> Any:
        alone = len(tensors) == 1 and not isinstance(network.input, Mapping)
        output = network(next(iter(tensors.values())) if alone else dict(tensors), training=False)
        return output if calibration is None else calibration(output)

    steps, made = steps_of(preprocessing, kind)
    only = next(iter(made.values()))
    tensors = {known.name: made.get(known.name, only) for known in network.inputs}
    return _Held(call, layers, network.inputs, steps, tensors)


def steps_of(preprocessing: Any, kind: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the layers of a preparation as plain steps in order, and which tensor each of its outputs is.

    Args:
        preparation: The Keras model from raw to prepared.
        kind: The format, for the error.

    Raises:
        JobError: When NumPy has no counterpart of a layer.
    """
    names = {id(tensor): tensor.name for tensor in preprocessing.inputs}
    waiting = [layer for layer in preprocessing.layers if type(layer).__name__ != "InputLayer"]
    steps = []
    while waiting:
        ready = [layer for layer in waiting if all(id(known) in names for known in _node(layer).input_tensors)]
        for layer in ready:
            node, name = _node(layer), type(layer).__name__
            if name not in STEPS:
                told = f"NumPy has no counterpart of the layer {name} that prepares columns; savedmodel holds it"
                raise JobError(told, where="format")
            gives = [f"{layer.name}:{place}" for place in range(len(node.output_tensors))]
            names |= {id(tensor): own for tensor, own in zip(node.output_tensors, gives, strict=True)}
            takes = [names[id(tensor)] for tensor in node.input_tensors]
            steps.append({"layer": name, "config": layer.get_config(), "takes": takes, "gives": gives})
            waiting.remove(layer)
    output = preprocessing.output
    outputs = output if isinstance(output, Mapping) else {OUTPUT: output}
    return steps, {name: names[id(tensor)] for name, tensor in outputs.items()}


def _node(layer: Any) -> Any:
    return layer._inbound_nodes[0]


# --- the formats ---


def _write_saved_model(folder: Path, held: _Held, signature: Mapping[str, Any]) -> None:
    import keras

    archive = keras.export.ExportArchive()
    for layer in held.layers:
        archive.track(layer)
    archive.add_endpoint("serve", held.outputs, [dict(signature)])
    archive.write_out(str(folder), verbose=False)


def _write_onnx(path: Path, held: _Held) -> None:
    import tensorflow as tf
    import tf2onnx

    signature = held.signature()
    names, forms = list(signature), list(signature.values())
    function = tf.function(lambda *tensors: held.outputs(dict(zip(names, tensors, strict=True))), input_signature=forms)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    # What it prints is no news: whether the file is right is found by running it.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        made, _ = tf2onnx.convert.from_function(function, input_signature=forms, opset=OPSET)
    path.write_bytes(made.SerializeToString())


def _write_litert(path: Path, held: _Held, quantize: bool) -> int | None:
    """Write the file; return the number of rows that it takes at a time, or None for any.

    Some networks convert for one row alone: loops over steps keep lists of tensors whose form LiteRT has to know, and
    what is resized and then convolved.
    """
    ways = [1] if LENGTH in {known.name for known in held.inputs} else [None, 1]
    for rows in ways:
        try:
            path.write_bytes(_converted(held, rows, quantize))
        except Exception as error:  # the converter raises whatever its passes do
            if rows is None:
                continue
            told = re.search(r"'(tf\.\w+)' op", str(error))
            reason = f"{told[1]}" if told else str(error).strip().splitlines()[-1][-200:]
            raise JobError(f"LiteRT has no operation for a part of the network: {reason}", where="format") from None
        return rows
    raise AssertionError("the last way returns or raises")


def _converted(held: _Held, rows: int | None, quantize: bool) -> bytes:
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        _write_saved_model(Path(folder) / "whole", held, held.signature(rows))
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "whole"))
        converter.experimental_enable_resource_variables = True
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if quantize else []
        made: bytes = converter.convert()
        return made


def as_columns(frame: Any) -> dict[str, list[Any]]:
    """Return a frame's cells by column, as an export takes them: None where one is missing."""
    return {str(name): frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns}


def largest_difference(expected: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray]) -> tuple[float, int]:
    """Return how far outputs of an export are from the model's at most, and in which row.

    Numbers that are wide apart, such as values of actions, are compared by their standard deviation.

    Args:
        expected: The model's outputs by name, N rows each.
        made: Those of the export.

    Raises:
        JobError: When these are others, or of another shape.
    """
    greatest, where = 0.0, 0
    for name, values in expected.items():
        if name not in made or made[name].shape != values.shape:
            found = {known: array.shape for known, array in made.items()}
            raise JobError(f"the export's outputs are {found}; the model's {name} is {values.shape}", where="format")
        both = np.isnan(values) & np.isnan(made[name])
        off = np.where(both, 0.0, np.abs(values - made[name])).reshape(len(values), -1).max(axis=1)
        off = np.where(np.isnan(off), np.inf, off / max(1.0, float(np.nanstd(values))))
        if off.max(initial=0.0) > greatest:
            greatest, where = float(off.max()), int(off.argmax())
    return greatest, where


def differing_predictions(expected: Any, made: Mapping[str, np.ndarray], scale: float) -> float:
    """Return the share of rows that an export predicts otherwise than the model: another class, or number by 0.001.

    Args:
        expected: The model's predictions, a frame of N rows.
        made: Those of the export, by column.
        scale: What a difference of numbers is divided by: the target's standard deviation.
    """
    if list(expected.columns) != list(made):
        return 1.0
    differs = np.zeros(len(expected), bool)
    for name in expected.columns:
        values = expected[name].to_numpy()
        if values.dtype.kind == "f" and made[name].dtype.kind == "f":
            differs |= ~np.isclose(made[name], values, rtol=0, atol=1e-3 * scale, equal_nan=True)
        else:
            differs |= values.astype(str) != made[name].astype(str)
    return float(differs.mean())
