"""Notes on items that a model does not have: too rare ones of training baskets, unseen ones of baskets to complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from zoo.data.limits import find_source_row
from zoo.errors import find_nearest_name

MOST_NAMED = 5


def describe_rare_items(rare: Sequence[str], counts: Counter[str]) -> list[str]:
    """Return a note on items that are too rare to be predicted; empty without such items.

    Args:
        rare: Items that are left out of the vocabulary.
        counts: How often each item is in a training basket.

    Example:
        >>> describe_rare_items(["figs"], Counter(bread=9, figs=1))[0]
        '1 of 2 items are too rare to be predicted, 10 % of what is in the training baskets; --items N keeps more'
    """
    if not rare:
        return []
    share = sum(counts[item] for item in rare) / counts.total()
    return [
        f"{len(rare):,} of {len(counts):,} items are too rare to be predicted, {100 * share:.2g} % of what is in the "
        "training baskets; --items N keeps more"
    ]


def describe_unseen_items(baskets: Sequence[Sequence[str]], items: Collection[str], index: pd.Index) -> list[str]:
    """Return a note that names the items of baskets to complete that a model does not know, with their rows.

    Args:
        baskets: The items of each basket.
        items: Those that the model knows.
        index: Index of the baskets' rows.

    Example:
        >>> describe_unseen_items([["bread"], ["bred"]], {"bread"}, pd.RangeIndex(2))[0]
        "1 item is not among those of the training baskets and is ignored: 'bred' in row 2 (did you mean 'bread'?)"
    """
    rows: dict[str, int] = {}
    for place, basket in enumerate(baskets):
        for item in basket:
            if item not in items:
                rows.setdefault(item, place)
    if not rows:
        return []
    shown = []
    for item, place in list(rows.items())[:MOST_NAMED]:
        near = find_nearest_name(item, items)
        hint = f" (did you mean {near!r}?)" if near else ""
        shown.append(f"{item!r} in row {find_source_row(index.to_series(), place)}{hint}")
    what = (
        "1 item is not among those of the training baskets and is"
        if len(rows) == 1
        else (f"{len(rows):,} items are not among those of the training baskets and are")
    )
    more = f" and {len(rows) - MOST_NAMED:,} more" if len(rows) > MOST_NAMED else ""
    return [f"{what} ignored: {', '.join(shown)}{more}"]
