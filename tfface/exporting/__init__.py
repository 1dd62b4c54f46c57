"""Export: trained embedders as files of other runtimes, each compared with the original."""
