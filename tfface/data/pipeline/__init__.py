"""From a source to training batches: split, order, cache, augmentation, batches."""
