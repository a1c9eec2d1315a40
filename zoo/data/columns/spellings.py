"""Several spellings of one category: case, accents, blanks and punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def find_spellings(categories: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of categories that differ only in case, accents, blanks or punctuation, at least two each.

    Example:
        >>> find_spellings(["yes", "no", "yes ", "No"])
        [('yes', 'yes '), ('no', 'No')]
    """
    forms: dict[str, list[str]] = {}
    for category in categories:
        forms.setdefault(_simplify(category), []).append(category)
    return [tuple(spellings) for form, spellings in forms.items() if len(spellings) > 1 and form]


def describe_spellings(spellings: tuple[str, ...]) -> str:
    """Return the spellings of one category in words.

    Example:
        >>> describe_spellings(("yes", "yes "))
        "'yes' = 'yes '"
    """
    return " = ".join(map(repr, spellings))


def _simplify(category: str) -> str:
    """Return a category without case, accents, spaces and punctuation; other signs are kept."""
    text = unicodedata.normalize("NFKD", category.casefold())
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    return re.sub(r"[\s._\-'’,;:/]+", "", text) if not re.fullmatch(r"[\d\s.,\-]+.*", text) else text.strip()
