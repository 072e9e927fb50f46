"""What a device believes: the director's Desired and the fleet's signed list, and nothing else."""

from device_agent.trust.device import DeviceTrust
from device_agent.trust.download import Fetch

__all__ = ["DeviceTrust", "Fetch"]
