"""What a card recogniser is: card sets, camera views, retrieval figures, the index, the verdict.

numpy, OpenCV, Pillow, usearch and ONNX Runtime only; no training framework, so that the same code
runs in training jobs, in the compile job and on the device.
"""
