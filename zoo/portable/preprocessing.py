"""Preprocessing of an exported model with NumPy only.

There is one function for each preprocessing layer of a zoo model, by the layer's name in ``STEPS``; ``model.json``
lists the steps with their configuration.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from zoo.portable.ngrams import hash_ngrams
from zoo.portable.rows import ARRAY, EARLIEST, LATEST, OBSERVATION, SEQUENCE

UNSEEN, MISSING, FIRST_LEVEL = 0, 1, 2
LENGTH = "length"
DAYS_A_YEAR = 365.25
CALENDAR = ("year", "month", "day", "weekday", "hour", "season_sin", "season_cos", "elapsed")
# Letters and digits; equals [\p{L}\p{N}]+ in TensorFlow's regular expressions.
_WORD = re.compile(r"[^\W_]+")
# Separators of the items of a list, such as a basket, by the unit of its text; None for white space.
SEPARATORS: dict[str, str | None] = {"tab": "\t", "semicolon": ";", "comma": ",", "bar": "|", "space": None}


def encode_inputs(raw: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the model's input tensors by name, given raw values by key."""
    tensors: dict[str, Any] = dict(raw)
    sequences = [input_["key"] for input_ in facts["inputs"] if input_["kind"] == SEQUENCE]
    for input_ in facts["inputs"]:
        key = input_["key"]
        if input_["kind"] == SEQUENCE:
            tensors[key], tensors[name_length_input(key, sequences)] = _padded(raw[key])
        elif input_["kind"] in (OBSERVATION, ARRAY):
            tensors[key] = np.stack(raw[key])
    for step in facts["steps"]:
        result = STEPS[step["layer"]](step["config"], *(tensors[name] for name in step["takes"]))
        tensors.update(zip(step["gives"], result if isinstance(result, list) else [result], strict=True))
    return {name: _tensor(tensors[target["from"]], target["dtype"]) for name, target in facts["tensors"].items()}


def name_length_input(key: str, keys: Collection[str]) -> str:
    """Return the name of the input with the lengths of sequences: ``length``, or of several ``<key>_length``.

    Args:
        key: Name of the input with the sequences.
        keys: Names of all inputs with sequences.

    Example:
        >>> name_length_input("past", ["past"]), name_length_input("past", ["past", "future"])
        ('length', 'past_length')
    """
    return LENGTH if len(keys) == 1 else f"{key}_{LENGTH}"


def is_length(name: str) -> bool:
    """Return whether an input has the lengths of sequences."""
    return name == LENGTH or name.endswith(f"_{LENGTH}")


def _tensor(values: Any, dtype: str) -> np.ndarray:
    array = np.stack(values) if isinstance(values, list) else np.asarray(values)
    return array if dtype == "string" else array.astype(dtype, copy=False)


