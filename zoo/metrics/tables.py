"""Tables of predictions: the worst errors, and scores by class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zoo.metrics.significance import row_losses

WORST = 50


def worst_errors(predicted: pd.DataFrame, inputs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the largest loss, the worst first, with their inputs.

    Args:
        predicted: ``row``, ``truth`` and predictions of N rows.
        inputs: Columns of the same N rows.

    Example:
        >>> predicted = pd.DataFrame({"row": [7, 8], "truth": [1.0, 2.0], "prediction": [1.1, 5.0]})
        >>> worst_errors(predicted, pd.DataFrame({"age": [30, 40]}))["row"].tolist()
        [8, 7]
    """
    losses = row_losses(predicted)
    order = np.argsort(-np.nan_to_num(losses), kind="stable")[:WORST]
    columns = ["row", "truth", "prediction"]
    predictions = predicted[columns].assign(loss=losses)
    beside = inputs.drop(columns=[*columns, "loss"], errors="ignore")
    return pd.concat([predictions.reset_index(drop=True), beside.reset_index(drop=True)], axis=1).iloc[order]


def scores_by_class(predicted: pd.DataFrame) -> pd.DataFrame:
    """Return rows, precision, recall and F1 of each class, and the class it is most often mistaken for.

    Args:
        predicted: ``truth`` and ``prediction`` of N rows, by name.

    Example:
        >>> table = scores_by_class(pd.DataFrame({"truth": ["a", "a", "b"], "prediction": ["a", "b", "b"]}))
        >>> table[["class", "precision", "recall", "mistaken for"]].values.tolist()
        [['a', 1.0, 0.5, 'b (1)'], ['b', 0.5, 1.0, '']]
    """
    counts = pd.crosstab(predicted["truth"].astype(str), predicted["prediction"].astype(str))
    names = sorted(set(counts.index) | set(counts.columns))
    counts = counts.reindex(index=names, columns=names, fill_value=0)
    table = counts.to_numpy()
    right, rows, called = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    precision = right / np.where(called > 0, called, np.nan)
    recall = right / np.where(rows > 0, rows, np.nan)
    wrong = table - np.diag(right)
    mistaken = [f"{names[k]} ({wrong[i, k]})" if wrong[i, k] else "" for i, k in enumerate(wrong.argmax(axis=1))]
    f1 = 2 * right / np.where(called + rows > 0, called + rows, np.nan)
    return pd.DataFrame(
        {"class": names, "rows": rows, "precision": precision, "recall": recall, "f1": f1, "mistaken for": mistaken}
    )
