"""The knobs that every network shares: declared here once, so that they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner

from zoo.errors import UsageError
from zoo.models.activations import ACTIVATIONS
from zoo.models.search_space import checked

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
INITIALIZERS = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal",
    "random_normal", "zeros",
)  # fmt: skip
FULL_BATCH = 0
BATCH_SIZES = (16, 512)


@dataclass(frozen=True)
class Knob:
    """One knob: what it means, where a search looks, and what is allowed."""

    meaning: str
    default: Any
    choices: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    log: bool = False
    minimum: float | None = 0.0
    below: float | None = None


KNOBS: dict[str, Knob] = {
    "optimizer": Knob("rule that turns gradients into steps", "adam", OPTIMIZERS),
    "learning_rate": Knob("size of a step", 1e-3, range=(1e-4, 3e-2), log=True),
    "momentum": Knob("share of the last step that is kept, for momentum and nesterov", 0.9, range=(0.5, 0.99), below=1),
    "weight_decay": Knob("share of each weight that is taken off at each step", 0.0, range=(1e-5, 1e-1), log=True),
    "clip_norm": Knob("greatest norm of all gradients together; 0 for no limit", 0.0, range=(0.1, 10), log=True),
    "schedule": Knob("course of the learning rate over the epochs", "constant", ("constant", "cosine", "exponential")),
    "warmup": Knob("epochs over which the learning rate rises from zero", 0.0, range=(0, 5)),
    "batch_size": Knob("examples a step; full (kept as 0) for all at once", 32, range=BATCH_SIZES, log=True),
    "epochs": Knob("most passes over the training part", 200, range=(10, 500), log=True, minimum=1),
    "patience": Knob("epochs without improvement after which training stops", 20, range=(5, 50), minimum=1),
    "min_delta": Knob(
        "least change of the watched score that counts as improvement", 0.0, range=(1e-5, 1e-2), log=True
    ),
    "activation": Knob("function of each hidden unit", "relu", tuple(ACTIVATIONS)),
    "initializer": Knob("how the first weights are drawn", "glorot_uniform", INITIALIZERS),
    "normalization": Knob(
        "what each hidden layer's outputs are brought to scale by", "none", ("none", "batch", "layer")
    ),
    "dropout": Knob("share of hidden units left out at random in each training step", 0.0, range=(0.0, 0.6), below=1),
    "l1": Knob("weight of the sum of absolute weights in the loss", 0.0, range=(1e-7, 1e-2), log=True),
    "l2": Knob("weight of the sum of squared weights in the loss", 0.0, range=(1e-7, 1e-2), log=True),
    "loss": Knob("what training makes small; the default is the right one for the target", "auto"),
    "scaling": Knob(
        "what numbers are brought to scale by, inside the model",
        "standard",
        ("standard", "minmax", "robust", "quantile", "robust_quantile", "common"),
    ),
}


class Knobs:
    """The shared knobs of one model: declares those that it asks for and returns their values.

    Args:
        hp: KerasTuner's hyperparameters, of any kind.
        vary: Knobs that a search varies by default; the others keep their default.
        defaults: The model's own defaults.

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
        strange = (self.vary | set(self.defaults)) - set(KNOBS)
        if strange:
            raise UsageError(f"no such knob: {', '.join(sorted(strange))}; known: {', '.join(KNOBS)}")

    def get(self, name: str, *, choices: Sequence[str] | None = None) -> Any:
        """Declare a knob and return its value.

        Args:
            name: One of ``KNOBS``.
            choices: Choices that replace the knob's own, where they depend on the model.
        """
        knob = KNOBS[name]
        default = type(knob.default)(self.defaults.get(name, knob.default))  # 0 is as good a share as 0.0
        allowed = tuple(choices or knob.choices)
        self._check(name, knob, allowed, type(default))
        full = name == "batch_size" and getattr(self.hp, "fixed", {}).get(name) == FULL_BATCH
        varied = name in self.vary or name in getattr(self.hp, "ranges", {})
        if not varied or full:  # a range of sizes has no place for all at once
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

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Declare the knobs of the optimizer and return it."""
        name = self.get("optimizer")
        momentum = self.get("momentum")
        options = {
            "learning_rate": self.get("learning_rate"),
            "weight_decay": self.get("weight_decay") or None,
            "global_clipnorm": self.get("clip_norm") or None,
        }
        if name in ("sgd", "momentum", "nesterov"):
            options |= {} if name == "sgd" else {"momentum": momentum, "nesterov": name == "nesterov"}
            return keras.optimizers.SGD(**options)
        if name == "adamw":
            options["weight_decay"] = options["weight_decay"] or 0.0
        classes = {"adagrad": "Adagrad", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
        return getattr(keras.optimizers, classes[name])(**options)

    def training(self, rows: int) -> None:
        """Declare the knobs that the fit loop reads by name: batch size, epochs, stopping, schedule.

        Args:
            rows: Rows of the training part; the default batch size grows with them, as a twentieth,
                within 16 and 256 (small batches helped on small tables, and cost time on large ones).
        """
        self.defaults.setdefault("batch_size", default_batch_size(rows))
        for name in ("batch_size", "epochs", "patience", "min_delta", "schedule", "warmup"):
            self.get(name)

    def regularizer(self) -> keras.regularizers.Regularizer | None:
        """Declare L1 and L2 and return them as one regularizer; None when both are 0."""
        l1, l2 = self.get("l1"), self.get("l2")
        return keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None

    def _check(self, name: str, knob: Knob, choices: tuple[str, ...], kind: type) -> None:
        """Check a value that was fixed beforehand, whoever did it."""
        fixed = getattr(self.hp, "fixed", {})
        if name not in fixed:
            return
        if name == "batch_size" and fixed[name] == "full":
            fixed[name] = FULL_BATCH
        minimum = None if kind is str else knob.minimum
        fixed[name] = checked(name, fixed[name], kind, choices=choices, minimum=minimum, below=knob.below)


def default_batch_size(rows: int) -> int:
    """Return a twentieth of the rows as a power of two within 16 and 256."""
    return 2 ** min(8, max(4, round(rows / 20).bit_length() - 1))
