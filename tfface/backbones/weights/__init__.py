"""Weights for backbones, read from the files of Keras, PyTorch, safetensors and ONNX."""
