"""A secret is shown only when asked for."""

import pickle

import pytest

from agent.core.secret import Secret


@pytest.mark.parametrize("shown", [str, repr, "{}".format, "%s".__mod__, "{!r:>20}".format])
def test_a_secret_shows_stars(shown: object) -> None:
    assert callable(shown)
    text = shown(Secret("hunter2"))
    assert "hunter2" not in text
    assert "***" in text


def test_a_secret_reveals_itself_when_asked() -> None:
    assert Secret("hunter2").reveal() == "hunter2"


def test_secrets_compare_by_their_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret("a"))
