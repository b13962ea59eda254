"""Many labels at little energy: context adapters over a shared vision transformer, for ROS 2."""

from pkgutil import extend_path

# The generated messages may be installed under another prefix than the library
# (an overlay beside a virtual environment): both are this one package.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
