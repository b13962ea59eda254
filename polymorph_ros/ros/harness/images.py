"""Pictures as image messages."""

from __future__ import annotations

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from polymorph_ros.arrays import Image as Picture
from polymorph_ros.ros.stamps import to_stamp


def image_message(
    picture: Picture,
    *,
    stamp_ns: int = 1,
    frame_id: str = "camera_optical",
    encoding: str = "rgb8",
) -> Image:
    """The message of a picture, without row padding.

    Args:
        picture: shape (height, width, channels), of the type that the encoding means.
        stamp_ns: stamp of the header, nanoseconds.
        frame_id: of the header.
        encoding: as of ``sensor_msgs/Image``.
    """
    height, width = picture.shape[:2]
    message = Image(
        header=Header(stamp=to_stamp(stamp_ns), frame_id=frame_id),
        height=height,
        width=width,
        encoding=encoding,
        step=picture.nbytes // height,
    )
    message.data = picture.tobytes()
    return message
