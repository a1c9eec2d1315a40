"""Inputs in plain values, as :mod:`zoo.portable.rows` reads cells by."""

from __future__ import annotations

from typing import Any

from zoo.data.examples.given_observations import get_space
from zoo.portable.answers import map_answers
from zoo.spec import CategoryInput, ColumnInput, DateInput, Input, NumberInput, ObservationInput, TextInput


def describe_input(input_: Input) -> dict[str, Any]:
    """Return what reading the cells of an input needs; the keys of ``statistics`` are those of exports of format 1.

    Example:
        >>> describe_input(NumberInput("age", "age"))["kind"]
        'number'
    """
    statistics: dict[str, Any] = {}
    if isinstance(input_, ColumnInput) and input_.imputation is not None:
        statistics["way"] = input_.imputation
    if isinstance(input_, NumberInput) and input_.indicates_missing:
        statistics["was_missing"] = True
    if isinstance(input_, CategoryInput) and input_.numeric:
        statistics["numeric"] = True
    if isinstance(input_, CategoryInput) and (answers := map_answers(input_.categories)):
        statistics |= {"answers": dict(answers), "categories": list(input_.categories)}
    if isinstance(input_, NumberInput) and input_.notation:
        statistics["notation"] = input_.notation
    if isinstance(input_, NumberInput) and input_.is_answer:
        statistics["is_answer"] = True
    if isinstance(input_, TextInput) and input_.idf:
        statistics["idf"] = True
    if isinstance(input_, DateInput):
        statistics |= {"format": input_.format, "strict": input_.strict}
    if isinstance(input_, ObservationInput):
        statistics["space"] = get_space(input_)
    names = {"name": input_.name, "key": input_.key, "kind": input_.kind, "shape": list(input_.shape)}
    return {**names, "statistics": statistics}
