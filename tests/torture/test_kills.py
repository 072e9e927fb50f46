"""No message is lost or doubled, whoever is killed when; ``make torture`` does it for longer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kills import VICTIMS, Campaign


def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=1)
    campaign.play(20)
    assert Counter(campaign.killed) == dict.fromkeys(VICTIMS, 5)
    assert campaign.windows > 50
    assert campaign.inferences > 100
