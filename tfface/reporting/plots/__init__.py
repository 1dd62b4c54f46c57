"""Pictures of training, of datasets and of evaluation: one file for each, one style for all."""
