"""The promises about a trained classifier, on the 10,000 test pictures of Fashion-MNIST."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from agent_samples import AgentProcess, SmallFleet, device
from brokers import NatsServer, eventually, running

import edge_sdk
from converters import Conversion, convert
from edge_sdk.processing import read_labels, read_processing
from edge_sdk.runtime.selfcheck import check
from edge_sdk.spec import Agreement, Classes
from edge_sdk.spec.deployment import State
from examples.fashion_mnist import dataset, train

SPEC = Path(train.__file__).parent
LARGEST_INT8_DROP = 0.002
LEAST_SAME_ARGMAX = 0.999
LARGEST_TREE_BYTES = 120_000_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.write_data(tmp_path_factory.mktemp("fashion"))


@pytest.fixture(scope="module", params=["good", "better", "bad"])
def conversion(request: pytest.FixtureRequest, data: Path) -> Conversion:
    """Each classifier in the three formats, as the demo converts it."""
    preprocess, postprocess = read_processing(SPEC / "classifier.toml")
    made = convert(
        train.classifier(request.param),
        data / f"{request.param}-1.0.0.edge",
        formats=["tflite", "coreml", "onnx"],
        recipes=["fp32", "fp16", "int8", "int8-weights"],
        calibrate=data / "calibration.npz",
        evaluate=data / "evaluation.npz",
        preprocess=preprocess,
        postprocess=postprocess,
        labels=read_labels(SPEC / "labels.txt"),
    )
    assert made.passed, made.report
    return made


def measured(conversion: Conversion, variant: str) -> Agreement:
    (found,) = (v for v in conversion.report.variants if v.id == variant)
    assert found.agreement is not None
    assert found.agreement.samples == 10_000
    assert found.agreement.on == "evaluation"
    return found.agreement


def test_full_int8_keeps_its_accuracy(conversion: Conversion) -> None:
    int8, fp32 = measured(conversion, "tflite-int8"), measured(conversion, "tflite-fp32")
    assert int8.accuracy is not None
    assert fp32.accuracy is not None
    assert fp32.accuracy == pytest.approx(fp32.source_accuracy, abs=1e-4)
    assert int8.accuracy >= fp32.accuracy - LARGEST_INT8_DROP


@pytest.mark.parametrize("variant", ["tflite-fp16", "coreml-fp16"])
def test_half_precision_answers_the_same(conversion: Conversion, variant: str) -> None:
    argmax = measured(conversion, variant).argmax
    assert argmax is not None
    assert argmax >= LEAST_SAME_ARGMAX


def test_core_ml_was_run_and_not_only_looked_at(conversion: Conversion) -> None:
    for variant in ("coreml-fp32", "coreml-fp16", "coreml-int8-weights"):
        agreement = measured(conversion, variant)
        assert not agreement.unchecked_ops
        assert agreement.checked_by.startswith("MIL evaluator")


def test_the_artifact_proves_itself_here(conversion: Conversion) -> None:
    assert conversion.artifact is not None
    with edge_sdk.Artifact(Path(conversion.artifact)) as artifact:
        golden = artifact.golden()
        assert golden is not None
        found = {v.id: check(artifact, golden, v).status for v in artifact.manifest.variants}
    runs_here = {name for name in found if not name.startswith("coreml")}
    assert {found[name] for name in runs_here} == {"passed"}
    assert len(runs_here) == 8


def test_a_picture_in_an_answer_out(conversion: Conversion, tmp_path: Path) -> None:
    """What the device does with a picture is what the evaluation did with the array."""
    assert conversion.artifact is not None
    test = dataset.load("test")
    with edge_sdk.load(conversion.artifact, variant="tflite-fp32") as session:
        for picture in test.images[:50, :, :, 0]:
            answer = session.predict(picture)
            assert isinstance(answer, Classes)
            array = (picture / 255.0).astype("float32").reshape(1, 28, 28, 1)
            scores = session.run({"image": array})["probabilities"]
            assert answer.top[0].index == int(scores.argmax())


def tree_bytes(agent: AgentProcess) -> int:
    """What all processes of an agent take: pages shared between them are shared out."""
    total = 0
    for pid in agent.members():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def mapped(pid: int) -> set[str]:
    """Which heavy things a process has in its memory."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    heavy = ("ai_edge_litert", "onnxruntime", "tensorflow", "cv2", "numpy")
    return {name for name in heavy if name in maps}


@pytest.mark.parametrize("conversion", ["good"], indirect=True)
def test_on_a_device_it_is_small(conversion: Conversion, tmp_path: Path) -> None:
    """An agent at work with the classifier: what it fetched, and what its processes take."""

    async def story() -> None:
        server = NatsServer(tmp_path)
        await server.start()
        fleet = SmallFleet(tmp_path, server)
        agent = device(tmp_path, fleet)
        put_pictures(agent.folder / "pictures", tmp_path)
        try:
            async with running(fleet.broker):
                assert conversion.artifact is not None
                artifact = fleet.publish_file(Path(conversion.artifact))
                agent.start()
                app = await fleet.settled(fleet.want(artifact))
                assert (app.state, app.serving) == (State.COMMITTED, artifact)
                await eventually(lambda: sum(w.inferences for w in fleet.windows) > 300)

                targets = [key for key in fleet.asked if key[0].startswith("targets/")]
                files = {path.rpartition("/")[2].partition(".")[2] for path, _ in targets}
                assert files == {"manifest.json", "golden.npz", "baseline.json", "model.tflite"}
                assert any("variants/tflite-int8/" in path for path, _ in targets)
                assert len(targets) == len(set(targets)), "nothing comes twice"

                assert agent.process is not None
                worker = agent.worker()["pid"]
                assert {"ai_edge_litert", "cv2", "numpy"} <= mapped(worker)
                assert mapped(agent.process.pid) == set(), "a supervisor has no use for these"
                measured = 0
                for _ in range(20):
                    measured = max(measured, tree_bytes(agent))
                    await asyncio.sleep(0.1)
                print(f"process tree: {measured / 1e6:.0f} MB PSS")
                assert measured <= LARGEST_TREE_BYTES
        finally:
            if agent.process is not None and agent.process.poll() is None:
                agent.stop()
            await server.stop()

    asyncio.run(story())


def put_pictures(folder: Path, made: Path) -> None:
    """Real test pictures instead of the coloured ones."""
    shutil.rmtree(folder)
    folder.mkdir()
    for picture in dataset.write_images(made / "classes", 5).rglob("*.png"):
        shutil.copy(picture, folder)
