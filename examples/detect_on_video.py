"""Detect on a video: boxes drawn, answers as JSON lines.

    .venv/bin/python -m examples.detect_on_video clip.mp4 out.mp4 found.jsonl

Any artifact of a detector will do in place of the one that is loaded here.
"""

from edge_sdk.pipeline import Pipeline
from edge_sdk.pipeline.outputs import JsonLines, Recording
from edge_sdk.pipeline.sources import open_source
from edge_sdk.pipeline.stages import Drawing, Model, Tracker
from examples.models import faces
from examples.shell import from_shell


def main(source: str, video: str, lines: str) -> None:
    """Run it."""
    clip = open_source(source)
    with faces() as session:
        pipeline = Pipeline(
            clip,
            stages=[Model(session, "faces"), Tracker("faces"), Drawing("tracks")],
            sinks=[Recording(video), JsonLines(lines)],
        )
        report = pipeline.run()
    print(f"{report.done} frames, {report.fps:.0f} a second: {video}, {lines}")


if __name__ == "__main__":
    from_shell(main)
