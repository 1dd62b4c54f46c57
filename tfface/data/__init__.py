"""From image files and records to batches: sources, split, cache, augmentation, pipeline."""
