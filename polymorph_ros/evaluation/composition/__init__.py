"""What many adapters cost: the composed forward beside PEFT's own ways and separate models."""
