"""Hyperparameters shared by all networks, declared once so that they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner

from zoo.errors import UsageError
from zoo.models.activations import ACTIVATIONS
from zoo.models.fused_adam import fuse_updates
from zoo.models.search_space import check_value

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "muon")
INITIALIZERS = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal",
    "random_normal", "zeros",
)  # fmt: skip
SCHEDULES = ("constant", "linear", "cosine", "exponential", "one_cycle")
KEPT = ("best", "last")
FULL_BATCH = 0
BATCH_SIZES = (16, 512)


@dataclass(frozen=True)
class Knob:
    """A shared hyperparameter: meaning, default, search range and allowed values."""

    meaning: str
    default: Any
    choices: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    log: bool = False
    minimum: float | None = 0.0
    below: float | None = None


KNOBS: dict[str, Knob] = {
    "optimizer": Knob("optimizer", "adam", OPTIMIZERS),
    "learning_rate": Knob("learning rate", 1e-3, range=(1e-4, 3e-2), log=True),
    "momentum": Knob("momentum of the optimizers momentum and nesterov", 0.9, range=(0.5, 0.99), below=1),
    "weight_decay": Knob("decoupled weight decay per step", 0.0, range=(1e-5, 1e-1), log=True),
    "clip_norm": Knob("maximum global norm of the gradients; 0 for no clipping", 0.0, range=(0.1, 10), log=True),
    "ema_momentum": Knob(
        "momentum of the moving average of the weights, which is scored and kept; 0 for the weights themselves",
        0.0,
        range=(0.9, 0.999),
        below=1,
    ),
    "schedule": Knob("learning-rate schedule over the epochs", "constant", SCHEDULES),
    "warmup": Knob("epochs of linear learning-rate warmup", 0.0, range=(0, 5)),
    "batch_size": Knob(
        "examples per step; full (stored as 0) for the whole training split", 32, range=BATCH_SIZES, log=True
    ),
    "epochs": Knob("maximum number of epochs", 200, range=(10, 500), log=True, minimum=1),
    "patience": Knob("epochs without improvement before early stopping", 20, range=(5, 50), minimum=1),
    "min_delta": Knob(
        "minimum change of the monitored metric that counts as improvement", 0.0, range=(1e-5, 1e-2), log=True
    ),
    "keep": Knob("weights that are kept: of the epoch that is best by validation, or of the last", "best", KEPT),
    "activation": Knob("activation function of hidden layers", "relu", tuple(ACTIVATIONS)),
    "initializer": Knob("weight initializer", "glorot_uniform", INITIALIZERS),
    "normalization": Knob("normalization after each hidden layer", "none", ("none", "batch", "layer")),
    "dropout": Knob("dropout rate of hidden layers", 0.0, range=(0.0, 0.6), below=1),
    "l1": Knob("L1 regularization of weights", 0.0, range=(1e-7, 1e-2), log=True),
    "l2": Knob("L2 regularization of weights", 0.0, range=(1e-7, 1e-2), log=True),
    "loss": Knob("loss; auto selects the default for the target", "auto"),
    "label_smoothing": Knob(
        "fraction of each class's probability that cross-entropy spreads over all classes",
        0.0,
        range=(0.0, 0.3),
        below=1,
    ),
    "scaling": Knob(
        "scaling of numeric columns",
        "standard",
        ("standard", "minmax", "robust", "quantile", "robust_quantile", "common"),
    ),
}


class Knobs:
    """The shared hyperparameters of one model: declares those that it uses and returns their values.

    Args:
        hp: KerasTuner's hyperparameters.
        vary: Names that a search varies by default; the others keep their default.
        defaults: Defaults of the model.

    Example:
        >>> knobs = Knobs(keras_tuner.HyperParameters(), vary=["dropout"], defaults={"dropout": 0.2})
        >>> knobs.get("dropout"), knobs.get("activation")
        (0.2, 'relu')
    """

    def __init__(
        self,
        hp: keras_tuner.HyperParameters,
        *,
        vary: Sequence[str] = (),
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.hp = hp
        self.vary = frozenset(vary)
        self.defaults = dict(defaults or {})
        unknown_names = (self.vary | set(self.defaults)) - set(KNOBS)
        if unknown_names:
            raise UsageError(
                f"unknown shared hyperparameters {', '.join(sorted(unknown_names))}; known: {', '.join(KNOBS)}"
            )

    def get(self, name: str, *, choices: Sequence[str] | None = None) -> Any:
        """Declare a shared hyperparameter and return its value.

        Args:
            name: One of ``KNOBS``.
            choices: Choices that replace the default ones, if they depend on the model.
        """
        knob = KNOBS[name]
        default = type(knob.default)(self.defaults.get(name, knob.default))  # accept 0 for 0.0
        allowed = tuple(choices or knob.choices)
        self._check(name, knob, allowed, type(default))
        full = name == "batch_size" and getattr(self.hp, "fixed", {}).get(name) == FULL_BATCH
        varied = name in self.vary or name in getattr(self.hp, "ranges", {})
        if not varied or full:  # a full batch cannot be part of a range
            return self.hp.Fixed(name, default)
        if allowed:
            return self.hp.Choice(name, list(allowed), default=default)
        assert knob.range is not None
        low, high = knob.range
        default = type(default)(min(max(default, low), high))
        sampling = "log" if knob.log else "linear"
        if isinstance(default, int):
            step = 2 if name == "batch_size" else None
            return self.hp.Int(name, int(low), int(high), step=step, sampling=sampling, default=default)
        return self.hp.Float(name, low, high, sampling=sampling, default=default)

    def optimizer(self, *, averages: bool = False) -> keras.optimizers.Optimizer:
        """Declare the hyperparameters of the optimizer and return it.

        Args:
            averages: Whether the weights may be averaged over the steps, which the fit loop of supervised tasks does.
        """
        name = self.get("optimizer")
        momentum = self.get("momentum")
        average = self.get("ema_momentum") if averages else 0.0
        options = {
            "learning_rate": self.get("learning_rate"),
            "weight_decay": self.get("weight_decay") or None,
            "global_clipnorm": self.get("clip_norm") or None,
        } | ({"use_ema": True, "ema_momentum": average} if average else {})
        if name in ("sgd", "momentum", "nesterov"):
            options |= {} if name == "sgd" else {"momentum": momentum, "nesterov": name == "nesterov"}
            return keras.optimizers.SGD(**options)
        if name in ("adamw", "muon"):
            options["weight_decay"] = options["weight_decay"] or 0.0
        if name == "muon":  # for kernels that are matrices; others, embeddings and output layers are updated by AdamW
            options |= {"adam_weight_decay": options["weight_decay"], "exclude_layers": ["output", "bias"]}
            return keras.optimizers.Muon(**options)
        classes = {"adagrad": "Adagrad", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
        optimizer = getattr(keras.optimizers, classes[name])(**options)
        return fuse_updates(optimizer) if isinstance(optimizer, keras.optimizers.Adam) else optimizer

    def training(self, rows: int) -> None:
        """Declare the hyperparameters of the training loop: batch size, epochs, early stopping, schedule.

        Args:
            rows: Number of training rows; the default batch size is a twentieth of it, within 16 and 256 (small
                batches improve results on small tables, but are slow on large ones).
        """
        self.defaults.setdefault("batch_size", choose_batch_size(rows))
        for name in ("batch_size", "epochs", "patience", "min_delta", "keep", "schedule", "warmup"):
            self.get(name)

    def regularizer(self) -> keras.regularizers.Regularizer | None:
        """Declare L1 and L2 and return them as one regularizer; None if both are 0."""
        l1, l2 = self.get("l1"), self.get("l2")
        return keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None

    def _check(self, name: str, knob: Knob, choices: tuple[str, ...], kind: type) -> None:
        """Check a fixed value."""
        fixed = getattr(self.hp, "fixed", {})
        if name not in fixed:
            return
        if name == "batch_size" and fixed[name] == "full":
            fixed[name] = FULL_BATCH
        minimum = None if kind is str else knob.minimum
        fixed[name] = check_value(name, fixed[name], kind, choices=choices, minimum=minimum, below=knob.below)


def choose_batch_size(rows: int) -> int:
    """Return a twentieth of the rows, rounded down to a power of two, within 16 and 256."""
    return 2 ** min(8, max(4, round(rows / 20).bit_length() - 1))
