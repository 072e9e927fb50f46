"""Blur faces, live: from a camera, a stream or a video to a page in the browser.

.venv/bin/python -m examples.blur_faces 0
.venv/bin/python -m examples.blur_faces rtsp://192.168.1.20/stream1
"""

from edge_sdk.pipeline import Pipeline
from edge_sdk.pipeline.outputs import LivePage
from edge_sdk.pipeline.sources import open_source
from edge_sdk.pipeline.stages import BlurFaces, Model, Tracker
from examples.models import faces
from examples.shell import from_shell


def main(source: str) -> None:
    """Run until the source ends, or Ctrl-C."""
    page = LivePage(port=0, title="Nobody to be seen")
    with faces() as session:
        pipeline = Pipeline(
            open_source(source, paced=True),
            # Through a tracker, so that a face missed for a moment stays covered.
            stages=[Model(session, "faces"), Tracker("faces"), BlurFaces("tracks")],
            sinks=[page],
        )
        print(f"Look at {page.url}", flush=True)
        report = pipeline.run()
    print(f"{report.done} frames, age p50 {report.age_ms.p50} ms, dropped {report.dropped}")


if __name__ == "__main__":
    from_shell(main)
