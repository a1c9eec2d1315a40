"""Baselines of language models: n-grams with back-off, and how often each token occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from zoo.data.dataset import Dataset
from zoo.metrics.metric import evaluate
from zoo.spec import Spec, TextInput
from zoo.task import Baseline

from ._metrics import METRICS
from ._network import find_boundary
from ._ngrams import GREATEST_ORDER, MOST_TOKENS, USUAL_ORDER, NGrams
from ._texts import count_sizes, count_unknown, encode_split, get_texts

# Order of each baseline; None for the one that is best on the validation split.
ORDERS: dict[str, int | None] = {"unigram": 1, "bigram": 2, "ngram": None}
LEVELS: dict[str, Sequence[str]] = {
    "none": (),
    "quick": ("unigram", "ngram"),
    "all": ("unigram", "bigram", "ngram"),
}


def choose_baselines(level: str, spec: Spec) -> list[Baseline]:
    """Return the baselines of a level, ``none``, ``quick`` or ``all``."""
    rows = max(1, int(MOST_TOKENS / (spec.only(TextInput).mean_length + 1)))
    return [
        Baseline(name, partial(_run_ngrams, ORDERS[name]), is_dummy=name == "unigram", fitted_rows=rows)
        for name in LEVELS[level]
    ]


def _run_ngrams(order: int | None, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    spec = dataset.spec
    texts = {name: encode_split(split, spec) for name, split in dataset.splits.items()}
    model = NGrams(texts["train"], find_boundary(spec) + 1, order or GREATEST_ORDER)
    if order is None:
        order = model.choose_order(texts["validation"]) if "validation" in texts else USUAL_ORDER
    scored = {}
    for name, split in dataset.splits.items():
        bits = model.compute_bits(texts[name], order) + count_unknown(texts[name]) * spec.options["unknown_bits"]
        scored[name], _ = evaluate(METRICS, count_sizes(get_texts(split, spec), spec), bits, resamples=0)
    return scored
