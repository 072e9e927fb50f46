"""Threads that read a kind of word for the first time at once; msgspec alone would end the process.

Without ``codec.meet`` about every other of these children dies of SIGSEGV.
"""

import subprocess
import sys

import pytest

from edge_sdk.spec import codec
from edge_sdk.spec.sketch import Baseline, Window

CHILD = """
import sys, threading
sys.setswitchinterval(1e-6)
{imports}
together = threading.Barrier(8)
def work():
    together.wait()
    {read}
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
A_ROLLOUT = """
from edge_sdk.spec.deployment import ArtifactRef
from fleet.core.rollout import Rollout
from fleet.stores.packing import pack, unpack
ref = ArtifactRef(digest="a" * 64, name="a", version="1.0.0")
data = pack(
    Rollout(id="a", app="a", candidate=ref, selector="all", created_ms=1, since_ms=1, beside=True)
)
"""
READS = {
    "decode": (
        "from edge_sdk.errors import EdgeError\nfrom edge_sdk.spec import codec",
        """try: codec.decode_manifest(b'{"schema": 1}')\n    except EdgeError: pass""",
    ),
    "encode": (
        "from edge_sdk.spec import codec\nfrom edge_sdk.spec.sketch import Baseline",
        "codec.encode(Baseline(samples=1))",
    ),
    "unpack": (A_ROLLOUT, "unpack(data, Rollout)"),
}


@pytest.mark.parametrize("way", sorted(READS))
def test_the_process_lives(way: str) -> None:
    imports, read = READS[way]
    child = CHILD.format(imports=imports, read=read)
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", child], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_known_is_not_learnt_again(monkeypatch: pytest.MonkeyPatch) -> None:
    codec.meet(Window)
    codec.meet(Baseline)
    monkeypatch.setattr("msgspec.json.Decoder", None)
    codec.meet(Window)
    codec.meet(Baseline)
