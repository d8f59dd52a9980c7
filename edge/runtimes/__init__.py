"""What runs a release's model: ONNX Runtime on the processor, HailoRT on the chip."""
