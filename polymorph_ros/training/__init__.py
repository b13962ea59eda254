"""From a labelled dataset to a bundle."""
