"""What `semanage import` is told. Whether it obeys takes a host with SELinux."""

import shlex

import pytest

from agent.host.selinux import additions, removals

LABEL = "system_u:object_r:httpd_sys_content_t:s0:c1,c2"


def test_a_rule_names_user_type_and_range() -> None:
    (line,) = additions({b"/srv/www": LABEL})
    assert shlex.split(line) == [
        "fcontext", "-a", "-s", "system_u", "-t", "httpd_sys_content_t", "-r", "s0:c1,c2", "/srv/www",
    ]  # fmt: skip


def test_a_rule_that_goes_names_its_path_alone() -> None:
    assert removals({b"/srv/www": None, b"/srv/other": LABEL}) == ["fcontext -d '/srv/www'"]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [(b"/a b.(c)", "/a b\\.\\(c\\)"), (b"/it's", "/it.s"), (b"/$(x)*", "/\\$\\(x\\)\\*")],
)
def test_a_path_is_one_word_and_means_itself(path: bytes, pattern: str) -> None:
    assert shlex.split(removals({path: None})[0])[-1] == pattern


def test_a_line_break_in_a_path_makes_no_second_line() -> None:
    path = b"/a\nlogin -a -s root"
    assert (additions({path: LABEL}), removals({path: None})) == ([], [])
