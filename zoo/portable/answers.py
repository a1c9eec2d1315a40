"""Spellings of yes and no: the same value whether a table has TRUE, 1, yes or t."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

# Pairs of words for yes and no, in lower case.
ANSWERS = (("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f"), ("1", "0"))
TRUE_WORDS, FALSE_WORDS = (frozenset(pair[place] for pair in ANSWERS) for place in (0, 1))


def is_yes_or_no(names: Iterable[str]) -> bool:
    """Return whether all names are spellings of yes or no.

    They may be of several pairs, such as TRUE, FALSE, 1 and 0, if each pair is complete: T, F and Y are codes.

    Example:
        >>> is_yes_or_no(["Yes", "no"]), is_yes_or_no(["true", "1", "0", "false"]), is_yes_or_no(["t", "f", "y"])
        (True, True, False)
    """
    words = {name.strip().lower() for name in names}
    pairs = [pair for pair in ANSWERS if words & set(pair)]
    if not words or not words <= TRUE_WORDS | FALSE_WORDS:
        return False
    return len(pairs) == 1 or all(set(pair) <= words for pair in pairs)


@lru_cache(maxsize=4096)
def map_answers(categories: tuple[str, ...]) -> Mapping[str, str]:
    """Return the category that each spelling of yes or no stands for, by the word in lower case.

    Args:
        categories: The categories of a column; the first spelling of each answer is the one that others stand for.

    Returns:
        An empty mapping if the categories are not yes and no.

    Example:
        >>> map_answers(("FALSE", "TRUE"))["1"], map_answers(("red", "blue"))
        ('TRUE', {})
    """
    if not is_yes_or_no(categories):
        return {}
    mapping: dict[str, str] = {}
    for words in (TRUE_WORDS, FALSE_WORDS):
        spelling = next((name for name in categories if name.strip().lower() in words), None)
        if spelling is not None:
            mapping |= dict.fromkeys(words, spelling)
    return mapping


def find_answer(name: str, answers: Mapping[str, str]) -> str:
    """Return the category that a name stands for, or the name itself if it is no spelling of yes or no.

    Example:
        >>> find_answer(" Yes", map_answers(("true", "false")))
        'true'
    """
    return answers.get(name.strip().lower(), name)
