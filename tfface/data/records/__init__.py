"""Datasets as TFRecord files: records, shards, dataset.json, conversion and inspection."""
