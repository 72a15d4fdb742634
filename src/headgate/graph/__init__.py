"""From a cell's step to an expression graph, its gradient, its elementwise partials, and LaTeX."""

from headgate.graph.expression import Node as Node
from headgate.graph.expression import evaluate as evaluate
from headgate.graph.gradient import Gradient as Gradient
from headgate.graph.gradient import Linear as Linear
from headgate.graph.gradient import gradient as gradient
from headgate.graph.gradient import linearise as linearise
from headgate.graph.latex import equations as equations
from headgate.graph.trace import Graph as Graph
from headgate.graph.trace import Group as Group
from headgate.graph.trace import trace as trace
