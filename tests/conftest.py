"""What every test needs: an environment without the developer's own AWS settings, and proof that nothing is left."""

import os
from collections.abc import Iterator

import psutil
import pytest

FOREIGN = ("AWS_", "BOTO_", "GITHUB_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_", "REQUESTS_")
GRACE_S = 5


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Take away what would make a test reach for real credentials, a real region or a proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(FOREIGN):
                patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running(clean_environment: None) -> Iterator[None]:
    """Fail the run when a test has left a child process behind."""
    me = psutil.Process()
    before = set(me.children(recursive=True))
    yield
    children = [child for child in me.children(recursive=True) if child not in before]
    _, alive = psutil.wait_procs(children, timeout=GRACE_S)
    assert not alive, f"tests left these running: {[(child.pid, child.cmdline()) for child in alive]}"
