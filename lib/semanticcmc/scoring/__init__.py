"""Other people's networks on the same test bench: found by name, shown stimuli, tested beside untrained ones."""
