"""Hostile files get an error within bounds of time and memory, whatever they hold."""

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.appspec.parse import load_appspec, parse_appspec
from agent.errors import AppSpecError

H = "version: 0.0\nos: linux\n"

MEGABYTES_100 = 100 << 20
CPU_SECONDS = 5
"""Generous: a loaded machine must not fail the test. What takes exponential or endless time exceeds it all the same."""

CHILD = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({CPU_SECONDS}, {CPU_SECONDS}))
from agent.core.appspec.parse import parse_appspec
{{make}}
parsed = parse_appspec(data, filename="appspec.yml")
assert parsed.appspec is None
with open("/proc/self/status") as status:  # ru_maxrss would count what the test runner had when it started us
    peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(peak_kb - len(data) // 1024)
print(parsed.errors[0].message)
"""

HOSTILE = {
    "deep-flow": ('data = b"[" * 500_000', "nested deeper than 64 levels"),
    "deep-mappings": ('data = b"{a: " * 200_000', "nested deeper than 64 levels"),
    "deep-block": ('data = b"- " * 500_000', "nested deeper than 64 levels"),
    "deep-keys": ('data = b"? " * 500_000', "nested deeper than 64 levels"),
    "alias-bomb": (
        'data = b"a0: &a0 [x]\\n" + b"".join('
        'b"a%d: &a%d [%s]\\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 60))',
        "more than 30000 YAML nodes",
    ),
    "merge-bomb": (
        'data = b"a0: &a0 {x: 1}\\n" + b"".join('
        'b"a%d: &a%d {<<: [%s]}\\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 60))',
        "more than 30000 YAML nodes",
    ),
    "cycle": ('data = b"files: &x [*x]"', "stands inside what it stands for"),
    "50-megabytes": ('data = b"# x\\n" * (50 << 18)', "larger than 1048576 bytes"),
    "many-keys": ('data = b"".join(b"k%d: 1\\n" % i for i in range(100_000))', "more than 30000 YAML nodes"),
    "many-mistakes": (
        'data = b"version: 0.0\\nos: linux\\nfiles:\\n" + b"- {sorce: 1}\\n" * 9_000',
        "no source",
    ),
    "long-key": ('data = b"? " + b"a" * 1_000_000 + b"\\n: 1\\n"', "no version"),
    "long-number": ('data = b"version: 0.0\\nos: " + b"9" * 1_000_000', "must be linux"),
    "long-range": (
        'data = b"version: 0.0\\nos: linux\\npermissions: [{object: /a, context: {type: t, range: \'s0:"'
        ' + b"c0.c1," * 100_000 + b"\'}}]"',
        "stands there twice",
    ),
    "long-acl": (
        'data = b"version: 0.0\\nos: linux\\npermissions: [{object: /a, acls: [\'" + b":" * 900_000 + b"\']}]"',
        "is not an ACL entry",
    ),
    "nul": ('data = b"a: b\\0" * 1000', "control character U+0000"),
    "not-utf-8": ('data = b"a: \\xff" * 1000', "is not UTF-8"),
    "utf-16": ('data = "version: 0.0".encode("utf-16")', "is UTF-16"),
    "tabs": ('data = b"\\t" * 1_000_000', "not YAML"),
    "quotes": ('data = b"a: " + b"\\"" * 1_000_001', "not YAML"),
    "anchors": ('data = b"[" + b"&a " * 300_000', "not YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_within_bounds(name: str) -> None:
    make, message = HOSTILE[name]
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(make=make)], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.returncode == 0, child.stderr
    peak_kib, found = child.stdout.splitlines()
    assert int(peak_kib) * 1024 < MEGABYTES_100
    assert message in found


SNIPPETS = [
    "version: 0.0\n", "os: linux\n", "files:\n", "hooks:\n", "permissions:\n", "  - ", "    ", "source: a\n",
    "object: /a\n", "destination: /b\n", "location: x\n", "timeout: 1:30\n", "mode: 0755\n", "acls: [u:a:7]\n",
    "context: {type: t}\n",
    "{", "}", "[", "]", ",", ": ", "&a ", "*a ", "<<: ", "? ", "!!set ", "!!binary ", "'", '"', "\n", "\t", "\ufeff",
    "---\n", "~", "0x1f", ".inf", ":sym", "2024-01-01", "|\n", "%YAML 1.1\n", "E", "\\", "é", "\x85", "\x00", "type: ",
    "range: s0:c0,\n",
]  # fmt: skip

broken_text = st.lists(st.sampled_from(SNIPPETS), max_size=25).map(lambda parts: "".join(parts).encode())
spliced = st.tuples(st.just(H.encode()), broken_text).map(b"".join)


@settings(deadline=None, max_examples=500)
@given(data=st.one_of(broken_text, spliced, st.binary(max_size=60)))
@example(data=b"\xff\xfe")
@example(data=b"a: &x\nb: *x")
@example(data=b"{[a]: b, {c: d}: e}")
def test_any_bytes_give_problems_and_never_anything_else(data: bytes) -> None:
    parsed = parse_appspec(data, filename="appspec.yml")
    assert (parsed.appspec is None) == bool(parsed.errors)
    assert all(problem.hint for problem in parsed.problems)
    try:
        assert load_appspec(data, filename="appspec.yml").appspec == parsed.appspec
    except AppSpecError as error:
        assert error.message.count("appspec.yml") >= len(parsed.errors)


@settings(deadline=None, max_examples=300)
@given(data=spliced)
def test_what_is_read_once_is_read_the_same_again(data: bytes) -> None:
    first, second = (parse_appspec(data, filename="appspec.yml") for _ in range(2))
    assert first == second
