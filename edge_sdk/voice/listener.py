"""Ears: blocks of sound in, wake words and commands out.

    asleep    every block goes to the wake words
    awake     from the wake word on sound is kept, and voice activity tells when the speaker is
              done: after speech, ``pause_s`` without any; or ``patience_s`` without a word
    and then what was kept is recognized, and it sleeps again

Who speaks on without a pause has begun the command before the wake word is known, so what was said
``late_s`` before is recognized too, without the end of the wake word that is in it.

Time is counted in samples, never by a clock, so a sound gives the same answers however fast it
comes. The wake words go on listening meanwhile: saying one again begins the command anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from edge_sdk.closing import Closing
from edge_sdk.errors import UsageError
from edge_sdk.voice.activity import STEP, Activity
from edge_sdk.voice.audio import RATE_HZ, Samples
from edge_sdk.voice.commands import Commands
from edge_sdk.voice.ring import Ring
from edge_sdk.voice.vocabulary import Intent
from edge_sdk.voice.wake import Wake, WakeWord

PAUSE_S = 0.7
PATIENCE_S = 4.0
MAX_COMMAND_S = 8.0
LATE_S = 0.45
BEFORE_S, AFTER_S = 0.5, 0.7
"""Of the silence around a command, what is kept for recognizing it."""
SPEECH = 0.5
"""Voice activity from which a step counts as speech."""


@dataclass(frozen=True, slots=True)
class Command:
    """What was said after a wake word.

    Attributes:
        time_s: seconds of sound until it was known.
        transcript: what was heard, an empty text if nothing was said or understood.
        intent: what it stands for; None if nothing.
    """

    time_s: float
    transcript: str
    intent: Intent | None


class Listener(Closing):
    """See above. Owns what it is given, and closes it; use it in a ``with``."""

    def __init__(
        self,
        wake_words: Sequence[WakeWord],
        activity: Activity,
        commands: Commands,
        *,
        pause_s: float = PAUSE_S,
        patience_s: float = PATIENCE_S,
        late_s: float = LATE_S,
    ) -> None:
        """Join the parts.

        Args:
            wake_words: those that begin a command.
            activity: tells when the speaker is done.
            commands: hears what was said.
            pause_s: silence after speech that ends a command.
            patience_s: silence after the wake word that ends the wait for one.
            late_s: how long after its end a wake word is known, at most (docs/voice.md).
        """
        if not wake_words:
            raise UsageError("There is no wake word to listen for.", "Listener([WakeWord(…)], …)")
        self._wake_words, self._activity, self._commands = wake_words, activity, commands
        self._pause, self._patience = int(pause_s * RATE_HZ), int(patience_s * RATE_HZ)
        self._late = int(late_s * RATE_HZ)
        self._kept = Ring(self._late + int(MAX_COMMAND_S * RATE_HZ) + STEP)
        self._woken_by = ""
        self._awake_at: int | None = None
        self._began_at: int | None = None
        self._spoke_at: int | None = None
        self._steps = 0

    def hear(self, block: Samples) -> Iterator[Wake | Command]:
        """Take the next sound; give what it meant."""
        for at in range(0, len(block), STEP):
            yield from self._hear(block[at : at + STEP])

    def _hear(self, block: Samples) -> Iterator[Wake | Command]:
        self._kept.put(block)
        for likely in self._activity.hear(block):
            self._steps += STEP
            if self._awake_at is not None and likely >= SPEECH and self._steps > self._awake_at:
                self._spoke_at = self._steps
                self._began_at = self._began_at or self._steps - STEP
        for wake_word in self._wake_words:
            for wake in wake_word.hear(block):
                self._woken_by, self._awake_at = wake.word, int(wake.time_s * RATE_HZ)
                self._began_at = self._spoke_at = None
                yield wake
        if self._awake_at is not None and self._is_done(self._awake_at):
            yield self._understand(self._awake_at)

    def finish(self) -> Iterator[Command]:
        """The sound has ended: what was being said is understood as far as it came."""
        if self._awake_at is not None:
            yield self._understand(self._awake_at)

    def close(self) -> None:
        """Give back the models."""
        with ExitStack() as stack:
            stack.callback(self._activity.close)
            for wake_word in self._wake_words:
                stack.callback(wake_word.close)

    def _is_done(self, awake_at: int) -> bool:
        heard = self._kept.heard
        if heard - awake_at >= int(MAX_COMMAND_S * RATE_HZ):
            return True
        if self._spoke_at is None:
            return heard - awake_at >= self._patience
        return heard - self._spoke_at >= self._pause

    def _understand(self, awake_at: int) -> Command:
        begin, silent = awake_at, 0
        if self._began_at is not None and self._spoke_at is not None:
            begin = max(awake_at - self._late, self._began_at - int(BEFORE_S * RATE_HZ))
            silent = max(0, self._kept.heard - self._spoke_at - int(AFTER_S * RATE_HZ))
        sound = self._kept.since(begin)
        known_at = awake_at - (self._kept.heard - len(sound))
        sound = sound[: len(sound) - silent]
        if known_at > 0:
            transcript = self._commands.recognize_after(self._woken_by, sound, known_at)
        else:
            transcript = self._commands.recognize(sound)
        self._awake_at = self._began_at = self._spoke_at = None
        return Command(
            round(self._kept.heard / RATE_HZ, 2),
            transcript,
            self._commands.vocabulary.intent(transcript),
        )
