"""Whether another rule than a mean over a threshold hears a wake word sooner, and at what price.

espeak-ng says the word in 112 voices at three speeds, phrases that sound like it, and hours of two
books. The network's answers are kept, at each of the three alignments of its 30 ms steps; then
every rule is tried on them. A rule is chosen on one half (other voices, other phrases, another
book) and told of on the other half, and on the twelve clips of ``wake_word.py``, which are in
neither. Recordings of people, if a folder of wavs is given, are part of the telling half alone.

    python -m benchmarks._wake_word_rules [hey_mycroft] [--recordings FOLDER]

What came of it stands in docs/voice.md. Six minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymicro_features import MicroFrontend

from benchmarks._wake_rules import Answers, Rule, over_mean, rules
from benchmarks._wake_words import SPEEDS, VOICES, spoken
from edge_sdk.runtime import load
from edge_sdk.voice.audio import RATE_HZ, Samples, wav_blocks
from edge_sdk.voice.published import PUBLISHED
from edge_sdk.voice.wake import PATIENCE
from examples.assets import asset

ACCENTS = (
    *("en-us", "en-us-nyc", "en-gb", "en-gb-scotland"),
    *("en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029"),
)
THROATS = {
    "tune": ["m1", "m3", "m5", "m7", "f1", "f3", "f5"],
    "tell": ["", *["m2", "m4", "m6", "m8", "f2", "f4"]],
}
NEAR = {
    "tune": "Minecraft, Mike, mine, my cross is soft, Google, there, makers craft, Marcus, Alexa",
    "tell": "microphone, Michael, Microsoft, my friend, micro, my car, Siri, Jarvis, might crawl",
}
"""What is said after "hey"."""
BOOKS = {"tune": ("alice", 150_000), "tell": ("proceedings", 230_000)}
LATE_MS = 450
STRIDE, STEPS_A_S = 3, 33


@dataclass(frozen=True)
class Clip:
    """The answers to a word, at three alignments; the samples after which they came; its end."""

    answers: list[Answers]
    times: list[NDArray[np.int64]]
    end: int


@dataclass
class Half:
    """What rules are tried on."""

    words: list[Clip] = field(default_factory=list)
    others: dict[str, list[list[Answers]]] = field(default_factory=dict)
    hours: dict[str, float] = field(default_factory=dict)


class Network:
    """A wake word's answers, without any rule."""

    def __init__(self, word: str) -> None:
        self.session = load(asset("wake-words") / f"{word}.tflite", threads=1, raw=True)
        self.input, self.output = (
            self.session.signature.inputs[0],
            self.session.signature.outputs[0],
        )

    def answers(self, sound: Samples) -> tuple[list[Answers], list[NDArray[np.int64]]]:
        frontend, rows, times, at = MicroFrontend(), [], [], 0
        pcm = sound.tobytes()
        while at + 320 <= len(pcm):
            found = frontend.process_samples(pcm[at : at + 320])
            at += found.samples_read * 2
            if found.features:
                rows.append(found.features)
                times.append(at // 2)
        given, told = self.input.quantization, self.output.quantization
        assert given is not None
        assert told is not None
        scaled = np.round(np.array(rows, np.float32) / np.float32(given.scale) + given.zero_point)
        features = np.clip(scaled, -128, 127).astype(np.int8)
        every, when = [], []
        for first in range(STRIDE):
            self.session.reset()
            ends = range(first + STRIDE, len(features) + 1, STRIDE)
            raw = [
                self.session.run({self.input.name: features[None, end - STRIDE : end]})[
                    self.output.name
                ].item()
                for end in ends
            ]
            every.append(((np.array(raw, np.float32)) - told.zero_point) * np.float32(told.scale))
            when.append(np.array([times[end - 1] for end in ends]))
        return every, when


def mean_published(word: str) -> Rule:
    """The rule that the word's author publishes with it."""
    return partial(over_mean, of=PATIENCE, level=PUBLISHED[word].threshold)


@dataclass(frozen=True)
class Outcome:
    """What a rule does with a half: delays of what it hears, and false alarms by kind."""

    delays_ms: list[float]
    clips: int
    alarms: dict[str, int]

    @property
    def p99_ms(self) -> float:
        return float(np.quantile(self.delays_ms, 0.99)) if self.delays_ms else np.inf

    def __str__(self) -> str:
        late = sum(each > LATE_MS for each in self.delays_ms)
        median = np.median(self.delays_ms) if self.delays_ms else np.inf
        alarms = ", ".join(f"{kind} {count}" for kind, count in self.alarms.items())
        return (
            f"{len(self.delays_ms)} of {self.clips} heard, {late} late, "
            f"median {median:.0f}, p99 {self.p99_ms:.0f} ms; {alarms}"
        )


def outcome(rule: Rule, half: Half, networks: int) -> Outcome:
    delays = []
    for clip in half.words:
        hits = np.flatnonzero(rule(joined(clip.answers, networks)))
        if len(hits):
            times = joined(clip.times, networks)
            delays.append((int(times[hits[0]]) - clip.end) / RATE_HZ * 1000)
    alarms = {
        kind: sum(times_said(rule(joined(each, networks)), networks) for each in sounds)
        for kind, sounds in half.others.items()
    }
    return Outcome(delays, len(half.words), alarms)


def joined(each: list[NDArray], networks: int) -> NDArray:
    """The answers of one network, or those of all in the order of time."""
    if networks == 1:
        return each[0]
    shortest = min(map(len, each))
    return np.stack([part[:shortest] for part in each], 1).reshape(-1)


def times_said(hits: NDArray[np.bool_], networks: int) -> int:
    """How many alarms there are: each is followed by a second of deafness, and is told once."""
    count, deaf_until, told = 0, -1, False
    for at, hit in enumerate(hits):
        if hit and not told and at >= deaf_until:
            count, deaf_until = count + 1, at + STEPS_A_S * networks
            told = True
        told = told and bool(hit)
    return count


def say(text: str, voice: str, speed: int) -> Samples:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "said.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path)]
        subprocess.run(command, input=text, text=True, check=True)
        return np.concatenate(list(wav_blocks(path)))


def voices(half: str) -> list[tuple[str, int]]:
    """Who speaks how fast in this half: nobody of the twelve clips."""
    names = [
        accent + (f"+{throat}" if throat else "") for accent in ACCENTS for throat in THROATS[half]
    ]
    return [(name, speed) for name in names if name not in VOICES for speed in SPEEDS]


def clips(network: Network, word: str, who: Iterable[tuple[str, int]]) -> list[Clip]:
    found = []
    for voice, speed in who:
        sound, end = spoken(word.replace("_", " "), voice, speed)
        found.append(Clip(*network.answers(sound), end))
    return found


def others(half: str, recordings: Path | None) -> Iterator[tuple[str, Samples]]:
    """What is not the word, and of which kind it is."""
    who, gap = voices(half), np.zeros(RATE_HZ, np.int16)
    for at, phrase in enumerate(NEAR[half].split(", ")):
        sounds = [say(f"hey {phrase}", *each) for each in who[at % 3 :: 3]]
        yield "near", np.concatenate([part for sound in sounds for part in (sound, gap)])
    name, characters = BOOKS[half]
    paragraphs = re.split(r"\n\s*\n", asset(name).read_text(errors="replace")[2000:characters])
    for at in range(0, len(paragraphs), 12):
        voice, speed = who[at * 37 % len(who)]
        text = "\n\n".join(paragraphs[at : at + 12])
        if len(text) > 40:
            yield "book", say(text, voice, speed + 20)
    if half == "tell":
        wavs = sorted(asset("speech").glob("*.wav"))
        for path in [*wavs, *(sorted(recordings.rglob("*.wav")) if recordings else ())]:
            yield "people", np.concatenate([*wav_blocks(path), gap])


def main() -> None:
    parser = argparse.ArgumentParser(prog="wake_word_rules")
    parser.add_argument("word", nargs="?", default="hey_mycroft", choices=PUBLISHED)
    parser.add_argument("--recordings", type=Path, metavar="FOLDER", help="wavs of people")
    args = parser.parse_args()
    network = Network(args.word)
    halves = {"twelve": Half()}
    twelve = [(voice, speed) for voice in VOICES for speed in SPEEDS]
    halves["twelve"].words = clips(network, args.word, twelve)
    for name in ("tune", "tell"):
        half = halves[name] = Half(clips(network, args.word, voices(name)))
        for kind, sound in others(name, args.recordings):
            half.others.setdefault(kind, []).append(network.answers(sound)[0])
            half.hours[kind] = half.hours.get(kind, 0.0) + len(sound) / RATE_HZ / 3600
        hours = ", ".join(f"{kind} {many:.2f} h" for kind, many in half.hours.items())
        print(f"{name}: {len(half.words)} clips, {hours}", flush=True)
    report(args.word, halves)


def report(word: str, halves: dict[str, Half]) -> None:
    """The published rule, then each family's soonest, at its price and at no worse a price."""
    published = mean_published(word)
    base = outcome(published, halves["tune"], 1)
    tried = [(*each, outcome(each[2], halves["tune"], each[3])) for each in rules()]
    print(f"{len(tried)} rules tried")
    chosen = [("published", published, 1)]
    for family in dict.fromkeys(each[0] for each in tried):
        mine = [each for each in tried if each[0] == family]
        enough = [each for each in mine if len(each[4].delays_ms) >= len(base.delays_ms)]
        as_good = [
            each
            for each in enough
            if all(each[4].alarms[kind] <= base.alarms[kind] for kind in base.alarms)
        ]
        for price, candidates in (("any price", enough), ("no worse", as_good)):
            if candidates:
                _, name, rule, networks, _ = min(candidates, key=lambda each: each[4].p99_ms)
                chosen.append((f"{family}, {price}: {name}", rule, networks))
    for name, rule, networks in chosen:
        print(name)
        for where, half in halves.items():
            print(f"  {where}: {outcome(rule, half, networks)}")


if __name__ == "__main__":
    main()
