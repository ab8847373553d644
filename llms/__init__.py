"""Chat models, all behind one gateway."""
