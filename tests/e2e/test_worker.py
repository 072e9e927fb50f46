"""Real worker processes on real pictures, told what to do over the real line."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest
from picture_models import BRIGHT, DARK, SIDE, artifact, slot, write_pictures

from device_agent import ipc
from edge_sdk.spec import InputLimits
from edge_sdk.spec.sketch import Window
from edge_sdk.telemetry import histogram

N = TypeVar("N", bound=ipc.Notice)
DEADLINE_S = 60.0


class Worker:
    """One worker process, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, line: ipc.SupervisorEnd) -> None:
        self.process = process
        self.line = line
        self.heard: list[ipc.Notice] = []

    @classmethod
    async def start(
        cls,
        path: Path,
        *,
        kind: str = "folder",
        interval_ms: int = 1,
        window_s: float = 3600,
        configured: bool = True,
        guard: InputLimits | bool = True,
    ) -> Worker:
        ours, theirs = socket.socketpair()
        process = await asyncio.create_subprocess_exec(
            *ipc.arguments(theirs.fileno()), pass_fds=[theirs.fileno()], start_new_session=True
        )
        theirs.close()
        worker = cls(process, await ipc.SupervisorEnd.open(ours))
        source = ipc.Source(kind=kind, path=str(path), interval_ms=interval_ms)  # type: ignore[arg-type]
        if configured:
            await worker.line.send(
                ipc.Configure(
                    app="light", source=source, boot="boot-1", window_s=window_s, guard=guard
                )
            )
        return worker

    async def until(self, kind: type[N], suits: Callable[[N], bool] = lambda _: True) -> N:
        """Hear what the worker says until it says that."""

        async def listen() -> N:
            while (notice := await self.line.receive()) is not None:
                self.heard.append(notice)
                if isinstance(notice, kind) and suits(notice):
                    return notice
            raise AssertionError(f"the worker ended; it said {self.heard[-5:]}")

        return await asyncio.wait_for(listen(), DEADLINE_S)

    async def serve(self, place: tuple[str, str]) -> ipc.Serving:
        await self.line.send(ipc.Serve(slot=place[0], artifact=place[1]))
        return await self.until(ipc.Serving)

    async def shadow(self, place: tuple[str, str]) -> ipc.Shadowing:
        await self.line.send(ipc.Shadow(slot=place[0], artifact=place[1]))
        return await self.until(ipc.Shadowing)

    async def answered(self, count: int) -> ipc.Beat:
        return await self.until(ipc.Beat, lambda beat: beat.inferences >= count)

    async def stop(self) -> list[Window]:
        """Ask it to end; answers its last windows."""
        before = len(self.heard)
        await self.line.send(ipc.Stop())
        while (notice := await asyncio.wait_for(self.line.receive(), DEADLINE_S)) is not None:
            self.heard.append(notice)
        assert await asyncio.wait_for(self.process.wait(), DEADLINE_S) == 0
        await self.line.close()
        return [n.window for n in self.heard[before:] if isinstance(n, ipc.Closed)]

    @property
    def windows(self) -> list[Window]:
        return [notice.window for notice in self.heard if isinstance(notice, ipc.Closed)]


def run(scenario: Callable[..., Awaitable[None]], path: Path, **settings: object) -> None:
    """Play a scenario with a worker, which is gone afterwards whatever happens."""

    async def play() -> None:
        worker = await Worker.start(path, **settings)  # type: ignore[arg-type]
        try:
            await scenario(worker)
        finally:
            if worker.process.returncode is None:
                worker.process.kill()
                await worker.process.wait()
            await worker.line.close()

    asyncio.run(play())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", DARK, BRIGHT, BRIGHT, BRIGHT)


