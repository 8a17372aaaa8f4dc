"""How long looks and associations last, and which lag that recommends."""
