"""Hearing a command: one of the vocabulary's sentences, recognized offline by PocketSphinx.

A grammar beats a full language model here: it is twenty times faster on the same sound, and can
only answer with something that means something. What is said that is no sentence at all comes out
as none, or as the sentence that sounds most like it: keep commands apart in sound.

What never passed a microphone, spoken by a machine or cut out of a file, has stretches of exact
silence, whose energy has no logarithm: the acoustic model, trained on rooms, then takes "off" for
"on" and leaves out words. A breath of noise, a hundredth of the loudest speech, and some of
it before and after, mends that (28 of 48 commands right became 48) and is lost in a real room's.

``keywords`` listens for the sentences anywhere in the sound instead, with whatever around them.
"""

from __future__ import annotations

import tempfile
from typing import Any, Literal

import numpy as np

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.voice.audio import RATE_HZ, Samples
from edge_sdk.voice.vocabulary import HOUSE, Vocabulary

KEYWORD_THRESHOLD = 1e-20
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
    ) -> None:
        """Load the acoustic model that ships with pocketsphinx.

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
        self._decoder: Any = Decoder(lm=None, loglevel="FATAL")
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
        else:
            with tempfile.NamedTemporaryFile("w", suffix=".keywords") as file:
                file.writelines(f"{each} /{KEYWORD_THRESHOLD}/\n" for each in vocabulary.phrases())
                file.flush()
                self._decoder.add_kws("commands", file.name)
        self._decoder.activate_search("commands")

    def recognize(self, sound: Samples) -> str:
        """The sentence in the sound, or an empty text."""
        if len(sound) < _SHORTEST_S * RATE_HZ:
            return ""
        self._decoder.start_utt()
        self._decoder.process_raw(_breathing(sound).tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return str(heard.hypstr).strip() if heard is not None else ""


def _breathing(sound: Samples) -> Samples:
    """The sound in a room that is never quite silent; the same for the same sound."""
    padded = np.pad(sound.astype(np.float32), int(_MARGIN_S * RATE_HZ))
    loudness = float(np.quantile(np.abs(sound.astype(np.int32)), 0.99))
    noise = np.random.default_rng(0).standard_normal(len(padded), np.float32)
    padded += noise * np.float32(max(1.0, _BREATH * loudness))
    whole: Samples = np.clip(padded, -32768, 32767).astype(np.int16)
    return whole
