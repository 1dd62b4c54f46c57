"""Image folders derived from a source: without background, or with CutMix images."""
