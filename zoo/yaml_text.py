"""Parse YAML from outside: values are checked before they are built, and every problem is an error with its place."""

from __future__ import annotations

from typing import Any

import yaml

from zoo.errors import UsageError

# Far more than a job needs; ten lines of aliases can stand for 10^12 values ("billion laughs").
MOST_VALUES, MOST_DEPTH = 100_000, 50


class _Loader(yaml.SafeLoader):
    """Safe loader that reports the line of a value that cannot be built, such as the date 2024-13-45."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ValueError, OverflowError, LookupError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(
                problem=f"{str(error).splitlines()[0]}; put a text in quotes", problem_mark=node.start_mark
            ) from None


def parse_yaml(text: str, *, where: str) -> Any:
    """Return the value of a YAML document.

    Args:
        text: The document.
        where: Where it comes from, for errors.

    Raises:
        UsageError: If it is not valid YAML (with line and column), has more than 100,000 values with aliases
            expanded, or is nested more than 50 levels deep.

    Example:
        >>> parse_yaml("units: [32, 64]", where="job.yaml")
        {'units': [32, 64]}
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, where, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise UsageError(f"not valid YAML: {error.problem}", where=place) from None
    except yaml.YAMLError as error:
        raise UsageError(f"not valid YAML: {' '.join(str(error).split())}", where=where) from None
    except RecursionError:
        raise UsageError(f"nested more than {MOST_DEPTH} levels deep", where=where) from None
    finally:
        if loader is not None:
            loader.dispose()


def _measure(node: yaml.Node, where: str, measured: dict[yaml.Node, tuple[int, int] | None]) -> tuple[int, int]:
    """Return the number of values below a node with its aliases expanded, and its depth; refuse too many."""
    if node in measured:
        size = measured[node]
        if size is None:
            raise UsageError("an alias refers to a value that contains it", where=where)
        return size
    measured[node] = None
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    sizes = [_measure(child, where, measured) for child in children]
    count = 1 + sum(count for count, _ in sizes)
    depth = 1 + max((depth for _, depth in sizes), default=0)
    if count > MOST_VALUES:
        raise UsageError(f"more than {MOST_VALUES:,} values, with aliases expanded", where=where)
    if depth > MOST_DEPTH:
        raise UsageError(f"nested more than {MOST_DEPTH} levels deep", where=where)
    measured[node] = count, depth
    return count, depth
