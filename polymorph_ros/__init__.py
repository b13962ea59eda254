"""Many labels at little energy: context adapters over a shared vision transformer, for ROS 2.

::

    import polymorph_ros as pm

    labeller = pm.load()
    result = labeller("image.jpg")
    print(result.active, result.scores["person"], result.joules)

Importing the package loads nothing else: each name below brings its module, and with it NumPy and
PyTorch, when it is used for the first time.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polymorph_ros.errors import PolymorphError
    from polymorph_ros.labeller import Labeller, load
    from polymorph_ros.runtime.result import FrameResult

__all__ = ["FrameResult", "Labeller", "PolymorphError", "__version__", "load"]

# The generated messages may be installed under another prefix than the library
# (an overlay beside a virtual environment): both are this one package.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"

_MODULES = {
    "FrameResult": "runtime.result",
    "Labeller": "labeller",
    "PolymorphError": "errors",
    "load": "labeller",
}


def __getattr__(name: str) -> Any:
    """A public name, from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
