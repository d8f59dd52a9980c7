"""The ONNX graph that ships, and what is derived from it.

``onnx_export`` writes it from PyTorch, ``graph`` knows its parts, ``lint`` finds what Hailo's
parser would refuse, ``runtime_check`` what ONNX Runtime would, and ``batch_graph`` writes the twin
for servers.

Example: the inputs that a caller must give; an initialiser is none.

>>> import onnx
>>> from export.graphs.graph import image_inputs
>>> values = [
...     onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])
...     for name in ("image", "bias")
... ]
>>> add = onnx.helper.make_node("Add", ["image", "bias"], ["sum"])
>>> bias = onnx.helper.make_tensor("bias", onnx.TensorProto.FLOAT, [1], [0.5])
>>> graph = onnx.helper.make_graph([add], "graph", values, [], [bias])
>>> [value.name for value in image_inputs(graph)]
['image']
"""
