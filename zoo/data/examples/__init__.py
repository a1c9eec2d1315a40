"""Examples that are arrays in a cell: images, sequences, texts and observations."""
