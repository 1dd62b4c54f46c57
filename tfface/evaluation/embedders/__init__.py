"""Embedders: models of any file format behind one `embed(images) -> embeddings`."""
