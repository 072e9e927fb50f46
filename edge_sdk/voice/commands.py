"""Hearing a command: one of the vocabulary's sentences, recognized offline by PocketSphinx.

A grammar beats a full language model here: it is twenty times faster on the same sound, and can
only answer with something that means something. It answers with the sentence that sounds most like
what was said, whatever that was. So the sound is heard a second time as any phones in any order, a
filler that fits everything; a sentence that explains the sound much worse than that was not said.
What remains is kept apart by its sound alone: "light" and "lights" are not, in some voices.

What never passed a microphone, spoken by a machine or cut out of a file, has stretches of exact
silence, whose energy has no logarithm: the acoustic model, trained on rooms, then takes "off" for
"on" and leaves out words. A breath of noise, a hundredth of the loudest speech, and some of
it before and after, mends that (28 of 48 commands right became 48) and is lost in a real room's.

A wake word is known some time after its end, and who speaks on has begun the command by then. So
what came before may be given too, with the end of the wake word in it: a grammar in which any end
of that word's phones may come first tells where the command begins, and from there it is heard.

``keywords`` listens for the sentences anywhere in the sound instead, with whatever around them.
"""

from __future__ import annotations

import math
import re
import tempfile
from typing import Any, Literal

import numpy as np

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.voice.audio import RATE_HZ, Samples
from edge_sdk.voice.published import PUBLISHED
from edge_sdk.voice.vocabulary import HOUSE, Vocabulary

KEYWORD_THRESHOLD = 1e-20
LEAST_RATIO = -3.0
"""Log-likelihood ratio of the sentence to the filler, in nats a frame of speech, to be believed.

Of 142 commands that espeak-ng said in four voices, some in noise, the lowest had -2.85; of 168
other sentences, its own and read ones, four had more, "what day is it" three of them.
"""
_FEWEST_FRAMES = 60
"""Short words are all beginning and end: a ratio over fewer frames says little."""
_NO_WORD = "<[("
"""How silences and noises begin."""
_TAIL = "_"
"""How an end of a wake word begins, like no word of the dictionary."""
_FRAME = RATE_HZ // 100
_NATS = 1024.0
"""PocketSphinx gives a path's likelihood as its 1024th root."""
_SHORTEST_S = 0.2
_MARGIN_S = 0.3
_BREATH = 0.01
"""Noise around the speech, as a share of its loudest hundredth."""


