"""Where a pipeline's frames come from, and what a person types to name it.

clip.mp4, photo.png, photos/      a video, a picture, a folder of pictures
0, /dev/video0                    a camera (V4L2, USB)
rtsp://…, http://…                a stream, reconnected when it breaks off
picamera, picamera:1              a Raspberry Pi's camera (picamera2)
gstreamer:…  or  nvargus:0        a GStreamer pipeline that ends in appsink; a Jetson's camera
synthetic, synthetic:640x480@30x300   a test card: size, frames a second, how many
"""

from edge_sdk.pipeline.sources.boards import GStreamerSource, PiCamera, nvargus
from edge_sdk.pipeline.sources.camera import Camera
from edge_sdk.pipeline.sources.files import ClipSource, FolderSource
from edge_sdk.pipeline.sources.live import LiveSource
from edge_sdk.pipeline.sources.network import NetworkStream
from edge_sdk.pipeline.sources.opening import open_source
from edge_sdk.pipeline.sources.synthetic import Synthetic

__all__ = [
    "Camera",
    "ClipSource",
    "FolderSource",
    "GStreamerSource",
    "LiveSource",
    "NetworkStream",
    "PiCamera",
    "Synthetic",
    "nvargus",
    "open_source",
]
