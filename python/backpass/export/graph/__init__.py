"""ONNX: the instructions of a plan as nodes of a graph, a file of writers for each family of ops."""
