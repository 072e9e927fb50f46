"""Stages in processes of their own: real ones, that are started, killed, hung and looked for."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import Frame, Pipeline, PipelineReport
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.sources import Synthetic, open_source
from edge_sdk.pipeline.stages import Drawing, OwnProcess, SideBySide
from examples.assets import asset
from tests import stages_apart
from tests.stages_apart import Batch, Changes, Closes, DrawsInPlace, Remembers, Tells, Trouble

ROOT = Path(__file__).parents[3]


def through(
    *stages: object, frames: int = 8, **options: object
) -> tuple[list[Frame], PipelineReport]:
    seen: list[Frame] = []
    source = Synthetic(64, 48, frames=frames, live=False)
    report = Pipeline(source, stages, [Callback(seen.append)], **options).run()  # type: ignore[arg-type]
    return seen, report


def held() -> tuple[int, list[int], list[str]]:
    """Descriptors, children (zombies too) and named shared memory of this process."""
    gc.collect()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    shared = sorted(path.name for path in Path("/dev/shm").iterdir())
    return len(list(Path("/proc/self/fd").iterdir())), sorted(map(int, children.split())), shared


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = held()
    yield
    descriptors, children, shared = held()
    assert children == before[1]
    assert [name for name in shared if name not in before[2]] == []
    assert descriptors <= before[0]


def test_frames_come_back_as_from_a_thread():
    ours, _ = through(Changes())
    theirs, report = through(OwnProcess(Changes, name="apart"))
    assert report.taken == report.done == 8
    for mine, yours in zip(ours, theirs, strict=True):
        assert np.array_equal(mine.picture, yours.picture)
        assert np.array_equal(mine.answers["mask"].scores, yours.answers["mask"].scores)
        assert mine.answers["pid"] == os.getpid() != yours.answers["pid"]
        words = ("source", "index", "time_s", "colour", "stream")
        assert [getattr(mine, word) for word in words] == [getattr(yours, word) for word in words]
    assert len({frame.answers["pid"] for frame in theirs}) == 1


def test_what_is_drawn_in_place_comes_back_and_what_is_not_is_not_sent():
    card = Synthetic(64, 48)
    frames, _ = through(OwnProcess(DrawsInPlace, name="draws"))
    for frame in frames:
        corner = frame.picture[:10, :10]
        drawn = np.all(corner == (255, 0, 255))
        assert drawn == bool(frame.index % 2)
        assert np.array_equal(frame.picture[10:], card.picture(frame.index)[10:])


def test_a_stage_may_keep_pictures():
    frames, _ = through(OwnProcess(Remembers, name="remembers"))
    assert all(frame.answers["remembers"] for frame in frames)


def test_pictures_of_every_size_and_order_go_over():
    sizes = [(8, 8), (720, 1280), (16, 16), (1080, 1920), (1, 1)]

    class Sizes:
        name, live, fps = "sizes", False, 0.0

        def stream(self, running):
            for index, (height, width) in enumerate(sizes):
                wide = np.random.default_rng(index).integers(
                    0, 256, (height, 2 * width, 3), np.uint8
                )
                yield Frame(wide[:, ::2][..., ::-1], Path("x"), index, stream="sizes")

    ours: list[Frame] = []
    theirs: list[Frame] = []
    beside = SideBySide()
    Pipeline(Sizes(), [Changes()], [Callback(ours.append)]).run()
    # A frame among the answers goes over as well, with its picture.
    stages = [beside.keep, OwnProcess(Changes, name="apart")]
    Pipeline(Sizes(), stages, [Callback(theirs.append)]).run()
    for mine, yours in zip(ours, theirs, strict=True):
        assert np.array_equal(mine.picture, yours.picture)
        assert np.array_equal(yours.answers["original"].picture, yours.picture[::-1])


def test_a_frame_survives_pickling():
    frame = Frame(np.zeros((2, 2, 3), np.uint8), Path("a/b"), 3, 0.1, "bgr", "s", 5.0)
    again = pickle.loads(pickle.dumps(frame.answered("x", 1)))
    assert (again.source, again.index, again.time_s, again.colour) == (Path("a/b"), 3, 0.1, "bgr")
    assert (again.stream, again.taken_s, dict(again.answers)) == ("s", 5.0, {"x": 1})


def test_what_it_raises_is_raised_here_with_its_place():
    with pytest.raises(UsageError) as caught:
        through(OwnProcess(Trouble, "raise", name="bad"))
    said = "In 'bad', at frame 3 of synthetic: ValueError: frame 3 is odd."
    assert caught.value.message == said
    assert isinstance(caught.value.__cause__, ValueError)
    assert "in does" in str(caught.value.__cause__.__cause__), "where in the other process"
    with pytest.raises(UsageError, match=r"at frame 3 of synthetic: Unpicklable: seven at 3"):
        through(OwnProcess(Trouble, "unpicklable", name="bad"))
    with pytest.raises(UnavailableError, match=r"In 'bad', .*The lens is gone") as ours:
        through(OwnProcess(Trouble, "ours", name="bad"))
    assert ours.value.hint == "Screw it on."


def test_what_it_refuses_and_what_is_skipped_is_counted():
    frames, report = through(OwnProcess(Trouble, "refuse", (1, 5), name="t"))
    assert [frame.index for frame in frames] == [0, 2, 3, 4, 6, 7]
    assert report.dropped == {"t: odd": 2}
    _, report = through(OwnProcess(Trouble, "raise", name="t"), on_error="skip")
    assert (report.done, report.dropped) == (7, {"t: failed with ValueError": 1})


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "It answered NoneType, not a Frame."),
        ("lock", "What it answers cannot go to another process: cannot pickle '_thread.lock'"),
    ],
)
def test_what_cannot_be_an_answer_is_said_and_costs_no_process(what, said):
    with pytest.raises(UsageError) as caught:
        through(OwnProcess(Trouble, what, name="odd"))
    assert caught.value.message.startswith(f"In 'odd', at frame 3 of synthetic: {said}")
    frames, report = through(OwnProcess(Trouble, what, name="odd"), on_error="skip")
    assert [frame.index for frame in frames] == [0, 1, 2, 4, 5, 6, 7]
    assert report.dropped == {"odd: failed with UsageError": 1}


@pytest.mark.parametrize(
    ("what", "ending"), [("kill", "it was ended by SIGKILL"), ("exit", "it ended with exit code 7")]
)
def test_a_death_ends_the_run_with_its_name_and_the_frame(what, ending):
    with pytest.raises(UnavailableError) as caught:
        through(OwnProcess(Trouble, what, name="fragile"))
    place = "In 'fragile', at frame 3 of synthetic: "
    assert caught.value.message == f"{place}Its process died: {ending}."
    assert "on_death='restart'" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_death_may_cost_one_frame_and_no_more():
    stage = OwnProcess(Trouble, "kill", (2, 5), name="fragile", on_death="restart")
    frames, report = through(stage)
    assert [frame.index for frame in frames] == [0, 1, 3, 4, 6, 7]
    assert report.dropped == {"fragile: its process died": 2}
    assert report.taken == report.done + 2
    assert "died at frame 2 of synthetic: it was ended by SIGKILL; another" in report.warnings[0]


def test_one_that_dies_again_and_again_is_given_up():
    options = {"name": "fragile", "on_death": "restart", "most_restarts": 2}
    stage = OwnProcess(Trouble, "kill", tuple(range(1, 100)), **options)
    with pytest.raises(UnavailableError, match="died 3 times in a row"):
        through(stage)


def test_one_that_hangs_is_ended():
    options = {"name": "slow", "limit_s": 1.0, "on_death": "restart"}
    frames, report = through(OwnProcess(Trouble, "hang", **options))
    assert len(frames) == 7
    assert "it took longer than 1 s" in report.warnings[0]
    with pytest.raises(UnavailableError, match="died: it took longer than 1 s, and was ended"):
        through(OwnProcess(Trouble, "hang", name="slow", limit_s=1.0))


def test_a_run_that_fails_elsewhere_ends_it_too():
    apart = OwnProcess(Changes, name="apart")
    with pytest.raises(UsageError, match="In 'here'"):
        through(apart, Trouble("raise", name="here"))
    assert apart.pid is None


def test_the_stage_talks_to_the_pipeline():
    frames, report = through(OwnProcess(Tells, name="tells"), frames=1000)
    assert report.warnings == ("the second",)
    assert 5 <= len(frames) < 1000


def test_several_frames_at_once():
    frames, report = through(OwnProcess(Batch, name="batch", most=4), frames=40)
    assert [frame.index for frame in frames] == list(range(40))
    assert max(frame.answers["batch"] for frame in frames) > 1
    stage = OwnProcess(Trouble, "refuse", tuple(range(1, 40)), name="t", most=4)
    _, report = through(stage, frames=40)
    assert report.taken == report.done + report.dropped["t: odd"] == 40


def test_a_stage_is_left_when_the_run_is(tmp_path):
    through(OwnProcess(Closes, str(tmp_path / "note"), name="closes"))
    assert (tmp_path / "note").read_text(encoding="utf-8") == "closed"


def test_it_stays_off_stdout(capfd):
    through(OwnProcess(Trouble, "print", name="loud"))
    out, err = capfd.readouterr()
    assert (out, "on stdout" in err) == ("", True)


def test_under_a_fake_clock():
    clock = FakeClock()
    _, report = through(OwnProcess(Changes, name="apart"), clock=clock)
    assert (report.done, report.seconds) == (8, 0.0)


@pytest.mark.parametrize(
    ("reason", "kind", "said"),
    [
        ("lens", UnavailableError, "In 'apart': There is no lens."),
        ("exit", UsageError, "In 'apart': SystemExit: 3."),
        ("none", UsageError, "In 'apart': tests.stages_apart:fails_to_be_made makes a NoneType"),
        (
            "die",
            UnavailableError,
            "In 'apart': Its process died before its stage was made",
        ),
    ],
)
def test_one_that_cannot_be_made(reason, kind, said):
    make = "tests.stages_apart:fails_to_be_made"
    with pytest.raises(kind) as caught:
        through(OwnProcess(make, reason, name="apart"))
    assert caught.value.message.startswith(said)


def test_what_cannot_be_put_into_another_process():
    with pytest.raises(UsageError, match="cannot be found by another process"):
        OwnProcess(lambda: None, name="x")
    with pytest.raises(UsageError, match="cannot go to another process"):
        OwnProcess(Trouble, lambda: 1, name="x")
    with pytest.raises(UsageError, match="ModuleNotFoundError"):
        through(OwnProcess("no.such.module:Stage", name="x"))
    with pytest.raises(UnavailableError, match="No process can be started with /no/python"):
        through(OwnProcess(Changes, name="x", python="/no/python"))
    with pytest.raises(UnavailableError, match="died before its stage was made") as caught:
        # A Python that has nothing of ours: not even where the program finds it.
        through(OwnProcess("a.module:Stage", name="x", python=_bare_python()))
    assert "-c 'import edge_sdk.pipeline'" in caught.value.hint
    with pytest.raises(UsageError, match="outside of its run"):
        OwnProcess(Changes, name="x").process(Frame(np.zeros((1, 1, 3), np.uint8), Path("x")))


def _bare_python() -> str:
    """The Python that this venv was made with."""
    return str(Path(sys.base_prefix) / "bin" / "python3")


def test_a_model_in_a_process_of_its_own_after_engine_and_opencv_were_used_here():
    """A forked child would wait for locks that nobody holds."""
    here = stages_apart.face_model("faces")
    cv2.blur(np.zeros((720, 1280, 3), np.uint8), (9, 9))
    ours: list[object] = []
    theirs: list[object] = []
    clip = asset("carphone")
    keep = Callback(lambda frame: ours.append(frame.answers["faces"]))
    Pipeline(open_source(clip), [here], [keep]).run()
    here.session.close()
    keep = Callback(lambda frame: theirs.append(frame.answers["faces"]))
    apart = OwnProcess(stages_apart.face_model, "faces", name="apart")
    Pipeline(open_source(clip), [apart, Drawing("faces")], [keep]).run()
    assert len(ours) == 120
    assert ours == theirs


PROGRAM = """
import os, sys, time
from edge_sdk.pipeline import Pipeline, Refused
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.sources import open_source
from edge_sdk.pipeline.stages import OwnProcess

