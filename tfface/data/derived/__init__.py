"""New face images made from face images: one-class CutMix and background removal."""
