"""What a transfer promises whatever the remote: nothing but a whole bundle is ever seen under its name."""

import hashlib
import io
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.backoff import BackOff
from agent.errors import BundleError, CancelledDeploymentError, RemoteError
from agent.sources.options import FetchLimits, FetchOptions
from agent.sources.remote import Identity, Opened
from agent.sources.transfer import transfer


class Failing(io.BytesIO):
    """A body that breaks after its last byte instead of ending."""

    def read1(self, amt: int | None = -1, /) -> bytes:
        data = super().read1(-1 if amt is None else amt)
        if not data:
            raise ConnectionResetError(104, "Connection reset by peer")
        return data


@dataclass(slots=True)
class Memory:
    """A remote in memory. `cuts` says after how many bytes each answer breaks, None: not at all."""

    content: bytes
    cuts: list[int | None] = field(default_factory=list)
    validator: str | None = '"v"'
    size_known: bool = True
    what: str = "memory"
    opened: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, start: int, end: int | None, seen: Identity | None) -> Opened:
        with self.lock:
            cut = self.cuts.pop(0) if self.cuts else None
            self.opened.append(start)
        stop = len(self.content) if end is None or seen is None else end
        identity = Identity(
            size_bytes=len(self.content) if self.size_known else None,
            validator=self.validator,
            in_parts=self.validator is not None,
        )
        data = self.content[start:stop]
        body = io.BytesIO(data) if cut is None or cut >= len(data) else Failing(data[:cut])
        return Opened(body=body, start=start, end=stop, identity=identity)


def options(**limits: int) -> FetchOptions:
    quick = BackOff(first_s=0.0001, ceiling_s=0.0002, tries=10)
    return FetchOptions(limits=FetchLimits(backoff=quick, **{"part_bytes": 1000, "parallel": 3, **limits}))


@settings(deadline=None, max_examples=60)
@given(
    content=st.binary(max_size=6000),
    cuts=st.lists(st.none() | st.integers(0, 3000), max_size=6),
    validator=st.sampled_from([None, '"v"']),
    size_known=st.booleans(),
)
def test_whatever_breaks_the_bytes_are_exact(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    cuts: list[int | None],
    validator: str | None,
    size_known: bool,
) -> None:
    size_known = size_known or not content or validator is not None  # else an early end cannot be told
    into = tmp_path_factory.mktemp("into") / "bundle.tar"
    remote = Memory(content, cuts, validator=validator, size_known=size_known)
    fetched = transfer(remote, into, options(), sha256=hashlib.sha256(content).hexdigest())
    assert into.read_bytes() == content
    assert fetched.size_bytes == len(content)
    assert os.listdir(into.parent) == ["bundle.tar"]


def test_a_stop_before_the_start_fetches_nothing(tmp_path: Path) -> None:
    stopped = options()
    stopped.stop.set()
    with pytest.raises(CancelledDeploymentError):
        transfer(Memory(bytes(5000)), tmp_path / "bundle.tar", stopped)
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_allowed_are_refused_while_they_come(tmp_path: Path) -> None:
    remote = Memory(bytes(5000), validator=None, size_known=False)
    with pytest.raises(BundleError, match="has 5000 bytes or more, the limit is 100"):
        transfer(remote, tmp_path / "bundle.tar", options(max_bytes=100))
    assert list(tmp_path.iterdir()) == []


def test_the_time_limit_of_the_whole_ends_it(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="not complete after 0 s") as caught:
        transfer(Memory(bytes(100)), tmp_path / "bundle.tar", options(total_timeout_s=0))
    assert "bandwidth" in caught.value.hint


def test_a_leftover_of_a_killed_fetch_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar.part").write_bytes(bytes(9000))
    transfer(Memory(b"whole"), tmp_path / "bundle.tar", options())
    assert (tmp_path / "bundle.tar").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.tar"]


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot write '.*/gone/bundle.tar': No such file") as caught:
        transfer(Memory(b"whole"), tmp_path / "gone" / "bundle.tar", options())
    assert "cannot be written" in caught.value.hint


def test_each_part_is_asked_for_once(tmp_path: Path) -> None:
    remote = Memory(bytes(4500))
    transfer(remote, tmp_path / "bundle.tar", options())
    assert sorted(remote.opened) == [0, 1000, 2000, 3000, 4000]
