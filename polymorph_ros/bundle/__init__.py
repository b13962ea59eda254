"""Read, check and write a bundle."""

from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.bundle.writer import write_bundle

__all__ = ["Bundle", "read_bundle", "write_bundle"]
