"""Exports of a model: a folder that predicts without zoo, as TensorFlow SavedModel, ONNX or LiteRT."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import JobError, UsageError, describe_missing_packages
from zoo.models.built_model import CALIBRATION, find_preprocessing
from zoo.portable import predict
from zoo.portable.digests import add_digests
from zoo.portable.predict import FACTS_FILE
from zoo.portable.preprocessing import STEPS, is_length
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.saving.model import Model
from zoo.saving.portable_inputs import describe_input
from zoo.spec import ImageInput
from zoo.task import OutputRules, load_task
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
        UsageError: With the extra to install.
    """
    if (missing := describe_missing_packages(NEEDS[kind], kind)) is not None:
        raise UsageError(missing, where="format")


def write_export(folder: Path, model: Model, kind: str, *, run_id: str = "", quantize: bool = False) -> None:
    """Write the folder of an export; its predictions are compared elsewhere.

    Args:
        folder: Created if it does not exist.
        model: The model.
        kind: ``savedmodel`` (the full model, raw rows in), ``onnx`` or ``litert`` (the network; NumPy preprocesses text
            and 64-bit numbers, which these formats do not support).
        run_id: MLflow's id of the model's run.
        quantize: For LiteRT: weights are stored in 8 bits and converted to floats for computation.

    Raises:
        UsageError: When the format does not support the model, with the reason.
    """
    rules = load_task(model.spec.task).rules(model.spec)
    if type(rules).predictions is not OutputRules.predictions:
        message = f"the task {model.spec.task} overrides predictions, which an export cannot run; override decoding"
        raise UsageError(message, where="format")
    folder.mkdir(parents=True, exist_ok=True)
    graph = (
        _full_graph(model.keras_model) if kind == SAVED_MODEL else _graph_after_preprocessing(model.keras_model, kind)
    )
    batch = None
    if kind == SAVED_MODEL:
        _write_saved_model(folder / FILES[kind], graph, graph.signature())
        if model.spec.of_kind(ImageInput):
            batch = 1  # images of several sizes cannot form a batch
    elif kind == ONNX:
        _write_onnx(folder / FILES[kind], graph)
        if any(not image.height for image in model.spec.of_kind(ImageInput)):
            batch = 1  # for the same reason, since they are not resized
    else:
        batch = _write_litert(folder / FILES[kind], graph, quantize)
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
        "inputs": [describe_input(input_) for input_ in model.spec.inputs],
        "steps": graph.steps,
        "tensors": {
            input_.name: {"from": graph.tensors[input_.name], "dtype": input_.dtype} for input_ in graph.inputs
        },
        "output": rules.decoding(),
    }
    contents = add_digests(facts, folder, (path for path in folder.rglob("*") if path.is_file()))
    (folder / FACTS_FILE).write_text(json.dumps(contents, indent=1), encoding="utf-8")


# --- the graph after preprocessing ---


