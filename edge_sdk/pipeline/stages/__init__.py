"""What happens to a frame on its way: models asked, objects followed and counted, pictures changed.

Model, Crops          a session on the whole picture; another one on what the first has found
Tracker               boxes of one frame become objects that last
Zones                 who is inside, who came in, who crossed which line, and which way
BlurFaces, Background privacy, and a room that nobody needs to see
Drawing, SideBySide   answers drawn; the picture beside what it was
Parallel              one of these several times, each in a thread of its own
OwnProcess            any of these, or one of your own, in a process of its own
Guard                 pictures that are no use go no further, and are counted
"""

from edge_sdk.pipeline.stages.background import Background
from edge_sdk.pipeline.stages.drawing import Drawing, SideBySide
from edge_sdk.pipeline.stages.guard import Guard
from edge_sdk.pipeline.stages.model import Crops, Model
from edge_sdk.pipeline.stages.own_process import OwnProcess
from edge_sdk.pipeline.stages.parallel import Parallel
from edge_sdk.pipeline.stages.privacy import BlurFaces
from edge_sdk.pipeline.stages.tracker import Track, Tracker, Tracks
from edge_sdk.pipeline.stages.zones import Line, Region, ZoneCount, Zones

__all__ = [
    "Background",
    "BlurFaces",
    "Crops",
    "Drawing",
    "Guard",
    "Line",
    "Model",
    "OwnProcess",
    "Parallel",
    "Region",
    "SideBySide",
    "Track",
    "Tracker",
    "Tracks",
    "ZoneCount",
    "Zones",
]