def _padded(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences (T, …) as one array (B, T, …), padded with zeros at the end, and their lengths (B,)."""
    lengths = np.array([len(steps) for steps in sequences], np.int32)
    padded = np.zeros((len(sequences), max(1, lengths.max()), *sequences[0].shape[1:]), sequences[0].dtype)
    for row, steps in enumerate(sequences):
        padded[row, : len(steps)] = steps
    return padded, lengths


def _numbers(config: Mapping[str, Any], *columns: np.ndarray) -> np.ndarray:
    """Return scaled numbers (B, F'), missing ones at the centre, followed by indicators of missing values."""
    statistics = config["statistics"]
    x = np.stack(columns, axis=-1)  # (B, F)
    missing = np.isnan(x)
    x = np.where(missing, [facts.get("fill", np.nan) for facts in statistics], x)
    nothing = np.isnan(x)
    parts = []
    with np.errstate(invalid="ignore", over="ignore"):
        for name in config["scaling"].split("_"):
            scaled = np.stack(
                [SCALINGS[name](x[:, i], facts, statistics) for i, facts in enumerate(statistics)], axis=-1
            )
            middle: Any = 0.0
            if config["scaling"] == "minmax":
                middle = np.array([SCALINGS["minmax"](facts["mean"], facts, statistics) for facts in statistics])
            limit = np.finfo(np.float32).max
            parts.append(np.clip(np.where(nothing, middle, scaled), -limit, limit).astype(np.float32))
    return np.concatenate([*parts, missing[:, config["indicators"]].astype(np.float32)], axis=-1)


def _robust(x: Any, facts: Mapping[str, Any], _: Any) -> Any:
    quantiles = facts["quantiles"]
    size = len(quantiles) - 1
    spread = quantiles[3 * size // 4] - quantiles[size // 4]
    half_range = (quantiles[-1] - quantiles[0]) / 2
    z = np.clip(
        (x - quantiles[size // 2]) / (spread if spread > 0 else half_range if half_range > 0 else 1.0), -1e100, 1e100
    )
    return z / np.sqrt(1 + np.square(z / 3))


def _quantile(x: Any, facts: Mapping[str, Any], _: Any) -> Any:
    """Return normal quantiles of interpolated ranks; equal quantiles get the mean of their ranks."""
    knots = np.asarray(facts["quantiles"], np.float64)
    steps = len(knots) - 1
    ranks = []
    sides: tuple[Any, ...] = ("left", "right")
    for side in sides:
        above = np.clip(np.searchsorted(knots, x, side=side), 1, steps)
        low, high = knots[above - 1], knots[above]
        share = np.clip(np.divide(x - low, high - low, out=np.zeros_like(x), where=high != low), 0.0, 1.0)
        share = np.where((high == low) & (x >= high), 1.0, share)
        ranks.append((above - 1 + share) / steps)
    rank = np.clip(np.nan_to_num((ranks[0] + ranks[1]) / 2, nan=0.5), 1e-3, 1 - 1e-3)
    return np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])(rank)


def _common(x: Any, facts: Mapping[str, Any], statistics: Sequence[Mapping[str, Any]]) -> Any:
    return (x - facts["mean"]) / (math.sqrt(sum(column["std"] ** 2 for column in statistics) / len(statistics)) or 1.0)


SCALINGS: dict[str, Callable[[Any, Mapping[str, Any], Any], Any]] = {
    "standard": lambda x, facts, _: (x - facts["mean"]) / (facts["std"] or 1.0),
    "minmax": lambda x, facts, _: (x - facts["min"]) / ((facts["max"] - facts["min"]) or 1.0),
    "robust": _robust,
    "quantile": _quantile,
    "common": _common,
}


def _levels(config: Mapping[str, Any], *columns: np.ndarray) -> np.ndarray:
    """Return codes (B, C): 0 for unknown, 1 for missing, from 2 the known categories."""
    codes = []
    for texts, names, fill in zip(columns, config["levels"], config["fills"], strict=True):
        codes_by_name = {"": MISSING, **{name: code for code, name in enumerate(names, FIRST_LEVEL)}}
        codes.append([codes_by_name.get(text or fill, UNSEEN) for text in texts])
    return np.array(codes, np.int32).T


def _one_hot(config: Mapping[str, Any], codes: np.ndarray) -> np.ndarray:
    parts = []
    for index, (size, missing) in enumerate(zip(config["sizes"], config["missing"], strict=True)):
        first = MISSING if missing else FIRST_LEVEL
        parts.append(codes[:, index : index + 1] - first == np.arange(size + int(missing)))
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _steps_of_order(config: Mapping[str, Any], codes: np.ndarray) -> np.ndarray:
    parts = []
    for index, (size, missing) in enumerate(zip(config["sizes"], config["missing"], strict=True)):
        place = codes[:, index : index + 1]
        parts += [place < FIRST_LEVEL] if missing else []
        parts.append(place - FIRST_LEVEL >= np.arange(1, size))
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _dates(config: Mapping[str, Any], *columns: np.ndarray) -> np.ndarray:
    """Return standardised calendar features of seconds since 1970 (B, D); missing dates become 0."""
    features = []
    for index, (seconds, facts) in enumerate(zip(columns, config["statistics"], strict=True)):
        missing, fill = np.isnan(seconds), facts.get("fill")
        parts = extract_calendar_parts(np.where(missing, fill or 0.0, seconds))
        for name, (mean, std) in facts["parts"].items():
            features.append(np.where(missing & (fill is None), 0.0, (parts[name] - mean) / std))
        features += [missing.astype(np.float64)] if index in config["indicators"] else []
    return np.stack(features, axis=-1).astype(np.float32)


def extract_calendar_parts(seconds: np.ndarray) -> dict[str, np.ndarray]:
    """Return the calendar features of N dates, each (N,), by the names of ``CALENDAR``.

    The season is the day of the year as sine and cosine, so that December is next to January; ``elapsed`` is in days.

    Args:
        seconds: Seconds since 1970 in UTC (N,), without NaN.

    Example:
        >>> [int(extract_calendar_parts(np.array([0.0]))[name][0]) for name in ("year", "weekday")]
        [1970, 3]
    """
    seconds = np.clip(seconds, EARLIEST, LATEST)
    days = np.floor(seconds).astype("datetime64[s]").astype("datetime64[D]")
    months, years = days.astype("datetime64[M]"), days.astype("datetime64[Y]")
    angle = 2 * np.pi * (days - years.astype("datetime64[D]")).astype(np.float64) / DAYS_A_YEAR
    parts = (
        years.astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday; Monday is 0
        (seconds % 86_400) / 3600,
        np.sin(angle),
        np.cos(angle),
        seconds / 86_400,
    )
    return {name: np.asarray(part, np.float64) for name, part in zip(CALENDAR, parts, strict=True)}


def split_into_tokens(text: str, unit: str) -> list[str]:
    """Split a text into characters, into words in lower case, or into the items of a list by a separator.

    Example:
        >>> split_into_tokens("Ça va?", "word"), split_into_tokens("red wine, beer", "comma")
        (['ça', 'va'], ['red wine', 'beer'])
    """
    if unit in SEPARATORS:
        return [item for part in text.split(SEPARATORS[unit]) if (item := part.strip())]
    return _WORD.findall(text.lower()) if unit == "word" else list(text)


def _tokens(config: Mapping[str, Any], texts: np.ndarray) -> list[np.ndarray]:
    """Return codes (B, T) of characters, words or items, 0 for unknown and padding, and lengths (B,)."""
    code_of = {token: code for code, token in enumerate(config["vocabulary"], 1)}
    rows = []
    for text in texts:
        codes = [code_of.get(token, UNSEEN) for token in split_into_tokens(text, config["unit"])][: config["longest"]]
        rows.append(np.array(codes or [UNSEEN], np.int32))
    return list(_padded(rows))


def _bag_of_words(config: Mapping[str, Any], texts: np.ndarray) -> np.ndarray:
    size = len(config["vocabulary"]) + 1
    codes, lengths = _tokens({**config, "unit": "word", "longest": None}, texts)
    counts = np.stack([np.bincount(row[:n], minlength=size)[1:] for row, n in zip(codes, lengths, strict=True)])
    weighed = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0) * np.array(config["idf"], np.float32)
    squares = np.square(weighed).sum(axis=-1, keepdims=True)
    return (weighed / np.sqrt(np.maximum(squares, 1e-12))).astype(np.float32)


def _steps(config: Mapping[str, Any], steps: np.ndarray, length: np.ndarray) -> list[np.ndarray]:
    """Return standardised steps (B, T, F'), zero where missing or padding, and lengths (B,)."""
    steps, length = steps[:, : config["longest"]], np.minimum(length, config["longest"] or steps.shape[1])
    std = np.array([value if value > 0 else 1.0 for value in config["std"]], np.float32)
    unknown = np.isnan(steps)
    scaled = np.where(unknown, np.float32(0), (steps - np.array(config["mean"], np.float32)) / std)
    indicators = unknown[..., [index for index, value in enumerate(config["missing"]) if value]]
    scaled = np.concatenate([scaled, indicators.astype(np.float32)], axis=-1)
    real = np.arange(steps.shape[1]) < length[:, None]
    return [np.where(real[..., None], scaled, np.float32(0)), length.astype(np.int32)]


def _resized(config: Mapping[str, Any], images: Iterable[np.ndarray]) -> np.ndarray:
    """Resize images to (B, H, W, C) by bilinear interpolation, with antialiasing when downsampling."""
    resized = []
    for image in images:
        old = image.shape[:2]
        new = (config["height"], config["width"]) if config["height"] else old
        values = image.astype(np.float32)
        if old != new:
            down, across = (_triangles(*sides) for sides in zip(old, new, strict=True))
            values = np.einsum("hg,gvc->hvc", down, np.einsum("wv,gvc->gwc", across, values))
        resized.append(values)
    stacked = np.stack(resized)
    return np.clip(np.round(stacked), 0, 255).astype(np.uint8) if config["whole"] else stacked


def _triangles(old: int, new: int) -> np.ndarray:
    """Return the interpolation weights (new, old) of each old line in each new one."""
    scale = old / new
    middles = (np.arange(new) + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(old) + 0.5 - middles[:, None]) / max(scale, 1.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _observations(config: Mapping[str, Any], observations: np.ndarray) -> np.ndarray:
    pairs = [
        (low, high) if low is not None and high is not None and 0 < high - low < 1e4 else (-1.0, 1.0)
        for low, high in zip(config["low"], config["high"], strict=True)
    ]
    low, high = np.array(pairs, np.float32).T
    return (observations - (low + high) / 2) / ((high - low) / 2)


STEPS: dict[str, Callable[..., Any]] = {
    "PrepareNumbers": _numbers,
    "EncodeCategories": _levels,
    "ChooseColumns": lambda config, codes: codes[:, config["places"]],
    "OneHotColumns": _one_hot,
    "StepsOfOrder": _steps_of_order,
    "MissingLevels": lambda config, *columns: np.stack([c == "" for c in columns], axis=-1).astype(np.float32),
    "PrepareDates": _dates,
    "EncodeText": _tokens,
    "BagOfWords": _bag_of_words,
    "HashNgrams": hash_ngrams,
    "PrepareSteps": _steps,
    "ResizeImages": _resized,
    "ScaleObservation": _observations,
    "Rescaling": lambda config, x: np.asarray(x, np.float32) * config["scale"] + np.float32(config["offset"]),
    "Reshape": lambda config, x: x.reshape(len(x), *config["target_shape"]),
    "CategoryEncoding": lambda config, x: (x == np.arange(config["num_tokens"])).astype(np.float32),
    "Concatenate": lambda config, *parts: np.concatenate(parts, axis=-1),
    "Identity": lambda config, x: x,
}
