"""What the DLA asks of a network: the operators it is made of, and the scales its tensors share."""

from unina.dla.graph import Graph, GraphError
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleError, ScaleMap

__all__ = ["Graph", "GraphError", "ScaleError", "ScaleMap", "read_graph"]
