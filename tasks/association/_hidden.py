"""One hidden item in each basket: what completions of baskets are scored by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.dataset import Split
from zoo.portable.preprocessing import SEPARATORS, split_into_tokens
from zoo.spec import Spec, TextInput


@dataclass(frozen=True)
class HiddenItems:
    """Baskets of two items or more, each without one item drawn at random.

    Args:
        texts: The rest of each basket (N,).
        codes: Codes of the items of each rest, unknown ones left out.
        hidden: Code of the hidden item (N,), from 1; 0 for one that is unknown.
        group: Group of each basket (N,), or None.
    """

    texts: np.ndarray
    codes: list[np.ndarray]
    hidden: np.ndarray
    group: np.ndarray | None

    def __len__(self) -> int:
        return len(self.hidden)


def hide_items(split: Split, spec: Spec) -> HiddenItems:
    """Hide one item of each basket of a split; which one depends on the seed and on the basket's row in its source.

    Args:
        split: The baskets, whose items are all different.
        spec: The spec, with ``hidden_seed`` in its options.
    """
    input_ = spec.only(TextInput)
    code_of = {item: code for code, item in enumerate(input_.vocabulary, 1)}
    joined = (SEPARATORS[input_.unit] or " ").join
    greatest = int(split.rows.max(initial=0)) + 1
    draws = np.random.default_rng(spec.options["hidden_seed"]).random(greatest)
    texts, codes, hidden, places = [], [], [], []
    for place, (text, row) in enumerate(zip(get_texts(split, spec), split.rows, strict=True)):
        items = split_into_tokens(text, input_.unit)
        if len(items) < 2:
            continue
        chosen = items.pop(int(draws[row] * len(items)))
        texts.append(joined(items))
        codes.append(np.array([code_of[item] for item in items if item in code_of], np.int32))
        hidden.append(code_of.get(chosen, 0))
        places.append(place)
    group = None if split.group is None else split.group[places]
    return HiddenItems(np.array(texts, dtype=object), codes, np.array(hidden, np.int64), group)


def encode_baskets(split: Split, spec: Spec) -> list[np.ndarray]:
    """Return the codes of the known items of each basket."""
    input_ = spec.only(TextInput)
    code_of = {item: code for code, item in enumerate(input_.vocabulary, 1)}
    baskets = (split_into_tokens(text, input_.unit) for text in get_texts(split, spec))
    return [np.array([code_of[item] for item in basket if item in code_of], np.int32) for basket in baskets]


def get_texts(split: Split, spec: Spec) -> list[str]:
    """Return the baskets of a split as texts."""
    return [str(text) for text in np.asarray(split.inputs[spec.only(TextInput).key])]
