"""Pictures drawn over real label sequences: what a trace says is shown, by a look of its own."""

from parts.traced.scenes import TracedPictures, traced_scenes

__all__ = ["TracedPictures", "traced_scenes"]
