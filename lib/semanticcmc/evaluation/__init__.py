"""A network meets stimuli: class means, RDM files, tests, accuracy."""
