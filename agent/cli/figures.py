"""Durations, sizes, counts and times as people read them. Pure, but for the time zone."""

from datetime import datetime, timezone

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def duration_text(seconds: float) -> str:
    """Return `0.04 s`, `12.3 s`, `4 min 05 s` or `2 h 03 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def size_text(size_bytes: int) -> str:
    """Return `512 B`, `34.5 KiB`, `1.2 GiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    unit = _UNITS[0]
    for unit in _UNITS:
        if size < 999.95 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.1f} {unit}"


def count_text(count: int, singular: str, plural: str = "") -> str:
    """Return `1 file`, `2 files`; `plural` where it is not the singular with an s."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def time_text(at: float) -> str:
    """Return a moment as this host's local time, `2026-03-01 09:15:02`."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def iso_time(at: float) -> str:
    """Return a moment for machines: UTC, milliseconds, `2026-03-01T08:15:02.123Z`."""
    moment = datetime.fromtimestamp(at, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
