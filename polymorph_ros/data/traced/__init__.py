"""Made pictures over real label sequences: what a trace says is shown, by a look of its own."""

from polymorph_ros.data.traced.scenes import TracedPictures, traced_scenes

__all__ = ["TracedPictures", "traced_scenes"]
