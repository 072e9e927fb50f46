"""DeviceProfile: what a machine is and has, as far as choosing a variant for it needs."""

from __future__ import annotations

from edge_sdk.spec.word import Word


class Runtime(Word, frozen=True, kw_only=True):
    """An inference engine on a device.

    Attributes:
        backend: edgeloop's name for it.
        version: None if it is not installed or does not import.
        delegates: those that this build of it offers on this machine.
        reason: why it cannot be used, and the command that mends it; empty if it can.
    """

    backend: str
    version: str | None
    delegates: tuple[str, ...] = ()
    reason: str = ""


class DeviceProfile(Word, frozen=True, kw_only=True):
    """One device, described by itself.

    Attributes:
        name: what people call it (``raspberry-pi-5``), or the host's name.
        machine: the kernel's word for the architecture (``x86_64``, ``aarch64``).
        cpu: the processor's own name.
        cpu_features: the instruction sets that engines care about (``avx2``, ``asimd``, …).
        cores: processors this process may use.
        memory_bytes: installed memory.
        edgeloop: the version of edgeloop there.
    """

    name: str
    system: str
    machine: str
    python: str
    cpu: str
    cpu_features: tuple[str, ...]
    cores: int
    memory_bytes: int
    runtimes: tuple[Runtime, ...]
    edgeloop: str
