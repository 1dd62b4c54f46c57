"""Logs, tables, plots and HTML reports of training and evaluation. Never imports TensorFlow."""
