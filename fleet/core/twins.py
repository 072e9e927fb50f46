"""Twins: two agents that speak under one name, as a copied SD card makes them.

Every run of an agent has a boot id of its own, drawn at random, and says it in every hello. A run
that has ended never speaks again; so a device that is restarted, reconnects or was restored from a
backup brings one new boot id after the other. Two agents that live at the same time take turns
instead: what was thought over comes back. Once may be an old hello that a bad link delivered late,
even of a run that has ended; so it takes two runs that have each come back twice, since the newest
of all began.
"""

from __future__ import annotations

from edge_sdk.spec.word import Word

REMEMBERED = 8
"""Runs that are remembered: of so many agents under one name, each comes back."""
RETURNS = 2
STANDS_MS = 15 * 60 * 1000
"""How long nobody may have taken a turn before the second is believed to be gone."""
LONGEST_BOOT = 64


class Voice(Word, frozen=True, kw_only=True):
    """One run of an agent.

    Attributes:
        returns: how often it spoke again after another had, since the newest run began.
    """

    boot: str
    returns: int = 0


class Voices(Word, frozen=True, kw_only=True):
    """Who has spoken under a name.

    Attributes:
        heard: runs, the one that spoke last first.
        turn_ms: when two that are known to live took turns last; 0 for never.
    """

    heard: tuple[Voice, ...] = ()
    turn_ms: int = 0

    def hear(self, boot: str, at_ms: int) -> Voices:
        """Another hello."""
        boot = boot[:LONGEST_BOOT]
        if self.heard and self.heard[0].boot == boot:
            return self
        returns = next((voice.returns + 1 for voice in self.heard if voice.boot == boot), 0)
        others = tuple(voice for voice in self.heard if voice.boot != boot)
        if returns == 0:  # a run begins: whoever is not its twin may just have ended
            others = tuple(Voice(boot=voice.boot) for voice in others)
        heard = (Voice(boot=boot, returns=returns), *others)[:REMEMBERED]
        living = sum(voice.returns >= RETURNS for voice in heard)
        return Voices(heard=heard, turn_ms=at_ms if living > 1 else self.turn_ms)

    def twins(self, now_ms: int) -> bool:
        """Whether there are two at this time."""
        return bool(self.turn_ms) and now_ms - self.turn_ms <= STANDS_MS