def test_it_checks_serves_and_tells_in_windows(tmp_path: Path, pictures: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.line.send(ipc.Check(slot=right[0], artifact=right[1]))
        checked = await worker.until(ipc.Checked)
        assert (checked.ok, checked.reason, checked.artifact) == (True, "", right[1])
        assert checked.placement is not None
        assert checked.differences["scores"] == pytest.approx(0, abs=1e-3)
        serving = await worker.serve(right)
        assert serving.artifact == right[1]
        assert serving.placement.backend == "litert"
        await worker.answered(40)
        (window,) = await worker.stop()
        assert (window.app, window.artifact, window.role) == ("light", right[1], "serve")
        assert (window.boot, window.errors, window.unread) == ("boot-1", 0, 0)
        assert window.comparison is None
        assert window.started_ms < window.ended_ms
        assert window.inferences >= 40
        assert histogram.total(window.latency) == window.inferences
        dark, bright = window.classes[0], window.classes[1]
        assert dark + bright == window.inferences
        assert abs(bright - 3 * dark) <= 3, "every round has one dark and three bright pictures"
        assert set(window.features) == {
            "brightness",
            "contrast",
            "sharpness",
            "confidence",
            "margin",
        }
        assert 0 < sum(window.features["brightness"].counts) <= window.inferences
        assert 20e6 < window.memory_bytes < 120e6

    run(scenario, pictures)


def test_a_window_closes_when_its_time_is_over(tmp_path: Path, pictures: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        for _ in range(3):
            await worker.until(ipc.Closed)
        last = await worker.stop()
        windows = [*worker.windows[:3], *last]
        for one, next_ in itertools.pairwise(windows):
            assert one.monotonic_ms <= next_.monotonic_ms
            assert one.started_ms < next_.started_ms
        assert all(w.inferences == sum(w.classes.values()) for w in windows)

    run(scenario, pictures, window_s=0.3)


def test_an_artifact_file_serves_as_well_as_a_slot(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "light.edge"
    digest = artifact(path, with_golden=False, with_baseline=False)

    async def scenario(worker: Worker) -> None:
        await worker.line.send(ipc.Check(slot=str(path), artifact=digest))
        assert (await worker.until(ipc.Checked)).ok
        await worker.serve((str(path), digest))
        await worker.answered(3)
        (window,) = await worker.stop()
        assert window.features == {}

    run(scenario, pictures)


@pytest.mark.parametrize(
    ("candidate", "share"), [("right", 0.0), ("wrong", 1.0)], ids=["alike", "contrary"]
)
def test_a_shadow_sees_the_same_and_is_compared(
    tmp_path: Path, pictures: Path, candidate: str, share: float
) -> None:
    serving = slot(tmp_path / "a")
    shadow = slot(tmp_path / "b", candidate, version="1.1.0")  # type: ignore[arg-type]

    async def scenario(worker: Worker) -> None:
        await worker.serve(serving)
        assert (await worker.shadow(shadow)).artifact == shadow[1]
        beat = await worker.until(ipc.Beat, lambda beat: beat.shadow_inferences >= 20)
        assert (beat.artifact, beat.shadow, beat.shadow_errors) == (serving[1], shadow[1], 0)
        await worker.line.send(ipc.StopShadow())
        window = (await worker.until(ipc.Closed)).window
        assert (window.role, window.artifact) == ("shadow", shadow[1])
        assert window.comparison is not None
        assert window.comparison.compared == window.inferences >= 20
        assert window.comparison.disagreed == share * window.comparison.compared
        beat = await worker.until(ipc.Beat)
        assert (beat.shadow, beat.shadow_inferences) == ("", 0)
        (window,) = await worker.stop()
        assert window.role == "serve"

    run(scenario, pictures)


def test_a_swap_is_whole(tmp_path: Path, pictures: Path) -> None:
    """No window, no beat and no answer mixes two artifacts; the old one's window comes first."""
    write_pictures(pictures, BRIGHT)
    old, new = slot(tmp_path / "a"), slot(tmp_path / "b", "wrong")

    async def scenario(worker: Worker) -> None:
        for place, other in ((old, new), (new, old), (old, new)):
            await worker.serve(place)
            beat = await worker.answered(10)
            assert (beat.artifact, beat.errors) == (place[1], 0)
            assert other[1] not in (beat.artifact, beat.shadow)
        await worker.stop()
        assert [w.artifact for w in worker.windows] == [old[1], new[1], old[1]]
        for window in worker.windows:
            says = {old[1]: 1, new[1]: 0}[window.artifact]
            assert window.classes == {says: window.inferences}
        order = [n for n in worker.heard if isinstance(n, (ipc.Serving, ipc.Closed))]
        assert [type(n).__name__ for n in order] == ["Serving", "Closed"] * 3

    run(scenario, pictures)


def test_serving_what_serves_is_said_again_and_changes_nothing(
    tmp_path: Path, pictures: Path
) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        before = await worker.answered(5)
        shutil.rmtree(right[0])  # it is not even read again
        assert (await worker.serve(right)).artifact == right[1]
        after = await worker.until(ipc.Beat)
        assert after.inferences >= before.inferences
        assert len(await worker.stop()) == 1

    run(scenario, pictures)


def _tamper(place: tuple[str, str]) -> tuple[str, str]:
    path = Path(place[0]) / "variants" / "tflite-fp32" / "model.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return place


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_tamper, "its digest differs"),
        (lambda place: (place[0], "f" * 64), "not ffff"),
        (lambda place: (place[0] + "-away", place[1]), "cannot be opened"),
    ],
    ids=["tampered", "another", "missing"],
)
def test_what_cannot_be_loaded_leaves_what_serves(
    tmp_path: Path, pictures: Path, spoil, reason: str
) -> None:
    right = slot(tmp_path / "a")
    place = spoil(slot(tmp_path / "b", "wrong"))

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        for command, what in ((ipc.Serve, "serve"), (ipc.Shadow, "shadow")):
            await worker.line.send(command(slot=place[0], artifact=place[1]))
            failed = await worker.until(ipc.Failed)
            assert (failed.what, failed.artifact) == (what, place[1])
            assert reason in failed.reason
        await worker.line.send(ipc.Check(slot=place[0], artifact=place[1]))
        checked = await worker.until(ipc.Checked)
        assert not checked.ok
        assert reason in checked.reason
        count = (await worker.until(ipc.Beat)).inferences
        assert (await worker.answered(count + 5)).artifact == right[1]
        assert [w.artifact for w in await worker.stop()] == [right[1]]

    run(scenario, pictures)


