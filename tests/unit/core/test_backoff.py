"""How long to wait before trying again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.backoff import BackOff

POLICY = BackOff(first_s=1, factor=2, ceiling_s=8, tries=6, longest_asked_s=60)


def test_waits_double_until_the_ceiling() -> None:
    assert [POLICY.delay_s(failures, 0.0) for failures in range(1, 6)] == [0.5, 1, 2, 4, 4]


def test_the_last_failure_gives_up() -> None:
    assert POLICY.delay_s(6, 0.0) is None


def test_a_longer_wish_of_the_server_is_granted() -> None:
    assert POLICY.delay_s(1, 0.0, asked_s=30) == 30


def test_a_shorter_wish_does_not_hurry_us() -> None:
    assert POLICY.delay_s(3, 0.0, asked_s=0) == 2


def test_a_wish_beyond_the_bound_gives_up() -> None:
    assert POLICY.delay_s(1, 0.0, asked_s=61) is None


@settings(deadline=None)
@given(
    failures=st.integers(1, 10_000),
    jitter=st.floats(0, 1, exclude_max=True),
    factor=st.floats(1, 10),
    ceiling_s=st.floats(0.1, 100),
)
def test_a_wait_stays_between_half_a_step_and_the_ceiling(
    failures: int, jitter: float, factor: float, ceiling_s: float
) -> None:
    policy = BackOff(first_s=0.1, factor=factor, ceiling_s=ceiling_s, tries=20_000)
    delay = policy.delay_s(failures, jitter)
    assert delay is not None
    assert 0.05 <= delay <= ceiling_s
