"""The lookup rule of the AppSpec's name."""

import pytest

from agent.core.appspec.find import candidate_names, find_appspec, missing_appspec
from agent.errors import AppSpecError


@pytest.mark.parametrize(
    ("present", "requested", "found"),
    [
        ({"appspec.yml"}, "appspec.yml", "appspec.yml"),
        ({"appspec.yaml"}, "appspec.yml", "appspec.yaml"),
        ({"appspec.yaml", "appspec.yml"}, "appspec.yml", "appspec.yml"),
        ({"appspec.yaml", "appspec.yml"}, "other.yml", "appspec.yaml"),
        ({"appspec.yml"}, "other.yml", "appspec.yml"),
        ({"conf/web.yml", "appspec.yml"}, "conf/web.yml", "conf/web.yml"),
        ({"Appspec.yml"}, "appspec.yml", None),
    ],
)
def test_the_first_candidate_that_is_there_wins(present: set[str], requested: str, found: str | None) -> None:
    assert find_appspec(present.__contains__, requested) == found


@pytest.mark.parametrize("name", ["", "/etc/appspec.yml", "../appspec.yml", "a/../b.yml", "a\\b.yml", "a\0b", ".."])
def test_a_name_that_could_leave_the_bundle_is_refused(name: str) -> None:
    with pytest.raises(AppSpecError, match="not a relative path inside the bundle") as error:
        candidate_names(name)
    assert "without '..'" in error.value.hint


def test_two_dots_inside_a_name_are_no_way_out() -> None:
    assert candidate_names("v1..2.yml")[0] == "v1..2.yml"


def test_a_missing_appspec_says_what_was_looked_for() -> None:
    error = missing_appspec("web.yml", where="bundle.tgz")
    assert error.message == "bundle.tgz: no AppSpec (web.yml or appspec.yaml or appspec.yml)"
    assert "--appspec-filename" in error.hint


def test_a_missing_appspec_points_at_a_file_with_a_similar_name() -> None:
    error = missing_appspec("appspec.yml", where="bundle.tgz", names_in_root=["AppSpec.yml", "index.html"])
    assert error.hint == "the root holds 'AppSpec.yml': rename it, or name it with --appspec-filename"
