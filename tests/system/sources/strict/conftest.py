"""Ceph's S3 gateway, which checks signatures, clocks and digests: one monitor, manager, memory store and gateway."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")
START_S = 60
KEYS = {"access": "AKIAEXAMPLE0000", "secret": "secret0000"}

CONFIG = """[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon_port}
mon_initial_members = a
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {root}/$name.keyring
run_dir = {root}
admin_socket =
log_file = {root}/$name.log
mon_data = {root}/mon
mgr_data = {root}/mgr
osd_data = {root}/osd
rgw_data = {root}/rgw
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
rgw_frontends = beast endpoint=127.0.0.1:{s3_port}
rgw_thread_pool_size = 16
mgr_initial_modules =
"""

KEYRINGS = {
    "mgr.a": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
    "client.rgw": {"mon": "allow rw", "osd": "allow rwx", "mgr": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
}


class Ceph:
    """A cluster of one host, in the foreground and below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fsid = str(uuid.uuid4())
        self.s3_port = free_port()
        self.children: list[subprocess.Popen[bytes]] = []
        for name in ("mon", "mgr", "osd", "rgw"):
            (root / name).mkdir()
        self.mon_port = free_port()
        config = CONFIG.format(fsid=self.fsid, root=root, mon_port=self.mon_port, s3_port=self.s3_port)
        (root / "ceph.conf").write_text(config)

    def start(self) -> None:
        self._make_keyrings()
        self.run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{self.mon_port}]", "--fsid", self.fsid, "map")
        self.run(*self.of("ceph-mon", "a"), "--mkfs", "--monmap", "map", "--keyring", "mon.a.keyring")
        self.spawn(*self.of("ceph-mon", "a"))
        self.spawn(*self.of("ceph-mgr", "a"))
        osd_id = str(uuid.uuid4())
        secret = self.run("ceph-authtool", "-p", "-n", "osd.0", "osd.0.keyring").strip()
        self.run("ceph", "-c", "ceph.conf", "osd", "new", osd_id, "-i", "-", text=json.dumps({"cephx_secret": secret}))
        self.run(*self.of("ceph-osd", "0"), "--mkfs", "--osd-uuid", osd_id)
        self.spawn(*self.of("ceph-osd", "0"))
        self.spawn("radosgw", "-c", "ceph.conf", "-n", "client.rgw")
        user = ("--uid", "tester", "--display-name", "tester", "--access-key", KEYS["access"])
        gateway = ("radosgw-admin", "-c", "ceph.conf", "-n", "client.rgw")
        self.run(*gateway, "user", "create", *user, "--secret-key", KEYS["secret"])
        self._wait_for_gateway()

    def stop(self) -> None:
        for child in reversed(self.children):
            child.kill()
        for child in self.children:
            child.wait(10)

    def of(self, program: str, name: str) -> tuple[str, ...]:
        return program, "-c", "ceph.conf", "-i", name

    def run(self, *argv: str, text: str = "") -> str:
        done = subprocess.run(argv, cwd=self.root, input=text, capture_output=True, text=True, timeout=START_S)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def spawn(self, *argv: str) -> None:
        with (self.root / f"{len(self.children)}.err").open("wb") as err:
            child = subprocess.Popen(
                [*argv, "-f"], cwd=self.root, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True
            )
        self.children.append(child)

    def _make_keyrings(self) -> None:
        tool = "ceph-authtool"
        self.run(tool, "--create-keyring", "mon.a.keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name, caps in KEYRINGS.items():
            flags = [word for kind, cap in caps.items() for word in ("--cap", kind, cap)]
            self.run(tool, "--create-keyring", f"{name}.keyring", "--gen-key", "-n", name, *flags)
            if name != "osd.0":  # made by `osd new`
                self.run(tool, "mon.a.keyring", "--import-keyring", f"{name}.keyring")

    def _wait_for_gateway(self) -> None:
        limit = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.s3_port}/", timeout=2).close()
            except urllib.error.HTTPError as exc:
                exc.close()
            except OSError:
                assert time.monotonic() < limit, "the gateway did not come up"
                time.sleep(0.1)
                continue
            return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def strict_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and Ceph's programs; missing: {', '.join(missing) or 'root'}")
    ceph = Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        ceph.start()
        yield f"http://127.0.0.1:{ceph.s3_port}"
    finally:
        ceph.stop()
