"""Weights of backbones in files of Keras, PyTorch, NumPy, safetensors and ONNX."""
