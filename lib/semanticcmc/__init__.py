"""What can a network learn from what goes together in time?

Each room is imported by name (``from semanticcmc.rsa.mantel import partial_mantel``);
nothing is re-exported here.
"""

__version__ = "0.1.0"
