import pytest

from agent.cli.figures import count_text, duration_text, iso_time, size_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 s"), (9.994, "9.99 s"), (12.34, "12.3 s"), (65.2, "1 min 05 s"), (7384.0, "2 h 03 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (35328, "34.5 KiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 60, "1048576.0 TiB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


def test_counts() -> None:
    assert [count_text(1, "file"), count_text(2, "file"), count_text(2, "entry", "entries")] == [
        "1 file",
        "2 files",
        "2 entries",
    ]


def test_times_for_machines_are_utc_with_milliseconds() -> None:
    assert iso_time(1.5) == "1970-01-01T00:00:01.500Z"
