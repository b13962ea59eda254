"""Backbones, trunk and tail, adapter bank, composed forward, preprocessing."""
