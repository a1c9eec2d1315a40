"""Bundled tables: scikit-learn's, under the names that tensorflow-datasets would give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from zoo.errors import unknown

_LOADERS = {
    "iris": "load_iris",
    "wine": "load_wine",
    "breast_cancer": "load_breast_cancer",
    "digits": "load_digits",
    "diabetes": "load_diabetes",
}
BUNDLED = tuple(_LOADERS)


def load_bundled(name: str) -> tuple[pd.DataFrame, str]:
    """Return a bundled table and the name of its target column.

    Classes stand under their own names, not as codes; diabetes is in its original units.

    Args:
        name: One of ``BUNDLED``.

    Raises:
        UsageError: When there is no bundled table of that name.

    Example:
        >>> frame, target = load_bundled("wine")
        >>> frame.shape, target
        ((178, 14), 'class')
    """
    import sklearn.datasets

    if name not in _LOADERS:
        raise unknown("bundled table", name, BUNDLED)
    loader: Callable[..., Any] = getattr(sklearn.datasets, _LOADERS[name])
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    columns = [str(column).replace(" (cm)", "_cm").replace(" ", "_") for column in bunch.feature_names]
    frame = pd.DataFrame(bunch.data, columns=columns)
    target = "progression" if name == "diabetes" else "class"
    if name == "diabetes" or name == "digits":
        frame[target] = bunch.target
    else:
        frame[target] = bunch.target_names[bunch.target].astype(str)
    return frame, target