def test_wrong_golden_answers_are_found(tmp_path: Path, pictures: Path) -> None:
    place = slot(tmp_path, golden_is_right=False)

    async def scenario(worker: Worker) -> None:
        await worker.line.send(ipc.Check(slot=place[0], artifact=place[1]))
        checked = await worker.until(ipc.Checked)
        assert not checked.ok
        assert "scores differs by 1" in checked.reason
        assert checked.placement is not None

    run(scenario, pictures)


def test_a_model_that_takes_no_pictures_answers_arrays(tmp_path: Path) -> None:
    place = slot(tmp_path, takes_pictures=False)
    folder = tmp_path / "arrays"
    folder.mkdir()
    levels = np.array([0.1, 0.9, 0.9, 0.9], np.float32)
    np.save(folder / "four.npy", np.broadcast_to(levels[:, None, None, None], (4, SIDE, SIDE, 1)))

    async def scenario(worker: Worker) -> None:
        await worker.serve(place)
        await worker.answered(8)
        (window,) = await worker.stop()
        assert (window.errors, window.unread) == (0, 0)
        assert window.inferences >= 8
        dark, bright = window.classes[0], window.classes[1]
        assert abs(3 * dark - bright) <= 3

    run(scenario, folder)


def test_a_video_cannot_feed_a_model_that_takes_no_pictures(tmp_path: Path) -> None:
    place = slot(tmp_path, takes_pictures=False)

    async def scenario(worker: Worker) -> None:
        await worker.line.send(ipc.Serve(slot=place[0], artifact=place[1]))
        assert "declares no preprocessing" in (await worker.until(ipc.Failed)).reason

    run(scenario, tmp_path / "street.mp4", kind="video")


