"""What the fleet signs: the TUF repository of published artifacts, and the director's word."""

from fleet.trust.repository import TrustRepository

__all__ = ["TrustRepository"]
