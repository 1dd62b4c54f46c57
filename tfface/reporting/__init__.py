"""What a run tells: the log of its figures, pictures of them, and one page about it all."""