class Commands:
    """Recognizes the sentences of a vocabulary. Loading takes a fraction of a second.

    Attributes:
        vocabulary: what may be said.
    """

    def __init__(
        self,
        vocabulary: Vocabulary = HOUSE,
        *,
        search: Literal["grammar", "keywords"] = "grammar",
        least_ratio: float = LEAST_RATIO,
    ) -> None:
        """Load the acoustic model that ships with pocketsphinx.

        Args:
            vocabulary: what may be said.
            search: a sentence and nothing else, or sentences anywhere in the sound.
            least_ratio: of the grammar's sentence to the filler; ``-math.inf`` believes them all.

        Raises:
            UsageError: a word of the vocabulary is in no dictionary.
            UnavailableError: pocketsphinx is not installed.
        """
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise UnavailableError(
                f"Recognizing commands needs pocketsphinx: {error}.",
                "pip install 'edgeloop[voice]'",
            ) from error
        self.vocabulary = vocabulary
        self._least_ratio = least_ratio
        # likelihoods of two searches can be compared only if all of the model is asked both times
        self._decoder: Any = Decoder(lm=None, loglevel="FATAL", compallsen=True)
        unknown = sorted(
            word for word in vocabulary.words() if self._decoder.lookup_word(word) is None
        )
        if unknown:
            raise UsageError(
                f"How {unknown[0]!r} is spoken is not known.",
                "Use words of the English dictionary, in small letters.",
            )
        if search == "grammar":
            self._decoder.add_jsgf_string("commands", vocabulary.grammar())
            self._decoder.add_allphone_file("filler", None)
        else:
            with tempfile.NamedTemporaryFile("w", suffix=".keywords") as file:
                file.writelines(f"{each} /{KEYWORD_THRESHOLD}/\n" for each in vocabulary.phrases())
                file.flush()
                self._decoder.add_kws("commands", file.name)
        self._search = search
        self._after: dict[str, str] = {}

    def recognize(self, sound: Samples) -> str:
        """The sentence in the sound, or an empty text.

        Long silence before or after makes any sentence likelier: give what was spoken, with less
        than a second around it, as ``Listener`` does.
        """
        if len(sound) < _SHORTEST_S * RATE_HZ:
            return ""
        audible = _breathing(sound).tobytes()
        said, likelihood = self._decode("commands", audible)
        if self._search == "keywords" or not said:
            return said
        if self.vocabulary.intent(said) is None:  # the beginning of one
            return ""
        frames = sum(
            part.end_frame - part.start_frame + 1
            for part in self._decoder.seg()
            if part.word[0] not in _NO_WORD
        )
        _, of_any = self._decode("filler", audible)
        return (
            said if (likelihood - of_any) / max(frames, _FEWEST_FRAMES) >= self._least_ratio else ""
        )

    def recognize_after(self, wake_word: str, sound: Samples, known_at: int) -> str:
        """The same of a sound that may begin with the end of a wake word.

        Args:
            wake_word: its name.
            sound: from some time before the word was known.
            known_at: the sample at which it was. The sound is heard from there if nobody knows
                how the word is spoken: it is none of ours, nor made of the dictionary's.
        """
        phones = self._phones(wake_word)
        if self._search == "keywords":  # they are found anywhere
            return self.recognize(sound)
        if not phones:
            return self.recognize(sound[known_at:])
        if wake_word not in self._after:
            self._after[wake_word] = self._add_search_after(phones)
        said, _ = self._decode(self._after[wake_word], _breathing(sound).tobytes())
        if not said:
            return ""
        spoken = [part for part in self._decoder.seg() if part.word[0] not in _NO_WORD]
        first = next((at for at, part in enumerate(spoken) if part.word[0] != _TAIL), None)
        if first is None:
            return ""
        begin = spoken[first].start_frame * _FRAME - int(_MARGIN_S * RATE_HZ) if first else 0
        return self.recognize(sound[max(0, min(begin, known_at)) :])  # the word was over by then

    def _phones(self, wake_word: str) -> list[str]:
        """How a wake word is spoken; nothing if that is not known."""
        published = PUBLISHED.get(wake_word)
        if published is not None:
            return published.phones.split()
        words = re.split(r"[\W_]+", wake_word.lower())
        each = [self._decoder.lookup_word(word) for word in words]
        return [] if None in each else " ".join(each).split()

    def _add_search_after(self, phones: list[str]) -> str:
        """A search for a sentence with an end of the phones before it, or without; its name."""
        name = f"{_TAIL}{len(self._after)}"
        tails = [f"{name}_{at}" for at in range(len(phones))]
        for at, tail in enumerate(tails):
            self._decoder.add_word(tail, " ".join(phones[at:]), False)
        self._decoder.add_jsgf_string(name, self.vocabulary.grammar(tails))
        return name

    def _decode(self, search: str, audible: bytes) -> tuple[str, float]:
        """What a search hears, and its log-likelihood in nats."""
        self._decoder.activate_search(search)
        self._decoder.start_utt()
        self._decoder.process_raw(audible, full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        if heard is None:
            return "", -math.inf
        return str(heard.hypstr).strip(), _NATS * math.log(heard.best_score)


def _breathing(sound: Samples) -> Samples:
    """The sound in a room that is never quite silent; the same for the same sound."""
    padded = np.pad(sound.astype(np.float32), int(_MARGIN_S * RATE_HZ))
    loudness = float(np.quantile(np.abs(sound.astype(np.int32)), 0.99))
    noise = np.random.default_rng(0).standard_normal(len(padded), np.float32)
    padded += noise * np.float32(max(1.0, _BREATH * loudness))
    whole: Samples = np.clip(padded, -32768, 32767).astype(np.int16)
    return whole