class Mine:
    name = "mine"
    def process(self, frame):
        if frame.index == {hangs_at}:
            time.sleep(3600)
        return frame.answered("mine", os.getpid())

def tell(frame):
    print(frame.answers["mine"], flush=True)

def main():
    stages = [OwnProcess(Mine, name="apart")]
    print(Pipeline(open_source("{source}"), stages, [Callback(tell)]).run().done)

{start}
"""


def program(folder: Path, source: str, *, hangs_at: int = -1, guarded: bool = True) -> list[str]:
    """A program whose stage is in itself, as a person writes it."""
    start = 'if __name__ == "__main__":\n    main()' if guarded else "main()"
    file = folder / "program.py"
    text = PROGRAM.format(source=source, hangs_at=hangs_at, start=start)
    file.write_text(text, encoding="utf-8")
    return [sys.executable, str(file)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_stage_of_the_program_itself(tmp_path):
    words = program(tmp_path, "synthetic:64x48@30x5")
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "5"
    assert len(set(done.stdout.split()[:5])) == 1
    words = program(tmp_path, "synthetic:64x48@30x5", guarded=False)
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "The program starts its pipeline while 'apart' imports it" in done.stderr


def gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] == "Z"  # its new parent's to wait for


@pytest.mark.parametrize("hangs_at", [-1, 9])
def test_whose_parent_is_killed_goes_too(tmp_path, hangs_at):
    words = program(tmp_path, "synthetic:64x48@30", hangs_at=hangs_at)
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for _ in range(3):
            child = int(running.stdout.readline())
        time.sleep(0.8)
        assert not gone(child)
        running.kill()
    deadline = time.monotonic() + 20
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(child)


def test_ctrl_c_is_the_parents_to_hear(tmp_path):
    words = program(tmp_path, "synthetic:64x48@30")
    with subprocess.Popen(
        words,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        _, err = running.communicate(timeout=30)
    assert err.count("KeyboardInterrupt") == 1
    assert gone(child)