@dataclass(frozen=True)
class _ExportedGraph:
    """What the file of an export contains.

    Args:
        call: From tensors by name to outputs.
        layers: The layers that ``call`` uses.
        inputs: The Keras tensors that it takes.
        steps: Preprocessing steps that NumPy carries out before it, in order.
        tensors: For each input by name, the step output or raw input that it is.
    """

    call: Callable[[Mapping[str, Any]], Any]
    layers: Sequence[Any]
    inputs: Sequence[Any]
    steps: Sequence[Mapping[str, Any]]
    tensors: Mapping[str, str]

    def signature(self, rows: int | None = None) -> dict[str, Any]:
        """Return the tensor specs of the inputs by name."""
        import tensorflow as tf

        return {
            input_.name: tf.TensorSpec((rows, *input_.shape[1:]), input_.dtype, name=input_.name)
            for input_ in self.inputs
        }

    def outputs(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs by name."""
        output = self.call(tensors)
        return dict(output) if isinstance(output, Mapping) else {OUTPUT: output}


def _full_graph(model: Any) -> _ExportedGraph:
    names = {input_.name: input_.name for input_ in model.inputs}
    return _ExportedGraph(lambda tensors: model(dict(tensors), training=False), [model], model.inputs, [], names)


def _graph_after_preprocessing(model: Any, kind: str) -> _ExportedGraph:
    """Return network and calibration as a graph, with preprocessing as NumPy steps."""
    preprocessing = find_preprocessing(model)
    layers_by_name = {
        layer.name: layer
        for layer in model.layers
        if type(layer).__name__ != "InputLayer" and layer is not preprocessing
    }
    calibration = layers_by_name.pop(CALIBRATION, None)
    if preprocessing is None or len(layers_by_name) != 1:
        texts = [input_.name for input_ in model.inputs if input_.dtype == "string"]
        if texts:
            message = f"the network takes text ({texts[0]}), which {kind} does not support; use savedmodel"
            raise UsageError(message, where="format")
        return _full_graph(model)
    (network,) = layers_by_name.values()  # a user's own model keeps its name
    layers = [network] if calibration is None else [network, calibration]

    def call(tensors: Mapping[str, Any]) -> Any:
        alone = len(tensors) == 1 and not isinstance(network.input, Mapping)
        output = network(next(iter(tensors.values())) if alone else dict(tensors), training=False)
        return output if calibration is None else calibration(output)

    steps, outputs = list_steps(preprocessing, kind)
    only_output = next(iter(outputs.values()))
    tensors = {input_.name: outputs.get(input_.name, only_output) for input_ in network.inputs}
    return _ExportedGraph(call, layers, network.inputs, steps, tensors)


def list_steps(preprocessing: Any, kind: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the layers of a preprocessing model as plain steps in order, and the tensor of each of its outputs.

    Args:
        preprocessing: The Keras model from raw to preprocessed tensors.
        kind: The format, for the error.

    Raises:
        UsageError: When NumPy has no counterpart of a layer.
    """
    names = {id(tensor): tensor.name for tensor in preprocessing.inputs}
    remaining = [layer for layer in preprocessing.layers if type(layer).__name__ != "InputLayer"]
    steps = []
    while remaining:
        ready = [layer for layer in remaining if all(id(tensor) in names for tensor in _node(layer).input_tensors)]
        for layer in ready:
            node, name = _node(layer), type(layer).__name__
            if name not in STEPS:
                message = f"{kind} does not support the preprocessing layer {name}; use savedmodel"
                raise UsageError(message, where="format")
            output_names = [f"{layer.name}:{place}" for place in range(len(node.output_tensors))]
            names |= {
                id(tensor): output_name for tensor, output_name in zip(node.output_tensors, output_names, strict=True)
            }
            input_names = [names[id(tensor)] for tensor in node.input_tensors]
            steps.append({"layer": name, "config": layer.get_config(), "takes": input_names, "gives": output_names})
            remaining.remove(layer)
    output = preprocessing.output
    outputs = output if isinstance(output, Mapping) else {OUTPUT: output}
    return steps, {name: names[id(tensor)] for name, tensor in outputs.items()}


def _node(layer: Any) -> Any:
    return layer._inbound_nodes[0]


# --- the formats ---


def _write_saved_model(folder: Path, graph: _ExportedGraph, signature: Mapping[str, Any]) -> None:
    import keras

    archive = keras.export.ExportArchive()
    for layer in graph.layers:
        archive.track(layer)
    archive.add_endpoint("serve", graph.outputs, [dict(signature)])
    archive.write_out(str(folder), verbose=False)


def _write_onnx(path: Path, graph: _ExportedGraph) -> None:
    import tensorflow as tf
    import tf2onnx

    signature = graph.signature()
    names, specs = list(signature), list(signature.values())
    function = tf.function(
        lambda *tensors: graph.outputs(dict(zip(names, tensors, strict=True))), input_signature=specs
    )
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    # Its output is suppressed; the file is checked by running it.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        onnx_model, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)
    path.write_bytes(onnx_model.SerializeToString())


def _write_litert(path: Path, graph: _ExportedGraph, quantize: bool) -> int | None:
    """Write the file; return the batch size that it requires, or None for any.

    Some networks convert only for a batch of one: loops over time steps, whose lists of tensors need known shapes, and
    images that are resized and then convolved.
    """
    batch_sizes = [1] if any(is_length(input_.name) for input_ in graph.inputs) else [None, 1]
    for rows in batch_sizes:
        try:
            path.write_bytes(_converted(graph, rows, quantize))
        except Exception as error:  # the converter raises errors of any kind
            if rows is None:
                continue
            operation = re.search(r"'(tf\.\w+)' op", str(error))
            reason = f"{operation[1]}" if operation else str(error).strip().splitlines()[-1][-200:]
            message = f"litert does not support an operation of the network, {reason}; use savedmodel"
            raise UsageError(message, where="format") from None
        return rows
    raise AssertionError("the last way returns or raises")


def _converted(graph: _ExportedGraph, rows: int | None, quantize: bool) -> bytes:
    import tensorflow as tf

    with open_temporary_folder() as folder:
        _write_saved_model(folder / "whole", graph, graph.signature(rows))
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "whole"))
        converter.experimental_enable_resource_variables = True
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if quantize else []
        content: bytes = converter.convert()
        return content