def test_failed_inferences_are_counted_and_the_worker_goes_on(
    tmp_path: Path, pictures: Path
) -> None:
    fragile = slot(tmp_path, "fragile")

    async def scenario(worker: Worker) -> None:
        # It is warmed on gray, of which the fragile model says something.
        await worker.serve(fragile)
        beat = await worker.until(ipc.Beat, lambda beat: beat.errors >= 5)
        assert "NaN" in beat.last_error
        assert beat.inferences >= 12
        (window,) = await worker.stop()
        assert abs(3 * window.errors - window.inferences) <= 3
        assert histogram.total(window.latency) == window.inferences

    run(scenario, pictures)


def test_a_source_that_goes_away_is_no_error_of_the_model(tmp_path: Path, pictures: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        await worker.answered(5)
        pictures.rename(tmp_path / "away")
        beat = await worker.until(ipc.Beat, lambda beat: bool(beat.no_input))
        assert beat.no_input.startswith("no input since 20")
        assert str(pictures) in beat.no_input
        assert (beat.errors, beat.unread >= 3) == (0, True)
        (tmp_path / "away").rename(pictures)
        assert (await worker.answered(beat.inferences + 5)).no_input == ""
        (window,) = await worker.stop()
        assert (window.errors, window.unread >= 3) == (0, True)

    run(scenario, pictures)


def test_a_source_may_come_later(tmp_path: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        beat = await worker.until(ipc.Beat, lambda beat: beat.unread >= 3)
        assert (beat.inferences, beat.errors) == (0, 0)
        write_pictures(tmp_path / "later", BRIGHT)
        await worker.answered(3)

    run(scenario, tmp_path / "later")


def test_what_the_artifact_s_limits_refuse_is_no_error_and_no_answer(
    tmp_path: Path, pictures: Path
) -> None:
    """``pictures`` has one dark in four; all are of one gray, which is fine by these limits."""
    right = slot(tmp_path / "a", guard=InputLimits(min_luma=100, min_contrast=0))
    shadow = slot(tmp_path / "b", version="1.1.0", guard=InputLimits(max_luma=100, min_contrast=0))

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        await worker.shadow(shadow)
        beat = await worker.until(ipc.Beat, lambda b: b.shadow_inferences >= 5)
        assert beat.refused.keys() == {"dark"}
        assert (beat.errors, beat.shadow_errors, beat.unread, beat.no_input) == (0, 0, 0, "")
        served, shadowed = sorted(await worker.stop(), key=lambda w: w.role)
        assert abs(served.inferences - 3 * served.refused["dark"]) <= 3
        assert (served.errors, served.classes) == (0, {1: served.inferences})
        assert shadowed.refused.keys() == {"bright"}
        assert shadowed.classes == {0: shadowed.inferences}
        assert shadowed.comparison is not None
        assert shadowed.comparison.compared == 0  # never asked about the same

    run(scenario, pictures)


def test_limits_that_refuse_everything_are_told(tmp_path: Path, pictures: Path) -> None:
    night = slot(tmp_path, guard=InputLimits(max_luma=10, min_contrast=0, most_per_s=1000))

    async def scenario(worker: Worker) -> None:
        await worker.serve(night)
        beat = await worker.until(ipc.Beat, lambda beat: bool(beat.no_input))
        assert "the artifact's limits refuse it: bright" in beat.no_input
        assert (beat.inferences, beat.errors, beat.refused["bright"] > 3) == (0, 0, True)

    run(scenario, pictures)


def test_a_rate_that_is_kept_is_no_lack_of_input(tmp_path: Path, pictures: Path) -> None:
    slow = slot(tmp_path, guard=InputLimits(min_contrast=0, most_per_s=0.1))

    async def scenario(worker: Worker) -> None:
        await worker.serve(slow)
        first = await worker.answered(1)
        seven_s = first.monotonic_ms + 7000
        beat = await worker.until(ipc.Beat, lambda beat: beat.monotonic_ms > seven_s)
        assert (beat.inferences, beat.errors, beat.no_input) == (1, 0, "")
        assert beat.refused.keys() == {"too many a second"}

    run(scenario, pictures)


def test_the_operator_s_limits_take_the_place_of_the_artifact_s(
    tmp_path: Path, pictures: Path
) -> None:
    night = slot(tmp_path, guard=InputLimits(max_luma=10, min_contrast=0))

    async def own(worker: Worker) -> None:
        await worker.serve(night)
        beat = await worker.until(ipc.Beat, lambda beat: beat.inferences >= 9)
        assert beat.refused.keys() == {"dark"}

    async def none(worker: Worker) -> None:
        await worker.serve(night)
        beat = await worker.answered(9)
        assert beat.refused == {}

    async def misfit(worker: Worker) -> None:
        await worker.line.send(ipc.Check(slot=night[0], artifact=night[1]))
        checked = await worker.until(ipc.Checked)
        assert not checked.ok
        assert "held to the device's own limits: The model takes pictures" in checked.reason

    run(own, pictures, guard=InputLimits(min_luma=100, min_contrast=0))
    run(none, pictures, guard=False)
    run(misfit, pictures, guard=InputLimits(ranges={"image": (0, 1)}))


@pytest.mark.parametrize(
    "limits",
    [InputLimits(min_luma=300, max_luma=400), InputLimits(ranges={"image": (0, 1)})],
    ids=["nothing passes", "no picture's"],
)
def test_limits_that_are_nonsense_are_found_by_the_check(
    tmp_path: Path, pictures: Path, limits: InputLimits
) -> None:
    odd = slot(tmp_path, guard=limits)

    async def scenario(worker: Worker) -> None:
        await worker.line.send(ipc.Check(slot=odd[0], artifact=odd[1]))
        checked = await worker.until(ipc.Checked)
        assert not checked.ok
        assert "pictures" in checked.reason or "picture can pass" in checked.reason

    run(scenario, pictures)


def test_new_pictures_are_seen_at_once(tmp_path: Path, pictures: Path) -> None:
    write_pictures(pictures, *[BRIGHT] * 50)
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        await worker.until(ipc.Closed, lambda c: set(c.window.classes) == {1})
        write_pictures(pictures, *[DARK] * 50)
        await worker.until(ipc.Closed, lambda c: set(c.window.classes) == {0})

    run(scenario, pictures, window_s=0.3)


def test_a_video_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (32, 32))
    for level in (DARK, BRIGHT, BRIGHT):
        writer.write(np.full((32, 32, 3), level, np.uint8))
    writer.release()
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        await worker.answered(30)
        (window,) = await worker.stop()
        assert (window.errors, window.unread) == (0, 0)
        assert abs(window.classes[1] - 2 * window.classes[0]) <= 2

    run(scenario, path, kind="video")


def test_it_ends_when_its_supervisor_is_gone(tmp_path: Path, pictures: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        await worker.line.close()
        assert await asyncio.wait_for(worker.process.wait(), DEADLINE_S) == 3

    run(scenario, pictures)


def test_it_ends_when_it_was_never_told_anything(pictures: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.line.close()
        assert await asyncio.wait_for(worker.process.wait(), DEADLINE_S) == 3

    run(scenario, pictures, configured=False)


def test_its_death_is_the_end_of_the_line(tmp_path: Path, pictures: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        worker.process.kill()
        while await asyncio.wait_for(worker.line.receive(), DEADLINE_S) is not None:
            pass
        await worker.line.send(ipc.Stop())  # nobody hears it, and that is no error

    run(scenario, pictures)


def test_a_terminal_or_an_init_system_does_not_end_it(tmp_path: Path, pictures: Path) -> None:
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(worker.process.pid, number)
        count = (await worker.until(ipc.Beat)).inferences
        await worker.answered(count + 5)
        await worker.stop()

    run(scenario, pictures)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_it_keeps_to_one_thread_a_job(tmp_path: Path, pictures: Path) -> None:
    """The three threads of its own, and whatever an engine insists on; not one for each core."""
    right = slot(tmp_path)

    async def scenario(worker: Worker) -> None:
        await worker.serve(right)
        await worker.answered(3)
        threads = len(os.listdir(f"/proc/{worker.process.pid}/task"))  # noqa: PTH208
        assert threads <= 5

    run(scenario, pictures)
