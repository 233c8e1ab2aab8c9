"""Networks in ONNX files, as torch graphs: operators in files of their families."""

from netslim.models.onnx_import.reading import is_onnx as is_onnx
from netslim.models.onnx_import.reading import load_onnx as load_onnx
from netslim.models.onnx_import.source import OnnxSource as OnnxSource
from netslim.models.onnx_import.source import source_of as source_of
