"""Every spoiled connection ends in the exact bytes or in a clear error, and never leaves a temporary file."""

from typing import Any

import pytest

from agent.core.revision import BundleType, S3Revision
from agent.errors import BundleError, RemoteError

SMALL, LARGE = 400_000, 3_000_000


@pytest.fixture(params=[SMALL, LARGE], ids=["in one stream", "in parts"])
def body(request: pytest.FixtureRequest, content: bytes) -> bytes:
    return content[: request.param]


@pytest.fixture
def spoiled(bucket: Any, body: bytes, fault_proxy_to: Any) -> Any:
    bucket.put("shop.tar", body)
    return fault_proxy_to(bucket.url)


@pytest.fixture
def shop(bucket: Any) -> S3Revision:
    return S3Revision(bucket=bucket.name, key="shop.tar", bundle_type=BundleType.TAR)


@pytest.mark.parametrize("place", [0, 10, 300, 1000, 100_000, 200_000])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_cut_connection_is_continued(
    spoiled: Any, shop: Any, body: bytes, fetcher: Any, aws_at: Any, fault: Any, place: int, reset: bool
) -> None:
    spoiled.faults = [fault.cut(place, reset=reset)] * 2
    fetcher(shop, aws=aws_at(spoiled.url))
    assert fetcher.into.read_bytes() == body


def test_what_arrived_before_a_cut_is_not_fetched_again(
    bucket: Any, content: bytes, shop: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any
) -> None:
    bucket.put("shop.tar", content[:SMALL])
    proxy = fault_proxy_to(bucket.url)
    proxy.faults = [fault.cut(200_000)]
    fetcher(shop, aws=aws_at(proxy.url))
    start = int(proxy.requests[1].partition(b"Range: bytes=")[2].partition(b"-")[0])
    assert start > 150_000


@pytest.mark.parametrize(("kind", "place"), [("stall", 100), ("stall", 150_000), ("drip", 2000), ("drip", 150_000)])
def test_a_connection_that_gets_nowhere_is_given_up_and_continued(
    spoiled: Any, shop: Any, body: bytes, fetcher: Any, aws_at: Any, fault: Any, kind: str, place: int
) -> None:
    spoiled.faults = [getattr(fault, kind)(place)]
    fetcher(shop, aws=aws_at(spoiled.url))
    assert fetcher.into.read_bytes() == body


@pytest.mark.parametrize("place", [5_000, 250_000])
def test_a_changed_byte_is_noticed(spoiled: Any, shop: Any, fetcher: Any, aws_at: Any, fault: Any, place: int) -> None:
    spoiled.faults = [fault.corrupt(place)]
    with pytest.raises(BundleError, match="md5 is .*, but the server's ETag says") as caught:
        fetcher(shop, aws=aws_at(spoiled.url))
    assert "damaged on its way" in caught.value.hint


def test_an_endless_run_of_cuts_ends_in_an_error(
    spoiled: Any, shop: Any, fetcher: Any, aws_at: Any, fault: Any
) -> None:
    spoiled.always = fault.cut(5_000)
    with pytest.raises(RemoteError, match=r"broke off at byte \d+: ") as caught:
        fetcher(shop, aws=aws_at(spoiled.url))
    assert "network" in caught.value.hint


def test_an_object_that_is_overwritten_meanwhile_is_not_mixed(
    bucket: Any, spoiled: Any, shop: Any, body: bytes, fetcher: Any, aws_at: Any, fault: Any
) -> None:
    spoiled.faults = [fault.cut(150_000, then=lambda: bucket.put("shop.tar", body[::-1]))] * 4
    with pytest.raises(BundleError, match="changed while it was fetched") as caught:
        fetcher(shop, aws=aws_at(spoiled.url))
    assert "under a key of its own" in caught.value.hint


def test_garbage_instead_of_an_answer_ends_in_an_error(
    spoiled: Any, shop: Any, fetcher: Any, aws_at: Any, fault: Any
) -> None:
    spoiled.always = fault.corrupt(0)
    with pytest.raises(RemoteError, match="cannot reach S3"):
        fetcher(shop, aws=aws_at(spoiled.url))


def test_a_proxys_page_in_place_of_s3_is_reported(
    spoiled: Any, shop: Any, fetcher: Any, aws_at: Any, fault: Any
) -> None:
    spoiled.always = fault.answer(407, b"<html>who are you?</html>")
    with pytest.raises(BundleError, match="407"):
        fetcher(shop, aws=aws_at(spoiled.url))
