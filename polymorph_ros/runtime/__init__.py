"""A frame's whole way, in the order it happens: engine, belief, cover, governor."""
