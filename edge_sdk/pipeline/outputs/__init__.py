"""Where a pipeline's frames go.

Recording, PictureFolder   a video file, a folder of pictures: whole, or not at all
LivePage                   a page in the browser, with the picture as it moves and the numbers
JsonLines, MqttTopic       the answers alone, for programs
Callback                   a function of yours
Window                     a window of this machine, where OpenCV has one
"""

from edge_sdk.pipeline.outputs.answers import FrameAnswers, frame_answers
from edge_sdk.pipeline.outputs.calls import Callback, Window
from edge_sdk.pipeline.outputs.lines import JsonLines
from edge_sdk.pipeline.outputs.mqtt import MqttTopic
from edge_sdk.pipeline.outputs.page import LivePage
from edge_sdk.pipeline.outputs.pictures import PictureFolder
from edge_sdk.pipeline.outputs.recording import Recording

__all__ = [
    "Callback",
    "FrameAnswers",
    "JsonLines",
    "LivePage",
    "MqttTopic",
    "PictureFolder",
    "Recording",
    "Window",
    "frame_answers",
]
