"""Texts for people: no password is shown or stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.text import remove_passwords

SECRET = st.text("abcXYZ019/+-_.!~*", min_size=6).filter(lambda text: not text.startswith("/"))


@given(SECRET, st.sampled_from(["postgresql", "mysql+pymysql", "sqlite"]))
def test_no_password_of_a_database_is_left(secret: str, kind: str) -> None:
    for url in (
        f"{kind}://me:{secret}@host:5432/runs?table=t",
        f"{kind}://host/runs?user=me&password={secret}&table=t",
        f"{kind}://host/runs?table=t&sslpassword={secret}",
        f"{kind}://me:other@host/runs?ssl_key_password={secret}",
    ):
        shown = remove_passwords(f"cannot open {url} now")
        assert secret not in shown
        assert "other" not in shown
        assert shown.startswith(f"cannot open {kind}://")
        assert shown.endswith(" now")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://host:5000/x?user=a@b", "http://host:5000/x?user=a@b"),
        ("https://me:pw@host/x", "https://me@host/x"),
        ("https://host/data.csv?token=abc&page=2", "https://host/data.csv?token=&page=2"),
        ("a file: b@c.csv", "a file: b@c.csv"),
    ],
)
def test_other_texts_stay(text: str, expected: str) -> None:
    assert remove_passwords(text) == expected
