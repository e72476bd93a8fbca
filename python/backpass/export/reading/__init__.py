"""Networks of ONNX files: read, and computed by a module that trains."""
