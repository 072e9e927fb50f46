"""EfficientNet-Lite0 from PyTorch: a real ImageNet network through every target."""
