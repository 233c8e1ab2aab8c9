"""ONNX models in 8-bit integers, by ONNX Runtime's own quantizer: statically, weights per channel."""
