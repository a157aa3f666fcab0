"""Model folders in the forms of other software: transformers, ONNX."""
