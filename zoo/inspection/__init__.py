"""What a trained network does: importance, latency, layer statistics."""
