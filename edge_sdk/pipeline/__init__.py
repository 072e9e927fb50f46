"""What stands around a model: pictures, videos and arrays in, drawn pictures and videos out."""

from edge_sdk.pipeline.arrays import read_arrays
from edge_sdk.pipeline.draw import draw
from edge_sdk.pipeline.frames import Clip, Frame, Source, Still, open_sources
from edge_sdk.pipeline.metrics import PipelineReport
from edge_sdk.pipeline.parts import FrameSink, FrameSource, Refused, Running, Stage
from edge_sdk.pipeline.picture_file import read_picture, write_picture
from edge_sdk.pipeline.pipeline import Pipeline
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.pipeline.sinks import PictureFile, Sink, VideoFile, open_sink, plan_sinks

__all__ = [
    "Clip",
    "Frame",
    "FrameSink",
    "FrameSource",
    "PictureFile",
    "PicturePool",
    "Pipeline",
    "PipelineReport",
    "Refused",
    "Running",
    "Sink",
    "Source",
    "Stage",
    "Still",
    "VideoFile",
    "draw",
    "open_sink",
    "open_sources",
    "plan_sinks",
    "read_arrays",
    "read_picture",
    "write_picture",
]
