"""What retention chooses: oldest first, never what is protected, no more than needed."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core.retention import Kept, RetentionLimits, choose_removals


def kept(*names: str, size_bytes: int = 0, inodes: int = 0) -> list[Kept]:
    return [Kept(name=name, size_bytes=size_bytes, inodes=inodes) for name in names]


def test_the_oldest_go_until_the_count_fits() -> None:
    chosen = choose_removals(kept("a", "b", "c", "d"), frozenset({"d"}), RetentionLimits(max_revisions=2))
    assert chosen == ("a", "b")


def test_a_protected_folder_stays_and_the_next_goes_instead() -> None:
    chosen = choose_removals(kept("good", "b", "new"), frozenset({"good", "new"}), RetentionLimits(max_revisions=2))
    assert chosen == ("b",)


def test_one_revision_means_the_new_one_and_the_protected_ones() -> None:
    assert choose_removals(kept("good", "new"), frozenset({"good", "new"}), RetentionLimits(max_revisions=1)) == ()


def test_bytes_and_inodes_count_as_well() -> None:
    folders = kept("a", "b", "c", size_bytes=10, inodes=5)
    assert choose_removals(folders, frozenset({"c"}), RetentionLimits(max_bytes=20)) == ("a",)
    assert choose_removals(folders, frozenset({"c"}), RetentionLimits(max_inodes=5)) == ("a", "b")


names = st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=2), unique=True)


@given(names, st.sets(st.text(alphabet="abcdefgh", min_size=1, max_size=2)), st.integers(1, 6))
def test_nothing_protected_is_ever_chosen(folders: list[str], protected: set[str], limit: int) -> None:
    chosen = choose_removals(kept(*folders), frozenset(protected), RetentionLimits(max_revisions=limit))
    assert not protected & set(chosen)
    left = [name for name in folders if name not in chosen]
    assert len(left) <= max(limit, len(protected & set(folders)))
