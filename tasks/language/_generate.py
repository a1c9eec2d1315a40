"""Continuation of a text by a language model: sampled texts, and the probabilities of the tokens that come next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.data.examples.describe_examples import CHARACTER, split_into_tokens
from zoo.data.ragged import Ragged
from zoo.errors import DataError, join_first
from zoo.models.built_model import find_network
from zoo.preprocessing.sequences import CODES, UNSEEN
from zoo.spec import Spec, TextInput
from zoo.training.preprocessed_arrays import forward

from ._network import NEXT
from ._texts import list_tokens


@dataclass
class Branch:
    """A token with its probability after all tokens before it, and what may follow."""

    token: str
    probability: float
    branches: list[Branch] = field(default_factory=list)


class Generator:
    """Continues texts with a trained model.

    Args:
        keras_model: The full model.
        spec: Describes its texts.
    """

    def __init__(self, keras_model: Any, spec: Spec) -> None:
        self.network = find_network(keras_model)
        self.unit = spec.only(TextInput).unit
        self.tokens = list_tokens(spec)
        self.code_of = {token: code for code, token in enumerate(self.tokens) if code != UNSEEN}
        self.end = len(self.tokens) - 1

    def encode(self, prompt: str) -> list[int]:
        """Return the codes of a prompt; an unseen word is unknown.

        Raises:
            DataError: If it has characters that the model cannot read, since no training text has them twice.
        """
        tokens = split_into_tokens(prompt, self.unit)
        unseen = [token for token in dict.fromkeys(tokens) if token not in self.code_of]
        if unseen and (self.unit == CHARACTER or len(unseen) == len(set(tokens))):
            first = prompt.lower().index(unseen[0].lower()) + 1
            lower = "" if prompt == prompt.lower() or set(prompt.lower()) - set(self.code_of) else prompt.lower()
            hint = f"; did you mean {lower!r}?" if lower else ""
            message = (
                f"the training texts do not have the {self.unit}s {join_first([repr(token) for token in unseen], 5)}"
            )
            raise DataError(f"{message}, the first of them at position {first}{hint}", where="prompt")
        return [self.code_of.get(token, UNSEEN) for token in tokens]

    def continue_text(self, prompt: str, rest: str) -> str:
        """Return a prompt and what follows it as one text."""
        return prompt + ("" if self.unit == CHARACTER or not prompt or not rest else " ") + rest

    def _join(self, codes: Sequence[int]) -> str:
        return ("" if self.unit == CHARACTER else " ").join(self.tokens[code] for code in codes if code != self.end)

    def predict_next(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the probability of each token after each text (N, K)."""
        codes = Ragged.of([np.array(text, np.int32) for text in texts], axes=1)
        probabilities = np.array(forward(self.network, {CODES: codes})[NEXT], np.float64)
        probabilities[:, UNSEEN] = 0  # no text can go on with an unknown token
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def sample(
        self, prompt: Sequence[int], n: int, *, temperature: float, top: int | None, longest: int, seed: int
    ) -> list[tuple[str, bool]]:
        """Return what may follow a prompt, and whether each text came to its end.

        Args:
            prompt: Codes that each text begins with.
            n: Number of texts.
            temperature: Exponent 1 / temperature of the probabilities; 0 takes the most probable token.
            top: Number of most probable tokens that are drawn from (Fan, Lewis and Dauphin 2018, "Hierarchical neural
                story generation", section 5.1); None for all.
            longest: Maximum number of tokens after the prompt.
            seed: Seed of the draws.
        """
        generator = np.random.default_rng(seed)
        texts: list[list[int]] = [[] for _ in range(n)]
        unfinished = list(range(n))
        for _ in range(longest):
            if not unfinished:
                break
            rows = self.predict_next([[*prompt, *texts[row]] for row in unfinished])
            for row, probabilities in zip(unfinished, rows, strict=True):
                texts[row].append(_draw(probabilities, temperature, top, generator))
            unfinished = [row for row in unfinished if texts[row][-1] != self.end]
        return [(self._join(text), row not in unfinished) for row, text in enumerate(texts)]

    def trace(self, prompt: Sequence[int]) -> list[Branch]:
        """Return the tokens of a prompt, each with its probability after those before it."""
        if not prompt:
            return []
        rows = self.predict_next([prompt[:place] for place in range(len(prompt))])
        return [
            Branch(self.tokens[code], float(probabilities[code]) if code != UNSEEN else float("nan"))
            for code, probabilities in zip(prompt, rows, strict=True)
        ]

    def grow(self, prompt: Sequence[int], widths: Sequence[int]) -> list[Branch]:
        """Return the most probable tokens after a prompt, each with those after it, and so on.

        Args:
            prompt: Codes.
            widths: Number of tokens at each depth.
        """
        if not widths:
            return []
        probabilities = self.predict_next([prompt])[0]
        codes = [int(code) for code in np.argsort(-probabilities, kind="stable")[: widths[0]] if code != UNSEEN]
        return [
            Branch(
                self.tokens[code],
                float(probabilities[code]),
                [] if code == self.end else self.grow([*prompt, code], widths[1:]),
            )
            for code in codes
        ]


def _draw(probabilities: np.ndarray, temperature: float, top: int | None, generator: np.random.Generator) -> int:
    if temperature == 0:
        return int(probabilities.argmax())
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities) / temperature
    if top is not None and top < len(logits):
        logits[np.argsort(-probabilities, kind="stable")[top:]] = -np.inf
    weights = np.exp(logits - logits.max())
    return int(generator.choice(len(weights), p=weights / weights.sum()))
