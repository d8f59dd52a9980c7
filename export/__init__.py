"""From a trained student to the file that a device runs, with proof that it is the same model.

Example: an ONNX graph with an operation that the Hailo parser refuses.

>>> import onnx
>>> from export.graphs.lint import lint
>>> image, out = (
...     onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 1, 1])
...     for name in ("image", "out")
... )
>>> erf = onnx.helper.make_node("Erf", ["image"], ["out"], name="erf")
>>> graph = onnx.helper.make_graph([erf], "graph", [image], [out])
>>> model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
>>> for finding in lint(model):
...     print(finding)
erf: operation Erf; GELU is not taken: train with ReLU or ReLU6
"""

from registry.telemetry import opt_out

opt_out()