def convert_to_columns(frame: Any) -> dict[str, list[Any]]:
    """Return a frame's cells by column, as an export takes them: None for a missing cell."""
    return {str(name): frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns}


def measure_difference(expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> tuple[float, int]:
    """Return the largest difference between outputs of an export and of the model, and its row.

    If the outputs have a standard deviation above 1, such as action values, differences are divided by it.

    Args:
        expected: The model's outputs by name, N rows each.
        actual: The export's outputs.

    Raises:
        JobError: When names or shapes differ.
    """
    greatest, where = 0.0, 0
    for name, values in expected.items():
        if name not in actual or actual[name].shape != values.shape:
            shapes = {other: array.shape for other, array in actual.items()}
            raise JobError(f"the export's outputs are {shapes}; the model's {name} is {values.shape}", where="format")
        if values.dtype == object:  # arrays of several sizes
            rows = zip(values, actual[name], strict=True)
            largest = [measure_difference({name: first[None]}, {name: second[None]})[0] for first, second in rows]
            if max(largest, default=0.0) > greatest:
                greatest, where = max(largest), int(np.argmax(largest))
            continue
        both_missing = np.isnan(values) & np.isnan(actual[name])
        differences = np.where(both_missing, 0.0, np.abs(values - actual[name])).reshape(len(values), -1).max(axis=1)
        differences = np.where(np.isnan(differences), np.inf, differences / max(1.0, float(np.nanstd(values))))
        if differences.max(initial=0.0) > greatest:
            greatest, where = float(differences.max()), int(differences.argmax())
    return greatest, where


def convert_ranked(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], rule: Mapping[str, Any]
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Return outputs in which each ranked item is replaced by the score that the model gives to it.

    Items whose scores are almost equal may then change places. Scores are from 0 to 1 in each row.

    Args:
        expected: The model's outputs by name, N rows each.
        actual: The export's outputs.
        rule: How outputs are decoded, of the kind ``ranking``.

    Raises:
        JobError: When shapes differ.

    Example:
        >>> expected = {"items": np.array([[7, 5, 6]]), "scores": np.array([[9.0, 1.0, 1.0]])}
        >>> actual = {"items": np.array([[7, 6, 5]]), "scores": np.array([[9.0, 1.0, 1.0]])}
        >>> measure_difference(*convert_ranked(expected, actual, {"of": "items", "scores": "scores"}))[0]
        0.0
    """
    items, scores = expected[rule["of"]], np.asarray(expected[rule["scores"]], np.float64)
    ranked = np.asarray(actual[rule["of"]])
    if ranked.shape != items.shape:
        raise JobError(f"the export ranks items of shape {ranked.shape}; the model {items.shape}", where="format")
    real = items > 0  # 0 stands for none
    lowest = np.where(real, scores, np.inf).min(axis=1, keepdims=True)
    highest = np.where(real, scores, -np.inf).max(axis=1, keepdims=True)
    scores = np.where(real, (scores - lowest) / np.maximum(highest - lowest, 1e-6), -1.0)
    given = np.zeros_like(scores)
    for row in range(len(items)):
        score_of = dict(zip(items[row].tolist(), scores[row].tolist(), strict=True))
        # an item that the model does not rank has at most its lowest score
        given[row] = [score_of.get(item, 0.0) if item > 0 else -1.0 for item in ranked[row].tolist()]
    return {**expected, rule["of"]: scores}, {**actual, rule["of"]: given}


def measure_disagreement(expected: Any, actual: Mapping[str, np.ndarray], scale: float) -> float:
    """Return the fraction of rows whose prediction differs: another class, or a number that is off by 0.001 or more.

    Of an array in a cell, such as a mask, it is the fraction of its values that differ.

    Args:
        expected: The model's predictions, a frame of N rows.
        actual: The export's predictions, by column.
        scale: Divisor for differences of numbers: the target's standard deviation.
    """
    if list(expected.columns) != list(actual):
        return 1.0
    differs = np.zeros(len(expected))
    for name in expected.columns:
        values = expected[name].to_numpy()
        if len(values) and isinstance(values[0], np.ndarray):
            pairs = zip(values, actual[name], strict=True)
            differs = np.maximum(differs, [np.mean(first != second) for first, second in pairs])
        elif values.dtype.kind == "f" and actual[name].dtype.kind == "f":
            differs[~np.isclose(actual[name], values, rtol=0, atol=1e-3 * scale, equal_nan=True)] = 1
        else:
            differs[values.astype(str) != actual[name].astype(str)] = 1
    return float(differs.mean())
